"""Generated instances have the ladder's form."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks.ladder.form import read_form
from benchmarks.ladder.generate import Recipe, form_from, generate, main
from benchmarks.ladder.instance import problem_of


def test_the_same_recipe_gives_the_same_instance_and_another_seed_another() -> None:
    first, again, other = (generate(Recipe(models=3, regions=2, seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["demand"], other["demand"])


def test_no_template_is_dominated() -> None:
    for menu in form_from(Recipe(models=8, regions=1)).menus.values():
        for number in range(len(menu.rate)):
            less = (menu.need <= menu.need[number]).all(axis=1) & (menu.need != menu.need[number]).any(axis=1)
            assert not (less & (menu.rate >= menu.rate[number])).any()


def test_a_file_of_it_can_be_read_and_solved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["2", "3", "--seed", "5", "--scale", "0.5", "--folder", str(tmp_path / "new")]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.name == "g_2_3_5_0.5.npz"
    problem = problem_of(read_form(path), deadline_seconds=1.0)
    assert len(problem.demands) == 2
    assert {supply.region for supply in problem.supplies} == {"r00", "r01", "r02"}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["1", "1", "--folder", str(tmp_path / "file" / "in")]) == 1
    assert "name another folder" in capsys.readouterr().err


@pytest.mark.parametrize("models", ["0", "-1", "many"])
def test_counts_must_be_above_zero(models: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([models, "1"])
    assert ended.value.code == 2
    assert "MODELS" in capsys.readouterr().err
