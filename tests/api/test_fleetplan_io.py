"""Plans survive being written as FleetPlan objects and read back."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.plans import CHAT, H100, L4, plan, replicas
from atoll.api.fleetplan_io import LARGEST_BYTES, parse_fleet_plan, plan_objects, read_plans
from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.plan import Plan, PlannedDemand, PlannedNodes, PlanPhase
from atoll.domain.pool import OfferingKey
from atoll.domain.reason import InvalidObjectError

NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", fullmatch=True)
RATES = st.floats(0, 1e6)
MONEY = st.floats(0, 1e9)
OFFERINGS = st.builds(OfferingKey, pool=NAMES, zone=NAMES, capacity_type=st.sampled_from(CapacityType))
KEYS = st.builds(DemandKey, namespace=NAMES, name=NAMES)


@st.composite
def demands(draw: st.DrawFn) -> PlannedDemand:
    key = draw(KEYS)
    return PlannedDemand(
        key=key,
        uid=draw(st.text("0123456789abcdef-", max_size=36)),
        rate=draw(RATES),
        shortfall=draw(st.floats(0, 1e3)),
        cost_per_hour=draw(MONEY),
        replicas=tuple(
            replace(replicas(key, draw(st.integers(1, 999)), max_sequences=index), rate=draw(RATES))
            for index in range(draw(st.integers(0, 4)))
        ),
        reason=draw(st.text(max_size=80)),
        unmet=tuple(draw(st.lists(st.sampled_from(["SpotShareUnmet", "MinDomainsUnmet"]), unique=True))),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    cost = draw(MONEY)
    return Plan(
        fleet=draw(NAMES),
        basis=draw(st.text("0123456789abcdef", min_size=1, max_size=64)),
        demands=tuple(draw(st.lists(demands(), max_size=4, unique_by=lambda demand: demand.key))),
        nodes=tuple(
            PlannedNodes(
                offering=key,
                nodes=draw(st.integers(0, 1000)),
                price_per_hour=draw(st.floats(0, 1e4)),
                paid_per_hour=draw(st.floats(0, 1e4)),
            )
            for key in draw(st.lists(OFFERINGS, max_size=4))
        ),
        cost_per_hour=cost,
        previous_cost_per_hour=draw(MONEY),
        bound_per_hour=draw(st.floats(0, cost)),
        conditional=draw(st.booleans()),
        approved=draw(st.booleans()),
        rollback_of=draw(st.sampled_from(["", "gold-0123456789"])),
    )


@settings(max_examples=150, deadline=None)
@given(plans(), st.randoms())
def test_a_plan_survives_a_round_trip(wanted: Plan, order: object) -> None:
    objects = json.loads(json.dumps(plan_objects(wanted)))
    order.shuffle(objects)  # type: ignore[attr-defined]  # hypothesis gives random.Random
    assert parse_fleet_plan(objects) == wanted


def large_plan(of_demands: int, of_groups: int) -> Plan:
    def one(index: int) -> PlannedDemand:
        key = DemandKey(namespace="team-a", name=f"d{index}")
        groups = tuple(replicas(key, max_sequences=group) for group in range(of_groups))
        return replace(plan().demands[0], key=key, replicas=groups, reason="r" * 800)

    return plan(*(one(index) for index in range(of_demands)))


@pytest.mark.parametrize(("of_demands", "of_groups"), [(1, 3000), (1500, 1), (40, 90)])
def test_no_object_is_too_large_and_nothing_is_lost(of_demands: int, of_groups: int) -> None:
    wanted = large_plan(of_demands, of_groups)
    objects = plan_objects(wanted)
    assert len(objects) > 1
    assert max(len(json.dumps(obj)) for obj in objects) <= LARGEST_BYTES
    assert [obj["metadata"]["name"] for obj in objects[1:]] == [
        f"{wanted.name}-{index}" for index in range(1, len(objects))
    ]
    assert parse_fleet_plan(reversed(objects)) == wanted


def test_a_plan_with_a_missing_shard_is_not_whole() -> None:
    objects = plan_objects(large_plan(40, 90))
    with pytest.raises(InvalidObjectError, match="1 of 13 shards are missing, first 3"):
        parse_fleet_plan([*objects[:3], *objects[4:]])


def test_a_plan_whose_content_was_changed_no_longer_fits_its_name() -> None:
    head = plan_objects(plan())[0]
    head["spec"]["demands"][0]["replicas"][0]["count"] += 1
    with pytest.raises(InvalidObjectError, match="it was changed"):
        parse_fleet_plan([head])


def test_the_head_sums_up_for_people() -> None:
    spec = plan_objects(plan())[0]["spec"]
    assert (spec["savingPerHour"], spec["gap"], spec["shortfall"]) == (7.5, 0.04, 0.25)


def test_the_fleet_owns_the_head_and_the_head_its_shards() -> None:
    wanted = replace(large_plan(40, 90), uid="head-uid")
    head, shard, *_ = plan_objects(wanted, fleet_uid="fleet-uid")
    assert head["metadata"]["ownerReferences"][0]["uid"] == "fleet-uid"
    assert shard["metadata"]["ownerReferences"][0] == {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "FleetPlan",
        "name": wanted.name,
        "uid": "head-uid",
    }


def test_what_nobody_declared_owns_nothing() -> None:
    assert "ownerReferences" not in plan_objects(plan())[0]["metadata"]


def test_plans_are_read_oldest_first_and_broken_ones_are_passed_over() -> None:
    def written(wanted: Plan, created: str) -> list[dict[str, object]]:
        objects = plan_objects(wanted)
        objects[0]["metadata"]["creationTimestamp"] = created
        objects[0]["status"] = {"phase": "Moving", "later": "fields"}
        return list(objects)

    new, old = plan(), replace(plan(), rollback_of="")
    broken = written(large_plan(40, 90), "2026-01-01T00:00:00Z")[:-1]
    found = read_plans([*written(new, "2026-03-01T00:00:00Z"), *broken, *written(old, "2026-02-01T00:00:00Z")])
    assert [item.name for item in found] == [old.name, new.name]
    assert {item.phase for item in found} == {PlanPhase.MOVING}


@pytest.mark.parametrize("status", [None, {}, {"phase": "Lost"}, [], "x"])
def test_a_plan_that_nobody_looked_at_is_proposed(status: object) -> None:
    head = plan_objects(plan())[0] | {"status": status}
    assert parse_fleet_plan([head]).phase is PlanPhase.PROPOSED


def test_sites_keep_the_order_of_the_stages() -> None:
    found = parse_fleet_plan(plan_objects(plan())).demands[0]
    assert found.key == CHAT
    assert found.replicas[0].group.site.offerings == (L4, H100)


def test_what_is_not_known_of_an_explanation_is_absent_and_stays_unknown() -> None:
    demand = plan().demands[0]
    unknown = replace(
        demand,
        alternatives=(replace(demand.alternatives[0], wins_below=None),),
        bindings=(replace(demand.bindings[0], saves_per_hour=None),),
    )
    wanted = replace(plan(unknown), worths=(replace(plan().worths[0], most_per_hour=math.inf),))

    (head,) = plan_objects(wanted)

    assert parse_fleet_plan([json.loads(json.dumps(head, allow_nan=False))]) == wanted


def test_no_more_alternatives_and_offerings_are_written_than_the_schema_takes() -> None:
    demand, worth = plan().demands[0], plan().worths[0]
    wanted = replace(plan(replace(demand, alternatives=demand.alternatives * 20)), worths=(worth,) * 99)

    kept = parse_fleet_plan(plan_objects(wanted))

    assert len(kept.demands[0].alternatives) == 8
    assert len(kept.worths) == 16
