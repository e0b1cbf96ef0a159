"""The API server takes our CRDs and examples, and refuses what its schemas and rules can refuse."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api import samples
from api.bad import CASES, Bad
from api.plans import plan
from atoll.api.fleetplan_io import parse_fleet_plan, plan_objects
from atoll.local.controlplane import ControlPlane

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[1]
STRICT = ("--server-side", "--validate=strict", "--force-conflicts")


class Kubectl:
    """The built kubectl, with the administrator's rights."""

    def __init__(self, plane: ControlPlane) -> None:
        self._command = (str(plane.kubectl_path), "--kubeconfig", str(plane.kubeconfig))

    def __call__(self, *arguments: str, given: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        text = None if given is None else json.dumps(given)
        return subprocess.run((*self._command, *arguments), input=text, text=True, capture_output=True, check=False)

    def dry_run(self, obj: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        metadata = {"name": obj["metadata"]["name"]}
        if obj["kind"] == "ModelDemand":
            metadata["namespace"] = "default"
        written = {name: value for name, value in obj.items() if name != "status"} | {"metadata": metadata}
        return self("apply", *STRICT, "--dry-run=server", "-f", "-", given=written)


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    found = Kubectl(control_plane)
    applied = found("apply", *STRICT, "-f", str(ROOT / "crds"))
    assert applied.returncode == 0, applied.stderr
    waited = found("wait", "--for=condition=Established", "--timeout=120s", "-f", str(ROOT / "crds"))
    assert waited.returncode == 0, waited.stderr
    return found


def test_the_examples_are_admitted(kubectl: Kubectl) -> None:
    applied = kubectl("apply", *STRICT, "--dry-run=server", "-f", str(ROOT / "examples" / "coral-six"))
    assert applied.returncode == 0, applied.stderr
    assert applied.stdout.count("serverside-applied") == 6 + 52 + 1


@pytest.mark.parametrize(
    "make",
    [
        samples.model_demand,
        samples.inline_demand,
        samples.scheduled_demand,
        samples.measured_demand,
        samples.gpu_node_pool,
        samples.fleet,
        samples.performance_profile,
    ],
    ids=lambda make: make.__name__,
)
def test_every_field_is_admitted(kubectl: Kubectl, make: Any) -> None:
    applied = kubectl.dry_run(make())
    assert applied.returncode == 0, applied.stderr


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_bad_objects_are_refused_where_a_rule_can_tell(kubectl: Kubectl, bad: Bad) -> None:
    applied = kubectl.dry_run(bad.obj())
    assert (applied.returncode == 0) == bad.admitted, applied.stderr


def test_a_plan_is_immutable_but_for_its_approval(kubectl: Kubectl) -> None:
    wanted = replace(plan(), approved=False)
    created = kubectl("create", "-f", "-", given=plan_objects(wanted)[0])
    assert created.returncode == 0, created.stderr

    def patch(spec: dict[str, Any]) -> str:
        text = json.dumps({"spec": spec})
        return kubectl("patch", "fleetplan", wanted.name, "--type=merge", "-p", text).stderr

    try:
        fixed: list[dict[str, Any]] = [
            {"fleet": "silver"},
            {"basis": "other"},
            {"costPerHour": 1},
            {"boundPerHour": 0},
            {"rollbackOf": ""},
            {"demands": []},
            {"nodes": None},
            {"shards": 1},
        ]
        for spec in fixed:
            assert "is immutable" in patch(spec), spec
        assert "shard is immutable" in patch({"shard": {"of": "x", "index": 1}})
        assert patch({"approved": True}) == ""
        assert "cannot be taken back" in patch({"approved": False})
        stored = json.loads(kubectl("get", "fleetplan", wanted.name, "-o", "json").stdout)
        read = parse_fleet_plan([stored])
        assert replace(read, uid="", created="") == replace(wanted, approved=True)
    finally:
        kubectl("delete", "fleetplan", wanted.name)


def test_the_fleet_of_a_demand_is_immutable(kubectl: Kubectl) -> None:
    obj = samples.model_demand()
    obj["metadata"] = {"name": "stays", "namespace": "default"}
    obj["spec"]["fleet"] = "nobody-s"
    del obj["status"]
    created = kubectl("create", "-f", "-", given=obj)
    assert created.returncode == 0, created.stderr
    try:
        text = '{"spec":{"fleet":"default"}}'
        assert "is immutable" in kubectl("patch", "modeldemand", "stays", "--type=merge", "-p", text).stderr
    finally:
        kubectl("delete", "modeldemand", "stays")
