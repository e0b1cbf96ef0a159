"""The chart on a real control plane: upgraded, rolled back, uninstalled and installed again while demands are served.

The tests are one story in the order of the file. KWOK runs no container: `e2e.kubelet` runs the operator of the chart's
own pod, with its permissions, its settings and the admission policies that hold for it.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from e2e import kubelet
from e2e.helm import CHART, NAMESPACE, RELEASE, Helm, helm
from e2e.world import DEPLOYMENTS, MANIFESTS, PODS, World, cluster, documents

from atoll.local.api import read_access, tls_context
from atoll.local.binaries import Binaries
from atoll.local.controlplane import Provisioning
from atoll.local.fleet import OPERATOR_PROCESS, install_system_node

pytestmark = pytest.mark.timeout(900)

FORMER = Path(__file__).parent / "chart" / "former"
VALUES = Path(__file__).parent / "chart" / "values"
INSTALL_PAGE = Path(__file__).parents[1] / "docs" / "install.md"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
OPERATORS = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=operator"
ROUTERS = "app.kubernetes.io/managed-by=atoll,app.kubernetes.io/component=router"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WAIT = ("--namespace", NAMESPACE, "--wait", "--timeout", "10m")
NOT_SERVED = ("ServiceMonitor", "PodMonitor", "PrometheusRule")


@pytest.fixture(scope="module")
def world(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster of fixed nodes whose namespace for Atoll admits restricted pods only; nothing is installed."""
    state = tmp_path_factory.mktemp("chart")
    with cluster(binaries, state, MANIFESTS / "fleet", provisioning=Provisioning.FIXED, role="") as world:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}}
        world.api.apply(f"/api/v1/namespaces/{NAMESPACE}", namespace)
        install_system_node(world.api)
        world.operator_user = ACCOUNT
        yield world
        world.fleet.stop_operator()


