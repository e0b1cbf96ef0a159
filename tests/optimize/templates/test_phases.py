"""Prefill and decode on replicas of their own."""

from dataclasses import replace

import pytest

from atoll.catalogue.architectures import architecture
from atoll.domain.demand import Demand
from atoll.domain.engineterms import TERMS
from atoll.domain.handover import width_pairs
from atoll.domain.strategy import EngineName, Limit, Phase, Template
from atoll.domain.workload import Lengths, Objectives, Workload
from atoll.optimize.templates import candidates_for, templates_for
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


@pytest.mark.parametrize("engine", EngineName)
def test_there_are_phases_where_they_are_wanted(engine: EngineName) -> None:
    for pairs, phases in ((False, {None}), (True, {None, *Phase})):
        demand = asked(0.03, pairs=pairs, engine=engine)
        assert {t.strategy.phase for t in templates_for(demand, WIDTHS, ESTIMATES).templates} == phases


def test_pairs_change_nothing_about_replicas_that_serve_both_phases() -> None:
    with_pairs = templates_for(asked(0.03), WIDTHS, ESTIMATES).templates
    assert tuple(of(with_pairs, None)) == templates_for(asked(0.03, pairs=False), WIDTHS, ESTIMATES).templates


def test_each_side_is_one_stage_and_has_another_side_to_pair_with() -> None:
    found = templates_for(asked(0.03), WIDTHS, ESTIMATES).templates
    prefill, decode = of(found, Phase.PREFILL), of(found, Phase.DECODE)
    assert {len(t.strategy.stages) for t in (*prefill, *decode)} == {1}
    assert {t.strategy.variant for t in prefill} == {t.strategy.variant for t in decode} != set()


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
    tasks = list(phase_tasks(served, workload, wanted, ((2, 2), (2, 4))))
    assert [(task.phase, task.tp, task.peer_tp) for task in tasks] == [
        (Phase.PREFILL, 2, 2),
        (Phase.DECODE, 2, 2),
        (Phase.PREFILL, 2, 4),
        (Phase.DECODE, 4, 2),
    ]
    for prefill, decode in zip(tasks[::2], tasks[1::2], strict=True):
        longest = transferred_bytes(served, workload.input.quantile(0.95), decode.tp)
        transfer = longest / (min(prefill.tp, decode.tp) * NETWORK_BYTES_PER_GPU)
        assert prefill.objectives.ttft_seconds + decode.objectives.ttft_seconds + transfer == pytest.approx(1.2)
        # Late shares add up to no more than may be late.
        assert (100 - prefill.objectives.percentile) + (100 - decode.objectives.percentile) == pytest.approx(10.0)


def test_no_replica_hands_over_more_than_its_nic_carries() -> None:
    demand = asked(0.05)
    found = templates_for(demand, WIDTHS, ESTIMATES).templates
    limited = [t for t in found if t.limit is Limit.KV_TRANSFER]
    assert limited
    for template in (*of(found, Phase.PREFILL), *of(found, Phase.DECODE)):
        strategy = template.strategy
        wide = max(strategy.tp, strategy.peer_tp)
        mean = transferred_bytes(demand.architecture, demand.workload.input.mean, wide)
        assert template.rate * mean <= NETWORK_SHARE * strategy.tp * NETWORK_BYTES_PER_GPU * (1.0 + 1e-9)


def test_no_pairs_where_the_transfer_alone_takes_too_long() -> None:
    wanted = Objectives(ttft_seconds=0.2, tpot_seconds=0.06)
    workload = Workload(input=Lengths(mean=8000.0), output=Lengths(mean=200.0))
    assert list(phase_tasks(architecture("microsoft/phi-4"), workload, wanted, ((1, 1),))) == []


def test_a_side_that_runs_is_rated_and_kept() -> None:
    demand = asked(0.03)
    found = templates_for(demand, WIDTHS, ESTIMATES).templates
    side = of(found, Phase.DECODE)[0]
    again = templates_for(demand, WIDTHS, ESTIMATES, always=(side.strategy,)).templates
    (kept,) = [t for t in again if t.strategy == side.strategy]
    assert kept.rate == pytest.approx(side.rate, rel=0.02)
    off = templates_for(replace(demand, engine=replace(demand.engine, pairs=False)), WIDTHS, ESTIMATES)
    assert off.templates == tuple(of(found, None))


