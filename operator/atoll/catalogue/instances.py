"""Instance types of the clouds: GPUs, allocatable resources and prices."""

from dataclasses import dataclass
from functools import cache

from atoll.catalogue.tables import Row, rows
from atoll.domain.gpu import CapacityType, GpuConfig
from atoll.domain.pool import NodeResources
from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.domain.startup import ASSUMED_BYTES_PER_SECOND, MOST_NIC_BYTES_PER_SECOND, NodeBandwidth

GKE_EPHEMERAL_MIB = 50176
"""Allocatable ephemeral storage of a GKE node with a boot disk of 100 GiB: less 10 GiB for eviction and 41 GiB
(6 GiB + 35 %) for the system, in MiB. Source: GKE documentation, "Plan GKE Standard node sizes"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceType:
    """A node shape that a cloud sells.

    Attributes:
        name: the cloud's name.
        cloud: ``aws`` or ``gcp``.
        config: GPU kind and count.
        vcpus: virtual processors.
        memory_mib: memory, MiB, before the system's share.
        resources: allocatable: of AWS as Karpenter's documentation lists them, of GCP by GKE's published formula.
        bandwidth: what it loads weights with.
    """

    name: str
    cloud: str
    config: GpuConfig
    vcpus: int
    memory_mib: int
    resources: NodeResources
    bandwidth: NodeBandwidth


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What an instance type costs in a region.

    Attributes:
        cloud: ``aws`` or ``gcp``.
        region: cloud region.
        zones: where it is sold; empty where the source does not tell (AWS).
        instance_type: the cloud's name.
        on_demand: list price, US$/h per instance, Linux.
        spot: spot price, US$/h; None where none is published.
        spot_estimated: the spot price is list price x (1 - Spot Advisor's saving), not a quoted one.
        interruption: Spot Advisor's bucket of interruptions per month, such as ``5-10%``; empty where unknown.
        source: where it was found; see NOTICE.md.
        as_of: date of the source, ISO 8601.
    """

    cloud: str
    region: str
    zones: tuple[str, ...]
    instance_type: str
    on_demand: float
    spot: float | None
    spot_estimated: bool
    interruption: str
    source: str
    as_of: str


def instance_type(name: str, *, field: str = "") -> InstanceType:
    """Look up an instance type by the cloud's name.

    Raises:
        InvalidObjectError: with ``InvalidSpec``.
    """
    found = _instance_types().get(name)
    if found is None:
        message = f"'{name}' is no known GPU instance type; give the GPU config and resources inline"
        raise InvalidObjectError(Fault(reason=Reason.INVALID_SPEC, field=field, message=message))
    return found


def instance_types() -> tuple[InstanceType, ...]:
    """All known instance types, by cloud, GPU kind and count."""
    return tuple(_instance_types().values())


def price_row(region: str, instance_type: str, *, cloud: str = "") -> Price | None:
    """Price of an instance type in a region; None where the catalogue has none."""
    found = _prices().get((region, instance_type))
    return found if found is not None and cloud in ("", found.cloud) else None


def price(region: str, instance_type: str, capacity_type: CapacityType, *, cloud: str = "") -> float | None:
    """US$/h of one instance; None where none is published (reserved capacity has no public price)."""
    found = price_row(region, instance_type, cloud=cloud)
    if found is None:
        return None
    return {CapacityType.ON_DEMAND: found.on_demand, CapacityType.SPOT: found.spot}.get(capacity_type)


def prices() -> tuple[Price, ...]:
    """All prices, by cloud, region and instance type."""
    return tuple(_prices().values())


def gke_resources(vcpus: int, memory_mib: int) -> NodeResources:
    """Allocatable resources of a GKE node, by Google's published reservations.

    Memory: 25 % of the first 4 GiB, 20 % of the next 4, 10 % of the next 8, 6 % of the next 112, 2 % of the rest, and
    100 MiB for eviction. CPU: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest.
    Source: GKE documentation, "Plan GKE Standard node sizes". DaemonSets come on top.
    """
    memory = _reserved(memory_mib, ((4096, 0.25), (4096, 0.20), (8192, 0.10), (114688, 0.06)), rest=0.02) + 100
    cpu = _reserved(1000 * vcpus, ((1000, 0.06), (1000, 0.01), (2000, 0.005)), rest=0.0025)
    return NodeResources(
        cpu_millis=1000 * vcpus - round(cpu),
        memory_mib=memory_mib - round(memory),
        ephemeral_mib=GKE_EPHEMERAL_MIB,
    )


def _reserved(total: float, steps: tuple[tuple[float, float], ...], *, rest: float) -> float:
    reserved = 0.0
    for width, share in steps:
        part = min(total, width)
        reserved += part * share
        total -= part
    return reserved + total * rest


@cache
def _instance_types() -> dict[str, InstanceType]:
    return {row["instance_type"]: _parse_type(row) for row in rows("instance_types.csv")}


def _parse_type(row: Row) -> InstanceType:
    vcpus, memory_mib = int(row["vcpus"]), int(row["memory_mib"])
    return InstanceType(
        name=row["instance_type"],
        cloud=row["cloud"],
        config=GpuConfig(kind=row["gpu_kind"], count=int(row["gpu_count"])),
        vcpus=vcpus,
        memory_mib=memory_mib,
        resources=NodeResources(
            cpu_millis=int(row["allocatable_cpu_millis"]),
            memory_mib=int(row["allocatable_memory_mib"]),
            ephemeral_mib=int(row["allocatable_ephemeral_mib"]),
        )
        if row["allocatable_cpu_millis"]
        else gke_resources(vcpus, memory_mib),
        bandwidth=_bandwidth(row),
    )


_BYTES_PER_MEGABIT = 1e6 / 8.0


def _bandwidth(row: Row) -> NodeBandwidth:
    """The first network card, and a general-purpose volume as the assumed one or as the instance can attach it.

    Local NVMe is faster, but holds pods' volumes only where the node's image or its NodePool says so.
    """
    disk = ASSUMED_BYTES_PER_SECOND
    if row["volume_mbps"]:
        disk = min(disk, _BYTES_PER_MEGABIT * float(row["volume_mbps"]))
    nic = min(MOST_NIC_BYTES_PER_SECOND, _BYTES_PER_MEGABIT * float(row["network_mbps"]))
    return NodeBandwidth(nic=nic, disk=disk)


@cache
def _prices() -> dict[tuple[str, str], Price]:
    return {
        (row["region"], row["instance_type"]): Price(
            cloud=row["cloud"],
            region=row["region"],
            zones=tuple(row["zones"].split()),
            instance_type=row["instance_type"],
            on_demand=float(row["price"]),
            spot=float(row["spot_price"]) if row["spot_price"] else None,
            spot_estimated=row["spot_estimated"] == "1",
            interruption=row["interruption"],
            source=row["source"],
            as_of=row["as_of"],
        )
        for row in rows("prices.csv")
    }
