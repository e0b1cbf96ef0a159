"""Coral's program against brute force, policies of scarcity by hand, and its settings."""

import json
import math
from itertools import product
from pathlib import Path
from random import Random

import pytest
from benchmarks.coral.__main__ import DATA, main
from benchmarks.coral.policy import Outcome, first_come, goodput, not_worse, penalties
from benchmarks.coral.program import scaled
from benchmarks.coral.row import row_of
from benchmarks.coral.setting import Setting, supplies_of

from atoll.domain.architecture import Quantisation
from atoll.domain.demand import DemandKey
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import OfferingKey, Supply
from atoll.domain.problem import DemandRow, Problem
from atoll.domain.strategy import EngineName, Limit, Stage, Strategy, Template


def key(name: str) -> DemandKey:
    return DemandKey(namespace="test", name=name)


def template(tp: int, stages: int, rate: float) -> Template:
    return Template(
        strategy=Strategy(
            engine=EngineName.VLLM,
            tp=tp,
            stages=tuple(Stage(gpu_kind="G", layers=1) for _ in range(stages)),
            quantisation=Quantisation.BF16,
            max_sequences=1,
            max_context=1,
        ),
        rate=rate,
        ttft_seconds=0.0,
        tpot_seconds=0.0,
        sequences=1.0,
        limit=Limit.COMPUTE,
        sources={},
        expected_error=0.0,
        startup_seconds=0.0,
    )


def supply(gpus: int, price: float, obtainable: int, zone: str = "z") -> Supply:
    return Supply(
        offering=OfferingKey(pool=f"x{gpus}", zone=zone, capacity_type=CapacityType.ON_DEMAND),
        gpu_kind="G",
        gpus=gpus,
        price_per_hour=price,
        obtainable=obtainable,
        region="r",
    )


def row(name: str, rate: float, *templates: Template, priority: int = 0) -> DemandRow:
    return DemandRow(key=key(name), rate=rate, templates=templates, priority=priority)


def hosted(widths: list[int], nodes: list[int], *, shared: bool) -> bool:
    """Whether stages fit nodes, by trying: on whole nodes of their own, or sharing."""
    if not widths:
        return True
    widest = max(widths)
    rest = list(widths)
    rest.remove(widest)
    for number in {nodes.index(free) for free in nodes if free >= widest}:
        left = list(nodes)
        left[number] = left[number] - widest if shared else 0
        if hosted(rest, left, shared=shared):
            return True
    return False


def brute_force(problem: Problem, *, shared: bool) -> tuple[float, float]:
    """Largest share of all demands that can be served, up to 1, and the lowest cost at which it is."""
    choices = [(wanted, t) for wanted in problem.demands for t in wanted.templates]
    best = (0.0, 0.0)
    for counts in product(*(range(math.ceil(wanted.rate / t.rate) + 1) for wanted, t in choices)):
        served = dict.fromkeys((wanted.key for wanted in problem.demands), 0.0)
        widths: list[int] = []
        for (wanted, t), count in zip(choices, counts, strict=True):
            served[wanted.key] += t.rate * count
            widths += [t.strategy.tp] * len(t.strategy.stages) * count
        theta = min(1.0, *(served[wanted.key] / wanted.rate for wanted in problem.demands))
        if theta < best[0] - 1e-9:
            continue
        for nodes in product(*(range(each.obtainable + 1) for each in problem.supplies)):
            cost = sum(n * each.price_per_hour for n, each in zip(nodes, problem.supplies, strict=True))
            sizes = [each.gpus for n, each in zip(nodes, problem.supplies, strict=True) for _ in range(n)]
            better = theta > best[0] + 1e-9 or cost < best[1] - 1e-9
            if better and hosted(widths, sizes, shared=shared):
                best = (theta, cost)
    return best


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_coral_s_program_serves_the_largest_share_at_the_lowest_cost(seed: int, *, shared: bool) -> None:
    random = Random(seed)  # noqa: S311  # instances, not secrets
    demands = [
        row(
            f"m{number}",
            random.uniform(1, 3),
            template(random.choice((1, 2)), 1, random.uniform(0.8, 2)),
            template(random.choice((1, 2, 4)), random.choice((1, 2)), random.uniform(1, 4)),
        )
        for number in range(random.randint(1, 2))
    ]
    supplies = [supply(gpus, random.uniform(0.8, 1.2) * gpus, random.randint(0, 2)) for gpus in (1, 2, 4)]
    problem = Problem(demands=tuple(demands), supplies=tuple(supplies))
    theta, cost = brute_force(problem, shared=shared)
    found = scaled(problem, shared=shared, deadline_seconds=10.0)
    assert found.theta == pytest.approx(theta, abs=1e-5)
    assert found.cost == pytest.approx(cost, abs=1e-6)
    assert found.bound <= found.cost
    assert found.proven


