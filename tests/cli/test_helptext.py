"""Help as people read it: no type of Python's, no line broken twice."""

import pytest
from typer.testing import CliRunner

from atoll.cli.commands import app
from atoll.cli.helptext import flowing

COMMANDS = sorted(str(command.name) for command in app.registered_commands)


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["local"], ["local", "run"]], ids=" ".join)
def test_help_names_no_type_of_python(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "100"})

    assert result.exit_code == 0
    options = result.stdout[result.stdout.index("Options") :]
    assert not any(word in options for word in ("<bool>", "<str>", "<path>", "list[Path]"))


def test_paragraphs_flow_and_commands_over_several_lines_stay() -> None:
    assert flowing("one\ntwo\n\n  run a\n\n  for x; do a \\\n    b; done") == (
        "one two\n\n  run a\n\n  for x; do a \\\n    b; done"
    )


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(app, ["--version"])

    assert (result.exit_code, result.stdout.split()[0]) == (0, "atoll")
