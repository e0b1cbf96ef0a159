"""A simulated cloud and cluster: nodes that take time to come, pods that take time to start.

Nothing here knows what the operator intends. It does what API server, Deployment controller, scheduler, autoscaler and
kubelet do, in a fixed order, so that the same writes at the same moments always give the same cluster. Routers
acknowledge at once.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.fleet import Fleet
from atoll.domain.objects import (
    DEPLOYMENT,
    POD,
    Action,
    Apply,
    Delete,
    ObjectLike,
    Reference,
    Scale,
    reference,
)
from atoll.domain.plan import Plan
from atoll.domain.pool import NodePool, OfferingKey, Provisioning
from atoll.domain.profile import PerformanceProfile
from atoll.domain.snapshot import Mask, ObservedDeployment, ObservedNode, ObservedPod, Snapshot
from atoll.reconcile.drain import DRAINING_SINCE, draining_since
from atoll.reconcile.masks import next_masks
from atoll.reconcile.observe import observe_deployment
from atoll.reconcile.running import DeploymentId
from atoll.render import names

STOP_SECONDS = 30.0
"""From the deletion of a drained pod to its end."""

EMPTY_SECONDS = 60.0
"""An autoscaler gives a node back when it was empty for so long."""

NOTICE = "simulated interruption"


@dataclass(slots=True, kw_only=True)
class Node:
    """A node, from the moment that it is paid for.

    Attributes:
        name: unique for ever.
        offering: of which it is.
        gpus: of the node.
        ready_at: when it can take pods.
        leaves_at: when it goes; None where nothing is known of that.
        empty_since: when its last pod went; None while it has one.
    """

    name: str
    offering: OfferingKey
    gpus: int
    ready_at: datetime
    leaves_at: datetime | None = None
    empty_since: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Pod:
    """A stage pod.

    Attributes:
        name: unique for ever; its uid too.
        deployment: that made it.
        item: the same, as seen when it was made.
        labels: of the pod.
        annotations: of the pod.
        created: when.
        node: that it is bound to or waits for; empty for none.
        bound_at: when it was bound; None before that.
        ready_at: when its engine answers; None while that is not known.
        gone_at: when it has ended; None while nobody deleted it.
    """

    name: str
    deployment: DeploymentId
    item: ObservedDeployment
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    created: datetime
    node: str = ""
    bound_at: datetime | None = None
    ready_at: datetime | None = None
    gone_at: datetime | None = None

    @property
    def gpus(self) -> int:
        """That it holds."""
        return self.item.strategy.tp


@dataclass(slots=True, kw_only=True)
class World:
    """All state there is.

    Attributes:
        now: the moment.
        fleet: policy.
        demands: as the operator knows them.
        pools: as the operator is told of them.
        obtainable: most nodes that can really be had.
        profiles: measured step times.
        plans: of the fleet, oldest first.
        startups: seconds from a bound pod to an engine that answers, by demand and strategy id.
        nodes: by name.
        pods: by name.
        objects: what was applied.
        masks: offerings that gave nothing lately.
    """

    now: datetime
    fleet: Fleet
    demands: Mapping[DemandKey, Demand]
    pools: Mapping[str, NodePool]
    obtainable: Mapping[OfferingKey, int]
    profiles: tuple[PerformanceProfile, ...] = ()
    plans: tuple[Plan, ...] = ()
    startups: dict[tuple[DemandKey, str], float] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    objects: dict[Reference, ObjectLike] = field(default_factory=dict)
    masks: Mapping[OfferingKey, Mask] = field(default_factory=dict)
    _deployments: dict[DeploymentId, ObservedDeployment] = field(default_factory=dict)
    _serial: int = 0

    def __post_init__(self) -> None:
        for pool in self.pools.values():
            if pool.provisioning is Provisioning.FIXED:
                for offering in pool.offerings:
                    for _ in range(offering.max_nodes):
                        self._new_node(pool, offering.key, self.now)

    # -- what the operator sees and does -------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The cluster as the operator sees it; masks are learnt on the way, as the pools' status keeps them."""
        seen = Snapshot(
            fleet=self.fleet,
            demands=self.demands,
            pools=self.pools,
            nodes={name: _seen_node(node) for name, node in self.nodes.items() if node.ready_at <= self.now},
            pods=tuple(self._seen_pod(pod) for pod in self.pods.values()),
            deployments=tuple(item for _, item in sorted(self._deployments.items())),
            plans=self.plans,
            masks=self.masks,
            objects=dict(self.objects),
            profiles=self.profiles,
        )
        masks = next_masks(seen, self.now)
        if masks == self.masks:
            return seen
        self.masks = masks
        return self.snapshot()

    def act(self, actions: Iterable[Action]) -> None:
        """Carry writes out; events and statuses are for people, of whom there are none."""
        for action in actions:
            match action:
                case Apply() if action.intent["kind"] == POD.name:
                    self._annotate(action.intent)
                case Apply():
                    self._put(action.intent)
                case Scale():
                    live = self.objects[action.target]
                    self._put({**live, "spec": {**live["spec"], "replicas": action.replicas}})
                case Delete() if action.target.kind == POD.name:
                    self._delete_pod(self.pods[action.target.name], at_once=action.force)
                case Delete():
                    del self.objects[action.target]
                    self._deployments.pop((action.target.namespace, action.target.name), None)
                case _:
                    pass

    # -- what happens by itself ----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Everything that is due by now, except what the operator does."""
        for node in [node for node in self.nodes.values() if node.leaves_at is not None and node.leaves_at <= self.now]:
            self.lose(node)
        for pod in [pod for pod in self.pods.values() if pod.gone_at is not None and pod.gone_at <= self.now]:
            del self.pods[pod.name]
        self._control_deployments()
        self._schedule()
        self._start()
        self._give_back()

    def next_event(self) -> datetime | None:
        """When something is due by itself next; None for never."""
        times = [node.ready_at for node in self.nodes.values()]
        times += [node.leaves_at for node in self.nodes.values() if node.leaves_at is not None]
        for node in self.nodes.values():
            if node.empty_since is not None and self._autoscaled(node.offering):
                times.append(node.empty_since + timedelta(seconds=EMPTY_SECONDS))
        drain = timedelta(seconds=self.fleet.router.drain_seconds)
        for pod in self.pods.values():
            times += [at for at in (pod.ready_at, pod.gone_at) if at is not None]
            since = draining_since(self._seen_pod(pod)) if DRAINING_SINCE in pod.annotations else None
            if since is not None:
                times.append(since + drain)
            if pod.bound_at is None and pod.gone_at is None:
                patience = self.fleet.pending_timeout_seconds + self.pools[pod.item.offering.pool].startup_seconds
                times.append(pod.created + timedelta(seconds=patience + 1.0))
        times += [mask.until for mask in self.masks.values()]
        return min((at for at in times if at > self.now), default=None)

    def lose(self, node: Node) -> None:
        """A node vanishes; its pods are left for somebody to delete."""
        del self.nodes[node.name]
        for pod in self.pods.values():
            if pod.node == node.name and pod.bound_at is None:
                pod.node = ""

    def used_gpus(self, node: Node) -> int:
        """GPUs of a node that pods hold or wait for."""
        return sum(pod.gpus for pod in self.pods.values() if pod.node == node.name)

    def _put(self, intent: ObjectLike) -> None:
        ref = reference(intent)
        self._serial += 1
        known = self.objects.get(ref)
        metadata = {
            **intent["metadata"],
            "uid": known["metadata"]["uid"] if known else f"u{self._serial}",
            "resourceVersion": str(self._serial),
        }
        self.objects[ref] = {**intent, "metadata": metadata}
        if ref.kind == DEPLOYMENT.name:
            item = observe_deployment(self.objects[ref])
            if item is not None:
                self._deployments[item.namespace, item.name] = item

    def _annotate(self, intent: ObjectLike) -> None:
        metadata = intent["metadata"]
        pod = self.pods[metadata["name"]]
        pod.labels = {**pod.labels, **metadata.get("labels", {})}
        own = {DRAINING_SINCE, names.POD_DELETION_COST}
        kept = {name: value for name, value in pod.annotations.items() if name not in own}
        pod.annotations = kept | metadata.get("annotations", {})

    def _delete_pod(self, pod: Pod, *, at_once: bool = False) -> None:
        if at_once or pod.bound_at is None or pod.node not in self.nodes:
            del self.pods[pod.name]
        elif pod.gone_at is None:
            pod.gone_at = self.now + timedelta(seconds=STOP_SECONDS)

    def _control_deployments(self) -> None:
        """Delete surplus pods, those first that a ReplicaSet removes first, and make missing ones."""
        mine: dict[DeploymentId, list[Pod]] = defaultdict(list)
        for pod in self.pods.values():
            if pod.gone_at is None:
                mine[pod.deployment].append(pod)
        for key, pods in mine.items():
            wanted = self._deployments[key].replicas if key in self._deployments else 0
            for pod in sorted(pods, key=self._removal_rank)[: max(0, len(pods) - wanted)]:
                self._delete_pod(pod)
        for key, item in self._deployments.items():
            template = self.objects[Reference(kind=DEPLOYMENT.name, namespace=key[0], name=key[1])]["spec"]["template"]
            for _ in range(item.replicas - len(mine[key])):
                self._serial += 1
                name = f"{item.name}-{self._serial}"
                metadata = template["metadata"]
                self.pods[name] = Pod(
                    name=name,
                    deployment=key,
                    item=item,
                    labels=metadata["labels"],
                    annotations=metadata["annotations"],
                    created=self.now,
                )

    def _removal_rank(self, pod: Pod) -> tuple[bool, bool, int, float, str]:
        """As kube-controller-manager ranks (pkg/controller/controller_utils.go, ActivePodsWithRanks)."""
        cost = int(pod.annotations.get(names.POD_DELETION_COST, 0))
        return pod.bound_at is not None, self._is_ready(pod), cost, -pod.created.timestamp(), pod.name

    def _schedule(self) -> None:
        """Bind pods, widest first, to the fullest node that holds them; ask for a node where none does."""
        free = {node.name: node.gpus - self.used_gpus(node) for node in self.nodes.values() if node.leaves_at is None}
        by_offering: dict[OfferingKey, list[Node]] = defaultdict(list)
        for node in self.nodes.values():
            by_offering[node.offering].append(node)
        waiting = [pod for pod in self.pods.values() if pod.bound_at is None and pod.gone_at is None]
        for pod in sorted(waiting, key=lambda item: (-item.gpus, item.name)):
            offering = pod.item.offering
            if not pod.node:
                fitting = [node for node in by_offering[offering] if free.get(node.name, 0) >= pod.gpus]
                if fitting:
                    pod.node = min(fitting, key=lambda node: (node.ready_at, free[node.name], node.name)).name
                else:
                    pool = self.pools[offering.pool]
                    room = self.obtainable.get(offering, 0) - len(by_offering[offering])
                    if room <= 0 or pool.provisioning is Provisioning.FIXED or pool.config.count < pod.gpus:
                        continue
                    ready_at = self.now + timedelta(seconds=pool.startup_seconds)
                    new = self._new_node(pool, offering, ready_at)
                    by_offering[offering].append(new)
                    free[new.name] = new.gpus
                    pod.node = new.name
                free[pod.node] -= pod.gpus
            if self.nodes[pod.node].ready_at <= self.now:
                pod.bound_at = self.now

    def _start(self) -> None:
        """Tell when engines will answer: a leader once all stages of its replica are bound."""
        bound: Counter[tuple[str, ...]] = Counter()
        for pod in self.pods.values():
            if pod.gone_at is None and pod.bound_at is not None:
                bound[_replica(pod)] += 1
        for pod in self.pods.values():
            if pod.bound_at is None or pod.ready_at is not None:
                continue
            leads = pod.item.replica >= 0 and pod.item.stage == 0
            if not leads or bound[_replica(pod)] == len(pod.item.strategy.stages):
                seconds = self.startups.get((pod.item.demand, pod.item.strategy.id), 0.0)
                pod.ready_at = self.now + timedelta(seconds=seconds)

    def _give_back(self) -> None:
        used = {pod.node for pod in self.pods.values()}
        for node in list(self.nodes.values()):
            if node.name in used:
                node.empty_since = None
            elif node.empty_since is None:
                node.empty_since = self.now
            due = node.empty_since is not None and (self.now - node.empty_since).total_seconds() >= EMPTY_SECONDS
            if due and self._autoscaled(node.offering):
                del self.nodes[node.name]

    def _new_node(self, pool: NodePool, offering: OfferingKey, ready_at: datetime) -> Node:
        self._serial += 1
        name = f"{pool.name}-{self._serial}"
        self.nodes[name] = Node(name=name, offering=offering, gpus=pool.config.count, ready_at=ready_at)
        return self.nodes[name]

    def _autoscaled(self, offering: OfferingKey) -> bool:
        return self.pools[offering.pool].provisioning is Provisioning.AUTOSCALER

    def _is_ready(self, pod: Pod) -> bool:
        return pod.ready_at is not None and pod.ready_at <= self.now

    def _seen_pod(self, pod: Pod) -> ObservedPod:
        return ObservedPod(
            namespace=pod.deployment[0],
            name=pod.name,
            uid=pod.name,
            labels=pod.labels,
            annotations=pod.annotations,
            node=pod.node if pod.bound_at is not None else "",
            gpus=pod.gpus,
            phase="Running" if pod.bound_at is not None else "Pending",
            ready=self._is_ready(pod),
            deleting=pod.gone_at is not None,
            created=pod.created,
        )


def _seen_node(node: Node) -> ObservedNode:
    return ObservedNode(
        name=node.name,
        offering=node.offering,
        gpus=node.gpus,
        ready=True,
        notice=NOTICE if node.leaves_at is not None else "",
    )


def _replica(pod: Pod) -> tuple[str, ...]:
    return (
        pod.deployment[0],
        pod.item.demand.name,
        pod.labels.get(names.TEMPLATE, ""),
        str(pod.item.replica) if pod.item.replica >= 0 else pod.name,
    )
