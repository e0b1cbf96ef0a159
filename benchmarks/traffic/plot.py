"""One picture of a run: time to first token and failures over time, with what happened to the fleet."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.traffic.request import WHOLE, Outcome
from benchmarks.traffic.run import Episode, Run

NAME = "traffic.svg"

_MOST_POINTS = 1500
_MOVE, _LOSS = "#9ecae1", "#fdae6b"
_NAME_WIDTH = 0.009
"""Of the run's time, what a name takes in the picture: names that are closer would lie on each other."""


def plot(run: Run, folder: Path) -> Path | None:
    """Write the picture; None where nothing was sent."""
    if not run.outcomes:
        return None
    mpl.rcParams["svg.hashsalt"] = "atoll"
    zero = run.outcomes[0].started
    figure = Figure(figsize=(13, 7), layout="constrained")
    names, times, rates = figure.subplots(3, 1, sharex=True, height_ratios=(2, 4, 2))
    names.set_axis_off()
    names.set_ylim(0.0, 1.0)
    for number, each in enumerate(run.episodes):
        for axes in (times, rates):
            axes.axvspan(
                each.started - zero,
                each.ended - zero,
                color=_MOVE if each.planned else _LOSS,
                alpha=(0.35, 0.55)[number % 2],
                lw=0,
            )
    for middle, name in _names_with_room(run, zero):
        names.text(middle, 0.0, name, fontsize=6.5, rotation=90, ha="center", va="bottom")
    shown = [each for each in run.outcomes if each.outcome == WHOLE and each.stream]
    step = max(1, len(shown) // _MOST_POINTS)
    for name in sorted({each.served_name for each in shown}):
        mine = [each for each in shown[::step] if each.served_name == name]
        times.plot(
            [each.started - zero for each in mine], [each.first for each in mine], ".", ms=2, label=f"{name}: TTFT"
        )
    failed = [each for each in run.outcomes if each.outcome != WHOLE]
    label = f"failed: {len(failed)} of {len(run.outcomes):,}"
    times.plot([each.started - zero for each in failed], [_lowest(shown)] * len(failed), "rx", ms=6, label=label)
    times.set_yscale("log")
    times.set_ylabel("seconds")
    times.legend(loc="upper right", ncols=3, fontsize=8, markerscale=1.5, framealpha=0.8)
    figure.suptitle("Requests through the router while the fleet moves (blue) and loses nodes (orange)", fontsize=11)
    _rates(rates, run.outcomes, run.episodes, zero)
    path = folder / NAME
    figure.savefig(path, metadata={"Date": None})
    return path


def _names_with_room(run: Run, zero: float) -> Iterator[tuple[float, str]]:
    """Where names of moves and losses stand, in seconds, without those that have no room behind the one before."""
    width = _NAME_WIDTH * (run.outcomes[-1].started - zero)
    taken = -width
    for each in run.episodes:
        middle = (each.started + each.ended) / 2.0 - zero
        if middle >= taken + width:
            yield middle, each.name
            taken = middle


def _rates(axes: Axes, outcomes: Sequence[Outcome], episodes: Sequence[Episode], zero: float) -> None:
    end = max([each.started for each in outcomes] + [each.ended for each in episodes]) - zero
    width = max(1.0, end / 200.0)
    counts = [0] * (int(end / width) + 1)
    for each in outcomes:
        counts[int((each.started - zero) / width)] += 1
    axes.step(
        [number * width for number in range(len(counts))], [count / width for count in counts], where="post", lw=1
    )
    axes.set_ylabel("requests/s sent")
    axes.set_xlabel("seconds")
    axes.set_ylim(bottom=0)


def _lowest(shown: Sequence[Outcome]) -> float:
    return min([each.first for each in shown if each.first > 0.0], default=0.001)
