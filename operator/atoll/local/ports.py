"""Free ports on loopback."""

import random
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"

_LOWEST, _HIGHEST = 10_000, 65_535
_FEWEST = 1_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> tuple[int, ...]:
    """Ports nobody listens on now, all different: they are held together until the last is known.

    They lie below those that the kernel gives to outgoing connections, where it leaves room there: one of these could
    take a port of them between now and the start of the process that it is for.
    """
    with ExitStack() as held:
        found: list[int] = []
        candidates = range(_LOWEST, _end())
        for port in random.sample(candidates, k=len(candidates)):
            if len(found) == count:
                break
            with suppress(OSError):
                held.enter_context(socket.socket()).bind((LOOPBACK, port))
                found.append(port)
        return tuple(found)


def _end() -> int:
    """Where the kernel's own ports begin, if there is room below."""
    lowest = int(_EPHEMERAL.read_text(encoding="ascii").split()[0])
    return lowest if lowest >= _LOWEST + _FEWEST else _HIGHEST
