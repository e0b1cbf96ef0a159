"""Melange's instances: buckets of request sizes, GPU types with their price and rate for each bucket."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.rows import FileError

MEASURED = Path(__file__).resolve().parents[1] / "data" / "melange" / "measured.json"
"""Instances with the answers of Melange's own solver."""

RUN = "melange_sf"
"""Prefix of a run in the file of measured answers; the slice factor follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One served model's demand.

    Attributes:
        name: of the file, or of the entry in it.
        prices: US$/h of each GPU type.
        demand: requests/s of each bucket, above zero.
        rates: requests/s that one GPU of a type serves of a bucket alone, by type; 0 where it cannot.
        slices: into how many equal parts Melange divides a bucket.
        measured: cost of Melange's own solver at this slice factor, US$/h; None where it was not run.
    """

    name: str
    prices: Mapping[str, float]
    demand: tuple[float, ...]
    rates: Mapping[str, tuple[float, ...]]
    slices: int
    measured: float | None = None


def read_instances(path: Path) -> list[Instance]:
    """Read Melange's configuration file, or a file of many with measured answers.

    A configuration alone is looked up among the measured ones, to find what Melange's solver answered.

    Args:
        path: JSON with ``gpu_info``, ``workload_distribution``, ``total_request_rate`` and ``slice_factor``; or with
            ``instances`` of that form by name and ``results``. A folder stands for the JSON files in it.

    Raises:
        FileError: it is neither.
    """
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if not files:
            raise FileError(path, "no JSON files in it", "give a configuration of Melange's")
        return [instance for file in files for instance in read_instances(file)]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if "instances" in content:
            return [
                instance
                for name, entry in content["instances"].items()
                for instance in _runs(name, entry, content["results"][name])
            ]
        slices = int(content.get("slice_factor", 1))
        return [_instance(path.stem, content, slices, _known(content, slices))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        wrong = f"no configuration of Melange's ({type(error).__name__}: {error})"
        mend = "give gpu_info, workload_distribution, total_request_rate and slice_factor"
        raise FileError(path, wrong, mend) from error


def _runs(name: str, entry: Mapping[str, Any], results: Mapping[str, Any]) -> list[Instance]:
    """An instance at every slice factor at which Melange's solver was run."""
    factors = sorted(int(run.removeprefix(RUN)) for run in results if run.startswith(RUN))
    return [_instance(f"{name} sf{n}", entry, n, float(results[f"{RUN}{n}"][0]["cost"])) for n in factors]


def _instance(name: str, entry: Mapping[str, Any], slices: int, measured: float | None) -> Instance:
    shares = [float(share) for row in entry["workload_distribution"] for share in row]
    total = float(entry["total_request_rate"])
    kinds = entry["gpu_info"]
    rates = {kind: tuple(float(rate) for row in info["tputs"] for rate in row) for kind, info in kinds.items()}
    prices = {kind: float(info["cost"]) for kind, info in kinds.items()}
    figures = [total, *shares, *prices.values(), *(rate for each in rates.values() for rate in each)]
    if not all(math.isfinite(figure) and figure >= 0.0 for figure in figures):
        raise ValueError("all figures are 0 or more")
    if slices < 1 or not kinds or any(len(each) != len(shares) for each in rates.values()):
        raise ValueError("slice_factor is at least 1, and tputs of each GPU type has the shape of the distribution")
    used = [bucket for bucket, share in enumerate(shares) if share * total > 0.0]
    lost = [bucket for bucket in used if not any(each[bucket] > 0.0 for each in rates.values())]
    if lost:
        raise ValueError(f"no GPU type serves bucket {lost[0]}")
    return Instance(
        name=name,
        prices=prices,
        demand=tuple(shares[bucket] * total for bucket in used),
        rates={kind: tuple(each[bucket] for bucket in used) for kind, each in rates.items()},
        slices=slices,
        measured=measured,
    )


def _known(content: Mapping[str, Any], slices: int) -> float | None:
    """Cost of Melange's own solver for a configuration that it was run on."""
    fields = ("gpu_info", "workload_distribution", "total_request_rate")
    measured = _measured()
    for name, entry in measured["instances"].items():
        if all(entry[field] == content[field] for field in fields):
            run = measured["results"][name].get(f"{RUN}{slices}")
            return None if run is None else float(run[0]["cost"])
    return None


@lru_cache(maxsize=1)
def _measured() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found
