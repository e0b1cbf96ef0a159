"""Completion of ``kubectl atoll``: kubectl runs ``kubectl_complete-atoll`` with the words so far and reads candidates.

One candidate a line, a description after a tab, and at last a directive: that of Cobra, which kubectl is made with.
"""

import sys
from collections.abc import Sequence

from typer.core import TyperGroup
from typer.main import get_command

_NO_FILES = 4
"""Cobra's ShellCompDirectiveNoFileComp."""

_DEFAULT = 0
"""Cobra's ShellCompDirectiveDefault: the shell completes files, where there is nothing else."""


def main() -> None:
    """Print what the last word may become."""
    sys.stdout.write("".join(f"{line}\n" for line in completions(sys.argv[1:])))


def completions(words: Sequence[str]) -> list[str]:
    """Candidates for the last word, then the directive.

    Args:
        words: after ``kubectl atoll``; the last one is incomplete and may be empty.
    """
    from atoll.cli.commands import app  # noqa: PLC0415  # loads numpy and the solver: half a second

    *before, last = words or [""]
    command = get_command(app)
    context = command.make_context("kubectl atoll", list(before), resilient_parsing=True)
    named = [word for word in before if not word.startswith("-")]
    while isinstance(command, TyperGroup) and named:
        inner = command.get_command(context, named.pop(0))
        if inner is None:
            return [f":{_NO_FILES}"]
        command = inner
    if last.startswith("-"):
        found = [
            (option, getattr(parameter, "help", "") or "")
            for parameter in command.get_params(context)
            for option in (*parameter.opts, *parameter.secondary_opts)
            if option.startswith(last)
        ]
    elif isinstance(command, TyperGroup):
        found = [
            (name, inner.get_short_help_str())
            for name in command.list_commands(context)
            if name.startswith(last) and (inner := command.get_command(context, name)) is not None
        ]
    else:
        found = []
    lines = [f"{name}\t{_first_line(text)}" if text else name for name, text in found]
    return [*lines, f":{_NO_FILES if lines or isinstance(command, TyperGroup) else _DEFAULT}"]


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
