"""Become another program that cannot outlive its parent.

Run as a script (`python -I -S launcher.py PARENT_PID COMMAND...`), never imported: it asks the kernel for SIGKILL on
the death of the parent (prctl PR_SET_PDEATHSIG survives exec) and then executes the command. A `preexec_fn` would do
the same but may deadlock in a process with threads, and the operator under test has threads. PARENT_PID 0 means:
outlive it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then replace it by the command."""
    parent, command = int(arguments[0]), arguments[1:]
    if parent:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the kernel was asked
            sys.exit(f"launcher: parent {parent} is gone, not starting {command[0]}")
    os.execv(command[0], command)  # noqa: S606  # no shell is wanted: the command is ours, as a list


if __name__ == "__main__":
    main(sys.argv[1:])
