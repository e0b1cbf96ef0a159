"""Many pipelines as arrays: one row per strategy, one column per stage.

Columns are contiguous in memory: there are thousands of rows and at most eight columns, so sums and largest values over
the stages run along whole columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture
from atoll.domain.workload import Workload
from atoll.optimize.templates.curves import CurveKey, Curves
from atoll.optimize.templates.lengths import Prompts
from atoll.optimize.templates.loads import Loads

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pipelines:
    """Stages of many strategies, padded to the deepest.

    Attributes:
        curve: row of ``Curves`` by strategy and stage; 0 where there is no stage.
        present: whether there is such a stage.
        last: whether it is the last one of its strategy.
        depth: stages by strategy.
    """

    curve: Indices
    present: Mask
    last: Mask
    depth: Indices

    def taken(self, rows: Indices) -> "Pipelines":
        """The strategies at some rows, in that order."""
        return Pipelines(
            curve=np.asfortranarray(self.curve[rows]),
            present=np.asfortranarray(self.present[rows]),
            last=np.asfortranarray(self.last[rows]),
            depth=self.depth[rows],
        )

    def repeated(self, times: int) -> "Pipelines":
        """Each strategy ``times`` over, neighbours alike."""
        return self.taken(np.repeat(np.arange(len(self.depth)), times))


def pipelines(stages: Sequence[Sequence[CurveKey]], curves: Curves) -> Pipelines:
    """Arrays of pipelines given stage by stage."""
    depth = np.array([len(keys) for keys in stages], dtype=np.int64)
    columns = np.arange(int(depth.max(initial=1)))
    curve = np.zeros((len(stages), len(columns)), dtype=np.int64, order="F")
    for row, keys in enumerate(stages):
        curve[row, : len(keys)] = [curves.index[key] for key in keys]
    return Pipelines(
        curve=curve,
        present=np.asfortranarray(columns[None, :] < depth[:, None]),
        last=np.asfortranarray(columns[None, :] == depth[:, None] - 1),
        depth=depth,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """What all strategies of one demand share.

    Attributes:
        architecture: of the served model.
        workload: shape of the requests.
        prompts: prompt lengths to evaluate.
        answers: decode steps of equally likely answers.
        loads: at which the curves are tabulated.
        curves: what steps cost.
        held_seconds: for which a sequence's KV is held beside prefill and decode, on average.
    """

    architecture: Architecture
    workload: Workload
    prompts: Prompts
    answers: Array
    loads: Loads
    curves: Curves
    held_seconds: float = 0.0

    def fixed_bytes(self, lines: Pipelines) -> Array:
        """Bytes of embedding and head by strategy and stage; tied, one matrix does for both."""
        first = np.zeros_like(lines.last)
        first[:, 0] = True
        ends = first.astype(np.float64) + lines.last
        if self.architecture.tied_embedding:
            ends = np.minimum(ends, 1.0)
        return np.asarray(ends * self.curves.vocabulary[lines.curve])
