"""ResourceClaimTemplates: how engine pods ask for GPUs where a pool's are given by Dynamic Resource Allocation."""

from typing import Any

from atoll.domain.demand import Demand
from atoll.domain.objects import RESOURCE_CLAIM_TEMPLATE
from atoll.render import names

CLAIM = "gpus"
"""Name of the claim within its pod."""


def claim_template(demand: Demand, device_class: str, gpus: int) -> dict[str, Any]:
    """What each pod with so many GPUs of a DeviceClass claims.

    A claim template never changes: another DeviceClass or number has another name. Claims made from it carry the
    demand's labels, by which, and by the pod that owns them, they are known as ours even while it goes.
    """
    return {
        "apiVersion": RESOURCE_CLAIM_TEMPLATE.api_version,
        "kind": RESOURCE_CLAIM_TEMPLATE.name,
        "metadata": names.metadata(demand, claim_template_name(demand, device_class, gpus)),
        "spec": {
            "metadata": {"labels": names.demand_labels(demand.key)},
            "spec": {
                "devices": {
                    "requests": [
                        {
                            "name": "gpu",
                            "exactly": {
                                "deviceClassName": device_class,
                                "allocationMode": "ExactCount",
                                "count": gpus,
                            },
                        }
                    ]
                }
            },
        },
    }


def claim_template_name(demand: Demand, device_class: str, gpus: int) -> str:
    """Name of :func:`claim_template`."""
    return f"{demand.key.name}-gpus-{names.content_hash([device_class, gpus])}"
