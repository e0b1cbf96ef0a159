"""Plans whose costs are known, for reports of cost."""

from collections.abc import Iterable

from hypothesis import strategies as st

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.plan import Plan, PlannedDemand, PlannedNodes, PlannedReplicas
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import ReplicaGroup, ReplicaSite
from atoll.domain.strategy import EngineName, Stage, Strategy

KINDS = {"l4": "L4-24GB", "h100": "H100-80GB", "a100": "A100-80GB"}
"""GPU kind by pool."""


def offering(pool: str, capacity_type: CapacityType = CapacityType.ON_DEMAND) -> OfferingKey:
    return OfferingKey(pool=pool, zone="us-east-2a", capacity_type=capacity_type)


def key(name: str, namespace: str = "default") -> DemandKey:
    return DemandKey(namespace=namespace, name=name)


def replicas(
    demand: DemandKey, *places: OfferingKey, tp: int = 1, count: int = 1, rate: float = 1.0
) -> PlannedReplicas:
    """One group of replicas with a stage on each place."""
    strategy = Strategy(
        engine=EngineName.VLLM,
        tp=tp,
        stages=tuple(Stage(gpu_kind=KINDS[place.pool], layers=10) for place in places),
        quantisation=Quantisation.BF16,
        max_sequences=64,
        max_context=8192,
    )
    return PlannedReplicas(
        group=ReplicaGroup(demand=demand, strategy=strategy, site=ReplicaSite(offerings=places), count=count),
        rate=rate,
        ttft_seconds=1.0,
        tpot_seconds=0.05,
        source="Roofline",
        expected_error=0.3,
        startup_seconds=180.0,
    )


def demand(own: DemandKey, *groups: PlannedReplicas, rate: float = 1.0, shortfall: float = 0.0) -> PlannedDemand:
    return PlannedDemand(key=own, uid="", rate=rate, shortfall=shortfall, cost_per_hour=0.0, replicas=groups)


def plan(demands: Iterable[PlannedDemand], *nodes: PlannedNodes) -> Plan:
    """A plan that costs what its nodes cost, rounded as the operator rounds it."""
    return Plan(
        fleet="default",
        basis="0123456789",
        demands=tuple(demands),
        nodes=nodes,
        cost_per_hour=round(sum(use.nodes * use.price_per_hour for use in nodes), 6),
        previous_cost_per_hour=0.0,
        bound_per_hour=0.0,
    )


_PRICES = st.floats(min_value=0.0, max_value=100.0, allow_subnormal=False)
_PLACES = st.builds(offering, st.sampled_from(sorted(KINDS)), st.sampled_from(list(CapacityType)))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any plan: pipelines over kinds, shared and unheld nodes, owned ones, demands that get nothing."""
    demands = []
    for index in range(draw(st.integers(0, 4))):
        own = key(f"m{index}", draw(st.sampled_from(["team-a", "team-b"])))
        groups = [
            replicas(
                own,
                *draw(st.lists(_PLACES, min_size=1, max_size=3)),
                tp=draw(st.sampled_from([1, 2, 8])),
                count=draw(st.integers(1, 5)),
                rate=draw(st.floats(0.0, 20.0, allow_subnormal=False)),
            )
            for _ in range(draw(st.integers(0, 3)))
        ]
        rate = draw(st.floats(0.0, 50.0, allow_subnormal=False))
        short = rate * draw(st.sampled_from([0.0, 0.25, 1.0])) if groups else rate
        demands.append(demand(own, *groups, rate=rate, shortfall=short))
    held = {place for item in demands for group in item.replicas for place in group.group.site.offerings}
    nodes = [
        PlannedNodes(
            offering=place, nodes=draw(st.integers(1, 9)), price_per_hour=draw(_PRICES), paid_per_hour=draw(_PRICES)
        )
        for place in sorted(held | set(draw(st.lists(_PLACES, max_size=2))))
    ]
    return plan(demands, *nodes)