def variants(name: str, engine: EngineName, *kinds: str) -> list[tuple[set[str], set[str]]]:
    """GPU kinds with their widths that prefill and that decode, by variant that has both."""
    demand = asked(0.05, engine=engine)
    loose = Objectives(ttft_seconds=60.0, tpot_seconds=1.0, percentile=50.0)
    wanted = replace(demand, architecture=architecture(name), quantisations=(), objectives=loose)
    wanted = replace(wanted, quantisations=(wanted.architecture.native,))
    sides: dict[str, dict[Phase, set[str]]] = {}
    for candidate in candidates_for(wanted, dict.fromkeys(kinds, 4), ESTIMATES):
        strategy = candidate.template.strategy
        if strategy.phase is not None:
            side = sides.setdefault(strategy.variant, {}).setdefault(strategy.phase, set())
            side.add(f"{strategy.stages[0].gpu_kind} tp{strategy.tp}")
    return [(side[Phase.PREFILL], side[Phase.DECODE]) for side in sides.values() if len(side) == len(Phase)]


def generations(pairs: list[tuple[set[str], set[str]]]) -> set[tuple[str, str]]:
    return {(a.split()[0], b.split()[0]) for prefill, decode in pairs for a in prefill for b in decode}


def widths(pairs: list[tuple[set[str], set[str]]]) -> set[tuple[str, str]]:
    return {(a.split()[1], b.split()[1]) for prefill, decode in pairs for a in prefill for b in decode}


L40S, H100, B200, T4 = "L40S-48GB", "H100-80GB", "B200-180GB", "T4-16GB"
SAME = {(kind, kind) for kind in (L40S, H100, B200)}
MIXED = {(L40S, H100), (H100, L40S)}


@pytest.mark.parametrize(
    ("engine", "name", "pairs"),
    [
        # Flash attention on both; Blackwell of the data centre has other kernels, T4 no bf16.
        (EngineName.VLLM, "Qwen/Qwen3-8B", SAME | MIXED),
        # Attention sinks: flash attention on Hopper alone, Triton before it.
        (EngineName.VLLM, OSS, SAME),
        (EngineName.SGLANG, "Qwen/Qwen3-8B", SAME | MIXED),
        (EngineName.SGLANG, OSS, SAME | MIXED),
    ],
)
def test_kinds_pair_where_the_engine_lays_kv_out_alike(
    engine: EngineName, name: str, pairs: set[tuple[str, str]]
) -> None:
    assert generations(variants(name, engine, L40S, H100, B200, T4)) == pairs


NARROW = {(f"tp{tp}", f"tp{tp}") for tp in (1, 2, 4)}
WIDENED = NARROW | {("tp1", "tp2"), ("tp1", "tp4"), ("tp2", "tp4")}


@pytest.mark.parametrize(
    ("engine", "name", "pairs"),
    [
        (EngineName.VLLM, "Qwen/Qwen3-8B", WIDENED),
        (EngineName.VLLM, OSS, NARROW),
        (EngineName.SGLANG, "Qwen/Qwen3-8B", NARROW),
    ],
)
def test_decode_is_wider_than_prefill_where_the_engine_can_share_heads_out(
    engine: EngineName, name: str, pairs: set[tuple[str, str]]
) -> None:
    assert widths(variants(name, engine, H100)) == pairs


def test_sglang_hands_latent_kv_to_wider_replicas_which_all_hold_it() -> None:
    latent = architecture("deepseek-ai/DeepSeek-V3")
    assert (1, 8) in width_pairs(latent, TERMS[EngineName.SGLANG])
    assert (1, 8) not in width_pairs(latent, TERMS[EngineName.VLLM])
    assert transferred_bytes(latent, 100.0, 8) == 8 * transferred_bytes(latent, 100.0, 1)
