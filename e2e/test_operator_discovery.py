"""A cluster whose nodes nobody declared: pools are made of what Karpenter may make, and give way to declared ones."""

from collections.abc import Iterator

import pytest
from e2e.world import ATOLL, MANIFESTS, POOLS, Object, World, cluster

from atoll.local.binaries import Binaries

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def world(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster with the real Karpenter and an operator, and no GPUNodePool."""
    with cluster(binaries, tmp_path_factory.mktemp("discovery"), MANIFESTS / "fleet") as found:
        found.fleet.install()
        found.fleet.start_router()
        for obj in found.manifests:
            if obj["kind"] != "GPUNodePool":
                found.apply(obj)
        found.fleet.start_operator()
        yield found


def test_demands_are_served_from_pools_that_were_discovered(world: World) -> None:
    world.settle("the fleet serves from discovered pools")

    pools = world.api.list(POOLS)
    assert {pool["spec"]["instanceType"] for pool in pools} == {"g6e.xlarge", "g6e.12xlarge", "p4d.24xlarge"}
    assert all(is_discovered(pool) for pool in pools)
    assert all("catalogue prices of" in pool["metadata"]["annotations"]["atoll.dev/assumed"] for pool in pools)
    assert {world.condition(pool)["status"] for pool in pools} == {"True"}
    assert world.policy()["status"]["discoveredPools"] == len(pools)
    world.calm()
    assert world.quiet_window(renewals=3) == []


def test_discovered_pools_give_way_to_declared_ones(world: World) -> None:
    world.restore()

    world.wait(lambda: not any(map(is_discovered, world.api.list(POOLS))), "discovered pools are gone")
    world.settle("the fleet serves from declared pools")
    assert world.policy()["status"]["discoveredPools"] == 0


def test_a_discovered_pool_can_be_taken_over(world: World) -> None:
    fleet = world.manifest("Fleet")
    fleet["spec"]["poolDiscovery"] = "Always"
    world.apply(fleet)
    one = world.manifest("GPUNodePool", "l40s-x1")
    world.delete("GPUNodePool", one["metadata"]["name"])
    world.wait(lambda: len(list(filter(is_discovered, world.api.list(POOLS)))) == 2, "its NodePools are discovered")
    found = next(pool for pool in world.api.list(POOLS) if is_discovered(pool))
    path = f"{ATOLL}/gpunodepools/{found['metadata']['name']}"

    offerings = [{**item, "price": 1.25} for item in found["spec"]["offerings"]]
    world.api.merge(path, {"metadata": {"labels": {"atoll.dev/discovered": None}}, "spec": {"offerings": offerings}})

    world.settle("the fleet serves")
    taken = world.api.get(path)
    assert taken is not None
    assert [item["price"] for item in taken["spec"]["offerings"]] == [1.25]


def is_discovered(pool: Object) -> bool:
    return "atoll.dev/discovered" in (pool["metadata"].get("labels") or {})
