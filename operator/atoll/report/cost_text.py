"""The cost of a plan as CSV for a spreadsheet and as Markdown for a pull request, from the documented JSON."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from atoll.report.cost_table import cells, cost_summary

Json = Mapping[str, Any]


def cost_csv(report: Json) -> str:
    """One row per group, columns named as the JSON's fields; no row for the total, so that columns can be summed."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = list(report["total"])
    writer.writerow(["plan", "by", "name", *names])
    for row in report["groups"]:
        writer.writerow([report["plan"], report["by"], row["name"] or "", *(_plain(row[name]) for name in names)])
    return stream.getvalue()


def cost_markdown(report: Json) -> str:
    """A table with the total as its last row, then what there is to say of it."""
    rows = cells(report)
    names = list(rows[0])
    lines = [_row(names), _row(["---", *["---:"] * (len(names) - 1)])]
    lines += [_row(list(row.values())) for row in rows[:-1]]
    lines += [_row([f"**{value}**" for value in rows[-1].values()]), ""]
    lines += [f"- {_escaped(text)}" for text, _ in cost_summary(report)]
    return "\n".join(lines) + "\n"


def _plain(value: float | None) -> str:
    """A number without exponent; nothing where there is none."""
    if value is None or isinstance(value, int):
        return "" if value is None else str(value)
    return f"{value:.6f}"


def _row(values: list[str]) -> str:
    return f"| {' | '.join(map(_escaped, values))} |"


def _escaped(text: str) -> str:
    """Text that a table's cell and a list's item take as one line."""
    return " ".join(text.replace("|", "\\|").split())
