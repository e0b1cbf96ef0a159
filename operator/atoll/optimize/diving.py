"""A plan from column generation by diving: fix what the relaxation is sure of, price the rest again, and so on.

Where GPUs are scarce, plans that were generated apart do not fit together, and the master over them has no good integer
solution. So plans are fixed one after the other, that of the largest part in the relaxation first, and the demands that
are left get new plans at the prices of what is left (diving with column generation; Sadykov and others, INFORMS Journal
on Computing 2019, there with backtracking).
"""

from collections.abc import Callable

import numpy as np

from atoll.optimize.generation import Generation
from atoll.optimize.master import Chosen

SURE = 0.999
"""Part from which a plan is taken to be chosen by the relaxation."""

LEAST = 1e-6

NODES_GAP = 1e-3
"""Gap at which the search for whole nodes under the fixed plans may stop, as a share."""


def dive(generation: Generation, goes_on: Callable[[], bool], *, seconds: float, nodes: int) -> Chosen | None:
    """A plan for each demand that can have one; the generation's own bound and prices stay as they are.

    Args:
        generation: run for a while.
        goes_on: asked before each step; what is not fixed by then stays without a plan.
        seconds: limit of the search for whole nodes.
        nodes: limit of its branch-and-bound nodes; 0 for none.
    """
    master = generation.master
    left, room, fixed, barred = set(range(master.demands)), master.room, set[int](), set[int]()
    while left and goes_on():
        relaxed = master.relaxed()
        if relaxed is not None:
            generation.enrich(relaxed, left)
        misfits = {
            number
            for number, plan in enumerate(master.plans)
            if number not in barred and plan.demand in left and (master.loads[number] > room).any()
        }
        master.limit(misfits, 0.0, 0.0)
        barred |= misfits
        relaxed = master.relaxed()
        if relaxed is None:
            break
        best: dict[int, tuple[float, int]] = {}
        for number in np.flatnonzero(relaxed.taken > LEAST).tolist():
            demand, part = master.plans[number].demand, float(relaxed.taken[number])
            if demand in left and part > best.get(demand, (0.0, 0))[0]:
                best[demand] = part, number
        ranked = sorted(best.items(), key=lambda item: -item[1][0])
        taken = [(demand, number) for place, (demand, (part, number)) in enumerate(ranked) if part >= SURE or not place]
        if not taken:
            break
        for demand, number in taken:
            if (master.loads[number] <= room).all():
                room = room - master.loads[number] * (1.0 - 1e-9)
                master.limit([number], 1.0, 1.0)
                fixed.add(number)
                left.discard(demand)
    master.limit(set(range(len(master.plans))) - fixed, 0.0, 0.0)
    chosen = master.choose(seconds=seconds, nodes=nodes, gap=NODES_GAP)
    master.limit(range(len(master.plans)), 0.0, float("inf"))
    return chosen
