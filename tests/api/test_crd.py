"""The CustomResourceDefinitions in ``crds/`` are what the structs say, and keep to the API server's and our limits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atoll.api.crd import definition, render, root_schema
from atoll.api.schema import OpenApi
from atoll.api.v1alpha1.kinds import RESOURCES, Resource

FOLDER = Path(__file__).parents[2] / "crds"

each_kind = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind.name)


def schemas(schema: OpenApi, path: str) -> Iterator[tuple[str, OpenApi]]:
    """Every schema within a schema, but for apiVersion, kind and metadata, which are the API server's."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        if path or name in {"spec", "status"}:
            yield from schemas(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from schemas(schema[key], f"{path}[]")


@each_kind
def test_file_is_what_the_struct_says(resource: Resource) -> None:
    text = (FOLDER / f"{resource.kind.plural}.yaml").read_text()
    assert text == render(resource), "run `make crds` and commit the result"
    assert len(text) < 200 * 1024


def test_there_is_a_file_per_kind_and_no_other() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {f"{resource.kind.plural}.yaml" for resource in RESOURCES}


def _bounds_of_object(schema: dict[str, Any]) -> set[str]:
    """What an object's schema must have; a copy of a spec is as large as that may be."""
    if "additionalProperties" in schema:
        return {"maxProperties"}
    kept = "x-kubernetes-preserve-unknown-fields"
    return {kept} if kept in schema else {"properties"}


@each_kind
def test_everything_is_described_typed_and_bounded(resource: Resource) -> None:
    for path, schema in schemas(root_schema(resource), ""):
        member = path.endswith("[]")
        assert schema.get("description") or (member and "properties" not in schema), path
        assert not {"$ref", "oneOf", "allOf", "nullable"} & schema.keys(), path
        if schema.get("x-kubernetes-int-or-string"):
            assert {"maxLength", "pattern", "minimum", "maximum"} <= schema.keys(), path
            continue
        limits = {
            "string": {"maxLength"},
            "integer": {"minimum", "maximum"},
            "number": {"minimum", "maximum"},
            "array": {"maxItems", "items"},
            "boolean": set(),
            "object": _bounds_of_object(schema),
        }[schema["type"]]
        assert limits <= schema.keys(), path


@each_kind
def test_every_list_says_how_it_merges(resource: Resource) -> None:
    for path, schema in schemas(root_schema(resource), ""):
        if schema.get("type") == "array":
            assert schema["x-kubernetes-list-type"] in {"atomic", "set", "map"}, path


@each_kind
def test_every_optional_spec_field_has_a_default_or_means_something_when_absent(resource: Resource) -> None:
    absent_means_something = {
        "ModelDemand": {
            ".spec.demand.prometheus",
            ".spec.demand.requestsPerSecond",
            ".spec.demand.router",
            ".spec.demand.schedule",
            ".spec.engine.env[].value",
            ".spec.engine.env[].valueFrom",
            ".spec.engine.podTemplate.cpu",
            ".spec.engine.podTemplate.memory",
            ".spec.engine.podTemplate.tolerations[].tolerationSeconds",
            *(f".spec.engine.podTemplate.volumes[].{kind}" for kind in ("configMap", "csi", "emptyDir", "secret")),
            ".spec.engine.podTemplate.volumes[].emptyDir.sizeLimit",
            ".spec.engine.podTemplate.volumes[].persistentVolumeClaim",
            ".spec.model.architecture.config",
            ".spec.model.architecture.name",
        },
        "GPUNodePool": {
            ".spec.allocatable",
            ".spec.bandwidth.disk",
            ".spec.bandwidth.network",
            ".spec.feed",
            ".spec.offerings[].price",
            ".spec.tolerations[].tolerationSeconds",
            ".spec.weightsCache",
            ".spec.weightsCache.sizeLimit",
        },
        "Fleet": {
            ".spec.budgetPerHour",
            ".spec.loading.storeBandwidth",
            ".spec.router.image",
            ".spec.router.replicas",
        },
        "FleetPlan": {
            ".spec.baselinePerHour",
            ".spec.demands[].alternatives[].winsBelow",
            ".spec.demands[].alternatives[].strategy.kvForm",
            ".spec.demands[].alternatives[].strategy.peerTp",
            ".spec.demands[].alternatives[].strategy.phase",
            ".spec.demands[].bindings[].savesPerHour",
            ".spec.demands[].replicas[].strategy.kvForm",
            ".spec.demands[].replicas[].strategy.peerTp",
            ".spec.demands[].replicas[].startup",
            ".spec.demands[].replicas[].strategy.phase",
            ".spec.shard",
            ".spec.worths[].mostPerHour",
        },
        "PerformanceProfile": set(),
    }[resource.kind.name]
    found = {
        f"{path}.{name}"
        for path, schema in schemas(root_schema(resource)["properties"]["spec"], ".spec")
        for name, field in schema.get("properties", {}).items()
        if name not in schema.get("required", ()) and "default" not in field
    }
    assert found == absent_means_something


@each_kind
def test_status_has_no_defaults(resource: Resource) -> None:
    status = root_schema(resource)["properties"]["status"]
    assert [path for path, schema in schemas(status, ".status") if "default" in schema] == []


@each_kind
def test_kubectl_finds_it_and_shows_its_cost(resource: Resource) -> None:
    spec = definition(resource)["spec"]
    assert spec["names"]["categories"] == ["atoll"]
    assert resource.short_name in {spec["names"]["singular"], *spec["names"].get("shortNames", ())}
    version = spec["versions"][0]
    assert version["subresources"] == {"status": {}}
    columns = {column["name"] for column in version["additionalPrinterColumns"]}
    assert "Age" in columns
    assert "$/h" in columns or resource.kind.name == "PerformanceProfile"


@each_kind
def test_columns_show_fields_that_exist(resource: Resource) -> None:
    known = {path for path, _ in schemas(root_schema(resource), "")} | {".metadata.creationTimestamp"}
    for column in resource.struct.columns:
        assert column.path.split("[?")[0] in known, column.name
