"""Engine Deployments: one per (demand, strategy, offering) for one stage, one per (replica, stage) for several."""

from collections.abc import Mapping
from typing import Any

from atoll.domain.demand import Demand
from atoll.domain.fleet import Fleet
from atoll.domain.objects import DEPLOYMENT
from atoll.domain.pool import NodePool, OfferingKey
from atoll.domain.problem import ReplicaSite
from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.domain.strategy import Strategy
from atoll.render import names
from atoll.render.pod import StagePod, pod_template, queue_labels
from atoll.render.standing import Standing, start_budget_seconds

_PROGRESS_MARGIN_SECONDS = 60


def single_stage_deployment(
    *,
    demand: Demand,
    strategy: Strategy,
    offering: OfferingKey,
    pools: Mapping[str, NodePool],
    count: int,
    startup_seconds: float,
    fleet: Fleet,
    standing: Standing | None = None,
) -> dict[str, Any]:
    """All replicas of a one-stage strategy in one offering.

    Only ``spec.replicas`` ever changes under one name; another pod template has another name.

    Args:
        demand: which it serves.
        strategy: of one stage.
        offering: where all its pods run.
        pools: by name; holds the offering's.
        count: replicas, 0 or more.
        startup_seconds: image, weights and engine start as expected, without the node's, seconds.
        fleet: drain and grace times, scheduler.
        standing: what its pods keep from those that run; None for pods that are new.

    Raises InvalidObjectError where it cannot be rendered.
    """
    pool = _pool(pools, offering)
    terms = standing or Standing(start_budget=start_budget_seconds(startup_seconds))

    def template(labels: Mapping[str, str]) -> dict[str, Any]:
        return pod_template(
            StagePod(
                demand=demand,
                strategy=strategy,
                stage=0,
                offerings=(offering,),
                pool=pool,
                standing=terms,
                router=fleet.router,
                labels=labels,
                scheduler=fleet.scheduler,
            )
        )

    identity = names.content_hash(template({}))
    labels = {names.TEMPLATE: identity}
    return _deployment(
        demand=demand,
        name=names.deployment_name(demand.key, identity),
        strategy=strategy,
        template=template(labels),
        labels=labels,
        count=count,
        deadline=start_deadline_seconds(pool.startup_seconds, terms.start_budget),
        rollout={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    )


def replica_deployments(
    *,
    demand: Demand,
    strategy: Strategy,
    site: ReplicaSite,
    replica: int,
    pools: Mapping[str, NodePool],
    startup_seconds: float,
    fleet: Fleet,
    standing: Standing | None = None,
) -> tuple[dict[str, Any], ...]:
    """The Deployments of one replica of several stages, in the order of its stages.

    Args:
        demand: which it serves.
        strategy: of two stages or more.
        site: one offering per stage.
        replica: index, unique among the demand's replicas of this strategy and site.
        pools: by name; holds the offerings'.
        startup_seconds: image, weights and engine start as expected, without the node's, seconds.
        fleet: drain and grace times, scheduler.
        standing: what its pods keep from those that run; None for pods that are new.

    Raises InvalidObjectError where it cannot be rendered.
    """
    stage_pools = [_pool(pools, offering) for offering in site.offerings]
    slowest_node = max(pool.startup_seconds for pool in stage_pools)
    # The stages wait for one another, so each one's start takes as long as the slowest node.
    terms = standing or Standing(start_budget=start_budget_seconds(startup_seconds + slowest_node))

    def template(stage: int, leader: str, labels: Mapping[str, str]) -> dict[str, Any]:
        return pod_template(
            StagePod(
                demand=demand,
                strategy=strategy,
                stage=stage,
                offerings=site.offerings,
                pool=stage_pools[stage],
                standing=terms,
                router=fleet.router,
                leader=leader,
                labels=labels,
                scheduler=fleet.scheduler,
            )
        )

    stages = range(len(strategy.stages))
    identity = names.content_hash([template(stage, "", {}) for stage in stages])
    labels = {names.TEMPLATE: identity, names.REPLICA: str(replica)}
    leader = names.service_host(names.replica_name(demand.key, identity, replica), demand.key.namespace)
    return tuple(
        _deployment(
            demand=demand,
            name=names.stage_name(demand.key, identity, replica, stage),
            strategy=strategy,
            template=template(stage, leader, labels),
            labels={**labels, names.STAGE: str(stage)},
            count=1,
            deadline=start_deadline_seconds(slowest_node, terms.start_budget),
            rollout={"type": "Recreate"},
        )
        for stage in stages
    )


def start_deadline_seconds(node_seconds: float, budget: int) -> int:
    """``progressDeadlineSeconds``: a minute above the time that node and engine may take, in whole minutes."""
    return -(-int(node_seconds) // 60) * 60 + budget + _PROGRESS_MARGIN_SECONDS


def _pool(pools: Mapping[str, NodePool], offering: OfferingKey) -> NodePool:
    pool = pools.get(offering.pool)
    if pool is None:
        raise InvalidObjectError(
            Fault(reason=Reason.NO_POOL_FITS, message=f"GPUNodePool {offering.pool!r} of offering {offering} is gone")
        )
    return pool


def _deployment(
    *,
    demand: Demand,
    name: str,
    strategy: Strategy,
    template: dict[str, Any],
    labels: Mapping[str, str],
    count: int,
    deadline: int,
    rollout: dict[str, Any],
) -> dict[str, Any]:
    pod = template["metadata"]
    own = {key: value for key, value in pod["labels"].items() if key.startswith("atoll.dev/") and key != names.ROUTABLE}
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.name,
        "metadata": names.metadata(
            demand,
            name,
            labels={**own, **queue_labels(demand)},
            annotations={
                names.STRATEGY_SPEC: names.write_strategy(strategy),
                names.OFFERINGS: pod["annotations"][names.OFFERINGS],
            },
        ),
        "spec": {
            "replicas": count,
            "revisionHistoryLimit": 0,
            "progressDeadlineSeconds": deadline,
            "strategy": rollout,
            "selector": {"matchLabels": {names.DEMAND: demand.key.name, **labels}},
            "template": template,
        },
    }
