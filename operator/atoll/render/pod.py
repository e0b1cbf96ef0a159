"""The pod template of one stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atoll.domain.demand import QUEUE_LABEL, Demand
from atoll.domain.fleet import RouterPolicy
from atoll.domain.pool import NodePool, OfferingKey
from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.domain.strategy import Phase, Strategy
from atoll.render import names
from atoll.render.claims import CLAIM, claim_template_name
from atoll.render.engines import stage_process
from atoll.render.engines.stage import BEHIND_PROXY_PORT, HTTP_PORT, RENDEZVOUS_PORT, StageContext
from atoll.render.overlay import Overlay, merge_named
from atoll.render.placement import node_selector, tolerations
from atoll.render.proxy import proxy_container
from atoll.render.quantities import mebibytes
from atoll.render.requests import StageShare, stage_share
from atoll.render.standing import CONTAINER, STARTUP_PERIOD, Standing
from atoll.render.weights import weights
from atoll.render.weightscache import weights_cache

ENGINE_USER = 2000
"""User ``vllm`` of vLLM's image (docker/Dockerfile: ``useradd --uid 2000 --gid 0``)."""

CACHE_PATH = "/cache"
STOP_MARGIN_SECONDS = 15
"""From the end of the engine's own shutdown time to the kubelet's SIGKILL, seconds."""

_LIVENESS_PERIOD = 10
_READINESS_PERIOD = 5
_PROBE_TIMEOUT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePod:
    """Everything that the pod template of one stage follows from.

    Attributes:
        demand: which it serves.
        strategy: how its replica runs.
        stage: index of the stage.
        offerings: of all stages of its replica, in order.
        pool: of this stage's offering.
        standing: what its pods keep from those that run.
        router: drain and grace times.
        leader: DNS name of stage 0; empty for a single-stage replica.
        labels: that tell this Deployment's pods from all others.
        scheduler: kube-scheduler profile.
    """

    demand: Demand
    strategy: Strategy
    stage: int
    offerings: tuple[OfferingKey, ...]
    pool: NodePool
    standing: Standing
    router: RouterPolicy
    leader: str = ""
    labels: Mapping[str, str]
    scheduler: str

    @property
    def offering(self) -> OfferingKey:
        """Where this stage runs."""
        return self.offerings[self.stage]

    @property
    def drain_seconds(self) -> int:
        """Between the pod's deletion and SIGTERM, seconds: routers stop sending in this time."""
        return round(self.router.drain_seconds)

    @property
    def grace_seconds(self) -> int:
        """Requests in flight may take so long to finish, seconds."""
        return round(self.router.grace_seconds)

    @property
    def multistage(self) -> bool:
        """Its replica has more than one stage."""
        return len(self.strategy.stages) > 1


