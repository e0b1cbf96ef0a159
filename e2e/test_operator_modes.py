"""Who moves the fleet: in mode Recommend somebody approves first, in mode Paused nobody moves anything."""

import json
from collections.abc import Iterator

import pytest
from e2e.world import MANIFESTS, Object, World, rows, serving

from atoll.local.binaries import Binaries
from atoll.local.controlplane import Provisioning

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def shared(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    state = tmp_path_factory.mktemp("modes")
    with serving(binaries, state, MANIFESTS / "fleet", provisioning=Provisioning.FIXED) as world:
        yield world


@pytest.fixture
def world(shared: World) -> World:
    """The fleet as declared, in mode Automatic and settled, whatever the test before did."""
    shared.restore()
    shared.settle()
    return shared


def test_r15_in_mode_recommend_nothing_moves_before_somebody_approves(world: World) -> None:
    before = world.children()
    set_mode(world, "Recommend")
    world.apply(world.demand_at("phi-4", 8))
    world.await_reason("phi-4", "AwaitingApproval")
    proposal = proposed(world)
    name = proposal["metadata"]["name"]
    world.wait(lambda: name in world.ready("phi-4").get("message", ""), "it says what to approve", 30)
    assert not proposal["spec"]["approved"]
    spec = proposal["spec"]
    assert spec["savingPerHour"] == pytest.approx(spec["previousCostPerHour"] - spec["costPerHour"])
    assert {row["name"]: row["rate"] for row in rows(proposal)} == {"phi-4": 8, "gpt-oss-20b": 6}
    world.calm()
    assert world.quiet_window(renewals=3) == []
    assert world.children() == before

    approve(world, proposal)
    world.settle("the approved plan is carried out")
    plan = world.plan()
    assert plan is not None
    assert plan["metadata"]["name"] == proposal["metadata"]["name"]
    assert plan["status"]["phase"] == "Completed"
    assert world.demand("phi-4")["status"]["servedRate"] >= 8


def test_r15_approving_what_was_proposed_for_another_world_moves_nothing(world: World) -> None:
    set_mode(world, "Recommend")
    world.apply(world.demand_at("phi-4", 8))
    world.await_reason("phi-4", "AwaitingApproval")
    stale = proposed(world)
    before = world.children()
    world.apply(world.demand_at("phi-4", 14))
    world.wait(lambda: phase(world, stale) == "Superseded", "the proposal is stale", 30)
    world.calm()
    approve(world, stale)
    assert {write.resource for write in world.quiet_window(renewals=3)} <= {"fleetplans/status"}
    assert phase(world, stale) == "Superseded"
    assert world.children() == before
    approve(world, proposed(world))
    world.settle("the fresh one is carried out")
    assert world.demand("phi-4")["status"]["servedRate"] >= 14


def test_a_proposal_that_waits_is_taken_up_by_mode_automatic(world: World) -> None:
    set_mode(world, "Recommend")
    world.apply(world.demand_at("phi-4", 8))
    world.await_reason("phi-4", "AwaitingApproval")
    set_mode(world, "Automatic")
    world.settle()
    assert world.demand("phi-4")["status"]["servedRate"] >= 8
    assert not world.plans("Proposed")


def test_in_mode_paused_nothing_moves_and_then_it_does(world: World) -> None:
    before = world.children()
    set_mode(world, "Paused")
    world.apply(world.demand_at("phi-4", 8))
    assert "Paused" in world.await_reason("phi-4", "Paused")["message"]
    world.wait(lambda: world.condition(world.policy(), "Planned").get("reason") == "Paused", "the Fleet says so", 30)
    led = world.logged("leading as")
    world.fleet.kill_operator()
    world.fleet.start_operator()
    world.wait(lambda: world.logged("leading as") > led, "it leads again", 40)
    world.quiet_window(renewals=4)
    assert world.children() == before
    world.await_reason("phi-4", "Paused")
    set_mode(world, "Automatic")
    world.settle()
    assert world.demand("phi-4")["status"]["servedRate"] >= 8


def set_mode(world: World, mode: str) -> None:
    fleet = world.manifest("Fleet")
    fleet["spec"]["mode"] = mode
    world.apply(fleet)


def approve(world: World, plan: Object) -> None:
    """As the condition's message says."""
    change = json.dumps({"spec": {"approved": True}})
    world.kubectl("patch", "fleetplan", plan["metadata"]["name"], "--type=merge", "-p", change)


def proposed(world: World) -> Object:
    """The one proposal that waits."""

    def found() -> list[Object] | None:
        waiting = world.plans("Proposed")
        return waiting if len(waiting) == 1 else None

    (proposal,) = world.wait(found, "one proposal waits", 30) or ()
    return proposal


def phase(world: World, plan: Object) -> str:
    found = next(each for each in world.plans() if each["metadata"]["name"] == plan["metadata"]["name"])
    return str(found["status"]["phase"])
