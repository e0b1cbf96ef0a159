"""`atoll local run`: what cannot be meant ends it before anything is started."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from atoll.cli.commands import app

SMALL = Path(__file__).parent / "manifests" / "small.yaml"


def run(path: Path) -> Result:
    return CliRunner().invoke(app, ["local", "run", "-f", str(path), "--state", str(path.parent / "state")])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: [", "no valid YAML"),
        (SMALL.read_text().replace("requestsPerSecond", "requestPerSecond"), "did you mean requestsPerSecond?"),
    ],
    ids=["no YAML", "misspelt"],
)
def test_manifests_that_would_be_refused_start_nothing(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(text)

    result = run(file)

    assert result.exit_code == 1
    assert said in result.output
    assert "Nothing was started" in result.output
    assert not (tmp_path / "state").exists()


def test_a_folder_without_manifests_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    result = run(tmp_path / "empty")

    assert result.exit_code == 2
    assert "name the folder that does" in " ".join(result.output.split())
    assert not (tmp_path / "state").exists()
