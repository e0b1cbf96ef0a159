"""A change of availability, and what still runs after it."""

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.ladder.answer import value
from benchmarks.ladder.atoll_method import answer_of
from benchmarks.ladder.change import changed, kept_count, left_of, replica_count
from benchmarks.ladder.form import Form
from benchmarks.ladder.instance import problem_of
from benchmarks.ladder.packer import packed
from benchmarks.ladder.warm import main
from hypothesis import given, settings
from hypothesis import strategies as st
from test_command import written
from tiny import form, random_form

from atoll.domain.problem import Allocation
from atoll.optimize.solve import solve


def solved(wanted: Form) -> Allocation:
    return solve(problem_of(wanted, deadline_seconds=5.0))


def test_changes_a_share_of_the_pools_and_nothing_else() -> None:
    many = form(
        price=np.ones(40),
        obtainable=np.full(40, 5),
        pool_kind=("A",) * 40,
        pool_gpus=np.full(40, 4),
        pool_region=np.zeros(40, dtype=np.int64),
        pool_spot=np.zeros(40, dtype=bool),
    )
    now = changed(many, 0.1, 3)
    assert 1 <= (now.obtainable != many.obtainable).sum() <= 4
    assert ((now.obtainable >= 0) & (now.obtainable <= 5)).all()
    assert np.array_equal(now.obtainable, changed(many, 0.1, 3).obtainable)
    assert not np.array_equal(now.obtainable, changed(many, 0.1, 4).obtainable)
    assert many.obtainable.tolist() == [5] * 40


def test_without_a_change_all_runs_on() -> None:
    runs = solved(form())
    assert left_of(form(), runs, 0) == runs.replicas


def test_a_replica_is_lost_with_the_nodes_of_any_of_its_stages() -> None:
    runs = solved(form())
    left = left_of(form(obtainable=np.array([0, 3])), runs, 0)
    assert {group.demand.name for group in left} == {"m0000"}
    assert replica_count(left) == 2


@given(st.integers(0, 300), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_what_is_left_stands_on_what_is_there(number: int, seed: int) -> None:
    wanted = random_form(number)
    runs = solved(wanted)
    now = changed(wanted, 0.5, seed)
    left = left_of(now, runs, seed)
    nodes = {use.supply.offering.pool: use.nodes for use in runs.nodes}
    there = answer_of(now, Allocation(replicas=left, nodes=(), shortfall={}, cost_per_hour=0.0, bound_per_hour=0.0))
    rooms = tuple(min(int(now.obtainable[p]), nodes.get(f"p{p:04}", 0)) for p in range(len(now.price)))
    assert packed(now, type(there)(replicas=there.replicas, nodes=rooms))
    assert kept_count(left, runs.replicas) == replica_count(left)


def test_replicas_that_moved_are_not_kept() -> None:
    runs = solved(form())
    (group, *_) = runs.replicas
    assert kept_count([group], [group]) == group.count
    assert kept_count([group], []) == 0


@pytest.mark.parametrize("more", [(), ("--shortfall-first",)])
def test_the_command_tells_how_near_the_warm_answer_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    path = written(tmp_path, avail=[3, 3])
    assert main([str(path), "--deadline", "2", "--change", "1", "--seed", "1", "--json", *more]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["instance"] == "tiny"
    assert row["packed"] is True
    assert row["overCold"] == pytest.approx(0.0, abs=0.02)
    assert row["warmBound"] <= row["coldValue"] + 1e-6
    assert row["firstFeasibleSeconds"] <= row["warmCpuSeconds"]


def test_a_bad_file_and_a_bad_share_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.npz"
    bad.write_text("not at all")
    assert main([str(bad)]) == 1
    assert f"error: {bad}: no ladder instance" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([str(bad), "--change", "0"])
    assert ended.value.code == 2


def test_an_empty_fleet_has_nothing_to_change() -> None:
    none = form(demand=np.array([0.0, 0.0]))
    runs = solved(none)
    assert runs.replicas == ()
    assert value(none, answer_of(none, runs)) == 0.0
    assert left_of(changed(none, 0.1, 0), runs, 0) == ()
