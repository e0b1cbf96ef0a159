"""Two days of real demand and what is planned for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.estimate.curves import STEP_SECONDS, Samples

_SHOWN_SECONDS = 48 * 3600.0
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "atoll",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def plot(curve: Samples, asked: Sequence[float], *, path: Path) -> None:
    """Draw a curve and what was planned for after each of its samples."""
    count = min(len(asked), int(_SHOWN_SECONDS / STEP_SECONDS))
    hours = [index * STEP_SECONDS / 3600.0 for index in range(count)]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        field = figure.subplots()
        measured = [rate if rate is not None else float("nan") for rate in curve.rates[:count]]
        field.plot(hours, measured, color="#b9c4c9", linewidth=0.5, label="measured, every 30 s")
        field.step(hours, asked[:count], where="post", color="#0b6e99", linewidth=1.3, label="planned for")
        field.set(xlabel="hours", ylabel=f"requests/s of {curve.name}", ylim=(0.0, None), xlim=(0.0, hours[-1]))
        field.legend(frameon=False, loc="upper left", ncols=2)
        figure.savefig(path, metadata={"Date": None})
