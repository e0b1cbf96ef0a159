"""What the product's step costs say of a measurement.

A closed loop of N users: with T seconds a decode step and P seconds that a prompt adds to the steps that it joins, r
requests/s are served where r (O T / b + P) = 1 with b = N - r P decoding, O steps each. In x = r P that is
x^2 - (N + 1 + O T / P) x + N = 0, and TPOT = T / (1 - x).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Quantisation
from atoll.domain.strategy import EngineName
from atoll.optimize.templates.hops import STEP_SECONDS
from atoll.performance.estimate import Performance
from atoll.performance.memory import BF16_BYTES
from atoll.performance.steps import StepCosts
from benchmarks.performance.measurements import Layer, Served, architecture

Array = NDArray[np.float64]
ROUNDS = 6
PROMPT = 1000.0
"""Prompt length taken where only the tokens of a batch of prompts are known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predicted:
    """Estimates of many served rows, from which any calibration follows.

    Attributes:
        decode: seconds of a decode step.
        prompt: seconds that a prompt adds.
        layers: of the LLM.
        users: in flight.
        steps: decode steps of a request.
        together: requests start together.
        error: expected error of the steps.
    """

    decode: Array
    prompt: Array
    layers: Array
    users: Array
    steps: Array
    together: NDArray[np.bool_]
    error: Array

    def tpot_and_rate(
        self, decode: Array, prompt: Array, overhead: Array, sequence: Array | float = 0.0
    ) -> tuple[Array, Array]:
        """TPOT, seconds, and requests/s.

        Args:
            decode: factor of decode steps.
            prompt: factor of what prompts add.
            overhead: seconds more for each layer of each step.
            sequence: seconds more for each sequence of each step.
        """
        step = np.maximum(decode * self.decode + overhead * self.layers, STEP_SECONDS)
        added = prompt * self.prompt + overhead * self.layers
        each = 1.0 + self.steps * sequence / added
        half = (self.users * each + 1.0 + self.steps * step / added) / 2.0
        share = (half - np.sqrt(half**2 - each * self.users)) / each
        tpot = np.where(self.together, step, (step + sequence * (self.users - share)) / (1.0 - share))
        together = self.users / (self.users * added + self.steps * step)
        return tpot, np.where(self.together, together, share / added)


def predict(rows: Sequence[Served], performance: Performance) -> Predicted:
    """Step times of each row at the number of sequences that then decode."""
    parts = [_parts(row, performance) for row in rows]
    return Predicted(
        decode=np.array([decode for decode, _ in parts]),
        prompt=np.array([prompt for _, prompt in parts]),
        layers=np.array([float(architecture(row.model).layers) for row in rows]),
        users=np.array([row.users for row in rows]),
        steps=np.array([_steps(row) for row in rows]),
        together=np.array([row.together for row in rows]),
        error=np.array([_served_costs(row, performance).expected_error for row in rows]),
    )


def layer_seconds(rows: Sequence[Layer], performance: Performance) -> Array:
    """Seconds of each measured layer."""
    return np.array([_layer(row, performance) for row in rows])


def _layer(row: Layer, performance: Performance) -> float:
    costs = performance.costs(architecture(row.model), gpu_kind(row.gpu_kind), row.tp, Quantisation.BF16)
    if row.decode:
        return float(costs.decode_layer(np.array([row.tokens]), PROMPT)[0])
    prompt = min(row.tokens, PROMPT)
    return float(costs.prefill_layer(np.array([prompt]))[0]) * row.tokens / prompt


def _parts(row: Served, performance: Performance) -> tuple[float, float]:
    served = architecture(row.model)
    costs = _served_costs(row, performance)
    tokens, batch = np.array([row.input_tokens]), row.users
    # KV of one byte is read as fast as that of half as many tokens: what is rated keeps two.
    context = (row.input_tokens + row.output_tokens / 2.0) * row.kv_bytes / BF16_BYTES
    decode = prompt = 0.0
    for _ in range(ROUNDS):
        at = np.array([batch])
        decode = float((served.layers * costs.decode_layer(at, context) + costs.head(at))[0])
        saved = 0.0 if row.together else costs.saved_layer(at, tokens)
        prompt = float((served.layers * np.maximum(costs.prefill_layer(tokens) - saved, 0.0))[0])
        if row.together:
            break
        half = (row.users + 1.0 + _steps(row) * max(decode, STEP_SECONDS) / prompt) / 2.0
        batch = max(row.users - (half - (half**2 - row.users) ** 0.5), 1.0)
    return decode, prompt


def _steps(row: Served) -> float:
    return max(row.output_tokens - 1.0, 1.0)


def _served_costs(row: Served, performance: Performance) -> StepCosts:
    engine = EngineName(row.engine) if row.rendered else EngineName.VLLM
    return performance.costs(architecture(row.model), gpu_kind(row.gpu_kind), row.tp, row.quantisation, engine)
