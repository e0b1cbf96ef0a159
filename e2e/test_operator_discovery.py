"""A cluster whose nodes nobody declared: pools are made of what Karpenter may make, and give way to declared ones."""

from collections.abc import Iterator

import httpx
import pytest
from e2e.watcher import ServiceWatch
from e2e.world import ATOLL, MANIFESTS, NODES, POOLS, Object, World, cluster

from atoll.api.manifests import load_manifests
from atoll.local.binaries import Binaries
from atoll.local.karpenter import NODE_CLAIMS, NODE_POOLS
from atoll.local.offerings import offerings_of

pytestmark = pytest.mark.timeout(900)


KEEN = {
    "spec": {
        "disruption": {
            "consolidationPolicy": "WhenEmptyOrUnderutilized",
            "consolidateAfter": "1s",
            "budgets": [{"nodes": "1"}],
        },
        "template": {"spec": {"terminationGracePeriod": "30m"}},
    }
}
"""A Karpenter that consolidates whatever it may, and replaces nodes that drift, one at a time."""


@pytest.fixture(scope="module")
def world(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster with the real Karpenter and an operator, and no GPUNodePool."""
    with cluster(binaries, tmp_path_factory.mktemp("discovery"), MANIFESTS / "fleet") as found:
        for offering in offerings_of(load_manifests([MANIFESTS / "fleet"]).pools):
            found.api.merge(f"{NODE_POOLS}/{offering.name}", KEEN)
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
    world.wait(
        lambda: {world.condition(pool).get("status") for pool in world.api.list(POOLS)} == {"True"}, "pools are Ready"
    )
    world.wait(lambda: world.policy()["status"]["discoveredPools"] == len(pools), "the Fleet counts discovered pools")
    world.converge()
    assert world.quiet_window(renewals=3) == []


def test_karpenter_consolidates_nothing_that_serves(world: World) -> None:
    before = {pod["metadata"]["uid"] for pod in world.pods()}
    nodes = {pod["spec"]["nodeName"] for pod in world.pods()}
    world.wait(lambda: nodes <= consolidatable(world), "Karpenter may consolidate every node that serves", 30)
    looks = consolidations(world)

    world.wait(lambda: consolidations(world) > looks, "Karpenter has looked for what to consolidate", 30)

    world.settle("the fleet serves as before")
    assert {pod["metadata"]["uid"] for pod in world.pods()} == before


def test_a_node_that_drifts_is_left_before_karpenter_takes_it(world: World) -> None:
    node = world.pods("phi-4")[0]["spec"]["nodeName"]
    live = world.api.get(f"{NODES}/{node}")
    assert live is not None
    pool = f"{NODE_POOLS}/{live['metadata']['labels']['karpenter.sh/nodepool']}"
    with ServiceWatch(world) as seen:
        world.api.merge(pool, {"spec": {"template": {"metadata": {"annotations": {"example.com/image": "newer"}}}}})
        world.wait(lambda: world.api.get(f"{NODES}/{node}") is None, "Karpenter has taken the node that drifted")
        world.settle("everything is served from other nodes")
    for name, rate in (("phi-4", 4), ("gpt-oss-20b", 6)):
        assert seen.lowest(name) >= rate - 1e-6


def test_discovered_pools_give_way_to_declared_ones(world: World) -> None:
    world.restore()

    world.wait(lambda: not any(map(is_discovered, world.api.list(POOLS))), "discovered pools are gone")
    world.settle("the fleet serves from declared pools")
    world.wait(lambda: world.policy()["status"]["discoveredPools"] == 0, "the Fleet counts no discovered pool")


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


def consolidatable(world: World) -> set[str]:
    """Nodes that nothing but their pods keeps from being consolidated."""
    statuses = [claim.get("status", {}) for claim in world.api.list(NODE_CLAIMS)]
    return {
        status["nodeName"]
        for status in statuses
        if any(c["type"] == "Consolidatable" and c["status"] == "True" for c in status.get("conditions", []))
    }


def consolidations(world: World) -> float:
    """How often Karpenter has looked for a node to consolidate."""
    text = httpx.get(world.plane.karpenter_metrics_url, trust_env=False, timeout=60).text
    name = "karpenter_voluntary_disruption_decision_evaluation_duration_seconds_count"
    looks = [line for line in text.splitlines() if line.startswith(name) and 'consolidation_type="single"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in looks)


def is_discovered(pool: Object) -> bool:
    return "atoll.dev/discovered" in (pool["metadata"].get("labels") or {})
