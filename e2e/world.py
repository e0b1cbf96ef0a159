"""One Atoll on a local cluster, as end-to-end tests see it: what users do to it, what they read, what they wait for."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from atoll.api.manifests import load_manifests
from atoll.local import audit
from atoll.local.binaries import Binaries
from atoll.local.controlplane import ControlPlane, Profile, Provisioning
from atoll.local.credentials import OPERATOR
from atoll.local.errors import LocalEnvironmentError
from atoll.local.fleet import NAMESPACE, OPERATOR_PROCESS, LocalFleet, resource_path
from atoll.local.karpenter import NODE_CLAIMS
from atoll.local.kwok import Pace
from atoll.local.offerings import offerings_of
from atoll.render import names

MANIFESTS = Path(__file__).parent / "manifests"
ATOLL = "/apis/atoll.dev/v1alpha1"
DEMANDS = f"{ATOLL}/namespaces/default/modeldemands"
FLEET = f"{ATOLL}/fleets/default"
PLANS = f"{ATOLL}/fleetplans"
POOLS = f"{ATOLL}/gpunodepools"
DEPLOYMENTS = "/apis/apps/v1/deployments"
PODS = "/api/v1/pods"
NODES = "/api/v1/nodes"
SERVICES = "/api/v1/services"
BUDGETS = "/apis/policy/v1/poddisruptionbudgets"
ROUTER_CONFIG = f"/api/v1/namespaces/{NAMESPACE}/configmaps/atoll-router"

PACE = Pace(pod_start_seconds=0.5, pod_stop_seconds=1, node_start_seconds=1)

MANAGED = "app.kubernetes.io/managed-by=atoll"
ENGINES = f"{MANAGED},{names.STRATEGY}"

MOVE_SECONDS = 90.0
"""Longest time that a move may take here: nodes, start and drain are seconds."""

PATIENCE = 3.0
"""Times are told for two cores that do nothing else; a slower or busier machine gets so many times as much."""

ADMIN = "cluster-admin"
_NO_CHANGE = {"leases", "selfsubjectaccessreviews"}
_POLL_SECONDS = 0.1
_TAIL_LINES = 40

SOLVING, DECIDED = "solving (", "decided default-"
"""How the operator says that it begins to think about another plan, and that it has."""

Object = dict[str, Any]
T = TypeVar("T")


class World:
    """A cluster with Atoll on it. Reads are live; waits have a deadline and say what they wait for."""

    def __init__(self, plane: ControlPlane, fleet: LocalFleet, folder: Path) -> None:
        self.plane = plane
        self.fleet = fleet
        self.api = plane.api()
        self.manifests = documents(folder)
        self.operator_user = OPERATOR
        self.operator_process = OPERATOR_PROCESS
        self.patience = PATIENCE

    # What users do.

    def apply(self, obj: Mapping[str, Any]) -> Object:
        """Apply one manifest."""
        return self.api.apply(resource_path(obj), self.fleet.localised(obj))

    def manifest(self, kind: str, name: str = "") -> Object:
        """A copy of one of the folder's manifests, to be changed and applied."""
        return deepcopy(next(o for o in self.manifests if o["kind"] == kind and name in ("", o["metadata"]["name"])))

    def demand_at(self, name: str, rate: float) -> Object:
        """A manifest with another rate."""
        obj = self.manifest("ModelDemand", name)
        obj["spec"]["demand"]["requestsPerSecond"] = rate
        return obj

    def delete(self, kind: str, name: str) -> None:
        """Delete one of our objects."""
        self.api.delete(resource_path({"kind": kind, "metadata": {"name": name}}))

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """What the built kubectl answers to the administrator."""
        # A cache of its own: kubectl remembers a cluster by its port, which another cluster may have had.
        own = (f"--kubeconfig={self.plane.kubeconfig}", f"--cache-dir={self.plane.state.root / 'kubectl'}")
        command = [str(self.plane.kubectl_path), *own, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout if done.returncode == 0 else done.stderr

    def restore(self) -> None:
        """Make everything declared as the folder's manifests say, nothing else; wait until that is thought about."""
        wanted, begun = {resource_path(obj) for obj in self.manifests}, -1
        for collection in ("modeldemands", "gpunodepools"):
            for obj in self.api.list(f"{ATOLL}/{collection}"):
                if (path := resource_path({**obj, "kind": obj.get("kind") or KIND_OF[collection]})) not in wanted:
                    self.api.delete(path)
        for obj in self.manifests:
            before, solves = self.api.get(resource_path(obj)), self.logged(SOLVING)
            after = self.apply(obj)
            if obj["kind"] == "GPUNodePool" and (before is None or generation(before) != generation(after)):
                begun = solves
        if begun >= 0:  # no demand says so; one that was under way does not know of the last pool
            self.wait(lambda: self.logged(SOLVING) > begun, "another plan is thought about with other pools", 30)

    # What users read.

    def demand(self, name: str) -> Object:
        """One ModelDemand of namespace default."""
        found = self.api.get(f"{DEMANDS}/{name}")
        assert found is not None, f"no demand {name}"
        return found

    def demands(self) -> list[Object]:
        return self.api.list(f"{ATOLL}/modeldemands")

    def condition(self, obj: Mapping[str, Any], kind: str = "Ready") -> Object:
        """A condition that is about the object as it is now; empty where there is none."""
        conditions = obj.get("status", {}).get("conditions", [])
        found: Object = next((c for c in conditions if c["type"] == kind), {})
        return found if found.get("observedGeneration") == obj["metadata"]["generation"] else {}

    def ready(self, name: str) -> Object:
        """Condition Ready of a demand."""
        return self.condition(self.demand(name))

    def policy(self) -> Object:
        """The Fleet."""
        found = self.api.get(FLEET)
        assert found is not None
        return found

    def plan(self) -> Object | None:
        """The plan in force."""
        name = self.policy().get("status", {}).get("currentPlan")
        return self.api.get(f"{PLANS}/{name}") if name else None

    def plans(self, phase: str = "") -> list[Object]:
        found = self.api.list(PLANS)
        return [p for p in found if not phase or p.get("status", {}).get("phase") == phase]

    def deployments(self, demand: str = "") -> list[Object]:
        """Engine Deployments, of one demand where named."""
        return self.api.list(DEPLOYMENTS, selector=ENGINES + (f",{names.DEMAND}={demand}" if demand else ""))

    def pods(self, demand: str = "") -> list[Object]:
        """Engine pods, of one demand where named."""
        return self.api.list(PODS, selector=ENGINES + (f",{names.DEMAND}={demand}" if demand else ""))

    def companions(self) -> list[Object]:
        """Services and disruption budgets of demands."""
        return [
            {**obj, "kind": kind}
            for kind, path in (("Service", SERVICES), ("PodDisruptionBudget", BUDGETS))
            for obj in self.api.list(path, selector=f"{MANAGED},{names.DEMAND}")
        ]

    def children(self) -> dict[str, int]:
        """What was made for demands, and the router's configuration version; the same for the same end."""
        found = {f"Deployment {o['metadata']['name']}": o["spec"]["replicas"] for o in self.deployments()}
        for obj in self.companions():
            found[f"{obj['kind']} {obj['metadata']['name']}"] = 1
        config = self.api.get(ROUTER_CONFIG)
        found[f"router {config['metadata']['annotations'][names.ROUTER_VERSION] if config else ''}"] = 1
        return found

    def said(self) -> str:
        """All that the operator has said so far."""
        path = self.plane.processes.log(self.operator_process)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def operator_log(self) -> str:
        """The end of the operator's log."""
        return "\n".join(self.said().splitlines()[-_TAIL_LINES:])

    def logged(self, text: str) -> int:
        """How often the operator has said something so far."""
        return self.said().count(text)

    def decisions(self) -> int:
        """How often the operator has decided on a plan, the same one or another."""
        return self.logged(DECIDED)

    def is_deciding(self) -> bool:
        """Whether the operator thinks about another plan just now."""
        said = self.said()
        return said.rfind(SOLVING) > max(said.rfind(each) for each in (DECIDED, "no decision: ", "planner failed"))

    def spare_nodes(self) -> set[str]:
        """Nodes that Karpenter makes or will take away again: those of its nodes on which nothing is."""
        claims = (self.api.get(NODE_CLAIMS) or {"items": []})["items"]
        used = {pod["spec"].get("nodeName") for pod in self.api.list(PODS)}
        return {c["metadata"]["name"] for c in claims if c.get("status", {}).get("nodeName") not in used}

    def writes(self) -> list[audit.Write]:
        """The operator's writes so far, but for its Lease and for reviews, which ask and store nothing."""
        return [w for w in audit.writes(self.plane.audit_log, user=self.operator_user) if w.resource not in _NO_CHANGE]

    def renewed_at(self) -> list[datetime]:
        """When the operator renewed its Lease so far, by the API server's clock."""
        found = audit.writes(self.plane.audit_log, user=self.operator_user)
        return [datetime.fromisoformat(w.at) for w in found if w.resource == "leases" and w.status == 200]

    def renewals(self) -> int:
        """How often the operator renewed its Lease so far."""
        return len(self.renewed_at())

    # What users wait for.

    def wait(self, condition: Callable[[], T], what: str, seconds: float = MOVE_SECONDS) -> T:
        """Wait until the condition holds, and answer with what it gave; an API server that is away is waited for."""
        seconds *= self.patience
        deadline = time.monotonic() + seconds
        while True:
            try:
                if found := condition():
                    return found
            except (httpx.TransportError, LocalEnvironmentError) as error:
                last = f"; last error: {error}"
            else:
                last = ""
            self.plane.processes.check()
            assert time.monotonic() < deadline, f"not so after {seconds:.0f} s: {what}{last}\n{self.picture()}"
            time.sleep(_POLL_SECONDS)

    def is_settled(self) -> bool:
        """Every demand is Ready as it is declared now, nothing moves or is about to, no former plan left anything."""
        plan = self.plan()
        if plan is None or plan.get("status", {}).get("phase") != "Completed":
            return False
        if self.condition(self.policy()).get("status") != "True":
            return False
        demands = self.demands()
        if any(self.condition(o).get("status") != "True" for o in demands):
            return False
        wanted = {i["name"]: sum(r["count"] * len(r["strategy"]["stages"]) for r in i["replicas"]) for i in rows(plan)}
        if set(wanted) != {o["metadata"]["name"] for o in demands}:
            return False
        pods = self.pods()
        if not len(pods) == sum(map(is_serving, pods)) == sum(wanted.values()):
            return False
        return all(any(selects(each, pod) for pod in pods) for each in self.companions()) and not self.is_deciding()

    def settle(self, what: str = "the fleet serves", seconds: float = MOVE_SECONDS) -> None:
        """Wait until everything is settled."""
        self.wait(self.is_settled, what, seconds)

    def await_reason(self, name: str, reason: str, seconds: float = 30) -> Object:
        """Wait until a demand's Ready has this reason; the condition."""

        def found() -> Object | None:
            ready = self.ready(name)
            return ready if ready.get("reason") == reason else None

        return self.wait(found, f"{name} is {reason}", seconds) or {}

    def calm(self) -> None:
        """Wait until nothing was written for a while: what people read follows a move a little later."""

        def is_calm() -> bool:
            return not self.quiet_window(renewals=2) and not self.is_deciding()

        self.wait(is_calm, "nothing is written any more", 60)

    def converge(self) -> None:
        """Wait until nothing is written, and no node comes or goes: pools tell of nodes, which go long after pods."""
        self.wait(lambda: not self.spare_nodes(), "Karpenter has taken away what nobody uses")
        self.calm()

    def quiet_window(self, renewals: int = 11) -> list[audit.Write]:
        """What the operator writes while it renews its Lease so many times, which is every two seconds."""
        before, start = len(self.writes()), self.renewals()
        self.wait(lambda: self.renewals() >= start + renewals, f"{renewals} renewals", seconds=4.0 * renewals)
        return self.writes()[before:]

    def picture(self) -> str:
        """What there is, and what the operator said last, for a failed test."""
        reasons = (
            "custom-columns=NAME:.metadata.name,REASON:.status.conditions[*].reason,WHY:.status.conditions[*].message"
        )
        asked = ("get md,fleet,plan,gnp -A", f"get md,fleet -A -o {reasons}", "get deploy,pods -A -o wide", "get nodes")
        seen = [self.kubectl(*arguments.split(), check=False) for arguments in asked]
        return "\n".join((*seen, self.operator_log()))

    def close(self) -> None:
        self.api.close()


def generation(obj: Mapping[str, Any]) -> int:
    """Which version of what people declared it is."""
    return int(obj["metadata"]["generation"])


KIND_OF = {"modeldemands": "ModelDemand", "gpunodepools": "GPUNodePool"}


def documents(path: Path) -> list[Object]:
    """All manifests of a file or folder, the Fleet first."""
    files = sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
    found = [obj for file in files for obj in yaml.safe_load_all(file.read_text(encoding="utf-8")) if obj]
    return sorted(found, key=lambda obj: obj["kind"] != "Fleet")


def rows(plan: Mapping[str, Any]) -> list[Object]:
    """What a FleetPlan does for each demand."""
    return list(plan["spec"].get("demands", []))


def selects(companion: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether a Service or budget is for a pod."""
    selector = companion["spec"]["selector"]
    return bool(selector.get("matchLabels", selector).items() <= pod["metadata"]["labels"].items())


def is_serving(pod: Mapping[str, Any]) -> bool:
    """Ready, routable where it is a leader, and staying."""
    conditions = pod.get("status", {}).get("conditions", [])
    return (
        any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        and "deletionTimestamp" not in pod["metadata"]
        and pod["metadata"]["labels"].get(names.ROUTABLE, "true") == "true"
    )


@contextmanager
def cluster(
    binaries: Binaries,
    state: Path,
    folder: Path,
    *,
    provisioning: Provisioning = Provisioning.KARPENTER,
    role: str = ADMIN,
) -> Iterator[World]:
    """A fresh cluster that sells what the folder's pools offer; nothing of Atoll is on it yet."""
    profile = Profile(
        offerings=offerings_of(load_manifests([folder]).pools),
        provisioning=provisioning,
        pace=PACE,
        operator_cluster_role=role,
    )
    with ControlPlane(binaries=binaries, state_directory=state) as plane:
        plane.start(profile)
        # As a container that is restarted in its pod: it takes its own Lease again at once.
        with LocalFleet(plane, environment={"ATOLL_IDENTITY": "e2e-1"}) as fleet:
            world = World(plane, fleet, folder)
            yield world
            world.close()
            # A router that crashed was started again, so that each test says what it is about; this says the rest.
            assert fleet.router.ends == (), f"Envoy ended by itself, see {plane.processes.log('envoy')}"


@contextmanager
def serving(binaries: Binaries, state: Path, folder: Path, **given: Any) -> Iterator[World]:
    """A cluster on which Atoll serves the folder's manifests."""
    with cluster(binaries, state, folder, **given) as world:
        world.fleet.install()
        world.fleet.start_router()
        world.fleet.start_operator()
        world.restore()
        world.settle()
        yield world
