"""What users of the rendered router see, answered by the real Envoy: names, errors, limits, logs and metrics."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from atoll.domain.demand import DemandKey
from atoll.domain.fleet import AccessLog, Balancing, RouterPolicy
from atoll.render.router.routing import RoutedModel, RouterEndpoint
from render.envoy import POLICY, Engine, Router, endpoint, eventually, raw_answer, show

IDLE = RoutedModel(key=DemandKey(namespace="prod", name="idle"), served_names=("idle",))
MIB = 1024 * 1024
Start = Callable[..., Router]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a router under a policy in front of engines, which serve Qwen with an alias, and of a model at rest."""
    with ExitStack() as stack:

        def begin(*engines: Engine, policy: RouterPolicy = POLICY) -> Router:
            router = stack.enter_context(Router(folder=tmp_path, policy=policy))
            show(router, qwen(*(endpoint(engine) for engine in engines)), IDLE)
            return router

        yield begin


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine("fast") as found:
        yield found


@pytest.fixture
def other() -> Iterator[Engine]:
    with Engine("other") as found:
        yield found


def qwen(*endpoints: RouterEndpoint) -> RoutedModel:
    key = DemandKey(namespace="prod", name="qwen")
    return RoutedModel(key=key, served_names=("Qwen/Qwen3-32B", "gpt-4"), endpoints=endpoints)


def test_an_unknown_name_is_told_with_the_names_that_are_served(start: Start, engine: Engine) -> None:
    router = start(engine)

    for name in ("gpt-9", 'with "quotes" and \\', "\u00fc" * 200, "line\nfeed"):
        answer = router.ask({"model": name})
        assert (answer.status, answer.code) == (404, "model_not_found")
        error = json.loads(answer.body)["error"]
        assert name[:60] in error["message"]
        assert "Served models: Qwen/Qwen3-32B, gpt-4, idle." in error["message"]
        assert (error["type"], error["param"]) == ("invalid_request_error", "model")
    assert engine.served == 0


def test_one_served_model_can_be_looked_up_by_each_of_its_names(start: Start, engine: Engine) -> None:
    router = start(engine)

    for path in ("Qwen/Qwen3-32B", "Qwen%2FQwen3-32B", "gpt-4?x=1", "prod/idle"):
        answer = router.get(f"/v1/models/{path}")
        assert answer.status == 200
        assert json.loads(answer.body)["id"] == path.replace("%2F", "/").removesuffix("?x=1")
    assert router.get("/v1/models/gpt-9").code == "model_not_found"


def test_a_body_that_is_not_json_is_routed_by_header_or_path(start: Start, engine: Engine) -> None:
    router = start(engine)
    form = {"content": "multipart/form-data; boundary=x", "path": "/v1/audio/transcriptions"}

    unnamed = router.ask(b"--x", **form)
    assert (unnamed.status, unnamed.code) == (400, "model_required")
    assert router.ask(b"--x", **form, x_gateway_model_name="gpt-4").engine == "fast"
    assert router.ask(b"--x", **form, x_gateway_model_name="gpt-9").code == "model_not_found"
    by_path = {**form, "path": "/models/prod/qwen/v1/audio/transcriptions?a=1"}
    assert router.ask(b"--x", **by_path).engine == "fast"
    assert [path for path, _ in engine.seen] == ["/v1/audio/transcriptions", "/v1/audio/transcriptions?a=1"]
    assert router.ask(b"--x", path="/models/prod/idle/v1/audio/speech").status == 503
    nobody = router.ask({"model": "gpt-4"}, path="/models/prod/nobody/v1/completions")
    assert (nobody.status, nobody.code) == (404, "model_not_found")
    assert "/models/prod/nobody/v1/completions" in nobody.body
    assert engine.served == 2


def test_the_header_wins_over_the_body(start: Start, engine: Engine) -> None:
    assert start(engine).ask({"model": "gpt-9"}, x_gateway_model_name="gpt-4").engine == "fast"


def test_bodies_up_to_the_limit_pass_and_larger_ones_get_413(start: Start, engine: Engine) -> None:
    router = start(engine, policy=replace(POLICY, largest_request_mebibytes=4))
    head = b'{"model":"gpt-4","prompt":"'

    assert router.ask(head + b"x" * (4 * MIB - len(head) - 2) + b'"}').engine == "fast"
    for kind in ("application/json", "audio/wav"):
        answer = raw_answer(
            router,
            b"POST /v1/x HTTP/1.1\r\nhost: a\r\nx-gateway-model-name: gpt-4\r\n"
            + f"content-type: {kind}\r\ncontent-length: {4 * MIB + 1}\r\n\r\n".encode(),
        )
        assert answer.startswith("HTTP/1.1 413")
        assert '"code":"request_too_large"' in answer
    assert engine.served == 1


