"""Durations and moments on the command line, as Go, Kubernetes and RFC 3339 write them."""

import re
from contextlib import suppress
from datetime import datetime

import typer

from atoll.api.quantities import seconds
from atoll.api.v1alpha1.fleet import DEADLINES

_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LONGEST = 16


def parse_deadline(text: str) -> float:
    """Seconds of ``5s``, ``1m30s`` or ``500ms`` within the bounds of a Fleet's ``spec.solve.deadline``.

    Raises:
        typer.BadParameter: for anything else.
    """
    return parse_span(text, DEADLINES, option="--deadline")


def parse_span(text: str, bounds: tuple[str, str], *, option: str) -> float:
    """Seconds of a duration within bounds.

    Args:
        text: such as ``5s``.
        bounds: least and most, durations too.
        option: that it was given to.

    Raises:
        typer.BadParameter: for anything else.
    """
    if len(text) > _LONGEST or not _DURATION.fullmatch(text):
        message = f"{text[:80]!r} is no duration: write it like 5s, 500ms or 1m30s"
        raise typer.BadParameter(message, param_hint=option)
    least, most = bounds
    if not seconds(least) <= seconds(text) <= seconds(most):
        raise typer.BadParameter(f"{text!r} is not between {least} and {most}", param_hint=option)
    return seconds(text)


def parse_moment(text: str) -> datetime:
    """A moment with its time zone, such as ``2026-11-21T18:00:00Z``; typer.BadParameter for anything else."""
    if _MOMENT.fullmatch(text):
        with suppress(ValueError):  # such as the 30th of February
            return datetime.fromisoformat(text.upper())
    message = f"{text[:80]!r} is no moment of RFC 3339 with its time zone: write it like 2026-11-21T18:00:00Z"
    raise typer.BadParameter(message, param_hint="--at")
