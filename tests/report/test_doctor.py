"""What the doctor says of each thing that is commonly missing, and that all is well where nothing is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atoll.domain.objects import ObjectLike
from atoll.reconcile.moments import format_moment
from atoll.report.doctor import Facts, Result, checks
from reconcile.worlds import NOW, Raw, demand_object, fleet_object, node_object, pool_object, seen


def conditions(obj: Raw, **statuses: str) -> Raw:
    found = [
        {"type": kind, "status": status, "reason": "Because", "message": "m", "observedGeneration": 1}
        for kind, status in statuses.items()
    ]
    return {**obj, "status": {"conditions": found}}


def lease(age: float = 3.0, holder: str = "pod-1") -> Raw:
    spec = {
        "holderIdentity": holder,
        "renewTime": format_moment(NOW - timedelta(seconds=age)),
        "leaseDurationSeconds": 15,
    }
    return {"metadata": {"namespace": "atoll-system", "name": "atoll-operator"}, "spec": spec}


def node(**changes: Any) -> Raw:
    found = node_object("s0")
    found["metadata"]["labels"] |= changes.pop("labels", {})
    if "gpus" in changes:
        found["status"]["allocatable"] = {"nvidia.com/gpu": str(changes.pop("gpus"))}
    found["spec"] = changes
    return found


WELL: list[ObjectLike] = [
    conditions(fleet_object(), Ready="True", Planned="True", Routed="True"),
    conditions(demand_object(), Ready="True"),
    pool_object(),
    node(),
]


def facts(objects: list[ObjectLike] | None = None, **other: Any) -> Facts:
    objects = WELL if objects is None else objects
    base = Facts(
        snapshot=seen(*objects),
        nodes=[obj for obj in objects if obj["kind"] == "Node"],
        leases=[lease()],
        missing_fields={"Fleet": ()},
        operator_user="system:serviceaccount:atoll-system:atoll",
        denied=(),
        karpenter_pools=0,
        refusals=(),
        answers=True,
        now=NOW,
    )
    return replace(base, **other)


def test_where_all_is_well_every_check_says_so() -> None:
    assert {check.result for check in checks(facts())} == {Result.OK}


def without(kind: str, *instead: ObjectLike) -> list[ObjectLike]:
    return [*(obj for obj in WELL if obj["kind"] != kind), *instead]


@pytest.mark.parametrize(
    ("given", "name", "result", "says", "mend"),
    [
        ({"leases": ()}, "operator", Result.FAILED, "none has ever led", "helm install"),
        ({"leases": [lease(holder="")]}, "operator", Result.FAILED, "held by nobody", "its pod and log"),
        ({"leases": [lease(age=60)]}, "operator", Result.FAILED, "is 60 s old", "has ended"),
        ({"leases": [lease(age=-30)]}, "clocks", Result.WARNING, "30 s ahead", "NTP"),
        ({"leases": None}, "operator", Result.SKIPPED, "may not read Leases", ""),
        ({"missing_fields": {"Fleet": ["spec.x"]}}, "custom resources", Result.FAILED, "Fleet lacks spec.x", "crds/"),
        ({"missing_fields": None}, "custom resources", Result.SKIPPED, "may not read", ""),
        ({"denied": ("patch pods",)}, "permissions", Result.FAILED, "may not patch pods", "ClusterRole"),
        ({"denied": None}, "permissions", Result.SKIPPED, "may not ask", ""),
        ({"denied": None, "operator_user": ""}, "permissions", Result.SKIPPED, "--operator-user", ""),
        ({"answers": False}, "probes and metrics", Result.FAILED, "not Ready", "probes"),
        ({"answers": None}, "probes and metrics", Result.SKIPPED, "no pod", ""),
        ({"refusals": ("Deployment x: denied",)}, "admission", Result.WARNING, "denied", "webhook"),
        ({"objects": without("Fleet")}, "fleet default", Result.WARNING, "not declared", "declare"),
        ({"objects": without("Fleet", fleet_object(mode="Paused"))}, "fleet default", Result.WARNING, "Paused", "mode"),
        (
            {"objects": without("Fleet", conditions(fleet_object(), Planned="False"))},
            "fleet default",
            Result.FAILED,
            "Because: m",
            "why-pending",
        ),
        (
            {"objects": without("Fleet", conditions(fleet_object(), Routed="False"))},
            "router",
            Result.FAILED,
            "not every router",
            "status port",
        ),
        ({"objects": without("GPUNodePool")}, "pools", Result.FAILED, "no valid GPUNodePool", "declare"),
        (
            {"objects": without("GPUNodePool", pool_object(max_nodes=-1))},
            "pools",
            Result.FAILED,
            "GPUNodePool small: spec.offerings",
            "without it",
        ),
        (
            {"objects": [*WELL[:2], pool_object(provisioning="Fixed")]},
            "pools",
            Result.FAILED,
            "Fixed pools without a Ready node: small",
            "label the nodes",
        ),
        ({"objects": without("Node")}, "pools", Result.WARNING, "no NodePool of Karpenter", "autoscaler"),
        ({"objects": without("Node", node(gpus=0))}, "GPU nodes", Result.FAILED, "no allocatable", "device plugin"),
        ({"objects": without("Node", node(gpus=1))}, "GPU nodes", Result.WARNING, "s0 (1 of 2)", "spec.gpu.count"),
        (
            {"objects": without("Node", node(labels={"pool": "other"}))},
            "GPU nodes",
            Result.WARNING,
            "of no pool: s0",
            "declare a GPUNodePool",
        ),
        (
            {"objects": without("Node", node(taints=[{"key": "team", "effect": "NoSchedule"}]))},
            "GPU nodes",
            Result.FAILED,
            "no pool tolerates: team",
            "spec.tolerations",
        ),
        (
            {"objects": without("ModelDemand", demand_object())},
            "demands",
            Result.WARNING,
            "team-a/chat (not looked at yet)",
            "why-pending",
        ),
    ],
)
def test_each_thing_that_is_missing_has_a_check_with_a_mend(
    given: dict[str, Any], name: str, result: Result, says: str, mend: str
) -> None:
    objects = given.pop("objects", None)
    found = [check for check in checks(facts(objects, **given)) if check.result is not Result.OK]

    check = next(check for check in found if check.name == name)
    assert check.result is result
    assert says in check.says
    assert mend in check.mend


def test_karpenter_s_node_pools_are_an_autoscaler() -> None:
    found = checks(facts(without("Node"), karpenter_pools=3))

    assert next(check for check in found if check.name == "pools").result is Result.OK
