"""What all comparisons print."""

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from benchmarks.rows import SCHEMA_VERSION, FileError, Row, command, report, seconds

COLUMNS = {"instance": "instance", "value": "US$/h", "gap": "gap", "proven": "proven", "note": "note"}
ROW = {"instance": "one", "value": 12.345, "gap": 0.0123, "proven": True, "note": None}


def rows_of(path: Path) -> Sequence[Row]:
    if path.name == "bad":
        raise FileError(path, "it has no nodes", "give one with nodes")
    return [ROW]


def test_json_is_a_list_of_rows_with_the_version_of_their_schema() -> None:
    out = io.StringIO()
    assert report([Path("one")], rows_of, COLUMNS, as_json=True, out=out) == 0
    assert json.loads(out.getvalue()) == [{"schemaVersion": SCHEMA_VERSION, **ROW}]


def test_a_table_says_shares_in_percent_and_what_is_not_known() -> None:
    out = io.StringIO()
    assert report([Path("one")], rows_of, COLUMNS, as_json=False, out=out) == 0
    head, line = out.getvalue().splitlines()
    assert head.split() == ["instance", "US$/h", "gap", "proven", "note"]
    assert line.split() == ["one", "12.35", "1.23%", "yes", "-"]


def test_a_bad_file_is_told_and_the_others_are_done(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    assert report([Path("bad"), Path("one")], rows_of, COLUMNS, as_json=True, out=out) == 1
    assert len(json.loads(out.getvalue())) == 1
    assert capsys.readouterr().err == "error: bad: it has no nodes: give one with nodes\n"


def test_no_rows_print_no_table() -> None:
    out = io.StringIO()
    assert report([Path("bad")], rows_of, COLUMNS, as_json=False, out=out) == 1
    assert out.getvalue() == ""


@pytest.mark.parametrize(("text", "value"), [("5", 5.0), ("2.5s", 2.5)])
def test_a_deadline_may_have_its_unit(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "soon", ""])
def test_a_bad_deadline_is_told(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="give seconds above 0"):
        seconds(text)


def test_the_options_of_every_comparison() -> None:
    options = command("helix", "About.", "  example", deadline=60.0).parse_args(["a", "b", "--json"])
    assert (options.files, options.deadline, options.json) == ([Path("a"), Path("b")], 60.0, True)
