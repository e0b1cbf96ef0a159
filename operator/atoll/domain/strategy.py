"""Serving strategies and templates: how a replica runs, and what it then delivers."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import cached_property

from atoll.domain.architecture import Quantisation
from atoll.domain.startup import StartPhases


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Stage:
    """One pipeline stage: a pod on one node.

    Attributes:
        gpu_kind: name of the GPU kind.
        layers: decoder layers that it holds; the first stage also holds the embedding, the last the head.
    """

    gpu_kind: str
    layers: int


class EngineName(StrEnum):
    """The inference engines that Atoll can run."""

    VLLM = "vllm"
    SGLANG = "sglang"


class Phase(StrEnum):
    """The two kinds of step that an engine makes."""

    PREFILL = "Prefill"
    DECODE = "Decode"


_OF_PAIRS = ("phase", "peer_tp", "kv_form")


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How a replica of a served model runs; its ``id`` is stable over processes and versions of estimates.

    Attributes:
        engine: inference engine.
        tp: tensor-parallel width, GPUs per stage; one width for all stages (vLLM asks for equal widths).
        stages: pipeline stages in order.
        quantisation: how weights are held.
        max_sequences: most sequences in flight in the whole replica (vLLM ``--max-num-seqs``).
        max_context: longest context admitted, tokens (vLLM ``--max-model-len``).
        phase: the one phase of requests that it serves, paired with replicas of the other; None where it serves both.
        peer_tp: width of those replicas; 0 where it serves both.
        kv_form: how its KV is laid out, which must be the same on both sides; empty where it serves both.
    """

    engine: EngineName
    tp: int
    stages: tuple[Stage, ...]
    quantisation: Quantisation
    max_sequences: int
    max_context: int
    phase: Phase | None = None
    peer_tp: int = 0
    kv_form: str = ""

    def __hash__(self) -> int:
        """That of the fields, reckoned once: a solve looks strategies up by the million."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, each.name) for each in fields(self)))

    def __getstate__(self) -> dict[str, object]:
        """Without the hash: that of text differs from process to process."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    @cached_property
    def id(self) -> str:
        """Ten hexadecimal digits of the content's SHA-256: the value of the label ``atoll.dev/strategy``."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()[:10]

    @property
    def content(self) -> dict[str, object]:
        """Its fields as JSON has them; without those of pairs where it serves both phases."""
        return {name: value for name, value in asdict(self).items() if name not in _OF_PAIRS or value}

    @property
    def variant(self) -> str:
        """What prefill and decode must have in common for one to read the other's KV."""
        peer = self.peer_tp or self.tp
        prefill, decode = (peer, self.tp) if self.phase is Phase.DECODE else (self.tp, peer)
        return f"{self.engine}-{self.quantisation}-tp{prefill}-tp{decode}-{self.kv_form}"

    @cached_property
    def gpus(self) -> int:
        """GPUs of one replica, all stages."""
        return self.tp * len(self.stages)

    @cached_property
    def need(self) -> Mapping[str, int]:
        """Stage pods, each ``tp`` GPUs wide, by GPU kind."""
        return Counter(stage.gpu_kind for stage in self.stages)

    def __str__(self) -> str:
        """Read as ``2 x H100-80GB tp4 + 1 x L40S-48GB tp4 (30+30+20 layers, bf16)``."""
        kinds = " + ".join(f"{count} x {kind} tp{self.tp}" for kind, count in self.need.items())
        layers = "+".join(str(stage.layers) for stage in self.stages)
        phase = f", {self.phase.lower()} only" if self.phase is not None else ""
        if self.peer_tp not in {0, self.tp}:
            phase += f" with tp{self.peer_tp}"
        return f"{kinds} ({layers} layers, {self.quantisation}{phase})"


class PerformanceSource(StrEnum):
    """Where an estimate came from, best first."""

    PROFILE = "Profile"
    OBSERVED = "Observed"
    MEASURED = "Measured"
    SILICON_TABLE = "SiliconTable"
    ROOFLINE = "Roofline"


class Limit(StrEnum):
    """What stops a template from delivering more."""

    TTFT = "TTFT"
    TPOT = "TPOT"
    KV_MEMORY = "KVMemory"
    COMPUTE = "Compute"
    SEQUENCES = "Sequences"
    KV_TRANSFER = "KVTransfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A strategy with what it delivers for one demand.

    Attributes:
        strategy: how it runs.
        rate: requests/s within the objectives, one replica.
        ttft_seconds: time to first token at the objective's percentile at that rate, seconds.
        tpot_seconds: time per output token at the objective's percentile at that rate, seconds.
        sequences: sequences in flight at that rate.
        limit: what stops it from delivering more.
        sources: where the latencies came from, one per GPU kind used, by kind name.
        expected_error: expected error of step times, the largest of its GPU kinds: standard deviation of the logarithm
            of true over estimated, without the margin that the rate holds; 0.15 = 15 %.
        startup_seconds: image, weights and engine start, without the node's, seconds.
        phases: of that start, for a replica that starts alone on the slowest nodes that it fits on; None where only the
            whole is known.
        class_rates: requests/s within the objectives if all were of one size class, by class of the demand; empty
            where the rate holds for every class.
    """

    strategy: Strategy
    rate: float
    ttft_seconds: float
    tpot_seconds: float
    sequences: float
    limit: Limit
    sources: Mapping[str, PerformanceSource]
    expected_error: float
    startup_seconds: float
    class_rates: tuple[float, ...] = ()
    phases: StartPhases | None = None