@pytest.fixture(scope="module")
def release(world: World, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return helm(tmp_path_factory.mktemp("helm"), world.plane.kubeconfig)


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def ready_pods(world: World, selector: str) -> list[dict[str, Any]]:
    return [pod for pod in world.api.list(PODS, selector=selector) if is_ready(pod)]


def run_operator(world: World, folder: Path) -> None:
    """Run the operator of one of the Deployment's newest pods."""
    world.fleet.stop_operator()
    (deployment,) = world.api.list(DEPLOYMENTS, selector=OPERATORS)
    wanted = deployment["spec"]["template"]["spec"]["containers"][0]["env"]

    def newest() -> list[dict[str, Any]]:
        return [pod for pod in ready_pods(world, OPERATORS) if pod["spec"]["containers"][0]["env"] == wanted]

    pod = world.wait(newest, "a pod of the operator is Ready", 60)[0]
    kubelet.start_operator(world.plane, pod, folder=folder, name=OPERATOR_PROCESS, probe_port=world.fleet.probe_port)


def engine_uids(world: World) -> set[str]:
    """Which engine pods serve."""
    return {pod["metadata"]["uid"] for pod in world.pods() if is_ready(pod)}


def attempt(world: World, method: str, path: str, body: Any = None, *, account: str = ACCOUNT) -> str:
    """What an account is answered that tries something: status and message. Nothing is changed by it."""
    access = read_access(world.plane.kubeconfig)
    headers = {"Authorization": f"Bearer {access.token}"} | ({"Impersonate-User": account} if account else {})
    headers |= {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
    with httpx.Client(base_url=access.server, headers=headers, verify=tls_context(access), trust_env=False) as client:
        answer = client.request(method, path, json=body, params={} if method == "GET" else {"dryRun": "All"})
    return f"{answer.status_code} {answer.json().get('message', '')}"


def test_what_was_declared_under_the_former_chart_is_served_after_the_upgrade(
    world: World, release: Helm, tmp_path: Path
) -> None:
    release.run("install", RELEASE, str(FORMER), *WAIT)
    declared = documents(FORMER.parent / "declared.yaml")
    for obj in declared:
        world.wait(lambda obj=obj: world.apply(obj), "its definition is served", 30)
    release.run("upgrade", RELEASE, str(CHART), *WAIT, "--set", "settings.tickSeconds=2")
    world.fleet.start_router()
    run_operator(world, tmp_path)
    world.settle()
    assert {obj["metadata"]["name"] for obj in world.demands()} == {
        obj["metadata"]["name"] for obj in declared if obj["kind"] == "ModelDemand"
    }
    assert world.logged("permissions are missing") == 0
    assert world.logged("403 Forbidden") == 0


def test_there_are_as_many_routers_as_the_chart_says_and_restricted_ones(world: World) -> None:
    world.wait(lambda: len(ready_pods(world, ROUTERS)) == 2, "two routers are Ready", 60)
    images = {c["image"] for pod in ready_pods(world, ROUTERS) for c in pod["spec"]["containers"]}
    assert images == {"docker.io/envoyproxy/envoy:v1.40.0"}


def test_no_write_that_a_move_needs_is_refused(world: World) -> None:
    """Replicas are started, taken out of the router, and stopped, under the roles and policies of the chart."""
    for rate in (8, 4):
        world.apply(world.demand_at("phi-4", rate))
        world.settle(f"phi-4 has {rate} requests/s")
    refusals = (httpx.codes.FORBIDDEN, httpx.codes.UNPROCESSABLE_ENTITY)
    assert [write for write in world.writes() if write.status in refusals] == []
    assert {"deployments", "pods", "configmaps"} <= {write.resource for write in world.writes()}


def test_the_api_server_understands_every_object_of_every_set_of_values(
    world: World, release: Helm, tmp_path: Path
) -> None:
    """Its own schemas, defaults, CEL and admission; what the Prometheus operator defines is not served here."""
    distinct: dict[str, None] = {}
    for values in sorted(VALUES.glob("*.yaml")):
        distinct |= {
            yaml.safe_dump(obj): None
            for obj in release.template("--values", str(values))
            if obj["kind"] not in NOT_SERVED
        }
    path = tmp_path / "all.yaml"
    path.write_text("---\n".join(distinct), encoding="utf-8")
    dry = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    told = world.kubectl("apply", *dry, "-f", str(path))
    assert told.count("(server dry run)") == len(distinct)


def test_the_policies_expressions_fit_the_types_that_they_are_about(world: World) -> None:
    def checked() -> bool:
        found = [p for p in world.api.list(POLICIES) if "atoll" in p["metadata"]["name"]]
        return len(found) == 3 and all(
            p.get("status", {}).get("observedGeneration") == p["metadata"]["generation"] for p in found
        )

    world.wait(checked, "the policies are checked", 60)
    for policy in world.api.list(POLICIES):
        assert policy["status"].get("typeChecking", {}) == {}, policy["metadata"]["name"]


def test_the_operators_account_touches_nothing_that_is_not_its_own(world: World) -> None:
    """A stolen token: what RBAC must grant, the policy takes back where it is about other objects."""
    deployments, pods = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", f"/api/v1/namespaces/{NAMESPACE}/pods"
    own, pod = f"{deployments}/{RELEASE}", ready_pods(world, OPERATORS)[0]["metadata"]["name"]
    label = {"metadata": {"labels": {"x": "y"}}}
    scale = world.api.get(f"{own}/scale")
    live = world.api.get(own)
    assert scale is not None
    assert live is not None
    stranger = {k: v for k, v in live.items() if k != "status"} | {"metadata": {"name": "miner"}}
    may_not = "the operator may only touch objects labelled app.kubernetes.io/managed-by=atoll"
    world.wait(lambda: may_not in attempt(world, "PATCH", own, label), "the policy is in force", 30)
    assert may_not in attempt(world, "DELETE", own)
    assert may_not in attempt(world, "PUT", f"{own}/scale", scale | {"spec": {"replicas": 0}})
    assert may_not in attempt(world, "DELETE", f"{pods}/{pod}")
    assert may_not in attempt(world, "POST", deployments, stranger)
    assert may_not in attempt(world, "DELETE", "/api/v1/namespaces/default/services/kubernetes")
    pool = "/apis/atoll.dev/v1alpha1/gpunodepools/l40s-x1"
    assert "may only touch objects labelled atoll.dev/discovered=true" in attempt(world, "DELETE", pool)
    assert attempt(world, "PATCH", f"{pool}/status", {"status": {}}).startswith("200")
    engine = world.deployments()[0]["metadata"]
    mine = f"/apis/apps/v1/namespaces/{engine['namespace']}/deployments/{engine['name']}"
    assert may_not in attempt(world, "PATCH", mine, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "x"}}})
    assert attempt(world, "PATCH", mine, label).startswith("200")
    live_scale = world.api.get(f"{mine}/scale")
    assert attempt(world, "PUT", f"{mine}/scale", live_scale).startswith("200")


