"""Folders and files of YAML to parsed objects, for use without a cluster."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from atoll.api.parse import parse_fleet, parse_gpu_node_pool, parse_model_demand, parse_performance_profile
from atoll.api.served_names import settle_served_names
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.fleet import Fleet
from atoll.domain.objects import FLEET, GPU_NODE_POOL, MODEL_DEMAND, OUR_KINDS, PERFORMANCE_PROFILE
from atoll.domain.pool import NodePool
from atoll.domain.profile import PerformanceProfile
from atoll.domain.reason import Fault, InvalidObjectError, Reason

_GROUP = "atoll.dev/"
_OURS = frozenset(kind.name for kind in OUR_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFault:
    """What is wrong with one object of a file.

    Attributes:
        origin: file and line, such as ``pools.yaml:12``.
        target: such as ``ModelDemand default/qwen3-32b``; empty where the file cannot be read as YAML.
        fault: what is wrong.
    """

    origin: str
    target: str
    fault: Fault

    def __str__(self) -> str:
        """Read as ``origin: target: field: message``."""
        return ": ".join(part for part in (self.origin, self.target, str(self.fault)) if part)


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
    """

    demands: tuple[Demand, ...]
    pools: tuple[NodePool, ...]
    fleets: tuple[Fleet, ...]
    profiles: tuple[PerformanceProfile, ...]
    faults: tuple[ManifestFault, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    origin: str
    value: Any

    @property
    def target(self) -> str:
        kind, found = _member(self.value, "kind"), _member(self.value, "metadata")
        namespace = _member(found, "namespace") or ("default" if kind == MODEL_DEMAND.name else "")
        name = _member(found, "name") or "(without a name)"
        return f"{kind or 'object'} {namespace}/{name}" if namespace else f"{kind or 'object'} {name}"


def load_manifests(
    paths: Iterable[Path],
    *,
    signals: Mapping[DemandKey, float] | None = None,
    now: datetime | None = None,
) -> Manifests:
    """Read ``*.yaml``, ``*.yml`` and ``*.json`` files, and folders of them with their sub-folders.

    Nothing is raised for what files hold: each fault is of one object or, where YAML itself is broken, of one file.

    Args:
        paths: files and folders.
        signals: what Prometheus queries gave, requests/s, by demand.
        now: the moment that schedules are read for.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    demands: dict[DemandKey, Demand] = {}
    origins: dict[DemandKey, _Document] = {}
    pools: dict[str, NodePool] = {}
    fleets: dict[str, Fleet] = {}
    profiles: dict[str, PerformanceProfile] = {}
    faults: list[ManifestFault] = []
    notes: list[str] = []
    first: dict[str, str] = {}
    for document in _documents(paths, faults):
        kind = _member(document.value, "kind")
        if not str(_member(document.value, "apiVersion") or "").startswith(_GROUP) or kind not in _OURS:
            notes.append(f"{document.origin}: {document.target} is not one of Atoll's kinds: passed over")
            continue
        if (earlier := first.setdefault(document.target, document.origin)) != document.origin:
            message = f"given before, at {earlier}: remove one"
            faults.append(_faulty(document, Fault(reason=Reason.INVALID_SPEC, field="metadata.name", message=message)))
            continue
        try:
            if kind == MODEL_DEMAND.name:
                demand = parse_model_demand(document.value, signals=signals, now=now)
                demands[demand.key], origins[demand.key] = demand, document
            elif kind == GPU_NODE_POOL.name:
                pool = parse_gpu_node_pool(document.value)
                pools[pool.name] = pool
            elif kind == FLEET.name:
                fleet = parse_fleet(document.value)
                fleets[fleet.name] = fleet
            elif kind == PERFORMANCE_PROFILE.name:
                profile = parse_performance_profile(document.value)
                profiles[profile.name] = profile
            else:
                notes.append(f"{document.origin}: {document.target} is Atoll's own output: passed over")
        except InvalidObjectError as error:
            faults.append(_faulty(document, error.fault))
    taken = settle_served_names(demands.values())
    faults.extend(_faulty(origins[key], fault) for key, fault in taken.items())
    return Manifests(
        demands=tuple(demand for key, demand in demands.items() if key not in taken),
        pools=tuple(pools.values()),
        fleets=tuple(fleets.values()),
        profiles=tuple(profiles.values()),
        faults=tuple(faults),
        notes=tuple(notes),
    )


def _faulty(document: _Document, fault: Fault) -> ManifestFault:
    return ManifestFault(origin=document.origin, target=document.target, fault=fault)


def _documents(paths: Iterable[Path], faults: list[ManifestFault]) -> Iterator[_Document]:
    """Objects of all files in order, items of lists on their own; a broken file becomes a fault."""
    for file in _files(paths):
        try:
            text = file.read_text(encoding="utf-8")
            for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
                value = _construct(node)
                if value is not None:
                    yield from _unlisted(_Document(origin=f"{file}:{node.start_mark.line + 1}", value=value))
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
            faults.append(_broken(file, error))


def _construct(node: yaml.Node) -> Any:
    constructor = yaml.SafeLoader("")
    try:
        return constructor.construct_document(node)
    finally:
        constructor.dispose()


def _broken(file: Path, error: Exception) -> ManifestFault:
    mark = getattr(error, "problem_mark", None)
    origin = f"{file}:{mark.line + 1}" if mark is not None else str(file)
    problem = getattr(error, "problem", None) or type(error).__name__
    message = f"no valid YAML: {problem}; what follows in this file is not read"
    return ManifestFault(origin=origin, target="", fault=Fault(reason=Reason.INVALID_SPEC, message=message))


def _unlisted(document: _Document) -> Iterator[_Document]:
    """The items of a ``List``, or the object itself."""
    items = _member(document.value, "items")
    kind = _member(document.value, "kind")
    if not (isinstance(items, list) and isinstance(kind, str) and kind.endswith("List")):
        yield document
        return
    for index, item in enumerate(items):
        value = item
        if isinstance(item, dict) and kind != "List":  # items of a typed list carry no kind of their own
            value = {"apiVersion": document.value.get("apiVersion"), "kind": kind.removesuffix("List"), **item}
        yield _Document(origin=f"{document.origin} item {index}", value=value)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in {".yaml", ".yml", ".json"})
        elif path.is_file():
            yield path
        else:
            raise FileNotFoundError(f"{path} does not exist: give files or folders of manifests")


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
