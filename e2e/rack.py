"""Nodes of one's own, with a device plugin or with the ResourceSlices of NVIDIA's DRA driver in its place."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from e2e.world import ATOLL, NODES, PODS, Object, World

from atoll.local.cloud import GPU_RESOURCE

SLICES = "/apis/resource.k8s.io/v1/resourceslices"
CLAIMS = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"
TEMPLATES = "/apis/resource.k8s.io/v1/resourceclaimtemplates"
CLASSES = "/apis/resource.k8s.io/v1/deviceclasses"
CLASS = DRIVER = "gpu.nvidia.com"
GPUS = 4
LABELS = {"example.com/rack": "claimed"}

POOL: Object = {
    "apiVersion": "atoll.dev/v1alpha1",
    "kind": "GPUNodePool",
    "metadata": {"name": "rack"},
    "spec": {
        "gpu": {"kind": "L40S-48GB", "count": GPUS, "deviceClass": CLASS},
        "region": "us-east-2",
        "nodeSelector": LABELS,
        "offerings": [{"zone": "us-east-2a", "capacityType": "on-demand", "maxNodes": 2}],
        "provisioning": "Fixed",
        "startup": "0s",
        "allocatable": {"cpu": "48", "memory": "360Gi", "ephemeralStorage": "200Gi"},
    },
}


def pool(*, claimed: bool) -> Object:
    """The rack as a pool."""
    found = deepcopy(POOL)
    if not claimed:
        del found["spec"]["gpu"]["deviceClass"]
    return found


@contextmanager
def rack(world: World, nodes: int = 2, *, claimed: bool = True) -> Iterator[list[str]]:
    """So many nodes and, where GPUs are claimed, slices and the DeviceClass of the driver's chart; the nodes' names."""
    names = [f"rack-{index}" for index in range(nodes)]
    made = [(NODES, node(name, claimed=claimed)) for name in names]
    if claimed:
        made += [(CLASSES, device_class()), *((SLICES, slice_of(name)) for name in names)]
    try:
        for path, obj in made:
            world.api.create(path, obj)
        world.wait(lambda: all(is_ready(world, name) for name in names), "the nodes are Ready", 30)
        yield names
    finally:
        for path, obj in reversed(made):
            world.api.delete(f"{path}/{obj['metadata']['name']}", grace_seconds=0)


def device_class() -> Object:
    whole = f"device.driver == '{DRIVER}' && device.attributes['{DRIVER}'].type == 'gpu'"
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": CLASS},
        "spec": {"selectors": [{"cel": {"expression": whole}}]},
    }


def node(name: str, *, claimed: bool) -> Object:
    zone = {"topology.kubernetes.io/region": "us-east-2", "topology.kubernetes.io/zone": "us-east-2a"}
    size = {"cpu": "48", "memory": "360Gi", "ephemeral-storage": "200Gi", "pods": "50"}
    size |= {} if claimed else {GPU_RESOURCE: str(GPUS)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**LABELS, **zone, "kubernetes.io/hostname": name}},
        "status": {"capacity": size, "allocatable": size},
    }


def slice_of(name: str) -> Object:
    attributes = {"type": {"string": "gpu"}, "productName": {"string": "NVIDIA L40S"}}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{name}-{DRIVER}"},
        "spec": {
            "driver": DRIVER,
            "nodeName": name,
            "pool": {"name": name, "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": f"gpu-{index}", "attributes": attributes} for index in range(GPUS)],
        },
    }


def is_ready(world: World, name: str) -> bool:
    found = world.api.get(f"{NODES}/{name}") or {}
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def demand_of(world: World, name: str, queue: str = "") -> Object:
    """A demand that only the rack's GPU kind may serve."""
    found = world.manifest("ModelDemand", "phi-4")
    found["metadata"]["name"] = found["spec"]["model"]["servedName"] = name
    found["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": queue} if queue else {}
    found["spec"]["demand"]["requestsPerSecond"] = 1
    found["spec"]["placement"] = {"gpuKinds": [POOL["spec"]["gpu"]["kind"]]}
    return found


@contextmanager
def others(world: World, node_name: str, gpus: int) -> Iterator[None]:
    """Somebody else's pod that has claimed GPUs of a node."""
    request = {"name": "gpu", "exactly": {"deviceClassName": CLASS, "count": gpus}}
    claim = {"metadata": {"name": "theirs"}, "spec": {"devices": {"requests": [request]}}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "theirs"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node_name},
            "resourceClaims": [{"name": "gpus", "resourceClaimName": "theirs"}],
            "containers": [{"name": "train", "image": "train", "resources": {"claims": [{"name": "gpus"}]}}],
        },
    }
    pods = "/api/v1/namespaces/default/pods"
    world.api.create(CLAIMS, {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", **claim})
    world.api.create(pods, pod)
    try:
        world.wait(lambda: len(given_to(world, "theirs")) == gpus, "their claim is allocated", 30)
        yield
    finally:
        world.api.delete(f"{pods}/theirs", grace_seconds=0)
        world.wait(
            lambda: not any(p["metadata"]["name"] == "theirs" for p in world.api.list(PODS)), "their pod is gone"
        )
        world.api.delete(f"{CLAIMS}/theirs")


def given_to(world: World, pod: str) -> set[tuple[str, str]]:
    """Devices, by node and name, of the claims that are reserved for a pod."""
    return {
        (result["pool"], result["device"])
        for claim in world.api.list(CLAIMS)
        if any(user["name"] == pod for user in claim.get("status", {}).get("reservedFor", []))
        for result in claim["status"]["allocation"]["devices"]["results"]
    }


def templates(world: World) -> list[Object]:
    return world.api.list(TEMPLATES)


POOL_PATH = f"{ATOLL}/gpunodepools/{POOL['metadata']['name']}"
