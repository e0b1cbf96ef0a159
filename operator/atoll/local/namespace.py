"""A network namespace of its own, in which any process can bind the address of any simulated pod.

Nothing enters or leaves it, and it vanishes with the last process in it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from atoll.local.errors import LocalEnvironmentError

ADVERTISE_ADDRESS = "10.244.255.2"
"""For the API server: without a default route it finds no address by itself, and refuses to publish loopback ones."""

_MARK = "ATOLL_NETWORK_NAMESPACE"


def is_inside() -> bool:
    """Whether :func:`enter` has happened."""
    return _MARK in os.environ


def enter(command: Sequence[str], *, pod_cidr: str) -> None:
    """Replace this process by a Python command in a fresh network namespace, or prepare it where that has happened.

    Args:
        command: what follows the interpreter: ``-m``, module, arguments.
        pod_cidr: addresses that processes in it can bind.
    """
    if not is_inside():
        arguments = [*_unshare(), sys.executable, *command]
        os.execvpe(arguments[0], arguments, {**os.environ, _MARK: "1"})  # noqa: S606  # our own command, as a list
    for change in (("link", "set", "lo", "up"), ("route", "add", "local", pod_cidr, "dev", "lo")):
        done = subprocess.run([_tool("ip"), *change], capture_output=True, text=True, check=False)  # noqa: S603  # ours
        if done.returncode and "File exists" not in done.stderr:
            raise LocalEnvironmentError(f"network namespace: `ip {' '.join(change)}` failed: {done.stderr.strip()}")


def _unshare() -> list[str]:
    """Who is not root becomes it in a user namespace, where the kernel allows that."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [_tool("unshare"), *user, "--net", "--"]


def _tool(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        package = "iproute2" if name == "ip" else "util-linux"
        raise LocalEnvironmentError(f"{name}: not found; install the system package {package}")
    return found
