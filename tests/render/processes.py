"""Processes of stages, as the tests of each engine look at them."""

from atoll.domain.demand import Demand
from atoll.domain.strategy import Strategy
from atoll.render.engines.stage import StageContext, StageProcess
from atoll.render.weights import weights
from render.sample import DEMAND, SINGLE


def context(wanted: Demand = DEMAND, strategy: Strategy = SINGLE, stage: int = 0) -> StageContext:
    return StageContext(
        demand=wanted,
        strategy=strategy,
        stage=stage,
        weights=weights(wanted),
        leader="leader.prod.svc" if len(strategy.stages) > 1 else "",
        start_budget_seconds=1200,
        shutdown_seconds=300,
    )


def flags(process: StageProcess) -> dict[str, str | bool]:
    """Values by flag; a flag without a value is True."""
    found: dict[str, list[str]] = {}
    for argument in process.args:
        if argument.startswith("--"):
            found[name := argument] = []
        elif found:
            found[name].append(argument)
    return {flag: " ".join(values) or True for flag, values in found.items()}


def variables(process: StageProcess) -> dict[str, object]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in process.env}
