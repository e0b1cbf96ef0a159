"""Estimates over measurements, and promises over what was kept of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.performance.calibration import Evidence
from benchmarks.performance.report import CONFIDENCES, Errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
PANELS = (
    ("shipped", True, "vLLM and SGLang, as shipped"),
    ("modelLeftOut", True, "vLLM and SGLang, LLM left out"),
    ("kindLeftOut", True, "vLLM and SGLang, GPU kind left out"),
    ("modelLeftOut", False, "older engines, LLM left out"),
)


def draw(known: Evidence, errors: Mapping[str, Errors], path: Path) -> None:
    """Write the picture: a row of TPOT and rate for each calibration, coloured by GPU kind, and the promises."""
    import matplotlib as mpl  # noqa: PLC0415  # slow to load and needed for plots only
    from matplotlib.figure import Figure  # noqa: PLC0415

    kinds = np.array([row.gpu_kind for row in known.served])
    colours = {kind: f"C{number % 10}" for number, kind in enumerate(sorted(set(kinds)))}
    rendered = np.array([row.rendered for row in known.served])
    tpot = np.array([row.tpot_seconds * 1e3 for row in known.served])
    rate = np.array([row.rate for row in known.served])
    with mpl.rc_context({"svg.hashsalt": "atoll", "svg.fonttype": "none"}):
        figure = Figure(figsize=(12.0, 5.5 * (len(PANELS) + 1)), layout="constrained")
        axes = figure.subplots(len(PANELS) + 1, 2)
        for (name, ours, title), line in zip(PANELS, axes, strict=False):
            chosen = rendered if ours else ~rendered
            for panel, measured, logs, unit in (
                (line[0], tpot, errors[name].tpot, "TPOT, ms"),
                (line[1], rate, errors[name].rate, "requests/s"),
            ):
                for kind in sorted(set(kinds[chosen])):
                    mine = chosen & (kinds == kind)
                    panel.scatter(
                        measured[mine], measured[mine] * np.exp(logs[mine]), s=9, color=colours[kind], label=kind
                    )
                _diagonal(panel, measured[chosen])
                panel.set(
                    xscale="log", yscale="log", xlabel=f"measured {unit}", ylabel=f"estimated {unit}", title=title
                )
                panel.legend(fontsize="small")
        for panel, name, title in (
            (axes[-1][0], "modelLeftOut", "promises, LLM left out"),
            (axes[-1][1], "kindLeftOut", "promises, GPU kind left out"),
        ):
            for kind in sorted(set(kinds[rendered])):
                mine = rendered & (kinds == kind)
                kept = [float((errors[name].promised[each][mine] <= 0.0).mean()) for each in CONFIDENCES]
                panel.plot(CONFIDENCES, kept, marker="o", color=colours[kind], label=kind)
            panel.plot([0.4, 1.0], [0.4, 1.0], color="black", linewidth=1.0, label="as promised")
            panel.set(xlabel="probability promised", ylabel="share of loads that reached it", title=title)
            panel.legend(fontsize="small")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _diagonal(panel: "Axes", measured: Array) -> None:
    """Where an estimate is right, and 35 % above and below."""
    ends = np.array([measured.min(), measured.max()])
    panel.plot(ends, ends, color="black", linewidth=1.0)
    for factor in (1.0 / 1.35, 1.35):
        panel.plot(ends, factor * ends, color="black", linewidth=0.6, linestyle=":")
