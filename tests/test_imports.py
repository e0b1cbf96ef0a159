"""Deciding code knows no clock: the moment is an argument. import-linter judges imports; calls are judged here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

PACKAGE = Path(__file__).parents[1] / "operator" / "atoll"
DECIDING = ("domain", "api", "catalogue", "render", "reconcile")
CLOCK_CALLS = {"now", "today", "utcnow"}


def clock_calls(source: str) -> Iterator[int]:
    """Lines that read the clock through datetime, which deciding code may import for its types."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_CALLS:
            yield node.lineno


@pytest.mark.parametrize("name", DECIDING)
def test_deciding_code_reads_no_clock(name: str) -> None:
    modules = sorted((PACKAGE / name).rglob("*.py"))

    found = [f"{path}:{line}" for path in modules for line in clock_calls(path.read_text())]

    assert modules
    assert found == []


@pytest.mark.parametrize("call", ["datetime.now(UTC)", "datetime.datetime.utcnow()", "date.today()"])
def test_a_clock_call_is_found(call: str) -> None:
    assert list(clock_calls(f"import datetime\nmoment = {call}")) == [2]


def test_import_contracts_see_the_standard_library() -> None:
    """They forbid clock, randomness, processes and sockets, which says nothing unless these are seen."""
    graph = grimp.build_graph("atoll", include_external_packages=True, cache_dir=None)

    assert graph.direct_import_exists(importer="atoll.handlers.loops", imported="asyncio")
    assert {"time", "random", "socket", "subprocess"} <= graph.modules
