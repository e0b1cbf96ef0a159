"""What runs now, as a plan: repaired where its nodes are gone, and grown where it falls short."""

from collections import defaultdict

import numpy as np

from atoll.domain.pool import OfferingKey
from atoll.domain.problem import Problem, ReplicaGroup
from atoll.optimize.greedy import greedy
from atoll.optimize.indexing import start_cost
from atoll.optimize.nodes import cover, thin
from atoll.optimize.placement import Placed
from atoll.optimize.plan import Plan, level_values, unserved
from atoll.optimize.scarcity import COST
from atoll.optimize.sets import Sets


def running_plan(sets: Sets) -> Plan | None:
    """The running replicas that can stay at their sites, on the fewest nodes there; nothing where none can.

    Replicas of demands that are gone or at zero, those whose offering has no room left, and those that a quota does not
    admit any more, are not among them.
    """
    counts = np.zeros(len(sets.columns), dtype=np.int64)
    nodes = np.zeros(len(sets.supplies), dtype=np.int64)
    pods: dict[OfferingKey, list[int]] = defaultdict(list)
    for running in sorted(sets.running, key=lambda running: -running.group.strategy.tp):
        offerings, tp = running.group.site.offerings, running.group.strategy.tp
        most = min(running.group.count, int(sets.upper[running.column] - counts[running.column]))
        namespace = running.group.demand.namespace
        if namespace in sets.quotas:
            most = min(most, sets.quota_left(counts)[namespace] // running.group.strategy.gpus)
        for count in range(most, 0, -1):
            trial = {o: [*pods[o], *[tp] * (offerings.count(o) * count)] for o in set(offerings)}
            held = {offering: _nodes_at(sets, offering, widths) for offering, widths in trial.items()}
            if all(held.values()):
                pods.update(trial)
                counts[running.column] += count
                for chosen in held.values():
                    for supply, number in (chosen or {}).items():
                        nodes[supply] = number
                break
    return Plan(counts=counts, nodes=nodes, origin="running") if counts.any() else None


def grown(sets: Sets, plan: Plan) -> Plan:
    """The plan itself if it lacks nothing; otherwise with the cheapest replicas added that it lacks."""
    lacks = any(value > 0.0 for name, value in level_values(sets, plan).items() if name != COST)
    if not lacks and not unserved(sets, plan.counts).any():
        return plan
    return greedy(sets, start=plan, origin="running")


def move_cost(problem: Problem, placed: Placed) -> float:
    """Cost of starting what does not run yet, US$."""
    runs: dict[tuple[object, ...], int] = defaultdict(int)
    for group in problem.running:
        runs[_identity(group)] += group.count
    supplies = {supply.offering: supply for supply in problem.supplies}
    templates = {(row.key, t.strategy): t for row in problem.demands for t in row.templates}
    total = 0.0
    for group in placed.replicas:
        stays = min(group.count, runs[_identity(group)])
        runs[_identity(group)] -= stays
        if group.count > stays:
            site = [supplies[offering] for offering in group.site.offerings]
            total += (group.count - stays) * start_cost(templates[group.demand, group.strategy], site)
    return total


def _identity(group: ReplicaGroup) -> tuple[object, ...]:
    return (group.demand, group.strategy, group.site)


def _nodes_at(sets: Sets, offering: OfferingKey, widths: list[int]) -> dict[int, int] | None:
    """Fewest dollars' worth of an offering's nodes that hold pods of these widths, by supply."""
    supplies = sets.supplies_of_offering.get(offering, np.zeros(0, dtype=np.int64))
    kinds = sorted(set(widths))
    slots = np.array([[sets.supplies[p].gpus // s for s in kinds] for p in supplies], dtype=float)
    load = np.array([sum(tp // s for tp in widths if tp >= s) for s in kinds], dtype=float)
    nodes = np.zeros(len(supplies), dtype=np.int64)
    price, obtainable = sets.price[supplies], sets.obtainable[supplies]
    if not cover(price, obtainable, slots, load, nodes):
        return None
    thin(price, obtainable, slots, load, nodes=nodes, floor=np.zeros_like(nodes))
    return dict(zip(supplies.tolist(), nodes.tolist(), strict=True))