def test_replicas_share_a_node_in_the_product_and_own_theirs_with_coral() -> None:
    """Two served models of one GPU each, and nodes of two."""
    problem = Problem(
        demands=(row("a", 1.0, template(1, 1, 1.0)), row("b", 1.0, template(1, 1, 1.0))), supplies=(supply(2, 5.0, 4),)
    )
    setting = Setting(name="made", problem=problem, published_seconds=None, published_ratio=None, source="")
    found = row_of(setting, deadline=5.0)
    assert (found["value"], found["coralValue"]) == (5.0, 10.0)
    assert found["saving"] == 0.5
    assert found["ok"]
    assert not found["short"]


def test_stages_of_a_replica_stay_in_a_zone() -> None:
    problem = Problem(
        demands=(row("a", 1.0, template(1, 2, 1.0)),), supplies=(supply(1, 1.0, 1), supply(1, 1.0, 1, zone="y"))
    )
    assert scaled(problem, shared=True, deadline_seconds=5.0).theta == 0.0


SHORT = Problem(
    demands=(
        row("old", 4.0, template(1, 1, 1.0)),
        row("new", 4.0, template(1, 1, 1.0), priority=100),
    ),
    supplies=(supply(1, 1.0, 6),),
)


def test_first_come_takes_all_it_wants_and_leaves_the_rest() -> None:
    found = first_come(SHORT, deadline_seconds=5.0)
    assert found.unserved == {key("old"): 0.0, key("new"): 0.5}
    assert found.cost == 6.0
    assert goodput(SHORT, found) == 6.0


def test_nodes_that_one_has_opened_are_not_shared_under_first_come() -> None:
    problem = Problem(
        demands=(row("a", 1.0, template(1, 1, 1.0)), row("b", 1.0, template(1, 1, 1.0))), supplies=(supply(2, 5.0, 1),)
    )
    assert first_come(problem, deadline_seconds=5.0).unserved == {key("a"): 0.0, key("b"): 1.0}


def test_priorities_serve_first_what_uniform_scaling_and_first_come_cut() -> None:
    setting = Setting(name="made", problem=SHORT, published_seconds=None, published_ratio=None, source="")
    found = row_of(setting, deadline=5.0)
    policies = found["policies"]
    assert found["short"]
    assert found["coralTheta"] == pytest.approx(0.75)
    assert policies["atoll"]["unserved"] == {"old": 0.5, "new": 0.0}
    assert policies["uniform"]["unserved"] == {"old": 0.25, "new": 0.25}
    assert policies["firstCome"]["unserved"] == {"old": 0.0, "new": 0.5}
    assert {policy["goodput"] for policy in policies.values()} == {6.0}
    assert found["ok"]


def test_outcomes_are_ranked_by_priority_then_cost() -> None:
    high_first = Outcome(cost=9.0, unserved={key("old"): 0.9, key("new"): 0.0})
    low_first = Outcome(cost=1.0, unserved={key("old"): 0.0, key("new"): 0.1})
    cheaper = Outcome(cost=8.0, unserved=high_first.unserved)
    assert list(penalties(SHORT, low_first)) == [100, 0]
    assert penalties(SHORT, low_first)[100] == pytest.approx(0.05 * 1 + 0.05 * 2)
    assert not_worse(SHORT, high_first, low_first)
    assert not not_worse(SHORT, low_first, high_first)
    assert not_worse(SHORT, cheaper, high_first)
    assert not not_worse(SHORT, high_first, cheaper)


