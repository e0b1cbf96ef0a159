"""A demand that is served by several templates at one time: half of it must not be on spot, where the other half is."""

from typing import Any

from benchmarks.traffic.bed import Bed

MIXED = "gpt-oss-20b"
_RATE = 12
_SPOT, _OTHER = "a100-x8", "l40s-x1"


def mixed_fleet(bed: Bed) -> None:
    """One GPU kind on cheap spot nodes, another on demand, and half of the demand on each."""
    world = bed.world
    if len(_strategies(bed)) < 2:
        for pool in (obj for obj in world.manifests if obj["kind"] == "GPUNodePool"):
            changed = world.manifest("GPUNodePool", pool["metadata"]["name"])
            for offering in changed["spec"]["offerings"]:
                _limit(pool["metadata"]["name"], offering)
            world.apply(changed)
        demand = world.demand_at(MIXED, _RATE)
        demand["spec"]["placement"] = {"spotShare": 0.5}
        world.apply(demand)
        world.wait(lambda: len(_strategies(bed)) > 1, "several templates serve")
        world.settle("nothing else serves any more")
    if len(found := _strategies(bed)) < 2:
        raise RuntimeError(f"{MIXED} is served by {len(found)} strategy, two are needed to compare them")


def _limit(pool: str, offering: dict[str, Any]) -> None:
    if (pool, offering["capacityType"]) == (_SPOT, "spot"):
        offering["price"] = 1.0
    elif (pool, offering["capacityType"]) != (_OTHER, "on-demand"):
        offering["maxNodes"] = 0


def _strategies(bed: Bed) -> set[str]:
    return {each["strategy"] for each in bed.path.engines() if each["demand"] == MIXED and each["serves"]}
