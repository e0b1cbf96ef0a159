"""One instance as a row: the product's answer, judged by inferno's own counting, and the published one."""

import time
from dataclasses import dataclass
from typing import Any

from atoll.optimize.solve import solve
from benchmarks.inferno.instance import Instance
from benchmarks.inferno.problem import Replicas, one_accelerator, problem_of, replicas_of

UNSERVED = 1e-6
"""Share of a server's rate that counts as served: solvers keep rows to a tolerance."""

PROVEN = 2e-6
"""Relative distance of value and bound at which a value is optimal: the product lowers its bounds by a tolerance."""

SOURCE = "solution-data.json beside it (greedy of llm-inferno/optimizer-light)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What an answer costs and keeps, counted from replicas alone.

    Attributes:
        cost: of all replicas, in the instance's money an hour.
        unserved: requests/s that servers lack, all together.
        over: units by which types are overused, all together.
    """

    cost: float
    unserved: float
    over: int


def judge(instance: Instance, replicas: Replicas) -> Judged:
    """Count an answer by the rules of the instance."""
    cost = unserved = 0.0
    used = dict.fromkeys(instance.capacity, 0)
    for server in instance.servers:
        served = 0.0
        for choice in server.choices:
            count = replicas.get((server.name, choice.accelerator), 0)
            served += count * choice.rate
            cost += count * choice.cost
            used[choice.type] = used.get(choice.type, 0) + count * choice.units
        if served < server.rate * (1.0 - UNSERVED):
            unserved += server.rate - served
    over = sum(max(0, count - instance.capacity.get(kind, 0)) for kind, count in used.items())
    return Judged(cost=cost, unserved=unserved, over=over)


def row_of(instance: Instance, *, deadline: float) -> dict[str, Any]:
    """Solve and judge one instance.

    Args:
        instance: to be solved.
        deadline: seconds for the product, and as many for the program of one accelerator.
    """
    began = time.process_time()
    allocation = solve(problem_of(instance, deadline_seconds=deadline), clock=time.process_time)
    seconds = time.process_time() - began
    replicas = replicas_of(instance, allocation)
    judged = judge(instance, replicas)
    bound = min(allocation.bound_per_hour, judged.cost)
    restricted = one_accelerator(instance, deadline_seconds=deadline)
    published = instance.published_cost
    before = judge(instance, {(name, each.accelerator): each.replicas for name, each in instance.published.items()})
    return {
        "instance": instance.name,
        "servers": len(instance.servers),
        "value": judged.cost,
        "bound": bound,
        "gap": (judged.cost - bound) / judged.cost if judged.cost > 0.0 else 0.0,
        "proven": judged.cost - bound <= PROVEN * judged.cost and not allocation.conditional,
        "unserved": judged.unserved,
        "published": published,
        "publishedSource": SOURCE if published is not None else None,
        "publishedUnserved": before.unserved if published is not None else None,
        "saving": None if not published else 1.0 - judged.cost / published,
        "oneAccelerator": None if restricted.values is None else restricted.objective,
        "oneAcceleratorBound": None if restricted.values is None else restricted.bound,
        "ok": judged.over == 0
        and judged.unserved <= before.unserved
        and (published is None or judged.cost <= published),
        "cpuSeconds": round(seconds, 3),
        "replicas": [[server, accelerator, count] for (server, accelerator), count in sorted(replicas.items())],
    }
