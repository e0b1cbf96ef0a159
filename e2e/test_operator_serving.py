"""Declared demand becomes served models; then nothing is written, and what others change by hand is repaired."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from e2e.gateway import answer, gateway_api, route_path, routes
from e2e.watcher import ServiceWatch
from e2e.world import BUDGETS, MANIFESTS, ROUTER_CONFIG, SERVICES, Object, World, is_serving, rows, selects, serving

from atoll.local.binaries import Binaries
from atoll.render import names

GOLDEN_ROUTE = Path(__file__).parents[1] / "tests" / "render" / "golden" / "httproute.yaml"

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def shared(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(binaries, tmp_path_factory.mktemp("serving"), MANIFESTS / "fleet") as world:
        yield world


@pytest.fixture
def world(shared: World) -> World:
    """The fleet as declared and settled, whatever the test before did."""
    shared.restore()
    shared.settle()
    return shared


def test_every_demand_is_ready_and_kubectl_can_wait_for_it(world: World) -> None:
    assert world.kubectl("wait", "--for=condition=Ready", "md", "--all", "--timeout=120s").count("condition met") == 2
    for each in world.deployments():
        assert each["spec"]["replicas"] > 0
    world.wait(
        lambda: all(each["status"].get("readyReplicas") == each["spec"]["replicas"] for each in world.deployments()),
        "every Deployment counts its pods as Ready",
    )
    for name, rate in (("phi-4", 4.0), ("gpt-oss-20b", 6.0)):
        status = world.demand(name)["status"]
        assert status["demandRate"] == rate
        assert status["servedRate"] >= rate
        assert status["shortfall"] == 0
        assert {c["type"]: c["status"] for c in status["conditions"]} == {
            "Ready": "True",
            "Planned": "True",
            "Routed": "True",
            "Degraded": "False",
        }


def test_the_plan_is_an_object_that_people_can_read(world: World) -> None:
    plan = world.plan()
    assert plan is not None
    assert plan["status"]["phase"] == "Completed"
    assert plan["spec"]["approved"]
    assert {row["name"]: row["rate"] for row in rows(plan)} == {"phi-4": 4, "gpt-oss-20b": 6}
    assert all(row["reason"] for row in rows(plan))
    assert [owner["kind"] for owner in plan["metadata"]["ownerReferences"]] == ["Fleet"]


def test_printer_columns_show_what_it_costs(world: World) -> None:
    world.converge()
    cost = world.policy()["status"]["costPerHour"]
    assert cost == pytest.approx(sum(each["status"]["costPerHour"] for each in world.demands()), abs=0.01)
    assert cost == pytest.approx(sum(price_of(world, node) for node in nodes_in_use(world)), abs=0.01)
    for kind, name in (("md", "phi-4"), ("fleet", "default"), ("plan", ""), ("gnp", "l40s-x1")):
        header, *lines = world.kubectl("get", kind).splitlines()
        assert "$/H" in header, kind
        assert any(name in line for line in lines), kind
    assert f"{cost:g}" in world.kubectl("get", "fleet", "default")
    assert "phi-4" in world.kubectl("get", "atoll")


def test_children_belong_to_their_demand(world: World) -> None:
    demands = {each["metadata"]["name"]: each["metadata"]["uid"] for each in world.demands()}
    assert {each["kind"] for each in world.companions()} == {"Service", "PodDisruptionBudget"}
    for each in [*world.deployments(), *world.companions()]:
        (owner,) = each["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["controller"]) == ("ModelDemand", True)
        assert owner["uid"] == demands[each["metadata"]["labels"][names.DEMAND]]
    for path in (SERVICES, BUDGETS, ROUTER_CONFIG.rpartition("/")[0]):
        for each in world.api.list(path, selector=f"{names.MANAGED_BY}=atoll,{names.COMPONENT}=router"):
            assert "ownerReferences" not in each["metadata"], "the router belongs to no demand"


def test_every_engine_pod_has_exactly_one_disruption_budget(world: World) -> None:
    budgets = [each for each in world.companions() if each["kind"] == "PodDisruptionBudget"]
    for pod in world.pods():
        assert sum(selects(budget, pod) for budget in budgets) == 1


def test_services_lead_to_the_leaders_of_their_strategy(world: World) -> None:
    for pod in world.pods():
        assert names.ROUTABLE in pod["metadata"]["labels"] or pod["metadata"]["labels"][names.STAGE] != "0"
    routed = [each for each in world.companions() if names.STRATEGY in each["spec"]["selector"]]
    assert {each["metadata"]["labels"][names.STRATEGY] for each in routed} == {
        each["metadata"]["labels"][names.STRATEGY] for each in world.deployments()
    }
    for service in routed:
        expected = {pod["status"]["podIP"] for pod in world.pods() if selects(service, pod)}
        world.wait(lambda s=service, e=expected: addresses(world, s) == e, f"{service['metadata']['name']} is resolved")
        assert expected


def test_the_real_router_has_taken_the_configuration_and_knows_every_served_name(world: World) -> None:
    def taken() -> bool:
        config = world.api.get(ROUTER_CONFIG)
        assert config is not None
        wanted = {config["metadata"]["annotations"][names.ROUTER_VERSION]}
        return set(world.fleet.router.acknowledged_versions().values()) == wanted

    world.wait(taken, "the router has taken the configuration", 30)
    # Addresses of simulated pods lead nowhere: a model that is known has no healthy endpoint, another is not there.
    for name, status in (("phi-4", 503), ("default/gpt-oss-20b", 503), ("nobody-serves-this", 404)):
        world.wait(lambda n=name, s=status: ask(world, n) == s, f"{name} is answered with {status}", 30)


def test_c15_a_converged_fleet_writes_nothing_but_its_lease(world: World) -> None:
    world.converge()
    assert world.quiet_window() == []


def test_c16_a_restarted_operator_writes_nothing_where_nothing_is_to_be_done(world: World) -> None:
    world.converge()
    before = world.writes()
    for end in (world.fleet.kill_operator, world.fleet.stop_operator):
        end()
        decided = world.decisions()
        world.fleet.start_operator()
        world.wait(lambda n=decided: world.decisions() > n, "it decides again", 30)
        world.quiet_window(renewals=4)
    assert world.writes() == before
    world.settle()


@pytest.mark.parametrize("change", ["image", "scaled down", "scaled up", "label", "deleted"])
def test_r10_a_manual_edit_of_an_engine_deployment_is_repaired(world: World, change: str) -> None:
    before, target = world.children(), world.deployments("phi-4")[0]
    path = f"/apis/apps/v1/namespaces/default/deployments/{target['metadata']['name']}"
    changed = {
        "image": {"spec": {"template": {"spec": {"containers": [{**engine_of(target), "image": "someone/else:1"}]}}}},
        "scaled down": {"spec": {"replicas": 0}},
        "scaled up": {"spec": {"replicas": target["spec"]["replicas"] + 1}},
        "label": {"metadata": {"labels": {names.OFFERING: None, names.TEMPLATE: "mine"}}},
    }
    if change == "deleted":
        world.api.delete(path)
    else:
        world.api.merge(path, changed[change])

    def repaired() -> bool:
        found = world.api.get(path)
        return (
            found is not None
            and found["metadata"]["labels"] == target["metadata"]["labels"]
            and engine_of(found)["image"] == engine_of(target)["image"]
            and world.children() == before
            and world.is_settled()
        )

    world.wait(repaired, f"the {change} Deployment is repaired")


def test_r10_deleted_companions_come_back(world: World) -> None:
    before = world.children()
    for each in world.companions():
        plural = "services" if each["kind"] == "Service" else "poddisruptionbudgets"
        world.kubectl("delete", plural, each["metadata"]["name"])
    world.api.delete(ROUTER_CONFIG)
    world.wait(lambda: world.children() == before and world.is_settled(), "all companions are there again")


def test_r10_a_selector_edited_by_hand_is_mended(world: World) -> None:
    service = next(
        e for e in world.api.list(SERVICES, selector=names.DEMAND) if names.STRATEGY in e["spec"]["selector"]
    )
    path = f"/api/v1/namespaces/default/services/{service['metadata']['name']}"
    world.api.merge(path, {"spec": {"selector": {names.STAGE: "7"}}})
    world.wait(
        lambda: (world.api.get(path) or {}).get("spec", {}).get("selector") == service["spec"]["selector"],
        "the Service selects leaders again",
        30,
    )


def test_an_engine_pod_deleted_by_hand_comes_back(world: World) -> None:
    before, victim = world.children(), world.pods("gpt-oss-20b")[0]["metadata"]["name"]
    with ServiceWatch(world) as seen:
        world.kubectl("delete", "pod", victim, "--wait=false")
        world.wait(lambda: victim not in {p["metadata"]["name"] for p in world.pods()}, "the pod is gone")
        world.settle()
    assert world.children() == before, "somebody's mistake is no reason to move"
    assert seen.lowest("phi-4") >= 4


def test_an_alias_is_routed_and_moves_no_replica(world: World) -> None:
    before = {each["metadata"]["name"]: each["metadata"]["generation"] for each in world.deployments()}
    world.wait(lambda: ask(world, "phi-latest") == 404, "nobody knows the alias", 30)
    demand = world.manifest("ModelDemand", "phi-4")
    demand["spec"]["model"]["aliases"] = ["phi-latest"]
    world.apply(demand)

    world.wait(lambda: ask(world, "phi-latest") == ask(world, "default/phi-4") == 503, "the alias is routed", 30)
    world.settle()
    assert {each["metadata"]["name"]: each["metadata"]["generation"] for each in world.deployments()} == before


def test_gateways_of_the_cluster_carry_the_requests(world: World) -> None:
    fleet = world.manifest("Fleet")
    fleet["spec"]["router"] |= {
        "target": "Both",
        "gateway": {"parents": [{"name": "public", "namespace": "gateways", "sectionName": "http"}]},
    }
    world.apply(fleet)
    await_routed(world, "GatewayAPIMissing")

    with gateway_api(world):
        world.wait(
            lambda: "Gateway gateways/public has said nothing" in routed(world).get("message", ""),
            "routes are written",
            30,
        )
        world.wait(lambda: len(routes(world)) == 2, "each demand has a route", 30)
        await_routed(world, "RouteNotAccepted", accepted=False)
        world.wait(
            lambda: "no listener allows" in world.condition(world.demand("phi-4"), "Routed").get("message", ""),
            "the demand tells why, in the Gateway's own words",
            30,
        )
        await_routed(world, "Routed", accepted=True)
        world.calm()  # routes that are as wanted are not written again

        (route,) = (route for route in routes(world) if route["metadata"]["name"] == "phi-4")
        (rule,) = route["spec"]["rules"]
        named = {match["headers"][0]["value"] for match in rule["matches"]}
        assert {"default/phi-4", world.demand("phi-4")["spec"]["model"]["servedName"]} <= named
        services = {service["metadata"]["name"] for service in world.api.list(SERVICES)}
        assert {backend["name"] for backend in rule["backendRefs"]} <= services
        assert all(backend["weight"] for backend in rule["backendRefs"])
        golden = yaml.safe_load(GOLDEN_ROUTE.read_text(encoding="utf-8"))
        golden["metadata"] = {"name": "golden", "namespace": "default"}
        world.api.apply(route_path(golden), golden)  # the real definition takes every field of it
        assert [owner["kind"] for owner in route["metadata"]["ownerReferences"]] == ["ModelDemand"]

        fleet["spec"]["router"]["target"] = "Envoy"
        world.apply(fleet)
        left = {"golden"}  # which is not labelled as Atoll's
        world.wait(lambda: {each["metadata"]["name"] for each in routes(world)} == left, "its own routes are gone", 30)
        world.calm()


def routed(world: World) -> Object:
    """Condition Routed of the Fleet."""
    return world.condition(world.policy(), "Routed")


def await_routed(world: World, reason: str, *, accepted: bool | None = None) -> None:
    """Wait until the fleet says so, while Gateways say of every route, as it is then, whether it is accepted."""

    def is_so() -> bool:
        if accepted is not None:
            answer(world, accepted=accepted)
        return routed(world).get("reason") == reason

    world.wait(is_so, f"the fleet is {reason}", 30)


def engine_of(deployment: Object) -> Object:
    container: Object = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def addresses(world: World, service: Object) -> set[str]:
    """Where a headless Service leads to."""
    slices = world.api.list(
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        selector=f"kubernetes.io/service-name={service['metadata']['name']}",
    )
    endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or ()]
    return {address for each in endpoints if each["conditions"].get("ready") for address in each["addresses"]}


def nodes_in_use(world: World) -> set[str]:
    return {pod["spec"]["nodeName"] for pod in world.pods() if is_serving(pod)}


def price_of(world: World, node: str) -> float:
    """US$/h of a node, as its pool says."""
    found = world.api.get(f"/api/v1/nodes/{node}")
    assert found is not None
    labels = found["metadata"]["labels"]
    pools = world.api.list("/apis/atoll.dev/v1alpha1/gpunodepools")
    (price,) = {
        offering["pricePerHour"]
        for pool in pools
        if pool["spec"]["instanceType"] == labels["node.kubernetes.io/instance-type"]
        for offering in pool["status"]["offerings"]
        if offering["capacityType"] == labels["karpenter.sh/capacity-type"]
    }
    return float(price)


def ask(world: World, served_name: str) -> int:
    """The router's answer to a request for a served model."""
    settings = world.fleet.settings
    answer = httpx.post(
        f"http://{settings.address}:{settings.port}/v1/completions",
        json={"model": served_name, "prompt": "hello"},
        trust_env=False,
        timeout=10,
    )
    return answer.status_code


