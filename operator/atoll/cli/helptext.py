"""How help reads on a terminal: flags without a type, paths called so, and paragraphs as wide as the screen."""

import re
from pathlib import Path
from typing import Any, get_args

from typer.core import TyperCommand, TyperGroup, TyperOption


class Command(TyperCommand):
    """A command whose help shows people's words instead of Python's types, and whose epilog is wrapped once."""

    def __init__(self, name: str | None, **settings: Any) -> None:
        """As typer makes it."""
        super().__init__(name, **settings)
        self.epilog = flowing(self.epilog or "")

    def get_params(self, ctx: Any) -> list[Any]:
        """Arguments and options, ``--help`` too."""
        return [_in_words(item) for item in super().get_params(ctx)]


class Group(TyperGroup):
    """A group of commands, with options in the same words."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options, those of completion and ``--help`` too."""
        return [_in_words(item) for item in super().get_params(ctx)]


def flowing(text: str) -> str:
    """Paragraphs on one line each, so that a terminal breaks them where it ends; a command over several lines stays."""
    return "\n\n".join(
        part if part.startswith("  ") or "\\\n" in part else " ".join(part.split("\n"))
        for part in re.split(r"\n\s*\n", text)
    )


def _in_words(item: Any) -> Any:
    if isinstance(item, TyperOption) and item.metavar is None:
        kind = item.type_descriptor.annotation
        if item.is_flag:
            item.metavar = ""
        elif kind is Path or Path in get_args(kind):
            item.metavar = "PATH"
    return item
