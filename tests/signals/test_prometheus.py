"""What a Prometheus, or what stands in its place, may answer: samples, or a fault that names the mend."""

import asyncio
import json
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.reason import Reason
from atoll.signals.fetch import Answer, Server
from atoll.signals.prometheus import Grid, QueryError, grid, query_range, samples_in

URL = "http://prometheus.test"
OVER = Grid(begin=0.0, end=60.0, step=30.0)


def matrix(*series: dict[str, Any]) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}}).encode()


def asked(reply: Callable[[httpx.Request], httpx.Response], server: Server | None = None) -> Any:
    async def ask() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as client:
            return await query_range(server or Server(url=URL), client, "up", OVER)

    return asyncio.run(ask())


def fault(reply: Callable[[httpx.Request], httpx.Response], server: Server | None = None) -> QueryError:
    with pytest.raises(QueryError) as raised:
        asked(reply, server)
    return raised.value


def test_samples_are_asked_for_on_the_grid_and_come_as_they_are() -> None:
    seen: list[bytes] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        values = [[0, "1.5"], [30, "NaN"], [60, "+Inf"]]
        return httpx.Response(200, content=matrix({"metric": {}, "values": values}))

    (_, first), (_, second), (_, third) = asked(reply)
    assert first == 1.5
    assert math.isnan(second)
    assert math.isinf(third)
    assert b"query=up&start=0.000&end=60.000&step=30" in seen[0]


def test_the_grid_stays_where_it_is_while_time_goes_on() -> None:
    assert grid(now=3617.0, window=120.0, step=30.0) == Grid(begin=3510.0, end=3600.0, step=30.0)
    assert grid(now=3629.0, window=120.0, step=30.0) == Grid(begin=3510.0, end=3600.0, step=30.0)


def test_no_series_is_no_sample_and_no_fault() -> None:
    assert asked(lambda _: httpx.Response(200, content=matrix())) == ()


@pytest.mark.parametrize(
    ("status", "content", "reason", "says", "of_server"),
    [
        (
            200,
            matrix({"metric": {"pod": "a"}, "values": []}, {"metric": {"pod": "b"}, "values": []}),
            Reason.INVALID_SIGNAL,
            "2 series by pod: wrap it in sum",
            False,
        ),
        (200, matrix({"metric": {}, "values": [[0, "x"]]}), Reason.INVALID_SIGNAL, "no plain numbers", False),
        (200, matrix({"metric": {}, "histograms": []}), Reason.INVALID_SIGNAL, "no plain numbers", False),
        (
            400,
            b'{"status":"error","errorType":"bad_data","error":"parse error at char 3"}',
            Reason.INVALID_SIGNAL,
            "parse error at char 3",
            False,
        ),
        (
            422,
            b'{"status":"error","error":"many-to-many matching"}',
            Reason.INVALID_SIGNAL,
            "many-to-many",
            False,
        ),
        (401, b"", Reason.SIGNAL_UNREACHABLE, "look at the token", True),
        (404, b"no", Reason.SIGNAL_UNREACHABLE, "look at the URL", True),
        (503, b"", Reason.SIGNAL_UNREACHABLE, "answered 503", True),
        (302, b"", Reason.SIGNAL_UNREACHABLE, "answered 302", True),
        (200, b"<html>", Reason.SIGNAL_UNREACHABLE, "does not answer as Prometheus does", True),
        (200, b"[" * 100_000, Reason.SIGNAL_UNREACHABLE, "does not answer as Prometheus does", True),
        (200, b" " * (2 << 20), Reason.INVALID_SIGNAL, "more than 1 MiB", False),
    ],
)
def test_what_is_no_series_of_numbers_names_the_mend(
    status: int, content: bytes, reason: Reason, says: str, of_server: bool
) -> None:
    error = fault(lambda _: httpx.Response(status, content=content))
    assert error.fault.reason is reason
    assert says in error.fault.message
    assert error.of_server is of_server


def test_a_server_that_cannot_be_reached_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    error = fault(refuse)
    assert error.of_server
    assert "cannot be asked (connection refused)" in error.fault.message


def test_an_answer_that_trickles_is_cut_off() -> None:
    async def slow() -> Any:
        async def body() -> Any:
            for _ in range(1000):
                yield b" "
                await asyncio.sleep(0.005)

        async with httpx.AsyncClient(
            transport=httpx.MockTransport(lambda _: httpx.Response(200, content=body()))
        ) as client:
            return await query_range(Server(url=URL, seconds=0.05), client, "up", OVER)

    with pytest.raises(QueryError, match=r"no answer within 0\.05 s"):
        asyncio.run(slow())


def test_the_token_is_read_anew_for_every_question_and_never_told(tmp_path: Path) -> None:
    token = tmp_path / "token"
    server = Server(url=URL, token_file=token)
    seen: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(401)

    for text in ("first\n", "second"):
        token.write_text(text)
        assert text.strip() not in fault(reply, server).fault.message
    assert seen == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(("content", "says"), [(None, "No such file"), (b"", "holds no token"), (b"a b", "no token")])
def test_a_token_that_cannot_be_read_is_named_by_its_file(tmp_path: Path, content: bytes | None, says: str) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    error = fault(lambda _: httpx.Response(200), Server(url=URL, token_file=token))
    assert says in error.fault.message
    assert str(token) in error.fault.message


ANY_JSON = st.recursive(st.none() | st.text() | st.floats(), st.lists).map(json.dumps).map(str.encode)


@given(st.one_of(st.binary(max_size=200), ANY_JSON))
def test_any_bytes_are_samples_or_a_fault(content: bytes) -> None:
    with suppress(QueryError):
        assert samples_in(Answer(status=200, headers={}, content=content), URL, OVER) == ()


def test_samples_of_other_times_are_a_fault_of_the_query() -> None:
    """A server that counts milliseconds would otherwise date the last sample in the year 55840."""
    series = {"metric": {}, "values": [[1.7e12, "1"]]}
    body = {"status": "success", "data": {"resultType": "matrix", "result": [series]}}

    with pytest.raises(QueryError, match="Unix seconds") as caught:
        samples_in(Answer(status=200, headers={}, content=json.dumps(body).encode()), URL, OVER)

    assert not caught.value.of_server
