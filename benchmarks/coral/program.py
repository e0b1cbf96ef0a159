"""Coral's online program, and uniform scaling of all demands where it has no answer.

Columns c: replicas x[c] of a template in a zone; supplies p: nodes y[p] with G[p] GPUs at price c[p] (US$/h), of which
A[p] can be had; rates r[c] and demands D[m] in requests/s::

    minimise  sum_p c[p] y[p]
    demand    sum_(c of m) r[c] x[c] >= D[m] theta                          for each served model m
    nodes     sum_(c: tp >= s) need[c] x[c] <= sum_(p: G >= s) y[p]         for each GPU kind, zone and width s
    x, y whole, not negative; y[p] <= A[p]; theta = 1

A replica owns whole nodes: a stage of width tp takes one node with tp GPUs or more, of whatever config. Such stages fit
nodes by Hall's condition, which for sizes that contain each other is the rows above, so no variable says which stage is
on which node. (Coral's own columns name a config for each stage; this is the same set of plans.) With ``shared`` the
rows are the product's, ``sum (tp / s) need x <= sum floor(G / s) y``: the same policy on shared nodes.

Where theta = 1 is infeasible Coral scales all arrival rates down uniformly until it is not: the largest theta first,
then the cheapest nodes for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo

from atoll.domain.demand import DemandKey
from atoll.domain.problem import Problem
from atoll.domain.strategy import Template
from atoll.optimize.highs import Ending, Limits, Outcome, Solver
from atoll.optimize.matrix import Matrix, compile_program
from atoll.optimize.program.linear import linear

GAP = 1e-6
"""At which HiGHS may stop."""

TOLERANCE = 1e-5
"""By how much a row may be broken once whole numbers are rounded, in its own unit."""

Place = tuple[str, str, str]
"""Region, zone and capacity type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Replicas of a template at a place."""

    demand: DemandKey
    template: Template
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """What the program found.

    Attributes:
        cost: of the nodes, US$/h.
        bound: valid lower bound of the cost at this theta, US$/h.
        theta: share of every demand that is served at least.
        proven: theta and cost are optimal.
        served: requests/s that each demand's replicas can serve, not more than it wants.
    """

    cost: float
    bound: float
    theta: float
    proven: bool
    served: Mapping[DemandKey, float]


class BrokenAnswerError(RuntimeError):
    """The program has no answer in time, or one that breaks a row."""


def scaled(problem: Problem, *, shared: bool, deadline_seconds: float) -> Scaled:
    """Solve Coral's program; with the demands scaled down where they cannot all be met.

    Args:
        problem: demands, templates and supplies; priorities and what runs are not looked at.
        shared: several replicas may share a node.
        deadline_seconds: most time of each of the (at most three) searches.

    Raises:
        BrokenAnswerError: nothing was found in time.
    """
    columns = _columns(problem)
    matrix = compile_program(_program(problem, columns, shared=shared))
    solver = Solver(matrix)
    limits = Limits(seconds=deadline_seconds, gap=GAP)
    theta = int(matrix.columns["theta"][0])
    lower = matrix.lower.copy()
    lower[theta] = 1.0
    outcome = solver.minimise(matrix.objectives["cost"], lower, matrix.upper, limits)
    proven = True
    if outcome.values is None:
        most = solver.minimise(matrix.objectives["unserved"], matrix.lower, matrix.upper, limits)
        if most.values is None:
            raise BrokenAnswerError(f"nothing found in {deadline_seconds:g} s")
        proven = most.ending is Ending.OPTIMAL
        lower[theta] = max(0.0, most.values[theta] - GAP)
        start = {int(number): float(np.rint(most.values[number])) for number in np.flatnonzero(matrix.integer)}
        outcome = solver.minimise(matrix.objectives["cost"], lower, matrix.upper, limits, start)
        if outcome.values is None:
            outcome = most
    return _read(problem, columns, matrix, outcome, proven=proven)


def _read(problem: Problem, columns: tuple[Column, ...], matrix: Matrix, outcome: Outcome, *, proven: bool) -> Scaled:
    if outcome.values is None:
        raise BrokenAnswerError("no values")
    values = np.where(matrix.integer, np.rint(outcome.values), outcome.values)
    sums = np.add.reduceat(np.append(matrix.values * values[matrix.indices], 0.0), matrix.starts[:-1])
    if (sums > matrix.row_upper + TOLERANCE).any() or (sums < matrix.row_lower - TOLERANCE).any():
        raise BrokenAnswerError("rounded values break a row")
    served = dict.fromkeys((row.key for row in problem.demands), 0.0)
    for column, count in zip(columns, values[matrix.columns["x"]], strict=True):
        served[column.demand] += column.template.rate * float(count)
    cost = float(matrix.objectives["cost"] @ values)
    return Scaled(
        cost=cost,
        bound=min(cost, outcome.bound),
        theta=min(1.0, *(served[row.key] / row.rate for row in problem.demands)),
        proven=proven and outcome.ending is Ending.OPTIMAL,
        served={row.key: min(row.rate, served[row.key]) for row in problem.demands},
    )


def _columns(problem: Problem) -> tuple[Column, ...]:
    """All templates at all places where each of their stages finds a node."""
    widest: dict[tuple[Place, str], int] = {}
    for supply in problem.supplies:
        place = (supply.region, supply.zone, str(supply.capacity_type))
        if supply.obtainable > 0:
            widest[place, supply.gpu_kind] = max(supply.gpus, widest.get((place, supply.gpu_kind), 0))
    places = sorted({place for place, _ in widest})
    return tuple(
        Column(demand=row.key, template=template, place=place)
        for row in problem.demands
        for template in row.templates
        for place in places
        if template.rate > 0.0
        and all(widest.get((place, kind), 0) >= template.strategy.tp for kind in template.strategy.need)
    )


def _program(problem: Problem, columns: tuple[Column, ...], *, shared: bool) -> pyo.ConcreteModel:
    program = pyo.ConcreteModel(name="coral")
    wanted = {row.key: row.rate for row in problem.demands}
    program.x = pyo.Var(range(len(columns)), domain=pyo.NonNegativeIntegers)
    program.y = pyo.Var(range(len(problem.supplies)), domain=pyo.NonNegativeIntegers)
    program.theta = pyo.Var(domain=pyo.NonNegativeReals, bounds=(0.0, 1.0))
    demand: dict[DemandKey, list[tuple[float, object]]] = {
        key: [(-rate, program.theta)] for key, rate in wanted.items()
    }
    nodes: dict[tuple[Place, str], list[tuple[int, int, object]]] = {}
    for column, variable in zip(columns, program.x.values(), strict=True):
        rate, strategy = column.template.rate, column.template.strategy
        variable.setub(float(np.ceil(wanted[column.demand] / rate)))
        demand[column.demand].append((rate, variable))
        for kind, count in strategy.need.items():
            nodes.setdefault((column.place, kind), []).append((strategy.tp, count, variable))
    program.demand = pyo.Constraint(range(len(demand)))
    for number, row in enumerate(demand.values()):
        program.demand[number] = linear(row) >= 0.0
    rows = []
    for (place, kind), asked in nodes.items():
        there = [
            (supply.gpus, variable)
            for supply, variable in zip(problem.supplies, program.y.values(), strict=True)
            if (supply.region, supply.zone, str(supply.capacity_type)) == place and supply.gpu_kind == kind
        ]
        for width in sorted({tp for tp, _, _ in asked}):
            row = [(float(n * (tp // width if shared else 1)), v) for tp, n, v in asked if tp >= width]
            rows.append(row + [(-float(gpus // width if shared else 1), v) for gpus, v in there if gpus >= width])
    program.nodes = pyo.Constraint(range(len(rows)))
    for number, row in enumerate(rows):
        program.nodes[number] = linear(row) <= 0.0
    for supply, variable in zip(problem.supplies, program.y.values(), strict=True):
        variable.setub(supply.obtainable)
    prices = [(s.price_per_hour, v) for s, v in zip(problem.supplies, program.y.values(), strict=True)]
    program.cost = pyo.Objective(expr=linear(prices))
    program.unserved = pyo.Objective(expr=linear([(-1.0, program.theta)]))
    return program
