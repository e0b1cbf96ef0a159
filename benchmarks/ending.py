"""How every benchmark command ends: with its status, and without a traceback when Ctrl-C ends it."""

import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 130
"""As shells report a command that Ctrl-C ended."""


def end_with(main: Callable[[], int], name: str) -> NoReturn:
    """Run a command and end the process.

    Args:
        main: returns the exit status.
        name: of the command, for the message.
    """
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{name}: interrupted\n")
        sys.exit(INTERRUPTED)
