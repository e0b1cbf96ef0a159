"""Scenarios played on small fleets: each is one expression and what came of it."""

from dataclasses import replace

import pytest

from atoll.domain.pool import Provisioning
from atoll.simulate.conditions import Conditions, Rule, Strike
from atoll.simulate.curves import Curve
from atoll.simulate.outcome import plan_changes, planned_moves, served_share
from atoll.simulate.run import Played, Setting, play
from atoll.simulate.scenario import Begin, Seen
from simulate.settings import (
    ENGINE_SECONDS,
    NODE_SECONDS,
    PAIR,
    SMALL,
    SPOT,
    deciding,
    demand,
    key,
    offering,
    pool,
    pools,
    setting,
)

SPOT_OFFERING = offering("small", SPOT)


def run(given: Setting, *, holds: bool = True) -> Played:
    return play(given, deciding(SMALL), name="atoll", holds=holds)


def test_a_settled_fleet_serves_from_the_first_epoch_at_the_price_of_its_nodes() -> None:
    played = run(setting(epochs=5))

    assert [epoch.served[key()] for epoch in played.epochs] == pytest.approx([20.0] * 5)
    # Demand without noise needs no head-room: four nodes on spot at 0.40 US$/h serve 20 requests/s.
    assert [epoch.cost for epoch in played.epochs] == pytest.approx([4 * 0.4 / 60.0] * 5)
    assert played.solves == 1


def test_an_empty_fleet_serves_after_nodes_and_engines_have_started() -> None:
    played = run(setting(begin=Begin.EMPTY, epochs=10))

    start = (NODE_SECONDS + ENGINE_SECONDS) / 60.0
    assert [epoch.number for epoch in played.epochs if epoch.served[key()] == 0.0] == list(range(int(start)))
    assert played.epochs[-1].served[key()] == pytest.approx(20.0)
    assert played.epochs[0].cost == pytest.approx(4 * 0.4 / 60.0)  # paid for from the moment that they are asked for


def test_stages_of_a_replica_answer_once_all_of_them_run() -> None:
    played = play(setting(demand(rate=12.0), begin=Begin.EMPTY, epochs=12), deciding(PAIR), name="atoll")

    assert played.epochs[6].served[key()] == 0.0
    assert played.epochs[8].served[key()] == pytest.approx(12.0)
    assert played.epochs[-1].nodes == 2


@pytest.mark.parametrize("seed", range(5))
def test_r1_steady_demand_with_noise_of_a_twentieth_changes_nothing_in_a_hundred_epochs(seed: int) -> None:
    curve = Curve(times=(0.0,), rates=(23.0,), noise=0.05, seed=str(seed))
    played = run(setting(curves={key(): curve}, epochs=100))

    assert plan_changes(played.epochs) == 0
    assert served_share(played.epochs, [key()]) > 0.998


def test_planning_every_epoch_anew_moves_with_the_noise() -> None:
    """What the test before would be if nothing held demand: it can fail."""
    curve = Curve(times=(0.0,), rates=(23.0,), noise=0.05, seed="0")
    played = run(setting(curves={key(): curve}, epochs=100), holds=False)

    assert plan_changes(played.epochs) >= 3


def test_growth_is_followed_at_once_and_shrinking_after_the_keep_window() -> None:
    curve = Curve(times=(0.0, 600.0, 1800.0), rates=(20.0, 28.0, 10.0))
    played = run(setting(curves={key(): curve}, epochs=60))

    changed = [epoch.number for epoch in played.epochs if epoch.adoptions][1:]
    assert changed[0] == 11  # the epoch that begins once the first higher sample is known
    assert all(number >= 30 + 10 for number in changed[1:])
    assert played.epochs[29].served[key()] == pytest.approx(28.0)
    assert played.epochs[-1].capacity[key()] == pytest.approx(10.0)


def test_an_edit_of_declared_demand_takes_effect_in_its_own_epoch() -> None:
    curve = Curve(times=(0.0, 300.0, 600.0), rates=(20.0, 25.0, 10.0), seen=Seen.DECLARED)
    played = run(setting(curves={key(): curve}, epochs=15))

    assert [epoch.number for epoch in played.epochs if epoch.adoptions] == [0, 5, 10]


def test_lost_nodes_are_replaced_at_their_place_and_nothing_else_moves() -> None:
    strike = Strike(at=300.0, offerings=frozenset({SPOT_OFFERING}), nodes=2, notice_seconds=0.0)
    played = run(setting(conditions=Conditions(pools=pools(), strikes=(strike,)), epochs=20))

    assert played.epochs[5].lost == 2
    assert played.epochs[5].served[key()] == pytest.approx(10.0)
    assert played.epochs[-1].served[key()] == pytest.approx(20.0)
    assert planned_moves(played.epochs) == (0, 0, 0)


