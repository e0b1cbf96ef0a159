"""What replicas carry together."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import cast

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey
from atoll.domain.strategy import EngineName, Phase, Stage, Strategy
from atoll.reconcile.move import Move
from atoll.reconcile.room import Room
from atoll.reconcile.sides import Side, carried, side_of
from atoll.reconcile.spare import Spare
from atoll.reconcile.victims import Victim

KEY = DemandKey(namespace="shop", name="chat")

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


@dataclass
class Moving:
    """A move of one demand, as ``Spare`` asks it: requests/s of a replica, and replicas that serve, by side."""

    wanted: dict[str, tuple[Side, float]]
    serving_now: dict[str, tuple[Side, float]]

    def __post_init__(self) -> None:
        self.desired = SimpleNamespace(
            deployments={
                name: SimpleNamespace(stage=0, demand=KEY, count=1, rate=rate, side=side)
                for name, (side, rate) in self.wanted.items()
            }
        )
        self.live = {name: SimpleNamespace(stage=0, demand=KEY, replicas=1) for name in self.serving_now}
        self.grown: set[DemandKey] = set()

    def serving(self, _: str) -> int:
        return 1

    relied_on = serving

    def leaving(self, _: str) -> list[object]:
        return []

    def draining(self, _: str) -> int:
        return 0

    def whole(self, _: str) -> bool:
        return True

    def rate(self, name: str) -> float:
        return self.serving_now[name][1]

    def side(self, name: str) -> Side:
        return self.serving_now[name][0]


def may_go(old: Side, rate: float, moving: Moving) -> bool:
    victim = cast("Victim", SimpleNamespace(demand=KEY, side=old, rate=rate, draining=False, refilled=False, head=None))
    room = cast("Room", SimpleNamespace(stuck=lambda _: 0))
    return Spare(cast("Move", moving), room, [victim]).suffices(victim)


def test_whole_replicas_stay_until_both_sides_of_the_pair_serve() -> None:
    whole, prefill, decode = (side_of(each, "a") for each in (WHOLE, PREFILL, DECODE))
    wanted = {"p": (prefill, 4.0), "d": (decode, 4.0)}
    half = Moving(wanted, {"w": (whole, 6.0), "p": (prefill, 4.0)})
    both = Moving(wanted, {"w": (whole, 6.0), "p": (prefill, 4.0), "d": (decode, 4.0)})
    assert not may_go(whole, 6.0, half)
    assert may_go(whole, 6.0, both)


def test_a_side_goes_only_where_the_other_side_carries_no_more() -> None:
    prefill, decode = side_of(PREFILL, "a"), side_of(DECODE, "a")
    wanted = {"p": (prefill, 4.0), "d": (decode, 4.0)}
    surplus = Moving(wanted, {"p": (prefill, 4.0), "q": (prefill, 4.0), "d": (decode, 4.0)})
    assert may_go(prefill, 4.0, surplus)
    assert not may_go(decode, 4.0, surplus)
