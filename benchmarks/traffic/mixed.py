"""A demand that is served by several templates at one time: the cheapest nodes are not enough for it."""

from benchmarks.traffic.bed import Bed

MIXED = "phi-4"
_RATE = 8
_CHEAPEST = "l40s-x1"


def mixed_fleet(bed: Bed) -> None:
    """Make the cheapest pool scarce and wait until two strategies at least serve the demand."""
    world = bed.world
    if len(_strategies(bed)) < 2:
        decided = world.decisions()
        pool = world.manifest("GPUNodePool", _CHEAPEST)
        for offering in pool["spec"]["offerings"]:
            offering["maxNodes"] = 1 if offering["capacityType"] == "spot" else 0
        world.apply(pool)
        world.apply(world.demand_at(MIXED, _RATE))
        world.wait(lambda: world.decisions() > decided, "it is decided for the scarce pool", 40.0)
        world.settle("several templates serve")
    if len(found := _strategies(bed)) < 2:
        raise RuntimeError(f"{MIXED} is served by {len(found)} strategy, two are needed to compare them")


def _strategies(bed: Bed) -> set[str]:
    return {each["strategy"] for each in bed.path.engines() if each["demand"] == MIXED and each["serves"]}
