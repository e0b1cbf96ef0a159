import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atoll.local import pidfile
from atoll.local.controlplane import down
from atoll.local.errors import LocalEnvironmentError
from atoll.local.processes import Command, Processes
from atoll.local.state import StateDirectory

SLEEP = ("/bin/sleep", "600")


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    state = StateDirectory(root=tmp_path)
    state.create()
    return state


@pytest.fixture
def processes(state: StateDirectory) -> Iterator[Processes]:
    processes = Processes(state)
    yield processes
    processes.stop_all()


def sleeper(name: str = "sleeper") -> Command:
    return Command(name=name, arguments=SLEEP, environment={})


def shell(script: str) -> Command:
    return Command(name="shell", arguments=("/bin/sh", "-c", script), environment={"GIVEN": "value"})


def ends(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while pidfile.start_ticks(pid) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_started_process_is_on_record_until_it_is_ended(state: StateDirectory, processes: Processes) -> None:
    processes.start(sleeper())
    (record,) = pidfile.read_records(state.processes)
    assert record.pid == processes.pid("sleeper")
    assert pidfile.runs(record)

    processes.stop_all()

    assert not pidfile.runs(record)
    assert pidfile.read_records(state.processes) == ()


def test_a_reused_process_id_is_not_ours(processes: Processes) -> None:
    processes.start(sleeper())
    record = pidfile.record_of("sleeper", processes.pid("sleeper"))
    assert record is not None
    for stranger in (replace(record, start_ticks=record.start_ticks - 1), replace(record, boot_id="another")):
        assert not pidfile.runs(stranger)
        assert pidfile.end_all((stranger,), patience_seconds=1) == ()
    assert pidfile.runs(record)


def test_down_ends_what_another_process_left(state: StateDirectory, processes: Processes) -> None:
    processes.start(sleeper("one"))
    processes.start(sleeper("two"))
    assert down(state.root) == ("one", "two")
    assert down(state.root) == ()


def test_a_second_environment_in_the_same_folder_is_refused(state: StateDirectory, processes: Processes) -> None:
    processes.start(sleeper())
    second = Processes(state)
    with pytest.raises(LocalEnvironmentError, match=r"sleeper \(\d+\) still run from there; end them with `make down`"):
        second.refuse_second_environment()
    second.stop_all()
    assert len(pidfile.read_records(state.processes)) == 1, "the refused one takes nothing off the first one's record"
    processes.stop_all()
    Processes(state).refuse_second_environment()


def test_a_process_that_ends_by_itself_is_reported_with_its_log(processes: Processes) -> None:
    processes.start(shell("echo $GIVEN; exit 3"))
    with pytest.raises(LocalEnvironmentError, match=r"(?s)shell ended with status 3.*value"):
        processes.wait_until(lambda: False, what="never", seconds=10)


def test_waiting_ends_with_what_was_waited_for(processes: Processes) -> None:
    with pytest.raises(LocalEnvironmentError, match=r"the moon: not so after 0\.1 s"):
        processes.wait_until(lambda: False, what="the moon", seconds=0.1)


def test_one_that_ignores_the_request_is_ended_by_force(processes: Processes) -> None:
    processes.start(shell("trap '' TERM; echo deaf; while true; do sleep 1; done"))
    processes.wait_until(lambda: processes.log("shell").read_text() == "deaf\n", what="deaf", seconds=10)
    pid = processes.pid("shell")
    processes.stop_all(patience_seconds=0.1)
    assert ends(pid)


def test_restart_runs_the_same_command_under_another_id(state: StateDirectory, processes: Processes) -> None:
    processes.start(sleeper())
    before = processes.pid("sleeper")
    processes.restart("sleeper")
    assert processes.pid("sleeper") != before
    assert [record.pid for record in pidfile.read_records(state.processes)] == [processes.pid("sleeper")]


def test_a_child_outlives_the_thread_that_asked_for_it(processes: Processes) -> None:
    thread = threading.Thread(target=processes.start, args=(sleeper(),))
    thread.start()
    thread.join()
    time.sleep(0.2)  # the kernel's signal on the death of a thread would be there long before
    processes.check()


@pytest.mark.parametrize("detached", [False, True])
def test_a_child_dies_with_its_killed_parent_unless_detached(state: StateDirectory, detached: bool) -> None:
    script = textwrap.dedent(f"""
        import pathlib, time
        from atoll.local.processes import Command, Processes
        from atoll.local.state import StateDirectory
        processes = Processes(StateDirectory(root=pathlib.Path({str(state.root)!r})), detached={detached})
        processes.start(Command(name="sleeper", arguments={SLEEP!r}, environment={{}}))
        print(processes.pid("sleeper"), flush=True)
        time.sleep(600)
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603  # our script
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    if detached:
        assert pidfile.start_ticks(pid) is not None
        assert down(state.root) == ("sleeper",)
    assert ends(pid)