def test_the_operators_account_may_not_ask_for_what_it_does_not_need(world: World) -> None:
    pod = ready_pods(world, OPERATORS)[0]["metadata"]["name"]
    system = f"/api/v1/namespaces/{NAMESPACE}"
    demand = "/apis/atoll.dev/v1alpha1/namespaces/default/modeldemands/phi-4"
    for method, path in (
        ("GET", "/api/v1/secrets"),
        ("GET", "/api/v1/configmaps"),
        ("GET", f"{system}/secrets/any"),
        ("GET", f"{system}/configmaps/kube-root-ca.crt"),
        ("POST", f"{system}/serviceaccounts/default/token"),
        ("POST", f"{system}/pods/{pod}/exec?command=true"),
        ("POST", f"{system}/pods"),
        ("DELETE", demand),
        ("PATCH", demand),
        ("PATCH", f"{DEFINITIONS}/fleets.atoll.dev"),
        ("PATCH", "/apis/rbac.authorization.k8s.io/v1/clusterroles/atoll"),
        ("PATCH", "/api/v1/nodes/system-0"),
        ("GET", "/metrics"),
    ):
        assert attempt(world, method, path, None if method in {"GET", "DELETE"} else {}).startswith("403"), path


def test_namespaces_hold_their_demands_to_limits(world: World) -> None:
    limits = {"max-requests-per-second": "5", "max-priority": "10", "served-name-prefix": "team-a-"}
    annotations = {f"limits.atoll.dev/{key}": value for key, value in limits.items()}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a", "annotations": annotations}}
    world.api.apply("/api/v1/namespaces/team-a", namespace)
    demand = world.manifest("ModelDemand", "phi-4")
    demand["metadata"] = {"name": "phi-4", "namespace": "team-a"}
    spec = demand["spec"]
    spec["model"]["servedName"], spec["priority"] = "phi-4", 11
    workload = spec["demand"]["workload"]

    def told(**asked: Any) -> str:
        spec["demand"] = {"workload": workload, **asked}
        return attempt(world, "POST", "/apis/atoll.dev/v1alpha1/namespaces/team-a/modeldemands", demand, account="")

    floor = {"start": "08:00", "end": "09:00", "requestsPerSecond": 6}
    too_many = "spec.demand.requestsPerSecond: namespace team-a may ask for at most 5"
    world.wait(lambda: too_many in told(requestsPerSecond=5.5), "the limits are in force", 30)
    assert too_many in told(schedule={"floors": [floor]})
    for measured in ({"prometheus": {"query": "1"}}, {"router": {}}):
        assert f"spec.demand.{next(iter(measured))}: namespace team-a" in told(**measured)
    assert "spec.priority: namespace team-a may ask for at most 10" in told(requestsPerSecond=5)
    spec["priority"] = 10
    assert "spec.model.servedName: names of namespace team-a must begin with team-a-" in told(requestsPerSecond=5)
    spec["model"]["servedName"], spec["model"]["aliases"] = "team-a-phi", ["team-a-small", "gpt-4"]
    assert "spec.model.aliases: names of namespace team-a must begin with team-a-" in told(requestsPerSecond=5)
    spec["model"]["aliases"] = ["team-a-small"]
    assert told(requestsPerSecond=5).startswith("201")
    assert told(schedule={"floors": [floor | {"requestsPerSecond": 5}]}).startswith("201")


