"""Estimates over measurements, one panel for TPOT and one for the rate."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.performance.calibration import Evidence
from benchmarks.performance.report import Errors


def draw(known: Evidence, errors: Mapping[str, Errors], path: Path) -> None:
    """Write the picture: as shipped and with the LLM left out of the calibration, coloured by GPU kind."""
    import matplotlib as mpl  # noqa: PLC0415  # slow to load and needed for plots only
    from matplotlib.figure import Figure  # noqa: PLC0415

    kinds = np.array([row.gpu_kind for row in known.served])
    tpot = np.array([row.tpot_seconds * 1e3 for row in known.served])
    rate = np.array([row.rate for row in known.served])
    with mpl.rc_context({"svg.hashsalt": "atoll", "svg.fonttype": "none"}):
        figure = Figure(figsize=(12.0, 11.0), layout="constrained")
        for line, (name, title) in enumerate((("shipped", "as shipped"), ("modelLeftOut", "LLM left out"))):
            for column, (measured, logs, unit) in enumerate(
                ((tpot, errors[name].tpot, "TPOT, ms"), (rate, errors[name].rate, "requests/s"))
            ):
                axes = figure.add_subplot(2, 2, 2 * line + column + 1)
                for number, kind in enumerate(sorted(set(kinds))):
                    mine = kinds == kind
                    estimate = measured[mine] * np.exp(logs[mine])
                    axes.scatter(measured[mine], estimate, s=9, color=f"C{number % 10}", label=kind)
                ends = [measured.min(), measured.max()]
                axes.plot(ends, ends, color="black", linewidth=1.0)
                axes.set(xscale="log", yscale="log", xlabel=f"measured {unit}", ylabel=f"estimated {unit}", title=title)
                axes.legend(fontsize="small")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
