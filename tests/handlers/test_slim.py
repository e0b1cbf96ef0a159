from typing import Any

import pytest

from atoll.domain.objects import CONFIG_MAP, NODE, POD
from atoll.handlers.slim import slim
from atoll.render.requests import GPU_RESOURCE as GPU

POD_OBJECT: dict[str, Any] = {
    "metadata": {
        "name": "p",
        "namespace": "team",
        "uid": "u",
        "resourceVersion": "7",
        "creationTimestamp": "2026-11-21T12:00:00Z",
        "labels": {"app": "x"},
        "annotations": {"atoll.dev/replica": "1", "other/note": "long"},
        "ownerReferences": [{"name": "first"}, {"name": "second"}],
        "managedFields": [{}],
    },
    "spec": {
        "nodeName": "n",
        "schedulerName": "s",
        "volumes": [{}],
        "containers": [{"name": "a", "env": [{}], "resources": {"requests": {GPU: "2"}}}, {"name": "b"}],
    },
    "status": {
        "phase": "Pending",
        "podIP": "10.0.0.1",
        "hostIP": "10.0.0.2",
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "R", "message": "m", "lastProbeTime": None},
            {"type": "PodScheduled", "status": "True"},
            {"type": "Initialized", "status": "True"},
        ],
        "containerStatuses": [
            {"name": "a", "restartCount": 2, "state": {"running": {}}},
            {"name": "b", "restartCount": 1, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "m"}}},
        ],
    },
}


def test_a_pod_keeps_what_decisions_read_and_nothing_else() -> None:
    assert slim(POD, POD_OBJECT) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": "team",
            "uid": "u",
            "resourceVersion": "7",
            "creationTimestamp": "2026-11-21T12:00:00Z",
            "labels": {"app": "x"},
            "annotations": {"atoll.dev/replica": "1"},
            "ownerReferences": [{"name": "first"}],
        },
        "spec": {
            "nodeName": "n",
            "schedulerName": "s",
            "containers": [{"name": "all", "resources": {"requests": {GPU: "2"}}}],
        },
        "status": {
            "phase": "Pending",
            "podIP": "10.0.0.1",
            "conditions": [
                {"type": "Ready", "status": "False", "reason": "R"},
                {"type": "PodScheduled", "status": "True"},
            ],
            "containerStatuses": [
                {"name": "all", "restartCount": 3, "state": {"waiting": {"reason": "ImagePullBackOff"}}}
            ],
        },
    }


def test_slimming_twice_is_slimming_once() -> None:
    once = slim(POD, POD_OBJECT)
    assert slim(POD, once) == once


def _container(gpus: int, **more: str) -> dict[str, Any]:
    return {**more, "resources": {"limits": {GPU: str(gpus)}}}


@pytest.mark.parametrize(
    ("spec", "gpus"),
    [
        ({}, None),
        ({"containers": [_container(1), _container(4)]}, "5"),
        ({"containers": [_container(1)], "initContainers": [_container(8), _container(2)]}, "8"),
        ({"containers": [_container(4)], "initContainers": [_container(2, restartPolicy="Always")]}, "6"),
    ],
)
def test_gpus_are_counted_as_the_scheduler_counts_them(spec: dict[str, Any], gpus: str | None) -> None:
    pod = slim(POD, {"metadata": {"name": "p"}, "spec": spec})
    assert pod["spec"]["containers"][0]["resources"]["requests"].get(GPU) == gpus


def test_a_node_loses_heartbeats_and_images_and_keeps_notices() -> None:
    node = {
        "metadata": {"name": "n", "labels": {"a": "b"}, "annotations": {"x": "y"}, "deletionTimestamp": "t"},
        "spec": {"taints": [{"key": "k"}], "unschedulable": True, "podCIDR": "c"},
        "status": {
            "allocatable": {GPU: "8"},
            "images": [{}],
            "conditions": [
                {"type": "Ready", "status": "True", "lastHeartbeatTime": "now"},
                {"type": "DiskPressure", "status": "False"},
            ],
        },
    }
    assert slim(NODE, node) == {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n", "labels": {"a": "b"}, "deletionTimestamp": "t"},
        "spec": {"taints": [{"key": "k"}], "unschedulable": True},
        "status": {"allocatable": {GPU: "8"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_other_objects_stay_whole_but_for_copies_of_themselves() -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1"}
    obj = {"metadata": {"name": "c", "managedFields": [{}], "annotations": annotations}, "data": {"a": "b"}}
    assert slim(CONFIG_MAP, obj) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "annotations": {"mine": "1"}},
        "data": {"a": "b"},
    }
    assert "managedFields" in obj["metadata"]
