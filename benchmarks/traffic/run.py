"""One run: load, moves, losses and measurements, and what came of every request."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from typing import TypeVar

from benchmarks.traffic.bed import Bed
from benchmarks.traffic.kinds import MOVES, Move
from benchmarks.traffic.locust_run import LocustProcess, Locusts
from benchmarks.traffic.losses import LOSSES, spread
from benchmarks.traffic.moves import restore
from benchmarks.traffic.request import Outcome
from benchmarks.traffic.sight import Loss
from benchmarks.traffic.split import Split, split_by_capacity
from benchmarks.traffic.ttft import Added, added_by_router, await_answers
from benchmarks.traffic.utilisation import Utilisation, utilisation

T = TypeVar("T")

logger = logging.getLogger("benchmarks.traffic")

INTERRUPTED = "interrupted"
"""Fault of what went on when the run was interrupted."""

_WAIT_SECONDS = 5.0
_WARM_UP_SECONDS = 3.0
_ANSWERED_SECONDS = 10.0
"""How long an interrupted run waits for answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """Something that happened to the fleet.

    Attributes:
        name: which move or loss.
        started: Unix time.
        ended: Unix time; the fleet was settled again.
        planned: a move; else a loss.
        fault: why it did not end as it should; empty where it did.
        writes: of the operator to Deployments and pods meanwhile.
        loss: what it did, or what a notice of it brought about; None for other moves, and where it did not end.
    """

    name: str
    started: float
    ended: float
    planned: bool = True
    fault: str = ""
    writes: int = 0
    loss: Loss | None = None


@dataclass(slots=True, kw_only=True)
class Run:
    """All that was seen.

    Attributes:
        outcomes: of all requests, by the time they were sent.
        episodes: moves and losses, in order.
        acknowledgements: from files to acknowledged, seconds.
        router_ends: routers whose Envoy ended by itself.
        added: what the router adds to TTFT; None where not measured.
        split: shares of strategies by static weights; None where not measured.
        utilisation: of templates as shipped; None where not measured.
        locusts: what Locust counted; None where it did not run.
        faults: why measurements that were asked for are not there.
        interrupted: by Ctrl-C or SIGTERM; the rest is of what had been done.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    acknowledgements: list[float] = field(default_factory=list)
    router_ends: list[tuple[str, int]] = field(default_factory=list)
    added: Added | None = None
    split: Split | None = None
    utilisation: Utilisation | None = None
    locusts: Locusts | None = None
    faults: list[str] = field(default_factory=list)
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done.

    Attributes:
        requests: at least, through the moves.
        moves: planned ones.
        losses: of each kind.
        split_requests: for the measurement of shares; 0 leaves it out.
        utilisation_seconds: for which templates are watched as shipped; 0 leaves it out.
        ttft_pairs: of a direct and a routed request; 0 leaves it out.
        locust: a load client that is not ours sends beside ours through all moves.
    """

    requests: int
    moves: int
    losses: int
    split_requests: int
    utilisation_seconds: float
    ttft_pairs: int
    locust: bool = False


def run(bed: Bed, size: Size, *, wanted: Iterable[str] = ()) -> Run:
    """Do everything in turn, with load all the while; failures are told, not raised.

    Args:
        bed: that serves.
        size: how much.
        wanted: names of moves, in their order; all, in the shipped order, where none is named.
    """
    found = Run()
    try:
        _all(bed, size, tuple(wanted), found)
    except KeyboardInterrupt:
        logger.info("interrupted: waiting %.0f s for the answers to what was sent", _ANSWERED_SECONDS)
        found.interrupted = True
    if not found.outcomes:
        found.outcomes = bed.load.finish(_ANSWERED_SECONDS)
    found.acknowledgements = [each.seconds for each in bed.path.router_pods.acknowledgements]
    found.router_ends = list(bed.path.router_pods.ends)
    return found


