"""The solver in a process of its own: a crash, a hang or hunger for memory never reaches the operator.

The child is ``python -m atoll.optimize.worker``; it imports Pyomo and HiGHS ahead of the first problem, limits its
own memory and dies with its parent. Problems and answers are pickles with their length in front, over the child's
standard input and output; parent and child are the same code, so pickle is safe here.
"""

import asyncio
import contextlib
import ctypes
import importlib
import inspect
import os
import pickle
import resource
import signal
import struct
import sys
import traceback
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from typing import BinaryIO

from atoll.domain.problem import Allocation, Problem
from atoll.domain.reason import Fault, Reason

TARGET = "atoll.optimize.solve:solve"
"""What the child calls with a problem."""

GRACE_SECONDS = 5.0
"""Beyond the policy's deadline: building the program, placing, and HiGHS' slack in keeping its limit."""

START_SECONDS = 60.0
"""For a new child to be ready: importing Pyomo takes about a second, more on a busy machine."""

MEMORY_BYTES = 8 << 30
"""Address space of the child; the largest programs measured took 1.5 GiB."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Environment in which numpy computes in one thread: half the processor time of four threads on 100 served models."""

_END_SECONDS = 5.0
"""For a child whose pipe has broken to be gone by itself: its status tells why."""

_LENGTH = struct.Struct(">Q")
_PR_SET_PDEATHSIG = 1
_INTERIM, _DONE, _FAILED = "interim", "done", "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveOutcome:
    """What became of a problem: an allocation, or why there is none, or both where the solver broke off in between.

    Attributes:
        allocation: the answer; beside a fault, the first feasible one that the solver had told before.
        fault: why there is no better one.
    """

    allocation: Allocation | None = None
    fault: Fault | None = None


