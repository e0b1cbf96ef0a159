"""One demand holds a served name; every other is told who."""

from dataclasses import replace

from api import samples
from atoll.api.parse import parse_model_demand
from atoll.api.served_names import settle_served_names
from atoll.domain.demand import Demand, DemandKey

BASE = parse_model_demand(samples.model_demand())


def demand(name: str, *aliases: str, created: str = "", uid: str = "", served: str = "chat") -> Demand:
    key = DemandKey(namespace="team-a", name=name)
    return replace(BASE, key=key, created=created, uid=uid, served_name=served, aliases=aliases)


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


def test_an_alias_is_held_like_a_served_name() -> None:
    old = demand("a", "x", "y", served="a", created="1")
    young = demand("b", "z", "y", served="b", created="2")
    named = demand("c", served="x", created="3")
    faults = settle_served_names([old, young, named])
    assert {key.name: fault.field for key, fault in faults.items()} == {
        "b": "spec.model.aliases[1]",
        "c": "spec.model.servedName",
    }


def test_a_demand_with_a_taken_alias_still_holds_its_other_names() -> None:
    old, middle = demand("a", served="a", created="1"), demand("b", "a", served="b", created="2")
    young = demand("c", served="b", created="3")
    faults = settle_served_names([young, middle, old])
    assert "held by team-a/b" in faults[young.key].message


def test_an_alias_that_repeats_the_demands_own_name_is_no_conflict() -> None:
    assert settle_served_names([demand("a", "x", "team-a/a", served="x")]) == {}
