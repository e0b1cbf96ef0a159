"""Placement on Helix's instances: value and bound against brute force, the judge against hand-made flows."""

import json
from itertools import product
from pathlib import Path
from random import Random

import pytest
from benchmarks.helix.__main__ import DATA, main
from benchmarks.helix.bound import bisection_bound, cover_bound
from benchmarks.helix.instance import Instance, Kind, read_instances
from benchmarks.helix.placement import Held, PlacementError, carried
from benchmarks.helix.row import row_of


def instance(layers: int, *kinds: tuple[int, tuple[float, ...]]) -> Instance:
    return Instance(
        name="made",
        layers=layers,
        kinds=tuple(Kind(name=f"k{i}", nodes=nodes, throughput=values) for i, (nodes, values) in enumerate(kinds)),
    )


def held(kind: int, start: int, layers: int) -> Held:
    return Held(kind=kind, start=start, layers=layers)


def test_flow_of_a_chain_is_that_of_its_slowest_node() -> None:
    given = instance(3, (2, (9.0, 4.0)))
    found = carried(given, [held(0, 0, 1), held(0, 1, 2)])
    assert found.throughput == 4.0
    assert found.mean_hops == 2.0


def test_flows_beside_each_other_add_up_and_pass_only_where_layers_meet() -> None:
    given = instance(4, (4, (9.0, 4.0)))
    beside = [held(0, 0, 2), held(0, 0, 2), held(0, 2, 2), held(0, 2, 2)]
    assert carried(given, beside).throughput == 8.0
    assert carried(given, [held(0, 0, 2), held(0, 1, 1), held(0, 3, 1)]).throughput == 0.0


def test_flow_is_sent_back_where_a_shorter_path_blocked_a_longer_one() -> None:
    """The first shortest path takes the middle node from both others."""
    given = instance(4, (1, (5.0, 5.0, 5.0)), (4, (5.0, 5.0)))
    plan = [held(1, 0, 1), held(1, 0, 2), held(0, 1, 1), held(1, 1, 2), held(1, 2, 2)]
    assert carried(given, plan).throughput == 5.0
    assert carried(given, [*plan[:3], plan[4]]).throughput == 5.0


@pytest.mark.parametrize("wrong", [[held(0, 0, 1)] * 3, [held(0, 2, 2)], [held(0, 0, 3)], [held(0, 1, 0)]])
def test_a_placement_of_other_nodes_or_layers_is_refused(wrong: list[Held]) -> None:
    with pytest.raises(PlacementError):
        carried(instance(3, (2, (9.0, 4.0))), wrong)


def test_between_sites_each_link_carries_no_more_than_it_can() -> None:
    """One node of 9 tokens/s there, two here: two links of 2."""
    kinds = (
        Kind(name="there", nodes=1, throughput=(9.0,), site=0),
        Kind(name="here", nodes=2, throughput=(9.0,), site=1),
    )
    given = Instance(name="made", layers=2, kinds=kinds, link=2.0)
    assert carried(given, [held(0, 0, 1), held(1, 1, 1)]).throughput == 2.0
    assert carried(given, [held(0, 0, 1), held(1, 1, 1), held(1, 1, 1)]).throughput == 4.0


def brute_force(given: Instance) -> float:
    """Highest flow of all ways to give each node a start and a number of layers."""
    nodes = [number for number, kind in enumerate(given.kinds) for _ in range(kind.nodes)]
    choices = [
        [
            held(number, start, k)
            for k in range(1, len(given.kinds[number].throughput) + 1)
            for start in range(given.layers - k + 1)
        ]
        for number in nodes
    ]
    return max(carried(given, plan).throughput for plan in product(*choices))


@pytest.mark.parametrize("seed", range(24))
def test_value_and_bounds_hold_the_optimum_between_them(seed: int) -> None:
    random = Random(seed)  # noqa: S311  # instances, not secrets
    kinds = []
    for _ in range(random.randint(1, 2)):
        values = sorted((round(random.uniform(1, 20), 1) for _ in range(random.randint(1, 3))), reverse=True)
        kinds.append((random.randint(1, 2), tuple(values)))
    given = instance(random.randint(1, 4), *kinds)
    best = brute_force(given)
    row = row_of(given)
    assert row["value"] == pytest.approx(best), "four nodes are always in series and in parallel"
    assert row["bound"] >= best * (1 - 1e-9)
    most = bisection_bound(given)
    assert most >= best * (1 - 1e-9)
    assert best * (1 - 1e-9) <= cover_bound(given, most) <= most
    plan = [held(int(kind[1:]), start, layers) for kind, start, layers in row["placement"]]
    assert not plan or carried(given, plan).throughput == row["value"]


@pytest.mark.parametrize("seed", range(12))
def test_over_two_sites_the_value_is_a_placement_s_and_the_bound_is_above_the_optimum(seed: int) -> None:
    random = Random(seed)  # noqa: S311  # instances, not secrets
    kinds = tuple(
        Kind(
            name=f"k{site}",
            nodes=random.randint(1, 2),
            throughput=tuple(sorted((random.uniform(1, 20) for _ in range(random.randint(1, 3))), reverse=True)),
            site=site,
        )
        for site in (0, 1)
    )
    given = Instance(name="made", layers=random.randint(2, 4), kinds=kinds, link=random.uniform(0.5, 12.0))
    best = brute_force(given)
    row = row_of(given)
    assert row["value"] <= best * (1 + 1e-9)
    assert row["value"] >= best / 2 - 1e-9, "a single site, or one crossing, is always tried"
    assert row["bound"] >= best * (1 - 1e-9)
    plan = [held(int(kind[1:]), start, layers) for kind, start, layers in row["placement"]]
    assert row["value"] == (carried(given, plan).throughput if plan else 0.0)


