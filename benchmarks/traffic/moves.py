"""Moves as users order them, and the wait for their end."""

import subprocess
import sys
import time
from functools import partial

from e2e.world import PLANS, Object, World, is_serving

from atoll.api.manifests import load_manifests
from atoll.local.fleet import resource_path
from atoll.local.karpenter import set_obtainable_nodes
from atoll.local.kwok import MISSING_IMAGE
from atoll.local.offerings import offerings_of
from benchmarks.traffic.bed import EXTRA, FLEET, Bed
from benchmarks.traffic.sight import cost, current, in_flight, masked, nodes_of, requests_per_second, stages, zone_of

_ROUTER = "app.kubernetes.io/component=router"
_CHEAPEST = "g6e.xlarge"
_IMAGE = "example.com/vllm"
_SOON = 40.0
_MASKED_SECONDS = 300.0
"""From the first mask of an offering to its end; by the next move of this kind it is over, or nearly."""
_ARRIVAL_SECONDS = 0.5
"""What was sent before has reached an engine: after a demand's deletion nothing is promised to what comes."""


def more_demand(bed: Bed) -> None:
    """More requests/s of one demand; the load follows once they are promised."""
    rate = 8 if requests_per_second(bed.world, "phi-4") < 8 else 12
    bed.world.apply(bed.world.demand_at("phi-4", rate))
    bed.world.settle("more is served")
    bed.send()


def less_demand(bed: Bed) -> None:
    """Far more is asked for, so that nodes come, and then as little as before: only then it is worth to let them go."""
    rate = requests_per_second(bed.world, "phi-4")
    bed.world.apply(bed.world.demand_at("phi-4", 5 * rate))
    bed.world.settle("more is served than is sent")
    bed.world.apply(bed.world.demand_at("phi-4", rate))
    bed.world.settle("less is served")


def another_image(bed: Bed) -> None:
    """A rolling update of the engine."""
    await_image(bed.world, order_image(bed.world))


def order_image(world: World) -> str:
    """Ask for the next image."""
    demand = current(world, "phi-4")
    tag = str(demand["spec"].get("engine", {}).get("image", ""))
    number = int(tag.rpartition(":")[2]) + 1 if tag.startswith(_IMAGE) else 1
    demand["spec"]["engine"] = {"name": "vllm", "image": f"{_IMAGE}:{number}"}
    world.apply(demand)
    return f"{_IMAGE}:{number}"


def await_image(world: World, image: str) -> None:
    """Wait until every replica runs it and nothing else is left."""

    def rolled() -> bool:
        return {pod["spec"]["containers"][0]["image"] for pod in world.pods("phi-4")} == {image}

    world.wait(rolled, f"every replica runs {image}")
    world.settle()


def another_kind(bed: Bed) -> None:
    """One demand from the GPU kind it is on to another."""
    world = bed.world
    demand = current(world, "gpt-oss-20b")
    used = {stage["gpuKind"] for stage in stages(world, "gpt-oss-20b")}
    other = "L40S-48GB" if "A100-40GB" in used else "A100-40GB"
    demand["spec"]["placement"] = {"gpuKinds": [other]}
    world.apply(demand)
    world.settle(f"served on {other}")


def other_terms(bed: Bed) -> None:
    """One demand from spot to on-demand nodes, or back to wherever it is cheapest."""
    demand = current(bed.world, "gpt-oss-20b")
    limited = demand["spec"].get("placement", {}).get("capacityTypes")
    demand["spec"]["placement"] = {} if limited else {"capacityTypes": ["on-demand"]}
    bed.world.apply(demand)
    bed.world.settle("served on other terms")


