"""Why a demand falls short, as far as the allocation tells."""

from dataclasses import replace

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey, Placement
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import Allocation, DemandRow, NodeUse, Problem, ReplicaGroup, ReplicaSite
from atoll.domain.reason import Reason
from atoll.domain.strategy import EngineName, Limit, Stage, Strategy, Template
from atoll.report.shortfall import shortfall_reasons

KEY = DemandKey(namespace="default", name="phi")


def template(*kinds: str, tp: int = 1) -> Template:
    strategy = Strategy(
        engine=EngineName.VLLM,
        tp=tp,
        stages=tuple(Stage(gpu_kind=kind, layers=10) for kind in kinds),
        quantisation=Quantisation.BF16,
        max_sequences=8,
        max_context=4096,
    )
    return Template(
        strategy=strategy,
        rate=1.0,
        ttft_seconds=0.1,
        tpot_seconds=0.01,
        sequences=1.0,
        limit=Limit.TTFT,
        sources={},
        expected_error=0.1,
        startup_seconds=60.0,
    )


def supply(kind: str, *, nodes: int, gpus: int = 1, zone: str = "a") -> Supply:
    offering = OfferingKey(pool=kind.lower(), zone=zone, capacity_type=CapacityType.ON_DEMAND)
    return Supply(offering=offering, gpu_kind=kind, gpus=gpus, price_per_hour=1.0, obtainable=nodes, region="r")


def reason(row: DemandRow, supplies: tuple[Supply, ...], used: dict[Supply, int]) -> str:
    replicas = tuple(
        ReplicaGroup(
            demand=KEY,
            strategy=template(item.gpu_kind).strategy,
            site=ReplicaSite(offerings=(item.offering,)),
            count=count,
        )
        for item, count in used.items()
    )
    allocation = Allocation(
        replicas=replicas,
        nodes=tuple(NodeUse(supply=item, nodes=count) for item, count in used.items()),
        shortfall={KEY: 1.0},
        cost_per_hour=0.0,
        bound_per_hour=0.0,
    )
    return shortfall_reasons(Problem(demands=(row,), supplies=supplies), allocation)[KEY]


ROW = DemandRow(key=KEY, rate=10.0, templates=(template("L4"),))


def test_no_nodes_at_all() -> None:
    assert reason(ROW, (supply("L4", nodes=0), supply("H100", nodes=9)), {}) == (
        "no node can be had of any GPU kind that it may and can use (L4): raise maxNodes, or add a pool"
    )


def test_quota_that_is_reached_is_why() -> None:
    allocation = Allocation(
        replicas=(),
        nodes=(),
        shortfall={KEY: 1.0},
        cost_per_hour=0.0,
        bound_per_hour=0.0,
        unmet={KEY: (Reason.QUOTA_REACHED,)},
    )
    asked = Problem(demands=(ROW,), supplies=(supply("L4", nodes=9),))
    assert shortfall_reasons(asked, allocation)[KEY] == (
        "the GPU quota of namespace default is reached: raise it in the Fleet's spec.quotas"
    )


def test_all_nodes_in_use_names_who_uses_them() -> None:
    l4 = supply("L4", nodes=2)
    assert reason(ROW, (l4, supply("H100", nodes=9)), {l4: 2}) == (
        "all 2 nodes that can be had of the GPU kinds that it may and can use (L4) are in use by phi: "
        "raise maxNodes, or add a pool"
    )


def test_nodes_that_placement_forbids_are_not_counted() -> None:
    row = replace(ROW, placement=Placement(regions=frozenset({"elsewhere"})))
    assert "no node can be had" in reason(row, (supply("L4", nodes=5),), {})


def test_nodes_left_that_hold_no_replica() -> None:
    row = replace(ROW, templates=(template("L4", "L4"), template("H100", tp=4)))
    left = (supply("L4", nodes=1), supply("L4", nodes=1, zone="b"), supply("H100", nodes=1, gpus=2))
    assert reason(row, left, {}) == (
        "what is left (1 node of H100, 2 nodes of L4) holds no further replica within one zone and capacity type: "
        "raise maxNodes there"
    )


def test_nodes_left_that_would_do_are_the_search_s_fault() -> None:
    assert "give it a longer deadline" in reason(ROW, (supply("L4", nodes=5),), {})


def test_a_demand_that_is_served_has_no_reason() -> None:
    served = Allocation(replicas=(), nodes=(), shortfall={}, cost_per_hour=0.0, bound_per_hour=0.0)
    assert shortfall_reasons(Problem(demands=(ROW,), supplies=()), served) == {}
