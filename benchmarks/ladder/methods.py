"""The methods by name."""

from collections.abc import Mapping

from benchmarks.ladder.atoll_method import run_atoll
from benchmarks.ladder.eliminated import run_eliminated
from benchmarks.ladder.hosting import run_coral, run_plain
from benchmarks.ladder.method import Method

METHODS: Mapping[str, Method] = {
    "atoll": run_atoll,
    "eliminated": run_eliminated,
    "plain": run_plain,
    "coral": run_coral,
}
