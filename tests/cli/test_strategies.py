"""`atoll strategies`: what stage one finds, what became of it, and what it costs."""

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from atoll.cli.commands import app

SMALL = Path(__file__).parent / "manifests" / "small.yaml"

Change = Callable[[dict[str, Any]], None]


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, ["strategies", *arguments])


def listed(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str, Change], str]:
    """The small fleet with one kind of object changed, as a file."""

    def write(kind: str, change: Change) -> str:
        documents = list(yaml.safe_load_all(SMALL.read_text()))
        for document in documents:
            if document["kind"] == kind:
                change(document["spec"])
        path = tmp_path / "fleet.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return str(path)

    return write


def test_kept_strategies_are_those_that_the_plan_chooses_from_and_are_priced_by_their_share_of_nodes() -> None:
    (demand,) = listed("-f", str(SMALL))["demands"]

    assert demand["kept"] == len(demand["strategies"]) > 1
    assert {item["verdict"] for item in demand["strategies"]} == {"Kept"}
    prices = {"L40S-48GB": 1.9, "H100-80GB": 55.0 / 8}
    for item in demand["strategies"]:
        share = sum(prices[stage["gpuKind"]] * item["tp"] for stage in item["stages"])
        assert item["pricePerHour"] == pytest.approx(share)
        assert item["pricePerMillionOutputTokens"] == pytest.approx(share / item["rate"] / 100 / 3600 * 1e6, rel=1e-4)
        assert item["pricePerMillionTokens"] == pytest.approx(share / item["rate"] / 600 / 3600 * 1e6, rel=1e-4)
        assert sum(stage["layers"] for stage in item["stages"]) == 40


def test_nothing_on_the_frontier_is_beaten_and_everything_else_is() -> None:
    (demand,) = listed("-f", str(SMALL))["demands"]
    points = [(item["rate"], item["pricePerHour"], item["frontier"]) for item in demand["strategies"]]

    for rate, price, frontier in points:
        beaten = any(other >= rate and cost <= price and (other, cost) != (rate, price) for other, cost, _ in points)
        assert frontier is not beaten


def test_all_shows_what_was_dropped_and_why() -> None:
    (demand,) = listed("-f", str(SMALL), "--all")["demands"]
    verdicts = [item["verdict"] for item in demand["strategies"]]

    assert verdicts.count("Dominated") == demand["dominated"] > 0
    assert verdicts.count("Kept") == demand["kept"]
    assert not any(item["frontier"] for item in demand["strategies"] if item["verdict"] != "Kept")


def test_the_table_fits_into_80_columns_and_names_what_matters() -> None:
    result = run("-f", str(SMALL), "--all", "--top", "2")

    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    text = " ".join(result.stdout.split())
    for word in (
        "microsoft/phi-4",
        "requests/s",
        "$/M out",
        "TTFT",
        "TPOT",
        "limit",
        "Roofline ±",
        "dominated",
        "--top",
    ):
        assert word in text
    assert text.count("requests/s,") == 2


def test_objectives_that_nothing_meets_end_with_one_and_show_how_slow_each_strategy_is(
    changed: Callable[[str, Change], str],
) -> None:
    result = run("-f", changed("ModelDemand", lambda spec: spec["objectives"].update(ttft="1ms")), "--all", "--json")

    assert result.exit_code == 1
    report = json.loads(result.stdout)
    (demand,) = report["demands"]
    assert {item["verdict"] for item in demand["strategies"]} == {"TooSlow"}
    assert {item["rate"] for item in demand["strategies"]} == {0.0}
    assert {item["pricePerMillionTokens"] for item in demand["strategies"]} == {None}
    assert [fault["field"] for fault in report["faults"]] == ["spec.objectives"]


def test_kinds_that_no_zone_has_together_have_no_price(changed: Callable[[str, Change], str]) -> None:
    def elsewhere(spec: dict[str, Any]) -> None:
        if spec["gpu"]["count"] == 8:
            spec["offerings"][0]["zone"] = "us-east-2b"

    (demand,) = listed("-f", changed("GPUNodePool", elsewhere), "--all")["demands"]

    for item in demand["strategies"]:
        mixed = len({stage["gpuKind"] for stage in item["stages"]}) > 1
        assert (item["pricePerHour"] is None) is mixed
        assert not (mixed and item["frontier"])


