"""An answer is broken in one way at a time; the check must say so."""

import dataclasses
from collections.abc import Callable

import pytest

from atoll.domain.demand import Loss
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import Allocation, NodeUse, Problem, ReplicaSite
from atoll.domain.reason import Reason
from atoll.optimize.check import check
from atoll.optimize.solve import solve
from optimize.fleets import ON_DEMAND, SPOT, key, problem, quota, row, supply, template

SPLIT = template("L4", "H100", rate=2.0)
SINGLE = template("L4", tp=2, rate=1.0)
FLEET = (
    supply("L4", 4, 1.0, nodes=2),
    supply("H100", 2, 3.0, nodes=1),
    supply("H100", 2, 3.0, nodes=1, zone="b"),
    supply("L4", 4, 0.5, nodes=2, capacity_type=SPOT),
)
CASE = problem(
    [row("a", 2.0, SPLIT, capacity_types=frozenset({ON_DEMAND})), row("b", 3.0, SINGLE, spot_share=0.5)], FLEET
)
GOOD = solve(CASE)
Change = Callable[[Allocation], Allocation]


def group(answer: Allocation, name: str, **changes: object) -> Allocation:
    """The answer with one demand's first group changed."""
    first = next(group for group in answer.replicas if group.demand == key(name))
    others = tuple(group for group in answer.replicas if group is not first)
    return dataclasses.replace(answer, replicas=(dataclasses.replace(first, **changes), *others))  # type: ignore[arg-type]


def site(*offerings: OfferingKey) -> ReplicaSite:
    return ReplicaSite(offerings=offerings)


BROKEN: dict[str, tuple[Change, str]] = {
    "replica too many": (lambda a: group(a, "a", count=9), "finds no room"),
    "replica too few": (lambda a: dataclasses.replace(a, replicas=a.replicas[1:]), "served"),
    "group of none": (lambda a: group(a, "a", count=0), "group of 0"),
    "stranger": (lambda a: group(a, "a", demand=key("x")), "not there"),
    "foreign strategy": (lambda a: group(a, "a", strategy=SINGLE.strategy), "none of its templates"),
    "stage without offering": (lambda a: group(a, "a", site=site(FLEET[0].offering)), "1 offerings for 2 stages"),
    "wrong GPU kind": (
        lambda a: group(a, "a", site=site(FLEET[1].offering, FLEET[0].offering)),
        "a stage for L4",
    ),
    "two zones": (lambda a: group(a, "a", site=site(FLEET[0].offering, FLEET[2].offering)), "zones"),
    "capacity type": (lambda a: group(a, "a", site=site(FLEET[3].offering, FLEET[1].offering)), "zones"),
    "unknown offering": (
        lambda a: group(a, "b", site=site(dataclasses.replace(FLEET[0].offering, pool="none"))),
        "cannot be had",
    ),
    "more nodes than there are": (
        lambda a: dataclasses.replace(a, nodes=(*a.nodes, NodeUse(supply=FLEET[1], nodes=9))),
        "nodes of 1",
    ),
    "cost": (lambda a: dataclasses.replace(a, cost_per_hour=a.cost_per_hour / 2), "its nodes cost"),
    "cost that is no number": (lambda a: dataclasses.replace(a, cost_per_hour=float("nan")), "its nodes cost"),
    "bound above cost": (lambda a: dataclasses.replace(a, bound_per_hour=a.cost_per_hour * 2), "bound"),
    "shortfall beyond demand": (lambda a: dataclasses.replace(a, shortfall={key("a"): 5.0}), "shortfall 5"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_answer_is_found_out(name: str) -> None:
    change, message = BROKEN[name]
    assert check(CASE, GOOD) == ()
    assert any(message in fault for fault in check(CASE, change(GOOD)))


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"spot_share": 0.0}, Reason.SPOT_SHARE_UNMET),
        ({"min_replicas": 9}, Reason.MIN_REPLICAS_UNMET),
        ({"min_domains": 2}, Reason.MIN_DOMAINS_UNMET),
        ({"survive": Loss.ZONE, "survive_share": 0.5}, Reason.SURVIVE_UNMET),
        ({"survive": Loss.SPOT_POOL}, Reason.SURVIVE_UNMET),
        ({"survive": Loss.REPLICA, "survive_share": 1.0}, Reason.SURVIVE_UNMET),
    ],
)
def test_limit_broken_silently_is_found_out(limit: dict[str, object], reason: Reason) -> None:
    case = problem([row("a", 2.0, template("L4", tp=4, rate=1.0), **limit)], [FLEET[3]])
    answer = solve(case)
    assert answer.unmet[key("a")] == (reason,)
    assert check(case, answer) == ()
    assert check(case, dataclasses.replace(answer, unmet={})) == (f"shop/a: {reason} is not reported",)


def test_budget_broken_silently_is_found_out() -> None:
    case = problem([row("a", 2.0, template("L4"))], [FLEET[0]], budget_per_hour=0.5)
    answer = solve(case)
    assert check(case, answer) == ()
    assert "over the budget" in check(case, dataclasses.replace(answer, unmet={}))[0]


def test_more_gpus_than_a_namespace_may_use_are_found_out() -> None:
    free = problem([row("a", 2.0, template("L4"))], [FLEET[0]])
    held = dataclasses.replace(free, policy=dataclasses.replace(free.policy, quotas=(quota(1),)))
    assert check(held, solve(free)) == ("namespace shop: 2 GPUs, quota 1",)
    assert check(held, solve(held)) == ()


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        ({"regions": frozenset({"south"})}, "region north is not allowed"),
        ({"gpu_kinds": frozenset({"H100"})}, "GPU kind L4 is not allowed"),
        ({"capacity_types": frozenset({SPOT})}, "capacity type on-demand is not allowed"),
    ],
)
def test_replica_where_its_demand_may_not_run_is_found_out(placement: dict[str, object], message: str) -> None:
    free: Problem = problem([row("a", 1.0, SINGLE)], FLEET[:1])
    bound = problem([row("a", 1.0, SINGLE, **placement)], FLEET[:1])
    assert check(bound, solve(free)) == (f"shop/a: {message}",)
    assert dict(solve(bound).shortfall) == {key("a"): 1.0}
