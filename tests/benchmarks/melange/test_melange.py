"""Melange's instances: both rules against brute force and against the answers of its own solver."""

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random

import pytest
from benchmarks.melange.__main__ import main
from benchmarks.melange.instance import MEASURED, Instance, read_instances
from benchmarks.melange.program import Answer, assign, broken
from benchmarks.melange.row import row_of

CONFIGURATION = {
    "gpu_info": {"small": {"cost": 1.0, "tputs": [[2, 1]]}, "large": {"cost": 3.0, "tputs": [[10, 10]]}},
    "workload_distribution": [[0.5, 0.5]],
    "total_request_rate": 4.0,
    "slice_factor": 2,
}


def made(seed: int) -> Instance:
    random = Random(seed)  # noqa: S311  # instances, not secrets
    buckets = random.randint(1, 3)
    kinds = ("a", "b", "c")[: random.randint(1, 3)]
    rates = {kind: tuple(random.choice((0.0, 1.0, 2.5, 4.0)) for _ in range(buckets)) for kind in kinds}
    return Instance(
        name="made",
        prices={kind: float(random.randint(1, 6)) for kind in kinds},
        demand=tuple(random.uniform(0.5, 4.0) for _ in range(buckets)),
        rates={**rates, "a": tuple(random.uniform(0.5, 3.0) for _ in range(buckets))},
        slices=random.randint(1, 3),
    )


def brute_force(instance: Instance) -> float:
    """Cheapest of all ways to give slices to types."""
    kinds = list(instance.prices)
    parts = [bucket for bucket in range(len(instance.demand)) for _ in range(instance.slices)]
    best = math.inf
    for chosen in product(kinds, repeat=len(parts)):
        if any(instance.rates[kind][bucket] == 0.0 for bucket, kind in zip(parts, chosen, strict=True)):
            continue
        load = dict.fromkeys(kinds, 0.0)
        for bucket, kind in zip(parts, chosen, strict=True):
            load[kind] += instance.demand[bucket] / instance.slices / instance.rates[kind][bucket]
        best = min(best, sum(instance.prices[kind] * math.ceil(load[kind] - 1e-9) for kind in kinds))
    return best


@pytest.mark.parametrize("seed", range(30))
def test_the_slice_rule_is_solved_to_the_optimum_and_dividing_is_never_dearer(seed: int) -> None:
    instance = made(seed)
    row = row_of(instance, deadline=10.0)
    assert row["value"] == pytest.approx(brute_force(instance))
    assert row["divisible"] <= row["value"]
    assert row["bound"] <= row["divisible"] * (1 + 1e-9)
    assert row["proven"]
    finer = brute_force(replace(instance, slices=6)) if len(instance.demand) == 1 else math.inf
    assert row["divisible"] <= finer, "any slicing is a division"


def test_dividing_a_bucket_fills_what_slices_leave_empty() -> None:
    """4.4 requests/s: three small GPUs (6 requests/s) or two large ones (5) by slices, one of each (4.5) divided."""
    instance = Instance(
        name="made",
        prices={"small": 1.0, "large": 1.7},
        demand=(4.4,),
        rates={"small": (2.0,), "large": (2.5,)},
        slices=1,
    )
    assert assign(instance, slices=1, deadline_seconds=5.0).cost == pytest.approx(3.0)
    assert assign(instance, slices=None, deadline_seconds=5.0).cost == pytest.approx(2.7)


@pytest.mark.parametrize(
    ("flow", "gpus", "fault"),
    [
        ({(0, "small"): 1.0}, {"small": 1}, "served at 1 of 2"),
        ({(0, "small"): 2.0}, {"small": 0}, "0 GPUs of small carry a load of 1"),
        ({(0, "small"): 1.5, (0, "large"): 0.5}, {"small": 1, "large": 1}, "cut within a slice"),
    ],
)
def test_an_answer_that_breaks_a_rule_is_told(
    flow: dict[tuple[int, str], float], gpus: dict[str, int], fault: str
) -> None:
    instance = Instance(
        name="made",
        prices={"small": 1.0, "large": 3.0},
        demand=(2.0,),
        rates={"small": (2.0,), "large": (10.0,)},
        slices=2,
    )
    answer = Answer(gpus=gpus, flow=flow, cost=0.0, bound=0.0, proven=True)
    assert any(fault in each for each in broken(instance, answer, slices=2))


def test_measured_answers_are_reached_at_every_slice_factor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0, "without files, those of the project"
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 28
    results = json.loads(MEASURED.read_text())["results"]
    for row in rows:
        name, _, factor = row["instance"].rpartition(" sf")
        assert row["published"] == results[name][f"melange_sf{factor}"][0]["cost"]
        assert row["divisible"] == pytest.approx(results[name]["fractional_optimum"][0])
        assert row["value"] == pytest.approx(row["published"]), "both are optimal"
        assert row["ok"]
        assert row["proven"]


def test_the_example_costs_6_70_by_slices_and_4_68_divided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(MEASURED.read_text())["instances"]["example.json@HEAD(d46ab43)"]
    (tmp_path / "example.json").write_text(json.dumps(content))
    assert main([str(tmp_path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["schemaVersion"], row["instance"]) == (1, "example")
    assert row["value"] == pytest.approx(6.70)
    assert row["divisible"] == pytest.approx(4.68)
    assert row["bound"] == pytest.approx(4.68)
    assert row["published"] == pytest.approx(6.70), "found among the measured ones by its content"
    assert row["gpus"] == {"A10G": 3, "A100-80GB": 1}


def test_a_configuration_that_nobody_measured_has_no_published_value(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps(CONFIGURATION))
    (instance,) = read_instances(path)
    row = row_of(instance, deadline=5.0)
    assert row["published"] is None
    assert row["ok"]
    assert row["value"] == pytest.approx(3.0)


def test_no_demand_costs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "idle.json"
    path.write_text(json.dumps({**CONFIGURATION, "total_request_rate": 0}))
    assert main([str(path)]) == 0
    assert "idle" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"slice_factor": 0}, "slice_factor is at least 1"),
        ({"total_request_rate": -1}, "0 or more"),
        ({"total_request_rate": math.nan}, "0 or more"),
        ({"gpu_info": {}}, "slice_factor is at least 1"),
        ({"workload_distribution": [[1.0]]}, "shape of the distribution"),
        ({"gpu_info": {"small": {"cost": 1.0, "tputs": [[2, 0]]}}}, "no GPU type serves bucket 1"),
        ({"gpu_info": {"small": {"tputs": [[2, 0]]}}}, "KeyError"),
    ],
)
def test_a_configuration_at_fault_is_named_with_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], wrong: str
) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({**CONFIGURATION, **change}))
    assert main([str(path), "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == []
    assert str(path) in captured.err
    assert wrong in captured.err


def test_missing_files_and_empty_folders_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path / "gone.json"), "--json"]) == 1
    told = capsys.readouterr().err
    assert "no JSON files in it" in told
    assert "gone.json" in told
