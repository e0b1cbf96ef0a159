"""Durations on the command line, as Go and Kubernetes write them."""

import re

import typer

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds of ``5s``, ``1m30s`` or ``500ms``; typer.BadParameter for anything else."""
    if not text or _PART.sub("", text):
        raise typer.BadParameter(f"{text!r} is no duration: write it like 5s, 500ms or 1m30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
