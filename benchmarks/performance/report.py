"""Errors by GPU kind: kernels alone, as shipped, and with one LLM or one GPU kind left out of the calibration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atoll.domain.problem import SolvePolicy
from atoll.performance.engine import EngineShare
from atoll.performance.estimate import Performance
from atoll.performance.margin import margin
from benchmarks.performance.calibration import AS_SHIPPED, Calibration, Evidence, calibrate
from benchmarks.performance.doubtful import trusted
from benchmarks.performance.engineshare import NOTHING, fit_share, share_errors
from benchmarks.performance.measurements import layers, served
from benchmarks.performance.prediction import Predicted, layer_seconds, predict

Array = NDArray[np.float64]
ALL = "all"
CONFIDENCE = SolvePolicy().rate_confidence
"""Probability with which the product promises rates, unless a Fleet says otherwise."""
CONFIDENCES = (0.5, 0.7, CONFIDENCE, 0.9)
"""Probabilities at which the promises are counted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """Logarithms of estimate over measurement, by calibration: TPOT and rate of served rows, seconds of layers.

    Attributes:
        tpot: of served rows.
        rate: of served rows.
        layer: of single layers.
        promised: rate of served rows with the margin of each of ``CONFIDENCES``.
    """

    tpot: Array
    rate: Array
    layer: Array
    promised: Mapping[float, Array]


def evidence(kernels: Performance, shipped: Performance) -> Evidence:
    """All measurements beside what is said of them.

    Args:
        kernels: what kernels take.
        shipped: what the product takes steps for, engines' share included.
    """
    rows, single = trusted(served()), layers()
    return Evidence(
        served=rows,
        predicted=predict(rows, kernels),
        shipped=predict(rows, shipped),
        layers=single,
        layer_seconds=layer_seconds(single, kernels),
    )


def all_errors(known: Evidence) -> dict[str, Errors]:
    """Errors of kernels alone, as shipped, and as fitted without the row's own LLM or GPU kind."""
    rows, single = len(known.served), len(known.layers)
    return {
        "kernels": _judged(known, {"": AS_SHIPPED}, {"": NOTHING}, [""] * rows, [""] * single),
        "shipped": _as_shipped(known),
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
    """Rows for people and programs: median and 90th percentile of the relative error, bias, share of promises kept.

    By calibration, by what was measured (engines that Atoll renders, other engines, single layers) and by GPU kind.
    """
    kinds, sources = (np.array([getattr(row, name) for row in known.served]) for name in ("gpu_kind", "source"))
    rendered = np.array([row.rendered for row in known.served])
    layer_kinds = np.array([row.gpu_kind for row in known.layers])
    nothing, rows = np.array([]), []
    for name, found in errors.items():
        for engines, among in (("rendered", rendered), ("others", ~rendered)):
            apart = sorted(set(sources[among]))
            for source in (*apart, ALL) if len(apart) > 1 else apart:
                chosen = among if source == ALL else among & (sources == source)
                for kind in (*sorted(set(kinds[chosen])), ALL):
                    mine = chosen if kind == ALL else chosen & (kinds == kind)
                    rows.append(
                        {
                            **_head(name, engines, source, kind, int(mine.sum())),
                            **_figures("tpot", found.tpot[mine]),
                            **_figures("rate", found.rate[mine]),
                            **_figures("layer", nothing),
                            **_reached({each: of[mine] for each, of in found.promised.items()}, engines == "rendered"),
                        }
                    )
        for kind in (*sorted(set(layer_kinds)), ALL):
            mine = np.ones(len(layer_kinds), dtype=bool) if kind == ALL else layer_kinds == kind
            rows.append(
                {
                    **_head(name, "layers", "helix", kind, int(mine.sum())),
                    **_figures("tpot", nothing),
                    **_figures("rate", nothing),
                    **_figures("layer", found.layer[mine]),
                    **_reached(found.promised, counted=False),
                }
            )
    return rows


def _head(calibration: str, what: str, source: str, kind: str, rows: int) -> dict[str, Any]:
    return {"calibration": calibration, "what": what, "source": str(source), "gpuKind": str(kind), "rows": rows}


def _figures(name: str, logs: Array) -> dict[str, float | None]:
    if not len(logs):
        return {f"{name}Median": None, f"{name}P90": None, f"{name}Bias": None}
    relative = np.abs(np.expm1(logs))
    return {
        f"{name}Median": round(float(np.median(relative)), 3),
        f"{name}P90": round(float(np.quantile(relative, 0.9)), 3),
        f"{name}Bias": round(float(np.expm1(np.median(logs))), 3),
    }


def _reached(promised: Mapping[float, Array], counted: bool) -> dict[str, float | None]:
    """Share of the rows whose measured rate was no less than promised; ``CONFIDENCE``'s column has a short name."""
    return {
        "rateReached" if confidence == CONFIDENCE else f"rateReached{confidence:.0%}".rstrip("%"): (
            round(float((of <= 0.0).mean()), 3) if counted and len(of) else None
        )
        for confidence, of in promised.items()
    }


def _margins(predicted: Predicted) -> dict[float, Array]:
    return {each: np.array([margin(error, each) for error in predicted.error]) for each in CONFIDENCES}


def _as_shipped(known: Evidence) -> Errors:
    tpot_of, rate_of = (np.array([getattr(row, name) for row in known.served]) for name in ("tpot_seconds", "rate"))
    ones, none = np.ones(len(known.served)), np.zeros(len(known.served))
    tpot, rate = known.shipped.tpot_and_rate(ones, ones, none)
    return Errors(
        tpot=np.log(tpot / tpot_of),
        rate=np.log(rate / rate_of),
        layer=known.errors(AS_SHIPPED)[2],
        promised={
            each: np.log(known.shipped.tpot_and_rate(slower, slower, none)[1] / rate_of)
            for each, slower in _margins(known.shipped).items()
        },
    )


def _left_out(known: Evidence, groups: list[str], layer_groups: list[str]) -> Errors:
    """Engines that are rendered are judged by the share of engines, all others by the kinds' factors."""
    of, of_layers = np.array(groups), np.array(layer_groups)
    others = ~np.array([row.rendered for row in known.served])
    names = sorted({*groups, *layer_groups})
    hardware = {name: calibrate(known, others & (of != name), of_layers != name) for name in names}
    shares = {name: fit_share(known, of != name) for name in names}
    return _judged(known, hardware, shares, groups, layer_groups)


def _judged(
    known: Evidence,
    hardware: Mapping[str, Calibration],
    shares: Mapping[str, EngineShare],
    groups: list[str],
    layer_groups: list[str],
) -> Errors:
    by_kind = {name: known.errors(each) for name, each in hardware.items()}
    slower = _margins(known.predicted)
    by_share = {name: share_errors(known, each) for name, each in shares.items()}
    promises = {
        name: {each: share_errors(known, share, by)[1] for each, by in slower.items()} for name, share in shares.items()
    }
    rendered = [row.rendered for row in known.served]
    rows = list(enumerate(groups))
    return Errors(
        tpot=np.array([(by_share if rendered[row] else by_kind)[name][0][row] for row, name in rows]),
        rate=np.array([(by_share if rendered[row] else by_kind)[name][1][row] for row, name in rows]),
        layer=np.array([by_kind[name][2][row] for row, name in enumerate(layer_groups)]),
        promised={each: np.array([promises[name][each][row] for row, name in rows]) for each in CONFIDENCES},
    )
