"""vLLM's command line for one stage.

Every flag and variable was looked up in vLLM's own source; docs/engines.md lists each with its file and commit. Flags
are in ``vllm/engine/arg_utils.py`` (``EngineArgs.add_cli_args``), the multi-node ones with their meaning in
``vllm/config/parallel.py`` (00193b82), ``--headless`` followers in ``vllm/entrypoints/cli/serve.py`` (00a5fdd2,
``run_headless``), variables in ``vllm/envs.py``. The ``vllm serve`` command is used: the module entry point ignores
``--headless`` (vllm#36875).
"""

import json
from typing import Any

from atoll.domain.engineterms import CHUNK_TOKENS
from atoll.domain.strategy import Phase
from atoll.render.engines.arguments import flag, refuse_reserved
from atoll.render.engines.stage import RENDEZVOUS_PORT, SIDE_CHANNEL_PORT, StageContext, StageProcess

KEEP_ALIVE_SECONDS = 7200
"""An idle connection is closed by the engine after so long, seconds; vLLM's default of 5 s races with the router."""

RESERVED_FLAGS = frozenset(
    {
        "--config",
        "--data-parallel-size",
        "--data-parallel-rank",
        "--distributed-executor-backend",
        "--distributed-timeout-seconds",
        "--enable-expert-parallel",
        "--headless",
        "--host",
        "--kv-transfer-config",
        "--master-addr",
        "--master-port",
        "--max-model-len",
        "--max-num-seqs",
        "--model",
        "--nnodes",
        "--node-rank",
        "--pipeline-parallel-size",
        "--port",
        "--quantization",
        "--revision",
        "--served-model-name",
        "--shutdown-timeout",
        "--tensor-parallel-size",
    }
)
"""Flags that the plan decides; a user's would silently undo it."""

_POD_IP = {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}
_SHORT_FLAGS = frozenset({"-tp", "-pp", "-dp", "-dpn", "-n", "-r", "-q"})


def stage_process(context: StageContext) -> StageProcess:
    """The process of one stage; InvalidObjectError where the demand asks what vLLM cannot do."""
    refuse_reserved(context.demand.engine.args, RESERVED_FLAGS, _SHORT_FLAGS)
    args = [
        context.weights.source,
        *flag("revision", context.weights.revision),
        *flag("load-format", context.weights.load_format),
        *_streaming(context),
        *flag("served-model-name", *context.served_names),
        *flag("tensor-parallel-size", context.strategy.tp),
        *flag("max-num-seqs", context.strategy.max_sequences),
        *flag("max-model-len", context.strategy.max_context),
        *flag("gpu-memory-utilization", context.memory_fraction),
        *flag("max-num-batched-tokens", CHUNK_TOKENS),
        *flag("quantization", context.quantise_on_loading),
        *_experts(context),
        "--enable-chunked-prefill",
        "--enable-prefix-caching",
        *_handing_over(context),
        *_pipeline(context),
        *(_serving(context) if context.leads else ("--headless",)),
        *context.demand.engine.args,
    ]
    return StageProcess(command=("vllm", "serve"), args=tuple(args), env=tuple(_environment(context)))


def _streaming(context: StageContext) -> tuple[str, ...]:
    """The processes of a stage share what is streamed, as SGLang's do by themselves; each would read all of it."""
    if not context.weights.load_format or context.strategy.tp == 1:
        return ()
    return flag("model-loader-extra-config", json.dumps({"distributed": True}))


def _serving(context: StageContext) -> tuple[str, ...]:
    return (*flag("port", context.http_port), *flag("shutdown-timeout", context.shutdown_seconds))


def _pipeline(context: StageContext) -> tuple[str, ...]:
    stages = len(context.strategy.stages)
    if stages == 1:
        return ()
    return (
        *flag("pipeline-parallel-size", stages),
        *flag("distributed-executor-backend", "mp"),
        *flag("nnodes", stages),
        *flag("node-rank", context.stage),
        *flag("master-addr", context.leader),
        *flag("master-port", RENDEZVOUS_PORT),
        # The default of 600 s ends before the slowest stage has its node, image and weights.
        *flag("distributed-timeout-seconds", context.start_budget_seconds),
    )


def _handing_over(context: StageContext) -> tuple[str, ...]:
    phase = context.strategy.phase
    if phase is None:
        return ()
    role = "kv_producer" if phase is Phase.PREFILL else "kv_consumer"
    # Where the KV does not come, the decode engine computes it: slower, and the request is served.
    settings = {"kv_connector": "NixlConnector", "kv_role": role, "kv_load_failure_policy": "recompute"}
    return flag("kv-transfer-config", json.dumps(settings))


def _experts(context: StageContext) -> tuple[str, ...]:
    return ("--enable-expert-parallel",) if context.expert_parallel else ()


def _environment(context: StageContext) -> list[dict[str, Any]]:
    env: list[dict[str, Any]] = [
        {"name": "VLLM_NO_USAGE_STATS", "value": "1"},
        # The router knows the names, and an alias that is added must not start replicas anew.
        {"name": "VLLM_SKIP_MODEL_NAME_VALIDATION", "value": "1"},
        # Waiting for the engine core ends after 600 s by default, too early for large weights.
        {"name": "VLLM_ENGINE_READY_TIMEOUT_S", "value": str(context.start_budget_seconds)},
    ]
    if context.leads:
        # Longer than the router keeps an idle connection (1 h): no request meets one that is being closed.
        env.append({"name": "VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "value": str(KEEP_ALIVE_SECONDS)})
    if context.strategy.phase is not None:
        env += [
            {"name": "VLLM_NIXL_SIDE_CHANNEL_HOST", "valueFrom": _POD_IP},
            {"name": "VLLM_NIXL_SIDE_CHANNEL_PORT", "value": str(SIDE_CHANNEL_PORT)},
        ]
    if len(context.strategy.stages) > 1:
        partition = ",".join(str(stage.layers) for stage in context.strategy.stages)
        env += [
            {"name": "VLLM_PP_LAYER_PARTITION", "value": partition},
            {"name": "VLLM_HOST_IP", "valueFrom": _POD_IP},
        ]
    return env