def test_nodes_with_a_notice_go_when_it_is_over_and_are_replaced() -> None:
    strike = Strike(at=300.0, offerings=frozenset({SPOT_OFFERING}), nodes=1, notice_seconds=120.0)
    played = run(setting(conditions=Conditions(pools=pools(), strikes=(strike,)), epochs=25))

    assert played.epochs[5].lost == 1
    assert played.epochs[-1].served[key()] == pytest.approx(20.0)
    assert played.epochs[-1].nodes == 4


def test_r2_an_offering_that_gives_nothing_untold_is_masked_and_done_without() -> None:
    gone = Rule(offerings=frozenset({SPOT_OFFERING}), begin=300.0, end=10_000.0, nodes=0, told=False)
    strike = Strike(at=300.0, offerings=frozenset({SPOT_OFFERING}), nodes=None, notice_seconds=0.0)
    conditions = Conditions(pools=pools(), availability=(gone,), strikes=(strike,))
    played = run(setting(conditions=conditions, epochs=60))

    assert played.epochs[10].served[key()] == 0.0
    assert played.epochs[-1].served[key()] == pytest.approx(20.0)
    assert played.epochs[-1].cost == pytest.approx(4 * 1.0 / 60.0, rel=0.01)


def test_a_told_shortage_moves_no_more_replicas_than_have_to() -> None:
    fewer = Rule(offerings=frozenset({SPOT_OFFERING}), begin=300.0, end=1e9, nodes=3)
    played = run(setting(conditions=Conditions(pools=pools(), availability=(fewer,)), epochs=30))

    assert planned_moves(played.epochs) == (1, 1, 1)
    assert min(epoch.served[key()] for epoch in played.epochs) == pytest.approx(20.0)  # new before old


def test_a_price_that_rises_moves_the_fleet_only_if_that_pays() -> None:
    def priced(factor: float) -> Played:
        rule = Rule(offerings=frozenset({SPOT_OFFERING}), begin=300.0, end=1e9, factor=factor)
        return run(setting(conditions=Conditions(pools=pools(), prices=(rule,)), epochs=30))

    assert plan_changes(priced(2.4).epochs) == 0
    assert plan_changes(priced(10.0).epochs) == 1


def test_scarcity_serves_the_higher_priority_first() -> None:
    few = pool("small", "L4-24GB", 1, (offering("small"), 1.0, 5))
    given = setting(
        demand("chat", 20.0, priority=10),
        demand("code", 20.0),
        conditions=Conditions(pools={"small": few}),
        epochs=5,
    )
    played = run(given)

    assert served_share(played.epochs, [key("chat")]) == pytest.approx(1.0)
    assert served_share(played.epochs, [key("code")]) == pytest.approx(0.25)


def test_owned_nodes_are_there_from_the_start_and_cost_nothing() -> None:
    owned = pool("small", "L4-24GB", 1, (offering("small"), 1.0, 6), provisioning=Provisioning.FIXED)
    given = setting(conditions=Conditions(pools={"small": owned}), epochs=3)
    played = run(given)

    assert [epoch.nodes for epoch in played.epochs] == [6, 6, 6]
    assert sum(epoch.cost for epoch in played.epochs) == 0.0
    assert served_share(played.epochs, [key()]) == pytest.approx(1.0)


def test_the_same_scenario_gives_the_same_figures() -> None:
    strike = Strike(at=300.0, offerings=frozenset({SPOT_OFFERING}), nodes=2, notice_seconds=0.0)
    curve = Curve(times=(0.0, 600.0), rates=(20.0, 31.0), noise=0.1, seed="5")
    given = setting(curves={key(): curve}, conditions=Conditions(pools=pools(), strikes=(strike,)), epochs=40)

    assert run(given) == run(given)


def test_progress_is_told_epoch_by_epoch() -> None:
    told: list[int] = []
    play(setting(epochs=3), deciding(SMALL), name="atoll", tell=told.append)

    assert told == [1, 2, 3]


def test_a_fleet_in_mode_recommend_is_played_as_if_every_plan_were_approved() -> None:
    given = setting(epochs=3)
    recommending = replace(given, fleet=replace(given.fleet, mode="Recommend"))

    assert run(recommending).epochs == run(given).epochs
