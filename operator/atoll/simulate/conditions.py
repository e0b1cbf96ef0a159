"""What can be had at which price, and what is taken away, at each moment of a scenario."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from atoll.api.decode import shown
from atoll.api.quantities import seconds
from atoll.domain.pool import NodePool, OfferingKey
from atoll.simulate.scenario import ScenarioFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Something that holds for some offerings for a while.

    Attributes:
        offerings: which.
        begin: seconds since the start.
        end: seconds since the start; infinite for the end.
        nodes: most nodes of each; None where that is not said.
        price: US$ per node and hour; None where that is not said.
        factor: on the pool's nodes or price; 1 where that is not said.
        told: the operator is told.
    """

    offerings: frozenset[OfferingKey]
    begin: float
    end: float
    nodes: int | None = None
    price: float | None = None
    factor: float = 1.0
    told: bool = True

    def holds(self, key: OfferingKey, at: float) -> bool:
        """Whether it holds for an offering, ``at`` seconds after the start."""
        return key in self.offerings and self.begin <= at < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """Nodes that are taken away.

    Attributes:
        at: when they are marked, or go at once, seconds since the start.
        offerings: of which.
        nodes: how many; None for all.
        notice_seconds: from the mark to the end.
    """

    at: float
    offerings: frozenset[OfferingKey]
    nodes: int | None
    notice_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """All that a scenario does to supply.

    Attributes:
        pools: as declared, by name.
        availability: in the order of the file; later ones act on what earlier ones leave.
        prices: likewise.
        strikes: in order of time.
    """

    pools: Mapping[str, NodePool]
    availability: tuple[Rule, ...] = ()
    prices: tuple[Rule, ...] = ()
    strikes: tuple[Strike, ...] = ()

    def seen(self, at: float) -> dict[str, NodePool]:
        """The pools as the operator is told of them."""
        return {name: self._changed(pool, at) for name, pool in self.pools.items()}

    def obtainable(self, at: float) -> dict[OfferingKey, int]:
        """Most nodes that can really be had."""
        found = {}
        for pool in self.pools.values():
            for offering in pool.offerings:
                rules = [rule for rule in self.availability if rule.holds(offering.key, at)]
                found[offering.key] = _nodes(offering.max_nodes, rules)
        return found

    def _changed(self, pool: NodePool, at: float) -> NodePool:
        offerings = []
        for offering in pool.offerings:
            told = [rule for rule in self.availability if rule.told and rule.holds(offering.key, at)]
            prices = [rule for rule in self.prices if rule.holds(offering.key, at)]
            nodes, price = _nodes(offering.max_nodes, told), offering.price_per_hour
            for rule in prices:
                price = rule.price if rule.price is not None else price * rule.factor
            offerings.append(replace(offering, max_nodes=nodes, price_per_hour=price))
        return replace(pool, offerings=tuple(offerings))


def conditions_of(scenario: ScenarioFile, pools: Iterable[NodePool]) -> Conditions:
    """What a scenario does to these pools.

    Raises:
        ScenarioError: an item contradicts itself or names no offering.
    """
    by_name = {pool.name: pool for pool in pools}
    reader = _Reader(scenario, tuple(offering.key for pool in by_name.values() for offering in pool.offerings))
    rules, strikes = zip(*reader.zones(), strict=True) if scenario.content.zone_losses else ((), ())
    return Conditions(
        pools=by_name,
        availability=(*reader.availability(), *rules),
        prices=tuple(reader.prices()),
        strikes=tuple(sorted((*reader.losses(), *strikes), key=lambda strike: strike.at)),
    )


class _Reader:
    """Items of a scenario as rules and strikes over known offerings."""

    def __init__(self, scenario: ScenarioFile, keys: tuple[OfferingKey, ...]) -> None:
        self._scenario = scenario
        self._keys = keys

    def availability(self) -> Iterator[Rule]:
        for index, item in enumerate(self._scenario.content.availability):
            field = f"scenario.availability[{index}]"
            if (item.nodes is None) == (item.factor is None):
                raise self._scenario.error(field, "give exactly one of nodes and factor")
            begin, end = self._span(item.at, item.until, field)
            yield Rule(
                offerings=self._named(item.offerings, field),
                begin=begin,
                end=end,
                nodes=item.nodes,
                factor=1.0 if item.factor is None else item.factor,
                told=item.told,
            )

    def prices(self) -> Iterator[Rule]:
        for index, item in enumerate(self._scenario.content.prices):
            field = f"scenario.prices[{index}]"
            if (item.price is None) == (item.factor is None):
                raise self._scenario.error(field, "give exactly one of price and factor")
            begin, end = self._span(item.at, item.until, field)
            yield Rule(
                offerings=self._named(item.offerings, field),
                begin=begin,
                end=end,
                price=item.price,
                factor=1.0 if item.factor is None else item.factor,
            )

    def losses(self) -> Iterator[Strike]:
        for index, item in enumerate(self._scenario.content.losses):
            yield Strike(
                at=seconds(item.at),
                offerings=self._named(item.offerings, f"scenario.losses[{index}]"),
                nodes=item.nodes,
                notice_seconds=seconds(item.notice),
            )

    def zones(self) -> Iterator[tuple[Rule, Strike]]:
        for index, item in enumerate(self._scenario.content.zone_losses):
            offerings = frozenset(key for key in self._keys if fnmatchcase(key.zone, item.zone))
            if not offerings:
                zones = ", ".join(sorted({key.zone for key in self._keys}))
                field = f"scenario.zoneLosses[{index}].zone"
                raise self._scenario.error(field, f"{shown(item.zone)} names no zone of the pools: {zones}")
            begin = seconds(item.at)
            yield (
                Rule(offerings=offerings, begin=begin, end=begin + seconds(item.lasts), nodes=0, told=False),
                Strike(at=begin, offerings=offerings, nodes=None, notice_seconds=0.0),
            )

    def _named(self, pattern: str, field: str) -> frozenset[OfferingKey]:
        found = frozenset(key for key in self._keys if fnmatchcase(str(key), pattern))
        if not found:
            some = ", ".join(sorted(map(str, self._keys))[:3]) or "there are none"
            message = f"{shown(pattern)} names no offering: write pool/zone/capacity-type as in {some}"
            raise self._scenario.error(f"{field}.offerings", message)
        return found

    def _span(self, at: str, until: str | None, field: str) -> tuple[float, float]:
        begin = seconds(at)
        end = math.inf if until is None else seconds(until)
        if end <= begin:
            raise self._scenario.error(f"{field}.until", f"{shown(until)} is not after at, {at}: give a later one")
        return begin, end


def _nodes(declared: int, rules: Iterable[Rule]) -> int:
    nodes = declared
    for rule in rules:
        nodes = rule.nodes if rule.nodes is not None else int(nodes * rule.factor + 0.5)
    return nodes
