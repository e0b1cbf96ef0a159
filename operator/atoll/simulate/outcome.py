"""Played scenarios as documented JSON: docs/reference/json.md."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atoll.domain.demand import DemandKey
from atoll.domain.reason import Fault
from atoll.reconcile.moments import format_moment
from atoll.simulate.run import Epoch, Played, Setting

SCHEMA_VERSION = 1

_SHORT = 1e-3
"""Share of the demand of an epoch that must be missing for it to count as short."""

_SECONDS_PER_HOUR = 3600.0


def outcome(
    file: str, seed: int, setting: Setting, runs: Sequence[Played], faults: Mapping[str, Fault]
) -> dict[str, Any]:
    """Everything that is said about a scenario.

    Args:
        file: name of the scenario's file.
        seed: of its noise.
        setting: what was played.
        runs: the operator's first, then the baselines'.
        faults: what is wrong with which object, by what it is called.
    """
    return {
        "schemaVersion": SCHEMA_VERSION,
        "scenario": {
            "file": file,
            "epochs": setting.epochs,
            "epochSeconds": setting.epoch_seconds,
            "seed": seed,
            "start": format_moment(setting.start),
            "begin": setting.begin.value,
        },
        "runs": [_run(setting, played) for played in runs],
        "faults": [
            {"object": name, "reason": fault.reason.value, "field": fault.field, "message": fault.message}
            for name, fault in faults.items()
        ],
    }


def planned_moves(epochs: Iterable[Epoch]) -> tuple[int, int, int]:
    """Replicas that plans after the first one started, stopped and moved."""
    later = [adoption for epoch in epochs for adoption in epoch.adoptions][1:]
    return (
        sum(item.started for item in later),
        sum(item.stopped for item in later),
        sum(item.moved for item in later),
    )


def plan_changes(epochs: Iterable[Epoch]) -> int:
    """Plans adopted after the first one."""
    return max(0, sum(len(epoch.adoptions) for epoch in epochs) - 1)


def served_share(epochs: Iterable[Epoch], keys: Iterable[DemandKey]) -> float:
    """Share of the requests of some demands that were served; 1 where none came."""
    wanted = list(keys)
    pairs = [(epoch.served.get(key, 0.0), epoch.demand[key]) for epoch in epochs for key in wanted]
    came = sum(demand for _, demand in pairs)
    return sum(served for served, _ in pairs) / came if came > 0.0 else 1.0


def _run(setting: Setting, played: Played) -> dict[str, Any]:
    seconds, epochs = setting.epoch_seconds, played.epochs
    hours = len(epochs) * seconds / _SECONDS_PER_HOUR
    cost = sum(epoch.cost for epoch in epochs)
    started, stopped, moved = planned_moves(epochs)
    by_priority: dict[int, list[DemandKey]] = defaultdict(list)
    for key, demand in setting.demands.items():
        by_priority[demand.priority].append(key)
    return {
        "name": played.name,
        "totals": {
            "cost": round(cost, 6),
            "costPerHour": round(cost / hours, 6),
            **_requests(epochs, list(setting.demands), seconds),
            "epochsShort": sum(_is_short(epoch) for epoch in epochs),
            "planChanges": plan_changes(epochs),
            "solves": played.solves,
            "started": started,
            "stopped": stopped,
            "moved": moved,
            "lost": sum(epoch.lost for epoch in epochs),
            "restless": sum(epoch.restless for epoch in epochs),
        },
        "priorities": [
            {"priority": priority, **_requests(epochs, keys, seconds)}
            for priority, keys in sorted(by_priority.items(), reverse=True)
        ],
        "demands": [
            {
                "namespace": key.namespace,
                "name": key.name,
                "priority": demand.priority,
                **_requests(epochs, [key], seconds),
            }
            for key, demand in setting.demands.items()
        ],
        "epochs": [_epoch(setting, epoch) for epoch in epochs],
    }


def _requests(epochs: Sequence[Epoch], keys: Sequence[DemandKey], seconds: float) -> dict[str, float]:
    return {
        "requests": round(sum(epoch.demand[key] for epoch in epochs for key in keys) * seconds, 3),
        "servedRequests": round(sum(epoch.served.get(key, 0.0) for epoch in epochs for key in keys) * seconds, 3),
        "servedShare": round(served_share(epochs, keys), 6),
    }


def _epoch(setting: Setting, epoch: Epoch) -> dict[str, Any]:
    demand, served = sum(epoch.demand.values()), sum(epoch.served.values())
    first = epoch.number == 0
    changes = epoch.adoptions[1:] if first else epoch.adoptions
    return {
        "epoch": epoch.number,
        "seconds": epoch.number * setting.epoch_seconds,
        "demand": round(demand, 6),
        "asked": round(sum(epoch.asked.values()), 6),
        "capacity": round(sum(epoch.capacity.values()), 6),
        "served": round(served, 6),
        "shortfall": round(max(0.0, demand - served), 6),
        "costPerHour": round(epoch.cost * _SECONDS_PER_HOUR / setting.epoch_seconds, 6),
        "nodes": epoch.nodes,
        "planChanges": len(changes),
        "triggers": [adoption.trigger for adoption in epoch.adoptions],
        "started": sum(adoption.started for adoption in changes),
        "stopped": sum(adoption.stopped for adoption in changes),
        "moved": sum(adoption.moved for adoption in changes),
        "lost": epoch.lost,
    }


def _is_short(epoch: Epoch) -> bool:
    return any(epoch.served.get(key, 0.0) < rate * (1.0 - _SHORT) for key, rate in epoch.demand.items())
