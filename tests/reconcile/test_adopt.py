"""From the solver's answer to a plan."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from atoll.domain.fleet import Fleet, Mode
from atoll.domain.pool import Supply
from atoll.domain.problem import Allocation, DemandRow, NodeUse, Problem, Quota, ReplicaGroup, ReplicaSite, SolvePolicy
from atoll.domain.strategy import Limit, PerformanceSource, Strategy, Template
from atoll.reconcile.adopt import adopt, basis_of, cost_shares
from atoll.reconcile.why import explain
from reconcile.worlds import demand_object, key, offering, seen, strategy

SMALL = Supply(
    offering=offering("small"), gpu_kind="L4-24GB", gpus=2, price_per_hour=1.0, obtainable=9, region="us-east-2"
)
BIG = Supply(
    offering=offering("big"), gpu_kind="H100-80GB", gpus=4, price_per_hour=8.0, obtainable=9, region="us-east-2"
)
SHARED = replace(SMALL, gpus=1, price_per_hour=0.0, obtainable=1)


def template(how: Strategy, rate: float, **other: object) -> Template:
    return replace(
        Template(
            strategy=how,
            rate=rate,
            ttft_seconds=0.5,
            tpot_seconds=0.02,
            sequences=9.0,
            limit=Limit.TPOT,
            sources=dict.fromkeys(how.need, PerformanceSource.ROOFLINE),
            expected_error=0.2,
            startup_seconds=90.0,
        ),
        **other,
    )


def group(demand: str, *pools: str, count: int = 1, tp: int = 2) -> ReplicaGroup:
    site = ReplicaSite(offerings=tuple(offering(pool) for pool in pools))
    return ReplicaGroup(demand=key(demand), strategy=strategy(*pools, tp=tp), site=site, count=count)


ROW = DemandRow(
    key=key("chat"),
    rate=25.0,
    templates=(template(strategy("small"), 10.0), template(strategy("big"), 20.0)),
)
L4, H100 = "1 x L4-24GB tp2 (64 layers, bf16)", "1 x H100-80GB tp2 (64 layers, bf16)"
UNFIT = "cheaper alone, but not on nodes that fit the whole fleet"
PROBLEM = Problem(demands=(ROW,), supplies=(SMALL, BIG))


def allocation(*groups: ReplicaGroup, small: int = 0, big: int = 0, **other: object) -> Allocation:
    nodes = tuple(NodeUse(supply=supply, nodes=n) for supply, n in ((SMALL, small), (BIG, big)) if n)
    price = small * 1.0 + big * 8.0
    fields = {"shortfall": {}, "cost_per_hour": price, "bound_per_hour": price, **other}
    return Allocation(replicas=groups, nodes=nodes, **fields)


@pytest.mark.parametrize(
    ("answer", "shares"),
    [
        (allocation(group("chat", "small", count=3), small=3), {"chat": 3.0}),
        (allocation(group("chat", "big"), group("code", "big"), big=1), {"chat": 4.0, "code": 4.0}),
        (allocation(group("chat", "big", tp=1), group("code", "big", count=1), big=1), {"chat": 8 / 3, "code": 16 / 3}),
        (allocation(group("chat", "big"), big=1), {"chat": 8.0}),  # what is left free on a node is paid for too
        (allocation(group("chat", "small", "big"), group("code", "big"), small=1, big=1), {"chat": 5.0, "code": 4.0}),
        (allocation(), {}),
    ],
)
def test_shares_of_the_cost_add_up_to_the_cost(answer: Allocation, shares: dict[str, float]) -> None:
    found = cost_shares(answer)
    assert {name.name: share for name, share in found.items()} == pytest.approx(shares)
    assert sum(found.values()) == pytest.approx(answer.cost_per_hour)


@pytest.mark.parametrize(
    ("row", "groups", "text"),
    [
        (
            ROW,
            [group("chat", "small", count=3)],
            f"{L4} at 0.100 US$/h for each request/s; next best: {H100} at 0.200",
        ),
        (
            ROW,
            [group("chat", "big", count=2)],
            f"{H100} at 0.200 US$/h for each request/s; {UNFIT}: {L4} at 0.100",
        ),
        (
            replace(ROW, templates=ROW.templates[:1]),
            [group("chat", "small")],
            f"{L4} at 0.100 US$/h for each request/s; no other strategy meets the objectives",
        ),
        (ROW, [group("chat", "small", "big")], "runs already and is kept"),
        (ROW, [], "nothing that can be had serves it within its objectives"),
        (replace(ROW, rate=0.0), [], "no demand"),
    ],
)
def test_the_reason_names_the_choice_and_the_next_best(row: DemandRow, groups: list[ReplicaGroup], text: str) -> None:
    assert explain(row, groups, PROBLEM.supplies) == text


@pytest.mark.parametrize(("mode", "approved"), [(Mode.AUTOMATIC, True), (Mode.RECOMMEND, False), (Mode.PAUSED, False)])
def test_r15_only_an_automatic_fleet_approves_its_own_plans(mode: Mode, approved: bool) -> None:
    world = seen(demand_object())
    answer = allocation(group("chat", "small", count=2), small=2, shortfall={key("chat"): 5.0})
    plan = adopt(PROBLEM, answer, demands=world.demands, fleet=Fleet(mode=mode), previous_cost_per_hour=7.0)
    (one,) = plan.demands
    assert plan.approved is approved
    assert (one.uid, one.rate, one.shortfall, one.cost_per_hour) == ("uid-chat", 25.0, 5.0, 2.0)
    assert (one.replicas[0].rate, one.replicas[0].source) == (10.0, "Roofline")
    assert [(use.offering, use.nodes) for use in plan.nodes] == [(offering("small"), 2)]
    assert (plan.cost_per_hour, plan.previous_cost_per_hour) == (2.0, 7.0)


def test_nodes_of_one_offering_and_price_are_one_line() -> None:
    world = seen(demand_object())
    answer = Allocation(
        replicas=(group("chat", "small", count=2),),
        nodes=(NodeUse(supply=SMALL, nodes=1), NodeUse(supply=SMALL, nodes=2), NodeUse(supply=SHARED, nodes=0)),
        shortfall={},
        cost_per_hour=3.0,
        bound_per_hour=3.0,
    )
    plan = adopt(PROBLEM, answer, demands=world.demands, fleet=Fleet(), previous_cost_per_hour=0.0)
    assert [(use.nodes, use.price_per_hour) for use in plan.nodes] == [(3, 1.0)]


def test_list_cost_counts_what_is_paid_for_anyway() -> None:
    world = seen(demand_object())
    owned = replace(SMALL, price_per_hour=0.0, paid_per_hour=1.0)
    answer = Allocation(
        replicas=(group("chat", "small", count=2),),
        nodes=(NodeUse(supply=owned, nodes=2), NodeUse(supply=replace(owned, gpus=1, paid_per_hour=0.5), nodes=2)),
        shortfall={},
        cost_per_hour=0.0,
        bound_per_hour=0.0,
    )
    plan = adopt(PROBLEM, answer, demands=world.demands, fleet=Fleet(), previous_cost_per_hour=0.0)
    assert [(use.nodes, use.price_per_hour, use.paid_per_hour) for use in plan.nodes] == [(4, 0.0, 0.75)]
    assert (plan.cost_per_hour, plan.list_cost_per_hour, answer.list_cost_per_hour) == (0.0, 3.0, 3.0)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"policy": SolvePolicy(deadline_seconds=60.0)}, True, id="a longer deadline"),
        pytest.param({"demands": (replace(ROW, rate=26.0),)}, False, id="a rate"),
        pytest.param({"demands": (replace(ROW, priority=1),)}, False, id="a priority"),
        pytest.param({"demands": (replace(ROW, templates=ROW.templates[:1]),)}, False, id="templates"),
        pytest.param({"supplies": (SMALL, replace(BIG, price_per_hour=9.0))}, False, id="a price"),
        pytest.param({"supplies": (SMALL, replace(BIG, obtainable=8))}, False, id="a limit"),
        pytest.param({"supplies": (SMALL, replace(BIG, gpu_kind="H200-141GB"))}, False, id="a GPU kind"),
        pytest.param({"supplies": (SMALL, replace(BIG, region="elsewhere"))}, False, id="a region"),
        pytest.param({"supplies": (SMALL, replace(BIG, startup_seconds=9.0))}, False, id="a start-up time"),
        pytest.param({"policy": SolvePolicy(budget_per_hour=9.0)}, False, id="a budget"),
        pytest.param({"policy": SolvePolicy(quotas=(Quota(namespace="team-a", gpus=1),))}, False, id="a quota"),
        pytest.param({"running": (group("chat", "small"),)}, False, id="what runs"),
    ],
)
def test_the_basis_says_what_a_plan_was_solved_for(change: dict[str, object], same: bool) -> None:
    assert (basis_of(replace(PROBLEM, **change)) == basis_of(PROBLEM)) is same


def test_the_order_of_what_runs_is_no_other_basis() -> None:
    groups = (group("chat", "small"), group("chat", "big"))
    assert basis_of(replace(PROBLEM, running=groups)) == basis_of(replace(PROBLEM, running=groups[::-1]))


BASIS_OF_SETS = """
from dataclasses import replace
from atoll.domain.demand import Placement
from atoll.reconcile.adopt import basis_of
from reconcile.test_adopt import PROBLEM, ROW
placement = Placement(regions=frozenset({"north", "south", "east", "west"}))
print(basis_of(replace(PROBLEM, demands=(replace(ROW, placement=placement),))))
"""


def test_a_restart_is_no_other_basis() -> None:
    """Sets of text are walked in another order in every process."""
    found = {
        subprocess.run(  # noqa: S603  # our own interpreter
            [sys.executable, "-c", BASIS_OF_SETS],
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(found) == 1


def test_shared_nodes_cost_nothing_more() -> None:
    answer = Allocation(
        replicas=(group("chat", "small", tp=1),),
        nodes=(NodeUse(supply=SHARED, nodes=1),),
        shortfall={},
        cost_per_hour=0.0,
        bound_per_hour=0.0,
    )
    assert cost_shares(answer) == {key("chat"): 0.0}
