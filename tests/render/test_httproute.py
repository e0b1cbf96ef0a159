"""A demand as an HTTPRoute."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.fleet import GatewayPolicy, GatewayReference
from atoll.render.httproute import MOST_BACKENDS, backend_weights, http_route
from golden import assert_golden
from render.sample import as_yaml, demand

GOLDEN = Path(__file__).parent / "golden"
POLICY = GatewayPolicy(
    parents=(
        GatewayReference(namespace="gateways", name="public", section="https"),
        GatewayReference(namespace="gateways", name="private"),
    ),
    hostnames=("models.example.com",),
)
SERVED = ("Qwen/Qwen3-32B", "gpt-4", "prod/qwen")


def test_a_route_with_two_strategies() -> None:
    route = http_route(demand(), SERVED, {"qwen-b0ed23af85": 6.5, "qwen-dd38d49603": 1.0}, POLICY)

    assert_golden(GOLDEN / "httproute.yaml", as_yaml([route]))


def test_nothing_is_written_that_a_gateway_may_refuse() -> None:
    bare = GatewayPolicy(parents=POLICY.parents[1:], request_timeout="")
    spec = http_route(demand(), SERVED, {}, bare)["spec"]

    assert set(spec) == {"parentRefs", "rules"}
    assert set(spec["rules"][0]) == {"matches", "backendRefs"}


@given(st.dictionaries(st.text("abc", min_size=1), st.floats(0, 1e6, allow_nan=False), max_size=30))
def test_weights_are_ones_that_the_api_takes_and_keep_what_serves(capacity: dict[str, float]) -> None:
    weights = backend_weights(capacity)

    assert len(weights) == min(len(capacity), MOST_BACKENDS)
    assert all(0 <= weight <= 1_000_000 for weight in weights.values())
    assert not weights or any(weights.values())
    if any(capacity.values()):
        assert all((weights[name] > 0) == (capacity[name] > 0) for name in weights)


def test_weights_keep_the_ratio_of_capacities() -> None:
    weights = backend_weights({"a": 30.0, "b": 10.0, "c": 0.0})

    assert weights["a"] / weights["b"] == pytest.approx(3.0, rel=1e-3)
    assert weights["c"] == 0
    assert backend_weights({"a": 1.0}) == backend_weights({"a": 77.0})
