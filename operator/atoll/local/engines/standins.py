"""An engine on every engine pod's address, from the moment the pod runs until it has stopped or died."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx

from atoll.api.fleetplan_io import read_plans
from atoll.api.quantities import seconds
from atoll.domain.objects import FLEET_PLAN, MODEL_DEMAND
from atoll.local.engines.engine import Engine
from atoll.local.engines.podsettings import Pod, engine_settings, pre_stop_seconds
from atoll.local.engines.tempo import Tempo, tempo_of
from atoll.local.follow import follow
from atoll.render import names

logger = logging.getLogger(__name__)

PODS = "/api/v1/pods"
ENGINE_PODS = f"{names.MANAGED_BY}={names.FIELD_MANAGER},{names.STRATEGY}"

_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.2


@dataclass(slots=True, kw_only=True)
class StandIn:
    """What stands in for the container of one pod."""

    pod: Pod
    engine: Engine | None
    stopping: asyncio.Task[None] | None = None
    dead: bool = False


@dataclass(slots=True, kw_only=True)
class StandIns:
    """Follows engine pods; plays the kubelet for their end, since only it knows when an engine has finished.

    Attributes:
        client: of the API server.
        speed: simulated seconds per second.
        chunk_tokens: tokens in one server-sent event.
    """

    client: httpx.AsyncClient
    speed: float
    chunk_tokens: int
    _pods: dict[str, StandIn] = field(default_factory=dict)
    _tempos: dict[tuple[str, str, str], Tempo] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _learning: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Follow the pods for ever."""
        async for pod, there in follow(self.client, PODS, selector=ENGINE_PODS):
            uid = pod["metadata"]["uid"]
            known = self._pods.get(uid)
            if not there:
                if known is not None:
                    await self._end(uid, known)
            elif known is None:
                await self._meet(uid, pod)
            else:
                known.pod = pod
                if "deletionTimestamp" in pod["metadata"] and known.stopping is None and not known.dead:
                    known.stopping = self._spawn(self._stop(known))

    def state(self) -> list[dict[str, Any]]:
        """Each stand-in as a row."""
        return [_row(each) for each in self._pods.values()]

    async def lose_node(self, node: str) -> list[str]:
        """All engines of a node end without notice; tags of the requests that they had in flight."""
        return await self._kill([each for each in self._pods.values() if each.pod["spec"].get("nodeName") == node])

    async def crash(self, pod: str, back_seconds: float) -> list[str]:
        """The engine of a pod ends by itself and is started again, as its kubelet would; tags of requests in flight."""
        hit = self._of_pod(pod)
        lost = await self._kill(hit)
        for each in hit:
            await self._tell_not_ready(each.pod)
            self._spawn(self._come_back(each, back_seconds))
        return lost

    def hang(self, pod: str) -> None:
        """The engine of a pod answers nothing any more, until it crashes."""
        for each in self._of_pod(pod):
            if each.engine is not None:
                each.engine.hang()

    def _of_pod(self, pod: str) -> list[StandIn]:
        return [each for each in self._pods.values() if each.pod["metadata"]["name"] == pod]

    async def _meet(self, uid: str, pod: Pod) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            await self._remove(pod)  # nothing runs in it yet
        elif pod.get("status", {}).get("phase") == "Running" and pod["status"].get("podIP"):
            self._pods[uid] = item = StandIn(pod=pod, engine=None)
            if pod["metadata"]["labels"].get(names.STAGE, "0") == "0":
                self._spawn(self._start(item))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of its own; what it fails of is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a stand-in failed", exc_info=error)

    async def _start(self, item: StandIn) -> None:
        tempo = await self._tempo(item.pod)
        engine = Engine(engine_settings(item.pod, tempo, chunk_tokens=self.chunk_tokens))
        await engine.start()
        item.engine = engine
        logger.info("%s serves at %s", engine.settings.pod, engine.settings.address)

    async def _stop(self, item: StandIn) -> None:
        """As a kubelet: the preStop sleep, SIGTERM, and the pod goes once its process has ended."""
        await asyncio.sleep(pre_stop_seconds(item.pod))
        if item.engine is not None:
            await item.engine.stop()
        await self._remove(item.pod)

    async def _remove(self, pod: Pod) -> None:
        metadata = pod["metadata"]
        if not pod["spec"].get("nodeName"):
            return  # no kubelet has it; the API server removes it by itself
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        answer = await self.client.request("DELETE", path, json=body)
        logger.info("%s has stopped: %d", metadata["name"], answer.status_code)

    async def _end(self, uid: str, item: StandIn) -> None:
        """The pod is gone: so is whatever still ran in it."""
        del self._pods[uid]
        if item.engine is not None:
            await item.engine.die()

    async def _kill(self, hit: list[StandIn]) -> list[str]:
        lost: list[str] = []
        for each in hit:
            each.dead = True
            if each.stopping is not None:
                each.stopping.cancel()
            if each.engine is not None:
                lost += await each.engine.die()
        return lost

    async def _come_back(self, item: StandIn, pause: float) -> None:
        await asyncio.sleep(pause)
        if item.pod["metadata"]["uid"] in self._pods:
            item.dead = False
            await self._start(item)

    async def _tell_not_ready(self, pod: Pod) -> None:
        """Write what a kubelet would: the container is not ready and was restarted once more."""
        metadata, status = pod["metadata"], pod["status"]
        conditions = [{"type": kind, "status": "False", "reason": "ContainersNotReady"} for kind in _READY]
        containers = [
            {**each, "ready": False, "started": False, "restartCount": each["restartCount"] + 1}
            for each in status["containerStatuses"]
        ]
        await self.client.patch(
            f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status",
            json={"status": {"conditions": conditions, "containerStatuses": containers}},
            headers={"content-type": "application/strategic-merge-patch+json"},
        )

    async def _tempo(self, pod: Pod) -> Tempo:
        """By the plan that chose the pod's strategy, and the demand's workload and objectives."""
        metadata = pod["metadata"]
        key = (metadata["namespace"], metadata["labels"][names.DEMAND], metadata["labels"][names.STRATEGY])
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while key not in self._tempos:
            async with self._learning:  # one for all that wait
                try:
                    if key not in self._tempos:
                        await self._learn()
                except httpx.HTTPError as error:
                    logger.warning("plans cannot be read: %s", error)
            if key not in self._tempos:
                if asyncio.get_running_loop().time() > deadline:
                    raise LookupError(f"pod {metadata['name']}: no plan tells the rate of its strategy")
                await asyncio.sleep(_POLL_SECONDS)
        return self._tempos[key]

    async def _learn(self) -> None:
        # Elsewhere: all engines answer from this thread.
        plans = await asyncio.to_thread(read_plans, await self._items(f"{FLEET_PLAN.path}/{FLEET_PLAN.plural}"))
        demands = {
            (obj["metadata"]["namespace"], obj["metadata"]["name"]): obj["spec"]
            for obj in await self._items(f"{MODEL_DEMAND.path}/{MODEL_DEMAND.plural}")
        }
        for plan in plans:
            for row in plan.demands:
                spec = demands.get((row.key.namespace, row.key.name))
                if spec is None:
                    continue
                workload, objectives = spec["demand"]["workload"], spec["objectives"]
                for item in row.replicas:
                    self._tempos[row.key.namespace, row.key.name, item.group.strategy.id] = tempo_of(
                        rate=item.rate,
                        input_tokens=workload["input"]["mean"],
                        output_tokens=workload["output"]["mean"],
                        ttft=seconds(objectives["ttft"]),
                        tpot=seconds(objectives["tpot"]),
                        speed=self.speed,
                    )

    async def _items(self, path: str) -> list[dict[str, Any]]:
        answer = await self.client.get(path)
        answer.raise_for_status()
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


_READY = ("Ready", "ContainersReady")


def _row(item: StandIn) -> dict[str, Any]:
    metadata, engine = item.pod["metadata"], item.engine
    row = {
        "pod": metadata["name"],
        "demand": metadata["labels"][names.DEMAND],
        "strategy": metadata["labels"][names.STRATEGY],
        "node": item.pod["spec"].get("nodeName", ""),
        "address": item.pod["status"]["podIP"],
        "serves": engine is not None and not item.dead and item.stopping is None,
    }
    if engine is None:
        return row
    return row | {
        "inFlight": len(engine.in_flight),
        "requests": engine.requests,
        "tokens": engine.tokens,
        "ratedTokensPerSecond": engine.settings.tempo.rated,
    }
