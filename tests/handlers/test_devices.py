"""Slices, claims and claim templates are listed into the cache, where the API server has them."""

import asyncio
from typing import Any

import pytest

from atoll.cluster.client import Listing
from atoll.cluster.errors import ClusterError, ForbiddenError, NotFoundError, UnavailableError
from atoll.domain.objects import DEVICE_KINDS, Kind
from atoll.handlers.cache import Cache
from atoll.handlers.devices import Devices
from atoll.handlers.metrics import Metrics
from reconcile.test_devices import claim_object, device, slice_object

OBJECTS = [slice_object("n", device("gpu-0")), claim_object("a", ("n", "gpu-0"))]


class Cluster:
    """Lists what it has of a kind, or raises."""

    def __init__(self) -> None:
        self.fault: ClusterError | None = None
        self.objects = OBJECTS
        self.version = 1
        self.labels: dict[str, str] = {}

    async def list(self, kind: Kind, *, labels: str = "", **_: Any) -> Listing:
        self.labels[kind.name] = labels
        if self.fault is not None:
            raise self.fault
        items = [obj for obj in self.objects if obj["kind"] == kind.name]
        return Listing(items=tuple(items), resource_version=str(self.version))


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def devices(cluster: Cluster) -> Devices:
    return Devices(client=cluster, cache=Cache(), metrics=Metrics())  # type: ignore[arg-type]


def held(devices: Devices) -> list[int]:
    return [len(devices.cache.view().get(kind.name, {})) for kind in DEVICE_KINDS]


async def test_what_is_listed_is_in_the_cache_and_a_change_wakes(cluster: Cluster, devices: Devices) -> None:
    woken: list[str] = []
    devices.wake = lambda kind: woken.append(kind.name)

    await devices.look()
    assert (held(devices), woken) == ([1, 1, 0], ["ResourceSlice", "ResourceClaim"])
    await devices.look()
    assert len(woken) == 2
    cluster.objects, cluster.version = OBJECTS[:1], 2
    await devices.look()
    assert (held(devices), woken[2:]) == ([1, 0, 0], ["ResourceClaim"])
    assert cluster.labels["ResourceClaimTemplate"] == "app.kubernetes.io/managed-by=atoll"
    assert cluster.labels["ResourceClaim"] == ""


async def test_an_api_server_without_claims_is_known_as_such_until_it_has_them(
    cluster: Cluster, devices: Devices
) -> None:
    cluster.fault = NotFoundError("404")
    await devices.look()
    assert not devices.served
    cluster.fault = None
    await devices.look()
    assert devices.served


async def test_an_older_api_server_among_several_takes_nothing_away(cluster: Cluster, devices: Devices) -> None:
    await devices.look()
    cluster.fault = NotFoundError("404")
    await devices.look()
    await devices.look()
    assert devices.served
    await devices.look()
    assert not devices.served
    assert held(devices) == [1, 1, 0]


@pytest.mark.parametrize("answer", [None, NotFoundError("404"), ForbiddenError("may not list resourceslices")])
async def test_the_first_decision_waits_for_an_answer(
    cluster: Cluster, devices: Devices, answer: ClusterError | None
) -> None:
    cluster.fault = UnavailableError("down")
    beginning = asyncio.create_task(devices.begin(pause=0.0))
    for _ in range(10):
        await asyncio.sleep(0.0)
    assert not beginning.done()
    cluster.fault = answer
    await asyncio.wait_for(beginning, 10.0)


async def test_the_first_decision_does_not_wait_for_ever(cluster: Cluster, devices: Devices) -> None:
    cluster.fault = UnavailableError("down")
    await asyncio.wait_for(devices.begin(pause=0.0), 10.0)


@pytest.mark.parametrize("fault", [UnavailableError("down"), ForbiddenError("may not list resourceslices")])
async def test_while_nobody_answers_what_was_seen_last_is_kept(
    cluster: Cluster, devices: Devices, fault: ClusterError, caplog: pytest.LogCaptureFixture
) -> None:
    await devices.look()
    cluster.fault = fault
    await devices.look()
    await devices.look()

    assert (held(devices), devices.served) == ([1, 1, 0], True)
    assert len([record for record in caplog.records if str(fault) in record.message]) == 1
