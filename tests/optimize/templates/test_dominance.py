"""Pruning drops what no fleet can want and nothing else."""

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import given, settings

from atoll.domain.architecture import Quantisation
from atoll.domain.strategy import EngineName, Limit, Stage, Strategy, Template
from atoll.optimize.templates.dominance import cumulative_need, undominated
from optimize.templates.bruteforce import NodeType, cheapest

KINDS = ("L4-24GB", "H100-80GB")
RANKS = (Quantisation.BF16, Quantisation.FP8)


def template(
    *kinds: str,
    tp: int = 1,
    rate: float = 1.0,
    startup: float = 400.0,
    quantisation: Quantisation = Quantisation.BF16,
    layers: int = 4,
) -> Template:
    return Template(
        strategy=Strategy(
            engine=EngineName.VLLM,
            tp=tp,
            stages=tuple(Stage(gpu_kind=kind, layers=layers) for kind in kinds),
            quantisation=quantisation,
            max_sequences=64,
            max_context=8192,
        ),
        rate=rate,
        ttft_seconds=0.5,
        tpot_seconds=0.05,
        sequences=10.0,
        limit=Limit.TPOT,
        sources={},
        expected_error=0.2,
        startup_seconds=startup,
    )


def some_templates(rates: list[float], startups: list[float]) -> st.SearchStrategy[list[Template]]:
    one = st.builds(
        lambda kinds, tp, rate, startup, quantisation, layers: template(
            *kinds, tp=tp, rate=rate, startup=startup, quantisation=quantisation, layers=layers
        ),
        st.lists(st.sampled_from(KINDS), min_size=1, max_size=3),
        st.sampled_from([1, 2, 4]),
        st.sampled_from(rates),
        st.sampled_from(startups),
        st.sampled_from(RANKS),
        st.integers(1, 3),
    )
    return st.lists(one, min_size=1, max_size=12)


templates = some_templates([0.5, 1.0, 1.5, 2.0, 3.0, 5.0], [390.0, 400.0])
alike = some_templates([1.0, 2.0], [400.0])


@settings(deadline=None, max_examples=200)
@given(
    whole=alike,
    rate=st.sampled_from([0.9, 1.9, 2.9]),
    prices=st.tuples(*[st.floats(0.1, 10.0)] * 5),
)
def test_pruning_costs_nothing(whole: list[Template], rate: float, prices: tuple[float, ...]) -> None:
    sizes = [("L4-24GB", 1), ("L4-24GB", 2), ("L4-24GB", 4), ("H100-80GB", 2), ("H100-80GB", 5)]
    nodes = [
        NodeType(kind=kind, gpus=gpus, price=price, most=2) for (kind, gpus), price in zip(sizes, prices, strict=True)
    ]
    kept = undominated(whole, RANKS)
    # Two copies of a template of rate 1 can stand in for each of two of rate 2.
    assert cheapest([(rate, kept)], nodes, 4) <= cheapest([(rate, whole)], nodes, 2)


@given(whole=templates)
def test_what_goes_has_copies_of_a_better_one_that_stay(whole: list[Template]) -> None:
    kept = undominated(whole, RANKS)
    for gone in (one for one in whole if one not in kept):
        assert any(
            copies * stay.rate >= gone.rate
            and stay.startup_seconds <= gone.startup_seconds
            and RANKS.index(stay.strategy.quantisation) <= RANKS.index(gone.strategy.quantisation)
            and all(
                copies * need <= cumulative_need(gone.strategy).get(key, 0.0)
                for key, need in cumulative_need(stay.strategy).items()
            )
            for stay in kept
            for copies in range(1, 11)
        )


@given(whole=templates)
def test_pruning_twice_changes_nothing(whole: list[Template]) -> None:
    kept = undominated(whole, RANKS)
    assert undominated(kept, RANKS) == kept


def test_need_counts_narrow_rows_in_full() -> None:
    need = cumulative_need(template("L4-24GB", "L4-24GB", "H100-80GB", tp=4).strategy)
    assert need == {
        ("L4-24GB", 1): 8.0,
        ("L4-24GB", 2): 4.0,
        ("L4-24GB", 4): 2.0,
        ("H100-80GB", 1): 4.0,
        ("H100-80GB", 2): 2.0,
        ("H100-80GB", 4): 1.0,
    }


def test_two_narrow_stages_stand_in_for_one_wide_stage_but_not_the_other_way() -> None:
    wide, narrow = template("L4-24GB", tp=2), template("L4-24GB", "L4-24GB", tp=1)
    assert undominated([wide, narrow], RANKS) == (narrow,)
    assert len(undominated([wide, template("L4-24GB", "L4-24GB", tp=1, rate=0.9)], RANKS)) == 2


def test_narrow_copies_stand_in_for_a_wide_one_that_delivers_no_more() -> None:
    wide, narrow = template("L4-24GB", "H100-80GB", tp=4, rate=4.0), template("H100-80GB", tp=1, rate=1.0)
    assert undominated([wide, narrow], RANKS) == (narrow,)
    assert len(undominated([replace(wide, rate=4.1), narrow], RANKS)) == 2
    assert len(undominated([wide, replace(narrow, startup_seconds=410.0)], RANKS)) == 2


def test_a_template_without_rate_stands_in_for_nothing() -> None:
    idle, useful = template("L4-24GB", rate=0.0), template("L4-24GB", tp=2)
    assert undominated([idle, useful], RANKS, kept=frozenset({idle.strategy})) == (idle, useful)


def test_each_column_alone_saves_a_template() -> None:
    best = template("L4-24GB", rate=2.0)
    for other in (
        template("L4-24GB", rate=1.0, startup=390.0),
        template("H100-80GB", rate=1.0),
        template("L4-24GB", tp=2, rate=4.1),
    ):
        assert undominated([best, other], RANKS) == (best, other)
    better_held = template("L4-24GB", rate=1.0)
    assert (
        undominated([template("L4-24GB", rate=2.0, quantisation=Quantisation.FP8), better_held], RANKS)[1]
        == better_held
    )


def test_running_strategies_stay() -> None:
    best, worse = template("L4-24GB", rate=2.0), template("L4-24GB", rate=1.0, layers=2)
    assert undominated([best, worse], RANKS, kept=frozenset({worse.strategy})) == (best, worse)


def test_of_equals_the_first_stays() -> None:
    first, second = template("L4-24GB", layers=1), template("L4-24GB", layers=2)
    assert undominated([first, second], RANKS) == (first,)
