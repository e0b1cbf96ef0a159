"""All comparisons in one command: what is run, and the page that is made of it."""

import builtins
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.bench import COMPARISONS, Comparison, main, present, run, write_page
from benchmarks.ending import end_with
from benchmarks.tables import any_table, results_page

from benchmarks import bench

LADDER_ROW: dict[str, Any] = {
    "schemaVersion": 1,
    "instance": "one",
    "method": "atoll",
    "value": 10.0,
    "bound": 9.9,
    "gap": 0.01,
    "firstFeasibleSeconds": 0.1,
    "gapAtSeconds": {"1": 0.5, "5": 0.01, "30": 0.01},
    "cpuSeconds": 6.0,
    "wallSeconds": 6.5,
    "peakMemoryMiB": 90.0,
    "packed": True,
    "trace": [[0.0, 90.0, 0.0], [0.1, 12.0, 6.0], [4.0, 10.0, 9.9]],
}


def test_a_package_is_there_when_it_has_a_command() -> None:
    assert present("ladder")
    assert present("ladder.warm")
    assert not present("data")
    assert not present("never.was")


def test_rows_are_kept_with_the_command_that_made_them(tmp_path: Path) -> None:
    path = "benchmarks/data/ladder/i_6_5_0_1.npz"
    comparison = Comparison(run="quick", module="ladder", about="About.", options=(path, "--deadline", "0.2"))
    assert run(comparison, tmp_path, with_all_time=False) == 0
    kept = json.loads((tmp_path / "quick.json").read_text())
    assert kept["command"] == f"python -m benchmarks.ladder {path} --deadline 0.2 --json"
    assert [row["instance"] for row in kept["rows"]] == ["i_6_5_0_1"]
    assert kept["commit"]
    assert kept["machine"]


def test_a_comparison_that_fails_keeps_nothing_and_is_told(tmp_path: Path) -> None:
    comparison = Comparison(run="bad", module="ladder", about="About.", options=("--deadline", "never"))
    assert run(comparison, tmp_path, with_all_time=False) == 2
    assert not (tmp_path / "bad.json").exists()


def test_the_page_has_a_table_for_each_run_and_shows_the_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name, value in (("ladder-atoll", 10.0), ("ladder-coral", 12.0)):
        row = {**LADDER_ROW, "value": value}
        kept = {"command": "python", "about": "About.", "commit": "abc", "machine": "two cores", "rows": [row]}
        (tmp_path / f"{name}.json").write_text(json.dumps(kept))
    write_page(tmp_path)
    page = (tmp_path / "results.md").read_text()
    assert page.index("## ladder-atoll") < page.index("## ladder-coral")
    assert "| one | atoll | 10.00 | 9.90 | 1.00 % |" in page
    for name in ("ladder-gap.svg", "ladder-coral.svg"):
        assert f"({name})" in page
        assert "<svg" in (tmp_path / name).read_text()
    assert "20.0" in (tmp_path / "ladder-coral.svg").read_text()


