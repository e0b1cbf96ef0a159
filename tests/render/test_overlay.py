from dataclasses import replace

import pytest

from atoll.domain.reason import InvalidObjectError, Reason
from atoll.render.overlay import Overlay, merge_named, prune
from atoll.render.placement import tolerations
from atoll.render.requests import stage_share
from atoll.render.weights import weights
from render.sample import DEMAND, H100, demand, offering

SHARE = stage_share(2, H100)


@pytest.mark.parametrize(("field", "value"), [("cpu", "43001m"), ("cpu", 44), ("memory", "436Gi"), ("memory", "1Ti")])
def test_asking_more_than_the_share_of_the_node_is_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidObjectError) as raised:
        Overlay({field: value}).requests(SHARE)

    assert raised.value.fault.reason is Reason.REQUESTS_EXCEED_SHARE
    assert raised.value.fault.field == f"spec.engine.podTemplate.{field}"
    assert SHARE.requests[field] in raised.value.fault.message


@pytest.mark.parametrize(("field", "value"), [("cpu", "0"), ("cpu", "-1"), ("memory", "64GB"), ("memory", "1k")])
def test_a_request_that_makes_no_sense_is_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidObjectError) as raised:
        Overlay({field: value}).requests(SHARE)

    assert raised.value.fault.reason is Reason.INVALID_SPEC


def test_asking_exactly_the_share_or_less_is_fine() -> None:
    assert Overlay({"cpu": "43", "memory": "435Gi"}).requests(SHARE) == SHARE.requests
    assert Overlay({"cpu": "290m"}).requests(SHARE)["cpu"] == "290m"
    assert Overlay({}).requests(SHARE) == SHARE.requests


@pytest.mark.parametrize(
    "pod_template",
    [
        {"hostNetwork": True},
        {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]},
        {"volumes": [{"name": "two", "configMap": {"name": "a"}, "secret": {"secretName": "b"}}]},
        {"volumes": [{"name": "none"}]},
    ],
)
def test_what_is_not_on_the_allow_list_is_refused(pod_template: dict[str, object]) -> None:
    with pytest.raises(InvalidObjectError) as raised:
        Overlay(pod_template)

    assert raised.value.fault.field.startswith("spec.engine.podTemplate.")


@pytest.mark.parametrize(
    "toleration", [{"operator": "Exists"}, {"key": "karpenter.sh/disrupted", "operator": "Exists"}]
)
def test_no_pod_tolerates_the_sign_that_its_node_is_going(toleration: dict[str, str]) -> None:
    with pytest.raises(InvalidObjectError, match=r"karpenter\.sh/disrupted"):
        tolerations(H100, [toleration])


def test_our_toleration_of_lost_nodes_wins() -> None:
    wanted = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}

    merged = tolerations(H100, [wanted])

    assert [each for each in merged if each["key"] == wanted["key"]] == [{**wanted, "tolerationSeconds": 30}]


def test_our_items_win_and_come_first() -> None:
    merged = merge_named([{"name": "a", "value": "ours"}], [{"name": "a", "value": "x"}, {"name": "b"}], "name")

    assert merged == [{"name": "a", "value": "ours"}, {"name": "b"}]


def test_nulls_and_empty_values_are_left_out_except_an_empty_scratch_volume() -> None:
    assert prune({"a": None, "b": "", "c": [], "d": {"e": None}, "emptyDir": {"medium": ""}, "f": 0, "g": False}) == {
        "emptyDir": {},
        "f": 0,
    }


def test_labels_and_annotations_without_a_value_are_ones_like_any_other() -> None:
    overlay = Overlay({"labels": {"team/gpu": ""}, "annotations": {"team/quiet": ""}})

    assert (overlay.labels, overlay.annotations) == ({"team/gpu": ""}, {"team/quiet": ""})


@pytest.mark.parametrize(
    ("uri", "source", "revision"),
    [
        ("", "Qwen/Qwen3-32B", ""),
        ("hf://meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct", ""),
        ("hf://org/name@main", "org/name", "main"),
        ("pvc://models/qwen/3", "/weights/qwen/3", ""),
        ("pvc://models", "/weights", ""),
        ("oci://registry.example/weights/qwen3:1", "/weights", ""),
        ("s3://bucket/qwen3/", "s3://bucket/qwen3", ""),
    ],
)
def test_weights_from_hugging_face_a_volume_an_image_or_a_bucket(uri: str, source: str, revision: str) -> None:
    found = weights(replace(DEMAND, weights=uri))

    assert (found.source, found.revision) == (source, revision)
    assert bool(found.volumes) == bool(found.mounts) == uri.startswith(("pvc", "oci"))
    assert found.load_format == ("runai_streamer" if uri.startswith("s3") else "")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://",
        "s3:///x",
        "oci://registry",
        "oci://registry/",
        "ftp://bucket/x",
        "hf://name",
        "hf:///x",
        "pvc:///x",
        "pvc://a/../b",
        "x",
    ],
)
def test_other_weights_are_refused_with_the_mend(uri: str) -> None:
    with pytest.raises(InvalidObjectError, match="use hf://") as raised:
        weights(replace(DEMAND, weights=uri))

    assert raised.value.fault.field == "spec.model.weights"


def test_the_sample_offering_is_of_the_sample_pool() -> None:
    assert offering("h100x8") in {each.key for each in H100.offerings}
    assert demand().engine == DEMAND.engine
