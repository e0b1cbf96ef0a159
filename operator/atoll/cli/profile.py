"""``atoll profile``: a PerformanceProfile from what vLLM's own load generator measured."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from atoll.api.profiles import parse_performance_profile
from atoll.catalogue.architectures import architecture as known_architecture
from atoll.catalogue.gpus import gpu_kind as known_gpu_kind
from atoll.cli.exits import Exit
from atoll.cli.output import write
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.objects import PERFORMANCE_PROFILE
from atoll.domain.profile import Phase, ProfilePoint
from atoll.domain.reason import InvalidObjectError
from atoll.domain.strategy import EngineName
from atoll.performance.memory import width_fits
from atoll.performance.peak import peak
from atoll.performance.steps import StepCosts

EPILOG = """Examples:

  for users in 1 8 32 128; do vllm bench serve --model microsoft/phi-4 --dataset-name random --random-input-len 1024 \\
    --random-output-len 256 --ignore-eos --max-concurrency $users --num-prompts $((users * 8)) \\
    --seed $users --save-result --result-filename $users.json; done

  atoll profile 1.json 8.json 32.json 128.json --architecture microsoft/phi-4 --gpu-kind L40S-48GB | kubectl apply -f -

`vllm bench serve` is in the engine's image and asks any engine through its OpenAI API. Each file gives a decode step:
the median time between tokens, at as many sequences as decoded on average (Little's law). Files of --max-concurrency 1
give a prefill step besides: the median time to first token. Prompts and answers of one length give the truest steps.
Repeated prompts come from the engine's prefix cache: give each run a --seed of its own. Steps that beat the GPU's data
sheet are refused.

Exit codes: 0 the manifest is written, 1 a file cannot be used, 2 usage."""

_NEEDED = (
    "max_concurrency",
    "completed",
    "total_input_tokens",
    "total_output_tokens",
    "request_throughput",
    "median_ttft_ms",
    "mean_tpot_ms",
    "median_itl_ms",
)

_LARGEST = 1e15
"""No field is larger; infinity and NaN, which vLLM writes where nothing was measured, are no numbers."""

Point = tuple[str, int, int]
"""Phase, sequences, tokens."""


class UnusableError(Exception):
    """A file that tells no step, or a step that cannot be: which, what is wrong, and the mend."""


def profile(
    results: Annotated[list[Path], typer.Argument(metavar="FILE", help="Results of vllm bench serve --save-result.")],
    *,
    architecture: Annotated[str, typer.Option(metavar="NAME", help="Hugging Face name, as ModelDemands give it.")],
    gpu_kind: Annotated[str, typer.Option(metavar="KIND", help="GPU kind, such as H100-80GB.")],
    tp: Annotated[int, typer.Option(min=1, max=64, help="Tensor-parallel width that was measured, GPUs.")] = 1,
    quantisation: Annotated[
        Quantisation | None, typer.Option(help="How weights were held; default: as published.")
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="Engine that was measured.")] = EngineName.VLLM,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Of the PerformanceProfile; default: what was measured.")
    ] = "",
) -> None:
    """Write the PerformanceProfile that measured loads of a live engine give."""
    try:
        served, read = known_architecture(architecture), {path: _read(path) for path in results}
        held = quantisation or served.native
        asked = _asked(read)
        if asked and asked.casefold() != architecture.casefold():
            typer.echo(f"{asked} was measured: taken as {architecture}", err=True)
        found = manifest(
            read,
            architecture=architecture,
            gpu_kind=gpu_kind,
            tp=tp,
            quantisation=held,
            engine=engine,
            name=name,
        )
        points = parse_performance_profile(found).points
        _refuse_width(served, tp, held)
        for point in points:
            _refuse_impossible(point, served, peak(served, known_gpu_kind(gpu_kind), tp, held))
    except (UnusableError, InvalidObjectError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(Exit.ERROR) from error
    write(yaml.safe_dump(found, sort_keys=False))


def manifest(
    results: Mapping[Path, Mapping[str, Any]],
    *,
    architecture: str,
    gpu_kind: str,
    tp: int,
    quantisation: Quantisation,
    engine: EngineName,
    name: str = "",
) -> dict[str, Any]:
    """The PerformanceProfile of measured loads; UnusableError where one tells no step."""
    steps: dict[Point, list[float]] = defaultdict(list)
    for path, result in results.items():
        for point, milliseconds in _steps(path, result):
            steps[point].append(milliseconds)
    label = f"{architecture.rpartition('/')[2]}-{gpu_kind}-tp{tp}-{quantisation}"
    return {
        "apiVersion": PERFORMANCE_PROFILE.api_version,
        "kind": PERFORMANCE_PROFILE.name,
        "metadata": {"name": name or label.lower().replace("_", "-")},
        "spec": {
            "architecture": architecture,
            "gpuKind": gpu_kind,
            "tp": tp,
            "quantisation": quantisation.value,
            "engine": engine.value,
            "points": [
                {
                    "phase": phase,
                    "sequences": sequences,
                    "tokens": tokens,
                    "milliseconds": round(sum(seen) / len(seen), 3),
                }
                for (phase, sequences, tokens), seen in sorted(steps.items())
            ],
            "source": f"vllm bench serve, {len(results)} loads",
        },
    }


def _asked(results: Mapping[Path, Mapping[str, Any]]) -> str:
    """The model that all runs asked for; empty where no file tells it."""
    told = {str(result["model_id"]): path for path, result in results.items() if result.get("model_id")}
    if len(told) > 1:
        (one, first), (other, second) = sorted(told.items())[:2]
        raise UnusableError(
            f"{second}: measured {other}, but {first} measured {one}: give one profile the files of one"
        )
    return next(iter(told), "")


def _refuse_width(served: Architecture, tp: int, held: Quantisation) -> None:
    if not width_fits(served, tp, held):
        message = f"--tp {tp}: so many GPUs cannot share a layer of {served.name} in {held}: check what was measured"
        raise UnusableError(message)


def _refuse_impossible(point: ProfilePoint, served: Architecture, least: StepCosts) -> None:
    """A step that takes less than the GPU needs was not computed, or something else was measured than is said."""
    size, tokens = np.array([float(point.sequences)]), float(point.tokens)
    if point.phase is Phase.PREFILL:
        layer = point.sequences * least.prefill_layer(np.array([tokens]))
        mend = "its prompts came from the prefix cache: measure again with another --seed"
    else:
        # KV may be held in one byte instead of two.
        layer = least.decode_layer(size, tokens / 2.0)
        mend = "check --architecture, --gpu-kind, --tp and --quantisation"
    seconds = float((served.layers * layer + least.head(size))[0])
    if point.seconds < seconds:
        step = f"{point.phase} of {point.sequences} x {point.tokens} tokens in {point.seconds * 1e3:.4g} ms"
        raise UnusableError(f"{step}: by its data sheet the GPU needs {seconds * 1e3:.4g} ms: {mend}")


def _steps(path: Path, result: Mapping[str, Any]) -> Iterable[tuple[Point, float]]:
    """The steps that one load tells, in milliseconds."""
    missing = [field for field in _NEEDED if not _is_number(result.get(field))]
    if missing:
        raise UnusableError(
            f"{path}: {missing[0]} is no number: give results of vllm bench serve with --max-concurrency"
        )
    asked = result.get("num_prompts")
    if result["completed"] < 1 or result.get("failed", 0) or (_is_number(asked) and result["completed"] < asked):
        done = f"completed {result['completed']} of {asked or '?'}, failed {result.get('failed', 0)}"
        raise UnusableError(f"{path}: {done}: measure it again")
    if min(result["max_concurrency"], result["total_input_tokens"], result["request_throughput"]) <= 0:
        raise UnusableError(f"{path}: a load without users, prompts or requests: measure it again")
    prompt = result["total_input_tokens"] / result["completed"]
    answer = result["total_output_tokens"] / result["completed"]
    if answer < 2.0 or min(result["median_itl_ms"], result["mean_tpot_ms"], result["median_ttft_ms"]) <= 0.0:
        raise UnusableError(f"{path}: answers of one token tell no decode step: ask for more (--random-output-len)")
    decoding = result["request_throughput"] * (answer - 1.0) * result["mean_tpot_ms"] / 1e3
    yield ("Decode", max(round(decoding), 1), max(round(prompt + answer / 2.0), 1)), float(result["median_itl_ms"])
    if result["max_concurrency"] == 1:
        yield ("Prefill", 1, max(round(prompt), 1)), float(result["median_ttft_ms"])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnusableError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UnusableError(f"{path}: not JSON ({error}): give results of vllm bench serve --save-result") from error
    if not isinstance(found, dict):
        raise UnusableError(f"{path}: no object: give one result of vllm bench serve for each file")
    return found