def test_a_profile_wins_over_estimates_in_strategies_and_plan(tmp_path: Path) -> None:
    points = [
        {"phase": "Prefill", "sequences": 1, "tokens": 512, "milliseconds": 400.0},
        {"phase": "Decode", "sequences": 16, "tokens": 512, "milliseconds": 70.0},
    ]
    spec = {"architecture": "microsoft/phi-4", "gpuKind": "L40S-48GB", "tp": 1, "points": points}
    profile = {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "PerformanceProfile",
        "metadata": {"name": "p"},
        "spec": spec,
    }
    path = tmp_path / "profile.yaml"
    path.write_text(yaml.safe_dump(profile))

    before, after = (
        listed(*files)["demands"][0] for files in (("-f", str(SMALL)), ("-f", str(SMALL), "-f", str(path)))
    )
    plan = CliRunner().invoke(app, ["plan", "-f", str(SMALL), "-f", str(path), "--json", "--no-baseline"])

    alone = "1 x L40S-48GB tp1 (40 layers, bf16)"
    (slow,) = (item for item in after["strategies"] if item["strategy"] == alone)
    (fast,) = (item for item in before["strategies"] if item["strategy"] == alone)
    assert (fast["source"], slow["source"]) == ("Roofline", "Profile")
    assert slow["rate"] < fast["rate"]
    assert slow["expectedError"] < fast["expectedError"]
    (demand,) = json.loads(plan.stdout)["demands"]
    kinds = [{stage["gpuKind"] for stage in item["stages"]} for item in demand["replicas"]]
    assert all(
        ("Profile" in item["source"]) is ("L40S-48GB" in kind)
        for item, kind in zip(demand["replicas"], kinds, strict=True)
    )


def test_the_same_strategies_give_the_same_plot(tmp_path: Path) -> None:
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"

    assert run("-f", str(SMALL), "--plot", str(first)).exit_code == 0
    assert run("-f", str(SMALL), "--plot", str(second)).exit_code == 0

    text = first.read_text()
    assert text == second.read_text()
    for word in ("default/phi", "dominated", "H100-80GB", "L40S-48GB", "US$/h", "requests/s of one replica"):
        assert word in text


def test_a_plot_of_an_unknown_form_is_a_usage_error_that_names_the_known_ones() -> None:
    result = run("-f", str(SMALL), "--plot", "frontier.txt")

    assert result.exit_code == 2
    assert ".svg, .png, .pdf" in result.output


def test_a_plot_that_cannot_be_written_ends_with_one_and_one_line(tmp_path: Path) -> None:
    result = run("-f", str(SMALL), "--plot", str(tmp_path / "missing" / "x.svg"))

    assert result.exit_code == 1
    assert result.stderr.startswith("error: cannot write the plot: No such file or directory")
    assert len(result.stderr.splitlines()) == 1


def test_without_matplotlib_a_plot_ends_with_one_and_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name, name="matplotlib")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", missing)
    result = run("-f", str(SMALL), "--plot", "x.svg")

    assert result.exit_code == 1
    assert "pip install matplotlib" in result.stderr


def test_a_demand_that_is_not_there_is_a_usage_error_that_names_those_that_are() -> None:
    result = run("-f", str(SMALL), "--demand", "fhi")

    assert result.exit_code == 2
    for word in ("fhi", "phi"):
        assert word in result.output


def test_a_demand_is_found_by_name_and_by_namespace_and_name() -> None:
    assert listed("-f", str(SMALL), "--demand", "phi") == listed("-f", str(SMALL), "--demand", "default/phi")


def test_help_has_examples_and_exit_codes() -> None:
    text = " ".join(run("--help").output.split())

    for word in ("atoll strategies -f examples/coral-six/", "--plot", "Exit codes: 0", "--json"):
        assert word in text


def test_pairs_are_listed_after_whole_replicas_with_the_cheapest_of_them(changed: Callable[[str, Change], str]) -> None:
    def allow(spec: dict[str, Any]) -> None:
        spec["engine"] = {"pairs": True}

    path = changed("ModelDemand", allow)
    (demand,) = listed("-f", path)["demands"]
    phases = [item["phase"] for item in demand["strategies"]]
    assert set(phases) == {None, "Prefill", "Decode"}
    assert phases == sorted(phases, key=lambda phase: phase or "")
    assert not any(item["frontier"] for item in demand["strategies"] if item["phase"])

    shown = run("-f", path, "--top", "1").stdout
    (line,) = (line for line in shown.splitlines() if line.startswith("cheapest pair: "))
    prices = {
        (item["phase"], item["quantisation"], item["tp"]): item["pricePerMillionOutputTokens"]
        for item in reversed(demand["strategies"])
    }
    both = min(
        price + prices["Decode", *rest]
        for (phase, *rest), price in prices.items()
        if phase == "Prefill"
        if ("Decode", *rest) in prices
    )
    assert f"{both:.2f} $/M out" in line


def test_without_pairs_nothing_is_said_of_them() -> None:
    assert "pair" not in run("-f", str(SMALL)).stdout


def test_a_demand_that_is_named_and_at_fault_ends_with_its_fault(changed: Callable[[str, Change], str]) -> None:
    def negative(spec: dict[str, Any]) -> None:
        spec["demand"]["requestsPerSecond"] = -1

    file = changed("ModelDemand", negative)
    result = run("--demand", "phi", "-f", file)

    assert result.exit_code == 1, result.output
    assert "spec.demand.requestsPerSecond: -1 is refused" in result.stderr
    assert file in result.stderr
