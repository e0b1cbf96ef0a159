"""Templates of one demand: enumerate, spread layers, rate, prune."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.demand import Demand
from atoll.domain.engineterms import TERMS, EngineTerms
from atoll.domain.reason import Fault
from atoll.domain.strategy import EngineName, Stage, Strategy, Template
from atoll.domain.workload import Objectives, Workload
from atoll.optimize.templates.curves import CurveKey, tabulate
from atoll.optimize.templates.dominance import undominated
from atoll.optimize.templates.faults import no_room, too_long, too_slow
from atoll.optimize.templates.lengths import answer_steps, context_limit, decode_steps, prompts, request_tokens
from atoll.optimize.templates.loads import loads_of
from atoll.optimize.templates.pipelines import Pipelines, Setting, pipelines
from atoll.optimize.templates.rate import Best, spread
from atoll.optimize.templates.search import best_partitions, rated
from atoll.optimize.templates.space import Layout, layouts
from atoll.optimize.templates.startup import startup_seconds
from atoll.performance.estimate import Performance


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSet:
    """Templates of one demand, or why there are none.

    Attributes:
        templates: undominated, in a stable order, and those of running strategies.
        fault: why none delivers anything; None where one does.
    """

    templates: tuple[Template, ...]
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A template, and whether it meets the objectives at all; where not, its times are those of an idle replica."""

    template: Template
    feasible: bool


def templates_for(
    demand: Demand,
    widths: Mapping[str, int],
    performance: Performance,
    *,
    always: Sequence[Strategy] = (),
) -> TemplateSet:
    """Templates worth having for a demand; the demand's rate and prices do not enter.

    Args:
        demand: what is wanted.
        widths: GPUs of the largest node on offer, by name of the GPU kind.
        performance: what steps cost.
        always: strategies that run; they are rated and kept whatever dominates them, with rate 0 where they no longer
            meet the objectives.
    """
    return _templates(_question(demand, widths, tuple(dict.fromkeys(always))), performance)


def candidates_for(demand: Demand, widths: Mapping[str, int], performance: Performance) -> tuple[Candidate, ...]:
    """Every strategy that fits into memory, rated, in a stable order: those too that others dominate.

    Args:
        demand: what is wanted.
        widths: GPUs of the largest node on offer, by name of the GPU kind.
        performance: what steps cost.
    """
    return _rated_layouts(_question(demand, widths, ()), performance)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """All that the templates depend on, so that equal questions are answered from memory."""

    architecture: Architecture
    quantisations: tuple[Quantisation, ...]
    workload: Workload
    objectives: Objectives
    engine: EngineName
    offered: tuple[tuple[str, int], ...]
    always: tuple[Strategy, ...]


def _question(demand: Demand, widths: Mapping[str, int], always: tuple[Strategy, ...]) -> _Question:
    allowed = demand.placement.gpu_kinds
    return _Question(
        architecture=demand.architecture,
        quantisations=demand.quantisations,
        workload=demand.workload,
        objectives=demand.objectives,
        engine=demand.engine.name,
        offered=tuple(sorted((kind, width) for kind, width in widths.items() if not allowed or kind in allowed)),
        always=always,
    )


@lru_cache(maxsize=1024)
def _templates(question: _Question, performance: Performance) -> TemplateSet:
    running = _rated_running(question, performance)
    if _too_long(question, question.architecture.max_context):
        return TemplateSet(
            templates=tuple(item.template for item in running),
            fault=too_long(question.architecture, question.workload, question.objectives),
        )
    # What runs changes far more often than what is asked: the search over layouts is remembered without it.
    candidates = _rated_layouts(replace(question, always=()), performance)
    feasible = [item.template for item in candidates if item.feasible]
    kept = frozenset(question.always)
    fresh = [template for template in feasible if template.strategy not in kept]
    templates = undominated(
        [item.template for item in running] + fresh,
        question.quantisations,
        kept=kept,
    )
    served = any(template.rate > 0.0 for template in templates)
    return TemplateSet(templates=templates, fault=None if served else _fault(question, candidates))


