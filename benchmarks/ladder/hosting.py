"""The program with hosting variables, stated in Pyomo: which pool hosts which stage, and Coral's rule as a variant.

Sets: served models m with demand D[m] (requests/s) and penalty q[m] (US$/h for each request/s not served); sorts c of
replicas, each a template of one served model in one region and capacity class a, with rate r[c] (requests/s) and
U[c,k] stages of kind k (GPU kind and width s[k] in GPUs); pools p with nodes of G[p] GPUs at price c[p] (US$/h), of
which A[p] can be had::

    minimise    sum_p c[p] y[p] + sum_m q[m] u[m]
    demand      sum_(c of m) r[c] x[c] + u[m] >= D[m]                              for each m
    hosting     sum_(p in region, a) w[k,p] >= sum_(c in region, a) U[c,k] x[c]    for each k, region, a
    capacity    sum_(k: s[k] >= s) (s[k] / s) w[k,p] <= floor(G[p] / s) y[p]       for each p, width s
    whole nodes sum_k w[k,p] <= y[p]                                               for each p; Coral, not capacity
    x, w, y whole, not negative; y[p] <= A[p]; 0 <= u[m] <= D[m]

w[k,p] counts stage pods of kind k on nodes of p. Capacity is exact for widths that are powers of two (a pool's pods
fit its nodes when they do by slots of each width); a width that divides G[p] is implied by narrower ones that do, and
its row is left out.

Coral (arXiv 2605.04357, online program: an integer count per region and template, cost of nodes, availability per
region and GPU config, throughput per served model) gives each replica whole nodes. Its columns say for each stage
which config it takes. Whole nodes are not shared, so only their number matters: the sum of its columns over all
choices of config is w here, and every whole w splits into such columns. This states its program at its best, with all
configs open to every stage. Rates are not clipped: that is ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo

from atoll.optimize.matrix import compile_program
from atoll.optimize.program.linear import linear
from benchmarks.ladder.answer import Answer, Sort
from benchmarks.ladder.form import Floats, Form
from benchmarks.ladder.instance import Instance
from benchmarks.ladder.method import Hear, Run
from benchmarks.ladder.watched import run_highs, whole

Where = tuple[int, bool]
"""Region and whether on spot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """What the program is indexed by.

    Attributes:
        form: of the instance.
        sorts: of replicas, each possible by what its stages find at its place.
        hosts: stage kind and pool, each possible by kind, width and availability.
    """

    form: Form
    sorts: tuple[Sort, ...]
    hosts: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, form: Form) -> "Hosting":
        """All sorts and hosts that are possible at all."""
        hosts = [
            (kind, pool)
            for kind, (gpu, width) in enumerate(zip(form.kind_gpu, form.kind_width, strict=True))
            for pool in np.flatnonzero((form.obtainable > 0) & (form.pool_gpus >= width)).tolist()
            if form.pool_kind[pool] == gpu
        ]
        open_at: dict[Where, set[int]] = {}
        for kind, pool in hosts:
            open_at.setdefault(_where(form, pool), set()).add(kind)
        closed = {
            where: np.array([kind not in kinds for kind in range(len(form.kind_gpu))])
            for where, kinds in open_at.items()
        }
        possible = {
            (size, where): np.flatnonzero(~(menu.need[:, shut] > 0).any(axis=1)).tolist()
            for size, menu in form.menus.items()
            for where, shut in closed.items()
        }
        sorts = [
            (model, template, *where)
            for model, size in enumerate(form.size)
            if form.demand[model] > 0.0
            for where in sorted(closed)
            for template in possible[size, where]
        ]
        return cls(form=form, sorts=tuple(sorts), hosts=tuple(hosts))

    def read(self, x: Floats, y: Floats) -> Answer:
        """Values of the variables as an answer."""
        return Answer(
            replicas={self.sorts[number]: count for number, count in whole(x).items()},
            nodes=tuple(int(nodes) for nodes in np.rint(y)),
        )


def hosting_program(sets: Hosting, *, whole_nodes: bool) -> pyo.ConcreteModel:
    """State the program.

    Args:
        sets: what it is indexed by.
        whole_nodes: Coral's rule instead of capacity by slots.
    """
    program = pyo.ConcreteModel(name="coral" if whole_nodes else "plain")
    _add_variables(program, sets)
    _add_demand(program, sets)
    _add_hosting(program, sets)
    (_add_whole_nodes if whole_nodes else _add_capacity)(program, sets)
    form = sets.form
    row = [(float(price), program.y[pool]) for pool, price in enumerate(form.price)]
    row += [(float(penalty), program.u[model]) for model, penalty in enumerate(form.penalty)]
    program.cost = pyo.Objective(expr=linear(row))
    return program


def run_plain(instance: Instance, deadline: float, hear: Hear) -> Run:
    """HiGHS on the program with hosting variables; arguments as of every method."""
    return _run(instance, deadline, hear, whole_nodes=False)


def run_coral(instance: Instance, deadline: float, hear: Hear) -> Run:
    """HiGHS on Coral's program; arguments as of every method."""
    return _run(instance, deadline, hear, whole_nodes=True)


