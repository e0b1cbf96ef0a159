"""Domains pooled: a smaller program whose optimum is a valid lower bound, and equal to it for one-stage replicas.

A replica of several stages may here have them in different domains, and nodes of equal price and size are one supply
wherever they are, so every plan of the real program is one of this (solver.md, aggregated regions).
"""

from dataclasses import replace

from atoll.domain.demand import Loss, Placement
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import Supply
from atoll.optimize.sets import Column, Sets
from atoll.optimize.space import EVERYWHERE, Group


def pooled(sets: Sets) -> Sets:
    """The same demands over one domain that holds all supplies; limits on domains and what runs are dropped."""
    groups = tuple(sorted({replace(group, domain=EVERYWHERE) for group in sets.groups}))
    number_of = {group: number for number, group in enumerate(groups)}
    merged: dict[tuple[int, float, int], Supply] = {}
    for supply, group in zip(sets.supplies, sets.supply_group, strict=True):
        key = (number_of[_pool(sets.groups[group])], supply.price_per_hour, supply.gpus)
        before = merged[key].obtainable if key in merged else 0
        merged[key] = replace(merged.get(key, supply), obtainable=before + supply.obtainable)
    columns: dict[tuple[int, int, CapacityType], Column] = {}
    for column in sets.columns:
        place = (column.demand, column.template, column.capacity_type)
        if place in columns:
            columns[place] = replace(columns[place], upper=columns[place].upper + column.upper)
            continue
        pods = tuple((number_of[_pool(sets.groups[group])], width, count) for group, width, count in column.pods)
        columns[place] = replace(column, domain=EVERYWHERE, pods=pods)
    return Sets(
        demands=tuple(replace(wanted, placement=_anywhere(wanted.placement)) for wanted in sets.demands),
        groups=groups,
        columns=tuple(columns.values()),
        supplies=tuple(merged.values()),
        supply_group=tuple(group for group, _, _ in merged),
        budget=sets.budget,
        quotas=sets.quotas,
    )


def _anywhere(placement: Placement) -> Placement:
    """Limits that do not ask where replicas are."""
    survive = placement.survive if placement.survive is Loss.REPLICA else Loss.NONE
    return replace(placement, min_domains=0, survive=survive)


def _pool(group: Group) -> Group:
    return replace(group, domain=EVERYWHERE)
