"""The operator's decisions, run against the cluster in memory; nothing but the cluster is remembered between ticks."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from atoll.domain.objects import Action, Apply, Delete, Reference, Scale, reference
from atoll.domain.planning import Planning
from atoll.domain.pool import OfferingKey
from atoll.domain.problem import Allocation, NodeUse, Problem, ReplicaGroup, ReplicaSite
from atoll.domain.snapshot import Snapshot
from atoll.domain.strategy import Limit, PerformanceSource, Template
from atoll.reconcile.adopt import adopt, basis_of
from atoll.reconcile.desired import desired_objects
from atoll.reconcile.masks import next_masks
from atoll.reconcile.plans import current_plan, plan_in_force
from atoll.reconcile.planwrites import plan_actions, prune
from atoll.reconcile.problem import build_rows
from atoll.reconcile.running import running
from atoll.reconcile.service import service_of
from atoll.reconcile.status.view import View
from atoll.reconcile.status.write import status_writes
from atoll.reconcile.supply import supplies
from atoll.reconcile.transition import Step, next_step
from reconcile.simulated_cluster import Cluster, gpus_of
from reconcile.worlds import (
    GPUS_OF_POOL,
    NOW,
    ROUTER,
    Raw,
    demand_object,
    fleet_object,
    key,
    node_object,
    offering,
    pool_object,
    strategy,
)

CHOICES: dict[str, tuple[tuple[str, ...], int, float]] = {
    "small": (("small",), 64, 10.0),
    "small-long": (("small",), 128, 10.0),
    "big": (("big",), 64, 20.0),
    "both": (("small", "big"), 64, 20.0),
    "bigs": (("big", "big"), 64, 30.0),
}
"""Strategies that a demand of a scenario may run: pools of the stages, sequences, requests/s of a replica."""

RATES = {
    (demand, strategy(*pools, sequences=sequences).id): rate
    for demand in ("chat", "code", "agent")
    for pools, sequences, rate in CHOICES.values()
}
Event = Callable[["Fleet"], None]


@dataclass
class Fleet:
    """A cluster with the operator in it.

    Attributes:
        cluster: all state there is.
        choices: the strategy that is cheapest for each demand, an input like prices are.
        write_limits: writes that the operator makes before it is killed, tick by tick; None for no kill.
        step: the last step.
    """

    cluster: Cluster = field(default_factory=Cluster)
    choices: dict[str, str] = field(default_factory=dict)
    write_limits: list[int | None] = field(default_factory=list)
    step: Step | None = None
    refused: int = 0
    floors: dict[str, float] = field(default_factory=dict)
    watched: bool = True
    _requested: Counter[str] = field(default_factory=Counter)

    # -- what happens to a fleet -----------------------------------------------------------------------------------

    def demand(self, name: str, rate: float, choice: str, priority: int = 0, image: str = "vllm/vllm:1") -> None:
        self.cluster.put(
            {
                **demand_object(name, rate, priority, image),
                "status": self.cluster.objects.get(demand_ref(name), {}).get("status", {}),
            }
        )
        self.choices[name] = choice

    def pool(self, name: str, max_nodes: int, provisioning: str = "Autoscaler") -> None:
        self.cluster.put(pool_object(name, max_nodes, provisioning))
        if provisioning == "Fixed":
            for index in range(max_nodes):
                self.cluster.put(node_object(f"{name}-{index}", name))

    def used_nodes(self, pool: str = "") -> list[str]:
        """Nodes that carry our pods, fullest first."""
        used = Counter(
            pod["spec"]["nodeName"]
            for pod in self.cluster.pods()
            if pod["spec"].get("nodeName")
            and Reference(kind="Node", name=pod["spec"]["nodeName"]) in self.cluster.objects
        )
        labels = {node["metadata"]["name"]: node["metadata"]["labels"]["pool"] for node in self.cluster.of("Node")}
        return sorted((n for n in used if labels[n].startswith(pool)), key=lambda name: (-used[name], name))

    def lose_node(self, name: str) -> None:
        self.cluster.remove(self.cluster.objects[Reference(kind="Node", name=name)])
        self.floors = {}  # what was on it does not serve any more, whatever the operator does

    def change_node(self, name: str, **spec: Any) -> None:
        node = self.cluster.objects[Reference(kind="Node", name=name)]
        self.cluster.put({**node, "spec": {**node["spec"], **spec}})

    # -- the operator --------------------------------------------------------------------------------------------------

    def gather(self) -> Snapshot:
        snapshot = self.cluster.snapshot()
        return replace(snapshot, masks=next_masks(snapshot, self.cluster.now))

    def operate(self, view: Snapshot | None = None) -> int:
        """One look of the planner and one of the executor; the number of writes made."""
        budget = self.write_limits.pop(0) if self.write_limits else None
        before = self.cluster.writes
        snapshot = view or self.gather()
        planning = decide(snapshot, self.cluster.now, self.choices)
        proposal = planning.proposal(current_plan(snapshot.plans))
        actions = prune(snapshot, proposal, self.cluster.now)
        actions += plan_actions(proposal, snapshot) if proposal else []
        budget = self._write(actions, budget)
        snapshot = view or self.gather()
        plan = plan_in_force(snapshot.plans, planning)
        desired, faults = desired_objects(snapshot, plan, ROUTER)
        assert not faults
        self.step = next_step(snapshot, desired, self.cluster.now, hold=plan is None)
        service = service_of(snapshot, plan, desired)
        now = self.cluster.now
        statuses = status_writes(
            View(snapshot=snapshot, planning=planning, plan=plan, step=self.step, service=service, now=now)
        )
        budget = self._write(self.step.actions, budget)
        self._write(statuses, budget)
        return self.cluster.writes - before

    def _write(self, actions: Iterable[Action], budget: int | None) -> int | None:
        for action in actions:
            if budget is not None and budget <= 0:
                return 0
            self._check_ours(action)
            self.refused += not self.cluster.write(action)
            if budget is not None:
                budget -= 1
        return budget

    def _check_ours(self, action: Action) -> None:
        """I3: nothing is changed or deleted that is not ours."""
        match action:
            case Apply(live_uid=uid) if uid:
                target = reference(action.intent)
            case Delete() | Scale():
                target = action.target
            case _:
                return
        live = self.cluster.objects.get(target)
        if live is not None and target.kind != "FleetPlan":
            labels = live["metadata"].get("labels") or {}
            assert labels.get("app.kubernetes.io/managed-by") == "atoll", f"{target} is not ours"

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.operate()
            self.check()
            self.cluster.advance()

    def settle(self, limit: int = 120) -> int:
        """Run until nothing is written and nothing waits; the ticks that it took."""
        quiet = 0
        for tick in range(limit):
            wrote = self.operate()
            self.check()
            before = _versions(self.cluster)
            self.cluster.advance()
            quiet = quiet + 1 if not wrote and self.step.converged and _versions(self.cluster) == before else 0
            if quiet >= 3 + 2:  # long enough for empty nodes to go
                self.floors = self._capacities()
                return tick
        waiting = {str(name): text for name, text in self.step.waiting.items()}
        raise AssertionError(f"not converged: {waiting}, {self.step.actions}\n{self.picture()}")

    def _capacities(self) -> dict[str, float]:
        plan = current_plan(self.cluster.snapshot().plans)
        return {
            item.key.name: sum(group.rate * group.group.count for group in item.replicas)
            for item in (plan.demands if plan else ())
        }

    def check(self) -> None:
        """The invariants that hold at every moment."""
        self._check_service()
        self._check_gpus()

    def _check_service(self) -> None:
        """I1: what is served never falls below what was served or, where that is less, what is wanted."""
        wanted = self._capacities()
        present = {obj["metadata"]["name"] for obj in self.cluster.of("ModelDemand")}
        self.floors = {
            name: min(floor, wanted.get(name, floor)) for name, floor in self.floors.items() if name in present
        }
        if not self.watched:
            return
        served = self.cluster.served(RATES)
        for name, floor in self.floors.items():
            assert served.get(name, 0.0) >= floor - 1e-6, (
                f"{name} is served {served.get(name, 0.0)} of {floor} requests/s\n{self.picture()}"
            )

    def _check_gpus(self) -> None:
        """R4: no step asks for more GPUs than there can be beside what still holds some."""
        nodes = {node["metadata"]["name"]: node for node in self.cluster.of("Node")}
        present = {demand["metadata"]["uid"] for demand in self.cluster.of("ModelDemand")}
        requested: Counter[str] = Counter()
        stopping: Counter[str] = Counter()
        for deployment in self.cluster.of("Deployment"):
            owners = deployment["metadata"].get("ownerReferences") or [{"uid": ""}]
            if owners[0]["uid"] in present:  # of any other the garbage collector is about to take it
                template = deployment["spec"]["template"]
                requested[template["spec"]["nodeSelector"]["pool"]] += deployment["spec"]["replicas"] * gpus_of(
                    template
                )
        for pod in self.cluster.pods():
            node = nodes.get(pod["spec"].get("nodeName"))
            going = node is not None and (node["spec"].get("taints") or node["spec"].get("unschedulable"))
            pool = pod["spec"]["nodeSelector"]["pool"]
            if pod["metadata"].get("deletionTimestamp"):
                stopping[pool] += gpus_of(pod) if node and not going else 0
            elif going:
                stopping[pool] -= gpus_of(pod)
        for obj in self.cluster.of("GPUNodePool"):
            pool, limit = obj["metadata"]["name"], obj["spec"]["offerings"][0]["maxNodes"]
            if obj["spec"]["provisioning"] == "Fixed":
                limit = min(limit, sum(node["metadata"]["labels"]["pool"] == pool for node in nodes.values()))
            if requested[pool] > self._requested[pool]:
                asked = requested[pool] + stopping[pool]
                assert asked <= limit * GPUS_OF_POOL[pool], f"{pool}: {asked} GPUs\n{self.picture()}"
        self._requested = requested

    def picture(self) -> str:
        """The cluster in a few lines, for a failed test."""
        lines = [f"tick {self.cluster.tick}, floors {self.floors}"]
        for plan in self.cluster.snapshot().plans:
            groups = [(g.demand.name, str(g.strategy), g.count) for g in plan.groups]
            lines.append(f"  {plan.name} {plan.phase} {plan.created} {groups}")
        lines += [
            f"  Deployment {d['metadata']['name']} x{d['spec']['replicas']}" for d in self.cluster.of("Deployment")
        ]
        for pod in self.cluster.pods():
            labels = pod["metadata"]["labels"]
            gone = " deleting" if pod["metadata"].get("deletionTimestamp") else ""
            ready = (pod["status"].get("conditions") or [{"status": "-"}])[0]["status"]
            lines.append(
                f"  Pod {pod['metadata']['name']} on {pod['spec'].get('nodeName')} ready {ready}"
                f" routable {labels.get('atoll.dev/routable')}{gone}"
            )
        lines += [f"  Node {n['metadata']['name']} {n['spec']}" for n in self.cluster.of("Node")]
        return "\n".join(lines)


def decide(snapshot: Snapshot, now: datetime, choices: dict[str, str]) -> Planning:
    """What a planner would decide: each demand's choice, highest priority first, as far as nodes can be had."""
    slots: dict[OfferingKey, list[int]] = {}
    found = supplies(snapshot, now)
    for supply in found:
        slots.setdefault(supply.offering, []).extend([supply.gpus] * supply.obtainable)
    groups, templates, shortfall = [], {}, {}
    for name, demand in sorted(snapshot.demands.items(), key=lambda item: (-item[1].priority, item[0])):
        pools, sequences, rate = CHOICES[choices[name.name]]
        how = strategy(*pools, sequences=sequences)
        templates[name] = (_template(how, rate),)
        wanted, count = math.ceil(demand.rate / rate), 0
        while count < wanted and _take(slots, pools, how.tp):
            count += 1
        if count:
            site = ReplicaSite(offerings=tuple(offering(pool) for pool in pools))
            groups.append(ReplicaGroup(demand=name, strategy=how, site=site, count=count))
        if count < wanted:
            shortfall[name] = demand.rate - count * rate
    problem = Problem(
        demands=build_rows(snapshot.demands.values(), templates), supplies=found, running=running(snapshot, now)
    )
    allocation = Allocation(
        replicas=tuple(groups),
        nodes=tuple(NodeUse(supply=supply, nodes=1) for supply in found if supply.obtainable),
        shortfall=shortfall,
        cost_per_hour=1.0,
        bound_per_hour=1.0,
    )
    plan = adopt(problem, allocation, demands=snapshot.demands, fleet=snapshot.fleet, previous_cost_per_hour=1.0)
    return Planning(basis=basis_of(problem), solved_at=NOW, decision=plan, trigger="test")