def another_zone(bed: Bed) -> None:
    """The zone that one demand is in becomes far dearer than the other, and then is not any more."""
    world = bed.world
    world.apply(world.manifest("ModelDemand", "gpt-oss-20b"))  # one that must stay would keep its node for both
    world.settle()
    zones = {zone_of(world, pod) for pod in world.pods("phi-4")}
    dear = "us-east-2a" if "us-east-2a" in zones else "us-east-2b"
    for pool in (obj for obj in world.manifests if obj["kind"] == "GPUNodePool"):
        changed = world.manifest("GPUNodePool", pool["metadata"]["name"])
        for offering in changed["spec"]["offerings"]:
            if offering["zone"] == dear:
                offering["price"] = 300.0
        world.apply(changed)
    world.wait(lambda: dear not in {zone_of(world, pod) for pod in world.pods("phi-4")}, f"{dear} is left")
    world.settle()
    decided = world.decisions()
    for pool in (obj for obj in world.manifests if obj["kind"] == "GPUNodePool"):
        world.apply(pool)
    world.wait(lambda: world.decisions() > decided, "it is decided with the prices of before", _SOON)
    world.settle("and back")


def another_strategy(bed: Bed) -> None:
    """A tighter or a looser objective: other widths, other batches."""
    demand = current(bed.world, "phi-4")
    tight = demand["spec"]["objectives"]["tpot"] != "60ms"
    demand["spec"]["objectives"]["tpot"] = "60ms" if tight else "25ms"
    bed.world.apply(demand)
    bed.world.settle("served by another strategy")


def approval(bed: Bed) -> None:
    """Mode Recommend: a proposal waits, is approved, and is carried out."""
    world = bed.world
    set_mode(world, "Recommend")
    rate = 12 if requests_per_second(world, "phi-4") < 8 else 4
    world.apply(world.demand_at("phi-4", rate))
    world.wait(lambda: len(world.plans("Proposed")) == 1, "one proposal waits", _SOON)
    bed.send(phi_4=min(1.0, 4 / rate))
    approve(world, world.plans("Proposed")[0])
    world.settle("the approved plan is carried out")
    set_mode(world, "Automatic")
    world.settle()
    bed.send()


def rollback(bed: Bed) -> None:
    """In mode Recommend: back to the plan before, by the command, and then forward to what is decided now."""
    world = bed.world
    set_mode(world, "Recommend")
    world.calm()
    bed.send(phi_4=0.3)
    atoll(world, "rollback", "--yes", "--wait", "--timeout", "240s")
    world.wait(lambda: len(world.plans("Proposed")) == 1, "what is decided now waits", _SOON)
    approve(world, world.plans("Proposed")[0])
    set_mode(world, "Automatic")
    world.settle("forward again")
    bed.send()


def budget_cut(bed: Bed) -> None:
    """A demand is on nodes that it prefers, until the fleet may cost less; in the end neither is so any more."""
    world = bed.world
    cheap = cost(world)
    demand = current(world, "phi-4")
    demand["spec"]["placement"] = {"preference": ["on-demand", "spot"]}
    world.apply(demand)
    world.settle("served on the nodes that it prefers")
    fleet = world.manifest("Fleet")
    fleet["spec"]["budgetPerHour"] = budget = round((cheap + cost(world)) / 2.0, 2)
    world.apply(fleet)
    world.wait(lambda: cost(world) <= budget and world.is_settled(), f"the fleet costs no more than {budget} US$/h")
    demand["spec"]["placement"] = {}
    world.apply(demand)
    world.apply(world.manifest("Fleet"))
    world.settle("nothing is preferred, nothing is cut")


def stop_of_a_demand(bed: Bed) -> None:
    """A demand comes, is used, and is deleted while answers of it are in flight."""
    world = bed.world
    extra = world.manifest("ModelDemand", "gpt-oss-20b")
    extra["metadata"]["name"] = extra["spec"]["model"]["servedName"] = EXTRA
    extra["spec"]["demand"]["requestsPerSecond"] = 2
    world.apply(extra)
    world.settle("the further demand is served")
    bed.send()
    world.wait(lambda: in_flight(bed, EXTRA) > 0, "answers of it are in flight", _SOON)
    bed.send(extra=0.0)
    time.sleep(_ARRIVAL_SECONDS)
    world.api.delete(resource_path(extra))
    world.wait(lambda: not world.pods(EXTRA), "it is gone")
    world.settle()


def killed_operator(bed: Bed) -> None:
    """The operator is killed in the middle of a rolling update, twice, and started again."""
    world = bed.world
    before = len(world.writes())
    image = order_image(world)
    for _ in range(2):
        world.wait(partial(has_moved, world, before), "the move goes on", _SOON)
        world.fleet.kill_operator()
        before = len(world.writes())
        world.fleet.start_operator()
    await_image(world, image)


