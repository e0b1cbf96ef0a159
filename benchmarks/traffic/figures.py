"""From what was seen to figures, each with its aim."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.rows import SCHEMA_VERSION
from benchmarks.traffic.locust_run import Locusts
from benchmarks.traffic.request import TRUNCATED, WHOLE, Outcome
from benchmarks.traffic.run import INTERRUPTED, Episode, Run

Row = dict[str, Any]


def rows_of(run: Run) -> list[Row]:
    """All figures; those that were not measured are left out."""
    failed = [each for each in run.outcomes if each.outcome != WHOLE]
    losses = [each for each in run.episodes if not each.planned]
    lost = {tag for each in losses if each.loss for tag in each.loss.in_flight}
    elsewhere = [each for each in failed if each.tag not in lost]
    through = sum(not _during(each, losses) for each in run.outcomes)
    planned = [each for each in elsewhere if not _during(each, losses)]
    moves = [each for each in run.episodes if each.planned]
    faults = [*(f"{each.name}: {each.fault}" for each in run.episodes if each.fault), *run.faults]
    if run.interrupted and INTERRUPTED not in [each.fault for each in run.episodes]:
        faults.append(INTERRUPTED)
    sent = len(run.outcomes)
    found = [
        _row("planned moves", len(moves), "", None, samples=len(moves), detail=_counted(each.name for each in moves)),
        _row(
            "of these nothing moved",
            sum(not each.writes for each in moves),
            "",
            0,
            samples=len(moves),
            detail=_counted(each.name for each in moves if not each.writes),
        ),
        _row(
            "moves, losses and measurements that did not end",
            len(faults),
            "",
            0,
            samples=len(run.episodes),
            detail="; ".join(faults),
        ),
        _row("requests", sent, "", None, samples=sent, detail=_counted(_kind(each) for each in run.outcomes)),
        _row(
            "failed through planned moves", len(planned), "requests", 0, samples=through, detail=_told(planned, moves)
        ),
        _row(
            "truncated through planned moves",
            sum(each.outcome in TRUNCATED for each in planned),
            "requests",
            0,
            samples=through,
        ),
        _row("Envoys that ended by themselves", len(run.router_ends), "", 0, samples=len(run.acknowledgements)),
    ]
    if run.locusts is not None:
        found += _of_locust(run.locusts, moves)
    if run.acknowledgements:
        found.append(_times("files to acknowledged", run.acknowledgements, aim=1.0))
    noticed = [each.loss.replaced_seconds for each in moves if each.loss and each.loss.replaced_seconds is not None]
    if noticed:
        found.append(_times("notice to first corrective write", noticed, aim=5.0))
    if any(each.loss is not None for each in losses):
        found += _of_losses(run, losses, elsewhere, failed)
    if run.added is not None:
        added = run.added
        detail = f"direct {1000 * _median(added.direct):.2f} ms, routed {1000 * _median(added.routed):.2f} ms"
        found.append(
            _row("TTFT added by the router", 1000 * added.median, "ms", 2.0, samples=len(added.direct), detail=detail)
        )
    if run.split is not None:
        detail = "; ".join(
            f"{name}: {run.split.measured.get(name, 0.0):.3f} of {share:.3f}"
            for name, share in sorted(run.split.capacity.items())
        )
        found.append(
            _row(
                "split against capacity",
                100 * run.split.largest,
                "% of requests",
                2.0,
                samples=run.split.requests,
                detail=detail,
            )
        )
    if run.utilisation is not None:
        detail = "; ".join(
            f"{name} x {run.utilisation.replicas[name]}: {100 * share:.1f} % of requests, "
            f"{100 * run.utilisation.tokens[name]:.1f} % of tokens"
            for name, share in sorted(run.utilisation.shares.items())
        )
        found.append(
            _row(
                "utilisation of templates apart",
                100 * run.utilisation.spread,
                "points",
                5.0,
                samples=run.utilisation.requests,
                detail=detail,
            )
        )
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _of_losses(run: Run, losses: Sequence[Episode], elsewhere: list[Outcome], failed: list[Outcome]) -> list[Row]:
    seen = [each.loss for each in losses if each.loss is not None]
    off = [each.off_seconds for each in seen if each.off_seconds is not None]
    lost = {tag for each in seen for tag in each.in_flight}
    asked = {each.tag: each for each in run.outcomes}
    known = [asked[tag] for tag in lost if tag in asked]
    nothing_sent = [each for each in known if not (each.stream and each.first)]
    replaced = [each.replaced_seconds for each in seen if each.replaced_seconds is not None]
    outside = [each for each in elsewhere if _during(each, [loss for loss in losses if loss.loss])]
    rows = [
        _row("losses without notice", len(seen), "", None, samples=len(seen), detail=_counted(e.name for e in losses)),
        _row("in flight on what was lost", len(known), "requests", None, samples=len(seen)),
        _row(
            "of these failed",
            sum(each.tag in lost for each in failed),
            "requests",
            None,
            samples=len(known),
            detail=_counted(each.outcome for each in failed if each.tag in lost),
        ),
        _row(
            "of these failed with nothing sent back",
            sum(each.outcome != WHOLE for each in nothing_sent),
            "requests",
            0,
            samples=len(nothing_sent),
        ),
        _row(
            "failed elsewhere during losses",
            len(outside),
            "requests",
            0,
            samples=sum(_during(each, losses) for each in run.outcomes),
            detail=_told(outside, losses),
        ),
        _times("loss to traffic off it", off, aim=2.0),
    ]
    return [*rows, _times("loss to first corrective write", replaced, aim=5.0)] if replaced else rows


def _of_locust(locusts: Locusts, moves: Sequence[Episode]) -> list[Row]:
    sent = sum(locusts.requests.values())
    detail = ", ".join(
        f"{count} x {name} (median {locusts.median_seconds[name]:.3f} s)"
        for name, count in sorted(locusts.requests.items())
    )
    failed = _counted(f"{_under_way(at, at, moves)}: {why}" for at, why in locusts.failed)
    return [
        _row("requests by Locust", sent, "", None, samples=sent, detail=detail),
        _row("failed by Locust's count", locusts.failures, "requests", 0, samples=sent, detail=failed),
    ]


def _times(name: str, seconds: Sequence[float], *, aim: float) -> Row:
    """The 99th percentile of times, and of how many."""
    few = ", so p99 is the largest" if len(seconds) < 100 else ""
    detail = f"{len(seconds)} times{few}; median {_median(seconds):.3f} s, largest {max(seconds):.3f} s"
    return _row(f"{name}, p99", percentile(seconds, 0.99), "s", aim, samples=len(seconds), detail=detail)


def _row(name: str, value: float, unit: str, aim: float | None, *, samples: int, detail: str = "") -> Row:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "figure": name,
        "value": value,
        "unit": unit,
        "aim": aim,
        "met": None if aim is None else value <= aim,
        "samples": samples,
        "detail": detail,
    }


def _median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


def _during(outcome: Outcome, episodes: Sequence[Episode]) -> bool:
    """Whether a request was under way while one of these went on."""
    return bool(_under_way(outcome.started, outcome.started + outcome.seconds, episodes, default=""))


def _under_way(started: float, ended: float, episodes: Sequence[Episode], *, default: str = "between moves") -> str:
    """Name of the first of these that went on at some time between two moments."""
    return next((each.name for each in episodes if each.started <= ended and started <= each.ended), default)


def _told(outcomes: Sequence[Outcome], episodes: Sequence[Episode]) -> str:
    """Failures by move and outcome."""
    return _counted(
        f"{_under_way(outcome.started, outcome.started + outcome.seconds, episodes)}: {outcome.outcome}"
        for outcome in outcomes
    )


def _counted(names: Any) -> str:
    return ", ".join(f"{count} x {name}" for name, count in sorted(Counter(names).items()))


def _kind(outcome: Outcome) -> str:
    return f"{outcome.served_name} {'streamed' if outcome.stream else 'not streamed'}"
