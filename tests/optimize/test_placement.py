import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atoll.optimize.indexing import sets_of
from atoll.optimize.nodes import nodes_for
from atoll.optimize.placement import packs, place
from atoll.optimize.plan import Plan
from optimize.fleets import problem, row, running, supply, template

WIDTHS = [1, 2, 4, 8]


def seats(widths: list[int], free: tuple[int, ...]) -> bool:
    """Whether pods fit, by trying every seat."""
    if not widths:
        return True
    for node in range(len(free)):
        if free[node] >= widths[0] and free[node] not in free[:node]:
            left = (*free[:node], free[node] - widths[0], *free[node + 1 :])
            if seats(widths[1:], left):
                return True
    return False


@given(
    st.lists(st.sampled_from(WIDTHS), max_size=6).map(lambda widths: sorted(widths, reverse=True)),
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
)
def test_packing_rows_hold_exactly_when_pods_fit(widths: list[int], nodes: list[int]) -> None:
    rows = all(sum(tp // s for tp in widths if tp >= s) <= sum(gpus // s for gpus in nodes) for s in WIDTHS)
    assert packs(widths, nodes) == rows == seats(widths, tuple(nodes))


@given(st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.integers(0, 5)), min_size=1, max_size=3), st.integers(4, 9))
def test_plan_that_satisfies_the_rows_is_placed(wanted: list[tuple[int, int]], gpus: int) -> None:
    rows = [row(f"m{n}", float(count), template("L4", tp=tp)) for n, (tp, count) in enumerate(wanted)]
    sets = sets_of(problem(rows, [supply("L4", gpus, 5.0, nodes=20), supply("L4", 1, 1.0, nodes=9)]))
    counts = np.zeros(len(sets.columns), dtype=np.int64)
    for number, column in enumerate(sets.columns):
        counts[number] = round(1 / column.share)
    nodes = nodes_for(sets, sets.load_of(counts))
    assert nodes is not None
    placed = place(sets, Plan(counts=counts, nodes=nodes, origin="greedy"))
    assert sum(group.count for group in placed.replicas) == counts.sum()


def test_stages_are_listed_in_the_order_of_the_strategy() -> None:
    back = template("H100", "L4", "H100")
    case = problem([row("a", 1.0, back)], [supply("L4", 1, 1.0), supply("H100", 2, 1.0)])
    sets = sets_of(case)
    ones = np.ones(1, dtype=np.int64)
    plan = Plan(counts=ones, nodes=np.array([1, 1]), origin="greedy")
    (group,) = place(sets, plan).replicas
    assert [offering.pool for offering in group.site.offerings] == ["h100-2", "l4-1", "h100-2"]


def test_running_replicas_stay_where_they_are_and_new_ones_take_what_is_left() -> None:
    wide, narrow = template("L4", tp=4), template("L4")
    first, second = supply("L4", 4, 1.0, nodes=1, pool="first"), supply("L4", 4, 1.0, nodes=1, pool="second")
    for order in itertools.permutations([first, second]):
        case = problem([row("a", 4.0, narrow), row("b", 1.0, wide)], order, [running("a", narrow, first, count=4)])
        sets = sets_of(case)
        counts = np.array([4 if column.share < 1 else 1 for column in sets.columns])
        placed = place(sets, Plan(counts=counts, nodes=np.ones(2, dtype=np.int64), origin="program"))
        assert placed.kept == 4
        assert {(g.demand.name, g.site.offerings[0].pool, g.count) for g in placed.replicas} == {
            ("a", "first", 4),
            ("b", "second", 1),
        }
