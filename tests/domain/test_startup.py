"""How fast weights load, and how long a start is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.startup import (
    ASSUMED_BYTES_PER_SECOND,
    GRAIN_SECONDS,
    NodeBandwidth,
    StartPolicy,
    Starts,
    WeightsSource,
)

NODE = NodeBandwidth(nic=12.5e9, disk=2e9)
STORE = StartPolicy(store_bytes_per_second=20e9)


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("", WeightsSource.HUGGING_FACE),
        ("hf://org/name@main", WeightsSource.HUGGING_FACE),
        ("pvc://claim/path", WeightsSource.CLAIM),
        ("oci://registry/weights:1", WeightsSource.IMAGE),
        ("s3://bucket/prefix", WeightsSource.OBJECT_STORE),
        ("ftp://nowhere", WeightsSource.HUGGING_FACE),
    ],
)
def test_the_scheme_tells_the_source(uri: str, source: WeightsSource) -> None:
    assert WeightsSource.of(uri) is source


@pytest.mark.parametrize(
    ("source", "loads", "beside", "rate"),
    [
        pytest.param(WeightsSource.HUGGING_FACE, 1, 1, 2e9, id="the disk is the slowest"),
        pytest.param(WeightsSource.IMAGE, 1, 4, 0.5e9, id="four on a node share its disk"),
        pytest.param(WeightsSource.OBJECT_STORE, 1, 1, 12.5e9, id="streamed past the disk"),
        pytest.param(WeightsSource.OBJECT_STORE, 4, 1, 5e9, id="four share the store"),
        pytest.param(WeightsSource.CLAIM, 2, 2, 6.25e9, id="two on a node share its NIC"),
        pytest.param(WeightsSource.HUGGING_FACE, 40, 1, 0.5e9, id="forty share the store"),
    ],
)
def test_weights_come_at_the_least_of_nic_disk_and_store(
    source: WeightsSource, loads: int, beside: int, rate: float
) -> None:
    assert STORE.loading_rate(source, NODE, loads=loads, beside=beside) == rate


@given(
    source=st.sampled_from(WeightsSource),
    loads=st.integers(1, 500),
    beside=st.integers(1, 8),
    store=st.none() | st.floats(1e6, 1e12),
)
def test_more_loads_never_make_one_faster(source: WeightsSource, loads: int, beside: int, store: float | None) -> None:
    policy = StartPolicy(store_bytes_per_second=store)
    rate = policy.loading_rate(source, NODE, loads=loads, beside=beside)
    assert 0.0 < policy.loading_rate(source, NODE, loads=loads + 1, beside=beside) <= rate
    assert 0.0 < policy.loading_rate(source, NODE, loads=loads, beside=beside + 1) <= rate


def test_a_start_is_its_phases_up_to_whole_grains() -> None:
    found = StartPolicy(image_seconds=0.0, engine_seconds=95.0).phases(30e9, 2e9)
    assert (found.weights_seconds, found.seconds) == (15.0, 110.0)
    assert found.seconds % GRAIN_SECONDS == 0.0


def test_the_slowest_nodes_that_fit_count() -> None:
    starts = Starts(rates=(("L4-24GB", 1, 1e8), ("L4-24GB", 8, 3e9)))
    assert starts.rate("L4-24GB", 1) == 1e8
    assert starts.rate("L4-24GB", 2) == 3e9
    assert starts.rate("H100-80GB", 1) == ASSUMED_BYTES_PER_SECOND


def test_no_start_takes_longer_than_a_plan_can_say() -> None:
    slow = StartPolicy(store_bytes_per_second=1e6)
    rate = slow.loading_rate(WeightsSource.HUGGING_FACE, NodeBandwidth(), loads=50)
    assert slow.phases(1.4e12, rate).seconds < 1e6
