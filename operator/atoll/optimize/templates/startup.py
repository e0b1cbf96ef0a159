"""How long a replica takes to start, by phases, once its nodes are there."""

from dataclasses import replace

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.engineterms import TERMS
from atoll.domain.startup import StartPhases, Starts
from atoll.domain.strategy import EngineName, Strategy, Template
from atoll.performance.memory import layer_bytes, vocabulary_bytes


def loaded_bytes(architecture: Architecture, quantisation: Quantisation, engine: EngineName) -> float:
    """Bytes that each pod of a replica loads: all weights as they are published.

    Weights that are quantised on loading come as published. Both engines download a repository whole, and read every
    tensor of it before they keep their own part (vLLM ``model_loader/weight_utils.py``: ``download_weights_from_hf``,
    ``safetensors_weights_iterator``), so a stage of a pipeline loads as much as a replica of one stage.
    """
    on_loading = (architecture.native, quantisation) in TERMS[engine].on_loading
    published = architecture.native if on_loading else quantisation
    vocabulary = vocabulary_bytes(architecture, 1) * (1 if architecture.tied_embedding else 2)
    return architecture.layers * layer_bytes(architecture, published, 1) + vocabulary


def start_phases(architecture: Architecture, strategy: Strategy, starts: Starts) -> StartPhases:
    """The start of a replica that starts alone, on the slowest nodes that its stages fit on."""
    rate = min(starts.rate(stage.gpu_kind, strategy.tp) for stage in strategy.stages)
    return starts.policy.phases(loaded_bytes(architecture, strategy.quantisation, strategy.engine), rate)


def with_start(template: Template, architecture: Architecture, starts: Starts) -> Template:
    """The template with its start: rating does not need it, so that what is rated is remembered whatever the nodes."""
    phases = start_phases(architecture, template.strategy, starts)
    return replace(template, startup_seconds=phases.seconds, phases=phases)
