"""The rendered router, run by the real Envoy."""

import json
import os
import random
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from atoll.domain.demand import DemandKey
from atoll.domain.signal import DemandSignal
from atoll.reconcile.queries import demand_query
from atoll.render.router.bootstrap import BOOTSTRAP_FILE
from atoll.render.router.configuration import router_configuration
from atoll.render.router.routing import RoutedModel, RouterEndpoint
from atoll.render.router.workload import drain_script
from render.envoy import POLICY, Engine, NameServer, Router, endpoint, eventually, free_port, show

QWEN = DemandKey(namespace="prod", name="qwen")


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    with Router(folder=tmp_path) as running:
        yield running


@pytest.fixture
def fast() -> Iterator[Engine]:
    with Engine("fast") as engine:
        yield engine


@pytest.fixture
def slow() -> Iterator[Engine]:
    with Engine("slow") as engine:
        yield engine


def qwen(*endpoints: RouterEndpoint) -> RoutedModel:
    return RoutedModel(key=QWEN, served_names=("Qwen/Qwen3-32B",), endpoints=endpoints)


def start_with(router: Router, names: NameServer, service: RouterEndpoint) -> None:
    """Start Envoy with one model behind one Service whose name this server resolves."""
    files = router_configuration((qwen(service),), router.settings, POLICY).files
    router.show({**files, BOOTSTRAP_FILE: names.asked_by(files[BOOTSTRAP_FILE])})
    router.start()


def test_requests_go_where_the_model_field_says(router: Router, fast: Engine, slow: Engine) -> None:
    phi = RoutedModel(
        key=DemandKey(namespace="prod", name="phi"), served_names=("phi-4", "phi"), endpoints=(endpoint(slow),)
    )
    show(router, qwen(endpoint(fast)), phi)

    answers = {name: router.ask({"model": name}).engine for name in ("Qwen/Qwen3-32B", "prod/qwen", "phi-4", "phi")}
    assert answers == {"Qwen/Qwen3-32B": "fast", "prod/qwen": "fast", "phi-4": "slow", "phi": "slow"}
    with_charset = router.ask({"model": "phi"}, content="application/json; charset=utf-8")
    assert with_charset.engine == "slow"
    listed = json.loads(router.get("/v1/models").body)
    assert [each["id"] for each in listed["data"]] == ["Qwen/Qwen3-32B", "phi", "phi-4"]


def test_a_prompt_of_megabytes_passes(router: Router, fast: Engine) -> None:
    show(router, qwen(endpoint(fast)))

    assert router.ask({"prompt": "x" * 5_000_000, "model": "prod/qwen"}).engine == "fast"


def test_r14_shares_follow_the_rate_of_each_strategy(router: Router, fast: Engine, slow: Engine) -> None:
    show(router, qwen(endpoint(fast, 3000), endpoint(slow, 1000)))

    shares = router.shares("prod/qwen", 200)

    assert 130 <= shares["fast"] <= 170  # 150 expected


def test_what_names_no_served_model_is_told_so_in_openais_format(router: Router, fast: Engine) -> None:
    show(router, qwen(endpoint(fast)))

    unknown = router.ask({"model": "gpt-9"})
    assert (unknown.status, unknown.code) == (404, "model_not_found")
    assert unknown.headers["content-type"] == "application/json"
    assert router.ask({"model": 7}).code == "model_not_found"
    assert router.ask({"prompt": "hello"}).code == "model_required"
    assert router.ask(b"{{{").code == "model_required"
    assert fast.served == 0


def test_a_served_model_without_replicas_answers_503_and_when_to_come_back(router: Router) -> None:
    nobody = RouterEndpoint(service_host="127.0.0.1", port=free_port(), weight=1)
    dead = RoutedModel(key=DemandKey(namespace="prod", name="dead"), endpoints=(nobody,))
    show(router, qwen(), dead)

    for name in ("Qwen/Qwen3-32B", "prod/dead"):
        answer = router.ask({"model": name})
        assert (answer.status, answer.code) == (503, "model_unavailable")
        assert answer.headers["retry-after"] == "10"
        assert answer.headers["content-type"] == "application/json"


