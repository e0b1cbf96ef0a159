"""Why a demand is not served: for each situation, the link that is named as the cause and what it says to do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from atoll.domain.plan import PlanPhase
from atoll.reconcile.moments import format_moment
from atoll.report.pending import Chain, Evidence, pending_chain, waiting_pods
from reconcile.worlds import (
    NAMESPACE,
    NOW,
    ZONE,
    Raw,
    ago,
    demand_object,
    deployments,
    fleet_object,
    key,
    node_object,
    plan,
    planned,
    pods_of,
    pool_object,
    replicas,
    seen,
    stored,
    stored_plan,
)

POOL = pool_object("small")
WANTED = plan(planned(replicas("small", count=1)))
DEPLOYMENT = deployments(WANTED, demand_object(), POOL)[0]
PLANNED = stored_plan(WANTED)


def conditioned(obj: Raw, reason: str, *, status: str = "False", kind: str = "Ready", message: str = "m") -> Raw:
    condition = {"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": 1}
    known = obj.get("status", {}).get("conditions", [])
    return {**obj, "status": {"conditions": [*known, {**condition, "lastTransitionTime": ago(60)}]}}


WAITING = conditioned(demand_object(), "ReplicasPending")


def chain(*objects: Any, events: Mapping[str, list[Raw]] | None = None, claims: tuple[Raw, ...] = ()) -> Chain:
    flat = [obj for item in objects for obj in (item if isinstance(item, list) else [item])]
    pods = {(obj["metadata"]["namespace"], obj["metadata"]["name"]): obj for obj in flat if obj["kind"] == "Pod"}
    evidence = Evidence(pods=pods, events=events or {}, node_claims=claims, now=NOW)
    return pending_chain(seen(*objects), key(), evidence)


def cause(*objects: Any, **evidence: Any) -> tuple[str, str, str]:
    """Object, what it says and what to do."""
    found = chain(*objects, **evidence).cause
    assert found is not None
    return found.object, found.says, found.mend


def pod(node: str = "", **changes: Any) -> Raw:
    (found,) = pods_of(DEPLOYMENT, node, ready=False, age=100.0)
    status = {**found["status"], **changes.pop("status", {})}
    return {**found, **changes, "status": status}


def event(reason: str, message: str, seconds: float = 5.0) -> Raw:
    return {"reason": reason, "message": message, "lastTimestamp": ago(seconds), "metadata": {}}


def container(waits: str, message: str = "", **last: Any) -> Raw:
    state: Raw = {"state": {"waiting": {"reason": waits, "message": message}}, "restartCount": 3}
    return {"containerStatuses": [state | ({"lastState": {"terminated": last}} if last else {})]}


def claim(condition: str, status: str, message: str = "") -> Raw:
    labels = node_object("x")["metadata"]["labels"]
    conditions = [{"type": condition, "status": status, "reason": "R", "message": message}]
    return {"metadata": {"name": "claim-1", "labels": labels}, "status": {"conditions": conditions}}


def masked() -> Raw:
    until = format_moment(NOW.replace(hour=11))
    offering = {"zone": ZONE, "capacityType": "on-demand", "maskedUntil": until, "maskedReason": "none came"}
    return {**POOL, "status": {"offerings": [offering]}}


BEFORE_POD = (fleet_object(), WAITING, POOL, PLANNED, stored(DEPLOYMENT))


def test_what_serves_has_no_cause() -> None:
    ready = conditioned(demand_object(), "Serving", status="True")
    found = chain(
        fleet_object(), ready, POOL, PLANNED, stored(DEPLOYMENT), node_object("s0"), pods_of(DEPLOYMENT, "s0")
    )

    assert found.cause is None
    assert found.as_json()["served"]
    assert [link.object.split()[0] for link in found.links] == ["ModelDemand", "Fleet", "FleetPlan", "Deployment"]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param(
            [fleet_object(), conditioned(demand_object(rate=-1.0), "InvalidSpec"), POOL],
            ("ModelDemand team-a/chat", "InvalidSpec", ""),
            id="a fault of its own",
        ),
        pytest.param(
            [
                fleet_object(),
                demand_object(),
                POOL,
                PLANNED,
                stored(DEPLOYMENT),
                node_object("s0"),
                pods_of(DEPLOYMENT, "s0"),
            ],
            ("ModelDemand team-a/chat", "has not looked at generation 1 yet", "doctor"),
            id="nobody looks",
        ),
        pytest.param(
            [fleet_object(), conditioned(demand_object(), "ImpossibleObjectives"), POOL],
            ("ModelDemand team-a/chat", "ImpossibleObjectives", "relax spec.objectives"),
            id="no strategy meets its objectives",
        ),
        pytest.param(
            [fleet_object(mode="Paused"), WAITING, POOL], ("Fleet default", "is Paused", "Automatic"), id="paused"
        ),
        pytest.param(
            [conditioned(fleet_object(), "SolverFailed", kind="Planned"), WAITING, POOL],
            ("Fleet default", "SolverFailed", "doctor"),
            id="the solver fails",
        ),
        pytest.param([fleet_object(), WAITING, POOL], ("FleetPlan", "none is in force yet", ""), id="no plan yet"),
        pytest.param(
            [fleet_object(), WAITING, POOL, stored_plan(replace(WANTED, approved=False), PlanPhase.PROPOSED)],
            (f"FleetPlan {WANTED.name}", "waits for approval", f"kubectl atoll approve {WANTED.name}"),
            id="waits for approval",
        ),
        pytest.param(
            [fleet_object(), WAITING, POOL, stored_plan(plan(planned(shortfall=10.0, unmet=("QuotaReached",))))],
            ("FleetPlan", "serves 0 of 10 requests/s; QuotaReached", "spec.quotas"),
            id="a quota",
        ),
        pytest.param(
            [fleet_object(), WAITING, POOL, stored_plan(plan(planned(replicas("small"), shortfall=4.0)))],
            ("FleetPlan", "serves 6 of 10 requests/s", "maxNodes"),
            id="a shortfall",
        ),
        pytest.param(
            [fleet_object(), WAITING, POOL, PLANNED],
            ("Deployments of team-a/chat", "1 replica on small/us-east-2a/on-demand not started", ""),
            id="not started yet",
        ),
        pytest.param(
            [
                *BEFORE_POD[:4],
                conditioned(stored(DEPLOYMENT), "FailedCreate", status="True", kind="ReplicaFailure", message="quota"),
            ],
            ("Deployment team-a/chat-", "pods are refused: FailedCreate: quota", "quota"),
            id="its pods are refused",
        ),
    ],
)
def test_what_stands_in_the_way_before_there_is_a_pod(objects: list[Any], expected: tuple[str, str, str]) -> None:
    for found, part in zip(cause(*objects), expected, strict=True):
        assert part in found


UNSCHEDULED = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]}
TAINTED = {
    "conditions": [
        {"type": "PodScheduled", "status": "False", "message": "1 node(s) had untolerated taint {team: research}"}
    ]
}
CLASSLESS = {
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "message": "request gpu: device class gpu.nvidia.com does not exist",
        }
    ]
}


@pytest.mark.parametrize(
    ("pods", "evidence", "says", "mend"),
    [
        pytest.param([pod(status=UNSCHEDULED)], {}, "waits for a node", "masked in 260 s", id="no node yet"),
        pytest.param(
            [pod(status=TAINTED)], {}, "untolerated taint", "'team: research' to spec.tolerations", id="taint"
        ),
        pytest.param(
            [pod(status={"conditions": [{"type": "PodScheduled", "message": "2 node(s) had untolerated taint(s)"}]})],
            {},
            "untolerated taint(s)",
            "doctor names them",
            id="taints that are not named",
        ),
        pytest.param([pod()], {}, "no scheduler has looked at it", "run the scheduler", id="no such scheduler"),
        pytest.param(
            [pod(status=UNSCHEDULED)],
            {"claims": (claim("Launched", "False", "no capacity"),)},
            "claim-1 does not launch: R: no capacity",
            "masked soon",
            id="its claim does not launch",
        ),
        pytest.param(
            [pod(status=UNSCHEDULED)],
            {"claims": (claim("Launched", "True"),)},
            "claim-1 launched, waits to register",
            "",
            id="its node comes",
        ),
        pytest.param(
            [pod(status=CLASSLESS)],
            {},
            "device class gpu.nvidia.com does not exist",
            "mend spec.gpu.deviceClass",
            id="its device class is not there",
        ),
        pytest.param(
            [pod(status=UNSCHEDULED)],
            {"said": [event("TriggeredScaleUp", "0->1", 50.0), event("NotTriggerScaleUp", "max size reached")]},
            "the cluster autoscaler makes no node for it: max size reached",
            "offerings[].nodeSelector",
            id="the cluster autoscaler refuses",
        ),
        pytest.param(
            [pod(status=UNSCHEDULED)],
            {"said": [event("NotTriggerScaleUp", "max size reached", 50.0), event("TriggeredScaleUp", "group 0->1")]},
            "the cluster autoscaler makes a node for it: group 0->1",
            "",
            id="the cluster autoscaler makes a node",
        ),
        pytest.param(
            [pods_of(DEPLOYMENT, "", ready=False, gates=("kueue.x-k8s.io/admission",))[0]],
            {},
            "waits for quota in LocalQueue",
            "describe workloads.kueue.x-k8s.io",
            id="Kueue has not admitted it",
        ),
        pytest.param(
            [pods_of(DEPLOYMENT, "", ready=False, gates=("example.com/gate",))[0]],
            {},
            "scheduling gate example.com/gate holds a pod back",
            "has to lift it",
            id="another gate",
        ),
        pytest.param(
            [pod("s0", status=container("ImagePullBackOff", "not found"))],
            {},
            "ImagePullBackOff: not found",
            "spec.engine.image",
            id="its image cannot be pulled",
        ),
        pytest.param(
            [pod("s0", status=container("CrashLoopBackOff", "", exitCode=137, reason="OOMKilled"))],
            {},
            "last exit code 137, out of memory",
            f"kubectl logs -n {NAMESPACE}",
            id="it crashes",
        ),
        pytest.param(
            [pod("s0", status=container("ContainerCreating"))],
            {"volume": event("FailedMount", "secret hf not found")},
            "secret hf not found",
            "exists",
            id="a volume",
        ),
        pytest.param([pod("s0")], {}, "the engine starts on s0", "kubectl logs", id="it starts"),
    ],
)
def test_what_a_pod_waits_for(pods: list[Raw], evidence: dict[str, Any], says: str, mend: str) -> None:
    volume = evidence.get("volume")
    events = {pods[0]["metadata"]["uid"]: [event("FailedMount", "older", 50.0), volume]} if volume else {}
    if "said" in evidence:
        events = {pods[0]["metadata"]["uid"]: evidence["said"]}
    nodes = [node_object("s0")] if pods[0]["spec"].get("nodeName") else []

    name, said, todo = cause(*BEFORE_POD, *nodes, pods, events=events, claims=evidence.get("claims", ()))

    assert name == f"Pod {NAMESPACE}/{pods[0]['metadata']['name']}"
    assert says in said
    assert mend in todo


def test_a_masked_offering_says_until_when() -> None:
    _, said, _ = cause(*BEFORE_POD[:2], masked(), *BEFORE_POD[3:], pod(status=UNSCHEDULED))

    assert "masked until 2026-11-21T11:00:00Z: none came" in said


def test_a_lost_node_is_told_and_nothing_is_to_be_done() -> None:
    _, said, todo = cause(*BEFORE_POD, pods_of(DEPLOYMENT, "gone"))

    assert "its node gone is gone" in said
    assert todo == ""


def test_of_many_pods_a_few_are_told_and_the_rest_counted() -> None:
    many = plan(planned(replicas("small", count=5)))
    deployment = deployments(many, demand_object(), POOL)[0]
    objects = [*BEFORE_POD[:3], stored_plan(many), stored(deployment), pods_of(deployment, *[""] * 5, ready=False)]

    links = chain(*objects).links

    assert sum(link.object.startswith("Pod ") for link in links) == 3
    assert links[-1].says == "2 more are not Ready either"
    assert len(waiting_pods(seen(*objects), key())) == 3
