"""inferno's published instances, read from their folder, with the rate of every accelerator for every server."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.inferno.queue import Queue
from benchmarks.rows import FileError

SOLUTION = "solution-data.json"
COST_TOLERANCE = 1e-9
"""Relative difference between an accelerator's cost and that of its units that is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One accelerator for one server.

    Attributes:
        accelerator: its name, such as ``4xA100``.
        type: of its units, such as ``A100``.
        units: of the type that one replica takes.
        rate: requests/s of one replica within the targets, above zero.
        cost: of one replica, in the instance's money an hour.
        batch: most requests in service.
    """

    accelerator: str
    type: str
    units: int
    rate: float
    cost: float
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What inferno calls an inference server: a served model for one class of service.

    Attributes:
        name: of the server.
        priority: of its class; 1 is served first.
        rate: requests/s wanted.
        choices: accelerators on which the targets can be met.
    """

    name: str
    priority: int
    rate: float
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One server's part of the published solution.

    Attributes:
        accelerator: chosen.
        replicas: how many.
        cost: of them all.
        batch: most requests in service of one.
        ttft: mean time to first token, ms.
        itl: mean time between tokens, ms.
    """

    accelerator: str
    replicas: int
    cost: float
    batch: int
    ttft: float
    itl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One folder.

    Attributes:
        name: of the folder.
        servers: in the order of the file.
        capacity: units by type.
        unit_cost: of one unit by type.
        published: solution by server; empty where none is there.
    """

    name: str
    servers: tuple[Server, ...]
    capacity: Mapping[str, int]
    unit_cost: Mapping[str, float]
    published: Mapping[str, Published]

    @property
    def published_cost(self) -> float | None:
        """Sum over all servers."""
        return sum(each.cost for each in self.published.values()) if self.published else None


def read_instance(path: Path) -> Instance:
    """Read a folder of ``*-data.json`` as in llm-inferno/sample-data.

    Args:
        path: the folder, or any file in it.

    Raises:
        FileError: files are missing or at fault.
    """
    folder = path.parent if path.is_file() else path
    try:
        accelerators = {each["name"]: each for each in _list(folder, "accelerator", "accelerators")}
        capacity = {each["type"]: int(each["count"]) for each in _list(folder, "capacity", "count")}
        performance: dict[str, list[Mapping[str, Any]]] = {}
        for each in _list(folder, "model", "models"):
            performance.setdefault(each["name"], []).append(each)
        classes = {each["name"]: each for each in _list(folder, "serviceclass", "serviceClasses")}
        servers = tuple(
            _server(each, classes[each["class"]], performance.get(each["model"], []), accelerators)
            for each in _list(folder, "server", "servers")
        )
        published = _published(folder / SOLUTION)
        unit_cost = _unit_costs(accelerators)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        wrong = f"no instance of inferno's ({type(error).__name__}: {error})"
        raise FileError(path, wrong, "give a folder with the *-data.json files of llm-inferno/sample-data") from error
    if not servers:
        raise FileError(path, "no servers in it", "give at least one in server-data.json")
    return Instance(name=folder.name, servers=servers, capacity=capacity, unit_cost=unit_cost, published=published)


def _list(folder: Path, name: str, field: str) -> list[Mapping[str, Any]]:
    found = json.loads((folder / f"{name}-data.json").read_text(encoding="utf-8"))[field]
    if not isinstance(found, list):
        raise TypeError(f"{name}-data.json: {field} is a list")
    return found


def _server(
    entry: Mapping[str, Any],
    of_class: Mapping[str, Any],
    performance: list[Mapping[str, Any]],
    accelerators: Mapping[str, Mapping[str, Any]],
) -> Server:
    """As ``CreateAllocation`` in llm-inferno/optimizer-light: the batch is scaled to the length of the answers."""
    target = next(each for each in of_class["modelTargets"] if each["model"] == entry["model"])
    load = entry["currentAlloc"]["load"]
    tokens_in, tokens_out = float(load["AvgInTokens"]), float(load["AvgOutTokens"])
    if tokens_out < 1.0 or tokens_in < 0.0 or not 0.0 < float(load["arrivalRate"]) < math.inf:
        raise ValueError(f"{entry['name']}: arrivalRate and AvgOutTokens are above 0")
    choices = []
    for each in performance:
        accelerator = accelerators[each["acc"]]
        batch = max(int(each["maxBatchSize"]) * int(each["atTokens"]) // int(tokens_out), 1)
        queue = Queue(**each["perfParms"], batch=batch, tokens_in=tokens_in, tokens_out=tokens_out)
        rate = queue.rate(ttft=float(target.get("slo-ttft", 0.0)), itl=float(target.get("slo-itl", 0.0)))
        if rate > 0.0:
            choices.append(
                Choice(
                    accelerator=accelerator["name"],
                    type=accelerator["type"],
                    units=int(each["accCount"]) * int(accelerator["multiplicity"]),
                    rate=rate,
                    cost=int(each["accCount"]) * float(accelerator["cost"]),
                    batch=batch,
                )
            )
    return Server(
        name=entry["name"],
        priority=int(of_class["priority"]),
        rate=float(load["arrivalRate"]) / 60.0,
        choices=tuple(choices),
    )


def _unit_costs(accelerators: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Cost of one unit of each type: the published accelerators of one type cost the same by unit."""
    found: dict[str, float] = {}
    for each in accelerators.values():
        cost = float(each["cost"]) / int(each["multiplicity"])
        if abs(found.setdefault(each["type"], cost) - cost) > COST_TOLERANCE * cost:
            raise ValueError(f"{each['name']}: its units cost other than those of {each['type']} elsewhere")
    return found


def _published(path: Path) -> dict[str, Published]:
    if not path.exists():
        return {}
    allocations = json.loads(path.read_text(encoding="utf-8"))["allocations"]
    return {
        name: Published(
            accelerator=each["accelerator"],
            replicas=int(each["numReplicas"]),
            cost=float(each["cost"]),
            batch=int(each["maxBatch"]),
            ttft=float(each["ttftAverage"]),
            itl=float(each["itlAverage"]),
        )
        for name, each in allocations.items()
    }
