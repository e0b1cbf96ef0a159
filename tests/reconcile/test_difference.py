"""When a live object already is what is intended."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.objects import ObjectLike
from atoll.reconcile.difference import differs, quantity
from reconcile.simulated_cluster import server_side_apply
from reconcile.worlds import ROUTER, demand_object, meant, plan, planned, pool_object, replicas


@pytest.mark.parametrize(
    ("intent", "live", "other"),
    [
        pytest.param({"a": 1}, {"a": 1, "b": 2}, False, id="what only the live object has is not ours"),
        pytest.param({"a": 1}, {"a": 2}, True, id="another value"),
        pytest.param({"a": 1}, {}, True, id="a missing field"),
        pytest.param({"a": {"b": 1}}, {"a": None}, True, id="null for a map"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, True, id="order of a plain list"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, True, id="length of a plain list"),
        pytest.param({"a": []}, {}, False, id="the API server drops empty lists"),
        pytest.param({"a": {}}, {}, True, id="an empty map says something: emptyDir"),
        pytest.param(
            {"env": [{"name": "A", "value": "1"}]},
            {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]},
            False,
            id="an associative list by its key",
        ),
        pytest.param(
            {"env": [{"name": "A", "value": "x"}]},
            {"env": [{"name": "A", "value": "y"}]},
            True,
            id="another value in an associative list",
        ),
        pytest.param({"env": [{"name": "A"}]}, {"env": [{"name": "B"}]}, True, id="a missing item"),
        pytest.param({"cpu": "1000m"}, {"cpu": "1"}, False, id="one core"),
        pytest.param({"memory": "1Gi"}, {"memory": "1024Mi"}, False, id="one gibibyte"),
        pytest.param({"memory": "1G"}, {"memory": "1Gi"}, True, id="a gigabyte is no gibibyte"),
        pytest.param({"port": 80}, {"port": "80"}, False, id="a number as text"),
        pytest.param({"command": "ab"}, {"command": ["a", "b"]}, True, id="text is no list"),
    ],
)
def test_differs(intent: Any, live: Any, other: bool) -> None:
    assert differs(intent, live) is other


def test_where_all_is_ours_an_item_too_many_differs() -> None:
    intent, live = {"conditions": [{"type": "Ready"}]}, {"conditions": [{"type": "Ready"}, {"type": "Old"}]}
    assert differs(intent, live, exact=True)
    assert not differs(intent, live)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("500m", 0.5), ("2Ki", 2048), ("1e3", 1000), ("1.5G", 1.5e9), ("7u", 7e-6), (3, 3)],
)
def test_quantities_have_values(text: Any, value: float) -> None:
    assert float(quantity(text)) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["", "many", "1 Gi", "--1", "1.2.3", True, None, "Gi", "NaN", "e5", "9e999999999999Ei"]
)
def test_what_is_no_quantity_has_none(text: Any) -> None:
    assert quantity(text) is None


def rendered() -> list[ObjectLike]:
    """Every object that a fleet with single and multi-stage replicas writes."""
    objects = [demand_object(), pool_object("small"), pool_object("big")]
    found = meant(plan(planned(replicas("small", count=2), replicas("small", "big"))), *objects)
    return [*(item.intent for item in found.deployments.values()), *found.companions]


LEAVES = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from(["x", "1", "1Gi"]))
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("abc"), inner, max_size=2)),
)


@st.composite
def edited(draw: st.DrawFn, value: Any) -> Any:
    """An object as somebody may have left it: fields changed, dropped and added anywhere."""
    if draw(st.integers(0, 19)) == 0:
        return draw(ANYTHING)
    if isinstance(value, dict):
        kept = {name: draw(edited(item)) for name, item in value.items() if draw(st.integers(0, 9))}
        return kept | draw(st.dictionaries(st.sampled_from(["extra", "other"]), LEAVES, max_size=1))
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return value[: draw(st.integers(0, len(value)))]
    return value


@given(data=st.data())
def test_what_was_applied_onto_anything_does_not_differ(data: st.DataObject) -> None:
    intent = data.draw(st.sampled_from(rendered()))
    live = data.draw(edited(intent))
    assert not differs(intent, server_side_apply(live if isinstance(live, dict) else {}, intent))


def test_nothing_rendered_differs_from_itself() -> None:
    assert ROUTER.name in {item["metadata"]["name"] for item in rendered()}
    assert not any(differs(item, item) for item in rendered())
