"""What the stages of a pipeline of several GPU kinds deliver in pipelines of fewer kinds.

Such pipelines together need no pods but those of the one, in the same places: they fit wherever it fits and cost what
it costs, where one of them fails the others serve on, and each pod loads what it would have loaded, so that they start
no later. A pipeline that delivers no more than they do is no part of the declared space (docs/decisions/0049).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product

from atoll.domain.strategy import Template

Stages = tuple[tuple[str, int], ...]
"""GPU kinds in order with stages of each, at least one."""


def worth_mixing(templates: Sequence[Template]) -> list[Template]:
    """Those of one GPU kind, and those that deliver more than their parts; in the order given.

    Args:
        templates: of one demand.
    """
    alike: dict[str, list[Template]] = {}
    for template in templates:
        alike.setdefault(template.strategy.variant, []).append(template)
    kept = {template.strategy for some in alike.values() for template in _beyond_parts(some)}
    return [template for template in templates if template.strategy in kept]


def _beyond_parts(templates: Sequence[Template]) -> list[Template]:
    """The same among pipelines of one variant, and so of one width and quantisation."""
    rates: dict[Stages, float] = {}
    for template in templates:
        stages = _stages(template)
        rates[stages] = max(rates.get(stages, 0.0), template.rate)
    value = {
        kinds: _value_of({stages: rate for stages, rate in rates.items() if len(stages) < kinds})
        for kinds in {len(stages) for stages in rates}
    }
    return [template for template in templates if template.rate > value[len(stages := _stages(template))](stages)]


def _stages(template: Template) -> Stages:
    return tuple(sorted(template.strategy.need.items()))


def _value_of(rates: Mapping[Stages, float]) -> Callable[[Stages], float]:
    """Most requests/s that so many stages deliver in known pipelines."""

    @cache
    def value(stages: Stages) -> float:
        best = 0.0
        for taken in product(*(range(count + 1) for _, count in stages)):
            part = tuple((kind, take) for (kind, _), take in zip(stages, taken, strict=True) if take)
            rate = rates.get(part, 0.0)
            if rate > 0.0:
                each = zip(stages, taken, strict=True)
                best = max(best, rate + value(tuple((kind, had - take) for (kind, had), take in each if had > take)))
        return best

    return value
