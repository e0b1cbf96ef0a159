"""Plots of the ladder: gap over time for each method, and what whole nodes cost more."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]

METHODS = ("atoll", "eliminated", "plain", "coral")
COLOURS = {"atoll": "#0b6e99", "eliminated": "#e08e0b", "plain": "#9a3b3b", "coral": "#6b6b6b"}
AIMS = (0.02, 0.01)
"""Gaps that are asked for, as shares; thin lines."""


def plots(runs: Mapping[str, Rows], folder: Path) -> list[str]:
    """Draw what there are rows for; names of the files.

    Args:
        runs: rows by run, those of the ladder named ``ladder-<method>``.
        folder: where the files go.
    """
    rows = {method: {row["instance"]: row for row in runs.get(f"ladder-{method}", ())} for method in METHODS}
    drawn = []
    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "atoll",
            "font.size": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        if any("trace" in row for method in METHODS[:3] for row in rows[method].values()):
            _save(_gaps(rows), folder / "ladder-gap.svg")
            drawn.append("ladder-gap.svg")
        if any(_answered(rows["coral"].get(name)) for name, row in rows["atoll"].items() if row["value"] > 0.0):
            _save(_whole_nodes(rows["atoll"], rows["coral"]), folder / "ladder-coral.svg")
            drawn.append("ladder-coral.svg")
    return drawn


def _gaps(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Figure:
    """One field for each instance: gap in percent over CPU seconds."""
    instances = list(dict.fromkeys(name for each in rows.values() for name in each))
    columns = min(3, len(instances))
    lines = -(-len(instances) // columns)
    figure = Figure(figsize=(3.1 * columns, 2.3 * lines), layout="constrained")
    fields = figure.subplots(lines, columns, squeeze=False).flat
    for name, field in zip(instances, fields, strict=False):
        for method in METHODS[:3]:
            row = rows[method].get(name)
            if row is None or "trace" not in row:
                continue
            times, gaps = gap_line(row)
            field.step(times, gaps, where="post", color=COLOURS[method], label=method, linewidth=1.3)
        for aim in AIMS:
            field.axhline(100.0 * aim, color="#cccccc", linewidth=0.7, zorder=0)
        field.set(title=name, xscale="log", yscale="log", xlim=(0.05, None), ylim=(0.1, 110.0))
        field.set(xlabel="CPU seconds", ylabel="gap, %")
        field.minorticks_off()
    for field in list(fields):
        field.set_visible(False)
    lines_by_method = {line.get_label(): line for field in figure.axes for line in field.get_lines()}
    shown = [method for method in METHODS if method in lines_by_method]
    handles = [lines_by_method[method] for method in shown]
    figure.legend(handles, shown, loc="outside upper center", ncols=len(shown), frameon=False)
    return figure


def gap_line(row: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Times (CPU seconds) and gaps (percent), to the end of the run; a proven optimum is drawn at the lower edge."""
    times = [max(0.05, step[0]) for step in row["trace"]]
    gaps = [max(0.1, 100.0 * (value - bound) / value) if value > 0.0 else 0.1 for _, value, bound in row["trace"]]
    return [*times, max(times[-1], row["cpuSeconds"])], [*gaps, gaps[-1]]


def _whole_nodes(atoll: Mapping[str, Mapping[str, Any]], coral: Mapping[str, Mapping[str, Any]]) -> Figure:
    """How much dearer Coral's answer is, in percent, one bar for each instance."""
    names = [name for name, row in atoll.items() if row["value"] > 0.0 and _answered(coral.get(name))]
    more = [100.0 * (coral[name]["value"] / atoll[name]["value"] - 1.0) for name in names]
    figure = Figure(figsize=(4.6, 0.35 * len(names) + 0.9), layout="constrained")
    field = figure.subplots()
    bars = field.barh(names, more, color=COLOURS["coral"], height=0.6)
    field.bar_label(bars, fmt="%.1f", padding=2)
    field.set(
        xlabel="Coral's program dearer than atoll, %", xscale="symlog", xlim=(min(0.0, *more), 3.0 * max(10.0, *more))
    )
    field.invert_yaxis()
    return figure


def _answered(row: Mapping[str, Any] | None) -> bool:
    """Whether a run found an answer of its own."""
    return row is not None and row["firstFeasibleSeconds"] is not None


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
