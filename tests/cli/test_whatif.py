"""`atoll what-if`: what it says would change, for manifests and for a cluster, and which options it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from atoll.cli.commands import app
from cli.clusters import ApiServer, serving

SMALL = Path(__file__).parent / "manifests" / "small.yaml"
PLURALS = {"Fleet": "fleets", "ModelDemand": "modeldemands", "GPUNodePool": "gpunodepools"}


def run(*arguments: str) -> Result:
    environment = {"COLUMNS": "80", "KUBECONFIG": ""}
    return CliRunner(env=environment).invoke(app, ["what-if", "--deadline", "1s", *arguments])


def small(*arguments: str) -> Result:
    return run("-f", str(SMALL), *arguments)


def told(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_more_demand_costs_more_and_says_what_starts() -> None:
    result = small("--demand", "phi=2x", "--json")

    assert result.exit_code == 0, result.output
    report = told(result)
    assert report["changes"] == ["phi wants 24 requests/s instead of 12"]
    (row,) = report["demands"]
    assert (row["before"]["rate"], row["after"]["rate"], row["change"]) == (12, 24, "Changed")
    assert report["moreCostPerHour"] > 0.0
    assert report["replicasStarted"] == row["replicasStarted"] > 0


@pytest.mark.parametrize(
    ("text", "rate"), [("phi=30", 30.0), ("phi=50%", 6.0), ("phi=+50%", 18.0), ("default/phi=-25%", 9.0), ("phi=0", 0)]
)
def test_a_demand_is_given_as_a_rate_a_factor_or_a_share(text: str, rate: float) -> None:
    assert told(small("--demand", text, "--json"))["demands"][0]["after"]["rate"] == rate


def test_a_price_that_no_longer_wins_moves_the_demand() -> None:
    report = told(small("--price", "l40s/us-east-2a/on-demand=90", "--json"))

    assert report["changes"] == ["a node of l40s/us-east-2a/on-demand costs 90.00 $/h instead of 1.90"]
    assert {item["pool"]: (item["before"] > 0, item["after"] > 0) for item in report["nodes"]} == {
        "l40s": (True, False),
        "h100": (False, True),
    }


def test_without_nodes_the_shortfall_says_why_and_the_exit_code_too() -> None:
    result = small("--lose-zone", "us-east-2a")

    assert result.exit_code == 3
    said = " ".join(result.stdout.split())
    assert "What if zone us-east-2a is lost" in said
    assert "Shortfall 0 → 12 requests/s" in said
    assert "no node can be had" in said


def test_a_smaller_budget_is_exceeded() -> None:
    result = small("--budget", "1", "--json")

    assert result.exit_code == 4
    assert told(result)["overBudget"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing is different"),
        (("--price", "l40s=cheap"), "POOL=12.5"),
        (("--price", "l41s=1"), "there are: l40s/us-east-2a/on-demand"),
        (("--price", "l40s//half=1"), "no capacity type"),
        (("--demand", "phi=+2x"), "chat=2x"),
        (("--demand", "psi=2x"), "there are: phi"),
        (("--demand", "phi=1e5x"), "chat=2x"),
        (("--demand", "phi=-200%"), "absurd"),
        (("--lose-zone", "mars"), "us-east-2a"),
        (("--without-pool", "tpu"), "l40s"),
        (("--without-spot",), "no pool of the Fleet offers spot"),
        (("--demand", "phi=2x", "--context", "prod"), "leave out -f"),
    ],
)
def test_a_change_that_means_nothing_is_a_usage_error(arguments: tuple[str, ...], said: str) -> None:
    result = small(*arguments)

    assert result.exit_code == 2, result.output
    text = " ".join(result.output.replace("│", " ").split())
    assert said in text


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    """A cluster that declares the small fleet and serves nothing yet."""
    server = ApiServer()
    for obj in yaml.safe_load_all(SMALL.read_text()):
        server.put(f"/apis/atoll.dev/v1alpha1/{PLURALS[obj['kind']]}", obj)
    with serving(server, tmp_path) as path:
        yield path
        assert server.managers == [], "nothing is written"


def test_a_cluster_is_asked_and_nothing_is_written(kubeconfig: Path) -> None:
    result = run("--kubeconfig", str(kubeconfig), "--demand", "phi=3x", "--json")

    assert result.exit_code == 0, result.output
    assert told(result)["demands"][0]["after"]["rate"] == 36


def test_a_cluster_without_demands_is_an_error(kubeconfig: Path) -> None:
    result = run("--kubeconfig", str(kubeconfig), "--fleet", "gold", "--without-spot")

    assert result.exit_code == 1
    assert "'gold' has no valid ModelDemand" in result.output
