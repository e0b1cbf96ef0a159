"""An answer to a ladder instance, and what it is worth by the file's own arrays."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.ladder.form import Floats, Form

Sort = tuple[int, int, int, bool]
"""Replicas of one sort: served model, template in its menu, region, and whether on spot nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What runs and on how many nodes.

    Attributes:
        replicas: how many of each sort.
        nodes: of each pool, in the file's order.
    """

    replicas: Mapping[Sort, int]
    nodes: tuple[int, ...]


def empty(form: Form) -> Answer:
    """The answer that is always known: nothing runs."""
    return Answer(replicas={}, nodes=(0,) * len(form.price))


def shortfall(form: Form, answer: Answer) -> Floats:
    """(M,) requests/s that are not served, at least 0."""
    served = np.zeros(len(form.demand))
    for (model, template, _, _), count in answer.replicas.items():
        served[model] += count * form.menu(model).rate[template]
    missing: Floats = np.maximum(form.demand - served, 0.0)
    # Rates are sums of binary fractions: what is less than one part in 10^9 is no request.
    missing[missing <= 1e-9 * form.demand] = 0.0
    return missing


def value(form: Form, answer: Answer) -> float:
    """US$/h: price of the nodes and penalty of the shortfall, in one sum."""
    return float(form.price @ np.array(answer.nodes) + form.penalty @ shortfall(form, answer))
