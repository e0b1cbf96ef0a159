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


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One file.

    Attributes:
        name: of the file, without its suffix.
        problem: the same as a problem; demand m is named ``m0000``, pool p ``p0000``.
        best_value: best known value, US$/h; not a number where the file has none.
        best_bound: best known bound, US$/h.
        pools: number of pools in the file, those without nodes included.
    """

    name: str
    problem: Problem
    best_value: float
    best_bound: float
    pools: int


class InstanceError(ValueError):
    """A file is no ladder instance; the message names the file and what is wrong."""


def read_instance(path: Path, *, deadline_seconds: float) -> Instance:
    """Read a file of arrays (the form is described in the ladder's NOTICE).

    Args:
        path: ``.npz`` file.
        deadline_seconds: of the problem's policy.

    Raises:
        InstanceError: the file cannot be read or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return _instance(path.stem, arrays, deadline_seconds)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InstanceError(f"{path}: no ladder instance: {error}") from error


def _instance(name: str, arrays: dict[str, np.ndarray], deadline_seconds: float) -> Instance:
    templates = {size: _templates(arrays, size) for size in sorted(set(arrays["sizes"].tolist()))}
    demands = tuple(
        DemandRow(
            key=DemandKey(namespace="ladder", name=f"m{number:04}"),
            rate=float(rate),
            templates=templates[int(size)],
            shortfall_price=float(price),
        )
        for number, (rate, size, price) in enumerate(zip(arrays["demand"], arrays["sizes"], arrays["pen"], strict=True))
    )
    supplies = tuple(_supply(arrays, number) for number in range(len(arrays["price"])))
    return Instance(
        name=name,
        problem=Problem(demands=demands, supplies=supplies, policy=SolvePolicy(deadline_seconds=deadline_seconds)),
        best_value=float(arrays.get("best_obj", np.nan)),
        best_bound=float(arrays.get("best_bound", np.nan)),
        pools=len(supplies),
    )


def _templates(arrays: dict[str, np.ndarray], size: int) -> tuple[Template, ...]:
    kinds = list(zip(arrays["kind_gpu"].tolist(), arrays["kind_tp"].tolist(), strict=True))
    found = []
    for number, (need, rate) in enumerate(zip(arrays[f"U_{size}"], arrays[f"thr_{size}"], strict=True)):
        stages = [kinds[kind] for kind in np.flatnonzero(need) for _ in range(int(need[kind]))]
        widths = {width for _, width in stages}
        if len(widths) != 1:
            raise ValueError(f"template {number} of size {size} has stages of several widths")
        strategy = Strategy(
            engine=EngineName.VLLM,
            tp=widths.pop(),
            stages=tuple(Stage(gpu_kind=kind, layers=1) for kind, _ in stages),
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
                sources={kind: PerformanceSource.MEASURED for kind, _ in stages},
                expected_error=0.0,
                startup_seconds=0.0,
            )
        )
    return tuple(found)


def _supply(arrays: dict[str, np.ndarray], number: int) -> Supply:
    config = int(arrays["pool_cfg"][number])
    region = f"r{int(arrays['pool_region'][number]):02}"
    capacity_type = CapacityType.SPOT if arrays["pool_spot"][number] else CapacityType.ON_DEMAND
    return Supply(
        offering=OfferingKey(pool=f"p{number:04}", zone=region, capacity_type=capacity_type),
        gpu_kind=str(arrays["cfg_gpu"][config]),
        gpus=int(arrays["cfg_n"][config]),
        price_per_hour=float(arrays["price"][number]),
        obtainable=int(arrays["avail"][number]),
        region=region,
    )
