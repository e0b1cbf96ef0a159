"""What the router should do: every demand's Services, weighted by what one replica of each strategy delivers."""

from collections import defaultdict

from atoll.domain.demand import DemandKey
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.plan import Plan
from atoll.domain.snapshot import Snapshot
from atoll.domain.strategy import Strategy
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
    for key, served_name in sorted(_served_names(snapshot).items()):
        endpoints = tuple(
            RouterEndpoint(
                service_host=names.service_host(names.service_name(key, strategy), key.namespace),
                weight=endpoint_weight(rate.get((key, identity), 0.0)),
            )
            for identity, strategy in sorted(strategies[key].items())
        )
        models.append(RoutedModel(key=key, served_names=(served_name,) if served_name else (), endpoints=endpoints))
    return tuple(models)


def _served_names(snapshot: Snapshot) -> dict[DemandKey, str]:
    """The served name that each demand of the fleet holds; empty where another demand holds it."""
    found = {key: demand.served_name for key, demand in snapshot.demands.items()}
    taken = set(found.values())
    running = {item.demand for item in snapshot.deployments}
    for ref, raw in sorted(snapshot.objects.items(), key=lambda item: item[0]):
        key = DemandKey(namespace=ref.namespace, name=ref.name)
        if ref.kind != MODEL_DEMAND.name or key in found or key not in running:
            continue
        if raw.get("spec", {}).get("fleet", "default") != snapshot.fleet.name:
            continue
        model = raw["spec"].get("model")
        name = model.get("servedName", "") if isinstance(model, dict) else ""
        found[key] = name if isinstance(name, str) and name not in taken else ""
        taken.add(found[key])
    return found
