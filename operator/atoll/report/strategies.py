"""What stage one found for each demand, as one value for table, plot and JSON (docs/reference/json.md)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from atoll.domain.demand import Demand
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import NodePool
from atoll.domain.reason import Fault
from atoll.domain.strategy import Strategy, Template
from atoll.performance.margin import margin

SCHEMA_VERSION = 1
_PER_MILLION = 1e6 / 3600.0


class Verdict(StrEnum):
    """What became of a strategy."""

    KEPT = "Kept"
    DOMINATED = "Dominated"
    TOO_SLOW = "TooSlow"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedStrategy:
    """One strategy of a demand, rated and priced.

    Attributes:
        template: the strategy with what it delivers; where it is too slow, with the times of an idle replica.
        verdict: what became of it.
        price_per_hour: US$/h of the GPUs of one replica, in the cheapest place that has them all; None where no zone
            offers all its GPU kinds on one capacity type.
        node_seconds: from a pending pod to a Ready node in the slowest pool of its GPU kinds, seconds; None where there
            is none.
        frontier: kept, serves both phases, and no other such strategy is as fast for less.
    """

    template: Template
    verdict: Verdict
    price_per_hour: float | None
    node_seconds: float | None = None
    frontier: bool = False

    def per_million(self, tokens: float) -> float | None:
        """US$ per million tokens, where a request has so many; None where it has no price or serves nothing."""
        if self.price_per_hour is None or self.template.rate <= 0.0:
            return None
        return self.price_per_hour / (self.template.rate * tokens) * _PER_MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandStrategies:
    """All strategies of one demand that fit into memory: kept ones first, the cheapest per request first."""

    demand: Demand
    strategies: tuple[RatedStrategy, ...]

    @property
    def kept(self) -> tuple[RatedStrategy, ...]:
        """Those that the second stage chooses from."""
        return tuple(item for item in self.strategies if item.verdict is Verdict.KEPT)

    @property
    def output_tokens(self) -> float:
        """Mean tokens of an answer."""
        return self.demand.workload.output.mean

    @property
    def all_tokens(self) -> float:
        """Mean tokens of prompt and answer."""
        return self.demand.workload.input.mean + self.demand.workload.output.mean


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategiesReport:
    """What is said about the strategies of a fleet's demands.

    Attributes:
        demands: in the order of their names.
        faults: what is wrong with which object, by what it is called.
        rate_confidence: probability with which replicas of a strategy deliver its rate.
    """

    demands: tuple[DemandStrategies, ...]
    faults: Mapping[str, Fault]
    rate_confidence: float

    def as_json(self, *, everything: bool) -> dict[str, Any]:
        """The documented JSON form; without ``everything`` only what was kept."""
        return {
            "schemaVersion": SCHEMA_VERSION,
            "rateConfidence": self.rate_confidence,
            "demands": [_demand(item, self.rate_confidence, everything=everything) for item in self.demands],
            "faults": [
                {"object": name, "reason": fault.reason.value, "field": fault.field, "message": fault.message}
                for name, fault in self.faults.items()
            ],
        }


class Prices:
    """What a GPU costs by place and kind, from the pools' offerings, whoever has paid for them already."""

    def __init__(self, pools: Iterable[NodePool], demand: Demand) -> None:
        self._places: dict[tuple[str, CapacityType], list[tuple[str, int, float]]] = defaultdict(list)
        for pool in pools:
            for offering in pool.offerings:
                key = offering.key
                if offering.max_nodes and demand.placement.allows(pool.region, pool.config.kind, key.capacity_type):
                    each = offering.price_per_hour / pool.config.count
                    place = self._places[key.zone, key.capacity_type]
                    place.append((pool.config.kind, pool.config.count, each))

    def per_hour(self, strategy: Strategy) -> float | None:
        """US$/h of a replica's GPUs: its share of nodes, in the cheapest zone and capacity type that has them all."""
        found = (self._in_place(strategy, offered) for offered in self._places.values())
        return min((price for price in found if price is not None), default=None)

    @staticmethod
    def _in_place(strategy: Strategy, offered: Sequence[tuple[str, int, float]]) -> float | None:
        total = 0.0
        for kind, stages in strategy.need.items():
            each = [price for name, gpus, price in offered if name == kind and gpus >= strategy.tp]
            if not each:
                return None
            total += stages * strategy.tp * min(each)
        return total