def _take(slots: dict[OfferingKey, list[int]], pools: tuple[str, ...], tp: int) -> bool:
    """Take a place for each stage of one more replica; nothing where one of them finds none."""
    trial = {where: list(free) for where, free in slots.items()}
    for pool in pools:
        free = trial.get(offering(pool), [])
        places = [index for index, left in enumerate(free) if left >= tp]
        if not places:
            return False
        free[places[0]] -= tp
    slots.update(trial)
    return True


def _template(how: Any, rate: float) -> Template:
    return Template(
        strategy=how,
        rate=rate,
        ttft_seconds=0.5,
        tpot_seconds=0.02,
        sequences=10.0,
        limit=Limit.TPOT,
        sources=dict.fromkeys(how.need, PerformanceSource.ROOFLINE),
        expected_error=0.2,
        startup_seconds=100.0,
    )


def demand_ref(name: str) -> Reference:
    return Reference(kind="ModelDemand", namespace=key(name).namespace, name=name)


def _versions(cluster: Cluster) -> dict[Reference, str]:
    return {ref: obj["metadata"]["resourceVersion"] for ref, obj in cluster.objects.items()}


def fleet(
    *,
    small: int = 6,
    big: int = 4,
    provisioning: str = "Autoscaler",
    drain: str = "10s",
    target: str = "Envoy",
    **policy: Any,
) -> Fleet:
    """A fleet with a pool of small and one of big nodes, whose requests Atoll's router or a Gateway carries."""
    made = Fleet()
    router = {"drain": drain, "target": target, "gateway": {"parents": [{"namespace": "gateways", "name": "public"}]}}
    made.cluster.put(fleet_object(router=router, pendingTimeout="60s", **policy))
    made.pool("small", small, provisioning)
    made.pool("big", big, provisioning)
    return made


def demand_gone(made: Fleet, name: str) -> None:
    made.cluster.remove(made.cluster.objects[demand_ref(name)])


def raw(made: Fleet, kind: str) -> list[Raw]:
    return made.cluster.of(kind)
