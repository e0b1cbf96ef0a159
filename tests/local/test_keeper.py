import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from atoll.local.keeper import Keeper
from atoll.local.processes import Command, Processes
from atoll.local.state import StateDirectory

SECONDS = 30.0


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    state = StateDirectory(root=tmp_path)
    state.create()
    processes = Processes(state)
    yield processes
    processes.stop_all()


@pytest.fixture
def keeper(processes: Processes) -> Iterator[Keeper]:
    sleep = ("/bin/sleep", "600")
    processes.start(Command(name="sleeper", arguments=sleep, environment={}, kept=True))
    keeper = Keeper(processes, "sleeper")
    keeper.start()
    yield keeper
    keeper.close()


def test_a_kept_process_that_crashes_runs_again_and_its_end_is_remembered(processes: Processes, keeper: Keeper) -> None:
    for times in (1, 2):
        crashed = processes.pid("sleeper")
        os.kill(crashed, signal.SIGSEGV)
        processes.wait_until(lambda before=crashed: processes.pid("sleeper") != before, what="again", seconds=SECONDS)  # type: ignore[misc]
        assert processes.ended("sleeper") is None
        assert keeper.ends == (-signal.SIGSEGV,) * times
    assert "keeper: sleeper ended with status -11, end 2" in processes.log("sleeper").read_text()


def test_what_is_ended_after_its_keeper_was_closed_stays_ended(processes: Processes, keeper: Keeper) -> None:
    keeper.close()
    processes.end("sleeper")
    assert not processes.has("sleeper")
    assert keeper.ends == ()
