"""What the router should do: every demand's Services, weighted by what one replica of each strategy delivers."""

from collections import defaultdict

from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND, ObjectLike
from atoll.domain.plan import Plan
from atoll.domain.snapshot import Snapshot
from atoll.domain.strategy import Phase, Strategy
from atoll.reconcile.ownership import fleet_of
from atoll.reconcile.service import rates
from atoll.render import names
from atoll.render.router.routing import RoutedModel, RouterEndpoint, endpoint_weight


def routed_demands(snapshot: Snapshot, plan: Plan | None) -> tuple[RoutedModel, ...]:
    """Every demand that exists, with the strategies that are planned or still run for it.

    A Service stays an endpoint as long as its replicas run: single replicas leave by their routable label, so the
    configuration changes only when a strategy comes or goes. A demand that became invalid keeps its route.
    """
    rate = rates(snapshot)
    strategies: dict[DemandKey, dict[str, Strategy]] = defaultdict(dict)
    for group in plan.groups if plan else ():
        strategies[group.demand][group.strategy.id] = group.strategy
    for item in snapshot.deployments:
        strategies[item.demand].setdefault(item.strategy.id, item.strategy)
    models = []
    for key, served in sorted(_served_names(snapshot).items()):
        endpoints = tuple(
            RouterEndpoint(
                service_host=names.service_host(names.service_name(key, strategy), key.namespace),
                weight=endpoint_weight(rate.get((key, identity), 0.0)),
            )
            for identity, strategy in sorted(strategies[key].items())
            if strategy.phase is not Phase.PREFILL
        )
        models.append(RoutedModel(key=key, served_names=served, endpoints=endpoints))
    return tuple(models)


def _served_names(snapshot: Snapshot) -> dict[DemandKey, tuple[str, ...]]:
    """The names that each demand of the fleet holds, the served name first; none where other demands hold them."""
    found = {
        key: tuple(dict.fromkeys((demand.served_name, *demand.aliases))) for key, demand in snapshot.demands.items()
    }
    taken = {name for held in found.values() for name in held}
    running = {item.demand for item in snapshot.deployments}
    for ref, raw in sorted(snapshot.objects.items(), key=lambda item: item[0]):
        key = DemandKey(namespace=ref.namespace, name=ref.name)
        if ref.kind != MODEL_DEMAND.name or key in found or key not in running:
            continue
        if fleet_of(raw) != snapshot.fleet.name:
            continue
        found[key] = tuple(dict.fromkeys(name for name in _declared(raw) if name not in taken))
        taken.update(found[key])
    return found


def _declared(raw: ObjectLike) -> list[str]:
    """The names that an invalid demand gives, as far as they can be read."""
    model = raw["spec"].get("model")
    if not isinstance(model, dict):
        return []
    aliases = model.get("aliases")
    given = [model.get("servedName"), *(aliases if isinstance(aliases, list) else ())]
    return [name for name in given if isinstance(name, str) and name]
