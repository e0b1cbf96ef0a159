"""Every change of the world leads to a new plan and ends served, and on the way new comes before old (R3)."""

from collections.abc import Iterator

import pytest
from e2e.watcher import ServiceWatch
from e2e.world import MANIFESTS, POOLS, ROUTER_CONFIG, Object, World, serving

from atoll.api.manifests import load_manifests
from atoll.local.binaries import Binaries
from atoll.local.karpenter import set_obtainable_nodes
from atoll.local.offerings import offerings_of
from atoll.render import names

pytestmark = pytest.mark.timeout(900)

EVENTS = "/api/v1/events"
_TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def shared(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(binaries, tmp_path_factory.mktemp("moves"), MANIFESTS / "fleet") as world:
        yield world


@pytest.fixture
def world(shared: World) -> World:
    """The fleet as declared and settled, whatever the test before did."""
    shared.restore()
    shared.settle()
    return shared


def test_r3_more_and_then_less_demand_moves_the_fleet_and_never_serves_too_little(world: World) -> None:
    with ServiceWatch(world) as up:
        world.apply(world.demand_at("phi-4", 8))
        world.settle("eight requests/s are served")
    assert up.lowest("phi-4") >= 4 - _TOLERANCE
    assert up.lowest("gpt-oss-20b") >= 6 - _TOLERANCE
    assert world.demand("phi-4")["status"]["servedRate"] >= 8
    with ServiceWatch(world) as down:
        world.apply(world.demand_at("phi-4", 2))
        world.settle("two requests/s are served")
    assert down.lowest("phi-4") >= 2 - _TOLERANCE
    assert down.lowest("gpt-oss-20b") >= 6 - _TOLERANCE
    assert world.policy()["status"]["costPerHour"] < 5, "less demand costs less"


def test_a_demand_that_comes_is_served_and_one_that_goes_leaves_nothing(world: World) -> None:
    third = world.manifest("ModelDemand", "gpt-oss-20b")
    third["metadata"]["name"] = third["spec"]["model"]["servedName"] = "third"
    with ServiceWatch(world) as seen:
        world.apply(third)
        world.settle("the third is served")
        assert "Deployment third-" in " ".join(world.children())
        assert "third" in router_files(world)
        world.kubectl("delete", "md", "third")
        world.wait(lambda: "third" not in " ".join(world.children()), "its children are gone")
        world.wait(lambda: not world.pods("third"), "its pods are gone")
        world.settle()
    assert "third" not in router_files(world)
    for name, rate in (("phi-4", 4), ("gpt-oss-20b", 6)):
        assert seen.lowest(name) >= rate - _TOLERANCE


def test_a_cheaper_place_is_moved_to_only_where_that_is_worth_it(world: World) -> None:
    world.calm()
    pool, index = pool_in_use(world, "phi-4")
    before, children = world.writes(), world.children()
    offering = pool["spec"]["offerings"][index]
    price = priced(world, pool["metadata"]["name"])[index]

    offering["price"] = price * 1.005
    decided = world.decisions()
    world.apply(pool)
    world.wait(lambda: world.decisions() > decided, "it is solved again", 30)
    world.quiet_window(renewals=3)
    assert world.children() == children, "half a percent is no reason to move"
    assert {write.resource.partition("/")[0] for write in world.writes()[len(before) :]} <= {
        "gpunodepools",
        "modeldemands",
        "fleets",
    }, "only what people read has changed"

    offering["price"] = price * 20
    with ServiceWatch(world) as seen:
        world.apply(pool)
        world.wait(lambda: not uses(world, pool, offering), "the plan avoids it", 30)
        world.settle("everything is served elsewhere")
    assert not any(offering_of(each) == (pool["metadata"]["name"], offering["capacityType"]) for each in world.pods())
    for name, rate in (("phi-4", 4), ("gpt-oss-20b", 6)):
        assert seen.lowest(name) >= rate - _TOLERANCE


def test_r3_a_node_that_is_deleted_is_left_before_it_goes(world: World) -> None:
    node = world.pods("phi-4")[0]["spec"]["nodeName"]
    with ServiceWatch(world) as seen:
        world.kubectl("delete", "node", node, "--wait=false")
        world.wait(lambda: world.api.get(f"/api/v1/nodes/{node}") is None, "the node is gone")
        world.settle()
    for name, rate in (("phi-4", 4), ("gpt-oss-20b", 6)):
        assert seen.lowest(name) >= rate - _TOLERANCE


def test_r3_a_node_that_is_cordoned_is_left(world: World) -> None:
    node = world.pods("gpt-oss-20b")[0]["spec"]["nodeName"]
    with ServiceWatch(world) as seen:
        world.kubectl("cordon", node)
        world.wait(lambda: node not in nodes_of(world), "no pod is on it")
        world.settle()
    world.kubectl("delete", "node", node, "--wait=false")
    for name, rate in (("phi-4", 4), ("gpt-oss-20b", 6)):
        assert seen.lowest(name) >= rate - _TOLERANCE


@pytest.mark.parametrize("name", ["phi-4", "gpt-oss-20b"])
def test_a_node_that_is_lost_is_replaced_and_nobody_else_suffers(world: World, name: str) -> None:
    node = world.pods(name)[0]["spec"]["nodeName"]
    hurt = {pod["metadata"]["labels"][names.DEMAND] for pod in world.pods() if pod["spec"]["nodeName"] == node}
    with ServiceWatch(world) as seen:
        world.plane.lose_node(node)
        world.wait(lambda: node not in nodes_of(world), "its pods are gone")
        world.settle()
    for other, rate in (("phi-4", 4), ("gpt-oss-20b", 6)):
        if other not in hurt:
            assert seen.lowest(other) >= rate - _TOLERANCE


def test_a_change_of_anything_that_is_planned_for_is_ready_only_once_it_is_so(world: World) -> None:
    demand = world.manifest("ModelDemand", "gpt-oss-20b")
    demand["spec"]["placement"] = {"capacityTypes": ["on-demand"]}
    world.apply(demand)
    world.kubectl("wait", "--for=condition=Ready", "md", "gpt-oss-20b", "--timeout=240s")
    world.wait(lambda: world.ready("gpt-oss-20b").get("status") == "True", "Ready is about the change", 60)
    wanted = [each for each in world.deployments("gpt-oss-20b") if each["spec"]["replicas"]]
    assert {offering_of(each)[1] for each in wanted} == {"on-demand"}
    # Their controller stops pods a moment after the operator has said that it should.
    world.wait(
        lambda: {offering_of(each)[1] for each in world.pods("gpt-oss-20b")} == {"on-demand"}, "no other pod is left"
    )


def test_another_engine_image_is_rolled_out_new_before_old(world: World) -> None:
    demand = world.manifest("ModelDemand", "phi-4")
    demand["spec"]["engine"] = {"name": "vllm", "image": "example.com/vllm:2"}

    def images() -> set[str]:
        return {pod["spec"]["containers"][0]["image"] for pod in world.pods("phi-4")}

    with ServiceWatch(world) as seen:
        world.apply(demand)
        world.wait(lambda: images() == {"example.com/vllm:2"}, "every replica runs the new image")
        world.settle()
    assert seen.lowest("phi-4") >= 4 - _TOLERANCE


def test_r2_an_offering_that_gives_nothing_is_masked_and_done_without(world: World) -> None:
    """Last of this file: the mask outlives the test."""
    (cheapest,) = {
        offering
        for offering in offerings_of(load_manifests([MANIFESTS / "fleet"]).pools)
        if (offering.instance_type, offering.capacity_type) == ("p4d.24xlarge", "spot")
    }
    world.converge()  # no such node is left over from what was before
    set_obtainable_nodes(world.api, cheapest, 0)
    with ServiceWatch(world) as seen:
        world.apply(world.demand_at("phi-4", 12))
        world.wait(lambda: uses_pool(world, "a100-x8", "spot"), "the plan counts on it", 30)
        world.wait(lambda: world.ready("phi-4").get("reason") == "ReplicasPending", "pods wait", 30)
        said = {"fields": "involvedObject.kind=Pod,source=karpenter"}  # as the operator asks
        refused = "Karpenter says that it makes no node"
        world.wait(
            lambda: any(each["reason"] == "FailedScheduling" for each in world.api.list(EVENTS, **said)), refused, 30
        )
        world.wait(lambda: masked(world), "it is masked", 60)
        world.wait(lambda: not uses_pool(world, "a100-x8", "spot"), "the plan does without it", 30)
        world.settle("everything is served elsewhere")
    assert world.demand("phi-4")["status"]["servedRate"] >= 12
    assert "Pending" in masked(world)["maskedReason"]
    assert world.deployments("phi-4") != []
    assert not any(offering_of(each) == ("a100-x8", "spot") for each in world.pods())
    assert seen.lowest("phi-4") >= 4 - _TOLERANCE


def router_files(world: World) -> str:
    config = world.api.get(ROUTER_CONFIG)
    assert config is not None
    return "".join(config["data"].values())


def nodes_of(world: World) -> set[str]:
    return {pod["spec"].get("nodeName", "") for pod in world.pods()}


def offering_of(obj: Object) -> tuple[str, str]:
    """Pool and capacity type of a pod or its Deployment."""
    pool, _, terms = obj["metadata"]["labels"][names.OFFERING].split(".")
    return pool, terms


def pool_in_use(world: World, demand: str) -> tuple[Object, int]:
    """The manifest of the pool of a demand's first pod, and which of its offerings the pod is in."""
    name, terms = offering_of(world.pods(demand)[0])
    pool = world.manifest("GPUNodePool", name)
    return pool, [each["capacityType"] for each in pool["spec"]["offerings"]].index(terms)


def priced(world: World, pool: str) -> list[float]:
    """Prices of a pool's offerings as Atoll knows them, in the order of the spec."""
    live = world.api.get(f"{POOLS}/{pool}")
    assert live is not None
    known = {each["capacityType"]: each["pricePerHour"] for each in live["status"]["offerings"]}
    return [known[each["capacityType"]] for each in live["spec"]["offerings"]]


def uses(world: World, pool: Object, offering: Object) -> bool:
    return uses_pool(world, pool["metadata"]["name"], offering["capacityType"])


def uses_pool(world: World, pool: str, terms: str) -> bool:
    """Whether the plan in force uses nodes of an offering."""
    plan = world.plan()
    return plan is not None and any(
        (n["pool"], n["capacityType"]) == (pool, terms) for n in plan["spec"].get("nodes", [])
    )


def masked(world: World) -> Object:
    """What the status of the scarce offering says while it is masked."""
    live = world.api.get(f"{POOLS}/a100-x8")
    assert live is not None
    return next((each for each in live["status"]["offerings"] if each.get("maskedUntil")), {})
