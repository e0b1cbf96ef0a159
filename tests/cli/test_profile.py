"""`atoll profile`: what vLLM's load generator measured, as a PerformanceProfile."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from atoll.api.manifests import load_manifests
from atoll.cli.commands import app
from atoll.domain.profile import Phase

STEP, PROMPT_STEP = 0.040, 0.200
"""Seconds of the engine that was measured: a decode step at any batch, and what a prompt takes."""


def load(users: int, *, prompt: int = 1000, answer: int = 201, **other: Any) -> dict[str, Any]:
    """What a closed loop of so many users sees of such an engine: fields of vllm/benchmarks/serve.py."""
    # Each request: its own prompt, and an answer whose steps wait for the prompts of the others.
    share = min((users - 1) * PROMPT_STEP / ((answer - 1) * STEP), 0.5)
    tpot = STEP / (1.0 - share)
    rate = users / (PROMPT_STEP + (answer - 1) * tpot)
    return {
        "backend": "vllm",
        "max_concurrency": users,
        "completed": 8 * users,
        "failed": 0,
        "total_input_tokens": 8 * users * prompt,
        "total_output_tokens": 8 * users * answer,
        "request_throughput": rate,
        "median_ttft_ms": 1e3 * PROMPT_STEP,
        "mean_tpot_ms": 1e3 * tpot,
        "median_itl_ms": 1e3 * STEP,
    } | other


def run(folder: Path, *results: object, options: tuple[str, ...] = ()) -> Result:
    paths = []
    for number, result in enumerate(results):
        path = folder / f"{number}.json"
        path.write_text(result if isinstance(result, str) else json.dumps(result))
        paths.append(str(path))
    fixed = ("--architecture", "microsoft/phi-4", "--gpu-kind", "L40S-48GB", *options)
    return CliRunner().invoke(app, ["profile", *paths, *fixed])


def test_loads_become_steps_that_win_over_estimates(tmp_path: Path) -> None:
    result = run(tmp_path, load(1), load(16))
    assert result.exit_code == 0, result.output
    path = tmp_path / "profile.yaml"
    path.write_text(result.stdout)
    manifests = load_manifests([path])
    (found,) = manifests.profiles
    assert manifests.faults == ()

    assert (found.architecture, found.gpu_kind, found.tp) == ("microsoft/phi-4", "L40S-48GB", 1)
    steps = {(point.phase, point.sequences): point for point in found.points}
    assert steps[Phase.PREFILL, 1].seconds == pytest.approx(PROMPT_STEP)
    assert steps[Phase.PREFILL, 1].tokens == 1000
    decoding = [point for point in found.points if point.phase is Phase.DECODE]
    assert [point.seconds for point in decoding] == pytest.approx([STEP, STEP])
    assert [point.tokens for point in decoding] == [1100, 1100]
    assert [point.sequences for point in decoding] == [1, 16]


def test_loads_of_the_same_step_count_by_their_mean(tmp_path: Path) -> None:
    result = run(tmp_path, load(1), load(1, median_itl_ms=50.0))
    assert result.exit_code == 0, result.output
    assert "milliseconds: 45.0" in result.stdout


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("{", "not JSON"),
        ([], "no object"),
        (load(1, max_concurrency=None), "max_concurrency is no number"),
        (load(2, failed=3), "failed 3: measure it again"),
        (load(2, num_prompts=17), "completed 16 of 17"),
        (load(2, mean_tpot_ms=math.nan), "mean_tpot_ms is no number"),
        (load(2, request_throughput=math.inf), "request_throughput is no number"),
        (load(2, completed=True), "completed is no number"),
        (load(2, total_input_tokens=-5), "without users, prompts or requests"),
        (load(2, total_output_tokens=16), "answers of one token"),
    ],
)
def test_a_file_that_tells_no_step_is_named_with_the_mend(tmp_path: Path, result: object, said: str) -> None:
    refused = run(tmp_path, result)
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"error: {tmp_path / '0.json'}: ")
    assert said in refused.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--gpu-kind", "L41S"), "spec.gpuKind"),
        (("--architecture", "phi-5"), "phi-5"),
        (("--tp", "3"), "spec.tp: 3 given, but vllm is planned with 1, 2, 4, 8"),
        (("--tp", "4"), "--tp 4: so many GPUs cannot share a layer of microsoft/phi-4 in bf16"),
    ],
)
def test_what_nobody_knows_is_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    refused = run(tmp_path, load(1), options=options)
    assert refused.exit_code == 1
    assert said in refused.stderr


def test_runs_against_two_models_make_no_profile(tmp_path: Path) -> None:
    refused = run(tmp_path, load(1, model_id="microsoft/phi-4"), load(8, model_id="Qwen/Qwen3-32B"))
    assert refused.exit_code == 1
    assert "0.json: measured microsoft/phi-4" in refused.stderr
    assert "1.json measured Qwen/Qwen3-32B: give one profile the files of one" in refused.stderr


def test_a_run_against_another_name_is_said(tmp_path: Path) -> None:
    said = run(tmp_path, load(1, model_id="chat"))
    assert said.exit_code == 0
    assert "chat was measured: taken as microsoft/phi-4" in said.stderr


@pytest.mark.parametrize(
    ("faster", "said"),
    [
        ({"median_ttft_ms": 20.0}, "its prompts came from the prefix cache: measure again with another --seed"),
        ({"median_itl_ms": 5.0}, "check --architecture, --gpu-kind, --tp and --quantisation"),
    ],
)
def test_steps_that_beat_the_data_sheet_are_refused(tmp_path: Path, faster: dict[str, float], said: str) -> None:
    """An L40S multiplies 1,000 tokens of phi-4 in 80 ms at best, and reads its 29 GB in 34 ms."""
    refused = run(tmp_path, load(1) | faster)
    assert refused.exit_code == 1
    assert said in refused.stderr
