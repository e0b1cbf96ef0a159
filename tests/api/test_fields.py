"""Every field of every kind is parsed, described and bounded, and survives a round trip."""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from api import samples
from api.plans import plan
from atoll.api.crd import root_schema
from atoll.api.decode import decode
from atoll.api.fleetplan_io import plan_objects
from atoll.api.parse import (
    parse_fleet,
    parse_fleet_plan,
    parse_gpu_node_pool,
    parse_model_demand,
    parse_performance_profile,
)
from atoll.api.reference import fields
from atoll.api.schema import OpenApi, filled
from atoll.api.v1alpha1.kinds import RESOURCES, Resource
from atoll.domain.demand import DemandKey
from atoll.domain.reason import InvalidObjectError

SATURDAY = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
KEY = DemandKey(namespace="team-a", name="chat")
BY_NAME = {resource.kind.name: resource for resource in RESOURCES}


def fleet_plan() -> dict[str, Any]:
    head = plan_objects(plan())[0]
    return {
        **head,
        "status": {
            "observedGeneration": 1,
            "conditions": [samples.CONDITION],
            "phase": "Moving",
            "progress": {"wanted": 3, "ready": 2, "leaving": 1},
            "inForceSince": "2026-11-21T10:00:00Z",
        },
    }


def parse_demand(obj: dict[str, Any]) -> object:
    return parse_model_demand(obj, signals={KEY: 10.0}, now=SATURDAY)


def parse_plan(obj: dict[str, Any]) -> object:
    """As the API server's name follows from the content, take whatever name the content has."""
    try:
        return parse_fleet_plan([obj])
    except InvalidObjectError as error:
        return str(error)


SAMPLES: dict[str, tuple[str, Callable[[], dict[str, Any]], Callable[[dict[str, Any]], object]]] = {
    "demand": ("ModelDemand", samples.model_demand, parse_demand),
    "inline": ("ModelDemand", samples.inline_demand, parse_demand),
    "scheduled": ("ModelDemand", samples.scheduled_demand, parse_demand),
    "measured": ("ModelDemand", samples.measured_demand, parse_demand),
    "counted": ("ModelDemand", samples.counted_demand, parse_demand),
    "pool": ("GPUNodePool", samples.gpu_node_pool, parse_gpu_node_pool),
    "profile": ("PerformanceProfile", samples.performance_profile, parse_performance_profile),
    "fleet": ("Fleet", samples.fleet, parse_fleet),
    "plan": ("FleetPlan", fleet_plan, parse_plan),
}

PASS_THROUGH = {
    "ModelDemand spec.model.name": "for people only",
    "GPUNodePool spec.cloud": "chooses a price, where none is given: test_pools.py",
    "PerformanceProfile spec.source": "for people only",
    "FleetPlan spec.savingPerHour": "follows from costPerHour and previousCostPerHour",
    "FleetPlan spec.listCostPerHour": "follows from nodes",
    "FleetPlan spec.gap": "follows from costPerHour and boundPerHour",
    "FleetPlan spec.shortfall": "follows from demands",
    "FleetPlan spec.shard.of": "on shards only: test_fleetplan_io.py",
    "FleetPlan spec.shard.index": "on shards only: test_fleetplan_io.py",
}

OTHERS: dict[str, Any] = {
    "spec.solve.rateConfidence": 0.7,
    "spec.model.architecture.name": "Qwen/Qwen3-8B",
    "spec.model.architecture.config.numAttentionHeads": 64,
    "spec.model.architecture.config.numKeyValueHeads": 8,
    "spec.model.weights": "s3://bucket/weights",
    "spec.model.quantisations[]": "mxfp4",
    "spec.placement.gpuKinds[]": "L4-24GB",
    "spec.placement.capacityTypes[]": "reserved",
    "spec.placement.preference[]": "on-demand",
    "spec.placement.minDomains": 3,
    "spec.placement.minReplicas": 2,
    "spec.demand.schedule.floors[].start": "12:00",
    "spec.demand.schedule.floors[].end": "09:30",
    "spec.demand.schedule.floors[].days[]": "Sun",
    "spec.demand.schedule.base": 50.0,
    "spec.demand.schedule.timeZone": "America/New_York",
    "spec.demand.prometheus.quantile": 0.99,
    "spec.demand.prometheus.window": "1h",
    "spec.demand.router.quantile": 0.99,
    "spec.demand.router.window": "1h",
    "spec.engine.podTemplate.volumes[].emptyDir.medium": "",
    "spec.engine.podTemplate.volumeMounts[].mountPath": "/x",
    "spec.objectives.tpot": "80ms",
    "spec.tp": 8,
    "spec.offerings[].zone": "us-east-2b",
    "spec.offerings[].capacityType": "reserved",
    "spec.solve.horizon": "3h",
    "spec.gpu.kind": "A10G-24GB",
    "spec.gpu.count": 2,
    "spec.gpuKind": "L4-24GB",
    "spec.instanceType": "some-other",
    "spec.router.acknowledgement.endpoints[]": "http://127.0.0.1:9902",
    "spec.router.maxRequestSize": "16Mi",
    "spec.router.gateway.requestTimeout": "2h",
    "spec.tolerations[].operator": "Exists",
    "spec.engine.podTemplate.tolerations[].operator": "Exists",
    "spec.tolerations[].effect": "NoSchedule",
    "spec.engine.podTemplate.tolerations[].effect": "NoSchedule",
}
"""What a field is changed to, where ``other`` does not find something valid."""

