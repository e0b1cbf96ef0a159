"""vLLM's command line for one stage.

Every flag and variable was looked up in vLLM's own source; docs/engines.md lists each with its file and commit. Flags
are in ``vllm/engine/arg_utils.py`` (``EngineArgs.add_cli_args``), the multi-node ones with their meaning in
``vllm/config/parallel.py`` (00193b82), ``--headless`` followers in ``vllm/entrypoints/cli/serve.py`` (00a5fdd2,
``run_headless``), variables in ``vllm/envs.py``. The ``vllm serve`` command is used: the module entry point ignores
``--headless`` (vllm#36875).
"""

from typing import Any

from atoll.domain.architecture import Quantisation
from atoll.domain.engineterms import CHUNK_TOKENS, MEMORY_FRACTION
from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.render.engines.stage import HTTP_PORT, RENDEZVOUS_PORT, StageContext, StageProcess

KEEP_ALIVE_SECONDS = 7200
"""An idle connection is closed by the engine after so long, seconds; vLLM's default of 5 s races with the router."""

RESERVED_FLAGS = frozenset(
    {
        "--config",
        "--data-parallel-size",
        "--data-parallel-rank",
        "--distributed-executor-backend",
        "--distributed-timeout-seconds",
        "--headless",
        "--host",
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
"""Flags that the plan decides; argparse takes the last of a repeated flag, so a user's would silently undo the plan."""

_SHORT_FLAGS = frozenset({"-tp", "-pp", "-dp", "-dpn", "-n", "-r", "-q"})


def stage_process(context: StageContext) -> StageProcess:
    """The process of one stage; InvalidObjectError where the demand asks what vLLM cannot do."""
    _refuse_reserved(context.demand.engine.args)
    args = [
        context.weights.source,
        *_flag("revision", context.weights.revision),
        *_flag("served-model-name", *context.served_names),
        *_flag("tensor-parallel-size", context.strategy.tp),
        *_flag("max-num-seqs", context.strategy.max_sequences),
        *_flag("max-model-len", context.strategy.max_context),
        *_flag("gpu-memory-utilization", MEMORY_FRACTION),
        *_flag("max-num-batched-tokens", CHUNK_TOKENS),
        *_quantisation(context),
        "--enable-chunked-prefill",
        "--enable-prefix-caching",
        *_pipeline(context),
        *(_serving(context) if context.leads else ("--headless",)),
        *context.demand.engine.args,
    ]
    return StageProcess(command=("vllm", "serve"), args=tuple(args), env=tuple(_environment(context)))


def _flag(name: str, *values: object) -> tuple[str, ...]:
    written = [str(value) for value in values if value != ""]
    return (f"--{name}", *written) if written else ()


def _serving(context: StageContext) -> tuple[str, ...]:
    return (*_flag("port", HTTP_PORT), *_flag("shutdown-timeout", context.shutdown_seconds))


def _pipeline(context: StageContext) -> tuple[str, ...]:
    stages = len(context.strategy.stages)
    if stages == 1:
        return ()
    return (
        *_flag("pipeline-parallel-size", stages),
        *_flag("distributed-executor-backend", "mp"),
        *_flag("nnodes", stages),
        *_flag("node-rank", context.stage),
        *_flag("master-addr", context.leader),
        *_flag("master-port", RENDEZVOUS_PORT),
        # The default of 600 s ends before the slowest stage has its node, image and weights.
        *_flag("distributed-timeout-seconds", context.start_budget_seconds),
    )


def _quantisation(context: StageContext) -> tuple[str, ...]:
    native, wanted = context.demand.architecture.native, context.strategy.quantisation
    if wanted is native:
        return ()  # the checkpoint's own configuration says how its weights are held
    if wanted is Quantisation.FP8 and native is Quantisation.BF16:
        return _flag("quantization", "fp8")
    raise InvalidObjectError(
        Fault(
            reason=Reason.INVALID_SPEC,
            field="spec.model.quantisations",
            message=f"vLLM cannot hold weights published in {native} as {wanted}; give the URI of weights in {wanted},"
            f" or allow {native}",
        )
    )


def _environment(context: StageContext) -> list[dict[str, Any]]:
    env: list[dict[str, Any]] = [
        {"name": "VLLM_NO_USAGE_STATS", "value": "1"},
        # Waiting for the engine core ends after 600 s by default, too early for large weights.
        {"name": "VLLM_ENGINE_READY_TIMEOUT_S", "value": str(context.start_budget_seconds)},
    ]
    if context.leads:
        # Longer than the router keeps an idle connection (1 h): no request meets one that is being closed.
        env.append({"name": "VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "value": str(KEEP_ALIVE_SECONDS)})
    if len(context.strategy.stages) > 1:
        partition = ",".join(str(stage.layers) for stage in context.strategy.stages)
        env += [
            {"name": "VLLM_PP_LAYER_PARTITION", "value": partition},
            {"name": "VLLM_HOST_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        ]
    return env


def _refuse_reserved(args: tuple[str, ...]) -> None:
    for index, argument in enumerate(args):
        name = argument.partition("=")[0].replace("_", "-")
        # vLLM's parser takes underscores, and argparse any unambiguous beginning of a flag.
        reserved = name in _SHORT_FLAGS or (
            len(name) > len("--") and name.startswith("--") and any(flag.startswith(name) for flag in RESERVED_FLAGS)
        )
        if reserved:
            raise InvalidObjectError(
                Fault(
                    reason=Reason.INVALID_SPEC,
                    field=f"spec.engine.args[{index}]",
                    message=f"{argument!r} is decided by the plan; remove it",
                )
            )