def test_an_engine_that_is_overloaded_has_its_request_tried_elsewhere(
    router: Router, fast: Engine, slow: Engine
) -> None:
    show(router, qwen(endpoint(fast), endpoint(slow)))
    slow.status = 503

    assert router.shares("prod/qwen", 20) == {"fast": 20}


def test_a_sole_replica_is_never_shut_out_for_its_errors(router: Router, fast: Engine) -> None:
    show(router, qwen(endpoint(fast)))
    fast.status = 500

    assert {router.ask({"model": "prod/qwen"}).status for _ in range(20)} == {500}


def test_one_of_two_replicas_that_only_fails_is_left_out(router: Router, fast: Engine, slow: Engine) -> None:
    show(router, qwen(endpoint(fast), endpoint(slow)))
    slow.status = 500

    eventually(
        lambda: {router.ask({"model": "prod/qwen"}).status for _ in range(20)} == {200}, "the failing one is left out"
    )


def test_a_lost_engine_leaves_without_a_new_configuration(router: Router, fast: Engine) -> None:
    with Engine("lost") as lost:
        show(router, qwen(endpoint(fast), endpoint(lost)))
        assert set(router.shares("prod/qwen", 20)) == {"fast", "lost"}

    eventually(lambda: _healthy(router) == 1, "the health check saw it")
    assert router.shares("prod/qwen", 20) == {"fast": 20}


def test_replicas_that_fail_one_right_after_another_are_left_out_at_once(
    router: Router, fast: Engine, slow: Engine
) -> None:
    with Engine("lost") as lost:
        show(router, qwen(endpoint(fast), endpoint(lost), endpoint(slow)))
        eventually(lambda: _healthy(router) == 3, "all are well")
        lost.healthy = slow.healthy = False
        eventually(lambda: _healthy(router) == 1, "the health checks saw both")

        assert router.shares("prod/qwen", 40) == {"fast": 40}


def test_replicas_that_all_fail_their_health_check_at_one_time_are_still_asked(
    router: Router, fast: Engine, slow: Engine
) -> None:
    show(router, qwen(endpoint(fast), endpoint(slow)))
    eventually(lambda: _healthy(router) == 2, "both are well")
    fast.healthy = slow.healthy = False
    eventually(lambda: _healthy(router) == 0, "the health checks fail")

    assert {router.ask({"model": "prod/qwen"}).status for _ in range(20)} == {200}

    fast.healthy = True
    eventually(lambda: _healthy(router) == 1, "one is well again")
    assert router.shares("prod/qwen", 20) == {"fast": 20}


def test_r3_a_new_configuration_is_taken_and_acknowledged_while_requests_run(
    router: Router, fast: Engine, slow: Engine
) -> None:
    first = show(router, qwen(endpoint(fast)))
    statuses = [router.ask({"model": "prod/qwen"}).status for _ in range(10)]

    second = router_configuration((qwen(endpoint(fast), endpoint(slow)),), router.settings, POLICY)
    router.show(second.files)
    while router.versions() != {second.version}:
        statuses.append(router.ask({"model": "prod/qwen"}).status)
    eventually(lambda: router.ask({"model": "prod/qwen"}).engine == "slow", "traffic to the new replicas")

    assert second.version != first.version
    assert set(statuses) == {200}


def test_r11_a_draining_service_gets_nothing_new_and_finishes_its_streams(
    router: Router, fast: Engine, slow: Engine
) -> None:
    show(router, qwen(endpoint(slow)))
    stream = router.stream("prod/qwen")

    show(router, qwen(endpoint(slow, draining=True), endpoint(fast)))
    eventually(lambda: router.ask({"model": "prod/qwen"}).engine == "fast", "the successor takes over")
    before = slow.served
    assert router.shares("prod/qwen", 20) == {"fast": 20}
    slow.release.set()

    assert stream.read() == b"last"
    assert slow.served == before


def test_r11_a_stopped_model_finishes_its_streams_and_refuses_the_rest(router: Router, slow: Engine) -> None:
    show(router, qwen(endpoint(slow)))
    stream = router.stream("prod/qwen")

    show(router, qwen(endpoint(slow, draining=True)))
    refused = router.ask({"model": "prod/qwen"})
    slow.release.set()

    assert (refused.status, refused.code) == (503, "model_unavailable")
    assert stream.read() == b"last"


