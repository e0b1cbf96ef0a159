"""Entry point of the ``atoll`` command: light, so that Ctrl-C is clean while the commands are still being loaded."""

import os
import signal
import sys

_INTERRUPTED = 130
"""As shells report a command that Ctrl-C ended."""

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
"""Read by numpy's libraries when they are loaded. The matrices here are small: more threads than one only cost time."""


def kubectl() -> None:
    """The same as a plugin: ``kubectl atoll``."""
    main(name="kubectl atoll")


def main(name: str = "atoll") -> None:
    """Run the command that the arguments name and end with its exit code.

    Args:
        name: that the command is called by, in what it says of itself.
    """
    heeds = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    if heeds:  # nothing is there yet that would have to be tidied up
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    for variable in _THREADS:
        os.environ.setdefault(variable, "1")
    from atoll.cli.commands import app  # noqa: PLC0415  # loads numpy, solver and Kubernetes: half a second
    from atoll.cli.output import discard  # noqa: PLC0415

    if heeds:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code: str | int | None = 0
        try:
            app(prog_name=name)
        except SystemExit as ended:
            code = ended.code
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BrokenPipeError:
        discard()
    except OSError as error:
        discard()
        sys.stderr.write(f"error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}\n")
        code = 1
    sys.exit(code)
