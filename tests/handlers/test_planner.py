"""The planner asks for a decision, with what it may count on."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from atoll.domain.problem import Allocation, Problem
from atoll.domain.reason import Fault, Reason
from atoll.handlers.metrics import Metrics
from atoll.handlers.planner import Planner
from atoll.optimize.case import Case, Decision
from reconcile.worlds import (
    NOW,
    demand_object,
    deployments,
    fleet_object,
    key,
    node_object,
    plan,
    planned,
    pods_of,
    pool_object,
    replicas,
    seen,
    stored,
    stored_plan,
)

BAD = Fault(reason=Reason.IMPOSSIBLE_OBJECTIVES, message="1 ms cannot be met")
TWO = plan(planned(replicas("small", count=2), rate=20.0), approved=True)
POOL = pool_object("small", max_nodes=2)
RUNS = deployments(TWO, demand_object(), POOL)[0]


async def test_gpus_of_a_demand_that_can_no_longer_be_served_are_not_given_to_others() -> None:
    cases: list[Case] = []

    async def decide(case: Case) -> Decision:
        cases.append(case)
        nothing = Allocation(replicas=(), nodes=(), shortfall={}, cost_per_hour=0.0, bound_per_hour=0.0)
        faults = {demand.key: BAD for demand in case.demands if demand.key == key()}
        return Decision(problem=Problem(demands=(), supplies=case.supplies), allocation=nothing, faults=faults)

    async def write(_: Sequence[Any]) -> tuple[()]:
        return ()

    nodes, pods = [node_object("s0"), node_object("s1")], pods_of(RUNS, "s0", "s1")
    demands = [demand_object(rate=20.0), demand_object("other")]
    snapshot = seen(fleet_object(), POOL, *demands, *nodes, stored(RUNS), *pods, stored_plan(TWO))
    planner = Planner(decide=decide, write=write, metrics=Metrics())
    await planner.look(snapshot, NOW)
    free = [sum(supply.gpus * supply.obtainable for supply in case.supplies) for case in cases]
    assert free == [4, 0]
    assert [[str(demand.key.name) for demand in case.demands] for case in cases] == [["chat", "other"], ["other"]]
    assert planner.planning is not None
    assert planner.planning.faults == {key(): BAD}


async def test_a_solver_that_fails_is_asked_again_after_a_while_also_where_the_clock_was_set_back() -> None:
    asked: list[Case] = []

    async def decide(case: Case) -> Fault:
        asked.append(case)
        return Fault(reason=Reason.SOLVER_TIMEOUT, message="no answer")

    async def write(_: Sequence[Any]) -> tuple[()]:
        return ()

    planner = Planner(decide=decide, write=write, metrics=Metrics())
    looks = []
    for seconds in (0, 10, 29, 31, 40, -3600, -3590, -3569):
        await planner.look(seen(fleet_object(), POOL, demand_object()), NOW + timedelta(seconds=seconds))
        looks.append(len(asked))
    assert looks == [1, 1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize(("mode", "writes"), [("Paused", False), ("Recommend", True)])
async def test_after_a_restart_a_paused_fleet_is_decided_for_and_no_plan_is_written(mode: str, writes: bool) -> None:
    wrote: list[Any] = []

    async def decide(case: Case) -> Decision:
        nothing = Allocation(replicas=(), nodes=(), shortfall={}, cost_per_hour=0.0, bound_per_hour=0.0)
        return Decision(problem=Problem(demands=(), supplies=case.supplies), allocation=nothing, faults={})

    async def write(actions: Sequence[Any]) -> tuple[()]:
        wrote.extend(actions)
        return ()

    snapshot = seen(fleet_object(mode=mode), POOL, demand_object(rate=20.0), node_object("s0"), stored_plan(TWO))
    planner = Planner(decide=decide, write=write, metrics=Metrics())
    assert await planner.look(snapshot, NOW)
    assert planner.planning is not None
    assert planner.planning.decision is not None
    assert bool(wrote) is writes
