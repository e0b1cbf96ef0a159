"""What engines add to their kernels' time."""

import numpy as np
import pytest

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Quantisation
from atoll.domain.strategy import EngineName
from atoll.performance.engine import ENGINE_SHARE
from atoll.performance.estimate import KernelPerformance, ShippedPerformance

ONE = np.array([1.0])


@pytest.mark.parametrize(
    ("name", "quantisation", "engine", "blocks"),
    [
        ("MiniMaxAI/MiniMax-M2.5", Quantisation.FP8, EngineName.VLLM, ENGINE_SHARE.blocks),
        ("MiniMaxAI/MiniMax-M2.5", Quantisation.FP8, EngineName.SGLANG, 1.0),
        ("Qwen/Qwen3-32B", Quantisation.FP8, EngineName.VLLM, 1.0),
        ("openai/gpt-oss-120b", Quantisation.MXFP4, EngineName.VLLM, 1.0),
    ],
)
def test_an_engine_adds_its_share_and_vllm_more_where_experts_have_blocks(
    name: str, quantisation: Quantisation, engine: EngineName, blocks: float
) -> None:
    asked = (architecture(name), gpu_kind("H200-141GB"), 4, quantisation)
    kernels, whole = KernelPerformance().costs(*asked), ShippedPerformance().costs(*asked, engine)
    decode, prompt = ENGINE_SHARE.decode * blocks, ENGINE_SHARE.prompt * blocks
    each = ENGINE_SHARE.sequence if engine is EngineName.SGLANG else 0.0
    assert whole.decode_layer(8 * ONE, 900.0) == pytest.approx(decode * kernels.decode_layer(8 * ONE, 900.0))
    assert whole.head(8 * ONE) == pytest.approx(decode * kernels.head(8 * ONE) + 8 * each)
    assert whole.prefill_layer(900 * ONE) == pytest.approx(prompt * kernels.prefill_layer(900 * ONE))
    assert whole.saved_layer(8 * ONE, 900 * ONE) == pytest.approx(prompt * kernels.saved_layer(8 * ONE, 900 * ONE))
    assert (whole.source, whole.expected_error) == (kernels.source, kernels.expected_error)


def test_sglang_takes_longer_with_each_sequence_however_many_gpus_share_the_layers() -> None:
    served, kind = architecture("meta-llama/Llama-3.1-8B-Instruct"), gpu_kind("H200-141GB")
    heads = {
        (engine, tp): ShippedPerformance().costs(served, kind, tp, Quantisation.FP8, engine).head(512 * ONE)[0]
        for engine in (EngineName.VLLM, EngineName.SGLANG)
        for tp in (1, 8)
    }
    for tp in (1, 8):
        more = heads[EngineName.SGLANG, tp] - heads[EngineName.VLLM, tp]
        assert more == pytest.approx(512 * ENGINE_SHARE.sequence)
