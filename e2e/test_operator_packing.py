"""What fits on paper fits in the cluster: served models share nodes, and GPUs that others hold are not counted on."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from e2e.kueue import QUEUE, batch, kueue, set_quota
from e2e.rack import GPUS, POOL_PATH, demand_of, given_to, others, pool, rack, templates
from e2e.world import MANIFESTS, POOLS, World, rows, serving

from atoll.local.binaries import Binaries
from atoll.local.cloud import GPU_RESOURCE
from atoll.local.controlplane import Provisioning
from atoll.render import names

pytestmark = pytest.mark.timeout(900)

FOREIGN = "/api/v1/namespaces/default/pods"
GPUS_OF_A_NODE = 8


@pytest.fixture(scope="module")
def shared(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All four nodes are there from the start, so that a scheduler that spreads would spread."""
    state = tmp_path_factory.mktemp("packing")
    with serving(binaries, state, MANIFESTS / "packing", provisioning=Provisioning.FIXED) as world:
        yield world


@pytest.fixture
def world(shared: World) -> World:
    """The fleet as declared and settled, whatever the test before did."""
    shared.restore()
    shared.settle()
    return shared


def test_r23_every_pod_of_a_plan_that_fills_the_nodes_finds_its_place(world: World) -> None:
    held = gpus_by_node(world)
    assert len(held) == 4, "every node that can be had is in use"
    assert sum(held.values()) >= 4 * GPUS_OF_A_NODE - 1, "and nearly full"
    assert max(held.values()) == GPUS_OF_A_NODE
    models = models_by_node(world)
    assert any(len(each) > 1 for each in models.values()), "served models share a node"
    plan = world.plan()
    assert plan is not None
    assert all(row["shortfall"] == 0 for row in rows(plan))


def test_r23_wide_replicas_that_come_last_find_whole_nodes(world: World) -> None:
    world.apply(world.demand_at("llama-3-3-70b", 0))
    world.settle("the wide ones are gone")
    assert len(gpus_by_node(world)) == 1, "the narrow ones share a node"
    world.restore()
    world.settle("the wide ones are back")
    assert sum(gpus_by_node(world).values()) >= 4 * GPUS_OF_A_NODE - 1


def test_gpus_that_others_hold_are_not_counted_on(world: World) -> None:
    world.apply(world.demand_at("llama-3-3-70b", 4))
    world.settle("two nodes suffice")
    world.api.create(FOREIGN, foreign_pod(gpus=GPUS_OF_A_NODE))
    try:
        world.wait(lambda: obtainable(world) == 3, "one node less can be had", 30)
        world.apply(world.demand_at("llama-3-3-70b", 12))
        said = world.await_reason("llama-3-3-70b", "Shortfall")
        assert "of 12 requests/s can be served" in said["message"]
        world.wait(
            lambda: len(gpus_by_node(world)) == 3 and all(pod["spec"].get("nodeName") for pod in world.pods()),
            "the fleet takes what there is, and nothing waits in vain",
        )
        for name in ("phi-4", "gpt-oss-20b"):
            world.wait(lambda n=name: world.ready(n).get("status") == "True", f"{name} is served")
    finally:
        world.api.delete(f"{FOREIGN}/foreign", grace_seconds=0)
    world.settle("its GPUs are free again, and taken")
    assert len(gpus_by_node(world)) == 4


def test_gpus_that_are_claimed_are_given_by_the_real_scheduler_and_not_counted_twice(world: World) -> None:
    with rack(world) as (first, second), others(world, second, gpus=3):
        world.apply(pool(claimed=True))
        world.apply(demand_of(world, "claimed"))
        world.settle("the demand is served")
        (pod,) = world.pods("claimed")
        theirs, ours = given_to(world, "theirs"), given_to(world, pod["metadata"]["name"])
        asked = pod["spec"]["containers"][0]["resources"]

        assert pod["spec"]["nodeName"] in {first, second}
        assert len(ours) == int(pod["metadata"]["annotations"][names.GPUS])
        assert {node for node, _ in ours} == {pod["spec"]["nodeName"]}
        assert not ours & theirs
        assert GPU_RESOURCE not in asked["requests"]
        world.wait(lambda: free_nodes(world) == {2}, "a whole node, and one with the GPU that is left", 30)
        world.calm()
        assert world.quiet_window(renewals=2) == []
        world.delete("ModelDemand", "claimed")
        world.wait(lambda: not templates(world), "what pods claimed is forgotten", 30)


def test_what_kueue_gives_to_others_is_not_free_and_an_engine_waits_for_its_quota(world: World) -> None:
    """Last of this file, with the real Kueue."""
    with rack(world, nodes=1, claimed=False), kueue(world):
        set_quota(world, GPUS)
        with batch(world, GPUS):
            world.apply(pool(claimed=False))
            world.wait(lambda: obtainable(world, "rack") == 0, "what Kueue has given to others is not free", 30)
            set_quota(world, 0)
        world.wait(lambda: obtainable(world, "rack") == 1, "it is free again", 30)
        world.apply(demand_of(world, "queued", queue=QUEUE))
        said = world.await_reason("queued", "SchedulingGated")

        assert f"waits for quota in LocalQueue '{QUEUE}'" in said["message"]
        world.wait(lambda: is_gated(world, "queued"), "its pods are gated by Kueue's webhook", 30)
        assert not any(world.ready(name).get("status") != "True" for name in ("phi-4", "gpt-oss-20b"))
        set_quota(world, GPUS)
        world.settle("Kueue has admitted it, and it is served")
        world.calm()
        world.delete("ModelDemand", "queued")
        world.wait(lambda: not world.pods("queued"), "its pods are gone", 30)


def gpus_by_node(world: World) -> dict[str, int]:
    held: dict[str, int] = defaultdict(int)
    for pod in world.pods():
        if node := pod["spec"].get("nodeName"):
            held[node] += int(pod["spec"]["containers"][0]["resources"]["requests"][GPU_RESOURCE])
    return held


def models_by_node(world: World) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for pod in world.pods():
        found[pod["spec"]["nodeName"]].add(pod["metadata"]["labels"][names.DEMAND])
    return found


def obtainable(world: World, name: str = "a100-x8") -> int:
    found = world.api.get(f"{POOLS}/{name}")
    assert found is not None
    return int(found.get("status", {}).get("obtainableNodes", -1))


def free_nodes(world: World) -> set[int]:
    """Nodes of the rack that can be had, by what each of its offerings says."""
    live = world.api.get(POOL_PATH) or {}
    return {offering["obtainableNodes"] for offering in live.get("status", {}).get("offerings", ())}


def is_gated(world: World, demand: str) -> bool:
    pods = world.pods(demand)
    gate = {"name": "kueue.x-k8s.io/admission"}
    return bool(pods) and all(gate in pod["spec"].get("schedulingGates", ()) for pod in pods)


def foreign_pod(*, gpus: int) -> dict[str, object]:
    """A pod that has nothing to do with Atoll."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "foreign"},
        "spec": {
            "tolerations": [{"key": GPU_RESOURCE, "operator": "Exists"}],
            "containers": [{"name": "train", "image": "train", "resources": {"limits": {GPU_RESOURCE: str(gpus)}}}],
        },
    }
