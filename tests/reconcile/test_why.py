"""Why a demand gets what it gets, as a plan tells it."""

from dataclasses import replace

import pytest

from atoll.domain.explanation import (
    Alternative,
    Basis,
    Bind,
    Binding,
    DemandExplanation,
    Explanation,
    NodeWorth,
    WinningPrice,
)
from atoll.domain.fleet import Fleet
from atoll.reconcile.adopt import adopt
from atoll.reconcile.why import explain
from reconcile.test_adopt import BIG, PROBLEM, ROW, SMALL, allocation, group, key, offering, seen, strategy
from reconcile.worlds import demand_object

BIGGER = Alternative(
    strategy=strategy("big"),
    replicas=1,
    zone="us-east-2a",
    more_per_hour=1.234567891,
    least_per_hour=0.5,
    basis=Basis.RESOLVED,
    wins_below=WinningPrice(offering=offering("big"), price_per_hour=8.0, below_per_hour=6.766666666),
)
MINE = "1 x L4-24GB tp2 (64 layers, bf16) at 0.100 US$/h for each request/s; next best: "
REPLICA = "1 replica of 1 x H100-80GB tp2 (64 layers, bf16) costs "
WINS = "; wins if a node of big (on-demand) in us-east-2a fell below 6.77 US$/h (now 8.00)"
BY_PRICES = replace(BIGGER, basis=Basis.PRICES, wins_below=None)


@pytest.mark.parametrize(
    ("next_best", "text"),
    [
        (BIGGER, f"{REPLICA}1.23 US$/h more (solved again){WINS}"),
        (replace(BIGGER, wins_below=None), f"{REPLICA}1.23 US$/h more (solved again)"),
        (replace(BIGGER, more_per_hour=-0.4, wins_below=None), f"{REPLICA}0.40 US$/h less (solved again)"),
        (replace(BIGGER, more_per_hour=0.004, wins_below=None), f"{REPLICA}as much (solved again)"),
        (BY_PRICES, f"{REPLICA}at least 0.50 US$/h more (from prices)"),
        (replace(BY_PRICES, least_per_hour=-0.1), f"{REPLICA}about 1.23 US$/h more (estimated from prices)"),
        (
            replace(BY_PRICES, replicas=3),
            "3 replicas of 1 x H100-80GB tp2 (64 layers, bf16) cost at least 0.50 US$/h more (from prices)",
        ),
    ],
)
def test_a_sentence_says_what_the_next_best_would_cost_and_where_that_figure_is_from(
    next_best: Alternative, text: str
) -> None:
    assert explain(ROW, [group("chat", "small", count=3)], (SMALL, BIG), next_best) == MINE + text


def test_a_plan_keeps_the_figures_to_a_millionth_of_a_dollar() -> None:
    world = seen(demand_object())
    told = Explanation(
        demands={
            key("chat"): DemandExplanation(
                alternatives=(BIGGER,),
                bindings=(Binding(limit=Bind.SPOT_SHARE, saves_per_hour=0.123456789), Binding(limit=Bind.AVAILABILITY)),
            )
        },
        nodes=(
            NodeWorth(
                offering=offering("small"),
                obtainable=3,
                saves_per_hour=2.00000049,
                most_per_hour=float("inf"),
                basis=Basis.PRICES,
            ),
        ),
    )

    plan = adopt(
        PROBLEM,
        allocation(group("chat", "small", count=3), small=3),
        demands=world.demands,
        fleet=Fleet(),
        previous_cost_per_hour=0.0,
        explanation=told,
    )

    (demand,) = plan.demands
    assert demand.reason.endswith(WINS)
    assert demand.alternatives[0].more_per_hour == 1.234568
    assert demand.alternatives[0].wins_below == replace(BIGGER.wins_below, below_per_hour=6.766667)
    assert [item.saves_per_hour for item in demand.bindings] == [0.123457, None]
    assert plan.worths[0].saves_per_hour == 2.0


def test_the_name_of_a_plan_does_not_hang_on_how_it_is_explained() -> None:
    world, answer = seen(demand_object()), allocation(group("chat", "small", count=3), small=3)
    told = Explanation(demands={key("chat"): DemandExplanation(alternatives=(BIGGER,))})

    names = {
        adopt(
            PROBLEM, answer, demands=world.demands, fleet=Fleet(), previous_cost_per_hour=0.0, explanation=explanation
        ).name
        for explanation in (None, told)
    }

    assert len(names) == 1
