"""inferno's instance as the product's problem, and inferno's own rule of one accelerator for each server."""

import math
from collections.abc import Mapping

import pyomo.environ as pyo

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import Allocation, DemandRow, Problem, SolvePolicy
from atoll.domain.strategy import EngineName, Limit, PerformanceSource, Stage, Strategy, Template
from atoll.optimize.highs import Ending, Limits, Outcome, Solver
from atoll.optimize.matrix import compile_program
from atoll.optimize.program.linear import linear
from benchmarks.inferno.instance import Choice, Instance

REGION = "inferno"
"""The instances have no regions."""

GAP = 1e-7
"""At which a value counts as optimal."""

Replicas = Mapping[tuple[str, str], int]
"""How many by server and accelerator."""


def problem_of(instance: Instance, *, deadline_seconds: float) -> Problem:
    """The instance as a problem.

    A unit of a type is a node with one GPU; a replica on ``4xA100`` has four stages on such nodes, so units are
    counted and paid as inferno does. A template's accelerator is told by ``max_context``: its number in the server.

    Args:
        instance: to be solved.
        deadline_seconds: of the problem's policy.
    """
    demands = tuple(
        DemandRow(
            key=DemandKey(namespace=REGION, name=server.name),
            rate=server.rate,
            priority=-server.priority,
            templates=tuple(_template(choice, number) for number, choice in enumerate(server.choices)),
        )
        for server in instance.servers
    )
    supplies = tuple(
        Supply(
            offering=OfferingKey(pool=kind, zone=REGION, capacity_type=CapacityType.ON_DEMAND),
            gpu_kind=kind,
            gpus=1,
            price_per_hour=instance.unit_cost[kind],
            obtainable=count,
            region=REGION,
        )
        for kind, count in instance.capacity.items()
        if kind in instance.unit_cost
    )
    policy = SolvePolicy(deadline_seconds=deadline_seconds, accept_gap=GAP)
    return Problem(demands=demands, supplies=supplies, policy=policy)


def replicas_of(instance: Instance, allocation: Allocation) -> Replicas:
    """How many replicas of which accelerator an allocation gives each server."""
    choices = {server.name: server.choices for server in instance.servers}
    found: dict[tuple[str, str], int] = {}
    for group in allocation.replicas:
        accelerator = choices[group.demand.name][group.strategy.max_context].accelerator
        key = (group.demand.name, accelerator)
        found[key] = found.get(key, 0) + group.count
    return found


def one_accelerator(instance: Instance, *, deadline_seconds: float) -> Outcome:
    """The optimum under inferno's own rule: every server has replicas of one accelerator only.

    ``minimise sum cost[s,a] n[s,a] v[s,a]``, ``sum_a v[s,a] = 1``, ``sum units[s,a] n[s,a] v[s,a] <= capacity[type]``
    with v binary and ``n[s,a] = ceil(rate[s] / rate[s,a])``.

    Args:
        instance: to be solved.
        deadline_seconds: most time.
    """
    pairs = [(server, choice) for server in instance.servers for choice in server.choices]
    program = pyo.ConcreteModel(name="one_accelerator")
    program.v = pyo.Var(range(len(pairs)), domain=pyo.Binary)
    taken = [
        (needed(server.rate, choice), variable)
        for (server, choice), variable in zip(pairs, program.v.values(), strict=True)
    ]
    names = [server.name for server in instance.servers]
    program.one = pyo.Constraint(names)
    for name in names:
        row = [(1.0, v) for (server, _), (_, v) in zip(pairs, taken, strict=True) if server.name == name]
        if not row:
            return Outcome(ending=Ending.INFEASIBLE, values=None, objective=float("inf"), bound=float("inf"))
        program.one[name] = linear(row) == 1.0
    program.capacity = pyo.Constraint(list(instance.capacity))
    for kind, count in instance.capacity.items():
        row = [
            (float(n * choice.units), v)
            for (_, choice), (n, v) in zip(pairs, taken, strict=True)
            if choice.type == kind
        ]
        if row:
            program.capacity[kind] = linear(row) <= float(count)
    cost = [(n * choice.cost, v) for (_, choice), (n, v) in zip(pairs, taken, strict=True)]
    program.cost = pyo.Objective(expr=linear(cost))
    matrix = compile_program(program)
    limits = Limits(seconds=deadline_seconds, gap=GAP)
    return Solver(matrix).minimise(matrix.objectives["cost"], matrix.lower, matrix.upper, limits)


def needed(rate: float, choice: Choice) -> int:
    """Replicas that serve a rate, requests/s."""
    return math.ceil(rate / choice.rate)


def _template(choice: Choice, number: int) -> Template:
    return Template(
        strategy=Strategy(
            engine=EngineName.VLLM,
            tp=1,
            stages=tuple(Stage(gpu_kind=choice.type, layers=1) for _ in range(choice.units)),
            quantisation=Quantisation.BF16,
            max_sequences=choice.batch,
            max_context=number,
        ),
        rate=choice.rate,
        ttft_seconds=0.0,
        tpot_seconds=0.0,
        sequences=float(choice.batch),
        limit=Limit.TTFT,
        sources={choice.type: PerformanceSource.PROFILE},
        expected_error=0.0,
        startup_seconds=0.0,
    )
