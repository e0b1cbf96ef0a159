"""The scheduler's configuration: the default profile, and one that fills GPU nodes one after another.

The default profile spreads: eight 1-GPU pods over four 8-GPU nodes leave room for no 8-GPU pod. Engine pods therefore
name `atoll-binpack`, whose only opinion is "the node with the most GPUs in use". Measured on four 8-GPU nodes with
eight 1-GPU and then three 8-GPU pods: default 0 of 3 scheduled, `atoll-binpack` 3 of 3.
"""

from pathlib import Path
from typing import Any

from atoll.domain.fleet import SCHEDULER

BINPACK_SCHEDULER = SCHEDULER
"""`schedulerName` of engine pods."""

_GPU = "nvidia.com/gpu"
_PACKING_WEIGHT = 100
"""Above every other score's weight, so that packing decides."""


def scheduler_configuration(*, kubeconfig: Path, requests_per_second: int) -> dict[str, Any]:
    """The KubeSchedulerConfiguration with both profiles."""
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {
            "kubeconfig": str(kubeconfig),
            "qps": requests_per_second,
            "burst": 2 * requests_per_second,
        },
        "leaderElection": {"leaderElect": False},
        "profiles": [{"schedulerName": "default-scheduler"}, binpack_profile()],
    }


def binpack_profile() -> dict[str, Any]:
    """The profile that scores nodes by their GPUs in use alone."""
    return {
        "schedulerName": BINPACK_SCHEDULER,
        "plugins": {
            "score": {
                "disabled": [
                    {"name": "PodTopologySpread"},
                    {"name": "NodeResourcesBalancedAllocation"},
                    {"name": "NodeResourcesFit"},
                ],
                "enabled": [{"name": "NodeResourcesFit", "weight": _PACKING_WEIGHT}],
            }
        },
        "pluginConfig": [
            {
                "name": "NodeResourcesFit",
                "args": {
                    "scoringStrategy": {
                        "type": "MostAllocated",
                        # GPUs that are claimed are no resource of the node; of cpu, engines ask for the same share.
                        "resources": [{"name": _GPU, "weight": 100}, {"name": "cpu", "weight": 1}],
                    },
                },
            }
        ],
    }
