"""The router's Deployment, Services and PodDisruptionBudget."""

from typing import Any

from atoll.domain.fleet import RouterPolicy
from atoll.domain.objects import CHILD_KINDS, DEPLOYMENT, DISRUPTION_BUDGET, SERVICE, Reference
from atoll.render import names
from atoll.render.quantities import mebibytes, millicores
from atoll.render.router.bootstrap import BOOTSTRAP_FILE
from atoll.render.router.configuration import RouterConfiguration, router_labels
from atoll.render.router.routing import RouterSettings

ROUTER_USER = 101
"""User ``envoy`` of Envoy's image."""

_BOOTSTRAP_HASH = "atoll.dev/router-bootstrap"
_INTENT = "atoll.dev/intent"
_STOP_MARGIN_SECONDS = 15
_LEAVE_SECONDS = 5
"""The readiness probe fails and the Service drops the pod within so long, seconds."""


def router_objects(
    configuration: RouterConfiguration, settings: RouterSettings, policy: RouterPolicy, *, running: int | None = None
) -> tuple[dict[str, Any], ...]:
    """All objects of the router but its ConfigMap; none where no replicas are wanted.

    Args:
        configuration: of Envoy.
        settings: of the operator.
        policy: of the Fleet.
        running: replicas that the live Deployment has; None where there is none.
    """
    replicas = _replicas(settings, policy)
    if replicas == 0:
        return ()
    # An autoscaler's number is sent as it is: a field that we sent and then leave out goes back to its default, one
    # pod, unless the autoscaler has written it too, which it does only when it scales (decision 44).
    if settings.pods.autoscaled and running is not None:
        replicas = running
    objects = (
        router_deployment(configuration, settings, policy, replicas),
        router_service(settings),
        router_disruption_budget(settings),
    )
    return tuple(map(_stamped, objects))


def router_references(settings: RouterSettings) -> frozenset[Reference]:
    """All objects that a router may have had, its ConfigMap too."""
    return frozenset(
        Reference(kind=kind.name, namespace=settings.namespace, name=settings.name) for kind in CHILD_KINDS
    )


def router_deployment(
    configuration: RouterConfiguration, settings: RouterSettings, policy: RouterPolicy, replicas: int
) -> dict[str, Any]:
    """Envoy pods. Only a new image or bootstrap rolls them; clusters and routes are re-read in place."""
    labels = router_labels()
    drain, grace = round(policy.drain_seconds), round(policy.grace_seconds)
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.name,
        "metadata": _metadata(settings),
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": {**settings.pods.pod_labels, **labels},
                    "annotations": {
                        **settings.pods.pod_annotations,
                        _BOOTSTRAP_HASH: names.content_hash(configuration.files[BOOTSTRAP_FILE]),
                    },
                },
                "spec": {
                    **settings.pods.placement(),
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": ROUTER_USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "topologySpreadConstraints": [
                        {
                            "maxSkew": 1,
                            "topologyKey": key,
                            "whenUnsatisfiable": "ScheduleAnyway",
                            "labelSelector": {"matchLabels": labels},
                        }
                        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
                    ],
                    "terminationGracePeriodSeconds": drain + grace + _STOP_MARGIN_SECONDS,
                    "containers": [_envoy(settings, policy, drain + grace)],
                    # The whole folder: the kubelet never refreshes a subPath mount.
                    "volumes": [{"name": "configuration", "configMap": {"name": settings.name}}],
                },
            },
        },
    }


def _envoy(settings: RouterSettings, policy: RouterPolicy, drain_seconds: int) -> dict[str, Any]:
    ready = {"httpGet": {"path": "/ready", "port": "status"}, "timeoutSeconds": 2}
    return {
        "name": "envoy",
        "image": policy.image or settings.pods.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["envoy"],
        "args": envoy_arguments(settings, policy),
        "ports": [
            {"name": "http", "containerPort": settings.port, "protocol": "TCP"},
            {"name": "status", "containerPort": settings.status_port, "protocol": "TCP"},
        ],
        "resources": {
            "requests": {
                "cpu": millicores(policy.cpu_millicores),
                "memory": mebibytes(policy.memory_mebibytes // 4),
                "ephemeral-storage": "64Mi",
            },
            "limits": {"memory": mebibytes(policy.memory_mebibytes)},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**ready, "periodSeconds": 2, "failureThreshold": 2},
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/bash", "-c", drain_script(settings, drain_seconds)]}}},
        "volumeMounts": [{"name": "configuration", "mountPath": settings.config_directory, "readOnly": True}],
    }


def envoy_arguments(settings: RouterSettings, policy: RouterPolicy) -> list[str]:
    """Arguments of Envoy: an unknown field is refused and the last good configuration kept (router.md)."""
    return [
        # The default is a thread for each core of the node, each with buffers and connections of its own.
        "--concurrency",
        str(policy.workers),
        "--config-path",
        f"{settings.config_directory}/{BOOTSTRAP_FILE}",
        "--disable-hot-restart",
        "--reject-unknown-dynamic-fields",
        "--file-flush-interval-msec",
        "1000",
        "--log-level",
        "warning",
    ]


def drain_script(settings: RouterSettings, seconds: int) -> str:
    """Bash that takes a router out of service and waits, up to so many seconds, until no request is in flight.

    ``/healthcheck/fail`` makes ``/ready`` answer 503, so that the pod leaves its Service, and closes clients' kept
    connections after their current answer. Envoy's image has bash but no curl.
    """
    in_flight = "requests.downstream_rq_active"
    return (
        f"ask() {{ exec 3<>/dev/tcp/127.0.0.1/{settings.admin_port}"
        ' && printf "%s HTTP/1.1\\r\\nhost: admin\\r\\nconnection: close\\r\\n\\r\\n" "$1" >&3 && cat <&3; }; '
        f"ask 'POST /healthcheck/fail' >/dev/null; sleep {_LEAVE_SECONDS}; "
        f"for ((i = {_LEAVE_SECONDS}; i < {seconds}; i++)); do "
        f"ask 'GET /stats?filter={in_flight}' | grep -q '{in_flight}: 0' && break; sleep 1; done"
    )


def router_service(settings: RouterSettings) -> dict[str, Any]:
    """Where clients send requests."""
    metadata = _metadata(settings)
    if settings.pods.service_annotations:
        metadata["annotations"] = dict(settings.pods.service_annotations)
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.name,
        "metadata": metadata,
        "spec": {
            "type": settings.pods.service_type,
            "selector": router_labels(),
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def router_disruption_budget(settings: RouterSettings) -> dict[str, Any]:
    """One router pod may go at a time."""
    return {
        "apiVersion": DISRUPTION_BUDGET.api_version,
        "kind": DISRUPTION_BUDGET.name,
        "metadata": _metadata(settings),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": router_labels()},
        },
    }


def _replicas(settings: RouterSettings, policy: RouterPolicy) -> int:
    return settings.pods.replicas if policy.replicas is None else policy.replicas


def _stamped(obj: dict[str, Any]) -> dict[str, Any]:
    """The object with a digest of all of it but its replicas.

    What a live object has and the intent has not is nobody's difference, so a setting that was taken back would stay
    for ever: by the digest it is written once more, and goes.
    """
    spec = {key: value for key, value in obj["spec"].items() if key != "replicas"}
    metadata = obj["metadata"]
    stamp = {_INTENT: names.content_hash({"metadata": metadata, "spec": spec})}
    return {**obj, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **stamp}}}


def _metadata(settings: RouterSettings) -> dict[str, Any]:
    return {"name": settings.name, "namespace": settings.namespace, "labels": router_labels()}
