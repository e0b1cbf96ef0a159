"""How long ago something was, as kubectl tells it."""

from datetime import timedelta

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))


def age(since: timedelta) -> str:
    """``45s``, ``12m``, ``5h``, ``3d``; nothing is younger than ``0s``."""
    seconds = max(0, int(since.total_seconds()))
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
