"""Why a demand gets what it gets, in a sentence, and the figures behind it as a plan keeps them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from atoll.domain.explanation import Alternative, Basis, Binding, NodeWorth
from atoll.domain.pool import Supply
from atoll.domain.problem import DemandRow, ReplicaGroup
from atoll.domain.strategy import Template

_DECIMALS = 6
_CENT = 0.005


def explain(
    row: DemandRow, groups: Iterable[ReplicaGroup], supplies: Iterable[Supply], next_best: Alternative | None = None
) -> str:
    """Why this strategy: what it costs for each request/s, and what the next best one would change.

    Args:
        row: the demand.
        groups: what it gets.
        supplies: that could be had.
        next_best: as the solver's process tells; None where it was not asked: then the price of each alone is compared.
    """
    chosen = {group.strategy.id for group in groups}
    if not chosen:
        return "no demand" if row.rate <= 0.0 else "nothing that can be had serves it within its objectives"
    gpu_price = _gpu_prices(supplies)
    priced = _priced(row.templates, gpu_price)
    mine = [pair for pair in priced if pair[1].strategy.id in chosen]
    others = [pair for pair in priced if pair[1].strategy.id not in chosen]
    if not mine:
        return "runs already and is kept"
    text = f"{mine[0][1].strategy} at {mine[0][0]:.3f} US$/h for each request/s"
    if next_best is not None:
        return f"{text}; next best: {_said(next_best)}"
    if not others:
        return f"{text}; no other strategy meets the objectives"
    relation = "next best" if others[0][0] >= mine[0][0] else "cheaper alone, but not on nodes that fit the whole fleet"
    return f"{text}; {relation}: {others[0][1].strategy} at {others[0][0]:.3f}"


def rounded(item: Alternative) -> Alternative:
    """With no more digits than a plan keeps."""
    price = item.wins_below
    if price is not None:
        price = replace(price, below_per_hour=round(price.below_per_hour, _DECIMALS))
    return replace(
        item,
        more_per_hour=round(item.more_per_hour, _DECIMALS),
        least_per_hour=round(item.least_per_hour, _DECIMALS),
        wins_below=price,
    )


def rounded_binding(item: Binding) -> Binding:
    """With no more digits than a plan keeps."""
    saved = item.saves_per_hour
    return replace(item, saves_per_hour=None if saved is None else round(saved, _DECIMALS))


def rounded_worth(item: NodeWorth) -> NodeWorth:
    """With no more digits than a plan keeps."""
    return replace(
        item,
        saves_per_hour=round(item.saves_per_hour, _DECIMALS),
        most_per_hour=round(item.most_per_hour, _DECIMALS),
        serves=round(item.serves, _DECIMALS),
    )


def _said(item: Alternative) -> str:
    """Such as ``5 replicas of X cost 31.83 US$/h more (solved again); wins if a P node in Z fell below 1.98 US$/h``."""
    replicas = "1 replica" if item.replicas == 1 else f"{item.replicas} replicas"
    costs = "costs" if item.replicas == 1 else "cost"
    text = f"{replicas} of {item.strategy} {costs} {_more(item)}"
    price = item.wins_below
    if price is None:
        return text
    offering = price.offering
    return (
        f"{text}; wins if a node of {offering.pool} ({offering.capacity_type}) in {offering.zone} fell below "
        f"{price.below_per_hour:.2f} US$/h (now {price.price_per_hour:.2f})"
    )


def _more(item: Alternative) -> str:
    if item.basis is Basis.RESOLVED:
        if abs(item.more_per_hour) < _CENT:
            return "as much (solved again)"
        word = "more" if item.more_per_hour > 0.0 else "less"
        return f"{abs(item.more_per_hour):.2f} US$/h {word} (solved again)"
    if item.least_per_hour < _CENT:
        return f"about {item.more_per_hour:.2f} US$/h more (estimated from prices)"
    return f"at least {item.least_per_hour:.2f} US$/h more (from prices)"


def _priced(templates: Iterable[Template], gpu_price: Mapping[str, float]) -> list[tuple[float, Template]]:
    """Templates with their price for each request/s at full use, US$/h, cheapest first."""
    priced = [
        (sum(gpu_price[kind] * n * item.strategy.tp for kind, n in item.strategy.need.items()) / item.rate, item)
        for item in templates
        if item.rate > 0.0 and all(kind in gpu_price for kind in item.strategy.need)
    ]
    return sorted(priced, key=lambda pair: (pair[0], pair[1].strategy.id))


def _gpu_prices(supplies: Iterable[Supply]) -> dict[str, float]:
    """The lowest price of one GPU of each kind, US$/h."""
    prices: dict[str, float] = {}
    for supply in supplies:
        if supply.obtainable > 0 and supply.gpus > 0:
            price = supply.price_per_hour / supply.gpus
            prices[supply.gpu_kind] = min(price, prices.get(supply.gpu_kind, price))
    return prices
