"""Which routers there are to ask: for the configuration that they have taken, and for what they have counted."""

from collections.abc import Iterable

from atoll.domain.fleet import Acknowledgement, RouterPolicy
from atoll.domain.snapshot import ObservedPod
from atoll.reconcile.ownership import is_ours
from atoll.render import names
from atoll.render.router.configuration import COMPONENT
from atoll.render.router.routing import RouterSettings


def router_urls(policy: RouterPolicy, pods: Iterable[ObservedPod], settings: RouterSettings) -> list[str]:
    """Base URLs of the read-only listeners of all routers that take requests; none where gateways carry them."""
    if not policy.target.uses_envoy:
        return []
    if policy.acknowledgement is Acknowledgement.ENDPOINTS:
        return list(policy.endpoints)
    return [
        f"http://{pod.address or 'no-address'}:{settings.status_port}"
        for pod in pods
        if is_ours(pod.labels)
        and pod.labels.get(names.COMPONENT) == COMPONENT
        and pod.namespace == settings.namespace
        and pod.ready
        and not pod.deleting
    ]
