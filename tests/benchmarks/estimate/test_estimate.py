"""The comparison of estimators: what it counts, and that it reads what comes with it."""

import json
from pathlib import Path

import pytest
from benchmarks.estimate.__main__ import FOLDER, judged, main
from benchmarks.estimate.curves import STEP_SECONDS, read_curves
from benchmarks.estimate.ways import in_place


def test_growth_takes_the_lead_and_less_takes_effect_at_once() -> None:
    asked = [10.0] * 3 + [20.0] * 4 + [5.0] * 2
    assert in_place(asked, 2 * STEP_SECONDS) == [10.0] * 5 + [20.0] * 2 + [5.0] * 2


def test_what_is_counted() -> None:
    rates, capacity = [9.0, 9.0, 12.0, 9.0, None], [10.0] * 5
    row = judged(rates, capacity, capacity, 0.0)
    assert row["underTime"] == round(1 / 3, 5)
    assert row["unserved"] == round(2 / 30, 5)
    assert row["over"] == 0.0
    assert row["changes"] == 0.0


def test_gaps_in_collection_are_no_samples() -> None:
    curves = {curve.name: curve for path in sorted(FOLDER.glob("*.csv")) for curve in read_curves(path)}
    assert set(curves) == {"azure-code", "azure-conv", "deepseek-r1", "m-large", "m-mid"}
    assert None in curves["m-mid"].rates
    assert None not in curves["m-large"].rates


def test_the_command_writes_rows_and_a_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "plot.svg"
    assert main([str(FOLDER / "azure.csv"), "--hours", "0.5", "--json", "--plot", str(plot)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["way"] for row in rows} == {"atoll", "last value x 1.2", "0.95 of window"}
    assert plot.read_text().startswith("<?xml")


def test_a_file_that_is_no_curve_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    assert main([str(bad)]) == 1
    assert f"error: {bad}: no curve" in capsys.readouterr().err


def test_halves_are_judged_by_themselves_and_all_of_a_curve_is_played(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(FOLDER / "azure.csv"), "--halves", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    parts = {row["part"]: row for row in rows if (row["curve"], row["way"]) == ("azure-conv", "atoll")}
    assert set(parts) == {"first half", "second half"}
    assert parts["second half"]["underTime"] <= 0.05
