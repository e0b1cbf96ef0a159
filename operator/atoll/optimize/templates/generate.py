"""Templates of one demand: enumerate, spread layers, rate, prune."""

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.demand import Demand
from atoll.domain.engineterms import TERMS, EngineTerms
from atoll.domain.handover import kv_form, width_pairs
from atoll.domain.reason import Fault
from atoll.domain.startup import Starts
from atoll.domain.strategy import EngineName, Limit, Phase, Stage, Strategy, Template
from atoll.domain.workload import Objectives, Workload
from atoll.optimize.templates.curves import CurveKey, tabulate
from atoll.optimize.templates.dominance import undominated
from atoll.optimize.templates.faults import no_room, too_long, too_slow
from atoll.optimize.templates.lengths import answer_steps, context_limit, decode_steps, prompts, request_tokens
from atoll.optimize.templates.loads import loads_of
from atoll.optimize.templates.parts import worth_mixing
from atoll.optimize.templates.phases import PhaseTask, phase_tasks
from atoll.optimize.templates.pipelines import Pipelines, Setting, pipelines
from atoll.optimize.templates.rate import Best, spread
from atoll.optimize.templates.search import best_partitions, rated
from atoll.optimize.templates.space import Layout, layouts
from atoll.optimize.templates.startup import with_start
from atoll.performance.estimate import Performance

_Side = tuple[Phase | None, int, int]
"""Phase, width and width of the other side; of strategies that serve both phases nothing but that."""


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
    starts: Starts | None = None,
) -> TemplateSet:
    """Templates worth having for a demand; the demand's rate and prices do not enter.

    Args:
        demand: what is wanted.
        widths: GPUs of the largest node on offer, by name of the GPU kind.
        performance: what steps cost.
        always: strategies that run; they are rated and kept whatever dominates them, with rate 0 where they no longer
            meet the objectives.
        starts: how its replicas start on the nodes that there are; None for what is assumed.
    """
    return _templates(_question(demand, widths, tuple(dict.fromkeys(always))), performance, starts or Starts())


def candidates_for(
    demand: Demand, widths: Mapping[str, int], performance: Performance, *, starts: Starts | None = None
) -> tuple[Candidate, ...]:
    """Every strategy that fits into memory, rated, in a stable order: those too that others dominate.

    Args:
        demand: what is wanted.
        widths: GPUs of the largest node on offer, by name of the GPU kind.
        performance: what steps cost.
        starts: how its replicas start on the nodes that there are; None for what is assumed.
    """
    question = _question(demand, widths, ())
    rated_ones = (*_rated_layouts(question, performance), *_rated_phases(question, performance))
    return _started(rated_ones, demand.architecture, starts or Starts())


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
    pairs: bool = False


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
        pairs=demand.engine.pairs,
    )


@lru_cache(maxsize=1024)
def _templates(question: _Question, performance: Performance, starts: Starts) -> TemplateSet:
    running = _started(_rated_running(question, performance), question.architecture, starts)
    if _too_long(question, question.architecture.max_context):
        return TemplateSet(
            templates=tuple(item.template for item in running),
            fault=too_long(question.architecture, question.workload, question.objectives),
        )
    # What runs changes far more often than what is asked: the search over layouts is remembered without it.
    asked = replace(question, always=())
    rated_ones = (*_rated_layouts(asked, performance), *_rated_phases(asked, performance))
    candidates = _started(rated_ones, question.architecture, starts)
    feasible = worth_mixing([item.template for item in candidates if item.feasible])
    kept = frozenset(question.always)
    fresh = [template for template in feasible if template.strategy not in kept]
    known = [item.template for item in running] + fresh
    found = tuple(
        template for variant in _variants(known) for template in undominated(variant, question.quantisations, kept=kept)
    )
    serving = _with_both_sides(found)
    templates = tuple(each for each in found if each.strategy.variant in serving or each.strategy in kept)
    return TemplateSet(templates=templates, fault=None if serving else _fault(question, candidates))


def _started(candidates: Iterable[Candidate], architecture: Architecture, starts: Starts) -> tuple[Candidate, ...]:
    return tuple(replace(item, template=with_start(item.template, architecture, starts)) for item in candidates)


def _variants(templates: Sequence[Template]) -> list[list[Template]]:
    """Templates that may stand in for each other: those of both phases; those of one phase that pair with the same."""
    found: dict[tuple[Phase | None, str], list[Template]] = {}
    for template in templates:
        strategy = template.strategy
        found.setdefault((strategy.phase, strategy.variant if strategy.phase else ""), []).append(template)
    return list(found.values())


def _with_both_sides(templates: Iterable[Template]) -> AbstractSet[str]:
    """Variants that deliver whole requests: in replicas that serve both phases, or by prefill and decode."""
    found: dict[str, set[Phase | None]] = {}
    for template in templates:
        if template.rate > 0.0:
            found.setdefault(template.strategy.variant, set()).add(template.strategy.phase)
    return {variant for variant, phases in found.items() if None in phases or phases == set(Phase)}


