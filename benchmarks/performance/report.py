"""Errors by GPU kind: as shipped, with one LLM left out of the calibration, and with one GPU kind left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atoll.performance.estimate import Performance
from benchmarks.performance.calibration import AS_SHIPPED, Calibration, Evidence, calibrate
from benchmarks.performance.measurements import layers, served
from benchmarks.performance.prediction import layer_seconds, predict

Array = NDArray[np.float64]
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """Logarithms of estimate over measurement, by calibration: TPOT and rate of served rows, seconds of layers."""

    tpot: Array
    rate: Array
    layer: Array


def evidence(performance: Performance) -> Evidence:
    """All measurements beside what a source of performance says of them."""
    rows, single = served(), layers()
    return Evidence(
        served=rows,
        predicted=predict(rows, performance),
        layers=single,
        layer_seconds=layer_seconds(single, performance),
    )


def all_errors(known: Evidence) -> dict[str, Errors]:
    """Errors as shipped, and as calibrated without the row's own LLM or GPU kind."""
    return {
        "shipped": _judged(known, {"": AS_SHIPPED}, [""] * len(known.served), [""] * len(known.layers)),
        "modelLeftOut": _left_out(
            known, [family(row.model) for row in known.served], [family(row.model) for row in known.layers]
        ),
        "kindLeftOut": _left_out(known, [row.gpu_kind for row in known.served], [row.gpu_kind for row in known.layers]),
    }


def family(model: str) -> str:
    """LLMs of one shape are left out together: Llama 70B of any version, DeepSeek V3 and R1."""
    name = model.lower().replace("_", "-")
    for part in ("70b", "deepseek", "llama"):
        if part in name:
            return part if part != "llama" else name
    return name


def table(known: Evidence, errors: Mapping[str, Errors]) -> list[dict[str, Any]]:
    """Rows for people and programs: median and 90th percentile of the relative error.

    By calibration, by what was measured (engines that Atoll renders, other engines, single layers) and by GPU kind.
    """
    kinds = np.array([row.gpu_kind for row in known.served])
    rendered = np.array([row.rendered for row in known.served])
    layer_kinds = np.array([row.gpu_kind for row in known.layers])
    rows = []
    for name, found in errors.items():
        for engines, chosen in (("rendered", rendered), ("others", ~rendered)):
            for kind in (*sorted(set(kinds[chosen])), ALL):
                mine = chosen if kind == ALL else chosen & (kinds == kind)
                rows.append(
                    {
                        "calibration": name,
                        "what": engines,
                        "gpuKind": str(kind),
                        "rows": int(mine.sum()),
                        **_figures("tpot", found.tpot[mine]),
                        **_figures("rate", found.rate[mine]),
                        **_figures("layer", np.array([])),
                    }
                )
        for kind in (*sorted(set(layer_kinds)), ALL):
            mine = np.ones(len(layer_kinds), dtype=bool) if kind == ALL else layer_kinds == kind
            rows.append(
                {
                    "calibration": name,
                    "what": "layers",
                    "gpuKind": str(kind),
                    "rows": int(mine.sum()),
                    **_figures("tpot", np.array([])),
                    **_figures("rate", np.array([])),
                    **_figures("layer", found.layer[mine]),
                }
            )
    return rows


def _figures(name: str, logs: Array) -> dict[str, float | None]:
    if not len(logs):
        return {f"{name}Median": None, f"{name}P90": None, f"{name}Bias": None}
    relative = np.abs(np.expm1(logs))
    return {
        f"{name}Median": round(float(np.median(relative)), 3),
        f"{name}P90": round(float(np.quantile(relative, 0.9)), 3),
        f"{name}Bias": round(float(np.expm1(np.median(logs))), 3),
    }


def _left_out(known: Evidence, groups: list[str], layer_groups: list[str]) -> Errors:
    of, of_layers = np.array(groups), np.array(layer_groups)
    fitted = {name: calibrate(known, of != name, of_layers != name) for name in sorted({*groups, *layer_groups})}
    return _judged(known, fitted, groups, layer_groups)


def _judged(known: Evidence, by: Mapping[str, Calibration], groups: list[str], layer_groups: list[str]) -> Errors:
    errors = {name: known.errors(each) for name, each in by.items()}
    return Errors(
        tpot=np.array([errors[name][0][row] for row, name in enumerate(groups)]),
        rate=np.array([errors[name][1][row] for row, name in enumerate(groups)]),
        layer=np.array([errors[name][2][row] for row, name in enumerate(layer_groups)]),
    )
