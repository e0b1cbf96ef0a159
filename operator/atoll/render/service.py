"""Services: how the router finds replicas, and how the stages of a replica find each other."""

from typing import Any

from atoll.domain.demand import Demand
from atoll.domain.objects import SERVICE, ObjectLike
from atoll.domain.strategy import EngineName, Phase, Strategy
from atoll.render import names
from atoll.render.engines.stage import HTTP_PORT, RENDEZVOUS_PORT


def router_service(demand: Demand, strategy: Strategy) -> dict[str, Any]:
    """Headless Service over the Ready, routable leaders of one strategy: what the router resolves.

    One per (demand, strategy), because all its addresses carry one weight: the rate of one such replica.
    """
    return _headless(
        demand=demand,
        name=names.service_name(demand.key, strategy),
        labels={names.STRATEGY: strategy.id},
        selector={
            names.DEMAND: demand.key.name,
            names.STRATEGY: strategy.id,
            names.STAGE: "0",
            names.ROUTABLE: "true",
        },
        ports={"http": HTTP_PORT},
        not_ready=False,
    )


def prefill_service(demand: Demand, strategy: Strategy, zone: str) -> dict[str, Any]:
    """Service over the Ready prefill replicas of a pair: what the proxies of its decode replicas call.

    For vLLM it has an address of its own, so that each connection goes to another replica. For SGLang it resolves to
    the replicas: both engines have to be told of the same one.
    """
    label = names.pair(strategy, zone)
    service = _headless(
        demand=demand,
        name=names.prefill_service_name(demand.key, label),
        labels={names.PAIR: label},
        selector={
            names.DEMAND: demand.key.name,
            names.PAIR: label,
            names.PHASE: Phase.PREFILL.lower(),
            names.ROUTABLE: "true",
        },
        ports={"http": HTTP_PORT},
        not_ready=False,
    )
    if strategy.engine is not EngineName.SGLANG:
        del service["spec"]["clusterIP"]
    return service


def rendezvous_service(demand: Demand, leader: ObjectLike) -> dict[str, Any]:
    """Headless Service over the leader of one multi-stage replica: the ``--master-addr`` of its followers.

    It resolves before the leader is Ready, since the leader becomes Ready only after its followers have come.

    Args:
        demand: which the replica serves.
        leader: Deployment of stage 0, the first that ``replica_deployments`` returns.
    """
    selector = dict(leader["spec"]["selector"]["matchLabels"])
    labels = {key: selector[key] for key in (names.TEMPLATE, names.REPLICA)}
    return _headless(
        demand=demand,
        name=names.replica_name(demand.key, labels[names.TEMPLATE], int(labels[names.REPLICA])),
        labels=labels,
        selector=selector,
        ports={"rendezvous": RENDEZVOUS_PORT},
        not_ready=True,
    )


def _headless(
    *,
    demand: Demand,
    name: str,
    labels: dict[str, str],
    selector: dict[str, str],
    ports: dict[str, int],
    not_ready: bool,
) -> dict[str, Any]:
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.name,
        "metadata": names.metadata(demand, name, labels=labels),
        "spec": {
            "clusterIP": "None",
            **({"publishNotReadyAddresses": True} if not_ready else {}),
            "selector": selector,
            "ports": [
                {"name": port, "port": number, "targetPort": number, "protocol": "TCP"}
                for port, number in ports.items()
            ],
        },
    }
