import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.local.engines.tempo import Tempo, tempo_of

RATES = st.floats(0.05, 50.0)
TOKENS = st.floats(1.0, 4000.0)
TPOTS = st.floats(0.005, 0.5)


def tempo(rate: float, tokens: float, tpot: float, speed: float = 1.0) -> Tempo:
    return tempo_of(rate=rate, input_tokens=1000.0, output_tokens=tokens, ttft=1.0, tpot=tpot, speed=speed)


@given(RATES, TOKENS, TPOTS)
def test_at_the_templates_rate_tokens_come_at_the_objective(rate: float, tokens: float, tpot: float) -> None:
    sequences = max(1.0, rate * tokens * tpot)
    found = tempo(rate, tokens, tpot)
    assert found.peak / (sequences + found.half) == pytest.approx(1.0 / tpot)


@given(RATES, TOKENS, TPOTS, st.integers(1, 500))
def test_more_sequences_are_slower_each_and_faster_together(
    rate: float, tokens: float, tpot: float, sequences: int
) -> None:
    found = tempo(rate, tokens, tpot)
    one, other = found.tokens_per_second(sequences), found.tokens_per_second(sequences + 1)
    assert other < one
    assert (sequences + 1) * other > sequences * one
    assert sequences * one < found.peak


def test_time_can_be_compressed() -> None:
    slow, fast = tempo(2.0, 200.0, 0.06), tempo(2.0, 200.0, 0.06, speed=10.0)
    assert fast.tokens_per_second(7) == pytest.approx(10.0 * slow.tokens_per_second(7))
    assert fast.first_token_seconds(1000) == pytest.approx(slow.first_token_seconds(1000) / 10.0)
    assert fast.rated == pytest.approx(10.0 * slow.rated)
