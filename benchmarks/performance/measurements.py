"""What was measured, by whom, on what."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from atoll.catalogue.architectures import architecture as known_architecture
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.reason import InvalidObjectError

DATA = Path(__file__).resolve().parents[1] / "data" / "performance"
LEAST_PROMPT_MILLISECONDS = 5.0
"""Times of prompts are rounded to a millisecond: shorter ones say too little."""
RENDERED = frozenset({"vllm", "sglang"})
LARGEST_WAIT = 0.3
"""Share of its time that a request may wait for its first token; beyond, seats decide and not the hardware."""
MOST_SEQUENCES = 8
"""In decode rows without a context length: up to here reading KV hardly counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An engine under constant load.

    Attributes:
        source: who measured.
        engine: what was measured; engines of one name share their overhead.
        model: the LLM.
        gpu_kind: name of the GPU kind.
        tp: tensor-parallel width.
        quantisation: how weights were held.
        version: of the engine; empty where it is not told.
        kv_bytes: of one value of KV.
        users: requests in flight at any time; of a batch, requests that started together.
        input_tokens: mean prompt.
        output_tokens: mean answer.
        ttft_seconds: mean time to first token; of a batch, of all its prompts.
        tpot_seconds: mean time per output token.
        rate: requests/s.
    """

    source: str
    engine: str
    model: str
    gpu_kind: str
    tp: int
    quantisation: Quantisation
    version: str
    kv_bytes: float
    users: float
    input_tokens: float
    output_tokens: float
    ttft_seconds: float
    tpot_seconds: float
    rate: float

    @property
    def together(self) -> bool:
        """Its requests started together, so that no prompt came between tokens."""
        return self.source == "splitwise"

    @property
    def rendered(self) -> bool:
        """Its engine is one that Atoll renders, and not years old."""
        return self.engine in RENDERED

    @property
    def waited(self) -> float:
        """Share of a request's time before its first token."""
        return self.ttft_seconds / (self.ttft_seconds + (self.output_tokens - 1.0) * self.tpot_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer by itself.

    Attributes:
        source: who measured.
        model: the LLM.
        gpu_kind: name of the GPU kind.
        tp: tensor-parallel width.
        decode: one token for each of ``tokens`` sequences; else a prompt of ``tokens``.
        tokens: in the step.
        seconds: of the layer.
    """

    source: str
    model: str
    gpu_kind: str
    tp: int
    decode: bool
    tokens: float
    seconds: float


def served() -> tuple[Served, ...]:
    """The rows of served.csv in which requests hardly wait for a seat: how many seats there were is not told."""
    found = tuple(
        Served(
            source=row["source"],
            engine=row["engine"],
            model=row["model"],
            gpu_kind=row["gpu_kind"],
            tp=int(row["tp"]),
            quantisation=Quantisation(row["quantisation"]),
            version=row["version"],
            kv_bytes=float(row["kv_bytes"]),
            users=float(row["users"]),
            input_tokens=float(row["input_tokens"]),
            output_tokens=float(row["output_tokens"]),
            ttft_seconds=float(row["ttft_ms"]) / 1e3,
            tpot_seconds=float(row["tpot_ms"]) / 1e3,
            rate=float(row["requests_per_s"]),
        )
        for row in _rows("served.csv")
    )
    return tuple(row for row in found if row.together or row.waited <= LARGEST_WAIT)


def layers() -> tuple[Layer, ...]:
    """The rows of layers.csv that say enough."""
    found = tuple(
        Layer(
            source=row["source"],
            model=row["model"],
            gpu_kind=row["gpu_kind"],
            tp=int(row["tp"]),
            decode=row["phase"] == "decode",
            tokens=float(row["tokens"]),
            seconds=float(row["milliseconds"]) / 1e3,
        )
        for row in _rows("layers.csv")
    )
    return tuple(
        row
        for row in found
        if (row.tokens <= MOST_SEQUENCES if row.decode else row.seconds * 1e3 >= LEAST_PROMPT_MILLISECONDS)
    )


@cache
def architecture(model: str) -> Architecture:
    """Of a measured LLM: from the catalogue, or from architectures.csv beside the data."""
    try:
        return known_architecture(model)
    except InvalidObjectError:
        (row,) = (row for row in _rows("architectures.csv") if row["name"] == model)
    return Architecture(
        name=model,
        layers=int(row["layers"]),
        hidden=int(row["hidden"]),
        heads=int(row["heads"]),
        kv_heads=int(row["kv_heads"]),
        head_dim=int(row["head_dim"]),
        ffn=int(row["ffn"]),
        vocabulary=int(row["vocabulary"]),
    )


def _rows(name: str) -> tuple[dict[str, str], ...]:
    with (DATA / name).open(encoding="utf-8") as file:
        return tuple(csv.DictReader(file))
