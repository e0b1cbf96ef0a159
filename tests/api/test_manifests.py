"""Folders of YAML, read without a cluster: a fault is of one object, named by file and line."""

import io
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from api import samples
from api.plans import plan
from atoll.api.fleetplan_io import plan_objects
from atoll.api.manifests import Manifests, load_manifests
from atoll.domain.reason import Reason


def write(folder: Path, name: str, *objects: object) -> Path:
    file = folder / name
    file.write_text("---\n".join(yaml.safe_dump(obj) for obj in objects))
    return file


def load(path: Path) -> Manifests:
    return load_manifests([path])


def test_all_kinds_of_all_files_are_found(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", samples.model_demand(), samples.gpu_node_pool())
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", "b.yml", samples.fleet())
    (tmp_path / "c.json").write_text(json.dumps(samples.performance_profile()))
    (tmp_path / "notes.txt").write_text("not: [yaml")
    found = load(tmp_path)
    assert [str(demand.key) for demand in found.demands] == ["team-a/chat"]
    assert [pool.name for pool in found.pools] == ["l4"]
    assert [fleet.name for fleet in found.fleets] == ["gold"]
    assert [profile.name for profile in found.profiles] == ["qwen3-32b-h100"]
    assert (found.faults, found.notes) == ((), ())


@pytest.mark.parametrize("kind", ["List", "GPUNodePoolList"])
def test_items_of_lists_are_objects(tmp_path: Path, kind: str) -> None:
    item = samples.gpu_node_pool()
    version = "v1" if kind == "List" else item["apiVersion"]
    if kind != "List":
        del item["kind"], item["apiVersion"]
    write(tmp_path, "a.yaml", {"apiVersion": version, "kind": kind, "items": [item]})
    assert [pool.name for pool in load(tmp_path).pools] == ["l4"]


def test_broken_yaml_names_file_and_line_and_other_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, "good.yaml", samples.fleet())
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: Fleet\nmetadata:\n  name: [unclosed\nspec: {}\n")
    found = load(tmp_path)
    assert len(found.fleets) == 1
    assert found.faults[0].origin == f"{bad}:4"
    assert "no valid YAML" in str(found.faults[0])


@pytest.mark.parametrize(
    "text", [b"\xff\xfe\x00", b"a: &a [*a]\nkind: x", b"? [1]\n: 2", b"!!python/object:os.x {}", b"5"]
)
def test_hostile_files_are_faults_or_notes(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.yaml").write_bytes(text)
    found = load(tmp_path)
    assert len(found.faults) + len(found.notes) == 1


def test_a_bad_object_leaves_the_others(tmp_path: Path) -> None:
    bad = samples.model_demand()
    bad["metadata"]["name"] = "bad"
    bad["spec"]["demand"]["requestsPerSecond"] = -1
    file = write(tmp_path, "a.yaml", samples.fleet(), bad, samples.model_demand())
    found = load(file)
    assert len(found.demands) == 1
    line = file.read_text().splitlines().index("---") + 2
    assert str(found.faults[0]) == (
        f"{file}:{line}: ModelDemand team-a/bad: spec.demand.requestsPerSecond: -1 is refused: Expected a number >= 0.0"
    )


def test_not_a_number_in_yaml_is_refused(tmp_path: Path) -> None:
    bad = samples.model_demand()
    bad["spec"]["demand"]["requestsPerSecond"] = float("nan")
    assert "is not finite" in str(load(write(tmp_path, "a.yaml", bad)).faults[0])


def test_of_two_demands_with_one_served_name_the_first_is_kept(tmp_path: Path) -> None:
    second = samples.model_demand()
    second["metadata"] = {"name": "second", "creationTimestamp": "2026-12-01T00:00:00Z"}
    found = load(write(tmp_path, "a.yaml", samples.model_demand(), second))
    assert [demand.key.name for demand in found.demands] == ["chat"]
    assert found.faults[0].fault.reason is Reason.SERVED_NAME_TAKEN
    assert "held by team-a/chat" in found.faults[0].fault.message
    assert found.faults[0].target == "ModelDemand default/second"


def test_an_object_given_twice_is_a_fault_of_the_second(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", samples.fleet())
    write(tmp_path, "b.yaml", samples.fleet())
    found = load(tmp_path)
    assert len(found.fleets) == 1
    assert f"given before, at {tmp_path / 'a.yaml'}:1" in str(found.faults[0])


def test_other_kinds_are_passed_over_with_a_note(tmp_path: Path) -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    found = load(write(tmp_path, "a.yaml", deployment, plan_objects(plan())[0]))
    assert found.faults == ()
    assert "Deployment web is not one of Atoll's kinds" in found.notes[0]
    assert "Atoll's own output" in found.notes[1]


def test_unquoted_timestamps_are_text(tmp_path: Path) -> None:
    obj = samples.model_demand()
    text = yaml.safe_dump(obj).replace("'2026-11-21T10:00:00Z'", "2026-11-21T10:00:00Z")
    (tmp_path / "a.yaml").write_text(text)
    assert load(tmp_path).demands[0].created == "2026-11-21T10:00:00Z"


def test_a_path_that_does_not_exist_is_the_caller_s_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        load(tmp_path / "nowhere")

    assert raised.value.filename == str(tmp_path / "nowhere")


def test_standard_input_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(yaml.safe_dump(samples.fleet()).encode()))
    monkeypatch.setattr("sys.stdin", stream)
    assert [fleet.name for fleet in load(Path("-")).fleets] == ["gold"]


def test_a_fault_of_standard_input_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a: [")))
    assert load(Path("-")).faults[0].origin == "standard input:1"


def test_a_named_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = yaml.safe_dump(samples.fleet())
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    found = load(pipe)
    writer.join()
    assert [fleet.name for fleet in found.fleets] == ["gold"]


def test_a_pipe_in_a_folder_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert load(tmp_path).faults == ()


def test_what_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atoll.api.documents.MOST_BYTES", 2**20)
    assert "more than 1 MiB" in str(load(Path("/dev/zero")).faults[0])


def test_a_file_that_may_not_be_read_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, "a.yaml", samples.fleet())

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert str(load(file).faults[0]) == f"{file}: cannot be read: Permission denied"


def test_bytes_that_are_no_text_are_a_fault_with_line_and_mend(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"kind: Fleet\n\x80\x81")
    assert str(load(file).faults[0]) == (
        f"{file}:2: byte 0x80 is not UTF-8: is it text? Save it as UTF-8, or leave it out"
    )


def test_a_key_given_twice_is_a_fault_and_the_next_document_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"kind: Fleet\nkind: Fleet\n---\n{yaml.safe_dump(samples.fleet())}")
    found = load(file)
    assert str(found.faults[0]) == (
        f"{file}:2: key 'kind' is given twice, first in line 1: remove one; this document is not read"
    )
    assert len(found.fleets) == 1


@pytest.mark.parametrize(
    ("version", "kind", "says"),
    [
        ("atoll.dev/v1alpha1", "ModelDemnad", "kind: 'ModelDemnad' is not known: did you mean ModelDemand?"),
        ("atoll.dev/v1alpha1", "modeldemand", "did you mean ModelDemand?"),
        ("atoll.dev/v1alpha1", "Deployment", "use one of ModelDemand, GPUNodePool"),
        ("atoll.dev/v1alpha1", None, "kind: missing: use one of"),
        ("atoll.dev/v1alpha1", 7, "kind: 7 is not known"),
        ("atoll.dev/v1alpha2", "ModelDemand", "apiVersion: 'atoll.dev/v1alpha2' is not known: use atoll.dev/v1alpha1"),
        ("atoll.dev", "ModelDemand", "use atoll.dev/v1alpha1"),
        ("atol.dev/v1alpha1", "ModelDemand", "use atoll.dev/v1alpha1"),
        (None, "ModelDemand", "apiVersion: missing: use atoll.dev/v1alpha1"),
    ],
)
def test_a_mistyped_kind_or_version_is_a_fault_and_not_passed_over(
    tmp_path: Path, version: object, kind: object, says: str
) -> None:
    obj = samples.model_demand() | {"apiVersion": version, "kind": kind}
    found = load(write(tmp_path, "a.yaml", {key: value for key, value in obj.items() if value is not None}))
    assert found.demands == ()
    assert says in str(found.faults[0])


@pytest.mark.parametrize(("version", "kind"), [("agones.dev/v1", "Fleet"), ("v1", "Pod"), (None, None), ("v1", None)])
def test_kinds_of_others_are_passed_over(tmp_path: Path, version: object, kind: object) -> None:
    found = load(write(tmp_path, "a.yaml", {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}))
    assert found.faults == ()
    assert len(found.notes) == 1


def test_numbers_with_an_exponent_are_numbers(tmp_path: Path) -> None:
    text = yaml.safe_dump(samples.model_demand()).replace("requestsPerSecond: 25", "requestsPerSecond: 2.5e1")
    (tmp_path / "a.yaml").write_text(text)
    assert load(tmp_path).demands[0].rate == 25.0


def test_the_highest_floor_of_a_schedule_is_known(tmp_path: Path) -> None:
    night = datetime(2026, 11, 21, 2, tzinfo=UTC)
    found = load_manifests([write(tmp_path, "a.yaml", samples.scheduled_demand())], now=night)
    assert found.demands[0].rate == 2.0
    assert found.peaks == {found.demands[0].key: 40.0}


def test_pools_that_are_refused_are_remembered_as_such(tmp_path: Path) -> None:
    bad = samples.gpu_node_pool()
    bad["spec"]["gpu"]["count"] = 0
    file = write(tmp_path, "a.yaml", bad, samples.fleet())
    assert load(file).pools_refused == (f"{file}:1",)
    assert load(write(tmp_path, "b.yaml", samples.gpu_node_pool())).pools_refused == ()


@pytest.mark.parametrize("labels", [None, {}, {"tier": None}])
def test_labels_are_kept_by_demand_and_those_without_a_value_are_passed_over(tmp_path: Path, labels: object) -> None:
    labelled, other = samples.model_demand(), samples.model_demand()
    labelled["metadata"]["labels"] = {"team": "search"}
    other["metadata"]["name"], other["spec"]["model"]["servedName"] = "other", "other"
    other["spec"]["model"]["aliases"] = []
    other["metadata"]["labels"] = labels
    write(tmp_path, "a.yaml", labelled, other)

    found = load(tmp_path)

    assert {key.name: dict(own) for key, own in found.labels.items()} == {"chat": {"team": "search"}, "other": {}}
