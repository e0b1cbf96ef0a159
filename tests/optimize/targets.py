"""What a solver's child is made to call in tests of the worker."""

import os
import signal
import sys
import time
from collections.abc import Callable

from atoll.domain.problem import Allocation, Problem


def echo(*arguments: object) -> object:
    return arguments


def hang(*_: object) -> None:
    while True:
        time.sleep(3600)


def tell_and_hang(asked: Problem, tell: Callable[[Allocation], object]) -> None:
    tell(Allocation(replicas=(), nodes=(), shortfall={}, cost_per_hour=1.0, bound_per_hour=0.0))
    hang(asked)


def crash(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def fail(*_: object) -> None:
    raise ValueError("no such thing")


def devour(*_: object) -> int:
    return len(bytearray(64 << 30))


def chatter(*_: object) -> str:
    os.write(1, b"Running HiGHS\n")
    sys.stdout.write("Running HiGHS\n")
    sys.stdout.flush()
    return "answered"
