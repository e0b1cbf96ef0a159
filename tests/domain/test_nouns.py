"""What the nouns compute of themselves."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.demand import DemandKey
from atoll.domain.gpu import GpuConfig
from atoll.domain.objects import DEPLOYMENT, NODE, POD, Reference, reference
from atoll.domain.problem import Allocation, Level, ReplicaSite
from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.domain.snapshot import ObservedPod
from atoll.domain.workload import Lengths
from reconcile.worlds import offering, strategy


def test_words_read_as_people_write_them() -> None:
    assert str(DemandKey(namespace="team-a", name="chat")) == "team-a/chat"
    assert str(GpuConfig(kind="H100-80GB", count=8)) == "8 x H100-80GB"
    assert str(offering()) == "small/us-east-2a/on-demand"
    assert str(strategy("big", "big", "small")) == "2 x H100-80GB tp2 + 1 x L4-24GB tp2 (22+21+21 layers, bf16)"
    assert str(Fault(reason=Reason.INVALID_SPEC, field="spec.a", message="no")) == "spec.a: no"
    assert str(Fault(reason=Reason.INVALID_SPEC, message="no")) == "no"


def test_reasons_are_one_pascal_case_word_each() -> None:
    assert all(reason.value.isalpha() and reason.value[0].isupper() for reason in Reason)
    assert len({reason.value for reason in Reason}) == len(Reason)


def test_an_invalid_object_carries_its_fault() -> None:
    fault = Fault(reason=Reason.PRICE_MISSING, field="spec.offerings[0].price", message="set it")
    assert InvalidObjectError(fault).fault is fault
    assert str(InvalidObjectError(fault)) == str(fault)


def test_the_id_of_a_strategy_is_the_same_in_every_process() -> None:
    assert strategy("small").id == "1e85bc5634"


@pytest.mark.parametrize(
    "other",
    [strategy("big"), strategy("small", tp=1), strategy("small", sequences=65), strategy("small", "small")],
)
def test_another_strategy_has_another_id(other: object) -> None:
    assert other.id != strategy("small").id


def test_a_strategy_counts_its_gpus_and_pods() -> None:
    mixed = strategy("big", "big", "small")
    assert (mixed.gpus, dict(mixed.need)) == (6, {"H100-80GB": 2, "L4-24GB": 1})


def test_a_site_is_in_the_zone_of_its_stages() -> None:
    assert ReplicaSite(offerings=(offering(zone="z"), offering("big", zone="z"))).zone == "z"


def test_references_name_objects() -> None:
    found = reference({"kind": "Pod", "metadata": {"namespace": "n", "name": "p"}})
    assert found == Reference(kind="Pod", namespace="n", name="p")
    assert [str(found), str(Reference(kind="Node", name="n1"))] == ["Pod n/p", "Node n1"]
    assert [POD.path, DEPLOYMENT.path, NODE.namespaced] == ["/api/v1", "/apis/apps/v1", False]


@pytest.mark.parametrize(
    ("phase", "finished"), [("Pending", False), ("Running", False), ("Succeeded", True), ("Failed", True)]
)
def test_finished_pods_hold_no_gpu(phase: str, finished: bool) -> None:
    pod = ObservedPod(
        namespace="n",
        name="p",
        uid="u",
        labels={},
        annotations={},
        node="",
        gpus=1,
        phase=phase,
        ready=False,
        deleting=False,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert pod.finished is finished


@given(mean=st.floats(1.0, 1e5), cv=st.floats(0.0, 3.0), share=st.floats(0.01, 0.98))
def test_lengths_are_log_normal(mean: float, cv: float, share: float) -> None:
    lengths = Lengths(mean=mean, cv=cv)
    assert lengths.second_moment == pytest.approx(mean**2 * (1 + cv**2))
    assert 0.0 < lengths.quantile(share) <= lengths.quantile(share + 0.01)


def test_quantiles_of_a_log_normal_length() -> None:
    assert Lengths(mean=100.0, cv=0.0).quantile(0.9) == 100.0
    assert Lengths(mean=100.0, cv=1.0).quantile(0.5) == pytest.approx(100.0 / 2**0.5)  # median = mean / sqrt(1 + cv^2)


@pytest.mark.parametrize(("proven", "conditional"), [(True, False), (False, True)])
def test_a_bound_is_conditional_unless_all_above_the_cost_is_proven(proven: bool, conditional: bool) -> None:
    levels = (
        Level(name="shortfall/0", value=0.0, bound=0.0, proven=proven),
        Level(name="cost", value=10.0, bound=9.0, proven=False),
    )
    found = Allocation(replicas=(), nodes=(), shortfall={}, cost_per_hour=10.0, bound_per_hour=9.0, levels=levels)
    assert (found.conditional, found.gap) == (conditional, pytest.approx(0.1))
    assert replace(found, bound_per_hour=11.0).gap == 0.0
