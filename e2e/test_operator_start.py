"""Whatever is missing when the operator starts: it says so, waits, and goes on by itself once it is there."""

import time
from collections.abc import Iterator

import pytest
from e2e.world import MANIFESTS, PATIENCE, World, cluster

from atoll.local.binaries import Binaries
from atoll.local.controlplane import Provisioning

pytestmark = pytest.mark.timeout(900)

BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/atoll-operator"


@pytest.fixture(scope="module")
def shared(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster on which nothing of Atoll is installed."""
    state = tmp_path_factory.mktemp("start")
    with cluster(binaries, state, MANIFESTS / "fleet", provisioning=Provisioning.FIXED, role="") as world:
        yield world


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The cluster, with an operator that is about to start."""
    yield shared
    shared.fleet.stop_operator()


def test_an_api_server_that_is_away_is_waited_for(world: World) -> None:
    world.plane.kill("kube-apiserver")
    world.fleet.start_operator()
    says(world, "not watching yet, trying again: cannot reach the API server")
    says(world, "cannot reach the Lease, trying again")
    world.plane.restart("kube-apiserver")
    says(world, "custom resource definitions are not installed")


def test_definitions_that_are_missing_are_named_and_waited_for(world: World) -> None:
    world.fleet.start_operator()
    says(world, "not installed: modeldemands.atoll.dev, gpunodepools.atoll.dev")
    world.fleet.install()
    world.fleet.start_router()
    world.restore()
    world.settle("the fleet serves without further ado")


def test_permissions_that_are_missing_are_named_and_waited_for(world: World) -> None:
    binding = world.api.get(BINDING)
    assert binding is not None
    children = world.children()
    world.api.delete(BINDING)
    led = world.logged("leading as")
    world.fleet.start_operator()
    says(world, "permissions are missing, grant them to the operator")
    says(world, "patch modeldemands.atoll.dev/status")
    says(world, "403 Forbidden")
    binding["metadata"] = {"name": binding["metadata"]["name"]}
    world.api.create(BINDING.rpartition("/")[0], binding)
    world.wait(lambda: world.logged("leading as") > led, "it leads", 40)
    world.apply(world.demand_at("phi-4", 8))
    world.settle("it moves the fleet")
    assert world.children() != children


def says(world: World, text: str, seconds: float = 40) -> None:
    """Wait until the operator says something; the API server may be away."""
    deadline = time.monotonic() + PATIENCE * seconds
    while world.logged(text) == 0:
        assert time.monotonic() < deadline, f"never said: {text}\n{world.operator_log()}"
        time.sleep(0.1)
