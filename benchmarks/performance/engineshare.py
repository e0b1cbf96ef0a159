"""What engines add to their kernels' time, fitted to the served loads of the engines that Atoll renders."""

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


def share_errors(known: Evidence, share: EngineShare, slower: Array | float = 1.0) -> tuple[Array, Array]:
    """Logarithm of estimate over measurement, TPOT and rate of every served row; meant for engines that are rendered.

    Args:
        known: measurements beside what kernels take.
        share: what engines add.
        slower: further factor of all steps, by row.
    """
    blocks = np.where(_blocks(known), share.blocks, 1.0) * slower
    none = np.zeros(len(known.served))
    tpot, rate = known.predicted.tpot_and_rate(share.decode * blocks, share.prompt * blocks, none)
    return (
        np.log(tpot / np.array([row.tpot_seconds for row in known.served])),
        np.log(rate / np.array([row.rate for row in known.served])),
    )


def fit_share(known: Evidence, use: Mask) -> EngineShare:
    """The least sum of absolute logarithms of TPOT and rate, over a grid.

    Args:
        known: measurements beside what kernels take.
        use: served rows to fit to; of them those of engines that are rendered count.
    """
    use = use & np.array([row.rendered for row in known.served])
    found, least = EngineShare(decode=1.0, prompt=1.0, blocks=1.0), np.inf
    if not use.any():
        return found
    for decode, prompt, blocks in product(DECODE, PROMPT, BLOCKS):
        share = EngineShare(decode=float(decode), prompt=float(prompt), blocks=float(blocks))
        tpot, rate = share_errors(known, share)
        loss = float(np.abs(tpot[use]).sum() + np.abs(rate[use]).sum())
        if loss < least:
            found, least = share, loss
    return found


def _blocks(known: Evidence) -> Mask:
    return np.array(
        [
            row.rendered and runs_blocks(architecture(row.model), row.quantisation, EngineName(row.engine))
            for row in known.served
        ]
    )
