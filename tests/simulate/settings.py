"""Small fleets over time: typed settings without files, and templates that need no search."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from atoll.domain.architecture import Architecture
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.fleet import Fleet, RouterPolicy
from atoll.domain.gpu import CapacityType, GpuConfig
from atoll.domain.pool import NodePool, NodeResources, Offering, OfferingKey, PriceSource, Provisioning
from atoll.domain.problem import Problem, SolvePolicy
from atoll.domain.strategy import Template
from atoll.domain.workload import Lengths, Objectives, Workload
from atoll.optimize.case import Case, Decision
from atoll.optimize.solve import solve
from atoll.reconcile.problem import build_rows
from atoll.simulate.conditions import Conditions
from atoll.simulate.curves import Curve
from atoll.simulate.operator import Decide
from atoll.simulate.run import Setting
from optimize.fleets import template

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
ON_DEMAND, SPOT = CapacityType.ON_DEMAND, CapacityType.SPOT

NODE_SECONDS = 300.0
ENGINE_SECONDS = 120.0

SMALL = template("L4-24GB", rate=5.0, startup=ENGINE_SECONDS)
BIG = template("H100-80GB", tp=2, rate=30.0, startup=ENGINE_SECONDS)
PAIR = template("L4-24GB", "L4-24GB", rate=12.0, startup=ENGINE_SECONDS)


def key(name: str = "chat") -> DemandKey:
    return DemandKey(namespace="default", name=name)


def demand(name: str = "chat", rate: float = 20.0, priority: int = 0) -> Demand:
    architecture = Architecture(
        name="microsoft/phi-4", layers=32, hidden=64, heads=8, kv_heads=8, head_dim=8, ffn=64, vocabulary=100
    )
    return Demand(
        key=key(name),
        served_name=name,
        architecture=architecture,
        weights="hf://microsoft/phi-4",
        rate=rate,
        priority=priority,
        workload=Workload(input=Lengths(mean=10.0), output=Lengths(mean=10.0)),
        objectives=Objectives(ttft_seconds=1.0, tpot_seconds=0.1),
    )


def offering(pool: str, terms: CapacityType = ON_DEMAND, zone: str = "a") -> OfferingKey:
    return OfferingKey(pool=pool, zone=zone, capacity_type=terms)


def pool(
    name: str,
    kind: str,
    gpus: int,
    *prices: tuple[OfferingKey, float, int],
    provisioning: Provisioning = Provisioning.AUTOSCALER,
) -> NodePool:
    """A pool with offerings of a price and a number of nodes."""
    return NodePool(
        name=name,
        config=GpuConfig(kind=kind, count=gpus),
        region="north",
        node_selector={"pool": name},
        offerings=tuple(
            Offering(key=where, price_per_hour=price, price_source=PriceSource.FIXED, max_nodes=nodes)
            for where, price, nodes in prices
        ),
        resources=NodeResources(cpu_millis=64_000, memory_mib=512_000, ephemeral_mib=512_000),
        startup_seconds=NODE_SECONDS,
        provisioning=provisioning,
    )


def pools() -> dict[str, NodePool]:
    """Small nodes on demand and on spot, in two zones."""
    small = pool(
        "small",
        "L4-24GB",
        1,
        (offering("small"), 1.0, 20),
        (offering("small", zone="b"), 1.1, 20),
        (offering("small", SPOT), 0.4, 6),
    )
    return {"small": small}


def setting(
    *demands: Demand,
    curves: Mapping[DemandKey, Curve] | None = None,
    conditions: Conditions | None = None,
    epochs: int = 30,
    **more: Any,
) -> Setting:
    wanted = demands or (demand(),)
    steady = {item.key: Curve(times=(0.0,), rates=(item.rate,), seed=f"1/{item.key}") for item in wanted}
    fleet = Fleet(
        solve=SolvePolicy(work_budget=100), router=RouterPolicy(drain_seconds=15.0), keep_window_seconds=600.0
    )
    return Setting(
        fleet=more.pop("fleet", fleet),
        demands={item.key: item for item in wanted},
        curves=steady | dict(curves or {}),
        conditions=conditions or Conditions(pools=pools()),
        start=START,
        epochs=epochs,
        epoch_seconds=60.0,
        **more,
    )


def deciding(*templates: Template) -> Decide:
    """Stage two over fixed templates."""

    def decide(case: Case) -> Decision:
        problem = posed(case, *templates)
        return Decision(problem=problem, allocation=solve(problem), faults={})

    return decide


def posed(case: Case, *templates: Template) -> Problem:
    return Problem(
        demands=build_rows(case.demands, {item.key: templates or (SMALL,) for item in case.demands}),
        supplies=case.supplies,
        running=case.running,
        former=case.former,
        policy=case.policy,
    )
