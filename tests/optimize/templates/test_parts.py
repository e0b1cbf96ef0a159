"""Pipelines of several GPU kinds: those that their parts can stand in for are left out, and nothing is lost by it."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations_with_replacement, product

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from atoll.domain.strategy import Template
from atoll.domain.workload import Objectives
from atoll.optimize.templates import candidates_for, templates_for
from atoll.optimize.templates.parts import worth_mixing
from atoll.performance.estimate import ShippedPerformance
from optimize.fleets import template
from optimize.templates.bruteforce import NodeType, cheapest
from optimize.templates.sample import WIDTHS, demand
from optimize.templates.test_two_stages_reach_the_joint_optimum import WORKLOAD, every_template, small

KINDS = ("L4-24GB", "A10G-24GB", "L40S-48GB")


def stand_ins(whole: Template, others: Sequence[Template]) -> float:
    """Most requests/s of pipelines of fewer kinds on the pods of one: every multiset of them is tried."""
    small = [one for one in others if len(one.strategy.need) < len(whole.strategy.need) and fits([one], whole)]
    together = (some for count in range(1, 5) for some in combinations_with_replacement(small, count))
    return max((sum(one.rate for one in some) for some in together if fits(some, whole)), default=0.0)


def fits(parts: Sequence[Template], whole: Template) -> bool:
    needed = sum((Counter(part.strategy.need) for part in parts), Counter())
    return all(count <= whole.strategy.need.get(kind, 0) for kind, count in needed.items())


EVERY = sorted({tuple(sorted(kinds)) for depth in range(1, 5) for kinds in product(KINDS, repeat=depth)})


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.0]), min_size=len(EVERY), max_size=len(EVERY)))
@settings(max_examples=25, deadline=None)
def test_left_out_are_those_whose_pods_do_as_much_in_parts(rates: list[float]) -> None:
    every = [template(*kinds, rate=rate) for kinds, rate in zip(EVERY, rates, strict=True) if rate > 0.0]
    kept = worth_mixing(every)
    assert kept == [one for one in every if one.rate > stand_ins(one, every)]


def test_parts_are_any_split_into_pipelines_of_fewer_kinds() -> None:
    one, two = template("L4-24GB", rate=1.0), template("A10G-24GB", "L40S-48GB", rate=2.0)
    short, long = (template("L4-24GB", *more, "A10G-24GB", "L40S-48GB", rate=3.5) for more in ((), ("L4-24GB",)))
    assert worth_mixing([one, two, short, long]) == [one, two, short]
    other = template("L4-24GB", "A10G-24GB", "L40S-48GB", rate=2.5, tp=2)
    assert worth_mixing([one, two, other]) == [one, two, other], "parts are as wide as the whole"


@pytest.mark.parametrize("nodes", [(1, 1, 1), (2, 1, 1), (2, 1, 2)])
def test_three_kinds_serve_what_two_cannot_hold(nodes: tuple[int, int, int]) -> None:
    """Eight layers of Llama 3.1 405B take 51 GB: an L4, an A10G and an L40S hold them only together."""
    objectives = Objectives(ttft_seconds=8.0, tpot_seconds=0.6, percentile=90.0)
    wanted = demand(small("meta-llama/Llama-3.1-405B-Instruct", 8), objectives, WORKLOAD)
    orders = [
        kinds
        for depth in (1, 2, 3)
        for kinds in product(KINDS, repeat=depth)
        if list(kinds) == sorted(kinds, key=KINDS.index)
    ]
    every = every_template(wanted, orders, widths=(1,))
    rate = 0.9 * max(each.rate for each in every if len(each.strategy.need) == 3)
    offered = [
        NodeType(kind=kind, gpus=1, price=price, most=most)
        for kind, price, most in zip(KINDS, (0.8, 1.0, 1.9), nodes, strict=True)
    ]
    found = [
        t
        for t in templates_for(wanted, dict.fromkeys(KINDS, 1), ShippedPerformance()).templates
        if len(t.strategy.stages) <= 3
    ]
    joint = cheapest([(rate, every)], offered, most_replicas=1)
    assert joint < float("inf")
    assert cheapest([(rate, found)], offered, most_replicas=2) == pytest.approx(joint)
    if nodes == (1, 1, 1):
        assert cheapest([(rate, [t for t in every if len(t.strategy.need) < 3])], offered, most_replicas=1) == float(
            "inf"
        )
        (three,) = [t for t in found if len(t.strategy.need) == 3]
        assert three.rate == pytest.approx(
            max(t.rate for t in every if t.strategy.need == three.strategy.need), rel=1e-3
        )


def test_templates_of_three_kinds_stay_few() -> None:
    objectives = Objectives(ttft_seconds=1.6, tpot_seconds=0.1, percentile=95.0)
    wanted = demand(small("Qwen/Qwen3-32B", 64), objectives, WORKLOAD)
    rated = [t for t in candidates_for(wanted, WIDTHS, ShippedPerformance()) if len(t.template.strategy.need) == 3]
    kept = [t for t in templates_for(wanted, WIDTHS, ShippedPerformance()).templates if len(t.strategy.need) == 3]
    assert len(rated) > 50 * len(kept)
    assert {len(t.template.strategy.stages) for t in rated} == {3, 4}
