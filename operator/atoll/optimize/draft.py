"""A plan over a space: which choices, how often, on which nodes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from atoll.optimize.plan import Plan
from atoll.optimize.sets import Sets
from atoll.optimize.space import Choice, Floats, Ints, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A plan whose replicas are named by choice: a space has too many choices for a vector of counts.

    Attributes:
        counts: replicas by choice, those above zero.
        nodes: (P,) nodes by supply of the space.
    """

    counts: dict[Choice, int]
    nodes: Ints

    def load(self, space: Space, *, without: Iterable[int] = ()) -> Floats:
        """(Q, R) slots that are taken by all demands but some."""
        left_out = set(without)
        load = np.zeros((len(space.places), len(space.rows)))
        for (demand, line, place), count in self.counts.items():
            if demand not in left_out:
                load[place] += space.menus[demand].load[line] * count
        return load

    def gpus(self, space: Space, *, without: Iterable[int] = ()) -> Counter[str]:
        """GPUs that are taken in each namespace by all demands but some."""
        left_out = set(without)
        gpus: Counter[str] = Counter()
        for (demand, line, _), count in self.counts.items():
            if demand not in left_out:
                gpus[space.demands[demand].key.namespace] += space.gpus(demand, line) * count
        return gpus


def within_quotas(space: Space, draft: Draft) -> Draft:
    """The draft without the replicas that quotas do not admit: of low priority, and of much GPU for little, first."""
    left = Counter({name: gpus - draft.gpus(space)[name] for name, gpus in space.quotas.items()})
    if min(left.values(), default=0) >= 0:
        return draft

    def worth(choice: Choice) -> tuple[int, float, Choice]:
        demand, line, _ = choice
        each = float(space.menus[demand].share[line]) / space.gpus(demand, line)
        return space.demands[demand].priority, each, choice

    counts = dict(draft.counts)
    for choice in sorted(counts, key=worth):
        name, gpus = space.demands[choice[0]].key.namespace, space.gpus(*choice[:2])
        if left[name] < 0:
            out = min(counts[choice], -(left[name] // gpus))
            counts[choice] -= out
            left[name] += out * gpus
    return Draft(counts={choice: count for choice, count in counts.items() if count}, nodes=draft.nodes)


def draft_of(space: Space, sets: Sets, plan: Plan) -> Draft:
    """A plan of sets as a draft of the space that they are over."""
    nodes = np.zeros(len(space.supplies), dtype=np.int64)
    nodes[list(sets.numbers)] = plan.nodes
    chosen = np.flatnonzero(plan.counts)
    return Draft(counts={sets.columns[c].choice: int(plan.counts[c]) for c in chosen}, nodes=nodes)


def plan_in(sets: Sets, draft: Draft, origin: str) -> Plan | None:
    """A draft as a plan of sets; nothing where they lack one of its choices.

    They have every supply that their choices can be on, so nodes of other supplies are idle: free ones that a solver
    took for nothing. They are left out.
    """
    column_of = {column.choice: number for number, column in enumerate(sets.columns)}
    if not column_of.keys() >= draft.counts.keys():
        return None
    counts = np.zeros(len(sets.columns), dtype=np.int64)
    for choice, count in draft.counts.items():
        counts[column_of[choice]] = count
    return Plan(counts=counts, nodes=draft.nodes[list(sets.numbers)], origin=origin)