def test_r11_a_replica_that_left_its_service_gets_nothing_new_though_it_is_healthy(tmp_path: Path) -> None:
    with ExitStack() as stack:
        router = stack.enter_context(Router(folder=tmp_path))
        names = stack.enter_context(NameServer())
        going = stack.enter_context(Engine("going", "127.0.0.2"))
        staying = stack.enter_context(Engine("staying", "127.0.0.3", going.port))
        names.addresses = ("127.0.0.2",)
        service = RouterEndpoint(service_host="qwen.prod.svc.cluster.local", port=going.port, weight=1000)
        start_with(router, names, service)
        stream = router.stream("prod/qwen")

        names.addresses = ("127.0.0.2", "127.0.0.3")
        eventually(lambda: router.ask({"model": "prod/qwen"}).engine == "staying", "the new replica is found")
        names.addresses = ("127.0.0.3",)
        eventually(lambda: _healthy(router) == 1, "the old replica is gone")

        assert router.shares("prod/qwen", 20) == {"staying": 20}
        going.release.set()
        assert stream.read() == b"last"
        assert staying.served >= 20


@pytest.mark.parametrize("unknown", [False, True], ids=["no address", "no such name"])
def test_when_the_last_replica_leaves_its_service_nothing_is_sent_to_it(
    router: Router, fast: Engine, unknown: bool
) -> None:
    with NameServer() as names:
        names.addresses = ("127.0.0.1",)
        service = RouterEndpoint(service_host="qwen.prod.svc.cluster.local", port=fast.port, weight=1000)
        start_with(router, names, service)
        assert router.ask({"model": "prod/qwen"}).engine == "fast"

        names.addresses, names.unknown = (), unknown
        eventually(lambda: router.ask({"model": "prod/qwen"}).status == 503, "the last replica is gone")


def test_every_name_is_asked_for_from_a_socket_of_its_own(router: Router, fast: Engine) -> None:
    """Else one that fails ends the questions of others, which crashed Envoy: decision 0010."""
    with NameServer() as names:
        names.addresses = ("127.0.0.1",)
        services = (
            RouterEndpoint(service_host=f"{n}.prod.svc.cluster.local", port=fast.port, weight=1) for n in "abcde"
        )
        files = router_configuration((qwen(*services),), router.settings, POLICY).files
        router.show({**files, BOOTSTRAP_FILE: names.asked_by(files[BOOTSTRAP_FILE])})
        router.start()
        eventually(lambda: len(names.askers) >= 30, "questions")

        assert len(set(names.askers)) > len(names.askers) * 0.8  # a port may come again


def test_r3_a_move_while_no_name_server_answers_costs_no_request_to_what_does_not_move(
    router: Router, fast: Engine
) -> None:
    """Hundreds of changes of the kind that a move makes, with every question refused: decision 0010."""
    chance = random.Random(3)  # noqa: S311  # no secret
    serves = qwen(endpoint(fast))
    with NameServer() as names:
        bootstrap = names.asked_by(router_configuration((serves,), router.settings, POLICY).files[BOOTSTRAP_FILE])
    statuses: Counter[int] = Counter()
    for _ in range(500):
        last = router_configuration((serves, *moving(chance)), router.settings, POLICY)
        router.show({**last.files, BOOTSTRAP_FILE: bootstrap})
        if router.process is None:
            router.start()
        statuses[router.ask({"model": "prod/qwen"}).status] += 1

    eventually(lambda: router.versions() == {last.version}, "the last version acknowledged")
    assert statuses == {200: 500}


def moving(chance: random.Random) -> Iterator[RoutedModel]:
    """Models that come and go, whose Services come, change weight, drain and go."""
    for model in "abcd":
        services = tuple(
            RouterEndpoint(
                service_host=f"{model}-{chance.randrange(10)}.prod.svc.cluster.local",
                weight=chance.choice((1000, 2000)),
                draining=chance.random() < 0.2,
            )
            for _ in range(chance.randint(1, 3))
        )
        if chance.random() < 0.8:
            yield RoutedModel(key=DemandKey(namespace="prod", name=model), endpoints=services)


