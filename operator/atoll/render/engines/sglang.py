"""SGLang's command line for one stage.

Every flag and variable was looked up in SGLang 0.5.23 (PyPI wheel): ``sglang/srt/arg_groups/fields/*.py`` declare the
flags of ``server_args.py``, ``sglang/srt/environ.py`` the variables; docs/engines.md lists each with its file. The
module entry point is used, which older images have too.
"""

from typing import Any

from atoll.domain.engineterms import CHUNK_TOKENS
from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.domain.strategy import Phase
from atoll.render.engines.arguments import flag, refuse_reserved
from atoll.render.engines.stage import BOOTSTRAP_PORT, RENDEZVOUS_PORT, StageContext, StageProcess

KEEP_ALIVE_SECONDS = 7200
"""An idle connection is closed by the engine after so long, seconds; the default of 5 s races with the router."""

RESERVED_FLAGS = frozenset(
    {
        "--attention-data-parallel-size",
        "--attn-dp-size",
        "--config",
        "--context-length",
        "--data-parallel-size",
        "--disaggregation-bootstrap-port",
        "--disaggregation-mode",
        "--dist-init-addr",
        "--dist-timeout",
        "--dp-size",
        "--enable-dp-attention",
        "--ep",
        "--ep-size",
        "--expert-parallel-size",
        "--host",
        "--max-running-requests",
        "--model",
        "--model-path",
        "--nccl-init-addr",
        "--nnodes",
        "--node-rank",
        "--pipeline-parallel-size",
        "--port",
        "--pp-max-micro-batch-size",
        "--pp-size",
        "--quantization",
        "--revision",
        "--served-model-name",
        "--tensor-parallel-size",
        "--tp-size",
    }
)
"""Flags that the plan decides, with their aliases."""


def stage_process(context: StageContext) -> StageProcess:
    """The process of one stage; InvalidObjectError where the demand asks what SGLang cannot do."""
    refuse_reserved(context.demand.engine.args, RESERVED_FLAGS)
    args = [
        *flag("model-path", context.weights.source),
        *flag("revision", context.weights.revision),
        *flag("load-format", context.weights.load_format),
        *flag("served-model-name", _served_name(context)),
        *flag("tp-size", context.strategy.tp),
        *flag("max-running-requests", context.strategy.max_sequences),
        *flag("context-length", context.strategy.max_context),
        *flag("mem-fraction-static", context.memory_fraction),
        *flag("chunked-prefill-size", CHUNK_TOKENS),
        *_phase(context),
        *flag("quantization", context.quantise_on_loading),
        *(flag("ep-size", context.strategy.tp) if context.expert_parallel else ()),
        *_pipeline(context),
        *flag("host", "0.0.0.0"),  # noqa: S104  # a pod's probes and its router come from outside
        *flag("port", context.http_port),
        "--enable-metrics",
        *context.demand.engine.args,
    ]
    command = ("python3", "-m", "sglang.launch_server")
    return StageProcess(command=command, args=tuple(args), env=tuple(_environment(context)))


def _served_name(context: StageContext) -> str:
    """The name in answers; SGLang serves requests for any other name too, so one suffices."""
    name = context.demand.served_name
    if ":" in name:
        raise InvalidObjectError(
            Fault(
                reason=Reason.INVALID_SPEC,
                field="spec.model.servedName",
                message=f"{name!r} has a colon, by which SGLang tells adapters; use another name, or vllm",
            )
        )
    return name


def _phase(context: StageContext) -> tuple[str, ...]:
    """What a replica of one phase is told; of both, that prompts join decode steps."""
    phase = context.strategy.phase
    if phase is None:
        # Without it prompts go before decoding sequences, which then wait: TPOT would follow no plan.
        return ("--enable-mixed-chunk",)
    return (
        *flag("disaggregation-mode", phase.lower()),
        # The default needs RDMA; NIXL's UCX takes TCP where there is nothing better.
        *flag("disaggregation-transfer-backend", "nixl"),
        *(flag("disaggregation-bootstrap-port", BOOTSTRAP_PORT) if phase is Phase.PREFILL else ()),
    )


def _pipeline(context: StageContext) -> tuple[str, ...]:
    stages = len(context.strategy.stages)
    if stages == 1:
        return ()
    return (
        *flag("pp-size", stages),
        *flag("nnodes", stages),
        *flag("node-rank", context.stage),
        *flag("dist-init-addr", f"{context.leader}:{RENDEZVOUS_PORT}"),
        *flag("dist-timeout", context.start_budget_seconds),
    )


def _environment(context: StageContext) -> list[dict[str, Any]]:
    env: list[dict[str, Any]] = []
    if context.leads:
        # Longer than the router keeps an idle connection (1 h): no request meets one that is being closed.
        env.append({"name": "SGLANG_TIMEOUT_KEEP_ALIVE", "value": str(KEEP_ALIVE_SECONDS)})
    several = len(context.strategy.stages) > 1
    if several:
        partition = ",".join(str(stage.layers) for stage in context.strategy.stages)
        env.append({"name": "SGLANG_PP_LAYER_PARTITION", "value": partition})
    if several or context.strategy.phase is not None:
        pod_ip = {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}
        env.append({"name": "SGLANG_HOST_IP", "valueFrom": pod_ip})
    return env
