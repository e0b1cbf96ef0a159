"""Engines by name: each renders the process of one stage."""

from collections.abc import Callable, Mapping

from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.domain.strategy import EngineName
from atoll.render.engines import vllm
from atoll.render.engines.stage import StageContext, StageProcess

ENGINES: Mapping[EngineName, Callable[[StageContext], StageProcess]] = {EngineName.VLLM: vllm.stage_process}


def refusal(engine: EngineName) -> Fault | None:
    """Why demands with this engine cannot be served; None where it can be run."""
    if engine in ENGINES:
        return None
    return Fault(
        reason=Reason.INVALID_SPEC,
        field="spec.engine.name",
        message=f"{str(engine)!r} cannot be run yet; use one of: {', '.join(sorted(ENGINES))}",
    )


def stage_process(context: StageContext) -> StageProcess:
    """The process of one stage under the strategy's engine; InvalidObjectError where that engine is not rendered."""
    engine = context.strategy.engine
    fault = refusal(engine)
    if fault is not None:
        raise InvalidObjectError(fault)
    return ENGINES[engine](context)
