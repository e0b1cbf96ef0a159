"""One demand holds a served name; every other is told who."""

from dataclasses import replace

from api import samples
from atoll.api.parse import parse_model_demand
from atoll.api.served_names import settle_served_names
from atoll.domain.demand import Demand, DemandKey

BASE = parse_model_demand(samples.model_demand())


def demand(name: str, *, created: str = "", uid: str = "", served: str = "chat") -> Demand:
    key = DemandKey(namespace="team-a", name=name)
    return replace(BASE, key=key, created=created, uid=uid, served_name=served)


def test_the_oldest_holds_the_name() -> None:
    young, old = demand("a", created="2026-02-01T00:00:00Z"), demand("b", created="2026-01-01T00:00:00Z")
    faults = settle_served_names([young, old])
    assert list(faults) == [young.key]
    assert "held by team-a/b" in faults[young.key].message


def test_of_the_same_age_the_smaller_uid_holds_it() -> None:
    assert list(settle_served_names([demand("a", uid="2"), demand("b", uid="1")])) == [demand("a").key]


def test_in_files_the_first_holds_it() -> None:
    assert list(settle_served_names([demand("b"), demand("a")])) == [demand("a").key]


def test_the_name_that_routes_to_a_demand_anyway_is_its_own() -> None:
    thief, owner = demand("a", served="team-a/b", created="1"), demand("b", served="other", created="2")
    assert list(settle_served_names([thief, owner])) == [thief.key]


def test_different_names_are_no_conflict() -> None:
    assert settle_served_names([demand("a", served="x"), demand("b", served="y")]) == {}