def with_frontier(strategies: Iterable[RatedStrategy]) -> tuple[RatedStrategy, ...]:
    """In the order of the report, with the frontier of rate against price marked."""
    found = sorted(strategies, key=_order)
    priced = [
        item
        for item in found
        if item.verdict is Verdict.KEPT and item.price_per_hour is not None and item.template.strategy.phase is None
    ]
    best, frontier = 0.0, set()
    for item in sorted(priced, key=lambda each: (each.price_per_hour or 0.0, -each.template.rate)):
        if item.template.rate > best:
            best = item.template.rate
            frontier.add(item.template.strategy)
    return tuple(replace(item, frontier=item.template.strategy in frontier) for item in found)


def _order(item: RatedStrategy) -> tuple[int, str, float, int, str]:
    per_request = item.per_million(1.0)
    rank = list(Verdict).index(item.verdict)
    return (
        rank,
        item.template.strategy.phase or "",
        float("inf") if per_request is None else per_request,
        item.template.strategy.gpus,
        str(item.template.strategy),
    )


def _demand(item: DemandStrategies, rate_confidence: float, *, everything: bool) -> dict[str, Any]:
    counts = {verdict: sum(each.verdict is verdict for each in item.strategies) for verdict in Verdict}
    return {
        "namespace": item.demand.key.namespace,
        "name": item.demand.key.name,
        "architecture": item.demand.architecture.name,
        "ttftObjectiveSeconds": item.demand.objectives.ttft_seconds,
        "tpotObjectiveSeconds": item.demand.objectives.tpot_seconds,
        "percentile": item.demand.objectives.percentile,
        "kept": counts[Verdict.KEPT],
        "dominated": counts[Verdict.DOMINATED],
        "tooSlow": counts[Verdict.TOO_SLOW],
        "strategies": [
            _strategy(each, item, rate_confidence) for each in (item.strategies if everything else item.kept)
        ],
    }


def _strategy(item: RatedStrategy, of: DemandStrategies, rate_confidence: float) -> dict[str, Any]:
    template, strategy = item.template, item.template.strategy
    return {
        "strategy": str(strategy),
        "id": strategy.id,
        "engine": strategy.engine.value,
        "tp": strategy.tp,
        "stages": [{"gpuKind": stage.gpu_kind, "layers": stage.layers} for stage in strategy.stages],
        "quantisation": strategy.quantisation.value,
        "phase": strategy.phase.value if strategy.phase else None,
        "variant": strategy.variant if strategy.phase else None,
        "gpus": strategy.gpus,
        "maxSequences": strategy.max_sequences,
        "maxContext": strategy.max_context,
        "verdict": item.verdict.value,
        "frontier": item.frontier,
        "rate": template.rate,
        "ttftSeconds": template.ttft_seconds,
        "tpotSeconds": template.tpot_seconds,
        "sequences": template.sequences,
        "limit": template.limit.value,
        "pricePerHour": _rounded(item.price_per_hour),
        "pricePerMillionOutputTokens": _rounded(item.per_million(of.output_tokens)),
        "pricePerMillionTokens": _rounded(item.per_million(of.all_tokens)),
        "source": "+".join(sorted({source.value for source in template.sources.values()})),
        "expectedError": template.expected_error,
        "stepMargin": round(margin(template.expected_error, rate_confidence) - 1.0, 6),
        "startupSeconds": template.startup_seconds,
        "startup": _start(item),
    }


def _start(item: RatedStrategy) -> dict[str, Any] | None:
    phases = item.template.phases
    if phases is None:
        return None
    return {
        "nodeSeconds": item.node_seconds,
        "imageSeconds": phases.image_seconds,
        "weightsSeconds": round(phases.weights_seconds, 1),
        "engineSeconds": phases.engine_seconds,
        "weightsBytes": round(phases.weights_bytes),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
