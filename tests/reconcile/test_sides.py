"""What replicas carry together."""

from dataclasses import replace

from atoll.domain.architecture import Quantisation
from atoll.domain.strategy import EngineName, Phase, Stage, Strategy
from atoll.reconcile.sides import carried, side_of

WHOLE = Strategy(
    engine=EngineName.VLLM,
    tp=1,
    stages=(Stage(gpu_kind="L40S-48GB", layers=24),),
    quantisation=Quantisation.MXFP4,
    max_sequences=8,
    max_context=4096,
)
PREFILL, DECODE = replace(WHOLE, phase=Phase.PREFILL), replace(WHOLE, phase=Phase.DECODE)


def test_replicas_of_both_phases_add_up_wherever_they_are() -> None:
    assert side_of(WHOLE, "a") == side_of(replace(WHOLE, tp=2), "b")
    assert carried({side_of(WHOLE, "a"): 7.5}) == 7.5


def test_a_pair_carries_what_its_lesser_side_does() -> None:
    rates = {side_of(WHOLE, "a"): 1.0, side_of(PREFILL, "a"): 4.0, side_of(DECODE, "a"): 3.0}
    assert carried(rates) == 4.0
    assert carried({**rates, side_of(PREFILL, "a"): 0.0}) == 1.0


def test_sides_of_other_zones_or_widths_are_no_pair() -> None:
    assert carried({side_of(PREFILL, "a"): 4.0, side_of(DECODE, "b"): 3.0}) == 0.0
    assert carried({side_of(PREFILL, "a"): 4.0, side_of(replace(DECODE, tp=2), "a"): 3.0}) == 0.0