def test_definitions_cannot_be_deleted_by_accident(world: World) -> None:
    told = attempt(world, "DELETE", f"{DEFINITIONS}/modeldemands.atoll.dev", account="")
    assert "deleting modeldemands.atoll.dev would delete every ModelDemand and what runs for it" in told
    assert "kubectl annotate crd modeldemands.atoll.dev atoll.dev/allow-deletion=true" in told


def router_uids(world: World) -> set[str]:
    """Which routers serve."""
    return {pod["metadata"]["uid"] for pod in ready_pods(world, ROUTERS)}


def test_a_rollback_and_another_upgrade_leave_engines_and_routers_alone(
    world: World, release: Helm, tmp_path: Path
) -> None:
    """With an autoscaler that takes the routers over: on the way none of them goes, not even for a moment."""
    world.settle()
    before, routers = engine_uids(world), router_uids(world)
    world.fleet.stop_operator()
    release.run("rollback", RELEASE, "1", *WAIT)
    assert engine_uids(world) == before
    release.run("upgrade", RELEASE, str(CHART), *WAIT, "--set", "router.autoscaling.enabled=true")
    led = world.logged("leading as")
    run_operator(world, tmp_path)
    world.wait(lambda: world.logged("leading as") > led, "it leads", 60)
    world.calm()
    assert engine_uids(world) == before
    assert router_uids(world) == routers
    world.kubectl("scale", "--namespace", NAMESPACE, "deployment/atoll-router", "--replicas=3")  # as autoscalers do
    world.wait(lambda: len(router_uids(world)) == 3, "three routers are Ready", 60)
    world.calm()
    assert len(router_uids(world)) == 3
    world.kubectl("scale", "--namespace", NAMESPACE, "deployment/atoll-router", "--replicas=2")
    world.wait(lambda: len(router_uids(world)) == 2, "two routers are left", 60)


def test_uninstalled_it_leaves_what_serves_and_what_was_declared(world: World, release: Helm, tmp_path: Path) -> None:
    before, children = engine_uids(world), world.children()
    assert before
    world.fleet.stop_operator()
    told = release.run("uninstall", RELEASE, *WAIT)
    assert "modeldemands.atoll.dev" in told, "what is kept is named"
    assert not world.api.list(DEPLOYMENTS, selector=f"app.kubernetes.io/instance={RELEASE}")
    assert engine_uids(world) == before
    assert world.children() == children
    assert len(ready_pods(world, ROUTERS)) == 2
    assert {o["metadata"]["name"] for o in world.demands()} == {
        o["metadata"]["name"] for o in world.manifests if o["kind"] == "ModelDemand"
    }
    told = attempt(world, "DELETE", f"{DEFINITIONS}/modeldemands.atoll.dev", account="")
    assert "would delete every ModelDemand" in told

    notes = release.run("install", RELEASE, str(CHART), *WAIT)
    assert f"Requests go to http://atoll-router.{NAMESPACE}.svc/v1" in notes
    run_operator(world, tmp_path)
    world.apply(world.demand_at("phi-4", 8))
    world.settle("the same fleet follows again")


def test_everything_goes_as_the_page_says(world: World, release: Helm) -> None:
    """The commands under "To remove everything" in docs/install.md, one after another."""
    page = INSTALL_PAGE.read_text(encoding="utf-8")
    block = re.search(r"To remove everything.*?```\n(.*?)```", page, re.DOTALL)
    assert block
    for line in block[1].replace("\\\n", " ").strip().splitlines():
        program, *arguments = shlex.split(line)
        if program == "helm":
            world.fleet.stop_operator()  # as the kubelet does when its pod goes
            release.run(*arguments, "--wait")
        else:
            assert program == "kubectl"
            world.kubectl(*arguments)
    assert not [o for o in world.api.list(DEFINITIONS) if o["spec"]["group"] == "atoll.dev"]
    assert not [o for o in world.api.list(POLICIES) if "atoll" in o["metadata"]["name"]]
    world.wait(lambda: not world.pods() and not world.api.list(PODS, selector=ROUTERS), "nothing serves", 60)
    assert not world.deployments()
