"""The real Kueue on a local cluster: its definitions and webhooks as it ships them, its manager as a process."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml
from e2e.rack import LABELS
from e2e.world import Object, World

from atoll.local.cloud import GPU_RESOURCE
from atoll.local.ports import LOOPBACK, free_ports
from atoll.local.processes import Command
from atoll.local.tools import ensure_definitions, ensure_tool

NAME = "kueue"
SYSTEM = "kueue-system"
SERVICE, SECRET = "kueue-webhook-service", "kueue-webhook-server-cert"
KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
QUEUE = "serving"
PODS = "/api/v1/namespaces/default/pods"

_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_CONFIGURATIONS = {
    "MutatingWebhookConfiguration": (
        f"{_ADMISSION}/mutatingwebhookconfigurations",
        "kueue-mutating-webhook-configuration",
    ),
    "ValidatingWebhookConfiguration": (
        f"{_ADMISSION}/validatingwebhookconfigurations",
        "kueue-validating-webhook-configuration",
    ),
}
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_CONVERTED = ("localqueues", "clusterqueues", "cohorts", "workloads", "multikueueclusters")
_LEFT_OUT = {
    "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", SYSTEM]}]
}


@contextmanager
def kueue(world: World) -> Iterator[None]:
    """Kueue runs, queues pods and Deployments, and answers its webhooks."""
    health, webhook = free_ports(2)
    shipped = [
        obj
        for path in sorted(ensure_definitions(NAME).glob("*.yaml"))
        for obj in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if obj
    ]
    folder = world.plane.state.root / NAME
    certificates = folder / "certificates"
    certificates.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(health, webhook, certificates)), encoding="utf-8")
    world.api.apply(
        f"/api/v1/namespaces/{SYSTEM}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}
    )
    world.api.apply(
        f"/api/v1/namespaces/{SYSTEM}/secrets/{SECRET}",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}},
    )
    # The API server asks a Service of this type at the name that it gives, and trusts the certificate of the Service's.
    world.api.apply(
        f"/api/v1/namespaces/{SYSTEM}/services/{SERVICE}",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        },
    )
    asked = {"namespace": SYSTEM, "name": SERVICE, "port": webhook}
    for obj in shipped:
        kind = obj.get("kind", "")
        if kind == "CustomResourceDefinition":
            if obj["spec"]["names"]["plural"] in _CONVERTED:
                hook = {"clientConfig": {"service": {**asked, "path": "/convert"}}, "conversionReviewVersions": ["v1"]}
                obj["spec"]["conversion"] = {"strategy": "Webhook", "webhook": hook}
            world.api.apply(f"{_DEFINITIONS}/{obj['metadata']['name']}", obj)
        elif kind in _CONFIGURATIONS:
            path, name = _CONFIGURATIONS[kind]
            obj["metadata"]["name"] = name
            for each in obj["webhooks"]:
                each["clientConfig"]["service"].update(asked)
                each["namespaceSelector"] = _LEFT_OUT
            world.api.apply(f"{path}/{name}", obj)
    config = world.plane.state.component_kubeconfig("karpenter")
    world.plane.processes.start(
        Command(
            name=NAME,
            arguments=(str(ensure_tool(NAME)), f"--config={folder / 'config.yaml'}"),
            environment={"KUBECONFIG": str(config)},
        )
    )
    try:
        world.wait(
            lambda: mounted(world, certificates) and answers(f"http://{LOOPBACK}:{health}/readyz") and gates(world),
            "Kueue gates pods",
            60,
        )
        yield
    finally:
        for path, name in _CONFIGURATIONS.values():
            world.api.delete(f"{path}/{name}")
        world.plane.processes.end(NAME)


def configuration(health: int, webhook: int, certificates: Path) -> Object:
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": SYSTEM,
        "health": {"healthProbeBindAddress": f"{LOOPBACK}:{health}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": LOOPBACK, "port": webhook, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": True, "webhookServiceName": SERVICE, "webhookSecretName": SECRET},
        "integrations": {"frameworks": ["pod", "deployment"]},
        "featureGates": {"VisibilityOnDemand": False, "MultiKueue": False},
    }


def mounted(world: World, folder: Path) -> bool:
    """Write Kueue's certificate where it looks for it, as the kubelet does with a Secret's volume."""
    found = world.api.get(f"/api/v1/namespaces/{SYSTEM}/secrets/{SECRET}") or {}
    for name, text in found.get("data", {}).items():
        (folder / name).write_bytes(base64.b64decode(text))
    return (folder / "tls.crt").exists()


def gates(world: World) -> bool:
    """Whether a pod with a queue would be held back."""
    made = world.api.create(f"{PODS}?dryRun=All", batch_pod(1))
    return bool(made["spec"].get("schedulingGates"))


def answers(url: str) -> bool:
    return httpx.get(url, trust_env=False).is_success


def set_quota(world: World, gpus: int) -> None:
    """A LocalQueue of namespace default with so many GPUs, and enough of all else."""
    plenty = {"cpu": "1000", "memory": "10Ti", "ephemeral-storage": "100Ti", GPU_RESOURCE: str(gpus)}
    flavor = {"name": "any", "resources": [{"name": name, "nominalQuota": most} for name, most in plenty.items()]}
    queue = {"namespaceSelector": {}, "resourceGroups": [{"coveredResources": list(plenty), "flavors": [flavor]}]}
    world.api.apply(f"{KUEUE}/resourceflavors/any", _object("ResourceFlavor", "any", {}))
    world.api.apply(f"{KUEUE}/clusterqueues/{QUEUE}", _object("ClusterQueue", QUEUE, queue))
    local = _object("LocalQueue", QUEUE, {"clusterQueue": QUEUE})
    world.api.apply(f"{KUEUE}/namespaces/default/localqueues/{QUEUE}", local)


@contextmanager
def batch(world: World, gpus: int) -> Iterator[None]:
    """Somebody else's pod, that Kueue has admitted and that runs in the rack."""
    world.api.create(PODS, batch_pod(gpus))
    try:
        world.wait(lambda: world.api.get(f"{PODS}/batch")["spec"].get("nodeName"), "Kueue has admitted their pod", 30)
        yield
    finally:
        world.api.delete(f"{PODS}/batch")
    world.wait(lambda: world.api.get(f"{PODS}/batch") is None, "Kueue lets their pod go", 30)


def batch_pod(gpus: int) -> Object:
    container = {"name": "train", "image": "train", "resources": {"limits": {GPU_RESOURCE: str(gpus)}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "batch", "labels": {"kueue.x-k8s.io/queue-name": QUEUE}},
        "spec": {"nodeSelector": LABELS, "terminationGracePeriodSeconds": 0, "containers": [container]},
    }


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": {"name": name}, "spec": spec}
