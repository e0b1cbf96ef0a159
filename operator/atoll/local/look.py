"""What a user of the local cluster sees: the same snapshot that the operator decides on, and the report of its plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from atoll.domain.objects import CHILD_KINDS, DEPLOYMENT, MODEL_DEMAND, NODE, OUR_KINDS, POD, ObjectLike, Reference
from atoll.domain.plan import Plan, PlanPhase
from atoll.domain.reason import Reason
from atoll.domain.snapshot import Snapshot
from atoll.local.api import Api
from atoll.reconcile.observe import observe
from atoll.reconcile.ownership import is_engine
from atoll.reconcile.plans import current_plan
from atoll.report.plan import PlanReport

_PASSING = {
    "",
    Reason.PLANNING.value,
    Reason.REPLICAS_STARTING.value,
    Reason.REPLICAS_PENDING.value,
    Reason.SCHEDULING_GATED.value,
    Reason.ROUTER_NOT_SYNCED.value,
    Reason.SOLVER_TIMEOUT.value,
}
"""Reasons of a demand that is not Ready yet but on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one ModelDemand stands.

    Attributes:
        name: ``namespace/name``.
        ready: its condition Ready, as of its present generation.
        reason: of that condition; empty before the first.
        message: of that condition.
        replicas: wanted.
        ready_replicas: that serve.
    """

    name: str
    ready: bool
    reason: str
    message: str
    replicas: int
    ready_replicas: int

    @property
    def settled(self) -> bool:
        """Nothing more will change by itself."""
        return self.ready or self.reason not in _PASSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The cluster at one moment.

    Attributes:
        snapshot: as the operator sees it.
        standings: of all demands, by name.
        nodes: with GPUs.
        pods: of engines: Ready and all.
    """

    snapshot: Snapshot
    standings: tuple[Standing, ...]
    nodes: int
    pods: tuple[int, int]

    @property
    def plan(self) -> Plan | None:
        """In force."""
        return current_plan(self.snapshot.plans)

    @property
    def settled(self) -> bool:
        """The plan is reached, every Deployment is Ready, and every demand says so or says why not."""
        plan = self.plan
        reached = plan is not None and plan.phase is PlanPhase.COMPLETED
        return reached and all(item.settled for item in self.standings) and self._deployments_ready()

    def _deployments_ready(self) -> bool:
        live = (obj for ref, obj in self.snapshot.objects.items() if ref.kind == DEPLOYMENT.name)
        return all(obj.get("status", {}).get("readyReplicas", 0) >= obj["spec"]["replicas"] for obj in live)

    def report(self, baseline: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The plan in force as `atoll plan --json` would print it; None before the first plan.

        Args:
            baseline: what a report says under ``baseline.oneKindPerModel``; None where it is not known.
        """
        if self.plan is None:
            return None
        faults = {str(ref): found[0] for ref, found in self.snapshot.faults.items()}
        report = PlanReport(
            plan=self.plan,
            demands=self.snapshot.demands,
            pools=self.snapshot.pools,
            faults=faults,
            baseline_per_hour=None,
            baseline_shortfall=0.0,
            solver="",
            solve_seconds=0.0,
            budget_per_hour=self.snapshot.fleet.solve.budget_per_hour,
        )
        return report.as_json() | {"baseline": {"oneKindPerModel": baseline}}


def look(api: Api, *, fleet: str = "default") -> Look:
    """Look at the cluster now."""
    kinds = (*OUR_KINDS, *CHILD_KINDS, NODE, POD)
    objects = {
        kind: [
            {**item, "apiVersion": kind.api_version, "kind": kind.name}
            for item in api.list(
                f"{kind.path}/{kind.plural}",
                selector="app.kubernetes.io/managed-by=atoll" if kind in CHILD_KINDS else "",
            )
        ]
        for kind in kinds
    }
    snapshot = observe(objects, fleet=fleet, router_versions={}, now=datetime.now(UTC))
    engines = [pod for pod in snapshot.pods if is_engine(pod.labels) and not pod.deleting]
    return Look(
        snapshot=snapshot,
        standings=tuple(
            _standing(ref, obj) for ref, obj in sorted(snapshot.objects.items()) if ref.kind == MODEL_DEMAND.name
        ),
        nodes=sum(node.gpus > 0 for node in snapshot.nodes.values()),
        pods=(sum(pod.ready for pod in engines), len(engines)),
    )


def _standing(ref: Reference, obj: ObjectLike) -> Standing:
    status = obj.get("status") or {}
    ready: dict[str, Any] = next((item for item in status.get("conditions") or () if item["type"] == "Ready"), {})
    current = ready.get("observedGeneration") == obj["metadata"].get("generation")
    return Standing(
        name=f"{ref.namespace}/{ref.name}",
        ready=current and ready.get("status") == "True",
        reason=ready.get("reason", "") if current else "",
        message=ready.get("message", "") if current else "",
        replicas=status.get("replicas", 0),
        ready_replicas=status.get("readyReplicas", 0),
    )
