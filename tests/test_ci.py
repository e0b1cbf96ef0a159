"""What CI makes of a failure: an end-to-end module that fails is run once more, and nothing else is."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
GOOD = "def test_good() -> None: pass\n"
BAD = "def test_bad() -> None: assert False, 'for good'\n"
ONCE = """
from pathlib import Path

WORLD = Path(__file__).with_suffix(".world")

def test_first_of_the_module() -> None:
    print("first of the module")

def test_that_fails_in_the_first_world() -> None:
    was_there = WORLD.exists()
    WORLD.touch()
    assert was_there, "by accident"
"""


def run(*command: str, **given: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **given)  # noqa: S603  # ours


def e2e(folder: Path, *arguments: str, **modules: str) -> subprocess.CompletedProcess[str]:
    """What CI's end-to-end tests say where these modules are all of them."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "e2e").mkdir()
    for name, text in modules.items():
        (folder / "e2e" / f"test_{name}.py").write_text(text)
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return run(str(ROOT / ".ci" / "e2e"), "-rA", *arguments, cwd=folder, env=alone)


def test_where_nothing_fails_nothing_is_run_again(tmp_path: Path) -> None:
    done = e2e(tmp_path, good=GOOD)
    assert done.returncode == 0
    assert "flaky" not in done.stdout
    assert "second attempt" not in done.stdout


def test_a_module_that_fails_once_is_run_again_whole_and_named(tmp_path: Path) -> None:
    done = e2e(tmp_path, good=GOOD, once=ONCE)
    assert done.returncode == 0, done.stdout
    first, _, second = done.stdout.partition("second attempt, in a fresh world: e2e/test_once.py")
    assert "AssertionError: by accident" in first, "the first failure stays in the log"
    assert "first of the module" in second, "tests of a module share a world"
    assert "test_good" not in second
    assert done.stdout.splitlines()[-1] == "flaky: e2e/test_once.py failed once and passed in a fresh world"


def test_a_module_that_fails_twice_fails_ci_also_beside_one_that_does_not(tmp_path: Path) -> None:
    done = e2e(tmp_path, bad=BAD, good=GOOD, once=ONCE)
    assert done.returncode == 1
    assert done.stdout.count("AssertionError: for good") >= 2
    assert done.stdout.splitlines()[-2:] == [
        "failed twice: e2e/test_bad.py",
        "flaky: e2e/test_once.py failed once and passed in a fresh world",
    ]


@pytest.mark.parametrize(
    ("modules", "arguments", "status"),
    [
        pytest.param({"good": GOOD, "broken": "import nothing_of_that_name"}, (), 2, id="not imported"),
        pytest.param({"good": GOOD}, ("--no-such-option",), 4, id="not understood"),
        pytest.param({f"bad_{number}": BAD for number in range(4)}, (), 1, id="too many for an accident"),
    ],
)
def test_what_is_no_accident_has_no_second_attempt(
    tmp_path: Path, modules: dict[str, str], arguments: tuple[str, ...], status: int
) -> None:
    done = e2e(tmp_path, *arguments, **modules)
    assert done.returncode == status
    assert "in a fresh world" not in done.stdout


@pytest.mark.parametrize("step", ["UNIT", "E2E"])
def test_make_test_ends_with_the_first_step_that_fails(tmp_path: Path, step: str) -> None:
    reached = {name: tmp_path / name for name in ("UNIT", "E2E")}
    steps = [f"{name}=touch {path};{'false' if name == step else 'true'}" for name, path in reached.items()]
    done_before = [word for target in ("lint", "controlplane", "tools") for word in ("--old-file", target)]
    done = run("/usr/bin/env", "make", "test", *done_before, *steps, cwd=ROOT)
    assert done.returncode != 0
    assert reached["UNIT"].exists()
    assert reached["E2E"].exists() == (step == "E2E")
