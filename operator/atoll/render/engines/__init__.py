"""Engines by name: each renders the process of one stage."""

from collections.abc import Callable, Mapping

from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.domain.strategy import EngineName
from atoll.render.engines import vllm
from atoll.render.engines.stage import StageContext, StageProcess

ENGINES: Mapping[EngineName, Callable[[StageContext], StageProcess]] = {EngineName.VLLM: vllm.stage_process}


def stage_process(context: StageContext) -> StageProcess:
    """The process of one stage under the strategy's engine; InvalidObjectError where that engine is not rendered."""
    engine = ENGINES.get(context.strategy.engine)
    if engine is None:
        raise InvalidObjectError(
            Fault(
                reason=Reason.INVALID_SPEC,
                field="spec.engine.name",
                message=f"{str(context.strategy.engine)!r} cannot be run yet; use one of: {', '.join(sorted(ENGINES))}",
            )
        )
    return engine(context)