def _all(bed: Bed, size: Size, wanted: tuple[str, ...], found: Run) -> None:
    """Everything in turn; what was seen by the time of an interruption is in ``found``."""
    logger.info("every router answers %.1f s after all demands are Ready", await_answers(bed))
    if size.ttft_pairs:
        found.added = _measured(found, "TTFT", partial(added_by_router, bed, size.ttft_pairs))
    bed.send()
    time.sleep(_WARM_UP_SECONDS)
    if size.losses:
        _lose(bed, size.losses, found)
    locust = LocustProcess(bed) if size.locust else None
    try:
        _move(bed, size, wanted, found)
    finally:
        if locust is not None:
            found.locusts = _measured(found, "what Locust counted", locust.finish)
    if size.utilisation_seconds:
        watch = partial(utilisation, bed, size.utilisation_seconds)
        found.utilisation = _measured(found, "utilisation of templates", watch)
    found.outcomes = bed.load.finish()
    if size.split_requests:
        found.split = _measured(found, "shares by static weights", partial(split_by_capacity, bed, size.split_requests))


def _lose(bed: Bed, rounds: int, found: Run) -> None:
    """Losses; before moves, since some leave offerings masked for minutes: what is lost could not come back there."""
    _measured(found, "spreading replicas over nodes", partial(spread, bed))
    losses = list(islice(cycle(LOSSES.items()), rounds * len(LOSSES)))
    for number, (name, lose) in enumerate(losses):
        logger.info("loss %d of %d: %s …", number + 1, len(losses), name)
        _episode(bed, found, name, partial(lose, bed), planned=False)
    _measured(found, "back to what is declared", partial(restore, bed))


def _move(bed: Bed, size: Size, wanted: tuple[str, ...], found: Run) -> None:
    """All moves, and then as long as it takes to send what is to be sent."""
    before = bed.load.counts()["sent"]
    for number, move in enumerate(_moves(size.moves, wanted)):
        logger.info("move %d of %d: %s …", number + 1, size.moves, move.name)
        _episode(bed, found, move.name, partial(move.make, bed))
    while (sent := bed.load.counts()["sent"] - before) < size.requests:
        logger.info("%d of %d requests sent …", sent, size.requests)
        time.sleep(_WAIT_SECONDS)


def _moves(count: int, wanted: tuple[str, ...]) -> Iterable[Move]:
    chosen = [move for name in wanted for move in MOVES if move.name == name] if wanted else list(MOVES)
    return islice(cycle(chosen), count)


def _episode(bed: Bed, found: Run, name: str, make: Callable[[], Loss | None], *, planned: bool = True) -> None:
    """Make something happen, and note what came of it."""
    started, before = time.time(), _writes(bed)
    loss, fault = None, ""
    try:
        loss = make()
    except KeyboardInterrupt:
        found.episodes.append(
            Episode(
                name=name,
                started=started,
                ended=time.time(),
                planned=planned,
                fault=INTERRUPTED,
                writes=_writes(bed) - before,
            )
        )
        raise
    except Exception as error:  # a wait that was in vain, above all; the run goes on from what is declared
        logger.exception("%s did not end", name)
        fault = _first_line(error)
        try:
            restore(bed)
        except Exception as further:
            logger.exception("nor is the fleet as declared again")
            fault += f"; {_first_line(further)}"
    ended, written = time.time(), _writes(bed) - before
    counted = bed.load.counts()
    told = "%s: %d writes in %.0f s, %d requests so far, %d failed"
    logger.info(told, name, written, ended - started, counted["ended"], counted["failed"])
    found.episodes.append(
        Episode(name=name, started=started, ended=ended, planned=planned, fault=fault, writes=written, loss=loss)
    )


def _writes(bed: Bed) -> int:
    """Of the operator to Deployments and pods so far."""
    return sum(write.resource.partition("/")[0] in ("deployments", "pods") for write in bed.world.writes())


def _measured(found: Run, what: str, make: Callable[[], T]) -> T | None:
    """What was measured; None, and a note of why, where that was not to be had."""
    try:
        logger.info("%s …", what)
        return make()
    except Exception as error:
        logger.exception("%s: not done", what)
        found.faults.append(f"{what}: {_first_line(error)}")
        return None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
