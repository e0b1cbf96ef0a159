"""The cache: whatever order the news comes in, the newest is what counts."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.objects import CONFIG_MAP, NODE, POD, Reference
from atoll.handlers.cache import Cache

X = Reference(kind="ConfigMap", namespace="team", name="x")


def _config(version: int | str, *, name: str = "x", uid: str = "u1", data: str = "a") -> dict[str, Any]:
    metadata = {"namespace": "team", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"kind": "ConfigMap", "metadata": metadata, "data": {"k": data}}


def _data(cache: Cache) -> str | None:
    obj = cache.view().get("ConfigMap", {}).get(X)
    return None if obj is None else obj["data"]["k"]


def test_a_newer_version_is_taken_and_an_older_one_is_not() -> None:
    cache = Cache()
    assert cache.upsert(CONFIG_MAP, _config(10, data="b"))
    assert not cache.upsert(CONFIG_MAP, _config(9, data="a"))
    assert _data(cache) == "b"
    assert cache.upsert(CONFIG_MAP, _config(100, data="c"))
    assert _data(cache) == "c"


def test_a_newer_version_with_nothing_new_in_it_wakes_nobody() -> None:
    cache = Cache()
    cache.upsert(CONFIG_MAP, _config(1))
    assert not cache.upsert(CONFIG_MAP, _config(2))
    assert cache.view()["ConfigMap"][X]["metadata"]["resourceVersion"] == "2"


def test_our_own_write_is_known_before_the_watch_tells_of_it_and_then_wakes_nobody() -> None:
    cache = Cache()
    cache.upsert(CONFIG_MAP, _config(1))
    assert cache.observe_write(_config(2, data="b"))
    assert _data(cache) == "b"
    assert not cache.upsert(CONFIG_MAP, _config(2, data="b"))


def test_old_news_of_a_deleted_object_does_not_bring_it_back() -> None:
    cache = Cache()
    cache.upsert(CONFIG_MAP, _config(1))
    assert cache.remove(CONFIG_MAP, _config(5))
    assert not cache.observe_write(_config(4))
    assert not cache.replace(CONFIG_MAP, [_config(4)], resource_version="4", now=0)
    assert _data(cache) is None


def test_a_successor_survives_the_late_news_of_its_predecessors_deletion() -> None:
    cache = Cache()
    cache.upsert(CONFIG_MAP, _config(1))
    cache.upsert(CONFIG_MAP, _config(7, uid="u2", data="b"))
    assert not cache.remove(CONFIG_MAP, _config(6))
    assert _data(cache) == "b"


def test_a_list_removes_what_vanished_unseen_and_keeps_what_is_newer_than_it() -> None:
    cache = Cache()
    cache.upsert(CONFIG_MAP, _config(1, name="ghost", uid="g"))
    cache.upsert(CONFIG_MAP, _config(12, name="new", uid="n"))
    cache.upsert(CONFIG_MAP, _config(11, data="newer"))
    assert cache.replace(CONFIG_MAP, [_config(3, data="older")], resource_version="10", now=0)
    assert sorted(target.name for target in cache.view()["ConfigMap"]) == ["new", "x"]
    assert _data(cache) == "newer"


def test_a_list_that_changes_nothing_says_so() -> None:
    cache = Cache()
    cache.upsert(CONFIG_MAP, _config(1))
    assert not cache.replace(CONFIG_MAP, [_config(1)], resource_version="10", now=0)


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    cache = Cache()
    cache.upsert(CONFIG_MAP, _config("zeta", data="a"))
    assert not cache.upsert(CONFIG_MAP, _config("zeta", data="b"))
    assert cache.upsert(CONFIG_MAP, _config("alpha", data="c"))
    assert cache.replace(CONFIG_MAP, [], resource_version="beta", now=0)


def test_a_kind_is_synced_after_its_first_list_until_the_watch_ends() -> None:
    cache = Cache()
    cache.upsert(CONFIG_MAP, _config(1))
    assert not cache.synced([CONFIG_MAP])
    assert cache.age([CONFIG_MAP], 9) == float("inf")
    cache.replace(CONFIG_MAP, [], resource_version="1", now=5)
    assert cache.synced([CONFIG_MAP])
    assert not cache.synced([CONFIG_MAP, POD])
    assert cache.age([CONFIG_MAP], 9) == 4
    cache.desync()
    assert not cache.synced([CONFIG_MAP])


def test_a_view_does_not_change_any_more() -> None:
    cache = Cache()
    cache.upsert(CONFIG_MAP, _config(1, data="a"))
    before = cache.view()
    cache.upsert(CONFIG_MAP, _config(2, data="b"))
    cache.remove(CONFIG_MAP, _config(3))
    cache.upsert(NODE, {"metadata": {"name": "n", "resourceVersion": "1"}})
    assert before["ConfigMap"][X]["data"]["k"] == "a"
    assert "Node" not in before
    assert _data(cache) is None


@dataclass(frozen=True)
class News:
    version: int
    what: str
    uid: str


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[News], list[News]]:
    """What happened to one name, in order, and the same as it is told: in disorder, and in part more than once."""
    truth: list[News] = []
    alive, generation = False, 0
    for version in range(1, draw(st.integers(1, 8)) + 1):
        if not alive:
            generation += 1
        deletes = alive and draw(st.booleans())
        truth.append(News(version * 3, "DELETED" if deletes else "MODIFIED", f"u{generation}"))
        alive = not deletes
    told = draw(st.permutations([*truth, *draw(st.lists(st.sampled_from(truth), max_size=4))]))
    return truth, list(told)


@given(histories())
def test_news_in_any_order_and_a_list_end_in_what_is_true(history: tuple[list[News], list[News]]) -> None:
    truth, told = history
    cache, last = Cache(), truth[-1]
    for news in told:
        obj = _config(news.version, uid=news.uid, data=str(news.version))
        _ = cache.remove(CONFIG_MAP, obj) if news.what == "DELETED" else cache.upsert(CONFIG_MAP, obj)
    final = [] if last.what == "DELETED" else [_config(last.version, uid=last.uid, data=str(last.version))]
    cache.replace(CONFIG_MAP, final, resource_version=str(last.version), now=0)
    assert _data(cache) == (None if last.what == "DELETED" else str(last.version))


@given(histories(), st.integers(0, 8))
def test_a_list_that_is_older_than_the_news_changes_nothing(
    history: tuple[list[News], list[News]], moment: int
) -> None:
    truth, _ = history
    cache = Cache()
    for news in truth:
        obj = _config(news.version, uid=news.uid, data=str(news.version))
        _ = cache.remove(CONFIG_MAP, obj) if news.what == "DELETED" else cache.upsert(CONFIG_MAP, obj)
    before = _data(cache)
    past = truth[: moment + 1][-1]
    listed = [] if past.what == "DELETED" else [_config(past.version, uid=past.uid, data=str(past.version))]
    cache.replace(CONFIG_MAP, listed, resource_version=str(past.version), now=0)
    assert _data(cache) == before
