"""inferno's instances: its queueing model against all published figures, costs against brute force."""

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random

import pytest
from benchmarks.inferno.__main__ import DATA, main
from benchmarks.inferno.instance import Choice, Instance, Server, read_instance
from benchmarks.inferno.problem import needed, one_accelerator
from benchmarks.inferno.queue import Queue
from benchmarks.inferno.row import judge, row_of


@pytest.mark.parametrize("name", ["small", "large"])
def test_every_published_allocation_follows_from_the_queueing_model(name: str) -> None:
    instance = read_instance(DATA / name)
    assert instance.published.keys() == {server.name for server in instance.servers}
    for server in instance.servers:
        published = instance.published[server.name]
        (choice,) = (each for each in server.choices if each.accelerator == published.accelerator)
        assert needed(server.rate, choice) == published.replicas
        assert choice.batch == published.batch
        assert choice.cost * published.replicas == pytest.approx(published.cost)


def test_published_latencies_follow_from_the_queueing_model() -> None:
    """Of mixtral_8_7b on G2 at 120 requests/min."""
    (entry,) = (
        each
        for each in json.loads((DATA / "small" / "model-data.json").read_text())["models"]
        if (each["name"], each["acc"]) == ("mixtral_8_7b", "G2")
    )
    mixtral = Queue(**entry["perfParms"], batch=9, tokens_in=128.0, tokens_out=1024.0)
    published = read_instance(DATA / "small").published["Bronze-mixtral_8_7b"]
    ttft, itl = mixtral.latencies(120 / 60 / published.replicas)
    assert ttft == pytest.approx(published.ttft, rel=2e-5)
    assert itl == pytest.approx(published.itl, rel=2e-6)


def test_a_queue_of_one_is_the_textbook_queue() -> None:
    """With one in service at most, M/M/1 with room for ten more: closed form."""
    queue = Queue(alpha=10.0, beta=0.0, gamma=0.0, batch=1, tokens_in=0.0, tokens_out=100.0)
    rho = 0.5
    ttft, itl = queue.latencies(rho)
    assert itl == pytest.approx(10.0)
    states = [rho**n for n in range(12)]
    total = sum(states)
    in_system = sum(n * state for n, state in enumerate(states)) / total
    served = rho * (1.0 - states[-1] / total)
    assert ttft == pytest.approx(1000.0 * in_system / served - 1000.0 + 10.0)


def test_the_largest_rate_keeps_its_targets_and_no_more_would() -> None:
    queue = Queue(alpha=17.0, beta=0.03, gamma=0.001, batch=38, tokens_in=128.0, tokens_out=1024.0)
    rate = queue.rate(ttft=500.0, itl=30.0)
    assert queue.latencies(rate)[1] <= 30.0 * (1 + 1e-6)
    assert queue.latencies(rate * 1.001)[1] > 30.0
    assert queue.rate(ttft=500.0, itl=10.0) == 0.0
    assert queue.rate(ttft=0.0, itl=0.0) > rate


def made(seed: int) -> Instance:
    random = Random(seed)  # noqa: S311  # instances, not secrets
    cost = {"A": 2.0, "B": float(random.randint(3, 9))}
    servers = []
    for number in range(random.randint(1, 3)):
        choices = tuple(
            Choice(
                accelerator=name, type=kind, units=units, rate=random.uniform(0.5, 3), cost=units * cost[kind], batch=1
            )
            for name, kind, units in (("A", "A", 1), ("2xA", "A", 2), ("B", "B", 1))
        )
        servers.append(Server(name=f"s{number}", priority=1, rate=random.uniform(0.5, 5), choices=choices))
    capacity = {"A": random.randint(4, 9), "B": 30}
    return Instance(name="made", servers=tuple(servers), capacity=capacity, unit_cost=cost, published={})


def brute_force(instance: Instance, *, one: bool) -> float:
    """Cheapest of all numbers of replicas that serve everything; with ``one``, of one accelerator for each server."""
    menus = []
    for server in instance.servers:
        counts = product(*(range(needed(server.rate, choice) + 1) for choice in server.choices))
        menus.append(
            [
                count
                for count in counts
                if sum(n * c.rate for n, c in zip(count, server.choices, strict=True)) >= server.rate
                and (not one or sum(n > 0 for n in count) == 1)
            ]
        )
    best = math.inf
    for plan in product(*menus):
        replicas = {
            (server.name, choice.accelerator): n
            for server, count in zip(instance.servers, plan, strict=True)
            for n, choice in zip(count, server.choices, strict=True)
        }
        judged = judge(instance, replicas)
        if judged.over == 0 and judged.unserved == 0.0:
            best = min(best, judged.cost)
    return best


@pytest.mark.parametrize("seed", range(12))
def test_value_and_bound_are_the_cheapest_of_all(seed: int) -> None:
    instance = made(seed)
    row = row_of(instance, deadline=10.0)
    assert row["value"] == pytest.approx(brute_force(instance, one=False))
    assert row["bound"] <= row["value"]
    assert row["proven"]
    restricted = one_accelerator(instance, deadline_seconds=10.0)
    assert restricted.objective == pytest.approx(brute_force(instance, one=True))
    assert row["oneAccelerator"] == pytest.approx(restricted.objective)


def test_an_answer_that_overuses_or_underserves_is_judged_so() -> None:
    instance = made(0)
    server = instance.servers[0]
    judged = judge(instance, {(server.name, "2xA"): 50})
    assert judged.over == 100 - instance.capacity["A"]
    assert judged.unserved == pytest.approx(sum(each.rate for each in instance.servers[1:]))


def test_servers_short_of_units_are_not_called_served() -> None:
    instance = replace(made(3), capacity={"A": 0, "B": 0})
    row = row_of(instance, deadline=5.0)
    assert row["value"] == 0.0
    assert row["unserved"] == pytest.approx(sum(server.rate for server in instance.servers))
    assert row["oneAccelerator"] is None


PUBLISHED = {"small": (39743.0, 35386.5), "large": (27007.0, 26151.5)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_instances_are_served_for_less_than_the_published_solution(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(DATA / name), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    published, best = PUBLISHED[name]
    assert row["published"] == published
    assert row["publishedUnserved"] == 0.0
    assert best <= row["value"] <= 1.005 * best, "optimal where the machine gives enough time"
    assert row["bound"] <= best
    assert row["value"] <= row["oneAccelerator"] <= published
    assert row["unserved"] == 0.0
    assert row["ok"]


def test_a_folder_of_instances_gives_a_table_with_a_row_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--deadline", "1"]) == 0, "without files, the folder of the project"
    shown = capsys.readouterr().out
    assert "small" in shown
    assert "large" in shown


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("server-data.json", None, "FileNotFoundError"),
        ("server-data.json", "{", "JSONDecodeError"),
        ("server-data.json", '{"servers": []}', "no servers in it"),
        ("server-data.json", '{"servers": 3}', "servers is a list"),
        ("serviceclass-data.json", '{"serviceClasses": []}', "KeyError"),
        ("accelerator-data.json", '{"accelerators": [{"name": "L4"}]}', "KeyError"),
    ],
)
def test_a_folder_at_fault_is_named_with_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, wrong: str
) -> None:
    for path in (DATA / "small").glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text)
    assert main([str(tmp_path), "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == []
    assert str(tmp_path) in captured.err
    assert wrong in captured.err
