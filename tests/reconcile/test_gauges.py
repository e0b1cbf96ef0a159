"""Gauges of the fleet: what they show in a situation, and which nodes count as lost."""

from dataclasses import replace
from typing import Any

from atoll.domain.correction import Correction
from atoll.domain.demand import DemandKey
from atoll.domain.plan import Plan
from atoll.domain.planning import Planning
from atoll.domain.reason import Fault, Reason
from atoll.domain.snapshot import Snapshot
from atoll.domain.strategy import EngineName
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.gauges import GAUGES, lost_nodes, nodes_in_service, samples
from atoll.reconcile.problem import without_faulty
from atoll.reconcile.service import service_of
from atoll.reconcile.status.view import View
from atoll.reconcile.transition import next_step
from reconcile.worlds import (
    NOW,
    ROUTER,
    demand_object,
    deployments,
    fleet_object,
    node_object,
    offering,
    plan,
    planned,
    pods_of,
    pool_object,
    replicas,
    seen,
    stored,
    stored_plan,
)

TWO = plan(planned(replicas("small", count=2), rate=20.0, shortfall=2.0), cost_per_hour=8.0, bound_per_hour=6.0)
SINGLE = deployments(TWO, demand_object(), pool_object())[0]
RUNS = [stored(SINGLE), *pods_of(SINGLE, "s0", "s1")]
NODES = [node_object("s0"), node_object("s1")]
CHAT = ("default", "team-a", "chat", "chat", "0")


def world(*objects: Any) -> Snapshot:
    return seen(demand_object(rate=20.0), pool_object(), fleet_object(), *objects)


def look(snapshot: Snapshot, current: Plan | None = TWO, **about: Any) -> View:
    planning = Planning(basis="b", solved_at=NOW, decision=current, **about)
    desired, _ = desired_objects(snapshot, current, ROUTER)
    return View(
        snapshot=snapshot,
        planning=planning,
        plan=current,
        step=next_step(snapshot, desired, NOW),
        service=service_of(snapshot, current, desired),
        now=NOW,
    )


def test_a_demand_tells_what_it_wants_gets_and_costs() -> None:
    found = samples(look(world(*NODES, *RUNS, *stored_plan(TWO))))

    assert found["demand_requests_per_second"] == ((CHAT, 20.0),)
    assert found["shortfall_requests_per_second"] == ((CHAT, 2.0),)
    assert found["replicas_wanted"] == ((CHAT, 2.0),)
    assert found["replicas_ready"] == ((CHAT, 2.0),)
    ((labels, served),) = found["served_requests_per_second"]
    assert labels == CHAT
    assert served > 0.0


def test_the_fleet_tells_its_cost_and_how_near_the_least_it_is() -> None:
    found = samples(look(world(*NODES, *RUNS)))

    assert found["fleet_cost_dollars_per_hour"] == ((("default",), 8.0),)
    assert found["fleet_bound_dollars_per_hour"] == ((("default",), 6.0),)
    assert found["fleet_gap_ratio"] == ((("default",), 0.25),)


def test_before_the_first_plan_a_demand_is_short_of_everything_and_no_cost_is_told() -> None:
    found = samples(look(world(*NODES), None))

    assert found["shortfall_requests_per_second"] == ((CHAT, 20.0),)
    assert found["fleet_cost_dollars_per_hour"] == ()


def test_a_budget_is_told_where_one_is_set() -> None:
    bounded = seen(demand_object(), pool_object(), fleet_object(budgetPerHour=12))

    assert samples(look(world()))["fleet_budget_dollars_per_hour"] == ()
    assert samples(look(bounded))["fleet_budget_dollars_per_hour"] == ((("default",), 12.0),)


def test_every_offering_tells_its_nodes_price_and_mask() -> None:
    found = samples(look(world(*NODES, *RUNS)))
    names = {offering().pool}

    for gauge in ("nodes", "nodes_ready", "nodes_obtainable", "node_price_dollars_per_hour", "offering_masked"):
        assert {labels[1] for labels, _ in found[gauge]} == names, gauge
    assert sum(value for _, value in found["nodes_ready"]) == 2.0


def test_a_failed_decision_and_an_object_at_fault_say_why() -> None:
    fault = Fault(reason=Reason.SOLVER_TIMEOUT, message="no answer")
    bad = demand_object()
    bad["spec"]["placement"] = {"gpuKinds": ["T4-16GB"]}
    snapshot = seen(bad, pool_object(), fleet_object())
    ref = next(iter(snapshot.objects))
    snapshot = replace(snapshot, faults={ref: (Fault(reason=Reason.NO_POOL_FITS, message="none"),)})
    found = samples(look(snapshot, fleet_fault=fault))

    assert found["decision_failed"] == ((("default", "SolverTimeout"), 1.0),)
    assert found["object_fault"] == ((("default", ref.kind, ref.namespace, ref.name, "NoPoolFits"), 1.0),)


def test_what_engines_reported_of_a_demand_that_is_at_fault_now_is_in_nobodys_way() -> None:
    known = Correction(gpu_kind="H100-80GB", engine=EngineName.VLLM, observed=1.1, until=NOW)
    key = DemandKey(namespace="team-a", name="chat")
    found = replace(world(*NODES, *RUNS, *stored_plan(TWO)), corrections={key: (known,)})

    assert samples(look(found))["observed_correction"] == (((*CHAT, "H100-80GB"), 1.1),)
    assert (
        samples(look(without_faulty(found, {key: Fault(reason=Reason.NO_POOL_FITS, message="")})))[
            "observed_correction"
        ]
        == ()
    )


def test_every_gauge_is_sampled() -> None:
    assert set(samples(look(world()))) == {gauge.name for gauge in GAUGES}


def test_a_node_that_vanishes_under_an_engine_is_lost_once() -> None:
    before, after = world(*NODES, *RUNS), world(NODES[0], *RUNS)

    assert lost_nodes(nodes_in_service(before), after) == {offering(): 1}
    assert not lost_nodes(nodes_in_service(after), after)


def test_a_node_that_nothing_of_ours_ran_on_is_not_lost() -> None:
    assert not lost_nodes(nodes_in_service(world(*NODES)), world(NODES[0]))


def test_a_node_from_which_replicas_were_moved_is_not_lost() -> None:
    leaving = [stored(SINGLE), *pods_of(SINGLE, "s0", "s1", deleting=True)]

    assert not lost_nodes(nodes_in_service(world(*NODES, *leaving)), world(NODES[0]))
