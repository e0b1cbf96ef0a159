"""Demands that the tests of stage one share."""

from atoll.catalogue.architectures import architecture
from atoll.catalogue.lengths import azure_workloads
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.demand import Demand, DemandKey, Placement
from atoll.domain.workload import Objectives, Workload

CORAL = {
    # TTFT s, TPOT s, workload: arXiv 2605.04357. BurstGPT cannot be had: the Azure conversation stands in.
    "microsoft/phi-4": (1.2, 0.06, "azure-conversation"),
    "openai/gpt-oss-20b": (0.9, 0.03, "azure-code"),
    "Qwen/Qwen3-32B": (1.6, 0.1, "azure-conversation"),
    "meta-llama/Llama-3.3-70B-Instruct": (1.5, 0.08, "azure-conversation"),
    "openai/gpt-oss-120b": (1.0, 0.04, "azure-conversation"),
    "Qwen/Qwen3-235B-A22B": (1.8, 0.12, "azure-code"),
}
WIDTHS = {"L40S-48GB": 8, "L4-24GB": 8, "A10G-24GB": 8, "A100-80GB": 8, "H100-80GB": 8}


def demand(
    served: Architecture,
    objectives: Objectives,
    workload: Workload,
    *,
    rate: float = 25.0,
    quantisations: tuple[Quantisation, ...] = (),
    gpu_kinds: frozenset[str] = frozenset(),
) -> Demand:
    return Demand(
        key=DemandKey(namespace="test", name="demand"),
        served_name="served",
        architecture=served,
        rate=rate,
        workload=workload,
        objectives=objectives,
        quantisations=quantisations or (served.native,),
        placement=Placement(gpu_kinds=gpu_kinds),
    )


def coral_demand(name: str, *, percentile: float = 95.0, rate: float = 25.0) -> Demand:
    ttft, tpot, workload = CORAL[name]
    objectives = Objectives(ttft_seconds=ttft, tpot_seconds=tpot, percentile=percentile)
    return demand(architecture(name), objectives, azure_workloads()[workload], rate=rate)