class SolverWorker:
    """A child process that solves one problem at a time; it is started when first needed and again after a failure."""

    def __init__(
        self, *, grace_seconds: float = GRACE_SECONDS, memory_bytes: int = MEMORY_BYTES, target: str = TARGET
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            grace_seconds: beyond a problem's deadline until the child is killed, seconds.
            memory_bytes: address space that the child may have.
            target: ``module:function`` that the child calls; another than the solver in tests only.
        """
        self._grace_seconds = grace_seconds
        self._memory_bytes = memory_bytes
        self._target = target
        self._child: Process | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Process id of the child; nothing while there is none."""
        return None if self._child is None else self._child.pid

    async def start(self) -> None:
        """Have a child ready before the first problem; does nothing if there is one."""
        async with self._turn:
            await self._ready()

    async def solve(self, problem: Problem) -> SolveOutcome:
        """Solve a problem in the child; never raises for what the child does."""
        interim: list[object] = []
        answer = await self.call(problem, deadline_seconds=problem.policy.deadline_seconds, interim=interim)
        known = next((item for item in reversed(interim) if isinstance(item, Allocation)), None)
        if isinstance(answer, Fault):
            return SolveOutcome(allocation=known, fault=answer)
        if isinstance(answer, Allocation):
            return SolveOutcome(allocation=answer)
        message = f"the solver answered with a {type(answer).__name__}, not with an allocation"
        return SolveOutcome(allocation=known, fault=Fault(reason=Reason.SOLVER_FAILED, message=message))

    async def call(
        self, *arguments: object, deadline_seconds: float, interim: list[object] | None = None
    ) -> object | Fault:
        """Have the child call its target; a fault if that raises, breaks off or is late by more than the grace.

        A child that is late or has broken off is killed, and the next call gets a new one.

        Args:
            arguments: of the target; they are pickled.
            deadline_seconds: in which the target means to be done, seconds.
            interim: is appended what the target tells before it is done: of use where it never is.
        """
        told: list[object] = [] if interim is None else interim
        try:
            message = pickle.dumps(arguments, protocol=pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            return Fault(reason=Reason.SOLVER_FAILED, message=f"the solver could not be asked: {error}")
        async with self._turn:
            try:
                child = await self._ready()
                async with asyncio.timeout(deadline_seconds + self._grace_seconds):
                    await _send(child, message)
                    return await _last_answer(child, told)
            except TimeoutError:
                await self._kill()
                late = f"no answer within {deadline_seconds + self._grace_seconds:g} s"
                return Fault(reason=Reason.SOLVER_TIMEOUT, message=f"the solver gave {late} and was restarted")
            except Exception as error:  # noqa: BLE001  # whatever the child does must not reach the operator
                status = await self._end()
                ended = "could not be asked" if status is None else f"ended with status {status}"
                kind = f"{type(error).__name__}: {error}"
                return Fault(reason=Reason.SOLVER_FAILED, message=f"the solver's process {ended} ({kind})")
            except BaseException:
                # Cancelled half-way: the pipes hold half a message, so this child is of no use to anyone.
                await self._kill()
                raise

    async def close(self) -> None:
        """End the child; a problem that is being solved ends first or at its deadline."""
        async with self._turn:
            await self._kill()

    async def _ready(self) -> Process:
        if self._child is not None and self._child.returncode is None:
            return self._child
        await self._kill()
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "atoll.optimize.worker",
            self._target,
            str(self._memory_bytes),
            str(os.getpid()),
            stdin=PIPE,
            stdout=PIPE,
            limit=1 << 26,
            # Small products by the million: more threads would only wait for each other.
            env=os.environ | ONE_THREAD,
        )
        async with asyncio.timeout(START_SECONDS):
            await _receive(self._child)
        return self._child

    async def _end(self) -> int | None:
        """The status of a child that has broken off; one that is still there a moment later is killed."""
        if self._child is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    # Killing at once would reap the child behind asyncio's back and lose its status.
                    await self._child.wait()
        status = None if self._child is None else self._child.returncode
        killed = await self._kill()
        return killed if status is None else status

    async def _kill(self) -> int | None:
        child, self._child = self._child, None
        if child is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        return await asyncio.shield(child.wait())


async def _send(child: Process, message: bytes) -> None:
    assert child.stdin is not None  # noqa: S101  # asked for as a pipe
    child.stdin.write(_LENGTH.pack(len(message)) + message)
    await child.stdin.drain()


async def _receive(child: Process) -> bytes:
    assert child.stdout is not None  # noqa: S101  # asked for as a pipe
    (length,) = _LENGTH.unpack(await child.stdout.readexactly(_LENGTH.size))
    return await child.stdout.readexactly(length)


async def _last_answer(child: Process, told: list[object]) -> object | Fault:
    """What the child says last; what it says before that is noted."""
    while True:
        state, value = _read(await _receive(child))
        if state == _DONE:
            return value
        if state == _FAILED:
            return Fault(reason=Reason.SOLVER_FAILED, message=f"the solver failed: {value}")
        told.append(value)


def _serve(target: str, memory_bytes: int, parent: int) -> None:
    """The child: answer problems until standard input ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # Writing a core file takes seconds, in which the crash could not be told of.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Whatever a library prints must not get into the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    tells = "tell" in inspect.signature(function).parameters
    keywords = {"tell": lambda value: _write(answers, _message(_INTERIM, value))} if tells else {}
    _write(answers, b"ready")
    while header := sys.stdin.buffer.read(_LENGTH.size):
        (length,) = _LENGTH.unpack(header)
        arguments = pickle.loads(sys.stdin.buffer.read(length))  # noqa: S301  # from our own parent
        try:
            outcome = _message(_DONE, function(*arguments, **keywords))
        except Exception as error:  # noqa: BLE001  # whatever it is, the operator must hear of it
            traceback.print_exc()
            outcome = _message(_FAILED, f"{type(error).__name__}: {error}")
        _write(answers, outcome)


def _read(message: bytes) -> tuple[str, object]:
    said: tuple[str, object] = pickle.loads(message)  # noqa: S301  # our own child
    return said


def _message(state: str, value: object) -> bytes:
    return pickle.dumps((state, value), protocol=pickle.HIGHEST_PROTOCOL)


def _write(answers: BinaryIO, message: bytes) -> None:
    answers.write(_LENGTH.pack(len(message)) + message)
    answers.flush()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
