"""Measured demand without an operator: as the user says, or as a Prometheus answers now."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isfinite
from pathlib import Path

import typer

from atoll.api.decode import shown
from atoll.api.demands import MOST_REQUESTS_PER_SECOND
from atoll.api.manifests import Manifests, load_manifests
from atoll.domain.demand import Demand, DemandKey
from atoll.domain.objects import MODEL_DEMAND
from atoll.domain.reason import Reason
from atoll.domain.signal import HISTORY, SAMPLES, DemandSignal, Kept, Reading
from atoll.reconcile.lead import DEFAULT_LEAD_SECONDS
from atoll.reconcile.measured import Pace, measure
from atoll.reconcile.queries import demand_query
from atoll.signals.fetch import Server, client_for
from atoll.signals.prometheus import QueryError, grid, query_range

_AT_ONCE = 8
_KEEP_SECONDS = 600.0
_STANDARD_INPUT = Path("-")
_MEASURED = {"spec.demand.prometheus", "spec.demand.router"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is known of measured demands.

    Attributes:
        estimates: requests/s before head-room and limits, by demand.
        faults: why there is none, by demand.
    """

    estimates: Mapping[DemandKey, float] = field(default_factory=dict)
    faults: Mapping[DemandKey, str] = field(default_factory=dict)


NOTHING_ASKED = Answers()


def parse_rates(options: Iterable[str]) -> dict[DemandKey, float]:
    """Rates of ``--demand NAMESPACE/NAME=RATE``; the namespace may be left out where it is ``default``.

    Raises:
        typer.BadParameter: one is not of that form.
    """
    found: dict[DemandKey, float] = {}
    for option in options:
        name, separator, text = option.rpartition("=")
        namespace, _, short = name.rpartition("/")
        try:
            rate = float(text)
        except ValueError:
            rate = -1.0
        if not separator or not short or not (isfinite(rate) and 0.0 <= rate <= MOST_REQUESTS_PER_SECOND):
            raise typer.BadParameter(
                f"{shown(option)} is no rate of a demand: write it like team-a/chat=25, 0 to "
                f"{MOST_REQUESTS_PER_SECOND:,.0f} requests/s",
                param_hint="--demand",
            )
        found[DemandKey(namespace=namespace or "default", name=short)] = rate
    return found


def ask(files: Iterable[Path], url: str, moment: datetime) -> Answers:
    """What a Prometheus says now of all measured demands of manifests.

    Raises:
        typer.BadParameter: the URL is none, or the manifests come by standard input, which can be read only once.
    """
    paths = tuple(files)
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{shown(url)} is no http or https URL", param_hint="--prometheus")
    if _STANDARD_INPUT in paths:
        raise typer.BadParameter("standard input can be read only once: give a file", param_hint="-f")
    demands = load_manifests(paths, signals=_AnyRate(), now=moment).demands
    return asyncio.run(_ask([item for item in demands if item.signal is not None], Server(url=url), moment))


async def _ask(demands: Iterable[Demand], server: Server, moment: datetime) -> Answers:
    places = asyncio.Semaphore(_AT_ONCE)
    estimates: dict[DemandKey, float] = {}
    faults: dict[DemandKey, str] = {}

    async def one(demand: Demand, signal: DemandSignal) -> None:
        query = demand_query(demand.key, demand.served_name, signal)
        over = grid(now=moment.timestamp(), window=signal.window_seconds * HISTORY / SAMPLES, step=signal.step_seconds)
        async with places:
            try:
                reading = Reading(samples=await query_range(server, client, query, over), heard_at=moment)
            except QueryError as error:
                reading = Reading(fault=error.fault)
        pace = Pace(lead_seconds=DEFAULT_LEAD_SECONDS, keep_seconds=_KEEP_SECONDS)
        found = measure(signal, reading, Kept(), pace, moment)
        if found.held or found.estimate is None:
            faults[demand.key] = f"{found.reason.value}: {found.message}"
        else:
            estimates[demand.key] = found.estimate

    async with client_for(server) as client:
        await asyncio.gather(*(one(item, item.signal) for item in demands if item.signal is not None))
    return Answers(estimates=estimates, faults=faults)


def with_rates(manifests: Manifests, rates: Mapping[DemandKey, float], answers: Answers) -> Manifests:
    """The manifests with fixed and scheduled demands as said, and with the mend for measured ones that are not known.

    Raises:
        typer.BadParameter: a rate is of a demand that is not there.
    """
    prefix = f"{MODEL_DEMAND.name} "
    there = {str(item.key) for item in manifests.demands}
    there |= {item.target.removeprefix(prefix) for item in manifests.faults if item.target.startswith(prefix)}
    for key in rates:
        if str(key) not in there:
            known = ", ".join(sorted(there)) or "none"
            raise typer.BadParameter(f"{key} names no ModelDemand of the manifests: {known}", param_hint="--demand")
    faults = []
    for item in manifests.faults:
        name = item.target.removeprefix(prefix)
        why = {str(key): said for key, said in answers.faults.items()}.get(name)
        if item.fault.reason is Reason.INVALID_SIGNAL and item.fault.field in _MEASURED:
            mend = f"give --demand {name}=RATE" + (", or --prometheus URL" if why is None else "")
            message = f"{why or 'is measured, and nobody is asked here'}: {mend}"
            faults.append(replace(item, fault=replace(item.fault, message=message)))
        else:
            faults.append(item)
    demands = tuple(
        replace(item, rate=rates[item.key]) if item.key in rates and item.signal is None else item
        for item in manifests.demands
    )
    return replace(manifests, demands=demands, faults=tuple(faults))


class _AnyRate(Mapping[DemandKey, float]):
    """Nought for every demand, so that none is refused for want of a rate."""

    def __getitem__(self, key: DemandKey) -> float:
        """Nought."""
        return 0.0

    def __iter__(self) -> Iterator[DemandKey]:
        """None is listed."""
        return iter(())

    def __len__(self) -> int:
        """None is listed."""
        return 0