CHECKED = {
    "spec.cost.labels[]",
    "spec.cost.budgets[].by",
    "spec.feed.staleAfter",
    "spec.gpu.count",
    "spec.gpu.kind",
    "spec.placement.capacityTypes[]",
    "spec.points[].phase",
}
"""Fields whose change alone contradicts another field: that it is refused shows that it was read."""


def leaves(value: Any, path: str, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Every leaf: its path in the schema and its keys in the object."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}", (*keys, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[]", (*keys, index))
    else:
        yield path, keys


def other(value: Any, path: str, schema: OpenApi) -> Any:
    """Another valid value of the field."""
    if path in OTHERS:
        return OTHERS[path]
    if "enum" in schema:
        return next(member for member in schema["enum"] if member != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if value + 1 <= schema["maximum"] else value / 2
    duration = schema.get("pattern", "").endswith("(ms|s|m|h))+$")
    return "25s" if duration else number_or_text(value, path)


def number_or_text(value: str, path: str) -> str:
    if path.endswith(("cpu", "memory", "ephemeralStorage", "sizeLimit", "network", "disk", "storeBandwidth")):
        return "2Gi"
    return f"{value[:-1]}x" if value[-1] != "x" else f"{value[:-1]}y"


def replaced(obj: dict[str, Any], keys: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(obj)
    inner: Any = changed["spec"]
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return changed


def schema_at(kind: str, path: str) -> OpenApi:
    schema = root_schema(BY_NAME[kind])
    for step in path.split("."):
        name = step.removesuffix("[]")
        schema = schema["properties"][name] if "properties" in schema else schema["additionalProperties"]
        if step.endswith("[]"):
            schema = schema["items"]
    return schema


SPEC_LEAVES = [
    pytest.param(sample, path, keys, id=f"{sample} {'.'.join(map(str, keys))}")
    for sample, (_, make, _) in SAMPLES.items()
    for path, keys in leaves(make()["spec"], "spec")
]


@pytest.mark.parametrize(("sample", "path", "keys"), SPEC_LEAVES)
def test_every_field_reaches_the_domain(sample: str, path: str, keys: tuple[str | int, ...]) -> None:
    kind, make, parse = SAMPLES[sample]
    obj = make()
    value: Any = obj["spec"]
    for key in keys:
        value = value[key]
    changed = replaced(obj, keys, other(value, path, schema_at(kind, path)))
    decode(changed["spec"], type_of_spec(BY_NAME[kind]), "spec")
    before = parse(obj)
    try:
        after = parse(changed)
    except InvalidObjectError:
        assert path in CHECKED
        return
    if f"{kind} {path}" in PASS_THROUGH:
        assert after == before
    else:
        assert after != before


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind.name)
def test_samples_set_every_field(resource: Resource) -> None:
    schema = root_schema(resource)
    known = {
        path
        for part in ("spec", "status")
        for path, field, _ in fields(schema["properties"][part], part)
        if not ("properties" in field or "properties" in field.get("items", {}))
    }
    given = set()
    for kind, make, _ in SAMPLES.values():
        if kind == resource.kind.name:
            obj = make()
            for part in ("spec", "status"):
                for path, _ in leaves(obj[part], part):
                    given.add(path)
    free = {"additionalProperties", "x-kubernetes-preserve-unknown-fields"}
    of_maps = {path for path in known if free & _at(schema, path).keys()}
    covered = {
        path
        for path in known
        for seen in given
        if seen in {path, f"{path}[]"} or (path in of_maps and seen.startswith(f"{path}."))
    }
    empty_plan_shard = {"spec.shard.of", "spec.shard.index"} if resource.kind.name == "FleetPlan" else set()
    assert known - covered - empty_plan_shard == set()


def _at(schema: OpenApi, path: str) -> OpenApi:
    for step in path.split("."):
        schema = schema["properties"][step.removesuffix("[]")]
        if step.endswith("[]"):
            schema = schema["items"]
    return schema


def type_of_spec(resource: Resource) -> Any:
    return {field.name: field.type for field in msgspec.structs.fields(resource.struct)}["spec"].__origin__


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_spec_survives_a_round_trip(sample: str) -> None:
    kind, make, _ = SAMPLES[sample]
    struct = type_of_spec(BY_NAME[kind])
    decoded = decode(make()["spec"], struct, "spec")
    assert decode(json.loads(json.dumps(filled(decoded))), struct, "spec") == decoded
    assert decode(json.loads(msgspec.json.encode(decoded)), struct, "spec") == decoded


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_status_survives_a_round_trip(sample: str) -> None:
    kind, make, _ = SAMPLES[sample]
    struct = {field.name: field.type for field in msgspec.structs.fields(BY_NAME[kind].struct)}["status"].__origin__
    status = make()["status"]
    assert json.loads(msgspec.json.encode(decode(status, struct, "status"))) == status
