"""Generated pages are what the code says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from atoll.cli import reference as cli
from atoll.handlers import reference as metrics
from atoll.handlers.metrics import Metrics
from atoll.optimize.program import reference as program
from atoll.optimize.program.build import BASELINE_FAMILIES

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(
    ("name", "page"),
    [(cli.PAGE, cli.page), (metrics.PAGE, metrics.page), (program.PAGE, program.page)],
    ids=["cli", "metrics", "program"],
)
def test_a_page_is_what_the_code_says(name: str, page: Callable[[], str]) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == page(), "run `make crds` and commit the result"


def test_every_metric_that_is_served_has_its_row() -> None:
    # Counters are served with their suffix, and with a companion that says since when.
    families = {family.name for family in Metrics().registry.collect()}
    described = {item.name.removesuffix("_total") for item in Metrics().described}

    assert families == described


def test_every_family_of_the_program_has_a_formula() -> None:
    assert program.page().count("```text") == len(BASELINE_FAMILIES) - 1  # variables are told in a sentence
