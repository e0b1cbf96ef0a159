"""The comparison with measurements: closed loops, calibrations that recover what was put in, rows that are left out."""

import math
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.performance.calibration import AS_SHIPPED, Calibration, Evidence, calibrate
from benchmarks.performance.doubtful import busy_at_peak, contradictory, trusted
from benchmarks.performance.engineshare import fit_share, share_errors
from benchmarks.performance.measurements import LARGEST_WAIT, architecture, layers, served
from benchmarks.performance.prediction import layer_seconds, predict
from benchmarks.performance.report import Errors, all_errors, family, table

from atoll.performance.engine import ENGINE_SHARE, EngineShare
from atoll.performance.estimate import KernelPerformance, ShippedPerformance

KERNELS = KernelPerformance()
ESTIMATES = ShippedPerformance()
TRUSTED = trusted(served())
SOME = [row for row in TRUSTED if row.rendered and row.users in (4.0, 64.0)][::6]
SINGLE = [row for row in layers() if row.gpu_kind in ("L4-24GB", "A100-40GB")][::25]


def known() -> Evidence:
    return Evidence(
        served=SOME,
        predicted=predict(SOME, KERNELS),
        shipped=predict(SOME, ESTIMATES),
        layers=SINGLE,
        layer_seconds=layer_seconds(SINGLE, KERNELS),
    )


def test_every_measured_llm_has_an_architecture_and_nobody_waits_for_a_seat() -> None:
    for row in served():
        assert architecture(row.model).layers > 0
        assert row.together or row.waited <= LARGEST_WAIT
        assert row.tpot_seconds > 0.0
        assert row.rate > 0.0


@pytest.mark.parametrize("users", [1.0, 7.0, 64.0])
def test_a_closed_loop_serves_what_its_users_ask(users: float) -> None:
    """Little's law: users = rate x (prompt + answer), and the engine is busy all the time."""
    rows = [replace(SOME[0], users=users)]
    found = predict(rows, ESTIMATES)
    tpot, rate = (each[0] for each in found.tpot_and_rate(*np.array([[1.0], [1.0], [0.0]])))
    decode, prompt, steps = found.decode[0], found.prompt[0], found.steps[0]

    assert rate * (prompt + steps * tpot) == pytest.approx(users)
    decoding = users - rate * prompt
    assert rate * (prompt + steps * decode / decoding) == pytest.approx(1.0)


def test_a_closed_loop_waits_for_what_the_engine_does_for_each_sequence() -> None:
    rows = [replace(SOME[0], users=64.0)]
    found, each = predict(rows, ESTIMATES), 50e-6
    tpot, rate = (one[0] for one in found.tpot_and_rate(*np.array([[1.0], [1.0], [0.0]]), each))
    decode, prompt, steps = found.decode[0], found.prompt[0], found.steps[0]

    decoding = 64.0 - rate * prompt
    assert rate * (prompt + steps * tpot) == pytest.approx(64.0)
    assert rate * (prompt + steps * (decode + each * decoding) / decoding) == pytest.approx(1.0)


def test_a_series_that_beats_the_data_sheet_is_not_trusted() -> None:
    series = [row for row in served() if row.engine == "vllm" and row.model == "meta-llama/Llama-3.1-8B-Instruct"]
    assert max(busy_at_peak(row) for row in series) > 1.3
    assert not set(series) & set(TRUSTED)
    assert max(busy_at_peak(row) for row in TRUSTED) < 0.85


def test_one_row_beyond_the_sheet_condemns_its_series_and_no_other() -> None:
    rows = [row for row in TRUSTED if row.model == "openai/gpt-oss-120b" and row.version == "0.18.0"]
    fast = replace(rows[0], rate=1e3 * rows[0].rate, ttft_seconds=rows[0].ttft_seconds / 1e3)
    fast = replace(fast, tpot_seconds=rows[0].tpot_seconds / 1e3)
    left = trusted([fast, *rows[1:]])
    assert {row.gpu_kind for row in left} == {row.gpu_kind for row in rows} - {fast.gpu_kind}