def test_only_inference_paths_reach_engines(start: Start, engine: Engine) -> None:
    router = start(engine)
    inside = ("/sleep", "/v1/load_lora_adapter", "/v1/../sleep", "/v1%2f..%2fsleep", "/metrics", "//sleep")

    for path in (*inside, "/models/prod/qwen/sleep", "/models/prod/qwen/v1/unload_lora_adapter"):
        assert router.ask({"model": "gpt-4"}, path=path, x_gateway_model_name="gpt-4").code == "path_not_found"
    assert engine.served == 0
    assert router.ask({"model": "gpt-4"}, path="/tokenize").engine == "fast"


def test_what_steers_envoy_is_not_taken_from_clients(start: Start, engine: Engine) -> None:
    router = start(engine)

    answer = router.ask(
        {"model": "gpt-4"},
        x_envoy_upstream_rq_timeout_ms="1",
        x_envoy_retry_on="5xx",
        x_envoy_decorator_operation="x",
        x_request_id="mine",
    )

    assert answer.engine == "fast"
    assert answer.headers["x-request-id"] == "mine"
    _, seen = engine.seen[-1]
    assert seen["x-request-id"] == "mine"
    assert not [name for name in (*seen, *map(str.lower, answer.headers)) if name.startswith("x-envoy")]
    assert router.ask({"model": "gpt-4"}).headers["x-request-id"]


def test_headers_beyond_the_limit_are_refused(start: Start, engine: Engine) -> None:
    assert start(engine).ask({"model": "gpt-4"}, x_large="x" * 70_000).status == 431


def test_more_requests_in_flight_than_allowed_get_429(start: Start, engine: Engine) -> None:
    router = start(engine, policy=replace(POLICY, most_concurrent_requests=1))
    stream = router.stream("gpt-4")

    answer = router.ask({"model": "gpt-4"})
    engine.release.set()

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (429, "model_overloaded", "10")
    assert stream.read() == b"last"


def test_a_request_that_got_no_answer_is_sent_to_another_replica(start: Start, engine: Engine, other: Engine) -> None:
    router = start(engine, other)
    other.dies = True

    assert {router.ask({"model": "gpt-4"}).status for _ in range(10)} == {200}
    assert other.served > 0


def test_without_retries_a_lost_answer_is_told(start: Start, engine: Engine) -> None:
    router = start(engine, policy=replace(POLICY, retries=0))
    engine.dies = True

    answer = router.ask({"model": "gpt-4"})

    assert (answer.status, answer.code, answer.headers["retry-after"]) == (502, "replica_failed", "10")
    assert engine.served == 1


def test_an_answer_that_has_begun_is_never_begun_again(start: Start, engine: Engine) -> None:
    with Engine("lost") as lost:
        router = start(lost)
        stream = router.stream("gpt-4")
        show(router, qwen(endpoint(lost), endpoint(engine)), IDLE)
        lost.dies = True
        lost.release.set()

    assert stream.read() in {b"", b"last"}
    assert engine.served == 0


def test_a_client_that_is_too_slow_is_told_and_let_go(start: Start, engine: Engine) -> None:
    router = start(engine, policy=replace(POLICY, upload_seconds=0.5))

    answer = raw_answer(
        router,
        b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
    )

    assert answer.startswith("HTTP/1.1 408")
    assert '"code":"request_timeout"' in answer
    assert engine.served == 0


def test_a_replica_that_says_nothing_is_given_up_and_told_of(start: Start, engine: Engine) -> None:
    router = start(engine, policy=replace(POLICY, silence_seconds=0.5))
    engine.sleeps = True

    answer = router.ask({"model": "gpt-4"})
    engine.release.set()

    assert (answer.status, answer.code) == (504, "replica_silent")
    assert engine.served == 1


def test_the_client_behind_proxies_that_are_trusted_is_logged(start: Start, engine: Engine) -> None:
    router = start(engine, policy=replace(POLICY, trusted_hops=1))
    router.ask({"model": "gpt-4"}, x_forwarded_for="203.0.113.9, 198.51.100.7")

    eventually(lambda: bool(router.log()), "a line")
    assert router.log()[0]["client"] == "198.51.100.7"


def test_a_router_without_memory_turns_requests_away_and_still_tells_how_it_is(start: Start, engine: Engine) -> None:
    router = start(engine, policy=replace(POLICY, memory_mebibytes=1))

    eventually(lambda: router.ask({"model": "gpt-4"}).status == 503, "requests are turned away")
    answer = router.ask({"model": "gpt-4"})

    assert (answer.code, answer.headers["retry-after"]) == ("model_unavailable", "10")
    assert router.ready()
    assert router.versions()


