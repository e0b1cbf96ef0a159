"""How fast a stand-in engine makes tokens."""

from dataclasses import dataclass

_HALF = 1.0 / 3.0
"""Of the sequences at the template's rate: with so many running, an engine is at half of its largest throughput."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """Token times of one replica.

    With n sequences each gets ``peak / (n + half)`` tokens/s: alone it is fast, together they are many, and throughput
    n peak / (n + half) saturates. At the template's rate ``rate x tokens x tpot`` sequences run, by Little's law; there
    each gets exactly a token per ``tpot``, so that the replica delivers the template's rate within its objective.

    Attributes:
        peak: largest throughput, tokens/s.
        half: sequences at which half of it is reached.
        prefill: prompt tokens/s.
        rated: throughput at the template's rate, tokens/s.
    """

    peak: float
    half: float
    prefill: float
    rated: float

    def tokens_per_second(self, sequences: int) -> float:
        """Of each of so many running sequences."""
        return self.peak / (sequences + self.half)

    def first_token_seconds(self, prompt_tokens: int) -> float:
        """From the start of a sequence to its first token."""
        return prompt_tokens / self.prefill


def tempo_of(
    *, rate: float, input_tokens: float, output_tokens: float, ttft: float, tpot: float, speed: float = 1.0
) -> Tempo:
    """The tempo of a template.

    Args:
        rate: of one replica, requests/s.
        input_tokens: mean prompt of the demand's workload.
        output_tokens: mean answer of it.
        ttft: objective, seconds; a mean prompt takes a quarter of it, the rest is for queueing.
        tpot: objective, seconds.
        speed: simulated seconds per second.
    """
    sequences = max(1.0, rate * output_tokens * tpot)
    half = _HALF * sequences
    return Tempo(
        peak=speed * (sequences + half) / tpot,
        half=half,
        prefill=speed * input_tokens / (0.25 * ttft),
        rated=speed * rate * output_tokens,
    )
