"""What platform teams do by GitOps and by `kubectl atoll`, on a real cluster: no fights, rollbacks, answers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.world import MANIFESTS, World, serving

from atoll.local.binaries import Binaries
from atoll.local.controlplane import Provisioning

pytestmark = pytest.mark.timeout(900)

OVERLAYS = Path(__file__).parents[1] / "examples" / "gitops" / "overlays"
ARGO = "argocd-controller"


@pytest.fixture(scope="module")
def world(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    state = tmp_path_factory.mktemp("kubectl")
    with serving(binaries, state, MANIFESTS / "fleet", provisioning=Provisioning.FIXED) as world:
        yield world


def plugin(world: World, *arguments: str, code: int = 0) -> str:
    """What ``kubectl atoll`` says: kubectl finds the plugin in PATH."""
    binaries = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "KUBECONFIG": str(world.plane.kubeconfig),
        "COLUMNS": "120",
    }
    command = [str(world.plane.kubectl_path), "atoll", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def told(world: World, *arguments: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plugin(world, *arguments, "--json", code=code))
    return found


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_an_overlay_of_the_example_is_built_planned_and_taken_by_the_api_server(world: World, overlay: str) -> None:
    built = world.kubectl("kustomize", str(OVERLAYS / overlay))
    path = world.plane.state.root / f"{overlay}.yaml"
    path.write_text(built)

    for name in ("team-a", "team-b"):  # a dry run makes no namespace that the next object could be in
        world.kubectl("apply", "--server-side", "-f", str(path.parent / namespace(path.parent, name)))
    argo = ("--server-side", "--force-conflicts", f"--field-manager={ARGO}")  # the tests' own fleet has such pools too
    said = world.kubectl("apply", *argo, "--dry-run=server", "-f", str(path))

    assert said.count("modeldemand.atoll.dev/") == 2
    assert plugin(world, "plan", "-f", str(path), "--no-baseline", "--format", "markdown").startswith(
        "### Fleet plan: ✅"
    )


def namespace(folder: Path, name: str) -> str:
    """A manifest of a namespace."""
    (folder / f"{name}.yaml").write_text(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
    return f"{name}.yaml"


def test_r17_who_applies_the_same_again_and_again_meets_no_fight(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "git"
    folder.mkdir()
    for number, obj in enumerate(world.manifests):
        (folder / f"{number}.yaml").write_text(json.dumps(world.fleet.localised(obj)))

    def sync() -> None:
        """As Argo CD does it with ServerSideApply; it would fail on a conflict if it did not force."""
        world.kubectl("apply", "--server-side", "--force-conflicts", f"--field-manager={ARGO}", "-f", str(folder))

    sync()  # takes over from whoever applied before
    world.settle()
    world.calm()
    before, writes = versions(world), len(world.writes())
    for _ in range(4):
        sync()
        assert world.quiet_window(renewals=3) == []
        refused = world.kubectl("apply", "--server-side", f"--field-manager={ARGO}", "-f", str(folder), check=False)
        assert "conflict" not in refused

    assert world.writes()[writes:] == []
    assert versions(world) == before
    for obj in (world.policy(), *world.demands()):
        owners = {entry["manager"]: set(entry["fieldsV1"]) for entry in managed(world, obj)}
        assert owners["atoll"] == {"f:status"}, "the operator owns what it tells, and nothing of what is declared"
        assert "f:spec" in owners[ARGO]
        assert "f:status" not in owners[ARGO]


def versions(world: World) -> dict[str, str]:
    """Resource versions of everything that people or the operator write for this fleet."""
    objects = [world.policy(), *world.demands(), *world.plans(), *world.deployments(), *world.companions()]
    return {obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"] for obj in objects}


def managed(world: World, obj: dict[str, Any]) -> list[dict[str, Any]]:
    metadata = obj["metadata"]
    where = ["-n", metadata["namespace"]] if "namespace" in metadata else []
    kind = "fleet" if "namespace" not in metadata else "modeldemand"
    text = world.kubectl("get", kind, metadata["name"], *where, "-o", "json", "--show-managed-fields")
    found: list[dict[str, Any]] = json.loads(text)["metadata"]["managedFields"]
    return found


def test_the_fleet_is_rolled_back_stays_so_and_goes_on_once_approved(world: World) -> None:
    former, small = world.plan(), shape(world, "phi-4")
    assert former is not None
    world.apply(world.demand_at("phi-4", 12))
    world.wait(lambda: (world.plan() or former)["metadata"]["name"] != former["metadata"]["name"], "it grows", 30)
    world.settle()
    assert shape(world, "phi-4") != small

    report = json.loads(plugin(world, "rollback", former["metadata"]["name"], "--wait", "--timeout", "8m", "--json"))
    assert report["phase"] == "Completed"
    assert shape(world, "phi-4") == small
    back = world.plan()
    assert back is not None
    assert back["spec"]["rollbackOf"] == former["metadata"]["name"]
    assert world.await_reason("phi-4", "AwaitingApproval")
    world.wait(
        lambda: mend(world, "phi-4").startswith("kubectl atoll approve default-"), "it says whom to wait for", 30
    )
    world.calm()
    assert world.quiet_window(renewals=3) == []

    world.fleet.kill_operator()
    decided = world.decisions()
    world.fleet.start_operator()
    world.wait(lambda: world.decisions() > decided, "it decides again", 30)
    world.quiet_window(renewals=4)
    assert (world.plan() or {})["metadata"]["name"] == back["metadata"]["name"], "a restart changes nothing"

    assert json.loads(plugin(world, "approve", "--yes", "--wait", "--timeout", "8m", "--json"))["phase"] == "Completed"
    world.settle()
    assert world.demand("phi-4")["status"]["servedRate"] >= 12


def mend(world: World, demand: str) -> str:
    """What `why-pending` says is to be done for a demand; empty where it says nothing."""
    for row in told(world, "why-pending", demand)["demands"]:
        found: str = (row.get("cause") or {}).get("mend") or ""
        return found
    return ""


def shape(world: World, demand: str) -> dict[str, int]:
    """Replicas by Deployment."""
    return {obj["metadata"]["name"]: obj["spec"]["replicas"] for obj in world.deployments(demand)}


def test_the_plugin_answers_what_people_ask(world: World) -> None:
    world.restore()
    world.settle()
    screen = plugin(world, "top")
    assert "phi-4" in screen
    assert "\x1b" not in screen
    assert {row["name"]: row["state"]["ready"] for row in told(world, "top")["demands"]} == {
        "phi-4": True,
        "gpt-oss-20b": True,
    }
    assert told(world, "diff")["replicasStarted"] == 0
    assert told(world, "why-pending")["demands"] == []
    assert told(world, "plan")["plan"]["phase"] == "Completed"
    checks = {
        row["name"]: row["result"] for row in told(world, "doctor", "--operator-user", "atoll-operator")["checks"]
    }
    assert set(checks.values()) <= {"Ok", "Skipped", "Warning"}
    assert checks["operator"] == checks["permissions"] == checks["router"] == "Ok"

    world.calm()
    writes = len(world.writes())
    doubled = told(world, "what-if", "--demand", "phi-4=2x", "--deadline", "20s")
    assert doubled["moreCostPerHour"] > 0
    assert world.writes()[writes:] == []


def test_a_pod_whose_node_never_comes_is_found_by_why_pending(world: World) -> None:
    for node in world.api.list("/api/v1/nodes"):
        world.kubectl("taint", "node", node["metadata"]["name"], "research=only:NoSchedule", "--overwrite")
    world.apply(world.demand_at("phi-4", 9))
    world.wait(lambda: any("nodeName" not in pod["spec"] for pod in world.pods("phi-4")), "a pod waits", 30)
    world.wait(lambda: "spec.tolerations" in mend(world, "phi-4"), "the taint is named", 30)
    doctor = told(world, "doctor", code=1)
    assert any("research" in row["says"] and row["result"] == "Failed" for row in doctor["checks"])
