"""Manifests against what they were, as a check of a pull request."""

from datetime import datetime
from pathlib import Path

from atoll.api.manifests import Manifests, load_manifests
from atoll.cli.reading import missing
from atoll.report.comparison import Comparison, Side, side_of
from atoll.report.plan import PlanReport


def read_former(paths: list[Path], moment: datetime) -> Manifests:
    """The manifests as they were; a folder that was empty then is as good as any.

    Raises:
        typer.BadParameter: a path does not exist.
    """
    try:
        return load_manifests(paths, now=moment)
    except FileNotFoundError as error:
        raise missing(error, option="--against", mend="export it first, as with `git worktree add`") from error


def compared_with(report: PlanReport, before: PlanReport | None) -> Comparison:
    """A plan against that of the manifests as they were; against nothing where there were none."""
    return Comparison(
        before=_side(before, "before") if before is not None else Side(title="nothing"),
        after=_side(report, "after"),
        budget_per_hour=report.budget_per_hour,
        shortfall_reasons=report.shortfall_reasons,
        notes=report.assumptions,
    )


def _side(report: PlanReport, title: str) -> Side:
    return side_of(report.plan, title, demands=report.all_demands(), faults=report.faults)
