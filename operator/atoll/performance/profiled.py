"""Step times from PerformanceProfiles: what was measured wins over every estimate.

A profile has a few measured steps of the whole model. Between and beyond them the estimate tells the course: measured
over estimated, in logarithms, is interpolated over batch and context (decode) or prompt length (prefill), and held
beyond the ends. So a measured point is reproduced exactly, and one point is enough to correct an estimate.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.gpu import GpuKind
from atoll.domain.profile import PerformanceProfile, Phase, ProfilePoint
from atoll.domain.strategy import EngineName, PerformanceSource
from atoll.performance.estimate import Performance
from atoll.performance.steps import StepCosts

Array = NDArray[np.float64]
EXPECTED_ERROR = 0.1
"""Of rates that follow from measured steps. Stated assumption: repeated runs, and what lies between the points."""


def with_profiles(
    base: Performance, profiles: Iterable[PerformanceProfile], architecture: Architecture, engine: EngineName
) -> Performance:
    """The profiles of one served model on one engine, before what else is known.

    Without any, ``base`` itself: profiles of other served models change nothing that is remembered.
    """
    name = architecture.name.casefold()
    mine = [item for item in profiles if item.engine is engine and item.architecture.casefold() == name]
    if not mine:
        return base
    return ProfiledPerformance(profiles=tuple(sorted(mine, key=lambda item: item.name)), base=base)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledPerformance:
    """Profiles of one served model and engine; where none fits, the base.

    Attributes:
        profiles: in the order of their names; their points count together.
        base: what is known besides.
    """

    profiles: tuple[PerformanceProfile, ...]
    base: Performance

    def costs(
        self,
        architecture: Architecture,
        kind: GpuKind,
        tp: int,
        quantisation: Quantisation,
        engine: EngineName = EngineName.VLLM,
    ) -> StepCosts:
        """Costs from the profiles of this GPU kind, width and quantisation, or from the base."""
        return _costs(self, architecture=architecture, kind=kind, tp=tp, quantisation=quantisation, engine=engine)


@lru_cache(maxsize=256)
def _costs(
    known: ProfiledPerformance,
    *,
    architecture: Architecture,
    kind: GpuKind,
    tp: int,
    quantisation: Quantisation,
    engine: EngineName,
) -> StepCosts:
    estimate = known.base.costs(architecture, kind, tp, quantisation, engine)
    points = [
        point
        for item in known.profiles
        if (item.gpu_kind, item.tp, item.quantisation) == (kind.name, tp, quantisation)
        for point in item.points
    ]
    return ProfiledCosts.of(points, estimate, architecture.layers) if points else estimate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProfiledCosts:
    """An estimate, corrected where it was measured.

    Attributes:
        estimate: what is corrected.
        prompts: log2 of measured prompt lengths, tokens; empty where none was measured.
        prefill: log of measured over estimated, by prompt length.
        batches: log2 of measured decode batches; empty where none was measured.
        decode: by batch: log2 of contexts, and log of measured over estimated.
    """

    estimate: StepCosts
    prompts: Array
    prefill: Array
    batches: Array
    decode: tuple[tuple[Array, Array], ...]

    @classmethod
    def of(cls, points: Iterable[ProfilePoint], estimate: StepCosts, layers: int) -> "ProfiledCosts":
        """Compare measured steps with an estimate; steps measured more than once count by their mean logarithm."""
        prefill: dict[int, list[float]] = defaultdict(list)
        decode: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for point in points:
            size = np.array([float(point.sequences)])
            if point.phase is Phase.PREFILL:
                tokens = np.array([float(point.tokens)])
                whole = point.sequences * layers * estimate.prefill_layer(tokens)[0] + estimate.head(size)[0]
                prefill[point.tokens].append(float(np.log(point.seconds / whole)))
            else:
                whole = layers * estimate.decode_layer(size, float(point.tokens))[0] + estimate.head(size)[0]
                decode[point.sequences][point.tokens].append(float(np.log(point.seconds / whole)))
        return cls(
            estimate=estimate,
            prompts=np.log2(np.array(sorted(prefill), dtype=np.float64)),
            prefill=np.array([np.mean(prefill[tokens]) for tokens in sorted(prefill)]),
            batches=np.log2(np.array(sorted(decode), dtype=np.float64)),
            decode=tuple(_line(decode[batch]) for batch in sorted(decode)),
        )

    @property
    def source(self) -> PerformanceSource:
        """Always the profile."""
        return PerformanceSource.PROFILE

    @property
    def expected_error(self) -> float:
        """Of measured steps; of the estimate where only one phase was measured."""
        whole = len(self.prompts) and len(self.batches)
        return EXPECTED_ERROR if whole else max(EXPECTED_ERROR, self.estimate.expected_error)

    def prefill_layer(self, tokens: Array) -> Array:
        """The estimate, corrected for the prompt length."""
        return self.estimate.prefill_layer(tokens) * self._of_prefill(tokens)

    def decode_layer(self, batch: Array, context: float) -> Array:
        """The estimate, corrected for batch and context."""
        return self.estimate.decode_layer(batch, context) * self._of_decode(batch, context)

    def saved_layer(self, batch: Array, tokens: Array) -> Array:
        """The estimate, corrected as the phase that was estimated the longer: no more is saved than is there."""
        least = np.minimum(self._of_prefill(tokens), self._of_decode(batch, _MIDDLE_CONTEXT))
        return self.estimate.saved_layer(batch, tokens) * least

    def head(self, batch: Array) -> Array:
        """The estimate, corrected as decode steps are."""
        return self.estimate.head(batch) * self._of_decode(batch, _MIDDLE_CONTEXT)

    def _of_prefill(self, tokens: Array) -> Array:
        if not len(self.prompts):
            return np.ones_like(tokens)
        return np.asarray(np.exp(np.interp(np.log2(np.maximum(tokens, 1.0)), self.prompts, self.prefill)))

    def _of_decode(self, batch: Array, context: float) -> Array:
        if not len(self.batches):
            return np.ones_like(batch)
        at = np.array([np.interp(np.log2(max(context, 1.0)), contexts, logs) for contexts, logs in self.decode])
        return np.asarray(np.exp(np.interp(np.log2(np.maximum(batch, 1.0)), self.batches, at)))


_MIDDLE_CONTEXT = 1024.0
"""Context, tokens, at which the head is corrected; it does not depend on one."""


def _line(points: Mapping[int, list[float]]) -> tuple[Array, Array]:
    contexts = sorted(points)
    return np.log2(np.array(contexts, dtype=np.float64)), np.array([np.mean(points[tokens]) for tokens in contexts])