@lru_cache(maxsize=1024)
def _rated_layouts(question: _Question, performance: Performance) -> tuple[Candidate, ...]:
    """The best partition of each layout that fits into memory."""
    widths = dict(question.offered)
    kinds = {name: gpu_kind(name) for name in widths}
    terms = TERMS[question.engine]
    found: list[Layout] = list(layouts(question.architecture, question.quantisations, kinds, widths, terms))
    stages = [[(kind, layout.tp, layout.quantisation) for kind in layout.kinds] for layout in found]
    if not stages:
        return ()
    setting = _setting(stages, question, performance)
    lines = pipelines(stages, setting.curves)
    layers = best_partitions(lines, question.objectives, terms.most_sequences, setting)
    best = rated(lines, layers, question.objectives, np.full(len(stages), float(terms.most_sequences)), setting)
    context = context_limit(question.workload, question.architecture)
    templates = []
    for row, layout in enumerate(found):
        if not layers[row].any():
            continue
        strategy = Strategy(
            engine=question.engine,
            tp=layout.tp,
            stages=tuple(
                Stage(gpu_kind=kind, layers=int(held)) for kind, held in zip(layout.kinds, layers[row], strict=False)
            ),
            quantisation=layout.quantisation,
            max_sequences=_admitted(float(best.operation.sequences[row]), terms),
            max_context=context,
        )
        templates.append(_rated(strategy, row, lines, best, setting))
    return tuple(templates)


def _rated_running(question: _Question, performance: Performance) -> list[Candidate]:
    """Running strategies as they are: their own layers and limits."""
    if not question.always:
        return []
    stages = [
        [(stage.gpu_kind, strategy.tp, strategy.quantisation) for stage in strategy.stages]
        for strategy in question.always
    ]
    setting = _setting(stages, question, performance)
    lines = pipelines(stages, setting.curves)
    layers = np.zeros_like(lines.curve)
    for row, strategy in enumerate(question.always):
        layers[row, : len(strategy.stages)] = [stage.layers for stage in strategy.stages]
    most = np.array([float(strategy.max_sequences) for strategy in question.always])
    best = rated(lines, layers, question.objectives, most, setting)
    return [
        _rated(strategy, row, lines, best, setting, admits=not _too_long(question, strategy.max_context))
        for row, strategy in enumerate(question.always)
    ]


def _setting(stages: Iterable[Sequence[CurveKey]], question: _Question, performance: Performance) -> Setting:
    keys = sorted({key for line in stages for key in line})
    lengths = prompts(question.workload)
    loads = loads_of(decode_steps(question.workload), lengths.mean_computed)
    kinds = {kind: gpu_kind(kind) for kind, _, _ in keys}
    return Setting(
        architecture=question.architecture,
        workload=question.workload,
        prompts=lengths,
        answers=answer_steps(question.workload.output),
        loads=loads,
        curves=tabulate(
            keys,
            architecture=question.architecture,
            workload=question.workload,
            lengths=lengths,
            loads=loads,
            kinds=kinds,
            performance=performance,
            engine=TERMS[question.engine],
        ),
    )


def _rated(
    strategy: Strategy, row: int, lines: Pipelines, best: Best, setting: Setting, *, admits: bool = True
) -> Candidate:
    """One strategy's template from the arrays; ``admits``: enough requests fit into its context."""
    curves, operation = setting.curves, best.operation
    rows = {stage.gpu_kind: int(curve) for stage, curve in zip(strategy.stages, lines.curve[row], strict=False)}
    feasible = bool(best.feasible[row]) and admits
    return Candidate(
        feasible=feasible,
        template=Template(
            strategy=strategy,
            rate=float(operation.rate[row]) if feasible else 0.0,
            ttft_seconds=float(operation.ttft[row]),
            tpot_seconds=float(best.tpot[row]),
            sequences=float(operation.sequences[row]) if feasible else 0.0,
            limit=best.limit[row],
            sources={kind: curves.sources[curve] for kind, curve in rows.items()},
            expected_error=float(max(curves.errors[curve] for curve in rows.values())),
            startup_seconds=startup_seconds(setting.architecture, strategy),
        ),
    )


def _admitted(sequences: float, terms: EngineTerms) -> int:
    """Sequences admitted at once: the mean and its spread, up to a power of two, so that it does not flutter."""
    needed = float(spread(np.array([sequences]))[0])
    return min(terms.most_sequences, 1 << math.ceil(math.log2(max(needed, 1.0))))


def _too_long(question: _Question, context: int) -> bool:
    """Whether more requests exceed a context than the objectives allow to be refused."""
    return request_tokens(question.workload, question.objectives.percentile) > context


def _fault(question: _Question, candidates: Sequence[Candidate]) -> Fault:
    if candidates:
        return too_slow(question.architecture, question.objectives, [item.template for item in candidates])
    kinds = [gpu_kind(name) for name, _ in question.offered]
    return no_room(question.architecture, question.quantisations, kinds, TERMS[question.engine])
