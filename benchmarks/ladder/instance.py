"""A ladder instance, read from its file, as a problem of the product."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import DemandRow, Problem, SolvePolicy
from atoll.domain.strategy import EngineName, Limit, PerformanceSource, Stage, Strategy, Template
from benchmarks.ladder.form import Form, InstanceError, read_form

__all__ = ["Instance", "InstanceError", "problem_of", "read_instance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One file.

    Attributes:
        name: of the file, without its suffix.
        problem: the same as a problem; demand m is named ``m0000``, pool p ``p0000``.
        best_value: best known value, US$/h; not a number where the file has none.
        best_bound: best known bound, US$/h.
        pools: number of pools in the file, those without nodes included.
        form: the file's arrays.
    """

    name: str
    problem: Problem
    best_value: float
    best_bound: float
    pools: int
    form: Form


def read_instance(path: Path, *, deadline_seconds: float) -> Instance:
    """Read a file of arrays (the form is described in the ladder's NOTICE).

    Args:
        path: ``.npz`` file.
        deadline_seconds: of the problem's policy.

    Raises:
        InstanceError: the file cannot be read or lacks an array.
    """
    form = read_form(path)
    try:
        problem = problem_of(form, deadline_seconds=deadline_seconds)
    except ValueError as error:
        raise InstanceError(f"{path}: no ladder instance: {error}") from error
    return Instance(
        name=form.name,
        problem=problem,
        best_value=form.best_value,
        best_bound=form.best_bound,
        pools=len(form.price),
        form=form,
    )


def problem_of(form: Form, *, deadline_seconds: float) -> Problem:
    """The arrays as a problem: a region is one zone, and template t is told by ``max_sequences`` = t.

    Args:
        form: of the instance.
        deadline_seconds: of the problem's policy.

    Raises:
        ValueError: a template has stages of several widths, which no strategy can have.
    """
    templates = {size: _templates(form, size) for size in form.menus}
    demands = tuple(
        DemandRow(
            key=DemandKey(namespace="ladder", name=f"m{number:04}"),
            rate=float(form.demand[number]),
            templates=templates[form.size[number]],
            shortfall_price=float(form.penalty[number]),
        )
        for number in range(len(form.demand))
    )
    supplies = tuple(_supply(form, number) for number in range(len(form.price)))
    return Problem(demands=demands, supplies=supplies, policy=SolvePolicy(deadline_seconds=deadline_seconds))


def _templates(form: Form, size: int) -> tuple[Template, ...]:
    found = []
    for number, (need, rate) in enumerate(zip(form.menus[size].need, form.menus[size].rate, strict=True)):
        kinds = [int(kind) for kind in np.flatnonzero(need) for _ in range(int(need[kind]))]
        widths = {int(form.kind_width[kind]) for kind in kinds}
        if len(widths) != 1:
            raise ValueError(f"template {number} of size {size} has stages of several widths")
        strategy = Strategy(
            engine=EngineName.VLLM,
            tp=widths.pop(),
            stages=tuple(Stage(gpu_kind=form.kind_gpu[kind], layers=1) for kind in kinds),
            quantisation=Quantisation.BF16,
            max_sequences=number,
            max_context=1,
        )
        found.append(
            Template(
                strategy=strategy,
                rate=float(rate),
                ttft_seconds=0.0,
                tpot_seconds=0.0,
                sequences=0.0,
                limit=Limit.COMPUTE,
                sources={form.kind_gpu[kind]: PerformanceSource.MEASURED for kind in kinds},
                expected_error=0.0,
                startup_seconds=0.0,
            )
        )
    return tuple(found)


def _supply(form: Form, number: int) -> Supply:
    region = f"r{form.pool_region[number]:02}"
    capacity_type = CapacityType.SPOT if form.pool_spot[number] else CapacityType.ON_DEMAND
    return Supply(
        offering=OfferingKey(pool=f"p{number:04}", zone=region, capacity_type=capacity_type),
        gpu_kind=form.pool_kind[number],
        gpus=int(form.pool_gpus[number]),
        price_per_hour=float(form.price[number]),
        obtainable=int(form.obtainable[number]),
        region=region,
    )
