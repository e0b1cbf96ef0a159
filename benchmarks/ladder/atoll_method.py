"""The product's own way: ``atoll.optimize.solve``, by a clock of CPU time."""

from dataclasses import replace

from atoll.domain.gpu import CapacityType
from atoll.domain.problem import Allocation, Problem
from atoll.optimize.solve import solve
from benchmarks.ladder.answer import Answer
from benchmarks.ladder.form import Form
from benchmarks.ladder.instance import Instance
from benchmarks.ladder.method import Hear, Run
from benchmarks.ladder.spent import Stopwatch
from benchmarks.ladder.trace import Event

RETURN_SHARE = 0.02
"""Share of the time that is left for ending: the answer has to be there at the deadline, not on its way."""


def run_atoll(instance: Instance, deadline: float, hear: Hear) -> Run:
    """Solve an instance as the operator does.

    Args:
        instance: to be solved.
        deadline: CPU seconds in which the answer must be there.
        hear: is told of progress.
    """
    return run_problem(instance.form, instance.problem, deadline, hear)[0]


def run_problem(form: Form, problem: Problem, deadline: float, hear: Hear) -> tuple[Run, Allocation]:
    """Solve a problem of a form; also the answer in the product's own words.

    Args:
        form: what the answers are told by.
        problem: of the form, perhaps with something that runs.
        deadline: CPU seconds in which the answer must be there.
        hear: is told of progress.
    """
    policy = replace(problem.policy, deadline_seconds=deadline * (1.0 - RETURN_SHARE))
    told: list[tuple[float, Allocation]] = []
    watch = Stopwatch.start()

    def tell(allocation: Allocation) -> None:
        told.append((watch.cpu(), allocation))
        hear(told[-1][0], allocation.levels[-1].value, allocation.levels[-1].bound)

    last = solve(replace(problem, policy=policy), clock=watch.cpu, tell=tell)
    tell(last)
    cpu, wall = watch.cpu(), watch.wall()
    run = Run(
        events=tuple(
            Event(seconds=seconds, answer=answer_of(form, each), bound=each.levels[-1].bound) for seconds, each in told
        ),
        answer=answer_of(form, last),
        bound=last.levels[-1].bound,
        cpu_seconds=cpu,
        wall_seconds=wall,
    )
    return run, last


def answer_of(form: Form, allocation: Allocation) -> Answer:
    """An allocation of the instance's problem in the words of its file.

    A replica's region and capacity class are those of its first stage: whether the others have room there is for the
    packer to say.
    """
    replicas: dict[tuple[int, int, int, bool], int] = {}
    for group in allocation.replicas:
        first = group.site.offerings[0]
        sort = (
            int(group.demand.name[1:]),
            group.strategy.max_sequences,
            int(form.pool_region[int(first.pool[1:])]),
            first.capacity_type is CapacityType.SPOT,
        )
        replicas[sort] = replicas.get(sort, 0) + group.count
    nodes = [0] * len(form.price)
    for use in allocation.nodes:
        nodes[int(use.supply.offering.pool[1:])] += use.nodes
    return Answer(replicas=replicas, nodes=tuple(nodes))