def _run(instance: Instance, deadline: float, hear: Hear, *, whole_nodes: bool) -> Run:
    sets = Hosting.of(instance.form)
    matrix = compile_program(hosting_program(sets, whole_nodes=whole_nodes))
    x, y = matrix.columns["x"], matrix.columns["y"]
    return run_highs(matrix, matrix.objectives["cost"], deadline, lambda values: sets.read(values[x], values[y]), hear)


def _add_variables(program: pyo.ConcreteModel, sets: Hosting) -> None:
    """x[c] up to what would serve all, y[p] up to A[p], w[k,p], u[m] up to D[m]."""
    form = sets.form
    program.x = pyo.Var(range(len(sets.sorts)), domain=pyo.NonNegativeIntegers)
    for variable, (model, template, _, _) in zip(program.x.values(), sets.sorts, strict=True):
        variable.setub(float(np.ceil(form.demand[model] / form.menu(model).rate[template])))
    program.y = pyo.Var(range(len(form.price)), domain=pyo.NonNegativeIntegers)
    for pool, variable in program.y.items():
        variable.setub(int(form.obtainable[pool]))
    program.w = pyo.Var(range(len(sets.hosts)), domain=pyo.NonNegativeIntegers)
    program.u = pyo.Var(range(len(form.demand)), domain=pyo.NonNegativeReals)
    for model, variable in program.u.items():
        variable.setub(float(form.demand[model]))


def _add_demand(program: pyo.ConcreteModel, sets: Hosting) -> None:
    """``sum_(c of m) r[c] x[c] + u[m] >= D[m]``, requests/s."""
    form = sets.form
    rows: list[list[tuple[float, object]]] = [[(1.0, shortfall)] for shortfall in program.u.values()]
    for variable, (model, template, _, _) in zip(program.x.values(), sets.sorts, strict=True):
        rows[model].append((float(form.menu(model).rate[template]), variable))
    program.demand = pyo.Constraint(range(len(rows)))
    for model, row in enumerate(rows):
        program.demand[model] = linear(row) >= float(form.demand[model])


def _add_hosting(program: pyo.ConcreteModel, sets: Hosting) -> None:
    """``sum_p w[k,p] - sum_c U[c,k] x[c] >= 0``, stage pods."""
    form = sets.form
    rows: dict[tuple[int, int, bool], list[tuple[float, object]]] = {}
    for variable, (kind, pool) in zip(program.w.values(), sets.hosts, strict=True):
        rows.setdefault((kind, *_where(form, pool)), []).append((1.0, variable))
    stages: dict[tuple[int, int], list[tuple[int, int]]] = {
        (size, template): [(int(kind), int(need[kind])) for kind in np.flatnonzero(need)]
        for size, menu in form.menus.items()
        for template, need in enumerate(menu.need)
    }
    for variable, (model, template, region, spot) in zip(program.x.values(), sets.sorts, strict=True):
        for kind, count in stages[form.size[model], template]:
            rows[kind, region, spot].append((-float(count), variable))
    program.hosting = pyo.Constraint(range(len(rows)))
    for number, row in enumerate(rows.values()):
        program.hosting[number] = linear(row) >= 0.0


def _add_capacity(program: pyo.ConcreteModel, sets: Hosting) -> None:
    """``sum_(k: s[k] >= s) (s[k] / s) w[k,p] - floor(G[p] / s) y[p] <= 0``, slots of s GPUs."""
    rows = []
    for pool, hosted in _by_pool(program, sets).items():
        gpus = int(sets.form.pool_gpus[pool])
        widths = sorted({width for width, _ in hosted})
        for width in widths:
            if width == widths[0] or gpus % width:
                row = [(float(wide // width), variable) for wide, variable in hosted if wide >= width]
                rows.append([*row, (-float(gpus // width), program.y[pool])])
    program.capacity = pyo.Constraint(range(len(rows)))
    for number, row in enumerate(rows):
        program.capacity[number] = linear(row) <= 0.0


def _add_whole_nodes(program: pyo.ConcreteModel, sets: Hosting) -> None:
    """``sum_k w[k,p] - y[p] <= 0``, nodes."""
    hosted = _by_pool(program, sets)
    program.whole_nodes = pyo.Constraint(list(hosted))
    for pool, pods in hosted.items():
        row = [(1.0, variable) for _, variable in pods]
        program.whole_nodes[pool] = linear([*row, (-1.0, program.y[pool])]) <= 0.0


def _by_pool(program: pyo.ConcreteModel, sets: Hosting) -> Mapping[int, list[tuple[int, object]]]:
    """Width and variable of all that a pool can host."""
    found: dict[int, list[tuple[int, object]]] = {}
    for variable, (kind, pool) in zip(program.w.values(), sets.hosts, strict=True):
        found.setdefault(pool, []).append((int(sets.form.kind_width[kind]), variable))
    return found


def _where(form: Form, pool: int) -> Where:
    return int(form.pool_region[pool]), bool(form.pool_spot[pool])
