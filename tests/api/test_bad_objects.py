"""Each bad object gets one fault: the reason, the field, the value seen and the mend."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import samples
from api.bad import CASES, Bad
from api.plans import plan
from atoll.api.fleetplan_io import parse_fleet_plan, plan_objects, read_plans
from atoll.api.parse import parse_fleet, parse_gpu_node_pool, parse_model_demand, parse_performance_profile
from atoll.domain.reason import Fault, InvalidObjectError, Reason

PARSERS: dict[str, Any] = {
    "ModelDemand": parse_model_demand,
    "GPUNodePool": parse_gpu_node_pool,
    "PerformanceProfile": parse_performance_profile,
    "Fleet": parse_fleet,
    "FleetPlan": lambda obj: parse_fleet_plan([obj]),
}
MAKERS: dict[str, Any] = {
    "ModelDemand": samples.inline_demand,
    "GPUNodePool": samples.gpu_node_pool,
    "PerformanceProfile": samples.performance_profile,
    "Fleet": samples.fleet,
    "FleetPlan": lambda: plan_objects(plan())[0],
}
KINDS = st.sampled_from(sorted(PARSERS))


def fault_of(kind: str, obj: Any) -> Fault | None:
    try:
        PARSERS[kind](obj)
    except InvalidObjectError as error:
        return error.fault
    return None


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_the_fault_names_reason_field_value_and_mend(bad: Bad) -> None:
    obj = bad.obj()
    with pytest.raises(InvalidObjectError) as raised:
        PARSERS[obj["kind"]](obj)
    fault = raised.value.fault
    assert (fault.reason, fault.field) == (bad.reason, bad.field)
    assert bad.says in fault.message


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_the_sample_behind_each_case_is_good(bad: Bad) -> None:
    obj = bad.make()
    fault = fault_of(obj["kind"], obj)
    # Neither a query's value nor the time of day is at hand here.
    assert fault is None or fault.reason is Reason.INVALID_SIGNAL


@pytest.mark.parametrize(
    ("labels", "field", "says"),
    [
        ({"team": 5}, "metadata.labels.team", "5 is not text: put it in quotes"),
        ({"team": "ä b"}, "metadata.labels.team", "'ä b' is no value of a label"),
        ({"/x": "y"}, "metadata.labels./x", "'/x' is no key of a label"),
        (["team"], "metadata.labels", "expected a map of texts"),
    ],
)
def test_labels_that_kubernetes_refuses_are_named(labels: Any, field: str, says: str) -> None:
    obj = samples.model_demand()
    obj["metadata"]["labels"] = labels
    fault = fault_of("ModelDemand", obj)
    assert fault is not None
    assert fault.field == field
    assert says in fault.message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (samples.model_demand, ("spec", "demand", "requestsPerSecond")),
        (samples.gpu_node_pool, ("spec", "offerings", 0, "price")),
        (samples.fleet, ("spec", "budgetPerHour")),
        (samples.performance_profile, ("spec", "points", 0, "milliseconds")),
    ],
)
def test_numbers_that_json_cannot_carry_are_refused(make: Any, keys: tuple[Any, ...], value: float) -> None:
    obj = make()
    inner = obj
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    with pytest.raises(InvalidObjectError, match="is not finite"):
        PARSERS[obj["kind"]](obj)


def test_null_counts_as_absent() -> None:
    obj = samples.model_demand()
    obj["spec"]["demand"]["prometheus"] = None
    obj["spec"]["priority"] = None
    assert parse_model_demand(obj).priority == 0


@pytest.mark.parametrize("rate", [0, 0.0, 1e6])
def test_the_bounds_themselves_are_valid(rate: float) -> None:
    obj = samples.model_demand()
    obj["spec"]["demand"]["requestsPerSecond"] = rate
    assert parse_model_demand(obj).rate == rate


def test_a_long_hostile_value_is_shown_short_and_escaped() -> None:
    obj = samples.model_demand()
    obj["spec"]["objectives"]["ttft"] = "\n\x1b[31m" + "x" * 1_000_000
    with pytest.raises(InvalidObjectError) as raised:
        parse_model_demand(obj)
    message = str(raised.value)
    assert len(message) < 400
    assert message.isprintable()


def test_deep_nesting_is_refused() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    obj = samples.model_demand()
    obj["spec"]["engine"] = deep
    with pytest.raises(InvalidObjectError, match="nested deeper"):
        parse_model_demand(obj)


def test_an_object_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidObjectError, match="'GPUNodePool' given where a ModelDemand is expected"):
        parse_model_demand(samples.gpu_node_pool())


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(InvalidObjectError, match=r"use atoll\.dev/v1alpha1"):
        parse_fleet(samples.fleet() | {"apiVersion": "atoll.dev/v9"})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["Qwen/Qwen3-32B", "spot", "1s", "5h5h", "4Gi", "\ud800", "99999999999999h"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "kind", "spec", "cv", "mean", "\n", "\ud800"]) | st.text(max_size=6),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def paths(value: Any, keys: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [keys]
    if isinstance(value, dict):
        for name, item in value.items():
            found += paths(item, (*keys, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += paths(item, (*keys, index))
    return found


@settings(deadline=None)
@given(KINDS, JSON)
def test_nothing_but_a_fault_comes_of_junk(kind: str, junk: Any) -> None:
    fault = fault_of(kind, junk)
    assert fault is None or str(fault).isprintable()


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_nothing_but_a_fault_comes_of_junk_anywhere_in_a_good_object(data: st.DataObject) -> None:
    kind = data.draw(KINDS)
    obj = copy.deepcopy(MAKERS[kind]())
    keys = data.draw(st.sampled_from([keys for keys in paths(obj) if keys]))
    inner = obj
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = data.draw(JSON)
    fault = fault_of(kind, obj)
    assert fault is None or str(fault).isprintable()


@settings(deadline=None)
@given(st.lists(JSON, max_size=4))
def test_junk_among_plans_is_passed_over(junk: list[Any]) -> None:
    assert read_plans([*junk, *plan_objects(plan())])
