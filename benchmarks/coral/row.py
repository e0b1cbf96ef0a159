"""One setting as a row: the product's answer, Coral's program's, and how both share out what is too little."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from atoll.domain.problem import Problem
from atoll.optimize.baseline import one_kind_per_served_model
from atoll.optimize.solve import solve
from benchmarks.coral.policy import Outcome, first_come, goodput, not_worse, of_allocation, of_scaled, penalties
from benchmarks.coral.program import scaled
from benchmarks.coral.setting import Setting

SHORT = 1e-6
"""Share of a demand unserved that counts as none."""

FIRST_COME_SHARE = 0.2
"""Of the deadline, for each served model that is solved alone."""


def row_of(setting: Setting, *, deadline: float) -> dict[str, Any]:
    """Solve one setting by all policies.

    Args:
        setting: to be solved.
        deadline: CPU seconds for the product; seconds for each search of Coral's program.
    """
    problem = replace(setting.problem, policy=replace(setting.problem.policy, deadline_seconds=deadline))
    began = time.process_time()
    allocation = solve(problem, clock=time.process_time)
    seconds = time.process_time() - began
    began = time.process_time()
    theirs = scaled(problem, shared=False, deadline_seconds=deadline)
    coral_seconds = time.process_time() - began
    ours, uniform = of_allocation(problem, allocation), of_scaled(problem, theirs)
    outcomes = {"atoll": ours, "uniform": uniform}
    if short := theirs.theta < 1.0 - SHORT:
        outcomes["uniformShared"] = of_scaled(problem, scaled(problem, shared=True, deadline_seconds=deadline))
        outcomes["firstCome"] = first_come(problem, deadline_seconds=FIRST_COME_SHARE * deadline)
    one_kind = None if short else one_kind_per_served_model(problem, clock=time.process_time).cost_per_hour
    bound = min(allocation.bound_per_hour, ours.cost)
    return {
        "instance": setting.name,
        "demands": len(problem.demands),
        "templates": sum(len(row.templates) for row in problem.demands),
        "value": ours.cost,
        "bound": bound,
        "gap": allocation.gap,
        "conditional": allocation.conditional,
        "levels": [
            {"name": level.name, "value": level.value, "bound": level.bound, "proven": level.proven}
            for level in allocation.levels
        ],
        "coralValue": theirs.cost,
        "coralBound": theirs.bound,
        "coralProven": theirs.proven,
        "coralTheta": theirs.theta,
        "saving": None if short or theirs.cost <= 0.0 else 1.0 - ours.cost / theirs.cost,
        "oneKindValue": one_kind,
        "oneKindRatio": None if one_kind is None or ours.cost <= 0.0 else one_kind / ours.cost,
        "publishedOneKindRatio": setting.published_ratio,
        "short": short,
        "ok": all(not_worse(problem, ours, other) for other in outcomes.values()),
        "cpuSeconds": round(seconds, 3),
        "coralCpuSeconds": round(coral_seconds, 3),
        "publishedSeconds": setting.published_seconds,
        "publishedSource": setting.source or None,
        "policies": {name: described(problem, outcome) for name, outcome in outcomes.items()},
    }


def described(problem: Problem, outcome: Outcome) -> Mapping[str, Any]:
    """A policy's outcome as printed."""
    return {
        "cost": outcome.cost,
        "goodput": goodput(problem, outcome),
        "penalty": {str(priority): round(value, 6) for priority, value in penalties(problem, outcome).items()},
        "unserved": {key.name: round(share, 6) for key, share in outcome.unserved.items()},
    }
