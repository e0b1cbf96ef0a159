"""The operator's composition root: everything that reaches outside is made here, and nowhere else."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import httpx

from atoll.cluster.access import Access
from atoll.cluster.client import Client
from atoll.handlers.cache import Cache
from atoll.handlers.counting import Counting
from atoll.handlers.devices import Devices
from atoll.handlers.executor import Executor
from atoll.handlers.gather import Gatherer
from atoll.handlers.health import stalled
from atoll.handlers.leader import Leader
from atoll.handlers.logs import configure_logging
from atoll.handlers.loops import Loops
from atoll.handlers.measuring import Measuring
from atoll.handlers.metrics import Metrics, ProbeServer
from atoll.handlers.nodepools import NodePools
from atoll.handlers.observing import Observing
from atoll.handlers.planner import Planner
from atoll.handlers.quoting import Quoting
from atoll.handlers.refusals import Refusals
from atoll.handlers.routes import Routes
from atoll.handlers.sizing import Sizing
from atoll.handlers.watch import CACHED, Watch
from atoll.handlers.writer import Writer
from atoll.optimize.ask import TARGET, decide
from atoll.optimize.worker import SolverWorker
from atoll.settings import Settings, settings_from
from atoll.signals.fetch import Server, client_for

logger = logging.getLogger(__name__)

_MIB = 1 << 20


async def operate(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; a lost Lease or a dead watch ends the process with status 1, to be started anew."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics, cache = Metrics(), Cache()
    access = Access(kubeconfig=settings.kubeconfig, context=settings.context)
    # The Lease has a client of its own: no queue of writes may delay a renewal.
    lease_client = Client(access)
    leader = Leader(lease_client, identity=settings.identity, namespace=settings.namespace, on_loss=_exit_at_once)
    client = Client(access, write_seconds=leader.seconds_left)
    solver = SolverWorker(memory_bytes=settings.solver_memory_mib * _MIB, target=TARGET)
    metrics.leader.set_function(lambda: float(leader.may_write()))
    metrics.cache_age.set_function(lambda: cache.age(CACHED, time.monotonic()))
    writer = Writer(client=client, leader=leader, cache=cache, metrics=metrics, fleet=settings.fleet)
    asking = client_for(settings.prometheus or Server(url=""))
    measuring = Measuring(cache=cache, fleet=settings.fleet, server=settings.prometheus, http=asking, metrics=metrics)
    sizing = Sizing(cache=cache, fleet=settings.fleet, server=settings.prometheus, http=asking, metrics=metrics)
    routers = httpx.AsyncClient(trust_env=False)
    counting = Counting(cache=cache, fleet=settings.fleet, router=settings.router, http=routers, metrics=metrics)
    observing = Observing(server=settings.prometheus, http=asking, metrics=metrics)
    feeds = client_for(Server(url=""))
    quoting = Quoting(cache=cache, fleet=settings.fleet, http=feeds, metrics=metrics)
    devices = Devices(client=client, cache=cache, metrics=metrics)
    refusals = Refusals(client=client, cache=cache, metrics=metrics)
    loops = Loops(
        planner=Planner(decide=partial(decide, worker=solver), write=writer.write, metrics=metrics),
        executor=Executor(write=writer.write, router=settings.router, metrics=metrics),
        gatherer=Gatherer(
            cache=cache,
            fleet=settings.fleet,
            router=settings.router,
            scheduler=settings.scheduler,
            readings=lambda: {**measuring.readings, **counting.readings},
            feeds=lambda: quoting.readings,
            claims_served=lambda: devices.served,
            refused=lambda: refusals.seen,
            lengths=lambda: sizing.seen,
            pruned=writer.pruned.fields,
            http=routers,
            routes=Routes(client),
            node_pools=NodePools(client),
            observing=observing,
        ),
        metrics=metrics,
        debounce_seconds=settings.debounce_seconds,
        tick_seconds=settings.tick_seconds,
    )
    measuring.wake = counting.wake = quoting.wake = refusals.wake = devices.wake = observing.wake = loops.wake
    watch = Watch(client=client, cache=cache, wake=loops.wake, namespace=settings.namespace)
    probes = ProbeServer(
        metrics,
        port=settings.probe_port,
        host=settings.probe_host,
        healthy=_health(watch, leader),
        ready=lambda: "" if cache.synced(CACHED) else "not every kind is listed yet",
    )
    tasks: list[asyncio.Task[None]] = []
    try:
        tasks.append(asyncio.create_task(watch.run(stop), name="watch"))
        tasks.append(asyncio.create_task(leader.run(), name="lease"))
        listening = (measuring, counting, sizing, quoting, refusals, observing)
        tasks.append(asyncio.create_task(_lead(leader, cache, loops, listening, devices), name="loops"))
        stopping = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait((*tasks, stopping), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not stop.is_set():
                task.result()
    finally:
        stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await leader.release()
        await solver.close()
        await routers.aclose()
        await asking.aclose()
        await feeds.aclose()
        await client.close()
        await lease_client.close()
        probes.close()


async def _lead(
    leader: Leader,
    cache: Cache,
    loops: Loops,
    listening: Sequence[Measuring | Counting | Sizing | Quoting | Refusals | Observing],
    devices: Devices,
) -> None:
    """Decide and act only as the leader, and only once everything was seen."""
    await leader.acquired()
    while not cache.synced(CACHED):  # noqa: ASYNC110  # the cache is plain data: it signals nobody
        await asyncio.sleep(0.1)
    await devices.begin()
    async with asyncio.TaskGroup() as group:
        for each in (*listening, devices):
            group.create_task(each.run(), name=type(each).__name__.lower())
        group.create_task(loops.run(), name="planner and executor")


def _health(watch: Watch, leader: Leader) -> Callable[[], str]:
    return lambda: stalled(
        now=time.monotonic(),
        watching_since=watch.state.since,
        reachable_since=leader.reachable_since,
        reachable=leader.reachable(),
        seen_at=watch.state.lease_seen_at,
    )


def _exit_at_once(_: str) -> None:
    """Another operator may act from now on, so nothing more may be done here, not even cleaning up."""
    os._exit(1)


def main() -> None:
    """Entry point of ``python -m atoll.main``."""
    try:
        settings = settings_from(os.environ)
    except ValueError as error:
        sys.exit(f"error: {error}")
    configure_logging(level=settings.log_level, json_lines=settings.log_json)
    logger.info("atoll starts as %s at %s", settings.identity, datetime.now(UTC).isoformat(timespec="seconds"))
    asyncio.run(operate(settings))


if __name__ == "__main__":
    main()
