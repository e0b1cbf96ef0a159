"""How every benchmark command ends: with its status, and without a traceback when Ctrl-C or SIGTERM ends it."""

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 130
"""As shells report a command that Ctrl-C ended; SIGTERM ends one in the same way."""


def end_with(main: Callable[[], int], name: str) -> NoReturn:
    """Run a command and end the process.

    Args:
        main: returns the exit status.
        name: of the command, for the message.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # shells let what they start in the background ignore Ctrl-C
        signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{name}: interrupted\n")
        sys.exit(INTERRUPTED)
