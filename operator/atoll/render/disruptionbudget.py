"""PodDisruptionBudgets: exactly one per engine pod (two would make every eviction fail)."""

from typing import Any

from atoll.domain.demand import Demand
from atoll.domain.objects import DISRUPTION_BUDGET
from atoll.render import names


def disruption_budgets(demand: Demand, *, single_stage: int, multi_stage: int) -> tuple[dict[str, Any], ...]:
    """The demand's budgets: one pod at a time for single-stage replicas, none for pipelines and for a sole replica.

    Evictions that a budget refuses still end: Atoll replaces, drains and deletes what a cordon announces.

    Args:
        demand: whose pods they are.
        single_stage: replicas of one stage.
        multi_stage: replicas of several stages; one lost pod is the whole replica lost.
    """
    budgets = []
    if single_stage:
        sole = single_stage + multi_stage == 1
        budgets.append(_budget(demand, "single", pipeline=False, max_unavailable=0 if sole else 1))
    if multi_stage:
        budgets.append(_budget(demand, "pipeline", pipeline=True, max_unavailable=0))
    return tuple(budgets)


def _budget(demand: Demand, suffix: str, *, pipeline: bool, max_unavailable: int) -> dict[str, Any]:
    selector = {names.DEMAND: demand.key.name, names.PIPELINE: str(pipeline).lower()}
    return {
        "apiVersion": DISRUPTION_BUDGET.api_version,
        "kind": DISRUPTION_BUDGET.name,
        "metadata": names.metadata(demand, f"{demand.key.name}-{suffix}"),
        "spec": {
            "maxUnavailable": max_unavailable,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector},
        },
    }
