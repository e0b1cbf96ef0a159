"""Scenario files: what is understood, and errors that name file, field, value and mend."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from atoll.simulate.conditions import conditions_of
from atoll.simulate.curves import Curve, curves_of, priorities_of
from atoll.simulate.scenario import ScenarioError, ScenarioFile, Seen, read_scenario
from simulate.settings import SPOT, demand, key, offering, pools

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "scenarios").glob("*.yaml"))


def written(folder: Path, **content: Any) -> ScenarioFile:
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump(content))
    return read_scenario(path)


def curve(folder: Path, **item: Any) -> Curve:
    return curves_of(written(folder, demand=[item]), [demand()])[key()]


def rates(given: Curve, *epochs: int) -> list[float]:
    return [given.rate(epoch, 60.0) for epoch in epochs]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_understood(path: Path) -> None:
    assert read_scenario(path).start.tzinfo is not None


def test_a_demand_that_no_item_names_keeps_what_it_declares(tmp_path: Path) -> None:
    found = curves_of(written(tmp_path, epochs=5), [demand(rate=7.0)])[key()]

    assert (found.seen, rates(found, -3, 0, 9)) == (Seen.DECLARED, [7.0, 7.0, 7.0])


def test_steps_hold_from_their_moment_on_and_scale_acts_on_all(tmp_path: Path) -> None:
    steps = [{"at": "2m", "requestsPerSecond": 30.0}, {"at": "4m", "requestsPerSecond": 10.0}]
    found = curve(tmp_path, steps=steps, scale=2.0)

    assert rates(found, -1, 0, 1, 2, 3, 4, 99) == [40.0, 40.0, 40.0, 60.0, 60.0, 20.0, 20.0]


def test_noise_is_the_same_for_the_same_seed_and_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    found, again = curve(tmp_path, noise=0.05), curve(tmp_path, noise=0.05)
    sample = rates(found, *range(2000))
    mean = sum(sample) / len(sample)
    deviation = (sum((rate - mean) ** 2 for rate in sample) / len(sample)) ** 0.5

    assert sample == rates(again, *range(2000))
    assert mean == pytest.approx(20.0, rel=0.01)
    assert deviation / mean == pytest.approx(0.05, rel=0.1)


def test_a_trace_is_followed_row_by_row_and_begins_again_after_its_last(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("model,t,rps\na,600,1\nb,600,9\na,660,2\na,720,4\n")
    trace = {"file": "t.csv", "seconds": "t", "requestsPerSecond": "rps", "where": {"model": "a"}, "scale": 10.0}

    assert rates(curve(tmp_path, trace=trace), 0, 1, 2, 3, 4, -1) == [10.0, 20.0, 40.0, 10.0, 20.0, 40.0]


def test_the_last_item_that_names_a_demand_counts_and_priorities_are_the_scenario_s(tmp_path: Path) -> None:
    items = [{"name": "*", "requestsPerSecond": 1.0}, {"name": "default/chat", "requestsPerSecond": 2.0, "priority": 9}]
    found = written(tmp_path, demand=items)
    demands = [demand("chat"), demand("code", priority=3)]

    assert [curves_of(found, demands)[key(name)].rates for name in ("chat", "code")] == [(2.0,), (1.0,)]
    assert priorities_of(found, demands) == {key("chat"): 9, key("code"): 3}


def test_availability_prices_and_losses_hold_for_what_they_name(tmp_path: Path) -> None:
    content = written(
        tmp_path,
        availability=[{"at": "1m", "until": "2m", "offerings": "*/*/spot", "factor": 0.5, "told": False}],
        prices=[{"at": "1m", "offerings": "small/b/*", "price": 3.0}],
        losses=[{"at": "5m", "nodes": 2, "notice": "90s"}],
        zoneLosses=[{"at": "3m", "zone": "b", "lasts": "1m"}],
    )
    found = conditions_of(content, pools().values())
    spot, there = offering("small", SPOT), offering("small", zone="b")
    told = {item.key: item for item in found.seen(60.0)["small"].offerings}

    assert [found.obtainable(at)[spot] for at in (0.0, 60.0, 120.0)] == [6, 3, 6]
    assert told[spot].max_nodes == 6
    assert told[there].price_per_hour == 3.0
    assert [found.obtainable(at)[there] for at in (180.0, 240.0)] == [0, 20]
    assert [(strike.at, strike.nodes, strike.notice_seconds) for strike in found.strikes] == [
        (180.0, None, 0.0),
        (300.0, 2, 90.0),
    ]


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no epochs": ({"epochs": 0}, "scenario.epochs", "0 is refused"),
    "mistyped": ({"demand": [{"nois": 1}]}, "scenario.demand[0].nois", "did you mean noise?"),
    "negative": ({"demand": [{"requestsPerSecond": -1}]}, "scenario.demand[0].requestsPerSecond", "-1 is refused"),
    "no unit": ({"epoch": 5}, "scenario.epoch", "5 is refused"),
    "too long": ({"epoch": "48h"}, "scenario.epoch", "must be between 1s and 24h"),
    "no moment": ({"start": "noon"}, "scenario.start", "'noon' is no moment: write it as RFC 3339"),
    "no time zone": ({"start": "2026-01-05T08:00:00"}, "scenario.start", "with its time zone"),
    "no such demand": ({"demand": [{"name": "typo"}]}, "scenario.demand[0].name", "'typo' names none of the demands"),
    "two ways": (
        {"demand": [{"requestsPerSecond": 1, "trace": {"file": "t.csv"}}]},
        "scenario.demand[0]",
        "give one way to tell the demand",
    ),
    "steps out of order": (
        {"demand": [{"steps": [{"at": "2m", "requestsPerSecond": 1}, {"at": "1m", "requestsPerSecond": 1}]}]},
        "scenario.demand[0].steps[1].at",
        "'1m' is not after the step before: sort them",
    ),
    "no file": ({"demand": [{"trace": {"file": "no.csv"}}]}, "scenario.demand[0].trace.file", "no.csv: cannot be read"),
    "no column": (
        {"demand": [{"trace": {"file": "t.csv", "seconds": "s"}}]},
        "scenario.demand[0].trace.seconds",
        "'s' is no column of",
    ),
    "no number": (
        {"demand": [{"trace": {"file": "t.csv", "seconds": "t", "requestsPerSecond": "model"}}]},
        "scenario.demand[0].trace.requestsPerSecond",
        "t.csv:2: 'a' is no number from 0 up: mend it",
    ),
    "one row": (
        {"demand": [{"trace": {"file": "t.csv", "seconds": "t", "requestsPerSecond": "rps", "where": {"model": "b"}}}]},
        "scenario.demand[0].trace.where",
        "a trace needs two or more",
    ),
    "rows out of order": (
        {"demand": [{"trace": {"file": "t.csv", "seconds": "t", "requestsPerSecond": "rps"}}]},
        "scenario.demand[0].trace.seconds",
        "sort the rows by time",
    ),
    "nodes and factor": (
        {"availability": [{"at": "1m", "nodes": 1, "factor": 0.5}]},
        "scenario.availability[0]",
        "give exactly one of nodes and factor",
    ),
    "neither price nor factor": ({"prices": [{"at": "1m"}]}, "scenario.prices[0]", "exactly one of price and factor"),
    "until before at": (
        {"prices": [{"at": "2m", "until": "1m", "factor": 2}]},
        "scenario.prices[0].until",
        "'1m' is not after at, 2m",
    ),
    "no such offering": (
        {"losses": [{"at": "1m", "offerings": "small"}]},
        "scenario.losses[0].offerings",
        "write pool/zone/capacity-type as in small/a/on-demand",
    ),
    "no such zone": (
        {"zoneLosses": [{"at": "1m", "zone": "c"}]},
        "scenario.zoneLosses[0].zone",
        "'c' names no zone of the pools: a, b",
    ),
}


def understood(folder: Path, content: dict[str, Any]) -> None:
    found = written(folder, **content)
    assert found.start
    curves_of(found, [demand()])
    conditions_of(found, pools().values())


@pytest.mark.parametrize("name", WRONG)
def test_a_bad_scenario_names_file_field_value_and_mend(name: str, tmp_path: Path) -> None:
    content, field, message = WRONG[name]
    (tmp_path / "t.csv").write_text("model,t,rps\na,0,1\nb,5,9\na,2,2\n")

    with pytest.raises(ScenarioError) as error:
        understood(tmp_path, content)

    assert str(tmp_path / "scenario.yaml") in str(error.value)
    assert f"{field}: " in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: [", "no valid YAML"),
        ("", "give exactly one"),
        ("- 1", "is no map"),
        ("a: 1\n---\nb: 1", "2 documents"),
    ],
)
def test_what_is_no_scenario_at_all_is_told_so(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(text)

    with pytest.raises(ScenarioError, match=message):
        read_scenario(path)


def test_a_folder_is_no_scenario(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="is a folder"):
        read_scenario(tmp_path)


def test_a_demand_that_is_measured_by_a_query_needs_requests_per_second(tmp_path: Path) -> None:
    bare, told = written(tmp_path, demand=[{"noise": 0.1}]), {"requestsPerSecond": 3.0}

    with pytest.raises(ScenarioError, match="default/chat: measured by a query: give requestsPerSecond or a trace"):
        curves_of(bare, [demand()], queried={key()})
    assert curves_of(written(tmp_path, demand=[told]), [demand()], queried={key()})[key()].rates == (3.0,)
