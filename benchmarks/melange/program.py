"""Buckets over GPU types: by Melange's slice rule, and divisible as a router by size can send them.

Size classes b of one demand, GPU types t with ``rate[b,t]``, demand D[b] (requests/s), price c[t] (US$/h)::

    minimise  sum_t c[t] x[t]
    share     sum_t f[b,t] = D[b]                     for each b
    fits      sum_b f[b,t] / rate[b,t] <= x[t]        for each t
    x whole;  f >= 0 (divisible), or f[b,t] = n[b,t] D[b] / S with n whole (Melange's rule with slice factor S)

Melange has a binary for each slice and type; slices of a bucket are alike, so a whole number says the same. Every
answer by the rule is a divisible one, so the divisible optimum is a lower bound of the rule's.

The product's problem has one rate for each template and no size classes, so this is a program of its own.
"""

from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo

from atoll.optimize.highs import Ending, Limits, Solver
from atoll.optimize.matrix import compile_program
from atoll.optimize.program.linear import linear
from benchmarks.melange.instance import Instance

LOAD_TOLERANCE = 1e-6
"""By how much a GPU may be loaded beyond one: solvers keep rows to a tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the program found.

    Attributes:
        gpus: how many of each type.
        flow: requests/s of each bucket on each type.
        cost: US$/h.
        bound: valid lower bound of the cost, US$/h.
        proven: the search ended at the optimum.
    """

    gpus: dict[str, int]
    flow: dict[tuple[int, str], float]
    cost: float
    bound: float
    proven: bool


class BrokenAnswerError(RuntimeError):
    """An answer does not keep the rules, which is a defect of the program or the solver."""


def assign(instance: Instance, *, slices: int | None, deadline_seconds: float) -> Answer:
    """The cheapest GPUs.

    Args:
        instance: to be solved.
        slices: parts of each bucket that stay together; None for divisible buckets.
        deadline_seconds: most time.

    Raises:
        BrokenAnswerError: no answer was found in time, or it fails the check.
    """
    kinds = list(instance.prices)
    pairs = [(b, kind) for b in range(len(instance.demand)) for kind in kinds if instance.rates[kind][b] > 0.0]
    parts = slices or 1
    program = pyo.ConcreteModel(name="buckets")
    program.x = pyo.Var(kinds, domain=pyo.NonNegativeIntegers)
    program.n = pyo.Var(
        range(len(pairs)), domain=pyo.NonNegativeReals if slices is None else pyo.NonNegativeIntegers, bounds=(0, parts)
    )
    shared: list[list[tuple[float, object]]] = [[] for _ in instance.demand]
    loads: dict[str, list[tuple[float, object]]] = {kind: [(-1.0, program.x[kind])] for kind in kinds}
    for (bucket, kind), variable in zip(pairs, program.n.values(), strict=True):
        shared[bucket].append((1.0, variable))
        loads[kind].append((instance.demand[bucket] / parts / instance.rates[kind][bucket], variable))
    program.share = pyo.Constraint(range(len(shared)))
    for bucket, row in enumerate(shared):
        program.share[bucket] = linear(row) == float(parts)
    program.fits = pyo.Constraint(kinds)
    for kind, row in loads.items():
        program.fits[kind] = linear(row) <= 0.0
    program.cost = pyo.Objective(expr=linear([(instance.prices[kind], program.x[kind]) for kind in kinds]))
    matrix = compile_program(program)
    outcome = Solver(matrix).minimise(
        matrix.objectives["cost"], matrix.lower, matrix.upper, Limits(seconds=deadline_seconds, gap=1e-7)
    )
    if outcome.values is None:
        raise BrokenAnswerError(f"{instance.name}: nothing found in {deadline_seconds:g} s")
    counts = np.rint(outcome.values[matrix.columns["x"]]).astype(int)
    numbers = outcome.values[matrix.columns["n"]]
    numbers = numbers if slices is None else np.rint(numbers)
    answer = Answer(
        gpus={kind: int(count) for kind, count in zip(kinds, counts, strict=True)},
        flow={
            (bucket, kind): float(number) * instance.demand[bucket] / parts
            for (bucket, kind), number in zip(pairs, numbers, strict=True)
            if number > 0.0
        },
        cost=sum(instance.prices[kind] * int(count) for kind, count in zip(kinds, counts, strict=True)),
        bound=outcome.bound,
        proven=outcome.ending is Ending.OPTIMAL,
    )
    faults = broken(instance, answer, slices=slices)
    if faults:
        raise BrokenAnswerError(f"{instance.name}: {'; '.join(faults)}")
    return answer


def broken(instance: Instance, answer: Answer, *, slices: int | None) -> tuple[str, ...]:
    """Rules that an answer does not keep, found from its flows alone."""
    faults = []
    for bucket, demand in enumerate(instance.demand):
        parts = [flow for (b, _), flow in answer.flow.items() if b == bucket]
        if abs(sum(parts) - demand) > LOAD_TOLERANCE * demand:
            faults.append(f"bucket {bucket} is served at {sum(parts):g} of {demand:g} requests/s")
        whole = [part * slices / demand for part in parts] if slices is not None else []
        if any(abs(number - round(number)) > LOAD_TOLERANCE for number in whole):
            faults.append(f"bucket {bucket} is cut within a slice")
    for kind, count in answer.gpus.items():
        load = sum(flow / instance.rates[kind][b] for (b, k), flow in answer.flow.items() if k == kind)
        if load > count + LOAD_TOLERANCE:
            faults.append(f"{count} GPUs of {kind} carry a load of {load:g}")
    return tuple(faults)
