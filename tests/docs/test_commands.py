"""Every command in the pages is run, here or in e2e, or says why not; what a page shows is what is printed."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atoll.cli.commands import app
from docs.blocks import COMMANDS, OTHERS, ROOT, Block, blocks, shown, word

CONSOLE = [block for block in blocks() if block.kind == "console"]
RUN_HERE = [block for block in CONSOLE if not block.not_run and not block.on_cluster]


def test_there_is_something_to_run() -> None:
    assert RUN_HERE


def test_commands_stand_in_console_blocks() -> None:
    """Other blocks hold manifests, code and drawings, or say why their commands are not run."""
    unnoted = (b for b in blocks() if b.kind != "console" and not b.not_run)
    others = [b for b in unnoted if b.page.relative_to(ROOT).as_posix() not in OTHERS]
    lines = [(b, line) for b in others for line in b.text.splitlines()]
    assert [f"{b}: {line}" for b, line in lines if word(line) in COMMANDS] == []


def test_notes_are_understood() -> None:
    noted = [b for b in CONSOLE if b.note]
    assert [str(b) for b in noted if not (b.not_run or b.note.startswith("exit "))] == []


@pytest.mark.parametrize("block", RUN_HERE, ids=str)
def test_a_block_prints_what_it_shows(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")
    codes = []
    for command, expected in block.commands():
        program, *arguments = shlex.split(command)
        assert Path(program).name == "atoll", f"{block}: {command}: only atoll can be run here; say why it is not run"
        result = CliRunner().invoke(app, arguments, prog_name="atoll")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        codes.append(result.exit_code)
        missing = shown(expected, result.output)
        assert not missing, f"{block}: {command} does not print {missing!r} but\n{result.output}"
    assert codes == [0] * (len(codes) - 1) + [block.exit_code]
