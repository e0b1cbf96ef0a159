"""A tenth of the pools gives other numbers of nodes than before: what is left of what ran there."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from atoll.domain.problem import Allocation, ReplicaGroup
from benchmarks.ladder.form import Form, Ints
from benchmarks.ladder.packer import place


def changed(form: Form, share: float, seed: int) -> Form:
    """The same instance with other availability in a share of its pools, at least one of them.

    Each of them, drawn at random, gives a number of nodes between none and the most that any pool gave.

    Args:
        form: of the instance.
        share: of all pools, within 0 and 1.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    obtainable: Ints = form.obtainable.copy()
    pools = len(obtainable)
    if pools:
        chosen = rng.choice(pools, size=min(pools, max(1, round(share * pools))), replace=False)
        obtainable[chosen] = rng.integers(0, int(obtainable.max()) + 1, len(chosen))
    return replace(form, obtainable=obtainable)


def left_of(form: Form, allocation: Allocation, seed: int) -> tuple[ReplicaGroup, ...]:
    """Replicas that still run when an allocation's pools give only what they have now.

    A replica runs on while each of its stages finds room on its own pool's nodes; which of several are lost is drawn
    at random, as nodes are.

    Args:
        form: with the availability of now.
        allocation: what ran.
        seed: of the draw.
    """
    had = {int(use.supply.offering.pool[1:]): use.nodes for use in allocation.nodes}
    rooms = {pool: [int(form.pool_gpus[pool])] * min(nodes, int(form.obtainable[pool])) for pool, nodes in had.items()}
    pods: dict[int, list[int]] = {pool: [] for pool in rooms}
    ones = [number for number, group in enumerate(allocation.replicas) for _ in range(group.count)]
    counts = [0] * len(allocation.replicas)
    for number in np.random.default_rng(seed).permutation(ones).tolist():
        group = allocation.replicas[number]
        pools = [int(offering.pool[1:]) for offering in group.site.offerings]
        trial = {pool: pods[pool] + [group.strategy.tp] * pools.count(pool) for pool in set(pools)}
        if all(place(widths, rooms[pool]) is not None for pool, widths in trial.items()):
            pods.update(trial)
            counts[number] += 1
    return tuple(replace(group, count=count) for group, count in zip(allocation.replicas, counts, strict=True) if count)


def replica_count(groups: Iterable[ReplicaGroup]) -> int:
    """Of all groups."""
    return sum(group.count for group in groups)


def kept_count(before: Iterable[ReplicaGroup], after: Iterable[ReplicaGroup]) -> int:
    """How many replicas of before still run afterwards, at the same site."""
    then = {(group.demand, group.strategy, group.site): group.count for group in after}
    return sum(min(group.count, then.get((group.demand, group.strategy, group.site), 0)) for group in before)
