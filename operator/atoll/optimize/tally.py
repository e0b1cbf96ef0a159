"""What replicas of a row serve together, reckoned from the problem alone: for ``check``, which trusts no search."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import highspy

from atoll.domain.pool import OfferingKey
from atoll.domain.problem import DemandRow, ReplicaGroup
from atoll.domain.strategy import Phase, Template


def served_by(row: DemandRow, groups: Iterable[ReplicaGroup], regions: Mapping[OfferingKey, str]) -> float:
    """Requests/s that replicas of a demand serve together.

    Args:
        row: the demand.
        groups: of replicas; those of other templates serve nothing.
        regions: of offerings.
    """
    templates = {template.strategy: template for template in reversed(row.templates)}
    known = [(group, templates[group.strategy]) for group in groups if group.strategy in templates]
    if row.classes:
        return _of_classes(row, known)
    whole = 0.0
    sides: dict[object, dict[Phase, float]] = defaultdict(lambda: dict.fromkeys(Phase, 0.0))
    for group, template in known:
        strategy, first = group.strategy, group.site.offerings[0]
        if strategy.phase is None:
            whole += group.count * template.rate
        else:
            domain = (regions.get(first), first.zone, strategy.engine, strategy.quantisation, strategy.tp)
            sides[domain][strategy.phase] += group.count * template.rate
    return whole + sum(min(side.values()) for side in sides.values())


def _of_classes(row: DemandRow, known: Iterable[tuple[ReplicaGroup, Template]]) -> float:
    """By the dual: prices of classes and of replicas' time so that no class is worth more than its time costs."""
    asked = [rate * row.rate / sum(row.classes) for rate in row.classes]
    groups = [(group.count, template.class_rates or (template.rate,) * len(asked)) for group, template in known]
    highs = highspy.Highs()  # type: ignore[no-untyped-call]  # highspy has no annotations there
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    for amount in asked:
        highs.addVar(0.0, highspy.kHighsInf)
        highs.changeColCost(highs.getNumCol() - 1, amount)
    for count, rates in groups:
        highs.addVar(0.0, highspy.kHighsInf)
        time = highs.getNumCol() - 1
        highs.changeColCost(time, count)
        for size, rate in enumerate(rates):
            if rate > 0.0:
                highs.addRow(1.0, highspy.kHighsInf, 2, [size, time], [1.0, 1.0 / rate])
    highs.run()
    return float(highs.getInfo().objective_function_value)
