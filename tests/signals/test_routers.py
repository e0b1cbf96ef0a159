"""What is read of Envoy's statistics; the page is of Envoy 1.40 with the router's own configuration."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from atoll.domain.signal import RouterCounts
from atoll.signals.routers import RouterError, counts_in, router_counts, router_versions, version_in

PAGE = """\
atoll_router.requests.demand.team-a/chat.status.200: 5
atoll_router.requests.demand.team-a/chat.status.0: 1
atoll_router.requests.demand.team-a/none.status.503: 2
atoll_router.requests.demand.unknown.status.404: 9
cluster.admin.upstream_rq_active: 1
cluster.team-a/chat.upstream_rq_active: 4
cluster.team-a/chat.upstream_rq_pending_active: 3
cluster.team-a/dead.upstream_rq_active: 0
server.uptime: 10
"""


def test_a_request_counts_from_its_beginning_and_where_no_replica_took_it() -> None:
    found = counts_in(PAGE, 100.0)

    assert found == RouterCounts(
        at=100.0, uptime_seconds=10.0, requests={"team-a/chat": 13.0, "team-a/none": 2.0, "team-a/dead": 0.0}
    )


@pytest.mark.parametrize(
    "text",
    ["", "<html>", "server.uptime: NaN", "server.uptime: -1", "server.uptime: 1e9", "server.uptime: 9" + "9" * 400],
)
def test_a_page_that_is_none_of_a_router_tells_nothing(text: str) -> None:
    assert counts_in(text, 0.0) is None


@pytest.mark.parametrize("count", ["NaN", "-5", "1e300", "inf", "0x10", "No recorded values", "9" * 40])
def test_a_count_that_is_none_is_not_read(count: str) -> None:
    page = f"server.uptime: 1\natoll_router.requests.demand.team-a/chat.status.200: {count}\n"
    found = counts_in(page, 0.0)
    assert found is not None
    assert found.requests == {}


def ask(reply: Callable[[httpx.Request], httpx.Response], *urls: str) -> dict[str, RouterCounts]:
    client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    return asyncio.run(router_counts(urls, client, lambda: 7.0))


def test_only_the_lines_that_count_are_asked_for() -> None:
    asked: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, text=PAGE)

    assert ask(reply, "http://one:9901", "http://two:9901").keys() == {"http://one:9901", "http://two:9901"}
    assert {request.url.path for request in asked} == {"/stats"}
    assert all("upstream_rq_(pending_)?active" in request.url.params["filter"] for request in asked)


@pytest.mark.parametrize("wrong", ["away", "late", "503", "other", "endless"])
def test_r8_one_router_that_does_not_say_is_no_sum_of_the_others(wrong: str) -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        if request.url.host == "good":
            return httpx.Response(200, text=PAGE)
        if wrong == "away":
            raise httpx.ConnectError("refused")
        if wrong == "late":
            raise httpx.ReadTimeout("late")
        content = {"503": "no", "other": "<html>", "endless": "x" * (2 << 20)}[wrong]
        return httpx.Response(503 if wrong == "503" else 200, text=content)

    with pytest.raises(RouterError) as error:
        ask(reply, "http://good:9901", "http://bad:9901")
    assert "bad:9901/stats" in str(error.value)
    assert "filter" not in str(error.value), "the message names the router, not the whole question"


def test_a_version_is_told_where_clusters_and_routes_agree() -> None:
    text = 'cluster_manager.cds.version_text: "v1"\nhttp.requests.rds.served-models.version_text: "{}"\n'
    assert version_in(text.format("v1")) == "v1"
    assert version_in(text.format("v2")) is None


@pytest.mark.parametrize("bad", ["http://[::1", "http://\u2603.x", "http://xn--", "http://a\x00b"])
def test_r8_a_url_that_is_none_is_a_router_that_does_not_say_and_the_others_are_heard(bad: str) -> None:
    versions = 'cluster_manager.cds.version_text: "v7"\nhttp.r.rds.local.version_text: "v7"\n'

    async def ask_both() -> dict[str, str | None]:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, text=versions))
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(RouterError):
                await router_counts([bad], httpx.AsyncClient(), lambda: 7.0)
            return await router_versions([bad, "http://good:9901/"], client)

    assert asyncio.run(ask_both())["http://good:9901/"] == "v7"
