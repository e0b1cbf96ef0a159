"""What a ModelDemand comes to mean."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from api import samples
from atoll.api.parse import parse_model_demand
from atoll.catalogue.architectures import architecture
from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey, Engine, Placement
from atoll.domain.reason import InvalidObjectError, Reason

KEY = DemandKey(namespace="team-a", name="chat")
FRIDAY = datetime(2026, 11, 20, tzinfo=UTC)


def minimal() -> dict[str, Any]:
    lengths = {"input": {"mean": 1000}, "output": {"mean": 200}}
    return {
        "metadata": {"name": "chat"},
        "spec": {
            "model": {"servedName": "chat", "architecture": {"name": "qwen/qwen3-32b"}},
            "demand": {"requestsPerSecond": 1, "workload": lengths},
            "objectives": {"ttft": "1.5s", "tpot": "60ms"},
        },
    }


def test_what_is_left_out_is_the_domain_s_default() -> None:
    demand = parse_model_demand(minimal())
    assert demand.key == DemandKey(namespace="default", name="chat")
    assert demand.fleet == "default"
    assert demand.placement == Placement()
    assert demand.engine == Engine()
    assert demand.priority == 0
    assert demand.quantisations == (Quantisation.BF16,)
    assert demand.weights == "hf://Qwen/Qwen3-32B"
    assert demand.objectives.ttft_seconds == 1.5
    assert demand.objectives.percentile == 95.0
    assert demand.workload.input.cv == 1.0


@pytest.mark.parametrize(
    ("labels", "queue"), [({"kueue.x-k8s.io/queue-name": "serving"}, "serving"), ({"team": "a"}, ""), (None, "")]
)
def test_the_label_of_kueue_names_the_queue(labels: dict[str, str] | None, queue: str) -> None:
    obj = minimal()
    obj["metadata"]["labels"] = labels
    assert parse_model_demand(obj).queue == queue


@pytest.mark.parametrize("queue", ["Team-A", "team_a", "a..b", "a.-b", "-"])
def test_a_queue_that_no_local_queue_can_be_is_named(queue: str) -> None:
    obj = minimal()
    obj["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": queue}
    with pytest.raises(InvalidObjectError) as raised:
        parse_model_demand(obj)
    assert raised.value.fault.field == "metadata.labels.kueue.x-k8s.io/queue-name"
    assert queue in raised.value.fault.message
    if queue != "-":  # which is no value of a label either
        assert "no LocalQueue can be called so" in raised.value.fault.message


def test_a_queue_may_have_dots() -> None:
    obj = minimal()
    obj["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "a.b-1"}
    assert parse_model_demand(obj).queue == "a.b-1"


def test_an_inline_architecture_is_named_after_the_served_name() -> None:
    demand = parse_model_demand(samples.inline_demand())
    assert demand.architecture.name == "team-a-chat"
    assert (demand.architecture.layers, demand.architecture.experts_per_token) == (48, 8)


def test_int4_alone_says_how_the_weights_of_the_uri_are_published() -> None:
    obj = minimal()
    obj["spec"]["model"] |= {"weights": "hf://Qwen/Qwen3-32B-AWQ", "quantisations": ["int4"]}

    found = parse_model_demand(obj)

    assert found.architecture == replace(architecture("Qwen/Qwen3-32B"), native=Quantisation.INT4)
    obj["spec"]["model"]["quantisations"] = ["int4", "bf16"]
    assert parse_model_demand(obj).architecture == architecture("Qwen/Qwen3-32B")


def test_an_inline_architecture_fills_in_heads_as_hugging_face_does() -> None:
    obj = samples.inline_demand()
    obj["spec"]["model"]["architecture"]["config"] |= {"numKeyValueHeads": 0, "headDim": 0}
    chosen = parse_model_demand(obj).architecture
    assert (chosen.kv_heads, chosen.head_dim) == (32, 64)


def test_head_room_is_added_to_what_was_measured() -> None:
    assert parse_model_demand(samples.measured_demand(), signals={KEY: 10.0}).rate == 15.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 1e7])
def test_a_broken_signal_is_named(value: float) -> None:
    with pytest.raises(InvalidObjectError) as raised:
        parse_model_demand(samples.measured_demand(), signals={KEY: value})
    assert raised.value.fault.reason is Reason.INVALID_SIGNAL
    assert raised.value.fault.field == "spec.demand.prometheus"


def test_a_signal_that_is_not_there_is_not_zero() -> None:
    with pytest.raises(InvalidObjectError) as raised:
        parse_model_demand(samples.measured_demand())
    assert raised.value.fault.reason is Reason.INVALID_SIGNAL


def scheduled(floors: list[dict[str, Any]], now: datetime) -> float:
    obj = samples.scheduled_demand()
    obj["spec"]["demand"]["schedule"] = {"base": 2, "floors": floors}
    return parse_model_demand(obj, now=now).rate


DAY = {"start": "08:00", "end": "20:00", "requestsPerSecond": 40}
NIGHT = {"start": "22:00", "end": "06:00", "requestsPerSecond": 10, "days": ["Fri"]}


@pytest.mark.parametrize(
    ("hours", "rate"),
    [(7.99, 2), (8, 40), (19.99, 40), (20, 2), (22, 10), (29.99, 10), (30, 2), (24 + 22, 2)],
)
def test_r19_floors_hold_from_start_until_end(hours: float, rate: float) -> None:
    assert scheduled([DAY, NIGHT], FRIDAY + timedelta(hours=hours)) == rate


def test_r19_the_highest_floor_in_force_counts() -> None:
    assert scheduled([DAY, DAY | {"requestsPerSecond": 7}], FRIDAY + timedelta(hours=9)) == 40


def test_r19_a_floor_from_and_until_the_same_time_lasts_a_day() -> None:
    whole = {"start": "08:00", "end": "08:00", "requestsPerSecond": 5, "days": ["Fri"]}
    assert [scheduled([whole], FRIDAY + timedelta(hours=hours)) for hours in (7, 8, 31, 32)] == [2, 5, 5, 2]


def test_r19_floors_stand_beside_what_is_measured() -> None:
    obj = samples.measured_demand()
    obj["spec"]["demand"]["schedule"] = samples.scheduled_demand()["spec"]["demand"]["schedule"] | {"base": 20.0}
    rates = [parse_model_demand(obj, signals={KEY: rate}, now=FRIDAY).rate for rate in (1.0, 100.0)]
    assert rates == [20.0, 150.0]


def test_a_time_zone_that_nobody_knows_is_named() -> None:
    obj = samples.scheduled_demand()
    obj["spec"]["demand"]["schedule"]["timeZone"] = "Europe/Atlantis"
    with pytest.raises(InvalidObjectError, match=r"timeZone: 'Europe/Atlantis' is no name of the IANA"):
        parse_model_demand(obj, now=FRIDAY)


def test_r19_floors_are_in_utc_whatever_zone_now_is_in() -> None:
    seoul = timezone(timedelta(hours=9))
    assert scheduled([DAY], datetime(2026, 11, 20, 17, 30, tzinfo=seoul)) == 40


def test_a_schedule_without_the_time_of_day_is_no_rate() -> None:
    with pytest.raises(InvalidObjectError) as raised:
        parse_model_demand(samples.scheduled_demand())
    assert raised.value.fault.reason is Reason.INVALID_SIGNAL


def test_the_overlay_is_plain_json_as_a_pod_has_it() -> None:
    overlay = parse_model_demand(samples.model_demand()).engine.pod_template
    assert overlay == samples.model_demand()["spec"]["engine"]["podTemplate"] | {
        "tolerations": [{name: value for name, value in samples.TOLERATION.items() if name != "operator"}]
    }
