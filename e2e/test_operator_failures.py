"""Whatever ends in the middle of a move, the move ends where it would have ended without that."""

import signal
from collections.abc import Iterator
from itertools import pairwise

import pytest
from e2e.watcher import ServiceWatch
from e2e.world import MANIFESTS, World, serving

from atoll.cluster.lease import LeaseTerms
from atoll.local.binaries import Binaries
from atoll.local.controlplane import Provisioning
from atoll.local.errors import LocalEnvironmentError
from atoll.local.fleet import OPERATOR_PROCESS, LocalFleet

pytestmark = pytest.mark.timeout(900)

_TOLERANCE = 1e-6
_TAKEOVER_SECONDS = 40.0
"""A Lease of 15 s that runs out, a look every 2 s, and a decision."""


@pytest.fixture(scope="module")
def shared(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    state = tmp_path_factory.mktemp("failures")
    with serving(binaries, state, MANIFESTS / "fleet", provisioning=Provisioning.FIXED) as world:
        yield world


@pytest.fixture
def world(shared: World) -> World:
    """The fleet as declared and settled, whatever the test before did."""
    shared.restore()
    shared.settle()
    return shared


@pytest.fixture(scope="module")
def undisturbed(shared: World) -> dict[str, int]:
    """Where the move from 4 to 8 requests/s ends when nothing happens on the way."""
    shared.settle()
    shared.apply(shared.demand_at("phi-4", 8))
    shared.settle()
    return shared.children()


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param([("create", "fleetplans")], id="the plan is written"),
        pytest.param([("create", "deployments")], id="the first Deployment is made"),
        pytest.param([("patch", "pods")], id="the first replica drains"),
        pytest.param([("delete", "deployments")], id="the first Deployment is deleted"),
        pytest.param([("create", "deployments"), ("patch", "pods")], id="C9: and once more on the way"),
    ],
)
def test_c7_an_operator_killed_in_the_middle_of_a_move_ends_it_where_it_would_have_ended(
    undisturbed: dict[str, int], world: World, moment: list[tuple[str, str]]
) -> None:
    before = len(world.writes())
    with ServiceWatch(world) as seen:
        world.apply(world.demand_at("phi-4", 8))
        for verb, resource in moment:
            world.wait(lambda v=verb, r=resource: wrote(world, before, v, r), f"{verb} {resource}")
            world.fleet.kill_operator()
            world.fleet.start_operator()
        world.settle()
    assert world.children() == undisturbed
    assert seen.lowest("phi-4") >= 4 - _TOLERANCE
    assert seen.lowest("gpt-oss-20b") >= 6 - _TOLERANCE


@pytest.mark.parametrize("component", ["kube-apiserver", "etcd"])
def test_an_api_server_that_dies_in_the_middle_of_a_move_only_delays_it(
    undisturbed: dict[str, int], world: World, component: str
) -> None:
    before, operator = len(world.writes()), world.plane.processes.pid("operator")
    with ServiceWatch(world) as seen:
        world.apply(world.demand_at("phi-4", 8))
        world.wait(lambda: wrote(world, before, "create", "deployments"), "the move has begun", 30)
        world.plane.restart(component)
        world.settle()
    assert world.children() == undisturbed
    assert seen.lowest("phi-4") >= 4 - _TOLERANCE
    assert world.plane.processes.pid("operator") == operator, "an outage is no reason to exit"


def test_i7_of_two_operators_the_second_takes_over_from_one_that_hangs_which_then_writes_no_more(
    undisturbed: dict[str, int], world: World
) -> None:
    with LocalFleet(world.plane, environment={"ATOLL_IDENTITY": "e2e-2"}, operator="second") as second:
        second.start_operator()
        log = world.plane.processes.log("second")

        def said(text: str) -> bool:
            return text in log.read_text(encoding="utf-8")

        world.wait(lambda: said("waiting: the Lease is held by e2e-1"), "the second waits", 40)
        before = len(world.writes())
        world.apply(world.demand_at("phi-4", 8))
        world.wait(lambda: wrote(world, before, "create", "deployments"), "the first moves the fleet", 30)
        renewed = world.renewals()
        world.wait(lambda: world.renewals() > renewed, "the first has just renewed its Lease", 30)
        world.plane.kill("operator", signal.SIGSTOP)
        world.wait(lambda: said("leading as e2e-2"), "the second takes over", _TAKEOVER_SECONDS)
        times = world.renewed_at()[renewed:]
        pauses = [(after - before).total_seconds() for before, after in pairwise(times)]
        assert max(pauses) >= LeaseTerms().duration, "not before the Lease has run out"
        world.operator_process = "second"
        world.settle("the second ends the move")
        assert world.children() == undisturbed

        world.calm()
        done = world.writes()
        world.operator_process = OPERATOR_PROCESS
        world.plane.kill("operator", signal.SIGCONT)
        with pytest.raises(LocalEnvironmentError, match="process operator ended with status 1"):
            world.wait(lambda: False, "the first sees that it has lost the Lease", 20)
        world.fleet.start_operator()
        waits = "waiting: the Lease is held by e2e-2"
        world.wait(lambda: world.logged(waits) > 0, "now the first waits", 30)
        assert world.writes() == done
        led = world.logged("leading as e2e-1")
    world.wait(lambda: world.logged("leading as e2e-1") > led, "a released Lease is taken at once", 30)


def wrote(world: World, before: int, verb: str, resource: str) -> bool:
    """Whether the operator has made such a write since there were so many."""
    return any((write.verb, write.resource) == (verb, resource) for write in world.writes()[before:])
