"""What the chart renders: golden files, schemas, linters. Nothing is installed here; see test_chart_life.py."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from e2e.helm import CHART, Helm, HelmError, helm

from atoll.local.tools import ensure_tool
from golden import assert_golden

pytestmark = pytest.mark.timeout(900)

FOLDER = Path(__file__).parent / "chart"
SETS = sorted((FOLDER / "values").glob("*.yaml"))
KUBERNETES = "1.36"
CRDS = CHART.parents[1] / "crds"
LARGEST_RELEASE_BYTES = 1_000_000
BEST_GRADE = 10
BOTH = "router.target=Both,router.gateway.parents[0].name=a,router.gateway.parents[0].namespace=b"

Object = dict[str, Any]


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def render(renderer: Helm) -> Callable[..., list[Object]]:
    """Every object of a set of values, rendered once, for one version of Kubernetes."""
    seen: dict[tuple[object, ...], list[Object]] = {}

    def cached(values: Path, *arguments: str) -> list[Object]:
        key = (values, *arguments)
        if key not in seen:
            seen[key] = renderer.template("--kube-version", f"{KUBERNETES}.0", "--values", str(values), *arguments)
        return seen[key]

    return cached


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [obj for obj in objects if obj["kind"] in kinds]


def names(objects: list[Object]) -> list[str]:
    return [f"{obj['kind']} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}" for obj in objects]


def is_copied(obj: Object) -> bool:
    """Whether it comes whole from a file that is not a template."""
    copied = ("CustomResourceDefinition", "PrometheusRule")
    return obj["kind"] in copied or "-dashboard-" in obj["metadata"]["name"] or is_operators_role(obj)


def is_operators_role(obj: Object) -> bool:
    """Whether it grants what the operator asks for, which is made from code."""
    component = obj["metadata"]["labels"].get("app.kubernetes.io/component")
    return obj["kind"] in ("Role", "ClusterRole") and component == "operator"


def test_it_lints(renderer: Helm) -> None:
    assert "1 chart(s) linted, 0 chart(s) failed" in renderer.run("lint", "--strict", str(CHART))


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_it_renders_as_it_did(render: Callable[..., list[Object]], values: Path) -> None:
    """What comes whole from other files is given by its name and metadata; that it is the same is tested below."""
    objects = [
        {key: value for key, value in obj.items() if key in ("apiVersion", "kind", "metadata")}
        if is_copied(obj)
        else obj
        for obj in render(values)
    ]
    text = yaml.safe_dump_all(objects, sort_keys=False, width=120, explicit_start=True)
    assert_golden(FOLDER / "golden" / values.name, text)


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_every_object_is_valid(render: Callable[..., list[Object]], values: Path) -> None:
    """Against Kubernetes' own schemas, unknown fields refused; other groups are the API server's to judge."""
    ours = ("atoll.dev", "monitoring.coreos.com", "apiextensions.k8s.io")
    objects = [obj for obj in render(values) if obj["apiVersion"].split("/")[0] not in ours]
    assert objects
    for obj in objects:
        kubernetes_validate.validate(obj, KUBERNETES, strict=True)


def test_definitions_are_those_of_the_folder(render: Callable[..., list[Object]]) -> None:
    rendered = {obj["metadata"]["name"]: obj["spec"] for obj in of_kind(render(SETS[0]), "CustomResourceDefinition")}
    wanted = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in CRDS.glob("*.yaml")]
    assert rendered == {obj["metadata"]["name"]: obj["spec"] for obj in wanted}


def test_the_operators_roles_are_those_of_the_file(render: Callable[..., list[Object]]) -> None:
    granted = yaml.safe_load((CHART / "files" / "rbac.yaml").read_text(encoding="utf-8"))
    roles = {obj["kind"]: obj["rules"] for obj in render(SETS[0]) if is_operators_role(obj)}
    assert roles == {"ClusterRole": granted["cluster"], "Role": granted["namespace"]}


def test_rules_and_dashboards_are_those_of_the_chart(render: Callable[..., list[Object]]) -> None:
    objects = render(FOLDER / "values" / "observed.yaml")
    rules = [obj["spec"] for obj in of_kind(objects, "PrometheusRule")]
    assert rules == [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(CHART.glob("rules/*.yaml"))]
    dashboards = [obj["data"] for obj in of_kind(objects, "ConfigMap") if is_copied(obj)]
    files = [
        {path.name: json.loads(path.read_text(encoding="utf-8"))} for path in sorted(CHART.glob("dashboards/*.json"))
    ]
    assert [{name: json.loads(text) for name, text in each.items()} for each in dashboards] == files
    assert rules
    assert dashboards


def test_runbooks_are_where_the_documentation_is_hosted(render: Callable[..., list[Object]]) -> None:
    url = "https://docs.example/atoll"
    given = ("--set", f"metrics.prometheusRule.runbookUrl={url}")
    objects = render(FOLDER / "values" / "observed.yaml", *given)
    rules = [
        rule for obj in of_kind(objects, "PrometheusRule") for group in obj["spec"]["groups"] for rule in group["rules"]
    ]
    links = [rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule]
    assert links
    assert all(link.startswith(f"{url}/reference/alerts.html#") for link in links)


def test_gateways_take_the_place_of_the_router_in_fleet_and_objects(render: Callable[..., list[Object]]) -> None:
    values = FOLDER / "values" / "extended.yaml"
    (fleet,) = of_kind(render(values), "Fleet")
    router = fleet["spec"]["router"]
    assert router["target"] == "GatewayAPI"
    assert router["gateway"]["parents"] == [{"namespace": "gateways", "name": "public", "sectionName": "https"}]
    assert fleet["spec"]["budgetPerHour"] == 500
    assert of_kind(render(values), "HorizontalPodAutoscaler") == []
    assert of_kind(render(values, "--set", "router.target=Both"), "HorizontalPodAutoscaler")
    (owned,) = of_kind(render(values, "--set", "router.target=Envoy"), "Fleet")
    assert "router" not in owned["spec"]


def test_a_release_fits_into_its_secret(renderer: Helm) -> None:
    text = renderer.run("template", "atoll", str(CHART))
    assert len(text.encode()) < LARGEST_RELEASE_BYTES, "Helm keeps it compressed in a Secret of at most 1 MiB"


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_every_pod_is_restricted(render: Callable[..., list[Object]], values: Path) -> None:
    workloads = of_kind(render(values), "Deployment")
    assert workloads
    for workload in workloads:
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] >= 10_000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] != "default"
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert not context["allowPrivilegeEscalation"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"memory", "ephemeral-storage"} <= container["resources"]["limits"].keys()
            assert "tmp" in {mount["name"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_no_role_has_wildcards_or_reads_secrets(render: Callable[..., list[Object]], values: Path) -> None:
    for role in of_kind(render(values), "Role", "ClusterRole"):
        for rule in role["rules"]:
            said = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert not {"*", "secrets", "escalate", "bind", "impersonate"} & set(said), names([role])


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_every_object_says_whose_it_is(render: Callable[..., list[Object]], values: Path) -> None:
    rendered = render(values)
    assert len(set(names(rendered))) == len(rendered)
    for obj in rendered:
        assert obj["metadata"]["labels"]["app.kubernetes.io/instance"] == "atoll", names([obj])
        assert obj["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm", names([obj])


def test_every_image_comes_from_the_mirror_by_digest(render: Callable[..., list[Object]]) -> None:
    workloads = of_kind(render(FOLDER / "values" / "airgapped.yaml"), "Deployment")
    containers = [c for workload in workloads for c in workload["spec"]["template"]["spec"]["containers"]]
    router = next(e["value"] for c in containers for e in c.get("env", ()) if e["name"] == "ATOLL_ROUTER_WORKLOAD")
    images = [*(container["image"] for container in containers), json.loads(router)["image"]]
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"mirror\.example:5000/[a-z/-]+@sha256:([123])\1{63}", image)


def test_a_demands_namespace_is_not_taken_for_that_of_the_operator(render: Callable[..., list[Object]]) -> None:
    """Prometheus puts its target's namespace in the place of a metric's own, unless it is told to honour that."""
    (monitor,) = of_kind(render(FOLDER / "values" / "observed.yaml"), "ServiceMonitor")
    assert [endpoint.get("honorLabels") for endpoint in monitor["spec"]["endpoints"]] == [True]


def test_network_policies_select_the_pods_that_there_are(render: Callable[..., list[Object]]) -> None:
    objects = render(FOLDER / "values" / "default.yaml")
    pods = [w["spec"]["template"]["metadata"]["labels"] for w in of_kind(objects, "Deployment")]
    pods.append({"app.kubernetes.io/managed-by": "atoll", "app.kubernetes.io/component": "router"})
    for selecting in of_kind(objects, "NetworkPolicy", "PodDisruptionBudget"):
        spec = selecting["spec"]
        selector = spec.get("podSelector", spec.get("selector"))["matchLabels"]
        assert sum(selector.items() <= labels.items() for labels in pods) == 1, names([selecting])
    assert len(of_kind(objects, "NetworkPolicy")) == len(pods)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("replicaCount=many", "at '/replicaCount': got string, want integer"),
        ("replicas=3", "additional properties 'replicas' not allowed"),
        ("router.image.digest=1.40", "at '/router/image/digest': '1.40' does not match pattern"),
        ("logging.level=info", "at '/logging/level': value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
        ("scheduler.replicaCount=0", "at '/scheduler/replicaCount': minimum: got 0, want 1"),
        ("networkPolicy.apiServer.cidrs={any}", "at '/networkPolicy/apiServer/cidrs/0': 'any' does not match pattern"),
        ("serviceAccount.create=false", "serviceAccount.name must name the ServiceAccount to use"),
        ("settings.solverMemoryMiB=8192", "settings.solverMemoryMiB: 8192 MiB and 1 GiB for the rest do not fit"),
        (
            "metrics.serviceMonitor.enabled=true,metrics.enabled=false",
            "metrics.serviceMonitor.enabled needs the Service that metrics.enabled makes",
        ),
        ("router.target=Gateway", "at '/router/target': value must be one of 'Envoy', 'GatewayAPI', 'Both'"),
        ("router.target=Both", "router.target: Both needs router.gateway.parents"),
        (
            f"{BOTH},fleet.create=true,fleet.spec.router.target=GatewayAPI",
            "fleet.spec.router.target: GatewayAPI is not router.target, Both: leave it out",
        ),
        (
            "router.autoscaling.enabled=true,router.autoscaling.minReplicas=20",
            "router.autoscaling.minReplicas: 20 is more than maxReplicas, 10",
        ),
    ],
)
def test_bad_values_are_refused_with_a_reason(renderer: Helm, given: str, said: str) -> None:
    with pytest.raises(HelmError) as refusal:
        renderer.template("--set", given)
    assert said in str(refusal.value)


def test_every_default_is_in_the_schema() -> None:
    """With additionalProperties false everywhere, a value that is missing from the schema could not be set."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def missing(values: Object, found: Object, path: str) -> list[str]:
        if "$ref" in found:
            found = schema["$defs"][found["$ref"].rpartition("/")[2]]
        if "properties" not in found:
            return []
        absent = [f"{path}.{key}" for key in values if key not in found["properties"]]
        below = [(key, value) for key, value in values.items() if isinstance(value, dict)]
        return absent + [
            each
            for key, value in below
            if key in found["properties"]
            for each in missing(value, found["properties"][key], f"{path}.{key}")
        ]

    assert missing(defaults, schema, "") == []