def test_a_chain_over_two_sites_is_found_where_its_links_suffice() -> None:
    kinds = tuple(Kind(name=f"k{site}", nodes=2, throughput=(8.0, 6.0), site=site) for site in (0, 1))
    row = row_of(Instance(name="made", layers=7, kinds=kinds, link=6.0))
    assert row["value"] == 6.0
    assert row["proven"]


def test_two_nodes_on_each_side_carry_over_a_crossing_what_one_link_could_not() -> None:
    """Two layers there and two here: two nodes of 6 beside each other on both sides, and 2 x 2 links of 3."""
    kinds = tuple(Kind(name=f"k{site}", nodes=3, throughput=(10.0, 6.0), site=site) for site in (0, 1))
    row = row_of(Instance(name="made", layers=4, kinds=kinds, link=3.0))
    assert row["value"] == 12.0


def test_what_no_nodes_can_hold_carries_nothing_and_that_is_proven() -> None:
    row = row_of(instance(9, (2, (5.0, 4.0)), (1, (3.0, 0.0))))
    assert (row["value"], row["bound"], row["gap"], row["proven"], row["placement"]) == (0.0, 0.0, 0.0, True, [])


REACHED = {
    "single24_llama70b": (1289.5558, 2045.6410),
    "single24_llama30b_a100": (1044.5333, 1044.5333),
    "single24_llama30b_t4": (397.6851, 397.6851),
    "single24_llama30b_l4": (214.9814, 252.6498),
    "small10_llama30b_quality": (286.5874, 286.5874),
}


def test_a_cluster_over_three_sites_carries_more_than_published() -> None:
    (given,) = read_instances(DATA / "geo24_llama70b")
    assert sorted((kind.site, kind.nodes) for kind in given.kinds) == [(0, 4), (1, 2), (1, 8), (2, 4), (2, 6)]
    assert given.link == pytest.approx(610.3516, abs=1e-4)
    row = row_of(given)
    assert row["published"] == pytest.approx(952.1074, abs=1e-4)
    assert row["value"] == pytest.approx(1754.3819, abs=1e-4)
    assert row["bound"] == pytest.approx(2045.6410, abs=1e-3)
    assert row["ok"]
    assert not row["proven"]


@pytest.mark.parametrize("name", REACHED)
def test_published_values_are_reached_and_proven_optimal(name: str) -> None:
    (given,) = read_instances(DATA / name)
    row = row_of(given)
    published, best = REACHED[name]
    assert row["published"] == pytest.approx(published, abs=1e-4)
    assert row["value"] == pytest.approx(best, abs=1e-4)
    assert row["ok"]
    assert row["proven"]


def test_the_folder_of_the_project_holds_programs_and_tables() -> None:
    found = {each.name: each for each in read_instances(DATA)}
    assert found.keys() > REACHED.keys()
    assert found["high42_llama70b"].published == pytest.approx(4892.2424, abs=1e-4)
    assert found["single24_llama70b"].seconds == pytest.approx(599.97, abs=0.01)


def test_rows_are_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(DATA / "single24_llama30b_t4"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["schemaVersion"] == 1
    assert row["instance"] == "single24_llama30b_t4"
    assert len(row["placement"]) == 12


def test_without_files_those_of_the_project_are_solved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.helix.__main__.DATA", DATA / "single24_llama30b_a100")
    assert main(["--json"]) == 0
    assert [row["instance"] for row in json.loads(capsys.readouterr().out)] == ["single24_llama30b_a100"]


def test_a_table_for_people_names_the_instance(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(DATA / "single24_llama30b_t4")]) == 0
    assert "single24_llama30b_t4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("gone.lp", None, "no such file"),
        ("ilp_model.lp", "Maximize\n x\nEnd\n", "not the form of Helix's MILP"),
        ("tables.json", "[1, 2]", "no table of node throughputs"),
        ("tables.json", "{}", "it is empty"),
        ("tables.json", '{"a": {"num_layers": 0, "machines": {}, "types": {}}}', "num_layers is at least 1"),
        ("tables.json", '{"a": {"num_layers": 2, "machines": {"x": 1}, "types": {}}}', "KeyError"),
    ],
)
def test_a_file_at_fault_is_named_with_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, wrong: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    assert main([str(path), "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == []
    assert str(path) in captured.err
    assert wrong in captured.err


def test_links_slower_than_nodes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (DATA / "single24_llama30b_t4" / "ilp_model.lp").read_text()
    slow = text.replace(next(line for line in text.splitlines() if "edge_flow_constr_0_1" in line), "")
    (tmp_path / "ilp_model.lp").write_text(slow)
    assert main([str(tmp_path)]) == 1
    assert "not all linked" in capsys.readouterr().err


def test_wrong_use_is_told_apart() -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(DATA), "--deadline", "-1"])
    assert ended.value.code == 2