def rolling_router(bed: Bed) -> None:
    """Other router pods, one after another."""
    world = bed.world
    fleet = world.manifest("Fleet")
    live = world.policy()["spec"].get("router", {}).get("image", "")
    image = "example.com/envoy:2" if live == "example.com/envoy:1" else "example.com/envoy:1"
    fleet["spec"]["router"]["image"] = image
    world.apply(fleet)

    def rolled() -> bool:
        pods = world.api.list("/api/v1/namespaces/atoll-system/pods", selector=_ROUTER)
        return len(pods) == fleet["spec"]["router"]["replicas"] and all(
            pod["spec"]["containers"][0]["image"] == image and is_serving(pod) for pod in pods
        )

    world.wait(rolled, "all router pods are new ones")
    world.settle()


def missing_image(bed: Bed) -> None:
    """An image that no registry has is rolled out, keeps nothing from serving, and is taken back."""
    world = bed.world
    demand = current(world, "phi-4")
    before = current(world, "phi-4")
    demand["spec"]["engine"] = {"name": "vllm", "image": MISSING_IMAGE}
    world.apply(demand)

    def fails() -> bool:
        return any(
            each.get("state", {}).get("waiting", {}).get("reason") == "ImagePullBackOff"
            for pod in world.pods("phi-4")
            for each in pod.get("status", {}).get("containerStatuses", [])
        )

    world.wait(fails, "the image cannot be pulled", _SOON)
    world.quiet_window(renewals=2)
    before["spec"].setdefault("engine", {})
    world.apply(before)
    world.settle("the image is taken back")


def scarce_nodes(bed: Bed) -> None:
    """More replicas where the cloud gives no more nodes: pods stay Pending, until it is done without those nodes."""
    world = bed.world
    offerings = [each for each in offerings_of(load_manifests([FLEET]).pools) if each.instance_type == _CHEAPEST]
    scarce = min(offerings, key=lambda offering: offering.price_per_hour)
    offering = (scarce.instance_type, scarce.zone, scarce.capacity_type)
    world.wait(lambda: offering not in masked(world), "the offering is counted on again", _MASKED_SECONDS)
    there = nodes_of(world, scarce)
    set_obtainable_nodes(world.api, scarce, there)
    try:
        demand = current(world, "gpt-oss-20b")
        demand["spec"]["placement"] = {"gpuKinds": [scarce.gpu_kind], "minReplicas": there + 2}
        world.apply(demand)
        world.wait(lambda: offering in masked(world), "the offering is masked")
        world.settle("served from elsewhere")
    finally:
        set_obtainable_nodes(world.api, scarce, scarce.obtainable_nodes)


def restore(bed: Bed) -> None:
    """Everything as declared in the folder, so that the next move starts from there."""
    bed.send(phi_4=min(1.0, 4 / requests_per_second(bed.world, "phi-4")))
    bed.world.restore()
    bed.world.settle("as declared again")
    bed.send()


def has_moved(world: World, before: int) -> bool:
    """The operator has written a Deployment or a pod since, or has nothing left to write."""
    written = {write.resource.partition("/")[0] for write in world.writes()[before:]}
    return bool(written & {"deployments", "pods"}) or world.is_settled()


def set_mode(world: World, mode: str) -> None:
    """Of the Fleet, everything else as it is declared."""
    fleet = world.manifest("Fleet")
    fleet["spec"]["mode"] = mode
    world.apply(fleet)


def approve(world: World, plan: Object) -> None:
    """As a reviewer does."""
    world.api.merge(f"{PLANS}/{plan['metadata']['name']}", {"spec": {"approved": True}})


def atoll(world: World, *words: str) -> None:
    """Run the command on the cluster, as its users do; RuntimeError with what it says where it fails."""
    command = [sys.executable, "-m", "atoll.cli", *words, "--kubeconfig", str(world.plane.kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
    if done.returncode:
        raise RuntimeError(f"atoll {' '.join(words)}: exit status {done.returncode}: {done.stderr.strip()}")
