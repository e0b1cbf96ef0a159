"""A first answer is there before all templates are looked at: of what runs, where that serves."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.problem import Allocation, Problem
from atoll.optimize.answer import allocation_of
from atoll.optimize.check import check
from atoll.optimize.early import early, of_templates, over_few
from atoll.optimize.search import Found
from atoll.optimize.solve import solve
from optimize.fleets import key, problem, row, running, supply, template

BIG = supply("H100", 8, 8.0, nodes=2)
SMALL = supply("L4", 1, 1.5, nodes=8)
WIDE = template("H100", tp=2, rate=2.0)
NARROW = template("L4", rate=1.0)


def first_told(case: Problem) -> Allocation:
    told: list[Allocation] = []
    solve(case, tell=told.append)
    return told[0]


def test_what_is_lost_is_first_replaced_by_more_of_the_same_templates() -> None:
    case = problem([row("a", 8.0, NARROW, WIDE)], [BIG, SMALL], [running("a", WIDE, BIG, count=3)])

    assert first_told(case).replicas == (running("a", WIDE, BIG, count=4),)


def test_where_the_same_templates_find_no_nodes_others_are_looked_at() -> None:
    few = dataclasses.replace(BIG, obtainable=1)
    case = problem([row("a", 9.0, NARROW, WIDE)], [few, SMALL], [running("a", WIDE, BIG, count=3)])

    answer = first_told(case)

    assert answer.shortfall == {}
    assert {group.strategy for group in answer.replicas} == {WIDE.strategy, NARROW.strategy}


def test_other_demands_keep_what_runs_where_one_falls_short() -> None:
    """All templates of the one that falls short are looked at; the other is not offered its cheaper template."""
    cheap = template("L4", rate=8.0)
    case = problem(
        [row("a", 2.0, NARROW), row("b", 8.0, WIDE, cheap)],
        [BIG, SMALL],
        [running("a", NARROW, SMALL), running("b", WIDE, BIG, count=4)],
    )

    answer = first_told(case)

    assert answer.shortfall == {}
    assert {group.strategy for group in answer.replicas if group.demand == key("b")} == {WIDE.strategy}


def test_a_shortfall_that_has_a_price_is_one_to_be_mended() -> None:
    demand = dataclasses.replace(row("a", 8.0, WIDE), shortfall_price=100.0)
    lost = early(problem([demand], [BIG], [running("a", WIDE, BIG, count=3)]))
    whole = early(problem([demand], [BIG], [running("a", WIDE, BIG, count=4)]))

    assert lost is not None
    assert whole is not None
    assert (lost.is_whole, whole.is_whole) == (False, True)


def test_with_nothing_running_there_is_no_early_answer() -> None:
    assert early(problem([row("a", 2.0, NARROW)], [SMALL])) is None


def test_with_nothing_that_can_stay_there_is_no_early_answer() -> None:
    gone = supply("H100", 8, 8.0, zone="b")

    assert early(problem([row("a", 2.0, NARROW, WIDE)], [SMALL], [running("a", WIDE, gone)])) is None


def test_an_answer_that_does_not_fit_is_not_taken_for_a_plan() -> None:
    case = problem([row("a", 2.0, NARROW)], [SMALL], [running("a", NARROW, SMALL)])
    answer = solve(case)
    fewer = dataclasses.replace(case, supplies=(dataclasses.replace(SMALL, obtainable=1),))

    assert over_few(case, answer) is not None
    assert over_few(fewer, answer) is None


def test_demands_that_are_named_keep_all_of_their_templates() -> None:
    case = problem([row("a", 2.0, NARROW, WIDE), row("b", 2.0, NARROW, WIDE)], [BIG, SMALL])

    narrow = of_templates(case, [running("a", WIDE, BIG), running("b", WIDE, BIG)], {key("b")})

    assert [len(each.templates) for each in narrow.demands] == [1, 2]


@given(
    rates=st.tuples(st.floats(0.5, 20.0), st.floats(0.5, 20.0)),
    left=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    nodes=st.tuples(st.integers(0, 2), st.integers(0, 8)),
    limits=st.fixed_dictionaries({"min_replicas": st.integers(0, 3), "spot_share": st.sampled_from([0.5, 1.0])}),
)
def test_an_early_answer_passes_the_check(
    rates: tuple[float, float], left: tuple[int, int], nodes: tuple[int, int], limits: dict[str, float]
) -> None:
    runs = [running("a", WIDE, BIG, count=left[0]), running("b", NARROW, SMALL, count=left[1])]
    case = problem(
        [row("a", rates[0], WIDE, NARROW, **limits), row("b", rates[1], NARROW, WIDE, **limits)],
        [dataclasses.replace(BIG, obtainable=nodes[0]), dataclasses.replace(SMALL, obtainable=nodes[1])],
        [each for each in runs if each.count],
    )

    soon = early(case)

    if soon is not None:
        assert check(case, allocation_of(soon.sets, Found(plans=[soon.plan]), soon.plan, 1e-4, 0.0)) == ()
