from pathlib import Path

import pytest

from atoll.local import tools
from atoll.local.tools import TOOLS, ensure_tool

FAKE_GO = """#!/bin/sh
case "$1" in
env) echo go1.99.1 ;;
build)
  echo build >> {log}
  while [ $# -gt 0 ]; do if [ "$1" = -o ]; then echo built > "$2"; fi; shift; done ;;
esac
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Modules of all tools, and a `go` that builds nothing and counts."""
    for part in TOOLS:
        folder = tmp_path / "source" / part.name
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text("module x\n\ngo 1.26.0\n")
        (folder / "go.sum").write_text(part.name)
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(FAKE_GO.format(log=tmp_path / "builds"))
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    return tmp_path / "source"


def test_a_tool_is_built_alone_and_once(source: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = ensure_tool("helm", source=source, cache=cache)
    found = ensure_tool("helm", source=source, cache=cache)

    assert found == first
    assert found.read_text() == "built\n"
    assert (tmp_path / "builds").read_text().split() == ["build"]


def test_programs_of_one_module_are_built_together(source: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    server = ensure_tool("prometheus", source=source, cache=cache)
    checker = ensure_tool("promtool", source=source, cache=cache)

    assert checker == server.with_name("promtool")
    assert (tmp_path / "builds").read_text().split() == ["build", "build"]


def test_the_repository_pins_every_tool() -> None:
    for part in TOOLS:
        assert (tools._SOURCE / part.name / "go.sum").exists()
