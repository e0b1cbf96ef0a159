"""Exit codes of every command: what a pipeline may act on."""

from enum import IntEnum


class Exit(IntEnum):
    """Why a command ended."""

    OK = 0
    ERROR = 1
    USAGE = 2
    SHORTFALL = 3
    OVER_BUDGET = 4