def test_a_row_slower_than_more_users_was_disturbed() -> None:
    row = SOME[0]
    steady = [
        replace(row, users=row.users * 1.25, rate=row.rate * 1.25),
        replace(row, users=row.users * 1.5, rate=row.rate * 1.5),
    ]
    slow = replace(row, tpot_seconds=row.tpot_seconds * 1.2, rate=row.users / (row.users / row.rate * 1.2))
    assert trusted([row, *steady]) == (row, *steady)
    assert trusted([slow, *steady]) == tuple(steady)


def test_answers_that_ended_early_contradict_their_length() -> None:
    """Batches of Splitwise for 1024 and more tokens took the time of some 300."""
    ended = [row for row in served() if row.source == "splitwise" and contradictory(row)]
    assert len(ended) > 30
    assert not set(ended) & set(TRUSTED)


def test_no_load_is_told_twice() -> None:
    told = [(row.gpu_kind, row.tp, row.users, row.input_tokens, row.tpot_seconds, row.ttft_seconds) for row in TRUSTED]
    assert len(set(told)) == len(told)


def test_a_batch_that_starts_together_has_no_prompts_between_its_tokens() -> None:
    (row,) = [row for row in TRUSTED if row.together and row.gpu_kind == "H100-80GB" and row.users == 8.0][:1]
    found = predict([row], ESTIMATES)
    tpot, rate = (each[0] for each in found.tpot_and_rate(*np.array([[1.0], [1.0], [0.0]])))

    assert tpot == pytest.approx(found.decode[0])
    assert rate == pytest.approx(8.0 / (8.0 * found.prompt[0] + found.steps[0] * tpot))


def test_calibration_finds_what_was_put_in() -> None:
    evidence = known()
    true = Calibration(
        decode=dict.fromkeys({row.gpu_kind for row in (*SOME, *SINGLE)}, 1.25),
        prompt=dict.fromkeys({row.gpu_kind for row in (*SOME, *SINGLE)}, 0.8),
        overhead={"vllm": 40e-6, "helix": 0.0},
    )
    tpot, rate, single = evidence.errors(true)
    told = Evidence(
        served=[
            replace(row, tpot_seconds=row.tpot_seconds * math.exp(one), rate=row.rate * math.exp(other))
            for row, one, other in zip(SOME, tpot, rate, strict=True)
        ],
        predicted=evidence.predicted,
        shipped=evidence.shipped,
        layers=[replace(row, seconds=row.seconds * math.exp(one)) for row, one in zip(SINGLE, single, strict=True)],
        layer_seconds=evidence.layer_seconds,
    )
    found = calibrate(told, np.ones(len(SOME), dtype=bool), np.ones(len(SINGLE), dtype=bool))

    before = np.abs(np.concatenate(told.errors(AS_SHIPPED)))
    after = np.abs(np.concatenate(told.errors(found)))
    assert np.median(after) < 0.05
    assert np.quantile(after, 0.9) < 0.1 < np.median(before)


def test_rows_that_are_left_out_teach_nothing() -> None:
    evidence = known()
    use = np.array([family(row.model) != "70b" for row in SOME])
    none = np.zeros(len(SINGLE), dtype=bool)
    absurd = Evidence(
        served=[row if kept else replace(row, tpot_seconds=9.0) for row, kept in zip(SOME, use, strict=True)],
        predicted=evidence.predicted,
        shipped=evidence.shipped,
        layers=SINGLE,
        layer_seconds=evidence.layer_seconds,
    )

    assert not use.all()
    assert calibrate(evidence, use, none) == calibrate(absurd, use, none)


def test_llms_of_one_shape_are_left_out_together() -> None:
    assert family("meta-llama/Llama-3.1-70B-Instruct") == family("llama2_70b") == family("llama2-70b")
    assert family("deepseek-ai/DeepSeek-R1") == family("deepseek-ai/DeepSeek-V3")
    assert family("llama-7b") != family("llama-13b")


