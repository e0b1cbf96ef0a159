"""Price against rate of each demand's strategies, drawn by matplotlib."""

from collections.abc import Mapping
from pathlib import Path

from atoll.report.strategies import DemandStrategies, RatedStrategy, StrategiesReport, Verdict

FORMATS = (".svg", ".png", ".pdf")
_COLUMNS = 2
_MIXED = "several kinds"


def draw_strategies(report: StrategiesReport, path: Path) -> None:
    """Write one picture with a panel for each demand: US$/h over requests/s of a replica, both logarithmic.

    Dominated strategies are grey, kept ones coloured by GPU kind, the frontier is a line. Those of one phase are
    triangles, for a pair needs two of them.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    import matplotlib as mpl  # noqa: PLC0415  # slow to load and needed for plots only
    from matplotlib.axes import Axes  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import LogFormatter  # noqa: PLC0415

    shown = [item for item in report.demands if any(_drawable(each) for each in item.strategies)]
    # Both sides of pairs have the colour of their GPU kind: there are fewer kinds than colours. All panels share them.
    kinds = sorted({_kind(each).partition(", ")[0] for item in shown for each in _kept(item)})
    colours = {kind: f"C{number % 10}" for number, kind in enumerate(kinds)}
    columns = min(_COLUMNS, max(len(shown), 1))
    rows = max(1, -(-len(shown) // columns))
    with mpl.rc_context({"svg.hashsalt": "atoll", "svg.fonttype": "none"}):
        figure = Figure(figsize=(7.0 * columns, 5.0 * rows), layout="constrained")
        for number, item in enumerate(shown, 1):
            axes: Axes = figure.add_subplot(rows, columns, number)
            for label, marker, colour, points in _series(item, colours):
                axes.scatter(
                    [each.template.rate for each in points],
                    [each.price_per_hour or 0.0 for each in points],
                    label=label,
                    marker=marker,
                    color=colour,
                    s=18,
                )
            frontier = sorted(
                (each.template.rate, each.price_per_hour or 0.0) for each in item.strategies if each.frontier
            )
            axes.plot(
                [rate for rate, _ in frontier],
                [price for _, price in frontier],
                color="black",
                linewidth=1.0,
                label="frontier",
            )
            axes.set(xscale="log", yscale="log", xlabel="requests/s of one replica", ylabel="US$/h")
            for axis in (axes.xaxis, axes.yaxis):  # as people write them: 0.5 and not 5 x 10^-1
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter(LogFormatter(minor_thresholds=(2.0, 0.5)))
            axes.set_title(str(item.demand.key))
            axes.legend(fontsize="small")
        # Without a date the same strategies give the same file.
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _drawable(item: RatedStrategy) -> bool:
    """Logarithmic axes have no zero."""
    return item.template.rate > 0.0 and bool(item.price_per_hour)


def _series(item: DemandStrategies, colours: Mapping[str, str]) -> list[tuple[str, str, str, list[RatedStrategy]]]:
    """Label, marker, colour and points, in the order in which they are drawn."""
    points = [each for each in item.strategies if _drawable(each)]
    kept = _kept(item)
    kinds = sorted({_kind(each) for each in kept}, key=lambda kind: (kind == _MIXED, kind))
    series = [("dominated", ".", "lightgrey", [each for each in points if each.verdict is Verdict.DOMINATED])]
    series += [
        (
            kind,
            _marker(kind),
            colours[kind.partition(", ")[0]],
            [each for each in kept if _kind(each) == kind],
        )
        for kind in kinds
    ]
    return [each for each in series if each[3]]


def _kept(item: DemandStrategies) -> list[RatedStrategy]:
    return [each for each in item.strategies if _drawable(each) and each.verdict is Verdict.KEPT]


def _kind(item: RatedStrategy) -> str:
    kinds, phase = list(item.template.strategy.need), item.template.strategy.phase
    kind = kinds[0] if len(kinds) == 1 else _MIXED
    return f"{kind}, {phase.lower()} only" if phase is not None else kind


def _marker(kind: str) -> str:
    if kind == _MIXED:
        return "x"
    return {"prefill only": "<", "decode only": ">"}.get(kind.rpartition(", ")[2], "o")