def test_the_routers_own_health_ends_with_its_drain(start: Start, engine: Engine) -> None:
    router = start(engine)
    assert router.get("/health").status == 200

    router.ask(b"", path="/healthcheck/fail", port=router.settings.admin_port)

    eventually(lambda: router.get("/health").status == 503, "health says so")


def test_one_line_is_logged_for_each_request_without_its_prompt(start: Start, engine: Engine) -> None:
    router = start(engine)
    router.ask({"model": "gpt-4", "prompt": "SECRET"}, path="/v1/completions?api_key=SECRET", x_request_id="one")
    router.ask({"model": "gpt-9"}, x_request_id="two")

    eventually(lambda: len(router.log()) == 2, "two lines")
    lines = {line["request_id"]: line for line in router.log()}

    assert lines["one"]["demand"] == "prod/qwen"
    assert lines["one"]["path"] == "/v1/completions"
    assert (lines["one"]["status"], lines["one"]["attempts"]) == (200, 1)
    assert (lines["two"]["demand"], lines["two"]["asked_model"]) == ("unknown", "gpt-9")
    assert "SECRET" not in (router.folder / "envoy.log").read_text()


def test_only_errors_are_logged_where_that_is_wanted(start: Start, engine: Engine) -> None:
    router = start(engine, policy=replace(POLICY, access_log=AccessLog.ERRORS))
    router.ask({"model": "gpt-4"})
    router.ask({"model": "gpt-9"})

    eventually(lambda: bool(router.log()), "a line")
    assert [line["asked_model"] for line in router.log()] == ["gpt-9"]


def test_requests_are_counted_by_demand_and_status(start: Start, engine: Engine) -> None:
    router = start(engine)
    for name in ("gpt-4", "Qwen/Qwen3-32B", "idle", "gpt-9"):
        router.ask({"model": name})

    found = router.metrics().splitlines()

    for demand, status, count in (("prod/qwen", 200, 2), ("prod/idle", 503, 1), ("unknown", 404, 1)):
        assert f'envoy_atoll_router_requests{{demand="{demand}",status="{status}"}} {count}' in found
    timed = 'envoy_atoll_router_first_byte_ms_count{demand="prod/qwen"} 2'
    eventually(lambda: timed in router.metrics(), "times to the first byte, which Envoy sums up every 5 s")
    assert "non-number" not in (router.folder / "envoy.log").read_text()


def test_tokens_are_counted_where_that_is_wanted_and_streams_are_not_held_up(start: Start, engine: Engine) -> None:
    router = start(engine, policy=replace(POLICY, token_metrics=True))
    engine.answer = {"usage": {"prompt_tokens": 10, "completion_tokens": 5}}
    router.ask({"model": "gpt-4"})
    engine.events = ({"usage": None}, {"usage": {"prompt_tokens": 100, "completion_tokens": 50}})
    assert router.ask({"model": "gpt-4"}).body.endswith("data: [DONE]\n\n")

    stream = router.stream("gpt-4")  # its first chunk comes while the second is held back
    engine.release.set()

    assert stream.read() == b"last"
    found = router.metrics().splitlines()
    assert 'envoy_atoll_router_prompt_tokens{demand="prod/qwen"} 110' in found
    assert 'envoy_atoll_router_completion_tokens{demand="prod/qwen"} 55' in found


def test_r14_shares_of_capacity_stand_whatever_is_in_flight(tmp_path: Path, engine: Engine, other: Engine) -> None:
    policy = replace(POLICY, balancing=Balancing.CAPACITY)
    with Router(folder=tmp_path, policy=policy) as router:
        show(router, qwen(endpoint(engine, 3000), endpoint(other, 1000)))
        streams = [router.stream("gpt-4") for _ in range(12)]

        shares = router.shares("gpt-4", 40)
        engine.release.set()
        other.release.set()

        assert 29 <= shares["fast"] <= 31  # 30 expected
        assert {stream.read() for stream in streams} == {b"last"}


def test_a_client_that_leaves_takes_its_request_with_it(start: Start, engine: Engine) -> None:
    router = start(engine)
    stream = router.stream("gpt-4")
    in_flight = "cluster.prod/qwen.upstream_rq_active"
    assert f"{in_flight}: 1" in _stats(router, in_flight)

    stream.close()

    eventually(lambda: f"{in_flight}: 0" in _stats(router, in_flight), "the engine's request is cut")
    engine.release.set()


def _stats(router: Router, name: str) -> str:
    return router.get(f"/stats?filter={name}", port=router.settings.status_port).body
