"""A node that is gone without notice: what a reclaimed spot instance or a broken host looks like to the cluster.

`kubectl delete node` on a Karpenter node is a graceful drain, because finalizers hold Node and NodeClaim until the
pods have left. Here the finalizers go first, so Node and NodeClaim vanish at once and their pods stay behind, bound
to nothing.
"""

from pathlib import Path
from typing import Any

import httpx

from atoll.local.api import Api
from atoll.local.errors import LocalEnvironmentError
from atoll.local.karpenter import NODE_CLAIMS
from atoll.local.kwok import NOT_READY_ANNOTATION

_NODES = "/api/v1/nodes"
_ATTEMPTS = 5


def lose_node(kubeconfig: Path, name: str) -> None:
    """Remove the Node and, where Karpenter made it, its NodeClaim, at once and without a drain."""
    with Api(kubeconfig) as api:
        try:
            node = api.get(f"{_NODES}/{name}")
        except httpx.ConnectError as error:
            raise LocalEnvironmentError(
                f"kubeconfig {kubeconfig}: nothing answers at its server; start it first (`make run`)"
            ) from error
        if node is None:
            names = ", ".join(sorted(each["metadata"]["name"] for each in api.list(_NODES))) or "none"
            raise LocalEnvironmentError(f"node {name!r}: there is none of that name; nodes are: {names}")
        claims = _claims_of(api, name)
        # The node goes first: were the NodeClaim gone first, Karpenter might still see the node and drain it.
        _remove(api, f"{_NODES}/{name}")
        for claim in claims:
            _remove(api, f"{NODE_CLAIMS}/{claim}")


def silence_node(kubeconfig: Path, name: str) -> None:
    """Make a node NotReady for good, as when its kubelet hangs: what runs on it goes on running."""
    with Api(kubeconfig) as api:
        api.merge(f"{_NODES}/{name}", {"metadata": {"annotations": {NOT_READY_ANNOTATION: "true"}}})
        node = api.get(f"{_NODES}/{name}")
        if node is None:
            raise LocalEnvironmentError(f"node {name!r}: it went while it was made NotReady")
        said = {"status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
        conditions = [{**each, **said} if each["type"] == "Ready" else each for each in node["status"]["conditions"]]
        api.merge(f"{_NODES}/{name}/status", {"status": {"conditions": conditions}})


def _claims_of(api: Api, node: str) -> list[str]:
    if api.get("/apis/karpenter.sh/v1") is None:
        return []
    claims: list[dict[str, Any]] = api.list(NODE_CLAIMS)
    return [claim["metadata"]["name"] for claim in claims if claim.get("status", {}).get("nodeName") == node]


def _remove(api: Api, path: str) -> None:
    """Take the finalizers away, delete, and look again.

    In this order Karpenter has nothing to drain for; only if it put its finalizer back in between must it go once more.
    """
    for _ in range(_ATTEMPTS):
        try:
            api.merge(path, {"metadata": {"finalizers": None}})
            api.delete(path, grace_seconds=0)
        except LocalEnvironmentError:
            if api.get(path) is not None:
                raise
        if api.get(path) is None:
            return
    raise LocalEnvironmentError(f"{path}: still there after {_ATTEMPTS} attempts; see its metadata.finalizers")
