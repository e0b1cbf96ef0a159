"""What the rate model says of the replicas that ``engine`` simulates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.engineterms import TERMS
from atoll.domain.gpu import GpuKind
from atoll.domain.strategy import EngineName
from atoll.domain.workload import Objectives, Workload
from atoll.optimize.templates.curves import tabulate
from atoll.optimize.templates.hops import transfer_seconds
from atoll.optimize.templates.lengths import answer_steps, decode_steps, prompts
from atoll.optimize.templates.loads import loads_of
from atoll.optimize.templates.pipelines import Setting, pipelines
from atoll.optimize.templates.rate import Best, Bounds, largest_rate
from optimize.templates.engine import Device, Served

SERVED = architecture("Qwen/Qwen3-32B")
HOP_PER_TOKEN = float(transfer_seconds(SERVED, np.float64(1.0)))


@dataclass(frozen=True)
class Told:
    """Step costs by kind name, as told."""

    stages: tuple[Served, ...]

    def costs(  # as the rate model asks
        self,
        architecture: Architecture,  # noqa: ARG002  # of the protocol
        kind: GpuKind,
        tp: int,  # noqa: ARG002  # of the protocol
        quantisation: Quantisation,  # noqa: ARG002  # of the protocol
        engine: EngineName = EngineName.VLLM,  # noqa: ARG002  # of the protocol
    ) -> Device:
        return self.stages[int(kind.name)].device


def modelled(stages: Sequence[Served], workload: Workload, objectives: Objectives) -> Best:
    """The largest rate with memory for everything."""
    keys = [(str(number), 1, Quantisation.BF16) for number in range(len(stages))]
    kinds = {name: replace(gpu_kind("H100-80GB"), name=name) for name, _, _ in keys}
    lengths = prompts(workload)
    loads = loads_of(decode_steps(workload), lengths.mean_computed)
    curves = tabulate(
        keys,
        architecture=SERVED,
        workload=workload,
        lengths=lengths,
        loads=loads,
        kinds=kinds,
        performance=Told(tuple(stages)),
        engine=TERMS[EngineName.VLLM],
    )
    setting = Setting(
        architecture=SERVED,
        workload=workload,
        prompts=lengths,
        answers=answer_steps(workload.output),
        loads=loads,
        curves=curves,
    )
    endless = np.array([np.inf])
    bounds = Bounds(objectives=objectives, kv_sequences=endless, sequences=endless)
    layers = np.array([[stage.layers for stage in stages]])
    return largest_rate(pipelines([keys], curves), layers, bounds, setting)
