"""A decision with its explanation, out of the solver's process."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atoll.domain.explanation import Explanation
from atoll.domain.problem import Allocation
from atoll.domain.reason import Fault, Reason
from atoll.optimize.ask import decide
from atoll.optimize.case import Case, Decision, Why
from atoll.optimize.decide import answer
from atoll.optimize.solve import solve
from atoll.optimize.worker import SolverWorker
from optimize.fleets import key, problem, row, supply, template

PROBLEM = problem(
    [row("chat", 2.0, template("H100", rate=1.0), template("L4", rate=1.0))],
    [supply("H100", 1, 1.0), supply("L4", 1, 1.5)],
)


@pytest.fixture(autouse=True)
def _targets_are_importable_in_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    tests = Path(__file__).parents[1]
    operator = Path(__file__).parents[2] / "operator"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(operator), str(tests)]))


CASE = Case(demands=(), supplies=PROBLEM.supplies, running=(), policy=PROBLEM.policy)


def posed_and_solved(asked: Any, tell: Callable[[Allocation], object]) -> object:
    """As the solver's process answers, but with a problem that is known."""
    return (PROBLEM, {}) if isinstance(asked, Case) else answer(asked, tell)


def posed_and_never_explained(asked: Any, tell: Callable[[Allocation], object]) -> object:
    """The same, but hanging at the explanation."""
    if isinstance(asked, Why):
        time.sleep(3600)
    return posed_and_solved(asked, tell)


def decided(case: Case, target: str, **settings: float) -> Decision | Fault:
    async def run() -> Decision | Fault:
        worker = SolverWorker(target=target, **settings)
        try:
            return await decide(case, worker)
        finally:
            await worker.close()

    return asyncio.run(run())


def test_a_decision_is_explained_where_that_is_asked() -> None:
    decision = decided(replace(CASE, explain=True), "optimize.test_ask:posed_and_solved")

    assert isinstance(decision, Decision)
    assert isinstance(decision.explanation, Explanation)
    (alternative,) = decision.explanation.demands[key("chat")].alternatives
    assert set(alternative.strategy.need) == {"L4"}


def test_a_decision_is_not_explained_where_that_is_not_asked() -> None:
    decision = decided(CASE, "optimize.test_ask:posed_and_solved")

    assert isinstance(decision, Decision)
    assert decision.explanation is None


def test_an_explanation_that_hangs_takes_nothing_from_the_decision() -> None:
    case = replace(CASE, explain=True)

    decision = decided(case, "optimize.test_ask:posed_and_never_explained", grace_seconds=0.5)

    assert isinstance(decision, Decision)
    assert decision.fault is None
    assert decision.explanation is None
    assert decision.allocation.cost_per_hour == solve(PROBLEM).cost_per_hour


@pytest.mark.parametrize("explain", [True, False])
def test_an_answer_that_is_not_had_is_not_explained(explain: bool) -> None:
    fault = decided(replace(CASE, explain=explain), "optimize.targets:fail")

    assert isinstance(fault, Fault)
    assert fault.reason is Reason.SOLVER_FAILED
