"""What the declared pools say can be had, as the simulated cloud sells it."""

from collections.abc import Iterable

from atoll.catalogue.gpus import product_of_kind
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import NodePool, Provisioning
from atoll.local.cloud import SimulatedOffering

_PODS_PER_NODE = 110
"""The kubelet's default."""


def offerings_of(pools: Iterable[NodePool]) -> tuple[SimulatedOffering, ...]:
    """One simulated offering for each offering of the pools; reserved capacity and owned nodes are not simulated."""
    return tuple(
        SimulatedOffering(
            instance_type=pool.instance_type,
            gpu_kind=pool.config.kind,
            gpu_product_label=product_of_kind(pool.config.kind),
            gpus=pool.config.count,
            region=pool.region,
            zone=offering.key.zone,
            capacity_type=offering.key.capacity_type.value,
            price_per_hour=offering.price_per_hour,
            obtainable_nodes=offering.max_nodes,
            cpu_millis=pool.resources.cpu_millis,
            memory_mib=pool.resources.memory_mib,
            ephemeral_gib=pool.resources.ephemeral_mib // 1024,
            pods=_PODS_PER_NODE,
        )
        for pool in pools
        if pool.provisioning is Provisioning.AUTOSCALER and pool.instance_type
        for offering in pool.offerings
        if offering.key.capacity_type is not CapacityType.RESERVED
    )
