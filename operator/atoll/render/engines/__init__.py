"""Engines by name: each renders the process of one stage."""

from collections.abc import Callable, Mapping

from atoll.domain.strategy import EngineName
from atoll.render.engines import sglang, vllm
from atoll.render.engines.stage import StageContext, StageProcess

ENGINES: Mapping[EngineName, Callable[[StageContext], StageProcess]] = {
    EngineName.VLLM: vllm.stage_process,
    EngineName.SGLANG: sglang.stage_process,
}


def stage_process(context: StageContext) -> StageProcess:
    """The process of one stage under the strategy's engine; InvalidObjectError where the demand asks what it cannot."""
    return ENGINES[context.strategy.engine](context)
