"""One instance as a row: by Melange's rule, divisible, and what its own solver answered."""

import time
from typing import Any

from benchmarks.melange.instance import Instance
from benchmarks.melange.program import assign

ROUNDING = 1e-9
"""Relative difference of costs that is rounding."""

SOURCE = "measured: solver.py of tyler-griggs/melange-release @d46ab43, PuLP 2.8.0, CBC"


def row_of(instance: Instance, *, deadline: float) -> dict[str, Any]:
    """Solve one instance by both rules.

    Args:
        instance: to be solved.
        deadline: seconds for each rule.
    """
    began = time.process_time()
    divisible = assign(instance, slices=None, deadline_seconds=deadline)
    sliced = assign(instance, slices=instance.slices, deadline_seconds=deadline)
    seconds = time.process_time() - began
    measured = instance.measured
    bound = min(divisible.bound, sliced.cost)
    return {
        "instance": instance.name,
        "buckets": len(instance.demand),
        "slices": instance.slices,
        "value": sliced.cost,
        "bound": bound,
        "gap": (sliced.cost - bound) / sliced.cost if sliced.cost > 0.0 else 0.0,
        "proven": sliced.proven,
        "divisible": divisible.cost,
        "published": measured,
        "publishedSource": SOURCE if measured is not None else None,
        "saving": None if not measured else 1.0 - divisible.cost / measured,
        "ok": measured is None or max(sliced.cost, divisible.cost) <= measured * (1.0 + ROUNDING),
        "cpuSeconds": round(seconds, 3),
        "gpus": sliced.gpus,
        "divisibleGpus": divisible.gpus,
    }