@lru_cache(maxsize=1024)
def _rated_layouts(question: _Question, performance: Performance) -> tuple[Candidate, ...]:
    """The best partition of each layout that fits into memory."""
    widths = dict(question.offered)
    kinds = {name: gpu_kind(name) for name in widths}
    terms = TERMS[question.engine]
    found: list[Layout] = list(layouts(question.architecture, question.quantisations, kinds, widths, terms))
    return _rated_whole(found, replace(question, pairs=False), performance)


@lru_cache(maxsize=1024)
def _rated_phases(question: _Question, performance: Performance) -> tuple[Candidate, ...]:
    """Each phase by itself: every layout of one stage that fits into memory; nothing where pairs are not wanted."""
    if not question.pairs:
        return ()
    terms = replace(TERMS[question.engine], deepest=(1,))
    kinds = {name: gpu_kind(name) for name, _ in question.offered}
    able = {name: kind for name, kind in kinds.items() if kv_form(question.architecture, kind, terms)}
    found: list[Layout] = list(
        layouts(question.architecture, question.quantisations, able, dict(question.offered), terms)
    )
    return tuple(
        candidate
        for task in _tasks(question)
        for candidate in _rated_whole([layout for layout in found if layout.tp == task.tp], question, performance, task)
    )


def _tasks(question: _Question) -> Iterable[PhaseTask]:
    """What either side of every pair of widths is asked."""
    pairs = width_pairs(question.architecture, TERMS[question.engine])
    return phase_tasks(question.architecture, question.workload, question.objectives, pairs)


def _asked(question: _Question, task: PhaseTask | None) -> _Question:
    """The question that a phase's replicas answer."""
    return replace(question, workload=task.workload, objectives=task.objectives) if task else question


def _rated_whole(
    found: Sequence[Layout], question: _Question, performance: Performance, task: PhaseTask | None = None
) -> tuple[Candidate, ...]:
    stages = [[(kind, layout.tp, layout.quantisation) for kind in layout.kinds] for layout in found]
    if not stages:
        return ()
    terms, asked = TERMS[question.engine], _asked(question, task)
    setting = _setting(stages, asked, performance, task)
    lines = pipelines(stages, setting.curves)
    layers = best_partitions(lines, asked.objectives, terms.most_sequences, setting)
    best = rated(lines, layers, asked.objectives, np.full(len(stages), float(terms.most_sequences)), setting)
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
            **_paired(layout.kinds[0], question, task),
        )
        templates.append(_carried(_rated(strategy, row, lines, best, setting), task))
    return tuple(templates)


def _paired(kind: str, question: _Question, task: PhaseTask | None) -> dict[str, Any]:
    """What makes a strategy one side of a pair."""
    if task is None:
        return {}
    form = kv_form(question.architecture, gpu_kind(kind), TERMS[question.engine])
    return {"phase": task.phase, "peer_tp": task.peer_tp, "kv_form": form}


def _carried(candidate: Candidate, task: PhaseTask | None) -> Candidate:
    """No more than the NIC carries; times and sequences are those of the larger rate, which are no less."""
    if task is None or candidate.template.rate <= task.most_rate:
        return candidate
    return replace(candidate, template=replace(candidate.template, rate=task.most_rate, limit=Limit.KV_TRANSFER))


def _rated_running(question: _Question, performance: Performance) -> list[Candidate]:
    """Running strategies as they are: their own layers and limits."""
    tasks: dict[_Side, PhaseTask] = {(task.phase, task.tp, task.peer_tp): task for task in _tasks(question)}
    alike: dict[_Side, list[Strategy]] = {}
    for each in question.always:
        side: _Side = (each.phase, each.tp, each.peer_tp or each.tp) if each.phase else (None, 0, 0)
        alike.setdefault(side, []).append(each)
    found = {}
    for side, mine in alike.items():
        rated_ones = _rated_as_they_are(mine, question, performance, tasks.get(side))
        found.update({item.template.strategy: item for item in rated_ones})
    return [found[strategy] for strategy in question.always if strategy in found]


def _rated_as_they_are(
    running: Sequence[Strategy], question: _Question, performance: Performance, task: PhaseTask | None
) -> list[Candidate]:
    stages = [
        [(stage.gpu_kind, strategy.tp, strategy.quantisation) for stage in strategy.stages] for strategy in running
    ]
    asked = _asked(question, task)
    setting = _setting(stages, asked, performance, task)
    lines = pipelines(stages, setting.curves)
    layers = np.zeros_like(lines.curve)
    for row, strategy in enumerate(running):
        layers[row, : len(strategy.stages)] = [stage.layers for stage in strategy.stages]
    most = np.array([float(strategy.max_sequences) for strategy in running])
    best = rated(lines, layers, asked.objectives, most, setting)
    return [
        _carried(
            _rated(
                strategy,
                row,
                lines,
                best,
                setting,
                admits=not _too_long(question, strategy.max_context) and (strategy.phase is None or task is not None),
            ),
            task,
        )
        for row, strategy in enumerate(running)
    ]


def _setting(
    stages: Iterable[Sequence[CurveKey]], question: _Question, performance: Performance, task: PhaseTask | None
) -> Setting:
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
        held_seconds=task.held_seconds if task else 0.0,
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
            startup_seconds=0.0,  # of the nodes: `_started`
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
