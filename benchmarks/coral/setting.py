"""Coral's setting as a problem: served models with objectives, GPU configs in regions, and the product's templates."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atoll.catalogue.architectures import architecture
from atoll.catalogue.coral import coral_configs
from atoll.catalogue.lengths import azure_workloads
from atoll.domain.architecture import Quantisation
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import Problem, SolvePolicy
from atoll.domain.reason import InvalidObjectError
from atoll.domain.workload import Objectives
from atoll.optimize.case import Case
from atoll.optimize.decide import pose
from atoll.performance.estimate import ShippedPerformance
from benchmarks.rows import FileError


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One file.

    Attributes:
        name: of the file.
        problem: demands in the order in which they came, with the product's templates; nothing runs yet.
        published_seconds: mean time of a solve that Coral's authors state for this setting (Gurobi, 32 cores).
        published_ratio: how many times dearer they found replicas of one GPU config for each served model to be.
        source: of the setting and these figures.
    """

    name: str
    problem: Problem
    published_seconds: float | None
    published_ratio: float | None
    source: str


def read_setting(path: Path) -> Setting:
    """Read a setting.

    Args:
        path: JSON as in ``benchmarks/data/coral``: ``regions``, ``gpuKinds``, ``nodes`` (most nodes of each GPU config
            and region, by GPUs per node), ``percentile`` and ``demands``; if known ``publishedSeconds``,
            ``publishedOneKindRatio`` and ``source``.

    Raises:
        FileError: the file cannot be used, or a served model has no template.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        demands = tuple(_demand(entry, content) for entry in content["demands"])
        supplies = supplies_of(content)
        seconds, ratio = (
            None if (figure := content.get(field)) is None else float(figure)
            for field in ("publishedSeconds", "publishedOneKindRatio")
        )
        source = str(content.get("source", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidObjectError) as error:
        wrong = f"no setting ({type(error).__name__}: {error})"
        raise FileError(path, wrong, "see the files in benchmarks/data/coral") from error
    if not demands or not supplies:
        raise FileError(path, "no demands, or no nodes", "give at least one of each")
    case = Case(demands=demands, supplies=supplies, running=(), policy=SolvePolicy(rate_confidence=0.5))
    problem, faults = pose(case, ShippedPerformance())
    for key, fault in faults.items():
        raise FileError(path, f"{key.name} cannot be served", fault.message)
    return Setting(name=path.stem, problem=problem, published_seconds=seconds, published_ratio=ratio, source=source)


def _demand(entry: Mapping[str, Any], content: Mapping[str, Any]) -> Demand:
    rate = float(entry["rate"])
    if not 0.0 < rate < math.inf:
        raise ValueError(f"{entry['name']}: rate is above 0")
    return Demand(
        key=DemandKey(namespace="coral", name=entry["name"]),
        served_name=entry["name"],
        architecture=architecture(entry["architecture"]),
        quantisations=(Quantisation(entry["quantisation"]),),
        rate=rate,
        workload=azure_workloads()[entry["workload"]],
        objectives=Objectives(
            ttft_seconds=float(entry["ttftMs"]) / 1000.0,
            tpot_seconds=float(entry["tpotMs"]) / 1000.0,
            percentile=float(content["percentile"]),
        ),
        priority=int(entry.get("priority", 0)),
    )


def supplies_of(content: Mapping[str, Any]) -> tuple[Supply, ...]:
    """On-demand nodes of every GPU config: Coral's evaluation names no spot nodes."""
    nodes = {int(gpus): int(count) for gpus, count in content["nodes"].items()}
    kinds = set(content["gpuKinds"])
    unknown = kinds - {config.config.kind for config in coral_configs()}
    if unknown:
        raise ValueError(f"GPU kind {min(unknown)} is none of Coral's")
    found = []
    for region in content["regions"]:
        configs = coral_configs(region)
        if not configs:
            raise ValueError(f"region {region} is none of Coral's")
        found += [
            Supply(
                offering=OfferingKey(
                    pool=f"{config.name}-{config.config.kind}-x{config.config.count}",
                    zone=config.zone,
                    capacity_type=CapacityType.ON_DEMAND,
                ),
                gpu_kind=config.config.kind,
                gpus=config.config.count,
                price_per_hour=config.price_per_hour,
                obtainable=nodes.get(config.config.count, 0),
                region=region,
            )
            for config in configs
            if config.config.kind in kinds and nodes.get(config.config.count, 0) > 0
        ]
    return tuple(found)
