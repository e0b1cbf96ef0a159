"""The `atoll` command as a process: Ctrl-C, pipes that close and disks that are full."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = Path(__file__).parent / "manifests" / "small.yaml"
PLAN = ["plan", "-f", str(SMALL), "--no-baseline"]

INTERRUPTED_WHILE_LOADING = """
import builtins, os, signal, sys
real = builtins.__import__

def importing(name, *rest):
    if name == "numpy":
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *rest)

from atoll.cli.app import main
builtins.__import__ = importing
sys.argv = ["atoll", "plan", "-f", "x"]
main()
"""

INTERRUPTED_AT_WORK = """
import os, signal, sys
import atoll.cli.plan as plan

def decide(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)
    raise SystemExit("not interrupted")

plan.decide = decide
from atoll.cli.app import main
sys.argv = ["atoll", "plan", "-f", sys.argv[1]]
main()
"""


def atoll(*arguments: str, **keywords: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "atoll.cli", *arguments]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, check=False, **keywords)  # type: ignore[call-overload,no-any-return]  # noqa: S603  # our own command


@pytest.mark.parametrize("program", [INTERRUPTED_WHILE_LOADING, INTERRUPTED_AT_WORK])
def test_ctrl_c_ends_with_130_and_without_a_traceback(program: str) -> None:
    ended = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program, str(SMALL)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a runner may ignore it
    )

    assert ended.returncode == 130, ended.stderr
    assert ended.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [PLAN, [*PLAN, "--json"], ["plan", "--help"]])
def test_output_to_a_full_disk_ends_with_one_and_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = atoll(*arguments, stdout=full)

    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "No space left on device" in ended.stderr


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_that_has_seen_enough_changes_neither_exit_code_nor_screen(form: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = atoll(*PLAN, *form, stdout=write)
    os.close(write)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_no_output_at_all_is_said() -> None:
    ended = atoll(*PLAN, preexec_fn=lambda: os.close(1))

    assert ended.returncode == 1
    assert ended.stderr == "error: cannot write the output: standard output is closed\n"
