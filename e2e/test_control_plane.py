"""The local cluster behaves as the operator's world does: nodes come, are scarce, are drained, get lost, and go."""

import logging
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from atoll.local import audit, karpenter, kwok
from atoll.local.api import Api
from atoll.local.cloud import GPU_RESOURCE, SimulatedOffering
from atoll.local.controlplane import ControlPlane
from atoll.local.credentials import ADMINISTRATOR, OPERATOR
from atoll.local.development import DEVELOPMENT_OFFERINGS
from atoll.local.schedulerprofile import BINPACK_SCHEDULER

LOGGER = logging.getLogger(__name__)

pytestmark = pytest.mark.timeout(900)

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"
NODES = "/api/v1/nodes"
NODES_COME_SECONDS = 180
NODES_GO_SECONDS = 300


def offering(instance_type: str, capacity_type: str) -> SimulatedOffering:
    return next(
        each
        for each in DEVELOPMENT_OFFERINGS
        if each.instance_type == instance_type and each.capacity_type == capacity_type
    )


def deployment(
    name: str,
    where: SimulatedOffering,
    *,
    replicas: int,
    gpus: int,
    prestop_seconds: int = 0,
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "engine",
        "image": "engine",
        "resources": {"requests": {"cpu": "1", GPU_RESOURCE: gpus}, "limits": {GPU_RESOURCE: gpus}},
    }
    if prestop_seconds:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": prestop_seconds}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": annotations or {}},
                "spec": {
                    "schedulerName": BINPACK_SCHEDULER,
                    "nodeSelector": where.labels,
                    "tolerations": [{"key": GPU_RESOURCE, "operator": "Exists"}],
                    "terminationGracePeriodSeconds": 60,
                    "containers": [container],
                },
            },
        },
    }


@pytest.fixture
def api(control_plane: ControlPlane) -> Iterator[Api]:
    with control_plane.api() as api:
        yield api


@pytest.fixture
def clean(control_plane: ControlPlane, api: Api) -> Iterator[None]:
    """Leave an empty cluster to the next test."""
    yield
    for each in api.list(DEPLOYMENTS):
        api.delete(f"{DEPLOYMENTS}/{each['metadata']['name']}")
    control_plane.wait_until(lambda: not api.list(PODS), what="no pods left", seconds=NODES_GO_SECONDS)
    for claim in api.list(karpenter.NODE_CLAIMS):  # sooner than Karpenter would take empty nodes away
        api.delete(f"{karpenter.NODE_CLAIMS}/{claim['metadata']['name']}")
    control_plane.wait_until(lambda: not api.list(NODES), what="no nodes left", seconds=NODES_GO_SECONDS)


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def ready_pods(api: Api, app: str) -> list[dict[str, Any]]:
    return [pod for pod in api.list(PODS, selector=f"app={app}") if is_ready(pod)]


def await_ready(control_plane: ControlPlane, api: Api, app: str, count: int) -> None:
    control_plane.wait_until(
        lambda: len(ready_pods(api, app)) == count, what=f"{count} pods of {app} Ready", seconds=NODES_COME_SECONDS
    )


@pytest.mark.usefixtures("clean")
def test_nodes_come_with_pods_and_go_without(control_plane: ControlPlane, api: Api) -> None:
    spot = offering("g6e.12xlarge", "spot")
    started = time.monotonic()
    api.create(DEPLOYMENTS, deployment("packed", spot, replicas=6, gpus=2))
    await_ready(control_plane, api, "packed", 6)
    LOGGER.info("6 pods on Karpenter's nodes Ready after %.1f s", time.monotonic() - started)

    # A node too many, where pods came one by one, is empty and goes.
    control_plane.wait_until(
        lambda: len(api.list(NODES)) == 3, what="six 2-GPU pods fill three 4-GPU nodes", seconds=NODES_GO_SECONDS
    )
    nodes = api.list(NODES)
    for node in nodes:
        assert spot.labels.items() <= node["metadata"]["labels"].items()
        assert spot.allocatable == {key: node["status"]["allocatable"][key] for key in spot.allocatable}
        assert node["status"]["capacity"][GPU_RESOURCE] == "4", "capacity is the whole node, not the first pod's share"

    started = time.monotonic()
    api.delete(f"{DEPLOYMENTS}/packed")
    control_plane.wait_until(
        lambda: not api.list(NODES) and not api.list(karpenter.NODE_CLAIMS),
        what="empty nodes gone",
        seconds=NODES_GO_SECONDS,
    )
    LOGGER.info("empty nodes gone after %.1f s", time.monotonic() - started)


@pytest.mark.usefixtures("clean")
def test_no_more_nodes_than_can_be_had(control_plane: ControlPlane, api: Api) -> None:
    scarce = offering("p5.48xlarge", "on-demand")
    api.create(DEPLOYMENTS, deployment("scarce", scarce, replicas=3, gpus=8))
    await_ready(control_plane, api, "scarce", 2)
    karpenter.set_obtainable_nodes(api, scarce, 3)
    await_ready(control_plane, api, "scarce", 3)
    karpenter.set_obtainable_nodes(api, scarce, 2)
    assert len(api.list(NODES)) == 3, "nodes that exist stay"


