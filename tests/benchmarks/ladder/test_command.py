"""The command: its rows, and what it says of bad input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.ladder.__main__ import main
from benchmarks.ladder.form import InstanceError, read_form
from benchmarks.ladder.table import markdown
from tiny import arrays


def written(folder: Path, name: str = "tiny", **changes: object) -> Path:
    path = folder / f"{name}.npz"
    np.savez(path, **arrays(**changes))  # type: ignore[arg-type]
    return path


def rows_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main([*arguments, "--json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


@pytest.mark.parametrize("method", ["atoll", "plain", "eliminated", "coral"])
def test_prints_a_list_with_one_object_per_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    files = [str(written(tmp_path)), str(written(tmp_path, "other", demand=[0.0, 50.0]))]
    rows = rows_of(capsys, *files, "--deadline", "2s", "--method", method)
    assert [row["instance"] for row in rows] == ["tiny", "other"]
    for row in rows:
        assert row["packed"] is True
        assert row["gap"] == pytest.approx(0.0, abs=2e-4)
        assert row["bound"] <= row["value"] * (1.0 + 1e-9)
        assert set(row["gapAtSeconds"]) == {"1", "5", "30"}
        assert all(isinstance(gap, float) for gap in row["gapAtSeconds"].values())
        assert all(isinstance(count, int) for count in row["nodes"])
        assert len(row["nodes"]) == 2
        assert row["shortfall"] == [0.0, 0.0]
        assert 0.0 <= row["firstFeasibleSeconds"] <= row["cpuSeconds"] + 1e-3
        assert row["wallSeconds"] > 0.0
        assert row["peakMemoryMiB"] > 10.0
        assert "trace" not in row
    # 8 and two times 3, against two times 8 and two times 3 where nodes are not shared.
    assert rows[0]["value"] == pytest.approx(14.0 if method != "coral" else 22.0)
    assert rows[1]["value"] == pytest.approx(8.0 if method != "coral" else 16.0)


def test_a_run_that_ended_before_a_mark_has_its_last_gap_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = rows_of(capsys, str(written(tmp_path)), "--deadline", "0.5")
    assert row["gapAtSeconds"]["30"] == row["gap"]


def test_the_trace_is_on_request_and_ends_with_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = rows_of(capsys, str(written(tmp_path)), "--deadline", "2", "--trace")
    assert row["trace"][0] == [0.0, 90.0, 0.0]
    assert row["trace"][-1][1:] == [row["value"], row["bound"]]


def test_a_table_without_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path)), "--deadline", "2"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["instance", "method", "value", "bound", "gap"]
    assert line.split()[:3] == ["tiny", "atoll", "14.00"]
    assert line.endswith("yes")


def test_markdown_has_a_cell_for_each_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capsys, str(written(tmp_path)), "--deadline", "2")
    assert len({line.count("|") for line in markdown(rows).splitlines()}) == 1


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.npz")]) == 2
    assert f"{tmp_path / 'none.npz'}: no such file" in capsys.readouterr().err


def test_a_folder_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert f"{tmp_path}: is a folder" in capsys.readouterr().err


def test_a_file_that_is_no_instance_is_told_and_the_others_are_solved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.npz"
    bad.write_text("not at all")
    assert main([str(bad), str(written(tmp_path)), "--deadline", "2", "--json"]) == 2
    out, err = capsys.readouterr()
    assert f"{bad}: no ladder instance" in err
    assert [row["instance"] for row in json.loads(out)] == ["tiny"]


@pytest.mark.parametrize("deadline", ["0", "-1", "inf", "nan", "soon"])
def test_a_bad_deadline(deadline: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--deadline={deadline}"])
    assert ended.value.code == 2
    assert "argument --deadline" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "much"])
def test_a_bad_memory_limit(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--memory-limit={size}"])
    assert ended.value.code == 2
    assert "give whole MiB above 0" in capsys.readouterr().err


def test_a_method_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--method", "best"])
    assert ended.value.code == 2
    assert "eliminated" in capsys.readouterr().err


def test_a_run_without_enough_memory_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path)), "--memory-limit", "50"]) == 1
    assert "the run broke off" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(arrays()))
def test_a_missing_array_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InstanceError, match=f"array '{name}' is missing"):
        read_form(written(tmp_path, **{name: None}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"demand": [-1.0, 1.0]}, "demand"),
        ({"pen": [float("inf"), 1.0]}, "pen"),
        ({"pen": [1.0]}, "pen"),
        ({"price": [[1.0, 2.0]]}, "price"),
        ({"avail": [0.5, 1.0]}, "avail"),
        ({"avail": [1, 1, 1]}, "avail"),
        ({"pool_cfg": [0, 2]}, "pool_cfg"),
        ({"kind_tp": [0, 2]}, "kind_tp"),
        ({"thr_7": [0.0, 1.0]}, "thr_7"),
        ({"U_7": [[0, 0], [0, 2]]}, "U_7"),
        ({"U_7": [[1, 0, 0], [0, 2, 0]]}, "U_7"),
    ],
)
def test_a_wrong_array_is_named(tmp_path: Path, changes: dict[str, object], named: str) -> None:
    with pytest.raises(InstanceError, match=named):
        read_form(written(tmp_path, **changes))


def test_stages_of_several_widths_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path, U_7=[[1, 1], [0, 2]]))]) == 2
    assert "template 0 of size 7 has stages of several widths" in capsys.readouterr().err


def test_an_array_file_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InstanceError, match="no ladder instance"):
        read_form(tmp_path / "one.npy")
