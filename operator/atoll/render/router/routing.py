"""What the router is to do, as values: served models, the Services behind them, and where it listens."""

from dataclasses import dataclass, field

from atoll.domain.demand import DemandKey
from atoll.render import names
from atoll.render.engines.stage import HTTP_PORT
from atoll.render.router.pods import RouterPods

_WEIGHT_PER_RATE = 1000
LARGEST_WEIGHT = 1_000_000
"""Times 4,000 pods of one served model this stays below Envoy's limit for the sum of a cluster's weights, 2^32 - 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterEndpoint:
    """One Service behind a served model: the replicas of one strategy.

    Attributes:
        service_host: DNS name, or an address, that resolves to its Ready replicas.
        port: of the engine's HTTP server.
        weight: of each resolved address, see :func:`endpoint_weight`.
        draining: new requests go elsewhere, open streams finish.
    """

    service_host: str
    weight: int
    port: int = HTTP_PORT
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedModel:
    """One demand as the router sees it.

    Attributes:
        key: namespace and name of the demand. It names the Envoy cluster, which is never renamed: renaming under load
            broke 23 of 623 requests (router.md), and a served name can pass to another demand.
        served_names: values of the ``model`` field that reach it, beside ``namespace/name``; empty where another demand
            holds its served name.
        endpoints: Services behind it; none, or all draining, answers 503 with Retry-After.
    """

    key: DemandKey
    served_names: tuple[str, ...] = ()
    endpoints: tuple[RouterEndpoint, ...] = ()

    @property
    def available(self) -> bool:
        """Some endpoint takes new requests."""
        return any(not endpoint.draining for endpoint in self.endpoints)


ROUTER = "atoll-router"
"""Name of the router's Deployment, Service and ConfigMap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """Where the router runs and listens.

    Attributes:
        namespace: of its objects.
        name: of its Deployment, Service and ConfigMap.
        config_directory: folder in which its files lie.
        address: that the listener for requests binds.
        port: of that listener.
        status_address: that the read-only listener (``/ready``, ``/stats``) binds.
        status_port: of that listener.
        admin_port: of Envoy's admin, always on loopback.
        pods: what its workload is to be in this cluster.
    """

    namespace: str = "atoll-system"
    name: str = ROUTER
    config_directory: str = "/etc/atoll/router"
    address: str = "0.0.0.0"  # noqa: S104  # requests come from other pods
    port: int = 8080
    status_address: str = "0.0.0.0"  # noqa: S104  # probes and the operator read it; nothing can be changed through it
    status_port: int = 9901
    admin_port: int = 9902
    pods: RouterPods = field(default_factory=RouterPods)


def endpoint_weight(rate: float) -> int:
    """Weight of one replica that delivers so many requests/s: 1000 per request/s, at least 1.

    STRICT_DNS gives every resolved address the endpoint's full weight, so capacity follows the number of Ready replicas
    by itself, and shares follow what each strategy can do (scenario R14).
    """
    return max(1, min(LARGEST_WEIGHT, round(rate * _WEIGHT_PER_RATE)))


def routed_names(models: tuple[RoutedModel, ...]) -> dict[DemandKey, tuple[str, ...]]:
    """Per demand the names that route to it; no name routes twice.

    ``namespace/name`` always routes to its own demand, even where another demand's served name reads the same; of a
    served name that is given twice the first model keeps it.
    """
    taken: dict[str, DemandKey] = {names.qualified_served_name(model.key): model.key for model in models}
    for model in models:
        for name in model.served_names:
            taken.setdefault(name, model.key)
    return {model.key: tuple(sorted(name for name, holder in taken.items() if holder == model.key)) for model in models}