def test_a_configuration_that_envoy_refuses_leaves_the_last_good_one(router: Router, fast: Engine) -> None:
    good = show(router, qwen(endpoint(fast)))
    bad = {name: text.replace('"connect_timeout"', '"connect_timeoutz"') for name, text in good.files.items()}

    router.show({name: text.replace(good.version, "bad") for name, text in bad.items()})

    eventually(lambda: _stat(router, "cluster_manager.cds.update_rejected") == 1, "the refusal")
    assert good.version in router.versions()
    assert router.ask({"model": "prod/qwen"}).engine == "fast"


def test_nothing_can_be_changed_through_the_read_only_listener(router: Router, fast: Engine) -> None:
    show(router, qwen(endpoint(fast)))
    port = router.settings.status_port

    assert router.ask(b"", path="/quitquitquit", port=port).status == 404
    assert router.ask(b"", path="/ready", port=port).status == 404
    assert router.get("/config_dump", port=port).status == 404
    assert router.ready()


def test_a_router_that_stops_leaves_its_service_first(router: Router, fast: Engine) -> None:
    show(router, qwen(endpoint(fast)))
    stream = router.stream("prod/qwen")

    script = ["/bin/bash", "-c", drain_script(router.settings, 60)]
    drain = subprocess.Popen(script, env={**os.environ, "LC_ALL": "C"})  # noqa: S603  # our own script
    eventually(lambda: not router.ready(), "not ready any more")
    assert router.ask({"model": "prod/qwen"}).engine == "fast"
    assert drain.poll() is None
    fast.release.set()

    assert stream.read() == b"last"
    assert drain.wait(30) == 0


def test_the_first_of_two_models_keeps_a_served_name(router: Router, fast: Engine, slow: Engine) -> None:
    second = replace(qwen(endpoint(slow)), key=DemandKey(namespace="dev", name="qwen"))
    show(router, qwen(endpoint(fast)), second)

    assert router.ask({"model": "Qwen/Qwen3-32B"}).engine == "fast"
    assert router.ask({"model": "dev/qwen"}).engine == "slow"


def _stat(router: Router, name: str) -> int:
    for line in router.get(f"/stats?filter={name}", port=router.settings.status_port).body.splitlines():
        key, _, value = line.partition(": ")
        if key == name:
            return int(value)
    return 0


def _healthy(router: Router) -> int:
    return _stat(router, f"cluster.{QWEN}.membership_healthy")


def came(router: Router) -> float:
    """What the shipped query would find to have come, from the metrics that Prometheus scrapes."""
    terms = re.findall(r"([-+]?) ?sum\(rate\((\w+\{[^}]*\})", demand_query(QWEN, "qwen", DemandSignal()))
    lines = (line.rpartition(" ") for line in router.metrics().splitlines())
    counts = {name: float(value) for name, _, value in lines if name.startswith("envoy_cluster_")}
    return sum(counts[series] * (-1.0 if sign == "-" else 1.0) for sign, series in terms)


def test_the_shipped_query_counts_each_request_once_however_it_ends(tmp_path: Path, fast: Engine) -> None:
    one = replace(POLICY, most_concurrent_requests=1)
    with Router(folder=tmp_path, policy=one) as router:
        show(router, qwen(endpoint(fast)))
        asked = [router.ask({"model": "prod/qwen"}).status]
        fast.status = 503
        asked.append(router.ask({"model": "prod/qwen"}).status)
        fast.status, fast.dies = 200, True
        asked.append(router.ask({"model": "prod/qwen"}).status)
        fast.dies, fast.sleeps = False, True
        waiting = threading.Thread(target=lambda: router.ask({"model": "prod/qwen"}))
        waiting.start()
        eventually(lambda: came(router) == 4.0, "a request counts when it comes")
        asked.append(router.ask({"model": "prod/qwen"}).status)
        fast.release.set()
        waiting.join()
        for host in ("127.0.0.1", "nowhere.invalid"):
            show(router, qwen(RouterEndpoint(service_host=host, port=free_port(), weight=1000)))
            asked.append(router.ask({"model": "prod/qwen"}).status)

        assert asked == [200, 503, 502, 429, 503, 503]
        eventually(lambda: came(router) == 7.0, "each request counts once")
