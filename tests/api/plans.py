"""A plan with every field set."""

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey
from atoll.domain.explanation import Alternative, Basis, Bind, Binding, NodeWorth, WinningPrice
from atoll.domain.gpu import CapacityType
from atoll.domain.plan import Plan, PlannedDemand, PlannedNodes, PlannedReplicas
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import ReplicaGroup, ReplicaSite
from atoll.domain.startup import StartPhases
from atoll.domain.strategy import EngineName, Phase, Stage, Strategy

L4 = OfferingKey(pool="l4", zone="us-east-2a", capacity_type=CapacityType.SPOT)
H100 = OfferingKey(pool="h100", zone="us-east-2a", capacity_type=CapacityType.SPOT)
CHAT = DemandKey(namespace="team-a", name="chat")

STRATEGY = Strategy(
    engine=EngineName.VLLM,
    tp=2,
    stages=(Stage(gpu_kind="L4-24GB", layers=20), Stage(gpu_kind="H100-80GB", layers=44)),
    quantisation=Quantisation.BF16,
    max_sequences=64,
    max_context=8192,
    phase=Phase.DECODE,
    peer_tp=1,
    kv_form="common",
)


def replicas(demand: DemandKey = CHAT, count: int = 3, max_sequences: int = 64) -> PlannedReplicas:
    strategy = Strategy(
        engine=STRATEGY.engine,
        tp=STRATEGY.tp,
        stages=STRATEGY.stages,
        quantisation=STRATEGY.quantisation,
        max_sequences=max_sequences,
        max_context=STRATEGY.max_context,
        phase=STRATEGY.phase,
        peer_tp=STRATEGY.peer_tp,
        kv_form=STRATEGY.kv_form,
    )
    return PlannedReplicas(
        group=ReplicaGroup(demand=demand, strategy=strategy, site=ReplicaSite(offerings=(L4, H100)), count=count),
        rate=8.25,
        ttft_seconds=1.1,
        tpot_seconds=0.055,
        source="SiliconTable+Roofline",
        expected_error=0.25,
        startup_seconds=180.0,
        phases=StartPhases(image_seconds=100.0, weights_seconds=20.5, engine_seconds=60.0, weights_bytes=41e9),
    )


def plan(*demands: PlannedDemand) -> Plan:
    """A plan for one demand, or for those given."""
    one = PlannedDemand(
        key=CHAT,
        uid="u-1",
        rate=25.0,
        shortfall=0.25,
        cost_per_hour=12.5,
        replicas=(replicas(),),
        reason="cheapest: 0.50 $/h per request/s; next best 2 x L4 at 0.61",
        unmet=("SpotShareUnmet",),
        alternatives=(
            Alternative(
                strategy=STRATEGY,
                replicas=2,
                zone="us-east-2a",
                more_per_hour=1.25,
                least_per_hour=0.75,
                basis=Basis.RESOLVED,
                wins_below=WinningPrice(offering=H100, price_per_hour=5.5, below_per_hour=4.25),
            ),
        ),
        bindings=(Binding(limit=Bind.SPOT_SHARE, saves_per_hour=2.5),),
    )
    return Plan(
        fleet="gold",
        basis="0123456789abcdef",
        demands=demands or (one,),
        nodes=(PlannedNodes(offering=L4, nodes=6, price_per_hour=0.5, paid_per_hour=0.25),),
        cost_per_hour=12.5,
        previous_cost_per_hour=20.0,
        bound_per_hour=12.0,
        conditional=True,
        approved=True,
        baseline_per_hour=18.5,
        baseline_shortfall=0.5,
        rollback_of="gold-abcdef0123",
        worths=(
            NodeWorth(
                offering=L4,
                obtainable=6,
                saves_per_hour=-0.5,
                most_per_hour=1.5,
                basis=Basis.RESOLVED,
                serves=0.125,
            ),
        ),
    )
