"""What autoscalers say of our pods: asked for only while one waits, and the last word counts."""

from typing import Any

import pytest

from atoll.cluster.client import Listing
from atoll.cluster.errors import ForbiddenError
from atoll.domain.objects import POD, Kind
from atoll.handlers.cache import Cache
from atoll.handlers.metrics import Metrics
from atoll.handlers.refusals import Refusals
from reconcile.worlds import ago, demand_object, deployments, plan, planned, pods_of, pool_object, replicas

ENGINES = deployments(plan(planned(replicas("small"))), demand_object(), pool_object())[0]


def pod(reason: str = "Unschedulable") -> Any:
    (found,) = pods_of(ENGINES, "")
    found["status"]["conditions"].append({"type": "PodScheduled", "status": "False", "reason": reason})
    return found


UID = pod()["metadata"]["uid"]


def event(who: str, reason: str, seconds: float, uid: str = UID) -> Any:
    involved = {"kind": "Pod", "uid": uid}
    said = {"reason": reason, "message": f"{reason} said", "involvedObject": involved, "lastTimestamp": ago(seconds)}
    return {**said, "metadata": {"name": f"{reason}-{seconds}"}, "source": {"component": who}}


class Cluster:
    """Lists events by who said them, or raises."""

    def __init__(self, *events: Any) -> None:
        self.events = events
        self.fault: Exception | None = None
        self.asked = 0

    async def list(self, _: Kind, *, fields: str) -> Listing:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        kind, who = fields.split(",")
        assert kind == "involvedObject.kind=Pod"
        items = [each for each in self.events if each["source"]["component"] == who.removeprefix("source=")]
        return Listing(items=tuple(items), resource_version="1")


def refusals(cluster: Cluster, *pods: Any) -> Refusals:
    cache = Cache()
    for each in pods:
        cache.upsert(POD, each)
    return Refusals(client=cluster, cache=cache, metrics=Metrics())  # type: ignore[arg-type]


CA, KARPENTER = "cluster-autoscaler", "karpenter"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([event(CA, "NotTriggerScaleUp", 5)], {UID: f"{CA}: NotTriggerScaleUp said"}),
        ([event(CA, "NotTriggerScaleUp", 5), event(CA, "TriggeredScaleUp", 9)], {UID: f"{CA}: NotTriggerScaleUp said"}),
        ([event(CA, "NotTriggerScaleUp", 9), event(CA, "TriggeredScaleUp", 5)], {}),
        ([event(KARPENTER, "FailedScheduling", 5)], {UID: f"{KARPENTER}: FailedScheduling said"}),
        ([event(KARPENTER, "FailedScheduling", 9), event(KARPENTER, "Nominated", 5)], {}),
        ([event("default-scheduler", "FailedScheduling", 5)], {}),
        ([event(CA, "ScaleDown", 5)], {}),
        ([], {}),
    ],
)
async def test_the_last_word_of_an_autoscaler_counts(events: list[Any], expected: dict[str, str]) -> None:
    found = refusals(Cluster(*events), pod())
    woken: list[bool] = []
    found.wake = lambda: woken.append(True)
    await found.look()
    await found.look()
    assert found.seen == expected
    assert len(woken) == bool(expected)


@pytest.mark.parametrize("pods", [[], [pods_of(ENGINES, "s0")[0]], [pod("SchedulingGated")]])
async def test_nobody_is_asked_while_no_pod_of_ours_waits_for_a_node(pods: list[Any]) -> None:
    cluster = Cluster(event(CA, "NotTriggerScaleUp", 5))
    found = refusals(cluster, *pods)
    await found.look()
    assert (cluster.asked, found.seen) == (0, {})


async def test_where_events_cannot_be_read_nothing_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    cluster.fault = ForbiddenError("may not list events")
    found = refusals(cluster, pod())
    await found.look()
    await found.look()
    assert found.seen == {}
    assert len([record for record in caplog.records if "may not list events" in record.message]) == 1