def test_a_competitor_without_an_answer_is_no_bar(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name, first in (("ladder-atoll", 0.1), ("ladder-coral", None)):
        row = {**LADDER_ROW, "firstFeasibleSeconds": first}
        kept = {"command": "python", "about": "About.", "commit": "abc", "machine": "two cores", "rows": [row]}
        (tmp_path / f"{name}.json").write_text(json.dumps(kept))
    write_page(tmp_path)
    assert [path.name for path in tmp_path.glob("*.svg")] == ["ladder-gap.svg"]


def test_a_page_of_nothing_is_a_page(tmp_path: Path) -> None:
    write_page(tmp_path)
    assert (tmp_path / "results.md").read_text().startswith("# Results")
    assert not list(tmp_path.glob("*.svg"))


def test_without_matplotlib_there_are_tables_and_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = {"command": "python", "about": "About.", "commit": "abc", "machine": "two cores", "rows": [LADDER_ROW]}
    (tmp_path / "ladder-atoll.json").write_text(json.dumps(kept))
    monkeypatch.delitem(sys.modules, "benchmarks.plots", raising=False)
    monkeypatch.delattr("benchmarks.plots", raising=False)
    monkeypatch.setattr(builtins, "__import__", _without_matplotlib)
    write_page(tmp_path)
    assert "| one | atoll |" in (tmp_path / "results.md").read_text()
    assert "pip install matplotlib" in capsys.readouterr().err


_import = builtins.__import__


def _without_matplotlib(name: str, *rest: Any, **named: Any) -> Any:
    if name.startswith("matplotlib"):
        raise ModuleNotFoundError(name, name="matplotlib")
    return _import(name, *rest, **named)


def test_plots_are_the_same_for_the_same_rows(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    kept = {"command": "python", "about": "About.", "commit": "abc", "machine": "two cores", "rows": [LADDER_ROW]}
    texts = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "ladder-atoll.json").write_text(json.dumps(kept))
        write_page(folder)
        texts.append((folder / "ladder-gap.svg").read_text())
    assert texts[0] == texts[1]


def test_a_gap_goes_on_to_the_end_of_the_run() -> None:
    plots = pytest.importorskip("benchmarks.plots", exc_type=ModuleNotFoundError)
    times, gaps = plots.gap_line(LADDER_ROW)
    assert times == [0.05, 0.1, 4.0, 6.0]
    assert gaps == pytest.approx([100.0, 50.0, 1.0, 1.0])


def test_other_rows_are_shown_by_their_own_fields() -> None:
    rows = [
        {"schemaVersion": 1, "instance": "a|b", "value": 3.0, "small": 0.00123, "proven": False, "nodes": [1]},
        {"instance": "c", "value": None},
    ]
    assert any_table(rows).splitlines() == [
        "| instance | value | small | proven |",
        "| --- | ---: | ---: | ---: |",
        "| a\\|b | 3.00 | 0.00123 | no |",
        "| c | - | - | - |",
    ]
    assert any_table([]) == "No rows."
    assert "No rows." in results_page(
        {"x": {"command": "c", "about": "a", "commit": "c", "machine": "m", "rows": []}}, []
    )


def test_runs_only_what_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = []

    def note(comparison: Comparison, *_: object, **__: object) -> int:
        ran.append(comparison.run)
        return 1

    monkeypatch.setattr(bench, "run", note)
    assert main(["--only", "ladder-warm", "--results", str(tmp_path)]) == 1
    assert ran == ["ladder-warm"]
    assert main(["--only", "--results", str(tmp_path)]) == 0


def test_every_run_has_a_file_of_its_own() -> None:
    assert len({comparison.run for comparison in COMPARISONS}) == len(COMPARISONS)


@pytest.fixture
def kept_signals() -> Iterator[None]:
    """What a command makes of signals is no matter of those who test it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("kept_signals")
def test_ctrl_c_ends_a_command_with_130_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        end_with(interrupted, "benchmarks.any")
    assert ended.value.code == 130
    assert capsys.readouterr().err == "\nbenchmarks.any: interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_in_the_background_ends_although_its_shell_made_it_ignore_ctrl_c(number: signal.Signals) -> None:
    waits = "import sys, time; print('there', flush=True); time.sleep(600)"
    command = f"from benchmarks.ending import end_with\ndef main():\n {waits}\nend_with(main, 'benchmarks.any')"
    with subprocess.Popen(  # noqa: S603  # our own words
        ["/bin/sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, command],
        cwd=bench.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(number)
        _, said = process.communicate()
    assert (process.returncode, said) == (130, "\nbenchmarks.any: interrupted\n")


def test_an_interruption_reaches_the_run_under_way_whose_rows_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tells = """
import signal, os
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    os.kill(os.getppid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print('[{"figure": "moves", "value": 3}]')
    raise SystemExit(130)
"""
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!{sys.executable}\n{tells}")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    assert main(["--only", "traffic", "estimate", "--results", str(tmp_path)]) == 130
    kept = json.loads((tmp_path / "traffic.json").read_text())
    assert kept["rows"] == [{"figure": "moves", "value": 3}]
    assert not (tmp_path / "estimate.json").exists()