def test_kube_score_finds_what_is_excepted_and_nothing_else(
    render: Callable[..., list[Object]], tmp_path: Path
) -> None:
    """Exceptions, each with its reason, are in kube-score.yaml."""
    excepted = yaml.safe_load((FOLDER / "kube-score.yaml").read_text(encoding="utf-8"))
    used: list[Object] = []
    for values in SETS:
        for kind, check, comments in scored(render(values), tmp_path / values.name):
            fits = [
                each
                for each in excepted
                if (each["kind"], each["check"]) == (kind, check) and values.stem in each.get("sets", [values.stem])
            ]
            assert fits, f"{values.stem}: {kind}: {check}: {comments}"
            used += fits
    assert [each["check"] for each in excepted if each not in used] == []


def scored(objects: list[Object], path: Path) -> Iterator[tuple[str, str, str]]:
    """Kind, check and comments of everything that kube-score objects to."""
    known = ("Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler")
    path.write_text(yaml.safe_dump_all(of_kind(objects, *known)), encoding="utf-8")
    command = [str(ensure_tool("kube-score")), "score", "--output-format", "json", "--kubernetes-version", "v1.36"]
    done = subprocess.run([*command, str(path)], check=False, capture_output=True, text=True)
    for each in json.loads(done.stdout):
        for check in each["checks"]:
            if check["grade"] < BEST_GRADE and not check["skipped"]:
                said = "; ".join(f"{c['path']} {c['summary']}" for c in check["comments"])
                yield each["type_meta"]["kind"], check["check"]["id"], said
