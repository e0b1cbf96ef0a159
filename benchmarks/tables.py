"""The page of results: one Markdown table for each comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.ladder.table import markdown

LADDER_HEADS = "gapAtSeconds"
"""Rows with this field are the ladder's, which has a table of its own."""


def results_page(kept: Mapping[str, Mapping[str, Any]], drawn: Sequence[str]) -> str:
    """Markdown of everything that is kept.

    Args:
        kept: by run: ``command``, ``about``, ``commit``, ``machine`` and ``rows``.
        drawn: names of the plots beside the page.
    """
    parts = [
        "# Results",
        "",
        "Made by `make bench`; do not edit. How to read it: [docs/benchmarks.md](../../docs/benchmarks.md).",
    ]
    for run, each in kept.items():
        parts += [
            "",
            f"## {run}",
            "",
            each["about"],
            "",
            f"`{each['command']}`  ",
            f"Commit {each['commit']}; {each['machine']}.",
            "",
        ]
        rows = each["rows"]
        parts += [markdown(rows) if rows and LADDER_HEADS in rows[0] else any_table(rows)]
    for name in drawn:
        parts += ["", f"![{name.removesuffix('.svg')}]({name})"]
    return "\n".join(parts) + "\n"


def any_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """All fields that are one number, word or yes or no, in the order of the first row."""
    if not rows:
        return "No rows."
    fields = [
        field for field, value in rows[0].items() if field != "schemaVersion" and not isinstance(value, (list, dict))
    ]
    lines = [fields, ["---" if isinstance(rows[0][field], str) else "---:" for field in fields]]
    lines += [[_cell(row.get(field)) for field in fields] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 1.0 else f"{value:.4g}"
    return str(value).replace("|", "\\|")
