from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.catalogue.architectures import architecture
from atoll.domain.architecture import Quantisation
from atoll.domain.reason import InvalidObjectError
from atoll.render.engines import stage_process
from atoll.render.engines.vllm import RESERVED_FLAGS
from render.processes import context, flags, variables
from render.sample import DEMAND, PIPELINE, SINGLE, demand


def test_one_stage_serves_by_itself() -> None:
    process = stage_process(context())

    assert process.command == ("vllm", "serve")
    assert process.args[0] == "Qwen/Qwen3-32B"
    assert flags(process) == {
        "--served-model-name": "Qwen/Qwen3-32B prod/qwen",
        "--tensor-parallel-size": "2",
        "--max-num-seqs": "256",
        "--max-model-len": "8192",
        "--gpu-memory-utilization": "0.9",
        "--max-num-batched-tokens": "2048",
        "--enable-chunked-prefill": True,
        "--enable-prefix-caching": True,
        "--port": "8000",
        "--shutdown-timeout": "300",
    }
    assert "VLLM_PP_LAYER_PARTITION" not in variables(process)


def test_stages_differ_in_rank_and_only_the_first_serves() -> None:
    leader, follower = (flags(stage_process(context(strategy=PIPELINE, stage=stage))) for stage in (0, 1))

    assert leader["--nnodes"] == follower["--nnodes"] == "2"
    assert leader["--pipeline-parallel-size"] == follower["--pipeline-parallel-size"] == "2"
    assert leader["--master-addr"] == follower["--master-addr"] == "leader.prod.svc"
    assert leader["--master-port"] == follower["--master-port"] == "29501"
    assert (leader["--node-rank"], follower["--node-rank"]) == ("0", "1")
    assert "--headless" not in leader
    assert follower["--headless"] is True
    assert "--port" not in follower
    own = {"--node-rank", "--headless", "--port", "--shutdown-timeout"}
    assert {k: v for k, v in leader.items() if k not in own} == {k: v for k, v in follower.items() if k not in own}


def test_every_stage_knows_the_partition_and_its_own_address() -> None:
    for stage in (0, 1):
        env = variables(stage_process(context(strategy=PIPELINE, stage=stage)))

        assert env["VLLM_PP_LAYER_PARTITION"] == "44,20"
        assert env["VLLM_HOST_IP"] == {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}


def test_stages_wait_for_one_another_as_long_as_a_start_may_take() -> None:
    process = stage_process(context(strategy=PIPELINE))

    assert flags(process)["--distributed-timeout-seconds"] == "1200"
    assert variables(process)["VLLM_ENGINE_READY_TIMEOUT_S"] == "1200"


@pytest.mark.parametrize(
    ("native", "wanted", "flag"),
    [
        (Quantisation.BF16, Quantisation.BF16, None),
        (Quantisation.BF16, Quantisation.FP8, "fp8"),
        (Quantisation.FP8, Quantisation.FP8, None),
        (Quantisation.MXFP4, Quantisation.MXFP4, None),
        (Quantisation.INT4, Quantisation.INT4, None),
    ],
)
def test_weights_are_quantised_on_loading_where_they_are_published_otherwise(
    native: Quantisation, wanted: Quantisation, flag: str | None
) -> None:
    published = replace(DEMAND, architecture=replace(DEMAND.architecture, native=native))

    process = stage_process(context(published, replace(SINGLE, quantisation=wanted)))

    assert flags(process).get("--quantization") == flag


@pytest.mark.parametrize(
    ("native", "wanted"),
    [
        (Quantisation.MXFP4, Quantisation.BF16),
        (Quantisation.BF16, Quantisation.MXFP4),
        (Quantisation.FP8, Quantisation.BF16),
        (Quantisation.BF16, Quantisation.INT4),
    ],
)
def test_a_quantisation_that_cannot_be_had_is_refused(native: Quantisation, wanted: Quantisation) -> None:
    published = replace(DEMAND, architecture=replace(DEMAND.architecture, native=native))

    with pytest.raises(InvalidObjectError) as raised:
        stage_process(context(published, replace(SINGLE, quantisation=wanted)))

    assert raised.value.fault.field == "spec.model.quantisations"


@given(st.sampled_from(sorted(RESERVED_FLAGS)), st.sampled_from(["{}", "{}=7"]), st.booleans(), st.integers(0, 6))
def test_no_argument_undoes_the_plan(flag: str, form: str, underscores: bool, cut: int) -> None:
    written = form.format(flag[: max(len("--x"), len(flag) - cut)])
    argument = written.replace("-", "_").replace("__", "--", 1) if underscores else written

    with pytest.raises(InvalidObjectError) as raised:
        stage_process(context(demand(args=("--swap-space", "4", argument))))

    assert raised.value.fault.field == "spec.engine.args[2]"


@pytest.mark.parametrize("argument", ["-tp", "-pp=2", "-n"])
def test_nor_does_a_short_flag(argument: str) -> None:
    with pytest.raises(InvalidObjectError, match="decided by the plan"):
        stage_process(context(demand(args=(argument,))))


@pytest.mark.parametrize("args", [("--kv-cache-dtype", "fp8"), ("--no-enable-prefix-caching",), ("--seed=1",)])
def test_other_arguments_come_last(args: tuple[str, ...]) -> None:
    assert stage_process(context(demand(args=args))).args[-len(args) :] == args


def test_experts_that_cannot_be_cut_are_dealt_out_whole() -> None:
    minimax = replace(DEMAND, architecture=architecture("MiniMaxAI/MiniMax-M2.5"))
    wide, narrow = (replace(SINGLE, tp=tp, quantisation=Quantisation.FP8) for tp in (8, 4))

    assert flags(stage_process(context(minimax, wide)))["--enable-expert-parallel"] is True
    assert "--enable-expert-parallel" not in flags(stage_process(context(minimax, narrow)))
