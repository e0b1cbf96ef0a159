"""A case as a problem: what runs on another engine than is asked for is no longer the demand's."""

from dataclasses import replace

from atoll.catalogue.architectures import architecture
from atoll.domain.demand import Demand, DemandKey, Engine
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import ReplicaGroup, ReplicaSite, SolvePolicy
from atoll.domain.strategy import EngineName
from atoll.domain.workload import Lengths, Objectives, Workload
from atoll.optimize.case import Case
from atoll.optimize.decide import pose
from atoll.performance.estimate import ShippedPerformance

OFFERING = OfferingKey(pool="l40s", zone="a", capacity_type=CapacityType.ON_DEMAND)
SUPPLY = Supply(offering=OFFERING, gpu_kind="L40S-48GB", gpus=1, price_per_hour=2.0, obtainable=8, region="r")
PHI = Demand(
    key=DemandKey(namespace="shop", name="phi"),
    served_name="phi",
    architecture=architecture("microsoft/phi-4"),
    rate=4.0,
    workload=Workload(input=Lengths(mean=500.0, cv=0.5), output=Lengths(mean=100.0, cv=0.5)),
    objectives=Objectives(ttft_seconds=2.0, tpot_seconds=0.08),
)


def case(demand: Demand, *groups: ReplicaGroup) -> Case:
    return Case(demands=(demand,), supplies=(SUPPLY,), running=groups, former=groups, policy=SolvePolicy())


def test_replicas_of_another_engine_are_neither_kept_nor_gone_back_to() -> None:
    problem, _ = pose(case(PHI), ShippedPerformance())
    site = ReplicaSite(offerings=(OFFERING,))
    group = ReplicaGroup(demand=PHI.key, strategy=problem.demands[0].templates[0].strategy, site=site, count=2)
    kept, _ = pose(case(PHI, group), ShippedPerformance())
    sglang = replace(PHI, engine=Engine(name=EngineName.SGLANG, image="registry.example/sglang:1"))

    changed, faults = pose(case(sglang, group), ShippedPerformance())

    assert (kept.running, kept.former) == ((group,), (group,))
    assert (changed.running, changed.former, faults) == ((), (), {})
    assert {template.strategy.engine for template in changed.demands[0].templates} == {EngineName.SGLANG}
