"""Every reason that an object may carry is explained, and none that does not exist."""

import re
from pathlib import Path

from atoll.domain.reason import Reason

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"


def explained() -> list[list[str]]:
    """Cells of the tables of reasons: reason, meaning, mend."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines()]
    return [cells for cells in rows if re.fullmatch(r"`[A-Z][A-Za-z]+`", cells[0])]


def test_every_reason_is_explained_once() -> None:
    assert sorted(cells[0].strip("`") for cells in explained()) == sorted(Reason)


def test_every_reason_has_a_meaning_and_a_mend() -> None:
    assert [cells[0] for cells in explained() if len(cells) != 3 or not all(cells)] == []
