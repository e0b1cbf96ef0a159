"""What the data sheet allows is never slower than what is estimated."""

import numpy as np
import pytest

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind, known_gpu_kinds
from atoll.domain.architecture import Quantisation
from atoll.performance.estimate import KernelPerformance
from atoll.performance.peak import peak

BATCHES, PROMPTS = np.array([1.0, 16.0, 256.0]), np.array([64.0, 1024.0, 16384.0])


@pytest.mark.parametrize("kind", known_gpu_kinds())
@pytest.mark.parametrize(
    ("name", "quantisation"),
    [
        ("meta-llama/Llama-3.1-70B-Instruct", Quantisation.BF16),
        ("meta-llama/Llama-3.1-70B-Instruct", Quantisation.FP8),
        ("openai/gpt-oss-120b", Quantisation.MXFP4),
        ("deepseek-ai/DeepSeek-V3", Quantisation.FP8),
    ],
)
def test_no_estimate_beats_the_data_sheet(kind: str, name: str, quantisation: Quantisation) -> None:
    asked = (architecture(name), gpu_kind(kind), 4, quantisation)
    estimate, least = KernelPerformance().costs(*asked), peak(*asked)
    assert (least.prefill_layer(PROMPTS) < estimate.prefill_layer(PROMPTS)).all()
    # Tables of fp8 weights hold KV of one byte, and are read for two.
    needed, said = (
        asked[0].layers * costs.decode_layer(BATCHES, context) + costs.head(BATCHES)
        for costs, context in ((least, 512.0), (estimate, 1024.0))
    )
    assert (needed < said).all()
