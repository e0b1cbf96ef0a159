"""Folders, files and pipes of YAML to parsed objects, for use without a cluster."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from atoll.api.decode import invalid
from atoll.api.documents import Document, ManifestFault, labels_of, member, read_documents
from atoll.api.identify import identify
from atoll.api.parse import parse_fleet, parse_gpu_node_pool, parse_model_demand, parse_performance_profile
from atoll.api.served_names import settle_served_names
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.fleet import Fleet
from atoll.domain.objects import FLEET, FLEET_PLAN, GPU_NODE_POOL, MODEL_DEMAND, PERFORMANCE_PROFILE
from atoll.domain.pool import NodePool
from atoll.domain.profile import PerformanceProfile
from atoll.domain.reason import InvalidObjectError


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """What was found, in the order of the files.

    Attributes:
        demands: valid ones, served names settled.
        pools: valid ones.
        fleets: valid ones.
        profiles: valid ones.
        faults: of the others.
        notes: what was passed over, for people.
        peaks: highest requests/s that the schedule of a demand ever asks for; only of demands with one.
        labels: of the ModelDemands, by demand.
    """

    demands: tuple[Demand, ...]
    pools: tuple[NodePool, ...]
    fleets: tuple[Fleet, ...]
    profiles: tuple[PerformanceProfile, ...]
    faults: tuple[ManifestFault, ...]
    notes: tuple[str, ...]
    peaks: Mapping[DemandKey, float] = field(default_factory=dict)
    labels: Mapping[DemandKey, Mapping[str, str]] = field(default_factory=dict)

    @property
    def pools_refused(self) -> tuple[str, ...]:
        """Places of GPUNodePools, and of what may have been some, that could not be read."""
        meant = GPU_NODE_POOL.name
        return tuple(item.origin for item in self.faults if not item.target or item.target.startswith(f"{meant} "))


def load_manifests(
    paths: Iterable[Path],
    *,
    signals: Mapping[DemandKey, float] | None = None,
    now: datetime | None = None,
) -> Manifests:
    """Read files, pipes, standard input (``-``), and folders of ``*.yaml``, ``*.yml`` and ``*.json``, sub-folders too.

    Nothing is raised for what files hold: each fault is of one object or, where YAML itself is broken, of one file.

    Args:
        paths: files and folders.
        signals: estimates of measured demand, requests/s before head-room and limits, by demand.
        now: the moment that schedules are read for.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    demands: dict[DemandKey, Demand] = {}
    origins: dict[DemandKey, Document] = {}
    peaks: dict[DemandKey, float] = {}
    labels: dict[DemandKey, dict[str, str]] = {}
    pools: dict[str, NodePool] = {}
    fleets: dict[str, Fleet] = {}
    profiles: dict[str, PerformanceProfile] = {}
    faults: list[ManifestFault] = []
    notes: list[str] = []
    first: dict[str, str] = {}
    for document in read_documents(paths, faults):
        try:
            kind = identify(document.value)
            if kind is None or kind == FLEET_PLAN:
                why = "not one of Atoll's kinds" if kind is None else "Atoll's own output"
                notes.append(f"{document.origin}: {document.target} is {why}: passed over")
                continue
            if (earlier := first.setdefault(document.target, document.origin)) != document.origin:
                raise invalid("metadata.name", f"given before, at {earlier}: remove one")
            if kind == MODEL_DEMAND:
                demand = parse_model_demand(document.value, signals=signals, now=now)
                demands[demand.key], origins[demand.key] = demand, document
                labels[demand.key] = labels_of(document.value)
                if (peak := _peak(document.value)) is not None:
                    peaks[demand.key] = peak
            elif kind == GPU_NODE_POOL:
                pool = parse_gpu_node_pool(document.value)
                pools[pool.name] = pool
            elif kind == FLEET:
                fleet = parse_fleet(document.value)
                fleets[fleet.name] = fleet
            elif kind == PERFORMANCE_PROFILE:
                profile = parse_performance_profile(document.value)
                profiles[profile.name] = profile
        except InvalidObjectError as error:
            faults.append(document.faulty(error.fault))
    taken = settle_served_names(demands.values())
    faults.extend(origins[key].faulty(fault) for key, fault in taken.items())
    return Manifests(
        demands=tuple(demand for key, demand in demands.items() if key not in taken),
        pools=tuple(pools.values()),
        fleets=tuple(fleets.values()),
        profiles=tuple(profiles.values()),
        faults=tuple(faults),
        notes=tuple(notes),
        peaks={key: peak for key, peak in peaks.items() if key not in taken},
        labels={key: own for key, own in labels.items() if key not in taken},
    )


def _peak(valid: object) -> float | None:
    """The highest rate that a valid demand's schedule asks for, requests/s; None without a schedule."""
    schedule = member(member(member(valid, "spec"), "demand"), "schedule")
    if schedule is None:
        return None
    rates = (member(floor, "requestsPerSecond") for floor in member(schedule, "floors") or ())
    return max(float(member(schedule, "base") or 0.0), *map(float, rates))
