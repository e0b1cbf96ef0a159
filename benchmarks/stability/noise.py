"""Steady demand with noise, over time: nothing should change after the first plan."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from atoll.performance.estimate import ShippedPerformance
from atoll.simulate.deciders import atoll
from atoll.simulate.outcome import plan_changes, planned_moves, served_share
from atoll.simulate.run import Setting, play

Row = Mapping[str, Any]


def row_of(name: str, setting: Setting, *, noise: float, seed: int) -> Row:
    """Play a fleet whose demand has noise.

    Args:
        name: of the instance.
        setting: what is played, without noise.
        noise: standard deviation of each epoch's demand, as a share.
        seed: of the noise.
    """
    curves = {key: replace(curve, noise=noise, seed=f"{seed}/{key}") for key, curve in setting.curves.items()}
    played = play(replace(setting, curves=curves), atoll(ShippedPerformance()), name="atoll")
    hours = len(played.epochs) * setting.epoch_seconds / 3600.0
    return {
        "instance": name,
        "check": "noise",
        "change": f"{noise:.0%} over {len(played.epochs)} epochs, seed {seed}",
        "planChanges": plan_changes(played.epochs),
        "moved": sum(planned_moves(played.epochs)),
        "served": served_share(played.epochs, setting.demands),
        "value": sum(epoch.cost for epoch in played.epochs) / hours,
    }
