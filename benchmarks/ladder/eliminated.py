"""HiGHS on the product's exact program: no hosting variables, clipped rates, every domain (design section 5).

What is left of the method when column generation, placement and neighbourhoods are taken away: the honest plain
competitor.
"""

from atoll.domain.gpu import CapacityType
from atoll.optimize.indexing import sets_of
from atoll.optimize.matrix import compile_program
from atoll.optimize.program.build import build
from atoll.optimize.sets import Sets
from benchmarks.ladder.answer import Answer, Sort
from benchmarks.ladder.form import Floats, Form
from benchmarks.ladder.instance import Instance
from benchmarks.ladder.method import Hear, Run
from benchmarks.ladder.watched import run_highs, whole


def run_eliminated(instance: Instance, deadline: float, hear: Hear) -> Run:
    """HiGHS on the eliminated program; arguments as of every method."""
    sets = sets_of(instance.problem)
    matrix = compile_program(build(sets))
    x, y = matrix.columns["x"], matrix.columns["y"]
    return run_highs(
        matrix,
        matrix.objectives["cost"],
        deadline,
        lambda values: _read(instance.form, sets, values[x], values[y]),
        hear,
    )


def _read(form: Form, sets: Sets, x: Floats, y: Floats) -> Answer:
    replicas: dict[Sort, int] = {}
    for number, count in whole(x).items():
        column = sets.columns[number]
        wanted = sets.demands[column.demand]
        template = wanted.templates[column.template].strategy.max_sequences
        spot = column.capacity_type is CapacityType.SPOT
        replicas[int(wanted.key.name[1:]), template, int(column.domain.region[1:]), spot] = count
    nodes = [0] * len(form.price)
    for number, count in whole(y).items():
        nodes[int(sets.supplies[number].offering.pool[1:])] += count
    return Answer(replicas=replicas, nodes=tuple(nodes))
