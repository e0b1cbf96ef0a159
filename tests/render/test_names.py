import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey
from atoll.domain.strategy import EngineName, Phase, Stage, Strategy
from atoll.render import names
from render.sample import PIPELINE, SINGLE, SITE

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
KEYS = st.builds(
    OfferingKey, pool=st.text(max_size=80), zone=st.text(max_size=80), capacity_type=st.sampled_from(CapacityType)
)
STRATEGIES = st.builds(
    Strategy,
    engine=st.sampled_from(EngineName),
    tp=st.sampled_from((1, 2, 4, 8)),
    stages=st.lists(st.builds(Stage, gpu_kind=st.text(), layers=st.integers(1, 200)), min_size=1).map(tuple),
    quantisation=st.sampled_from(Quantisation),
    max_sequences=st.integers(1, 4096),
    max_context=st.integers(1, 1_000_000),
    phase=st.sampled_from((None, *Phase)),
    peer_tp=st.sampled_from((0, 1, 4)),
    kv_form=st.sampled_from(("", "common", "sm90")),
)


@given(STRATEGIES)
def test_a_strategy_is_read_back_from_its_annotation(strategy: Strategy) -> None:
    read = names.read_strategy(names.write_strategy(strategy))

    assert read == strategy
    assert read.id == strategy.id


@given(st.lists(KEYS).map(tuple))
def test_offerings_are_read_back_from_their_annotation(offerings: tuple[OfferingKey, ...]) -> None:
    assert names.read_offerings(names.write_offerings(offerings)) == offerings


@given(KEYS)
def test_every_offering_has_a_valid_label(offering: OfferingKey) -> None:
    assert LABEL_VALUE.fullmatch(names.offering_label(offering))


def test_a_short_offering_is_readable_in_its_label() -> None:
    assert names.offering_label(SITE.offerings[0]) == "h100x8.us-east-1a.spot"


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"engine": "vllm"}', "not json"])
def test_a_foreign_annotation_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        names.read_strategy(text)


def test_the_longest_names_fit_a_dns_label() -> None:
    longest = DemandKey(namespace="n" * 63, name="d" * names.DEMAND_NAME_LIMIT)

    assert len(names.stage_name(longest, "0" * 10, 9999, 63)) <= names.NAME_LIMIT
    assert len(names.replica_name(longest, "0" * 10, 9999)) <= names.NAME_LIMIT
    assert len(names.service_name(longest, SINGLE)) <= names.NAME_LIMIT


def test_equal_content_hashes_equal_whatever_the_order_of_keys() -> None:
    assert names.content_hash({"a": 1, "b": 2}) == names.content_hash({"b": 2, "a": 1})
    assert names.content_hash({"a": 1}) != names.content_hash({"a": 2})


def test_the_annotation_is_compact_json() -> None:
    text = names.write_strategy(PIPELINE)

    assert json.loads(text)["tp"] == 2
    assert ": " not in text
