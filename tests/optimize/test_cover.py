import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.optimize.cover import TOLERANCE, Unserved, at_price, cover, penalised
from atoll.optimize.scarcity import BREAKS, penalty


def by_trying(price: list[float], share: list[float], unserved: Unserved, need: float) -> float:
    """The least cost over every multiset of replicas that could be of use."""
    most = [int(np.ceil(need / each - 1e-12)) for each in share]
    best = float("inf")
    for counts in itertools.product(*(range(top + 1) for top in most)):
        rest = max(0.0, need - sum(n * s for n, s in zip(counts, share, strict=True)))
        short = float(unserved.cost(np.array([rest]))[0]) if rest > 1e-12 else 0.0
        best = min(best, sum(n * p for n, p in zip(counts, price, strict=True)) + short)
    return best


@st.composite
def pricings(draw: st.DrawFn) -> tuple[list[float], list[float], Unserved, float]:
    size = draw(st.integers(0, 4))
    price = [draw(st.sampled_from([0.0, 0.5, 1.0, 1.7, 3.1, 8.0])) for _ in range(size)]
    share = [draw(st.sampled_from([0.11, 0.2, 0.33, 0.5, 0.93, 2.0])) for _ in range(size)]
    unserved = draw(st.sampled_from([at_price(np.inf), at_price(2.0), at_price(50.0), CONVEX]))
    return price, share, unserved, draw(st.sampled_from([0.0, 0.4, 1.0]))


CONVEX = penalised(1.0)


def test_what_is_left_unserved_costs_its_penalty() -> None:
    shares = np.linspace(0.0, 1.0, 41)
    assert penalised(3.0).cost(shares) == pytest.approx([3.0 * penalty(share) for share in shares])


@given(st.floats(0.0, 1.0), st.floats(0.0, 20.0))
def test_the_least_cost_of_a_share_is_that_of_the_best_split_into_served_and_unserved(
    share: float, rate: float
) -> None:
    split = np.union1d(np.linspace(0.0, share, 201), [limit for limit in BREAKS if limit <= share])
    want = min(CONVEX.cost(split) + rate * (share - split))
    assert CONVEX.floor(np.array(share), rate) == pytest.approx(want)


@settings(max_examples=300, deadline=None)
@given(pricings())
def test_cheapest_cover_is_found_and_its_bound_is_not_above_it(
    case: tuple[list[float], list[float], Unserved, float],
) -> None:
    price, share, unserved, need = case
    want = by_trying(price, share, unserved, need)
    found = cover(np.array(price, dtype=float), np.array(share, dtype=float), unserved, need=need)
    assert found.bound <= want + 1e-9
    if np.isfinite(want):
        assert found.cost <= want / (1 - TOLERANCE) + 1e-9
        served = sum(share[number] for number in found.replicas)
        short = max(0.0, need - served)
        paid = sum(price[number] for number in found.replicas) + (
            float(unserved.cost(np.array([short]))[0]) if short > 1e-9 else 0.0
        )
        assert paid == pytest.approx(found.cost)
    else:
        assert found.cost == np.inf


def test_demand_for_hundreds_of_replicas_is_covered_at_once() -> None:
    rng = np.random.default_rng(1)
    share = rng.uniform(0.001, 0.004, 200)
    price = share * rng.uniform(0.9, 1.1, 200) + 1e-4
    found = cover(price, share, at_price(np.inf))
    assert sum(share[list(found.replicas)]) >= 1.0 - 1e-9
    assert found.bound <= found.cost <= found.bound * 1.002


def test_template_that_cannot_be_had_is_not_used() -> None:
    found = cover(np.array([np.inf, 3.0]), np.array([1.0, 0.6]), at_price(np.inf))
    assert (found.replicas, found.cost) == ((1, 1), 6.0)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_the_cost_beyond_a_share_is_that_of_both_less_that_of_the_first(first: float, further: float) -> None:
    further = min(further, 1.0 - first)
    together = float(CONVEX.cost(np.array(first + further)))
    want = together - float(CONVEX.cost(np.array(first)))
    assert float(CONVEX.beyond(first).cost(np.array(further))) == pytest.approx(want, abs=1e-9)
