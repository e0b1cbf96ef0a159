"""A move in progress, as one step sees it: what serves, what is still to come, and what is written."""

from collections.abc import Mapping
from datetime import datetime

from atoll.domain.demand import DemandKey
from atoll.domain.fleet import Acknowledgement
from atoll.domain.objects import HTTP_ROUTE, Action, Apply, ObjectLike, reference
from atoll.domain.reason import Fault, Reason
from atoll.domain.snapshot import ObservedPod, Snapshot
from atoll.reconcile.difference import differs
from atoll.reconcile.drain import is_drained, is_draining, is_found
from atoll.reconcile.gateway import differs_exactly, unacknowledged
from atoll.reconcile.running import DeploymentId, is_lost, node_is_gone, pods_by_deployment, replica_id, whole_replicas
from atoll.reconcile.service import rates
from atoll.reconcile.sides import Side, side_of
from atoll.reconcile.wanted import Desired


class Move:
    """Read-only view of a snapshot and what is desired, and the notes of one step.

    Attributes:
        snapshot: what was seen.
        desired: what the plan means.
        now: the moment.
        pods: our live pods by Deployment.
        live: our engine Deployments by namespace and name.
        actions: of this step so far.
        waiting: for what, by demand.
        grown: demands of which this step starts replicas.
        unrouted: demands whose present routes are not known by all that carry requests, and why.
        router_synced: there is none of them, and every router has acknowledged the present configuration.
        replan_due: another plan is about to come.
    """

    def __init__(self, snapshot: Snapshot, desired: Desired, now: datetime, *, replan_due: bool = False) -> None:
        self.snapshot = snapshot
        self.desired = desired
        self.now = now
        self.replan_due = replan_due
        self.pods = pods_by_deployment(snapshot)
        self.live = {(item.namespace, item.name): item for item in snapshot.deployments if not item.deleting}
        self.actions: list[Action] = []
        self.waiting: dict[DemandKey, str] = {}
        self.grown: set[DemandKey] = set()
        self.unrouted = self._unrouted()
        self.router_synced = not self.unrouted and (self._envoy_synced() or self._unasked())
        self._rates = rates(snapshot)
        self._whole = whole_replicas(snapshot, self.pods)

    def apply(self, intent: ObjectLike, *, why: str) -> None:
        """Add an apply of an intent, unless the live object already is so or is being deleted."""
        live = self.snapshot.objects.get(reference(intent))
        if live is None:
            self.actions.append(Apply(intent=intent, why="new"))
        elif _is_other(intent, live) and not live["metadata"].get("deletionTimestamp"):
            metadata = live["metadata"]
            self.actions.append(
                Apply(
                    intent=intent,
                    why=why,
                    live_uid=metadata.get("uid", ""),
                    live_resource_version=metadata.get("resourceVersion", ""),
                )
            )

    def count(self, key: DeploymentId) -> int:
        """Replicas that the plan wants of a Deployment."""
        wanted = self.desired.deployments.get(key)
        return wanted.count if wanted else 0

    def goal(self, key: DeploymentId) -> int:
        """Replicas to hold now: those wanted, and those on a node with a notice until their replacement serves."""
        count = self.count(key)
        if count == 0 or self.desired.deployments[key].replica >= 0 or self.relied_on(key) >= count:
            return count
        return count + len(self.leaving(key))

    def answers(self, pod: ObservedPod) -> bool:
        """The pod answers requests; one whose node is gone does not, whatever it last said."""
        return pod.ready and not node_is_gone(pod, self.snapshot)

    def serves(self, pod: ObservedPod) -> bool:
        """Requests reach the pod, and will go on doing so."""
        return pod.ready and not is_lost(pod, self.snapshot) and not is_draining(pod)

    def serving(self, key: DeploymentId) -> int:
        """Pods of a Deployment that serve."""
        return sum(self.serves(pod) for pod in self.pods.get(key, ()))

    def relied_on(self, key: DeploymentId) -> int:
        """Pods of a Deployment that serve and that routers had the time to find: others may go for them."""
        drain = self.snapshot.fleet.router.drain_seconds
        return sum(self.serves(pod) and is_found(pod, self.now, drain) for pod in self.pods.get(key, ()))

    def whole(self, key: DeploymentId) -> bool:
        """Whether nothing but the leader decides if a replica serves; always so for a single-stage Deployment."""
        item = self.live[key]
        return item.replica < 0 or replica_id(item) in self._whole

    def leaving(self, key: DeploymentId) -> list[ObservedPod]:
        """Pods of a Deployment that still serve on a node that is going."""
        return [pod for pod in self.pods.get(key, ()) if self.answers(pod) and is_lost(pod, self.snapshot)]

    def draining(self, key: DeploymentId) -> int:
        """Pods of a Deployment that would serve, had they not been taken out of the router."""
        return sum(pod.ready and is_draining(pod) and not is_lost(pod, self.snapshot) for pod in self.pods.get(key, ()))

    def rate(self, key: DeploymentId) -> float:
        """Requests/s of one replica of a Deployment; 0 where no plan tells it any more."""
        wanted = self.desired.deployments.get(key)
        if wanted is not None:
            return wanted.rate
        item = self.live[key]
        return self._rates.get((item.demand, item.strategy.id), 0.0)

    def side(self, key: DeploymentId) -> Side:
        """Which side of which pair the replicas of a Deployment are on."""
        item = self.live[key]
        return side_of(item.strategy, item.offering.zone)

    def drained(self, pod: ObservedPod) -> bool:
        """The pod has been out of the router for the fleet's drain time."""
        return is_drained(pod, self.now, self.snapshot.fleet.router.drain_seconds)

    def routed(self, demand: DemandKey) -> bool:
        """All that carry requests know the present routes of a demand."""
        return self.router_synced or (bool(self.unrouted) and demand not in self.unrouted)

    def priority(self, demand: DemandKey) -> int:
        """Of a demand; a demand that is not planned comes last."""
        found = self.snapshot.demands.get(demand)
        return found.priority if found else -(2**31)

    def _unrouted(self) -> Mapping[DemandKey, Fault]:
        if self._unasked():
            return {}
        fault = self.snapshot.gateway_fault or self.desired.router_fault
        if fault is None and not self._envoy_synced():
            fault = Fault(
                reason=Reason.ROUTER_NOT_SYNCED, message="not every router has acknowledged the present configuration"
            )
        if fault is not None:
            return dict.fromkeys(self.snapshot.demands, fault)
        return unacknowledged(self.snapshot, self.desired.routes)

    def _unasked(self) -> bool:
        """Nobody is asked what he knows."""
        return self.snapshot.fleet.router.acknowledgement is Acknowledgement.NONE

    def _envoy_synced(self) -> bool:
        if not self.snapshot.fleet.router.target.uses_envoy:
            return True
        versions = self.snapshot.router_versions
        return bool(versions) and all(version == self.desired.router_version for version in versions.values())


def _is_other(intent: ObjectLike, live: ObjectLike) -> bool:
    return differs_exactly(intent, live) if intent["kind"] == HTTP_ROUTE.name else differs(intent, live)