@pytest.mark.usefixtures("clean")
def test_a_lost_node_is_gone_at_once_and_its_pods_come_back_elsewhere(control_plane: ControlPlane, api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("lossy", offering("g6.xlarge", "spot"), replicas=2, gpus=1))
    await_ready(control_plane, api, "lossy", 2)
    victim = ready_pods(api, "lossy")[0]
    lost = victim["spec"]["nodeName"]

    control_plane.lose_node(lost)

    assert api.get(f"{NODES}/{lost}") is None
    orphan = api.get(f"{PODS}/{victim['metadata']['name']}")
    assert orphan is not None, "nobody drained the pod"
    assert "deletionTimestamp" not in orphan["metadata"]
    # The operator would do so at once; the garbage collector of pods takes about a minute.
    api.delete(f"{PODS}/{victim['metadata']['name']}", grace_seconds=0)
    await_ready(control_plane, api, "lossy", 2)
    assert lost not in {pod["spec"]["nodeName"] for pod in ready_pods(api, "lossy")}


@pytest.mark.usefixtures("clean")
def test_a_pod_says_how_long_its_start_takes(control_plane: ControlPlane, api: Api) -> None:
    slow = {kwok.START_DELAY_ANNOTATION: "4s"}
    api.create(DEPLOYMENTS, deployment("slow", offering("g6.xlarge", "spot"), replicas=1, gpus=1, annotations=slow))
    control_plane.wait_until(
        lambda: any(pod["status"]["phase"] == "Running" for pod in api.list(PODS)),
        what="pod Running",
        seconds=NODES_COME_SECONDS,
    )
    await_ready(control_plane, api, "slow", 1)
    (pod,) = ready_pods(api, "slow")
    (ready,) = (each for each in pod["status"]["conditions"] if each["type"] == "Ready")
    loading = datetime.fromisoformat(ready["lastTransitionTime"]) - datetime.fromisoformat(pod["status"]["startTime"])
    assert loading.total_seconds() >= 3, "Running, but still loading; the stamps are whole seconds"


@pytest.mark.usefixtures("clean")
def test_deleting_a_node_is_a_drain_that_waits_for_the_pod(control_plane: ControlPlane, api: Api) -> None:
    spot = offering("g6.xlarge", "spot")
    api.create(DEPLOYMENTS, deployment("drained", spot, replicas=1, gpus=1, prestop_seconds=8))
    await_ready(control_plane, api, "drained", 1)
    pod = ready_pods(api, "drained")[0]
    node = pod["spec"]["nodeName"]

    started = time.monotonic()
    kubectl(control_plane, "delete", "node", node, "--wait=false")
    path = f"{PODS}/{pod['metadata']['name']}"
    control_plane.wait_until(
        lambda: "deletionTimestamp" in (api.get(path) or pod)["metadata"], what="drain", seconds=90
    )
    assert api.get(f"{NODES}/{node}") is not None, "the node stays while its pod stops"
    control_plane.wait_until(lambda: api.get(f"{NODES}/{node}") is None, what="drained node gone", seconds=180)
    LOGGER.info("drained node gone after %.1f s", time.monotonic() - started)
    assert api.get(path) is None
    assert time.monotonic() - started >= 7, "the preStop sleep was respected"


def test_the_audit_log_tells_the_operator_from_all_others(control_plane: ControlPlane) -> None:
    with Api(control_plane.operator_kubeconfig) as operator:
        operator.apply(
            "/api/v1/namespaces/default/configmaps/audited",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "audited"}, "data": {"key": "value"}},
        )
        operator.get("/api/v1/namespaces/default/configmaps/audited")

    def found() -> list[audit.Write]:
        return [each for each in audit.writes(control_plane.audit_log, user=OPERATOR) if each.name == "audited"]

    control_plane.wait_until(lambda: bool(found()), what="the write is in the audit log", seconds=30)
    (write,) = found()
    assert (write.verb, write.resource, write.status) == ("patch", "configmaps", 201)
    assert any(audit.writes(control_plane.audit_log, user=ADMINISTRATOR))


@pytest.mark.parametrize("component", ["etcd", "kube-apiserver"])
def test_the_cluster_comes_back_after_a_crash(control_plane: ControlPlane, api: Api, component: str) -> None:
    before = control_plane.processes.pid(component)
    control_plane.restart(component)
    assert control_plane.processes.pid(component) != before
    assert api.get("/api/v1/namespaces/default") is not None


def kubectl(control_plane: ControlPlane, *arguments: str) -> str:
    command = [str(control_plane.kubectl_path), f"--kubeconfig={control_plane.kubeconfig}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
