from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.catalogue.architectures import architecture
from atoll.domain.architecture import Quantisation
from atoll.domain.demand import Demand
from atoll.domain.problem import ReplicaSite
from atoll.domain.reason import InvalidObjectError
from atoll.domain.strategy import EngineName, Phase, Stage, Strategy
from atoll.render.deployment import replica_deployments, single_stage_deployment
from atoll.render.engines import stage_process
from atoll.render.engines.sglang import RESERVED_FLAGS
from atoll.render.service import prefill_service, rendezvous_service
from golden import assert_golden
from render.processes import context, flags, variables
from render.sample import DEMAND, FLEET, POOLS, SINGLE, as_yaml, offering

GOLDEN = Path(__file__).parent / "golden"
SGLANG = replace(DEMAND, engine=replace(DEMAND.engine, name=EngineName.SGLANG, image="registry.example/sglang:v0.5.23"))
ALONE = replace(SINGLE, engine=EngineName.SGLANG)
PIPELINE = replace(ALONE, stages=tuple(Stage(gpu_kind="H100-80GB", layers=layers) for layers in (33, 31)))


def refused(wanted: Demand, strategy: Strategy = ALONE) -> str:
    with pytest.raises(InvalidObjectError) as raised:
        stage_process(context(wanted, strategy))
    return raised.value.fault.field


def test_one_stage_serves_by_itself() -> None:
    process = stage_process(context(SGLANG, ALONE))

    assert process.command == ("python3", "-m", "sglang.launch_server")
    assert flags(process) == {
        "--model-path": "Qwen/Qwen3-32B",
        "--served-model-name": "Qwen/Qwen3-32B",
        "--tp-size": "2",
        "--max-running-requests": "256",
        "--context-length": "8192",
        "--mem-fraction-static": "0.874",
        "--chunked-prefill-size": "2048",
        "--enable-mixed-chunk": True,
        "--host": "0.0.0.0",  # noqa: S104  # what the pod listens to
        "--port": "8000",
        "--enable-metrics": True,
    }
    assert variables(process) == {"SGLANG_TIMEOUT_KEEP_ALIVE": "7200"}


def test_stages_differ_in_rank_alone() -> None:
    leader, follower = (flags(stage_process(context(SGLANG, PIPELINE, stage))) for stage in (0, 1))

    assert leader["--pp-size"] == leader["--nnodes"] == "2"
    assert leader["--dist-init-addr"] == "leader.prod.svc:29501"
    assert leader["--dist-timeout"] == "1200"
    assert (leader.pop("--node-rank"), follower.pop("--node-rank")) == ("0", "1")
    assert leader == follower


def test_every_stage_knows_the_partition_and_its_own_address() -> None:
    for stage in (0, 1):
        env = variables(stage_process(context(SGLANG, PIPELINE, stage)))

        assert env["SGLANG_PP_LAYER_PARTITION"] == "33,31"
        assert env["SGLANG_HOST_IP"] == {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}


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
    published = replace(SGLANG, architecture=replace(SGLANG.architecture, native=native))

    process = stage_process(context(published, replace(ALONE, quantisation=wanted)))

    assert flags(process).get("--quantization") == flag


def test_a_quantisation_that_cannot_be_had_is_refused() -> None:
    assert refused(SGLANG, replace(ALONE, quantisation=Quantisation.INT4)) == "spec.model.quantisations"


def test_experts_that_cannot_be_cut_are_dealt_out_whole() -> None:
    minimax = replace(SGLANG, architecture=architecture("MiniMaxAI/MiniMax-M2.5"))
    wide, narrow = (replace(ALONE, tp=tp, quantisation=Quantisation.FP8) for tp in (8, 4))

    assert flags(stage_process(context(minimax, wide)))["--ep-size"] == "8"
    assert "--ep-size" not in flags(stage_process(context(minimax, narrow)))


