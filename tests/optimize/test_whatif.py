"""Another case than the one that is: what a change takes away, what it costs then, and what it leaves alone."""

from dataclasses import replace

import pytest

from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import ReplicaGroup, ReplicaSite, SolvePolicy
from atoll.optimize.case import Case
from atoll.optimize.whatif import Change, Price, changed
from reconcile.worlds import demand_object, key, seen, strategy

SPOT, ON_DEMAND = CapacityType.SPOT, CapacityType.ON_DEMAND


def supply(pool: str, zone: str, terms: CapacityType, price: float = 2.0, paid: float = 0.0) -> Supply:
    return Supply(
        offering=OfferingKey(pool=pool, zone=zone, capacity_type=terms),
        gpu_kind="L4-24GB",
        gpus=1,
        price_per_hour=price,
        obtainable=5,
        region="r",
        paid_per_hour=paid,
    )


SUPPLIES = (
    supply("a", "z1", SPOT),
    supply("a", "z2", ON_DEMAND),
    supply("b", "z1", ON_DEMAND),
    supply("b", "z1", ON_DEMAND, price=0.0),
    supply("owned", "z1", ON_DEMAND, price=0.0, paid=3.0),
)
CASE = Case(
    demands=tuple(seen(demand_object()).demands.values()),
    supplies=SUPPLIES,
    running=tuple(
        ReplicaGroup(demand=key(), strategy=strategy("small"), site=ReplicaSite(offerings=(item.offering,)), count=2)
        for item in SUPPLIES[:3]
    ),
    policy=SolvePolicy(),
)


@pytest.mark.parametrize(
    ("change", "left", "runs"),
    [
        pytest.param(Change(without_spot=True), [0, 5, 5, 5, 5], ["a/z2", "b/z1"], id="no spot"),
        pytest.param(Change(lost_zones=frozenset({"z1"})), [0, 5, 0, 0, 0], ["a/z2"], id="a zone is lost"),
        pytest.param(Change(lost_pools=frozenset({"a"})), [0, 0, 5, 5, 5], ["b/z1"], id="a pool is gone"),
        pytest.param(Change(), [5, 5, 5, 5, 5], ["a/z1", "a/z2", "b/z1"], id="nothing"),
    ],
)
def test_nodes_that_are_gone_cannot_be_had_and_what_ran_there_is_lost(
    change: Change, left: list[int], runs: list[str]
) -> None:
    found = changed(CASE, change)

    assert [item.obtainable for item in found.supplies] == left
    assert [f"{g.site.offerings[0].pool}/{g.site.offerings[0].zone}" for g in found.running] == runs
    assert [item.offering for item in found.supplies] == [item.offering for item in SUPPLIES]


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (Price(pool="a", per_hour=9.0), [9.0, 9.0, 2.0, 0.0, 0.0]),
        (Price(pool="a", zone="z2", per_hour=9.0), [2.0, 9.0, 2.0, 0.0, 0.0]),
        (Price(pool="a", zone="z1", capacity_type=ON_DEMAND, per_hour=9.0), [2.0, 2.0, 2.0, 0.0, 0.0]),
        (Price(pool="b", per_hour=9.0), [2.0, 2.0, 9.0, 0.0, 0.0]),
    ],
)
def test_another_price_is_that_of_the_offerings_that_it_names(price: Price, expected: list[float]) -> None:
    assert [item.price_per_hour for item in changed(CASE, Change(prices=(price,))).supplies] == expected


def test_of_what_is_paid_for_anyway_another_price_is_paid_anyway() -> None:
    found = changed(CASE, Change(prices=(Price(pool="owned", per_hour=9.0),)))
    assert (found.supplies[-1].price_per_hour, found.supplies[-1].paid_per_hour) == (0.0, 9.0)


def test_rates_and_the_budget_are_replaced_and_the_rest_stays() -> None:
    found = changed(CASE, Change(rates={key(): 99.0}, budget_per_hour=5.0))

    assert [item.rate for item in found.demands] == [99.0]
    assert found.policy == replace(CASE.policy, budget_per_hour=5.0)
    assert replace(found, demands=CASE.demands, policy=CASE.policy) == CASE
