"""Prefill and decode on replicas of their own."""

from dataclasses import replace

import pytest

from atoll.catalogue.architectures import architecture
from atoll.domain.demand import Demand
from atoll.domain.strategy import EngineName, Limit, Phase, Template
from atoll.domain.workload import Lengths, Objectives, Workload
from atoll.optimize.templates import templates_for
from atoll.optimize.templates.phases import NETWORK_BYTES_PER_GPU, NETWORK_SHARE, phase_tasks, transferred_bytes
from atoll.performance.estimate import ShippedPerformance
from optimize.templates.sample import WIDTHS, coral_demand

ESTIMATES = ShippedPerformance()
OSS = "openai/gpt-oss-20b"


def asked(tpot: float, *, pairs: bool = True, engine: EngineName = EngineName.VLLM) -> Demand:
    wanted = coral_demand(OSS)
    return replace(
        wanted,
        objectives=replace(wanted.objectives, tpot_seconds=tpot),
        engine=replace(wanted.engine, name=engine, pairs=pairs),
    )


def of(templates: tuple[Template, ...], phase: Phase | None) -> list[Template]:
    return [template for template in templates if template.strategy.phase is phase]


def test_there_are_no_phases_unless_they_are_wanted_and_the_engine_can_hand_over() -> None:
    for demand in (asked(0.03, pairs=False), asked(0.03, engine=EngineName.SGLANG)):
        assert {t.strategy.phase for t in templates_for(demand, WIDTHS, ESTIMATES).templates} == {None}


def test_pairs_change_nothing_about_replicas_that_serve_both_phases() -> None:
    with_pairs = templates_for(asked(0.03), WIDTHS, ESTIMATES).templates
    assert tuple(of(with_pairs, None)) == templates_for(asked(0.03, pairs=False), WIDTHS, ESTIMATES).templates


def test_each_side_is_one_stage_and_has_another_side_to_pair_with() -> None:
    found = templates_for(asked(0.03), WIDTHS, ESTIMATES).templates
    prefill, decode = of(found, Phase.PREFILL), of(found, Phase.DECODE)
    assert {len(t.strategy.stages) for t in (*prefill, *decode)} == {1}
    assert {t.strategy.variant for t in prefill} & {t.strategy.variant for t in decode}


def test_decode_alone_does_not_suffer_from_prompts_of_others() -> None:
    """Where TPOT binds, a GPU that decodes alone carries more than one that also prefills."""
    found = templates_for(asked(0.02), WIDTHS, ESTIMATES).templates
    alone = {(t.strategy.tp, t.strategy.stages): t.rate for t in of(found, Phase.DECODE)}
    whole = [t for t in of(found, None) if (t.strategy.tp, t.strategy.stages) in alone and t.limit is Limit.TPOT]
    assert whole
    for template in whole:
        assert alone[template.strategy.tp, template.strategy.stages] > template.rate


def test_ttft_is_shared_out_and_the_transfer_is_part_of_it() -> None:
    wanted, served = Objectives(ttft_seconds=1.2, tpot_seconds=0.06, percentile=90.0), architecture("microsoft/phi-4")
    workload = Workload(input=Lengths(mean=1000.0, cv=1.0), output=Lengths(mean=200.0))
    tasks = list(phase_tasks(served, workload, wanted, (2, 4)))
    assert [(task.phase, task.tp) for task in tasks] == [(p, tp) for tp in (2, 4) for p in Phase]
    for prefill, decode in zip(tasks[::2], tasks[1::2], strict=True):
        longest = transferred_bytes(served, workload.input.quantile(0.95), prefill.tp)
        transfer = longest / (prefill.tp * NETWORK_BYTES_PER_GPU)
        assert prefill.objectives.ttft_seconds + decode.objectives.ttft_seconds + transfer == pytest.approx(1.2)
        # Late shares add up to no more than may be late.
        assert (100 - prefill.objectives.percentile) + (100 - decode.objectives.percentile) == pytest.approx(10.0)


def test_no_replica_hands_over_more_than_its_nic_carries() -> None:
    demand = asked(0.05)
    found = templates_for(demand, WIDTHS, ESTIMATES).templates
    limited = [t for t in found if t.limit is Limit.KV_TRANSFER]
    assert limited
    for template in (*of(found, Phase.PREFILL), *of(found, Phase.DECODE)):
        tp = template.strategy.tp
        mean = transferred_bytes(demand.architecture, demand.workload.input.mean, tp)
        assert template.rate * mean <= NETWORK_SHARE * tp * NETWORK_BYTES_PER_GPU * (1.0 + 1e-9)


def test_no_pairs_where_the_transfer_alone_takes_too_long() -> None:
    wanted = Objectives(ttft_seconds=0.2, tpot_seconds=0.06)
    workload = Workload(input=Lengths(mean=8000.0), output=Lengths(mean=200.0))
    assert list(phase_tasks(architecture("microsoft/phi-4"), workload, wanted, (1,))) == []


def test_a_side_that_runs_is_rated_and_kept() -> None:
    demand = asked(0.03)
    found = templates_for(demand, WIDTHS, ESTIMATES).templates
    side = of(found, Phase.DECODE)[0]
    again = templates_for(demand, WIDTHS, ESTIMATES, always=(side.strategy,)).templates
    (kept,) = [t for t in again if t.strategy == side.strategy]
    assert kept.rate == pytest.approx(side.rate, rel=0.02)
    off = templates_for(replace(demand, engine=replace(demand.engine, pairs=False)), WIDTHS, ESTIMATES)
    assert off.templates == tuple(of(found, None))