@pytest.mark.parametrize(("phase", "port"), [(Phase.PREFILL, "8000"), (Phase.DECODE, "8001")])
def test_a_side_of_a_pair_is_told_its_phase_and_how_kv_goes(phase: Phase, port: str) -> None:
    process = stage_process(context(SGLANG, replace(ALONE, phase=phase, peer_tp=2, kv_form="common")))

    told = flags(process)
    assert told["--disaggregation-mode"] == phase.lower()
    assert told["--disaggregation-transfer-backend"] == "nixl"
    assert told.get("--disaggregation-bootstrap-port") == ("8998" if phase is Phase.PREFILL else None)
    assert told["--port"] == port
    # One phase alone never mixes prompts with decode steps.
    assert "--enable-mixed-chunk" not in told
    assert variables(process)["SGLANG_HOST_IP"] == {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}


def test_how_kv_goes_may_be_changed_on_both_sides() -> None:
    args = ("--disaggregation-transfer-backend", "mooncake", "--disaggregation-ib-device", "mlx5_0")
    wanted = replace(SGLANG, engine=replace(SGLANG.engine, args=args))

    for phase in Phase:
        side = replace(ALONE, phase=phase, peer_tp=2, kv_form="common")
        assert stage_process(context(wanted, side)).args[-len(args) :] == args


def test_a_served_name_that_sglang_reads_as_an_adapter_is_refused() -> None:
    assert refused(replace(SGLANG, served_name="qwen3:32b")) == "spec.model.servedName"


@given(st.sampled_from(sorted(RESERVED_FLAGS)), st.sampled_from(["{}", "{}=7"]), st.integers(0, 4))
def test_no_argument_undoes_the_plan(flag: str, form: str, cut: int) -> None:
    written = form.format(flag[: max(len("--x"), len(flag) - cut)])
    wanted = replace(SGLANG, engine=replace(SGLANG.engine, args=("--log-level", "info", written)))

    assert refused(wanted) == "spec.engine.args[2]"


@pytest.mark.parametrize("args", [("--kv-cache-dtype", "fp8_e4m3"), ("--mem-fraction-static=0.8",)])
def test_other_arguments_come_last(args: tuple[str, ...]) -> None:
    wanted = replace(SGLANG, engine=replace(SGLANG.engine, args=args))

    assert stage_process(context(wanted, ALONE)).args[-len(args) :] == args


def test_a_pair_is_prefill_behind_a_service_without_address_and_decode_behind_its_proxy() -> None:
    sides = [replace(ALONE, phase=phase, peer_tp=2, kv_form="common") for phase in Phase]
    prefill, decode = (
        single_stage_deployment(
            demand=SGLANG,
            strategy=side,
            offering=offering("h100x8"),
            pools=POOLS,
            count=3,
            startup_seconds=420.0,
            fleet=FLEET,
        )
        for side in sides
    )
    service = prefill_service(SGLANG, sides[0], offering("h100x8").zone)
    _, proxy = decode["spec"]["template"]["spec"]["containers"]

    # The proxy tells both engines which replica prefills, so it has to know each.
    assert service["spec"]["clusterIP"] == "None"
    assert {e["name"]: e["value"] for e in proxy["env"]}["ATOLL_BOOTSTRAP_PORT"] == "8998"
    proxy["args"] = ["(source of atoll.pairproxy.proxy)"]
    assert_golden(GOLDEN / "sglang-pair.yaml", as_yaml([prefill, decode, service]))


def test_a_single_stage_deployment() -> None:
    deployment = single_stage_deployment(
        demand=SGLANG,
        strategy=ALONE,
        offering=offering("h100x8"),
        pools=POOLS,
        count=3,
        startup_seconds=420.0,
        fleet=FLEET,
    )
    assert_golden(GOLDEN / "sglang-single-stage.yaml", as_yaml([deployment]))


def test_a_pipeline_is_one_deployment_per_stage_and_a_rendezvous() -> None:
    stages = replica_deployments(
        demand=SGLANG,
        strategy=PIPELINE,
        site=ReplicaSite(offerings=(offering("h100x8"), offering("h100x8"))),
        replica=0,
        pools=POOLS,
        startup_seconds=420.0,
        fleet=FLEET,
    )
    assert_golden(GOLDEN / "sglang-pipeline.yaml", as_yaml([*stages, rendezvous_service(SGLANG, stages[0])]))


def test_weights_of_a_bucket_are_streamed() -> None:
    process = stage_process(context(replace(SGLANG, weights="s3://bucket/qwen3"), ALONE))

    assert flags(process)["--model-path"] == "s3://bucket/qwen3"
    assert flags(process)["--load-format"] == "runai_streamer"
