"""Reading the CSV files of this folder."""

import csv
import io
from functools import cache
from importlib.resources import files

Row = dict[str, str]


@cache
def rows(name: str) -> tuple[Row, ...]:
    """Rows of a shipped CSV file, by column name.

    Args:
        name: file name, such as ``prices.csv``.
    """
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(io.StringIO(text)))
