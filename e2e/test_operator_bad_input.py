"""One bad object never stops the fleet (R24): it says what is wrong and how to mend it, and all others are served."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.watcher import ServiceWatch
from e2e.world import MANIFESTS, POOLS, Object, World, is_serving, serving

from atoll.local.binaries import Binaries
from atoll.local.controlplane import Provisioning

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def shared(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    state = tmp_path_factory.mktemp("bad-input")
    with serving(binaries, state, MANIFESTS / "fleet", provisioning=Provisioning.FIXED) as world:
        yield world


@pytest.fixture
def world(shared: World) -> World:
    """The fleet as declared and settled, whatever the test before did."""
    shared.restore()
    shared.settle()
    return shared


def edited(world: World, name: str, **spec: Any) -> Object:
    """A small demand of its own, with parts of its spec replaced."""
    obj = world.manifest("ModelDemand", "phi-4")
    obj["metadata"]["name"] = name
    obj["spec"]["model"]["servedName"] = name
    obj["spec"]["demand"]["requestsPerSecond"] = 1
    for part, change in spec.items():
        obj["spec"][part] = {**obj["spec"].get(part, {}), **change}
    return obj


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param({"demand": {"requestsPerSecond": -1}}, "spec.demand.requestsPerSecond", id="negative demand"),
        pytest.param({"demand": {"requestsPerSecond": 1e9}}, "spec.demand.requestsPerSecond", id="huge demand"),
        pytest.param(
            {"placement": {"capacityTypes": ["spot"], "spotShare": 0.5}}, "spotShare", id="contradictory placement"
        ),
    ],
)
def test_what_a_rule_can_see_is_refused_at_the_door(world: World, spec: dict[str, Any], said: str) -> None:
    answer = world.kubectl("patch", "md", "phi-4", "--type=merge", "-p", json.dumps({"spec": spec}), check=False)
    assert "is invalid" in answer
    assert said in answer
    world.settle()


def test_zero_demand_is_valid_and_needs_nothing(world: World) -> None:
    world.apply(world.demand_at("gpt-oss-20b", 0))
    assert world.await_reason("gpt-oss-20b", "NoDemand")["status"] == "True"
    world.wait(lambda: not world.pods("gpt-oss-20b"), "nothing runs for it")
    world.settle()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param({"objectives": {"ttft": "1ms", "tpot": "1ms"}}, "ImpossibleObjectives", id="by the decision"),
        pytest.param({"model": {"architecture": {"name": "nobody/knows"}}}, "UnknownArchitecture", id="by the parser"),
    ],
)
def test_c5_a_good_demand_edited_into_a_bad_one_keeps_its_replicas(
    world: World, spec: dict[str, Any], reason: str
) -> None:
    deployments, pods = replicas_of(world, "phi-4"), pods_that_serve(world, "phi-4")
    bad = world.manifest("ModelDemand", "phi-4")
    for part, change in spec.items():
        bad["spec"][part] = {**bad["spec"][part], **change}
    with ServiceWatch(world) as seen:
        world.apply(bad)
        said = world.await_reason("phi-4", reason)
        assert "go on serving" in said["message"]
        world.fleet.kill_operator()
        decided = world.decisions()
        world.fleet.start_operator()
        world.wait(lambda: world.decisions() > decided, "a restarted operator decides", 30)
        world.quiet_window(renewals=3)
        assert replicas_of(world, "phi-4") == deployments
        assert pods_that_serve(world, "phi-4") == pods
        world.restore()
        world.settle("mended, it is Ready again")
    assert seen.lowest("phi-4") >= 4 - 1e-6
    assert seen.lowest("gpt-oss-20b") >= 6 - 1e-6


@pytest.mark.parametrize(
    ("spec", "reason", "mend"),
    [
        pytest.param(
            {"provisioning": "Fixed", "nodeSelector": {"nobody": "has-this"}},
            "SelectorMatchesNothing",
            "nobody",
            id="its selector matches nothing",
        ),
        pytest.param({"region": "mars-1"}, "PriceMissing", "spec.offerings[0].price", id="its price is missing"),
        pytest.param({"gpu": {"kind": "Abacus-1", "count": 1}}, "InvalidSpec", "spec.gpu.kind", id="unknown GPU kind"),
    ],
)
def test_r24_a_pool_that_gives_nothing_says_why_and_the_fleet_does_without(
    world: World, spec: dict[str, Any], reason: str, mend: str
) -> None:
    bad = world.manifest("GPUNodePool", "l40s-x1")
    bad["metadata"]["name"] = "bad"
    bad["spec"] |= spec
    children = world.children()
    world.apply(bad)
    world.wait(lambda: pool_ready(world, "bad").get("reason") == reason, f"the pool says {reason}", 30)
    said = pool_ready(world, "bad")
    assert said["status"] == "False"
    assert mend in said["message"]
    world.quiet_window(renewals=2)
    world.settle()
    assert world.children() == children


@pytest.mark.parametrize(
    ("spec", "reason", "field", "mend"),
    [
        pytest.param(
            {"model": {"architecture": {"name": "nobody/knows-this"}}},
            "UnknownArchitecture",
            "spec.model.architecture.name",
            "nobody/knows-this",
            id="unknown architecture",
        ),
        pytest.param(
            {"objectives": {"ttft": "1ms", "tpot": "1ms"}},
            "ImpossibleObjectives",
            "spec.objectives",
            "best TTFT",
            id="R20: impossible objectives",
        ),
        pytest.param(
            {"placement": {"regions": ["eu-central-1"]}},
            "NoPoolFits",
            "spec.placement",
            "us-east-2",
            id="no pool fits",
        ),
    ],
)
def test_r24_a_demand_that_cannot_be_served_says_why_and_gets_no_replicas(
    world: World, spec: dict[str, Any], reason: str, field: str, mend: str
) -> None:
    children = world.children()
    world.apply(edited(world, "bad", **spec))
    said = world.await_reason("bad", reason)
    assert said["status"] == "False"
    assert field in said["message"]
    assert mend in said["message"]
    assert {c["type"]: c["status"] for c in world.demand("bad")["status"]["conditions"]} == {
        "Ready": "False",
        "Planned": "False",
        "Routed": "False",
        "Degraded": "True",
    }
    assert world.children() == children, "it gets nothing, and nobody else is touched"
    world.apply(edited(world, "bad"))
    world.settle("mended, it is served without further ado")


def test_of_two_demands_with_one_served_name_the_older_holds_it(world: World) -> None:
    second = edited(world, "second")
    second["spec"]["model"]["servedName"] = "phi-4"
    world.apply(second)
    said = world.await_reason("second", "ServedNameTaken")
    assert "default/phi-4" in said["message"]
    assert "spec.model.servedName" in said["message"]
    assert world.deployments("second") == []
    world.delete("ModelDemand", "phi-4")
    world.wait(lambda: world.ready("second").get("status") == "True", "the name is free, so it is served")


def pool_ready(world: World, name: str) -> Object:
    found = world.api.get(f"{POOLS}/{name}")
    assert found is not None
    return world.condition(found)


def replicas_of(world: World, demand: str) -> dict[str, int]:
    return {each["metadata"]["name"]: each["spec"]["replicas"] for each in world.deployments(demand)}


def pods_that_serve(world: World, demand: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in world.pods(demand) if is_serving(pod)}
