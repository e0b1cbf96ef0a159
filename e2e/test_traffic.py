"""Nobody who sends requests notices that the fleet moves: the short run of `python -m benchmarks.traffic`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(1500)

ROOT = Path(__file__).resolve().parents[1]

Figures = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    """Figures by name, of 5,000 requests, six moves, two lost nodes, an engine that crashes and one that hangs."""
    size = "--requests 5000 --moves 6 --speed 7 --losses 1 --split 1000 --ttft 50 --utilisation 0 --locust --patience 3"
    results = tmp_path_factory.mktemp("traffic")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.traffic", *size.split(), "--results", str(results), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    assert (results / "traffic.svg").is_file()
    return {row["figure"]: row for row in json.loads(done.stdout)}


def test_r3_no_request_fails_through_planned_moves(figures: Figures) -> None:
    assert figures["requests"]["value"] >= 5000
    assert figures["planned moves"]["value"] == 6
    for figure in ("of these nothing moved", "moves, losses and measurements that did not end"):
        assert figures[figure]["value"] == 0, figures[figure]
    for figure in ("failed through planned moves", "truncated through planned moves", "failed by Locust's count"):
        assert figures[figure]["value"] == 0, figures[figure]
        assert figures[figure]["samples"] > 0


def test_a_lost_node_breaks_streams_on_it_and_nothing_else(figures: Figures) -> None:
    assert figures["losses without notice"]["value"] == 4
    for figure in ("failed elsewhere during losses", "of these failed with nothing sent back"):
        assert figures[figure]["value"] == 0, figures[figure]


def test_routers_take_every_configuration_and_do_not_crash(figures: Figures) -> None:
    assert figures["files to acknowledged, p99"]["samples"] > 0
    assert figures["Envoys that ended by themselves"]["value"] == 0


def test_r14_shares_follow_capacity(figures: Figures) -> None:
    assert figures["split against capacity"]["met"], figures["split against capacity"]
