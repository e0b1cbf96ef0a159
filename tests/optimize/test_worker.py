import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from atoll.domain.problem import SolvePolicy
from atoll.domain.reason import Fault, Reason
from atoll.optimize.check import check
from atoll.optimize.worker import SolverWorker
from optimize.fleets import key, problem, row, supply, template

CASE = problem([row("a", 3.0, template("L4"))], [supply("L4", 1, 1.0)])


@pytest.fixture(autouse=True)
def _targets_are_importable_in_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    tests = Path(__file__).parents[1]
    operator = Path(__file__).parents[2] / "operator"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(operator), str(tests)]))


@contextlib.asynccontextmanager
async def worker(target: str = "", grace_seconds: float = 60.0) -> AsyncIterator[SolverWorker]:
    made = (
        SolverWorker(target=f"optimize.targets:{target}", grace_seconds=grace_seconds)
        if target
        else SolverWorker(grace_seconds=grace_seconds)
    )
    try:
        yield made
    finally:
        await made.close()


def is_alive(pid: int) -> bool:
    """Whether a process is there and not merely waiting for its parent to notice its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_problem_is_solved_in_another_process() -> None:
    async with worker() as solver:
        outcome = await solver.solve(CASE)
        assert solver.pid != os.getpid()
        assert outcome.fault is None
        assert outcome.allocation is not None
        assert check(CASE, outcome.allocation) == ()


async def test_child_is_reused_and_ended_on_close() -> None:
    async with worker() as solver:
        await solver.start()
        first = solver.pid
        await solver.solve(CASE)
        await solver.solve(CASE)
        assert solver.pid == first
        assert first is not None
        assert is_alive(first)
    assert not is_alive(first)


async def test_hanging_child_is_a_timeout_and_is_killed() -> None:
    async with worker("hang", grace_seconds=0.2) as solver:
        await solver.start()
        hung = solver.pid
        outcome = await solver.call(deadline_seconds=0.1)
        assert isinstance(outcome, Fault)
        assert outcome.reason is Reason.SOLVER_TIMEOUT
        assert hung is not None
        assert not is_alive(hung)


async def test_first_feasible_answer_is_kept_where_the_solver_then_hangs() -> None:
    async with worker("tell_and_hang", grace_seconds=0.2) as solver:
        await solver.start()
        outcome = await solver.solve(replace(CASE, policy=SolvePolicy(deadline_seconds=0.1)))
        assert outcome.allocation is not None
        assert outcome.allocation.cost_per_hour == 1.0
        assert outcome.fault is not None
        assert outcome.fault.reason is Reason.SOLVER_TIMEOUT


async def test_crashing_child_is_a_fault_and_the_next_call_gets_a_new_one() -> None:
    async with worker("crash") as solver:
        await solver.start()
        first = solver.pid
        outcome = await solver.solve(CASE)
        assert outcome.fault is not None
        assert outcome.fault.reason is Reason.SOLVER_FAILED
        assert str(-signal.SIGSEGV) in outcome.fault.message
        await solver.start()
        assert solver.pid not in {None, first}


async def test_exception_in_the_child_is_a_fault_with_its_message_and_the_child_lives_on() -> None:
    async with worker("fail") as solver:
        await solver.start()
        first = solver.pid
        outcome = await solver.solve(CASE)
        assert outcome.fault == Fault(
            reason=Reason.SOLVER_FAILED, message="the solver failed: ValueError: no such thing"
        )
        assert solver.pid == first


async def test_memory_beyond_the_limit_is_a_fault() -> None:
    async with worker("devour") as solver:
        outcome = await solver.solve(CASE)
        assert outcome.fault is not None
        assert "MemoryError" in outcome.fault.message


async def test_what_a_library_prints_does_not_get_into_the_answer() -> None:
    async with worker("chatter") as solver:
        assert await solver.call(deadline_seconds=10.0) == "answered"


async def test_answer_that_is_no_allocation_is_a_fault() -> None:
    async with worker("echo") as solver:
        outcome = await solver.solve(CASE)
        assert outcome.fault is not None
        assert outcome.fault.reason is Reason.SOLVER_FAILED


async def test_arguments_arrive_as_they_were_sent() -> None:
    async with worker("echo") as solver:
        assert await solver.call(CASE, key("a"), deadline_seconds=10.0) == (CASE, key("a"))


async def test_what_cannot_be_sent_is_a_fault() -> None:
    async with worker("echo") as solver:
        outcome = await solver.call(lambda: None, deadline_seconds=10.0)
        assert isinstance(outcome, Fault)
        assert outcome.reason is Reason.SOLVER_FAILED


async def test_cancelled_call_leaves_no_half_message_for_the_next() -> None:
    async with worker("hang") as solver:
        await solver.start()
        first = solver.pid
        call = asyncio.ensure_future(solver.call(deadline_seconds=60.0))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert first is not None
        assert not is_alive(first)


async def test_child_dies_with_its_parent() -> None:
    script = (
        "import asyncio, os, sys\n"
        "from atoll.optimize.worker import SolverWorker\n"
        "async def main():\n"
        "    solver = SolverWorker(target='optimize.targets:hang')\n"
        "    await solver.start()\n"
        "    print(solver.pid, flush=True)\n"
        "    await solver.call(deadline_seconds=600.0)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert is_alive(child)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(30):
        while is_alive(child):  # noqa: ASYNC110  # nothing tells us of a stranger's end
            await asyncio.sleep(0.01)


async def test_operator_process_imports_neither_pyomo_nor_highs() -> None:
    script = "import sys, atoll.optimize.worker; print([m for m in ('pyomo', 'highspy', 'numpy') if m in sys.modules])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode().strip() == "[]"