def test_the_table_has_a_row_for_each_kind_and_one_for_all() -> None:
    evidence = known()
    zeros = Errors(
        tpot=np.zeros(len(SOME)),
        rate=np.full(len(SOME), math.log(1.5)),
        layer=np.zeros(len(SINGLE)),
        promised={0.8: np.where(np.arange(len(SOME)) % 2, 0.1, -0.1)},
    )
    rows = table(evidence, {"shipped": zeros})

    of = {(row["what"], row["gpuKind"]): row for row in rows}
    kinds = {row.gpu_kind for row in SOME}
    assert {kind for what, kind in of if what == "rendered"} == kinds | {"all"}
    assert of["rendered", "all"]["rows"] == len(SOME)
    assert of["rendered", "all"]["tpotMedian"] == 0.0
    assert of["rendered", "all"]["rateP90"] == 0.5
    assert of["rendered", "all"]["rateReached"] == pytest.approx(0.5, abs=0.5 / len(SOME) + 1e-3)
    assert of["layers", "all"]["rateMedian"] is None


def test_a_share_of_engines_is_found_again() -> None:
    evidence, true = known(), EngineShare(decode=1.2, prompt=1.5, blocks=1.3, sequence=24e-6)
    tpot, rate = share_errors(evidence, true)
    told = replace(
        evidence,
        served=[
            replace(row, tpot_seconds=row.tpot_seconds * math.exp(one), rate=row.rate * math.exp(other))
            for row, one, other in zip(SOME, tpot, rate, strict=True)
        ],
    )
    found = fit_share(told, np.ones(len(SOME), dtype=bool))
    assert (found.decode, found.prompt, found.blocks) == (true.decode, true.prompt, true.blocks)
    assert found.sequence == pytest.approx(true.sequence)


def test_a_calibration_is_never_judged_by_what_it_was_fitted_to() -> None:
    evidence = known()
    found = all_errors(evidence)
    row = next(number for number, each in enumerate(SOME) if family(each.model) == "70b")
    fitted = fit_share(evidence, np.array([family(each.model) != "70b" for each in SOME]))

    assert found["modelLeftOut"].tpot[row] == share_errors(evidence, fitted)[0][row]
    assert found["kernels"].tpot[row] == pytest.approx(evidence.errors(AS_SHIPPED)[0][row])
    assert found["shipped"].rate[row] < found["kernels"].rate[row]


@pytest.mark.parametrize("kind", ["A100-40GB", "L4-24GB", "T4-16GB", "V100-16GB"])
def test_single_layers_take_what_was_measured(kind: str) -> None:
    rows = [row for row in layers() if row.gpu_kind == kind]
    error = np.abs(layer_seconds(rows, KERNELS) / np.array([row.seconds for row in rows]) - 1.0)

    assert np.median(error) <= 0.05
    assert np.quantile(error, 0.9) <= 0.12


def test_engines_that_are_rendered_are_estimated_within_the_aim_and_without_bias() -> None:
    """Every fifth row; the whole table is `python -m benchmarks.performance`."""
    rows = [row for row in TRUSTED if row.rendered][::5]
    found = predict(rows, ESTIMATES).tpot_and_rate(np.ones(len(rows)), np.ones(len(rows)), np.zeros(len(rows)))
    for estimated, measured in zip(
        found, ([row.tpot_seconds for row in rows], [row.rate for row in rows]), strict=True
    ):
        relative = estimated / np.array(measured) - 1.0
        assert abs(np.median(relative)) <= 0.05
        assert np.median(np.abs(relative)) <= 0.15
        assert np.quantile(np.abs(relative), 0.9) <= 0.37


def test_the_shipped_share_is_what_all_measurements_give() -> None:
    rows = [row for row in TRUSTED if row.rendered][::2]
    evidence = Evidence(
        served=rows,
        predicted=predict(rows, KERNELS),
        shipped=predict(rows, ESTIMATES),
        layers=[],
        layer_seconds=np.array([]),
    )
    found = fit_share(evidence, np.ones(len(rows), dtype=bool))
    assert found.decode == pytest.approx(ENGINE_SHARE.decode, abs=0.03)
    assert (found.prompt, found.blocks) == pytest.approx((ENGINE_SHARE.prompt, ENGINE_SHARE.blocks), abs=0.11)
    assert found.sequence == pytest.approx(ENGINE_SHARE.sequence, abs=9e-6)
