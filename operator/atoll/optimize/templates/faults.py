"""Why no strategy serves a demand, so that its owner can mend it."""

from collections.abc import Sequence

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.engineterms import EngineTerms
from atoll.domain.gpu import GpuKind
from atoll.domain.reason import Fault, Reason
from atoll.domain.strategy import Template
from atoll.domain.workload import Objectives, Workload
from atoll.optimize.templates.lengths import request_tokens
from atoll.performance.memory import supported


def too_long(architecture: Architecture, workload: Workload, objectives: Objectives) -> Fault:
    """Too many requests exceed the served model's context."""
    needed = request_tokens(workload, objectives.percentile)
    message = (
        f"{objectives.percentile:g} % of requests need a context of {needed:,.0f} tokens (prompt and answer), and "
        f"{architecture.name} takes {architecture.max_context:,}: shorten them, lower the percentile, or serve a model "
        "of longer context"
    )
    return Fault(reason=Reason.IMPOSSIBLE_OBJECTIVES, field="spec.demand.workload", message=message)


def no_room(
    architecture: Architecture, quantisations: Sequence[Quantisation], kinds: Sequence[GpuKind], engine: EngineTerms
) -> Fault:
    """Nothing runs at all: no GPU kind supports what is allowed, or memory does not suffice."""
    able = {
        quantisation: [kind.name for kind in kinds if supported(architecture, kind, quantisation, engine)]
        for quantisation in quantisations
    }
    unable = [quantisation for quantisation, names in able.items() if not names]
    if kinds and len(unable) == len(able):
        return _unsupported(architecture, unable, kinds, engine)
    names = ", ".join(kind.name for kind in kinds) or "no GPU kind that placement allows"
    rest = ", ".join(quantisation for quantisation in able if quantisation not in unable) or ", ".join(quantisations)
    message = (
        f"{architecture.name} as {rest} fits no strategy on what pools offer ({names}); "
        "add pools of larger GPUs or nodes, or allow another quantisation or GPU kind"
    )
    if unable:
        message += f"; {', '.join(unable)} is supported on none of these kinds"
    return Fault(reason=Reason.NO_POOL_FITS, message=message)


def too_slow(architecture: Architecture, objectives: Objectives, idle: Sequence[Template]) -> Fault:
    """Everything is too slow; say what could be reached."""
    ttft = min(idle, key=lambda template: template.ttft_seconds)
    tpot = min(idle, key=lambda template: template.tpot_seconds)
    message = (
        f"no strategy of {architecture.name} meets TTFT {objectives.ttft_seconds:g} s and TPOT "
        f"{objectives.tpot_seconds:g} s at percentile {objectives.percentile:g}, not even idle; best TTFT "
        f"{ttft.ttft_seconds:.3g} s on {ttft.strategy}, best TPOT {tpot.tpot_seconds:.3g} s on {tpot.strategy}; loosen "
        "the objectives or add faster pools"
    )
    return Fault(reason=Reason.IMPOSSIBLE_OBJECTIVES, field="spec.objectives", message=message)


def _unsupported(
    architecture: Architecture, unable: Sequence[Quantisation], kinds: Sequence[GpuKind], engine: EngineTerms
) -> Fault:
    """Say which quantisation is missing where, and which one these kinds support."""
    usable = [
        quantisation
        for quantisation in Quantisation
        if quantisation not in unable and any(supported(architecture, kind, quantisation, engine) for kind in kinds)
    ]
    mends = [f"allow {' or '.join(usable)} in spec.model.quantisations"] if usable else []
    if any(engine.holds(architecture.native, quantisation) for quantisation in unable):
        mends.append("allow newer GPU kinds and add pools of them")
    message = (
        f"quantisation {', '.join(unable)} of {architecture.name} is not supported on the allowed GPU kinds "
        f"({', '.join(kind.name for kind in kinds)}): {', or '.join(mends)}"
    )
    return Fault(reason=Reason.NO_POOL_FITS, field="spec.model.quantisations", message=message)