def test_the_settings_are_coral_s() -> None:
    """Section 6: served models, objectives (ms), GPU configs and rates; layers are checked with the example."""
    extended = json.loads((DATA / "extended.json").read_text())
    assert [(d["name"], d["ttftMs"], d["tpotMs"], d["rate"]) for d in extended["demands"]] == [
        ("phi-4-14b", 1200, 60, 25),
        ("gpt-oss-20b", 900, 30, 25),
        ("qwen3-32b", 1600, 100, 25),
        ("llama-3-3-70b", 1500, 80, 25),
        ("gpt-oss-120b", 1000, 40, 25),
        ("qwen3-235b-a22b", 1800, 120, 25),
    ]
    assert len(extended["gpuKinds"]) * len(extended["nodes"]) == 20
    assert extended["regions"] == ["us-east-2", "ap-northeast-2", "us-central1"]
    core = json.loads((DATA / "core.json").read_text())
    assert {d["name"] for d in core["demands"]} == {"qwen3-32b", "gpt-oss-20b", "phi-4-14b"}
    assert {d["rate"] for d in core["demands"]} == {10}
    assert len(core["gpuKinds"]) * len(core["nodes"]) == 12
    assert len(core["regions"]) == 2


@pytest.mark.parametrize("name", ["core", "core-short"])
def test_the_core_setting_is_solved_no_worse_than_by_coral_s_program(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(DATA / f"{name}.json"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["schemaVersion"] == 1
    assert found["ok"]
    assert found["short"] is (name == "core-short")
    assert found["bound"] <= found["value"]
    if not found["short"]:
        assert found["value"] <= found["coralValue"] * (1 + 1e-6)
        assert found["value"] <= found["oneKindValue"] * (1 + 1e-6)
        assert found["publishedOneKindRatio"] == 1.62
        assert found["publishedSeconds"] == 0.24


def test_nodes_that_a_region_does_not_sell_are_not_offered() -> None:
    supplies = supplies_of(json.loads((DATA / "extended.json").read_text()))
    sold = {(supply.region, supply.gpu_kind, supply.gpus) for supply in supplies}
    assert len(sold) == len(supplies) == 20 + 20 + 12
    assert not {kind for region, kind, _ in sold if region == "us-central1"} & {"A10G-24GB", "L40S-48GB"}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"regions": ["nowhere"]}, "region nowhere is none of Coral's"),
        ({"gpuKinds": ["B200"]}, "GPU kind B200 is none of Coral's"),
        ({"nodes": {}}, "no demands, or no nodes"),
        ({"demands": []}, "no demands, or no nodes"),
        ({"demands": [{"name": "x", "rate": 0}]}, "rate is above 0"),
        ({"demands": [{"name": "x", "rate": 1}]}, "KeyError"),
        ({"percentile": None}, "TypeError"),
    ],
)
def test_a_setting_at_fault_is_named_with_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], wrong: str
) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({**json.loads((DATA / "core.json").read_text()), **change}))
    assert main([str(path), "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == []
    assert str(path) in captured.err
    assert wrong in captured.err


def test_a_served_model_that_fits_no_node_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setting = json.loads((DATA / "core.json").read_text())
    setting["demands"][0]["ttftMs"] = 0.001
    path = tmp_path / "tight.json"
    path.write_text(json.dumps(setting))
    assert main([str(path)]) == 1
    assert f"{setting['demands'][0]['name']} cannot be served" in capsys.readouterr().err


def test_missing_files_and_empty_folders_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path / "gone.json")]) == 1
    told = capsys.readouterr().err
    assert "no JSON files in it" in told
    assert "gone.json" in told