def pod_template(pod: StagePod) -> dict[str, Any]:
    """Metadata and spec of the pods of one stage's Deployment.

    Raises InvalidObjectError where the demand asks what cannot be rendered: its field and the mend are in the fault.
    """
    _check_fits(pod)
    overlay = Overlay(pod.demand.engine.pod_template)
    found = weights(pod.demand)
    cached = weights_cache(pod.pool.weights_cache, found.repository, pod.demand.engine.image)
    share = stage_share(pod.strategy.tp, pod.pool)
    own_volumes = [
        {"name": "cache", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": mebibytes(share.shared_memory_mib)}},
        {"name": "tmp", "emptyDir": {}},
        *found.volumes,
        *cached.volumes,
    ]
    return {
        "metadata": {
            "labels": {**overlay.labels, **_labels(pod)},
            "annotations": {**overlay.annotations, **_annotations(pod)},
        },
        "spec": {
            **overlay.pod_fields,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,  # a Service named vllm would set VLLM_PORT to a URL, which vLLM refuses
            "schedulerName": pod.scheduler,
            "nodeSelector": node_selector(pod.pool, pod.offering),
            "tolerations": tolerations(pod.pool, overlay.tolerations),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": ENGINE_USER,
                "fsGroup": ENGINE_USER,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": pod.drain_seconds + pod.grace_seconds + STOP_MARGIN_SECONDS,
            **({"initContainers": list(cached.init_containers)} if cached.init_containers else {}),
            **_claims(pod),
            "containers": [_container(pod, overlay, share), *_proxies(pod)],
            "volumes": merge_named(own_volumes, overlay.volumes, "name"),
        },
    }


def _check_fits(pod: StagePod) -> None:
    kind = pod.strategy.stages[pod.stage].gpu_kind
    if pod.strategy.tp > pod.pool.config.count or pod.pool.config.kind != kind:
        raise InvalidObjectError(
            Fault(
                reason=Reason.NO_POOL_FITS,
                message=f"stage {pod.stage} needs {pod.strategy.tp} x {kind} on one node, pool {pod.pool.name} has"
                f" {pod.pool.config}",
            )
        )


def _labels(pod: StagePod) -> dict[str, str]:
    labels = {
        **names.demand_labels(pod.demand.key),
        names.STRATEGY: pod.strategy.id,
        names.OFFERING: names.offering_label(pod.offering),
        names.STAGE: str(pod.stage),
        names.PIPELINE: str(pod.multistage).lower(),
        **_pair_labels(pod),
        **queue_labels(pod.demand),
        **pod.labels,
    }
    return {**labels, names.ROUTABLE: "true"} if pod.stage == 0 else labels


def queue_labels(demand: Demand) -> dict[str, str]:
    """By which Kueue knows a Deployment and its pods; none where the demand names no queue.

    Kueue's webhook copies the label from the Deployment to its pods: on both, there is nothing left to change.
    """
    return {QUEUE_LABEL: demand.queue} if demand.queue else {}


def _pair_labels(pod: StagePod) -> dict[str, str]:
    phase = pod.strategy.phase
    if phase is None:
        return {}
    return {names.PHASE: phase.lower(), names.PAIR: names.pair(pod.strategy, pod.offering.zone)}


def _annotations(pod: StagePod) -> dict[str, str]:
    annotations = {
        **{key: value for key, value in names.PROTECTION.items() if key in pod.standing.protection},
        names.OFFERINGS: names.write_offerings(pod.offerings),
    }
    if pod.pool.device_class:
        annotations[names.GPUS] = str(pod.strategy.tp)
    if pod.stage == 0:
        annotations |= {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(HTTP_PORT),
            "prometheus.io/path": "/metrics",
        }
    return annotations


def _container(pod: StagePod, overlay: Overlay, share: StageShare) -> dict[str, Any]:
    found = weights(pod.demand)
    cached = weights_cache(pod.pool.weights_cache, found.repository, pod.demand.engine.image)
    process = stage_process(
        StageContext(
            demand=pod.demand,
            strategy=pod.strategy,
            stage=pod.stage,
            weights=found,
            leader=pod.leader,
            start_budget_seconds=pod.standing.start_budget,
            shutdown_seconds=pod.grace_seconds,
        )
    )
    own_mounts = [
        {"name": "cache", "mountPath": CACHE_PATH},
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108  # a path in the container
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # a path in the container
        *found.mounts,
        *cached.mounts,
    ]
    own_env = [
        # Caches of vLLM, PyTorch, Triton and Hugging Face go below HOME; PyTorch asks for the user's name.
        {"name": "HOME", "value": CACHE_PATH},
        {"name": "USER", "value": "vllm"},
        *cached.env,
        *process.env,
    ]
    return {
        "name": CONTAINER,
        "image": pod.demand.engine.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(process.command),
        "args": list(process.args),
        "env": merge_named(own_env, pod.demand.engine.env, "name"),
        **_ports(pod),
        "resources": {"requests": overlay.requests(share), **_gpus(pod, share)},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": merge_named(own_mounts, overlay.mounts, "mountPath"),
        **_lifecycle(pod),
        **_probes(pod),
    }


def _gpus(pod: StagePod, share: StageShare) -> dict[str, Any]:
    return {"claims": [{"name": CLAIM}]} if pod.pool.device_class else {"limits": share.limits}


def _claims(pod: StagePod) -> dict[str, Any]:
    if not pod.pool.device_class:
        return {}
    template = claim_template_name(pod.demand, pod.pool.device_class, pod.strategy.tp)
    return {"resourceClaims": [{"name": CLAIM, "resourceClaimTemplateName": template}]}


def _ports(pod: StagePod) -> dict[str, Any]:
    if pod.stage > 0:
        return {}
    http = BEHIND_PROXY_PORT if pod.strategy.phase is Phase.DECODE else HTTP_PORT
    ports = {"http": http, "rendezvous": RENDEZVOUS_PORT} if pod.multistage else {"http": http}
    return {
        "ports": [{"name": name, "containerPort": number, "protocol": "TCP"} for name, number in ports.items()],
    }


def _lifecycle(pod: StagePod) -> dict[str, Any]:
    # A follower stays until its leader has finished what is in flight: without it every request would break.
    seconds = pod.drain_seconds if pod.stage == 0 else pod.drain_seconds + pod.grace_seconds
    return {"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}} if seconds > 0 else {}


def _probes(pod: StagePod) -> dict[str, Any]:
    if pod.stage > 0:
        return {}  # a follower serves no HTTP; its leader's health speaks for the replica

    def probe(period: int, failures: int) -> dict[str, Any]:
        return {
            "httpGet": {"path": "/health", "port": "http"},
            "periodSeconds": period,
            "timeoutSeconds": _PROBE_TIMEOUT,
            "failureThreshold": failures,
        }

    return {
        "startupProbe": probe(STARTUP_PERIOD, pod.standing.start_budget // STARTUP_PERIOD),
        "livenessProbe": probe(_LIVENESS_PERIOD, 6),
        "readinessProbe": probe(_READINESS_PERIOD, 2),
    }


def _proxies(pod: StagePod) -> list[dict[str, Any]]:
    """A decode engine's proxy, which has prompts prefilled elsewhere."""
    if pod.strategy.phase is not Phase.DECODE:
        return []
    prefill = names.prefill_service_name(pod.demand.key, names.pair(pod.strategy, pod.offering.zone))
    return [
        {
            **proxy_container(
                engine=pod.strategy.engine,
                image=pod.demand.engine.image,
                prefill=names.service_host(prefill, pod.demand.key.namespace),
                grace_seconds=pod.grace_seconds,
            ),
            **_lifecycle(pod),
        }
    ]
