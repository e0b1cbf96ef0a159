"""What a command says on standard output, whatever that is: a terminal, a pipe that closes early, a full disk."""

import os
import sys

import typer

from atoll.cli.exits import Exit


def write(text: str) -> None:
    """Write all of a text, or end with one line that says why not; a reader that has seen enough is no fault."""
    if sys.stdout is None:
        raise _unwritable("standard output is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard()
    except OSError as error:
        discard()
        raise _unwritable(error.strerror or str(error)) from error


def _unwritable(why: str) -> typer.Exit:
    typer.echo(f"error: cannot write the output: {why}", err=True)
    return typer.Exit(Exit.ERROR)


def discard() -> None:
    """Let nothing more be written, so that the interpreter does not fail at it when it ends."""
    if sys.stdout is not None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
