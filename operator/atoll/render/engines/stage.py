"""What an engine's renderer is given for one stage, and what it answers."""

from dataclasses import dataclass
from typing import Any

from atoll.catalogue.gpus import gpu_kind
from atoll.domain.demand import Demand
from atoll.domain.engineterms import TERMS, expert_parallel
from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.domain.strategy import Phase, Strategy
from atoll.render.weights import Weights

HTTP_PORT = 8000
"""Port at which stage 0 answers requests."""

BEHIND_PROXY_PORT = 8001
"""Port of a decode engine, behind its proxy."""

SIDE_CHANNEL_PORT = 5600
"""Port at which engines of a pair meet (vLLM's default ``VLLM_NIXL_SIDE_CHANNEL_PORT``); each GPU takes one more."""

BOOTSTRAP_PORT = 8998
"""Port at which SGLang's prefill replicas are met (its default ``--disaggregation-bootstrap-port``)."""

RENDEZVOUS_PORT = 29501
"""Port at which the stages of a replica meet (vLLM's default ``--master-port``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """One stage of one replica.

    Attributes:
        demand: which it serves.
        strategy: how its replica runs.
        stage: index of the stage.
        weights: where the weights are.
        leader: DNS name of stage 0; empty for a single-stage replica.
        start_budget_seconds: a replica that is not ready after so long has failed, seconds.
        shutdown_seconds: requests in flight may take so long to finish once the engine is told to stop, seconds.
    """

    demand: Demand
    strategy: Strategy
    stage: int
    weights: Weights
    leader: str
    start_budget_seconds: int
    shutdown_seconds: int

    @property
    def served_names(self) -> tuple[str, ...]:
        """What clients may put into the ``model`` field, without repeats; answers carry the first."""
        return tuple(dict.fromkeys((self.demand.served_name, str(self.demand.key))))

    @property
    def quantise_on_loading(self) -> str:
        """What the engine calls the quantisation that it makes on loading; empty where weights are held as published.

        Raises InvalidObjectError where it cannot hold them so.
        """
        published, wanted = self.demand.architecture.native, self.strategy.quantisation
        terms = TERMS[self.strategy.engine]
        if not terms.holds(published, wanted):
            raise InvalidObjectError(
                Fault(
                    reason=Reason.INVALID_SPEC,
                    field="spec.model.quantisations",
                    message=f"{terms.name} cannot hold weights published in {published} as {wanted}; give the URI of"
                    f" weights in {wanted}, or allow {published}",
                )
            )
        return terms.on_loading.get((published, wanted), "")

    @property
    def expert_parallel(self) -> bool:
        """Each GPU of a stage holds whole experts."""
        return expert_parallel(self.demand.architecture, self.strategy.tp, self.strategy.quantisation)

    @property
    def memory_fraction(self) -> float:
        """Share of this stage's GPU memory, as the engine counts it."""
        kind = gpu_kind(self.strategy.stages[self.stage].gpu_kind)
        return TERMS[self.strategy.engine].memory_fraction(kind.memory_gib)

    @property
    def http_port(self) -> int:
        """Where the engine's own server listens."""
        return BEHIND_PROXY_PORT if self.strategy.phase is Phase.DECODE else HTTP_PORT

    @property
    def leads(self) -> bool:
        """It is stage 0, which serves HTTP."""
        return self.stage == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProcess:
    """The process of a stage's container.

    Attributes:
        command: executable and subcommand.
        args: arguments, the user's last.
        env: Kubernetes EnvVar objects; they win over the user's.
    """

    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[dict[str, Any], ...]
