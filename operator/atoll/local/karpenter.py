"""The real Karpenter over simulated nodes: what it sells and how to start it.

One NodePool per offering, because a NodePool's `limits` is the only scarcity Karpenter knows. Nodes leave as soon as
they are empty (all of them at once) and never for another reason: moving pods is Atoll's decision.
"""

from pathlib import Path
from typing import Any

from atoll.local.api import Api
from atoll.local.cloud import (
    CAPACITY_TYPE,
    GPU_COUNT,
    GPU_PRODUCT,
    GPU_RESOURCE,
    GPU_TAINT,
    INSTANCE_TYPE,
    REGION,
    ZONE,
    SimulatedOffering,
    requirement,
)
from atoll.local.components import Ports
from atoll.local.processes import Command
from atoll.local.state import StateDirectory

NODE_CLASS = "atoll-simulated"
NODE_POOLS = "/apis/karpenter.sh/v1/nodepools"
NODE_CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
_NODE_CLASSES = "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses"
_CLASS_GROUP, _CLASS_KIND = "karpenter.kwok.sh", "KWOKNodeClass"

CONSOLIDATE_AFTER_SECONDS = 5
"""How long a node must be empty before Karpenter may take it away; its own checks add 15 to 25 s."""


def command(binary: Path, state: StateDirectory, ports: Ports) -> Command:
    """Karpenter with its KWOK provider."""
    return Command(
        name="karpenter",
        arguments=(str(binary), "--disable-leader-election=true"),
        environment={
            "KUBECONFIG": str(state.component_kubeconfig("karpenter")),
            "SYSTEM_NAMESPACE": "kube-system",
            "METRICS_PORT": str(ports.karpenter_metrics),
            "HEALTH_PROBE_PORT": str(ports.karpenter_health),
            "INSTANCE_TYPES_FILE_PATH": str(instance_types_path(state)),
        },
    )


def instance_types_path(state: StateDirectory) -> Path:
    """What the simulated cloud sells, in Karpenter's format."""
    return state.configuration / "instance-types.json"


def node_class(*, node_start_seconds: int) -> dict[str, Any]:
    """The one KWOKNodeClass: how long a node takes from order to registration."""
    return {
        "apiVersion": f"{_CLASS_GROUP}/v1alpha1",
        "kind": _CLASS_KIND,
        "metadata": {"name": NODE_CLASS},
        "spec": {"nodeRegistrationDelay": f"{node_start_seconds}s"},
    }


def node_pool(offering: SimulatedOffering) -> dict[str, Any]:
    """The NodePool that sells exactly this offering."""
    pinned = (INSTANCE_TYPE, ZONE, CAPACITY_TYPE, REGION)
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": offering.name},
        "spec": {
            "limits": {GPU_RESOURCE: str(offering.gpus * offering.obtainable_nodes)},
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": f"{CONSOLIDATE_AFTER_SECONDS}s",
                "budgets": [{"nodes": "100%"}],
            },
            "template": {
                "metadata": {"labels": {key: offering.labels[key] for key in (GPU_PRODUCT, GPU_COUNT)}},
                "spec": {
                    "expireAfter": "Never",
                    "nodeClassRef": {"group": _CLASS_GROUP, "kind": _CLASS_KIND, "name": NODE_CLASS},
                    "requirements": [requirement(key, offering.labels[key]) for key in pinned],
                    "taints": [GPU_TAINT],
                },
            },
        },
    }


def apply_cloud(api: Api, offerings: tuple[SimulatedOffering, ...], *, node_start_seconds: int) -> None:
    """Create or change the NodePools. The instance types themselves are read once, when Karpenter starts."""
    api.apply(f"{_NODE_CLASSES}/{NODE_CLASS}", node_class(node_start_seconds=node_start_seconds))
    for offering in offerings:
        api.apply(f"{NODE_POOLS}/{offering.name}", node_pool(offering))


def set_obtainable_nodes(api: Api, offering: SimulatedOffering, nodes: int) -> None:
    """Make an offering scarce or plentiful while everything runs. Nodes that exist stay."""
    api.merge(f"{NODE_POOLS}/{offering.name}", {"spec": {"limits": {GPU_RESOURCE: str(offering.gpus * nodes)}}})
