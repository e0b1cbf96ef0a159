"""Every method finds the optimum of its program on instances that are small enough to go through."""

import numpy as np
import pytest
from benchmarks.ladder.answer import value
from benchmarks.ladder.form import Form
from benchmarks.ladder.generate import Recipe, form_from
from benchmarks.ladder.instance import Instance, problem_of
from benchmarks.ladder.method import Run
from benchmarks.ladder.methods import METHODS
from benchmarks.ladder.packer import packed
from benchmarks.ladder.start import METHOD_NAMES
from tiny import form, optimum, random_form, whole_nodes_packed

from benchmarks.ladder import watched

NEAR = 2e-4
"""The product stops at a gap of 1e-4."""


def solved(wanted: Form, method: str, deadline: float = 10.0) -> Run:
    instance = Instance(
        name=wanted.name,
        problem=problem_of(wanted, deadline_seconds=deadline),
        best_value=float("nan"),
        best_bound=float("nan"),
        pools=len(wanted.price),
        form=wanted,
    )
    return METHODS[method](instance, deadline, lambda *_: None)


def worth(wanted: Form, run: Run) -> float:
    assert run.answer is not None
    assert packed(wanted, run.answer)
    return value(wanted, run.answer)


def test_the_names_that_are_known_without_numpy_are_those_of_the_methods() -> None:
    assert set(METHOD_NAMES) == set(METHODS)


@pytest.mark.parametrize("method", ["atoll", "eliminated", "plain"])
@pytest.mark.parametrize("seed", range(25))
def test_finds_the_optimum_and_a_bound_below_it(method: str, seed: int) -> None:
    wanted = random_form(seed)
    best = optimum(wanted)
    run = solved(wanted, method)
    assert worth(wanted, run) == pytest.approx(best, rel=NEAR, abs=1e-6)
    assert best * (1.0 - NEAR) - 1e-6 <= max(0.0, run.bound) <= best + 1e-6


@pytest.mark.parametrize("seed", range(25))
def test_coral_finds_the_optimum_of_whole_nodes(seed: int) -> None:
    wanted = random_form(seed)
    best = optimum(wanted, whole_nodes=True)
    run = solved(wanted, "coral")
    assert worth(wanted, run) == pytest.approx(best, rel=NEAR, abs=1e-6)
    assert run.answer is not None
    assert whole_nodes_packed(wanted, run.answer)
    assert max(0.0, run.bound) <= best + 1e-6


def test_whole_nodes_cost_more_where_stages_could_share_one() -> None:
    wanted = form(demand=np.array([20.0, 0.0]), obtainable=np.array([2, 0]))
    assert optimum(wanted) == 8.0
    assert optimum(wanted, whole_nodes=True) == 16.0


DEGENERATE = {
    "no nodes at all": form(obtainable=np.array([0, 0])),
    "no demand": form(demand=np.array([0.0, 0.0])),
    "one served model": form(demand=np.array([50.0]), penalty=np.array([1.0]), size=(7,)),
    "a demand without a place": form(pool_kind=("B", "B")),
    "a demand that is too large": form(demand=np.array([1e7, 50.0])),
    "nothing lost by not serving": form(penalty=np.array([0.0, 0.0])),
    "everything lost by not serving": form(penalty=np.array([1e9, 1e9])),
    "free nodes": form(price=np.array([0.0, 0.0])),
    "a menu without templates": form(
        menus={7: type(form().menus[7])(need=np.zeros((0, 2), dtype=np.int64), rate=np.zeros(0))}
    ),
    "no pools": form(
        price=np.zeros(0),
        obtainable=np.zeros(0, dtype=np.int64),
        pool_kind=(),
        pool_gpus=np.zeros(0, dtype=np.int64),
        pool_region=np.zeros(0, dtype=np.int64),
        pool_spot=np.zeros(0, dtype=bool),
    ),
    "no served models": form(demand=np.zeros(0), penalty=np.zeros(0), size=(), menus={}),
}


@pytest.mark.parametrize("method", METHOD_NAMES)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_instances_are_solved_to_the_end(case: str, method: str) -> None:
    wanted = DEGENERATE[case]
    best = optimum(wanted, whole_nodes=method == "coral") if case != "a demand that is too large" else None
    run = solved(wanted, method)
    found = worth(wanted, run)
    assert max(0.0, run.bound) <= found * (1.0 + 1e-9)
    assert found - max(0.0, run.bound) <= NEAR * found + 1e-6
    if best is not None:
        assert found == pytest.approx(best, rel=NEAR, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_generated_instances_never_cost_more_than_whole_nodes_do(seed: int) -> None:
    wanted = form_from(Recipe(models=2, regions=1, seed=seed, gpu_kinds=3))
    atoll, coral = solved(wanted, "atoll", 2.0), solved(wanted, "coral", 2.0)
    assert worth(wanted, atoll) <= worth(wanted, coral) * (1.0 + 1e-6)
    assert atoll.bound <= worth(wanted, coral)


def test_a_solver_that_does_not_end_is_left_with_what_it_has_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "GRACE_SECONDS", -100.0)
    wanted = form_from(Recipe(models=2, regions=1, gpu_kinds=3))
    run = solved(wanted, "plain", 0.5)
    assert run.answer is None or packed(wanted, run.answer)
    assert run.bound <= worth(wanted, solved(wanted, "atoll", 1.0)) + 1e-6
