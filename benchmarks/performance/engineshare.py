"""What engines add to their kernels' time, fitted to the served loads of the engines that Atoll renders."""

from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from atoll.domain.strategy import EngineName
from atoll.performance.engine import EngineShare, runs_blocks
from benchmarks.performance.calibration import Evidence
from benchmarks.performance.measurements import architecture

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
DECODE = np.arange(95, 131) / 100.0
PROMPT = np.arange(9, 17) / 10.0
BLOCKS = np.arange(10, 17) / 10.0
SEQUENCE = np.arange(0, 44, 4) * 1e-6
ROUNDS = 4


NOTHING = EngineShare(decode=1.0, prompt=1.0, blocks=1.0, sequence=0.0)
"""Kernels alone."""


def share_errors(known: Evidence, share: EngineShare, slower: Array | float = 1.0) -> tuple[Array, Array]:
    """Logarithm of estimate over measurement, TPOT and rate of every served row; meant for engines that are rendered.

    Args:
        known: measurements beside what kernels take.
        share: what engines add.
        slower: further factor of all steps, by row.
    """
    blocks = np.where(_blocks(known), share.blocks, 1.0) * slower
    none = np.zeros(len(known.served))
    sequence = np.where(_sglang(known), share.sequence, 0.0) * slower
    tpot, rate = known.predicted.tpot_and_rate(share.decode * blocks, share.prompt * blocks, none, sequence)
    measured_tpot, measured_rate = _measured(known)
    return np.log(tpot / measured_tpot), np.log(rate / measured_rate)


def fit_share(known: Evidence, use: Mask) -> EngineShare:
    """The least sum of absolute logarithms of TPOT and rate, over grids of the four in turn.

    Args:
        known: measurements beside what kernels take.
        use: served rows to fit to; of them those of engines that are rendered count.
    """
    use = use & np.array([row.rendered for row in known.served])
    found = NOTHING
    if not use.any():
        return found

    def loss(share: EngineShare) -> float:
        tpot, rate = share_errors(known, share)
        return float(np.abs(tpot[use]).sum() + np.abs(rate[use]).sum())

    for _ in range(ROUNDS):
        before = found
        # Decode and prompt pull against each other, so they are tried together.
        pairs = [replace(found, decode=float(a), prompt=float(b)) for a, b in product(DECODE, PROMPT)]
        found = min(pairs, key=loss)
        found = min((replace(found, blocks=float(each)) for each in BLOCKS), key=loss)
        found = min((replace(found, sequence=float(each)) for each in SEQUENCE), key=loss)
        if found == before:
            break
    return found


@lru_cache(maxsize=4)
def _measured(known: Evidence) -> tuple[Array, Array]:
    return np.array([row.tpot_seconds for row in known.served]), np.array([row.rate for row in known.served])


@lru_cache(maxsize=4)
def _blocks(known: Evidence) -> Mask:
    return np.array(
        [
            row.rendered and runs_blocks(architecture(row.model), row.quantisation, EngineName(row.engine))
            for row in known.served
        ]
    )


@lru_cache(maxsize=4)
def _sglang(known: Evidence) -> Mask:
    return np.array([row.engine == EngineName.SGLANG.value for row in known.served])
