"""What a plan tells of why it is as it is, to items of FleetPlan objects and back."""

import math
from collections.abc import Iterable

from atoll.api.v1alpha1.fleetplan import (
    AlternativeItem,
    BindingItem,
    NodeWorthItem,
    StageItem,
    StrategyItem,
    WinningPriceItem,
)
from atoll.domain.explanation import Alternative, Binding, NodeWorth, WinningPrice
from atoll.domain.pool import OfferingKey
from atoll.domain.strategy import Stage, Strategy

MOST_ALTERNATIVES = 8
MOST_WORTHS = 16
"""Kept in an object; those beyond, which are further off, are left out."""


def strategy_item(strategy: Strategy) -> StrategyItem:
    """A strategy as FleetPlans hold it."""
    return StrategyItem(
        engine=strategy.engine,
        tp=strategy.tp,
        stages=tuple(StageItem(gpu_kind=stage.gpu_kind, layers=stage.layers) for stage in strategy.stages),
        quantisation=strategy.quantisation,
        max_sequences=strategy.max_sequences,
        max_context=strategy.max_context,
        phase=strategy.phase,
        peer_tp=strategy.peer_tp or None,
        kv_form=strategy.kv_form or None,
    )


def strategy_of(item: StrategyItem) -> Strategy:
    """A strategy from a FleetPlan."""
    return Strategy(
        engine=item.engine,
        tp=item.tp,
        stages=tuple(Stage(gpu_kind=stage.gpu_kind, layers=stage.layers) for stage in item.stages),
        quantisation=item.quantisation,
        max_sequences=item.max_sequences,
        max_context=item.max_context,
        phase=item.phase,
        peer_tp=item.peer_tp or 0,
        kv_form=item.kv_form or "",
    )


def alternative_items(found: Iterable[Alternative]) -> tuple[AlternativeItem, ...]:
    """The next best strategies of a demand."""
    return tuple(
        AlternativeItem(
            strategy=strategy_item(item.strategy),
            replicas=item.replicas,
            zone=item.zone,
            more_per_hour=item.more_per_hour,
            least_per_hour=item.least_per_hour,
            basis=item.basis,
            wins_below=None if item.wins_below is None else _price_item(item.wins_below),
        )
        for item in tuple(found)[:MOST_ALTERNATIVES]
    )


def alternatives_of(items: Iterable[AlternativeItem]) -> tuple[Alternative, ...]:
    """The next best strategies of a demand."""
    return tuple(
        Alternative(
            strategy=strategy_of(item.strategy),
            replicas=item.replicas,
            zone=item.zone,
            more_per_hour=item.more_per_hour,
            least_per_hour=item.least_per_hour,
            basis=item.basis,
            wins_below=None if item.wins_below is None else _price(item.wins_below),
        )
        for item in items
    )


def binding_items(found: Iterable[Binding]) -> tuple[BindingItem, ...]:
    """What binds a demand."""
    return tuple(BindingItem(limit=item.limit, saves_per_hour=item.saves_per_hour) for item in found)


def bindings_of(items: Iterable[BindingItem]) -> tuple[Binding, ...]:
    """What binds a demand."""
    return tuple(Binding(limit=item.limit, saves_per_hour=item.saves_per_hour) for item in items)


def worth_items(found: Iterable[NodeWorth]) -> tuple[NodeWorthItem, ...]:
    """What one more node of offerings is worth; a most that is not proven is left out."""
    return tuple(
        NodeWorthItem(
            pool=item.offering.pool,
            zone=item.offering.zone,
            capacity_type=item.offering.capacity_type,
            obtainable=item.obtainable,
            saves_per_hour=item.saves_per_hour,
            most_per_hour=item.most_per_hour if math.isfinite(item.most_per_hour) else None,
            serves=item.serves,
            basis=item.basis,
        )
        for item in tuple(found)[:MOST_WORTHS]
    )


def worths_of(items: Iterable[NodeWorthItem]) -> tuple[NodeWorth, ...]:
    """What one more node of offerings is worth."""
    return tuple(
        NodeWorth(
            offering=OfferingKey(pool=item.pool, zone=item.zone, capacity_type=item.capacity_type),
            obtainable=item.obtainable,
            saves_per_hour=item.saves_per_hour,
            most_per_hour=math.inf if item.most_per_hour is None else item.most_per_hour,
            serves=item.serves,
            basis=item.basis,
        )
        for item in items
    )


def _price_item(price: WinningPrice) -> WinningPriceItem:
    return WinningPriceItem(
        pool=price.offering.pool,
        zone=price.offering.zone,
        capacity_type=price.offering.capacity_type,
        price_per_hour=price.price_per_hour,
        below_per_hour=price.below_per_hour,
    )


def _price(item: WinningPriceItem) -> WinningPrice:
    return WinningPrice(
        offering=OfferingKey(pool=item.pool, zone=item.zone, capacity_type=item.capacity_type),
        price_per_hour=item.price_per_hour,
        below_per_hour=item.below_per_hour,
    )
