"""GPUs that are published as devices and claimed: how many a node has, and how many others hold."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.objects import KINDS
from atoll.handlers.slim import slim
from atoll.reconcile.devices import EXTENDED_RESOURCE_CLAIM, NodeDevices, devices_by_node
from reconcile.worlds import Raw, pod_object

PRODUCT = "NVIDIA L4"


def device(name: str, kind: str = "gpu", *, counters: str = "", taint: str = "") -> Raw:
    return {
        "name": name,
        "attributes": {"type": {"string": kind}, "productName": {"string": PRODUCT}, "uuid": {"string": f"u-{name}"}},
        "capacity": {"memory": {"value": "24Gi"}},
        **(
            {"consumesCounters": [{"counterSet": counters, "counters": {"memory": {"value": "1"}}}]} if counters else {}
        ),
        **({"taints": [{"key": "ill", "effect": taint}]} if taint else {}),
    }


def slice_object(node: str, *devices: Raw, generation: int = 1, driver: str = "gpu.nvidia.com", part: int = 0) -> Raw:
    pool = {"name": node, "generation": generation, "resourceSliceCount": 1}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{node}-{driver}-{generation}-{part}"},
        "spec": {"driver": driver, "nodeName": node, "pool": pool, "devices": list(devices)},
    }


def claim_object(name: str, *given: tuple[str, str], metadata: Raw | None = None, **more: Any) -> Raw:
    """A claim that was given devices, by pool and name."""
    results = [{"driver": "gpu.nvidia.com", "pool": pool, "device": each, **more} for pool, each in given]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name, "namespace": "team-b", **(metadata or {})},
        "status": {"allocation": {"devices": {"results": results}}} if results else {},
    }


LABELS = {"app.kubernetes.io/managed-by": "atoll", "atoll.dev/demand": "chat"}
ENGINE = {**LABELS, "atoll.dev/strategy": "0123456789"}


def owned(pod: str = "engine", kind: str = "Pod", *, controller: bool = True) -> Raw:
    """Metadata of a claim with our labels that says to be made for something."""
    owner = {"apiVersion": "v1", "kind": kind, "name": pod, "uid": f"uid-{pod}", "controller": controller}
    return {"labels": LABELS, "ownerReferences": [owner]}


PODS = [
    {**pod_object(name, labels=labels), "metadata": {**pod_object(name, labels=labels)["metadata"], "namespace": space}}
    for name, space, labels in (
        ("engine", "team-b", ENGINE),
        ("other", "team-b", {}),
        ("elsewhere", "team-c", ENGINE),
        ("theirs", "team-b", {**ENGINE, "atoll.dev/demand": "code"}),
    )
]
TWO = slice_object("n", device("gpu-0"), device("gpu-1"))
SLICED = slice_object(
    "n",
    device("gpu-0", counters="gpu-0-counter-set"),
    device("gpu-0-mig-1g", "mig", counters="gpu-0-counter-set"),
    device("gpu-1", counters="gpu-1-counter-set"),
)


@pytest.mark.parametrize(
    ("slices", "claims", "gpus", "held"),
    [
        pytest.param([TWO], [], 2, 0, id="all free"),
        pytest.param([TWO], [claim_object("a", ("n", "gpu-0"))], 2, 1, id="one is claimed"),
        pytest.param([TWO], [claim_object("a")], 2, 0, id="a claim that waits holds nothing"),
        pytest.param([TWO], [claim_object("a", ("n", "gpu-0"), ("n", "gpu-1"))], 2, 2, id="one claim, two GPUs"),
        pytest.param(
            [TWO],
            [claim_object("a", ("n", "gpu-0")), claim_object("b", ("n", "gpu-0"))],
            2,
            1,
            id="a GPU that is shared",
        ),
        pytest.param([TWO], [claim_object("a", ("n", "gpu-0"), metadata=owned())], 2, 0, id="our own are ours to move"),
        pytest.param(
            [TWO], [claim_object("a", ("n", "gpu-0"), metadata=owned("gone"))], 2, 0, id="its pod has gone before it"
        ),
        *(
            pytest.param([TWO], [claim_object("a", ("n", "gpu-0"), metadata=metadata)], 2, 1, id=f"our labels, {what}")
            for what, metadata in {
                "nobody's": {"labels": LABELS},
                "not of a pod": owned("x", "Job"),
                "no controller": owned(controller=False),
                "of a pod of others": owned("other"),
                "of an engine elsewhere": owned("elsewhere"),
                "of another demand's engine": owned("theirs"),
            }.items()
        ),
        pytest.param(
            [TWO],
            [claim_object("a", ("n", "gpu-0"), metadata={"annotations": {EXTENDED_RESOURCE_CLAIM: "true"}})],
            2,
            0,
            id="the pod that asks for the extended resource says it already",
        ),
        pytest.param([TWO], [claim_object("a", ("n", "gpu-0"), adminAccess=True)], 2, 0, id="looking is not holding"),
        pytest.param([TWO], [claim_object("a", ("other", "gpu-0"))], 2, 0, id="another node's"),
        pytest.param([TWO], [claim_object("a", ("n", "gpu-7"))], 2, 1, id="a device that is told of no more"),
        pytest.param([SLICED], [claim_object("a", ("n", "gpu-0-mig-1g"))], 2, 1, id="a MIG slice holds its GPU"),
        pytest.param(
            [slice_object("n", device("gpu-0"), device("gpu-1", taint="NoSchedule"))], [], 1, 0, id="an ill GPU is none"
        ),
        pytest.param([slice_object("n", device("gpu-0", taint="None"))], [], 1, 0, id="a taint that only informs"),
        pytest.param([slice_object("n", device("gpu-0"), generation=2), TWO], [], 1, 0, id="the newest word counts"),
        pytest.param(
            [slice_object("n", device("gpu-0")), slice_object("n", device("gpu-1"), part=1)], [], 2, 0, id="two slices"
        ),
        pytest.param([TWO, slice_object("n", device("d"), driver="compute-domain.nvidia.com")], [], 2, 0, id="others"),
    ],
)
@pytest.mark.parametrize("slimmed", [False, True])
def test_gpus_of_a_node(slices: list[Raw], claims: list[Raw], gpus: int, held: int, *, slimmed: bool) -> None:
    if slimmed:
        slices, claims = ([dict(slim(KINDS[raw["kind"]], raw)) for raw in raws] for raws in (slices, claims))
    assert devices_by_node(slices, claims, PODS) == {"n": NodeDevices(gpus=gpus, held=held, product=PRODUCT)}


@pytest.mark.parametrize("where", [{"allNodes": True}, {"nodeSelector": {}}])
def test_devices_that_no_single_node_has_are_no_gpus_of_nodes(where: Raw) -> None:
    shared = {**TWO, "spec": {**{k: v for k, v in TWO["spec"].items() if k != "nodeName"}, **where}}
    assert devices_by_node([shared], []) == {}


@given(st.lists(st.lists(st.tuples(st.sampled_from("nm"), st.integers(0, 9)), max_size=6), max_size=6))
def test_never_is_more_held_than_there_is(claims: list[list[tuple[str, int]]]) -> None:
    slices = [slice_object(node, *(device(f"gpu-{index}") for index in range(4))) for node in "nm"]
    raw = [claim_object(f"c{i}", *((n, f"gpu-{d}") for n, d in given)) for i, given in enumerate(claims)]
    found = devices_by_node(slices, raw)
    for node in "nm":
        known = {d for given in claims for n, d in given if n == node and d < 4}
        assert len(known) <= found[node].held <= found[node].gpus == 4
