"""Coral's twenty GPU configs in the three example regions, by real instance types or what stands in for them."""

from dataclasses import dataclass
from fractions import Fraction

from atoll.catalogue.instances import InstanceType, Price, instance_type, price_row
from atoll.catalogue.tables import Row, rows
from atoll.domain.gpu import GpuConfig
from atoll.domain.pool import NodeResources


@dataclass(frozen=True, slots=True, kw_only=True)
class CoralConfig:
    """One GPU config of Coral's evaluation in one region (arXiv 2605.04357, section 6: 20 configs, three regions).

    A10G is offered on AWS only and L40S not on GCP. Where a region sells no such instance type, an equal share of a
    larger one, or the price of a region that sells it, stands in, and ``note`` says so.

    Attributes:
        name: instance type, with the share where one stands in: ``g5.12xlarge-2of4``; valid as a label value.
        region: cloud region.
        zone: one zone of it.
        config: GPU kind and count.
        price_per_hour: on-demand, US$/h.
        spot_price_per_hour: spot, US$/h; None where none is published for the region itself.
        interruption: Spot Advisor's bucket, such as ``5-10%``; empty where unknown.
        resources: allocatable.
        note: what stands in and why; empty for a real instance type at its own price.
    """

    name: str
    region: str
    zone: str
    config: GpuConfig
    price_per_hour: float
    spot_price_per_hour: float | None
    interruption: str
    resources: NodeResources
    note: str

    @property
    def stands_in(self) -> bool:
        """No such instance type is sold in the region."""
        return "stands in" in self.note or "not sold" in self.note


def coral_configs(region: str = "") -> tuple[CoralConfig, ...]:
    """The GPU configs of one region, or of all three when ``region`` is empty."""
    return tuple(_parse(row) for row in rows("coral20.csv") if region in ("", row["region"]))


def _parse(row: Row) -> CoralConfig:
    share = Fraction(row["share"])
    base = instance_type(row["instance_type"])
    found = price_row(row["price_region"], base.name)
    if found is None:
        raise LookupError(f"coral20.csv: no price of {base.name} in {row['price_region']}")
    count = int(row["gpu_count"])
    return CoralConfig(
        name=base.name if share == 1 else f"{base.name}-{count}of{base.config.count}",
        region=row["region"],
        zone=row["zone"],
        config=GpuConfig(kind=row["gpu_kind"], count=count),
        price_per_hour=round(float(share) * found.on_demand, 6),
        spot_price_per_hour=_spot(found, share) if found.region == row["region"] else None,
        interruption=found.interruption,
        resources=_share_of(base, share),
        note=row["note"],
    )


def _spot(found: Price, share: Fraction) -> float | None:
    return None if found.spot is None else round(float(share) * found.spot, 6)


def _share_of(base: InstanceType, share: Fraction) -> NodeResources:
    whole = base.resources
    return NodeResources(
        cpu_millis=int(whole.cpu_millis * share),
        memory_mib=int(whole.memory_mib * share),
        ephemeral_mib=whole.ephemeral_mib,
    )