def test_a_demand_that_allows_pairs_is_served_by_prefill_and_decode_replicas(world: World) -> None:
    """Steps of 20 ms leave no room for prompts of others beside them: a pair costs less, and the fleet moves to it."""
    split = world.manifest("ModelDemand", "gpt-oss-20b")
    split["metadata"]["name"] = split["spec"]["model"]["servedName"] = "split"
    split["spec"]["objectives"]["tpot"] = "20ms"
    split["spec"]["placement"] = {"gpuKinds": ["L40S-48GB"]}
    world.apply(split)
    world.settle("served by replicas that do both")
    assert phases(world) == {""}
    with ServiceWatch(world) as seen:
        world.apply(split | {"spec": split["spec"] | {"engine": {"pairs": True}}})
        world.wait(lambda: phases(world) == {"prefill", "decode"}, "only pairs are left")
        world.settle("served by pairs")
    assert seen.lowest("split") >= 6 - 1e-6, "never less than wanted on the way"
    assert world.demand("split")["status"]["servedRate"] >= 6

    for pod in world.pods("split"):
        decodes = pod["metadata"]["labels"][names.PHASE] == "decode"
        assert [c["name"] for c in pod["spec"]["containers"]] == ["engine", *(["proxy"] if decodes else [])]
    (service,) = (s for s in world.api.list(SERVICES) if s["metadata"]["name"].endswith("-prefill"))
    found = [p for p in world.pods("split") if service["spec"]["selector"].items() <= p["metadata"]["labels"].items()]
    assert {p["metadata"]["labels"][names.PHASE] for p in found} == {"prefill"}
    (proxy,) = {
        env["value"]
        for pod in world.pods("split")
        for container in pod["spec"]["containers"][1:]
        for env in container["env"]
        if env["name"] == "ATOLL_PREFILL"
    }
    assert proxy.startswith(f"http://{service['metadata']['name']}.default.svc.")
    routed = world.api.get(ROUTER_CONFIG)
    assert routed is not None
    of = {p["metadata"]["labels"][names.PHASE]: p["metadata"]["labels"][names.STRATEGY] for p in world.pods("split")}
    text = "".join(routed["data"].values())
    assert f"split-{of['decode']}" in text
    assert f"split-{of['prefill']}" not in text


def phases(world: World) -> set[str]:
    """Phases of the pods of the demand ``split``; empty for both."""
    return {pod["metadata"]["labels"].get(names.PHASE, "") for pod in world.pods("split")}
