"""A small fleet that the tests of this folder share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import yaml

from atoll.domain.architecture import Architecture, Quantisation
from atoll.domain.demand import Demand, DemandKey, Engine
from atoll.domain.fleet import Fleet
from atoll.domain.gpu import CapacityType, GpuConfig
from atoll.domain.pool import (
    NodePool,
    NodeResources,
    Offering,
    OfferingKey,
    PriceSource,
    Provisioning,
)
from atoll.domain.problem import ReplicaSite
from atoll.domain.strategy import EngineName, Stage, Strategy
from atoll.domain.workload import Lengths, Objectives, Workload

FLEET = Fleet()

QWEN = Architecture(
    name="Qwen/Qwen3-32B",
    layers=64,
    hidden=5120,
    heads=64,
    kv_heads=8,
    head_dim=128,
    ffn=25600,
    vocabulary=151936,
)

DEMAND = Demand(
    key=DemandKey(namespace="prod", name="qwen"),
    uid="7d8e0b52-5f0f-4b8e-9d5c-0a4f3c6a1b22",
    served_name="Qwen/Qwen3-32B",
    architecture=QWEN,
    rate=25.0,
    workload=Workload(input=Lengths(mean=1000), output=Lengths(mean=200)),
    objectives=Objectives(ttft_seconds=2.0, tpot_seconds=0.1),
)


def demand(**engine: object) -> Demand:
    """The sample demand with another engine part."""
    return replace(DEMAND, engine=replace(Engine(), **engine))


def pool(name: str, config: GpuConfig, resources: NodeResources, **other: object) -> NodePool:
    """A pool in one region with an on-demand and a spot offering in one zone."""
    offerings = tuple(
        Offering(
            key=OfferingKey(pool=name, zone="us-east-1a", capacity_type=capacity_type),
            price_per_hour=10.0,
            price_source=PriceSource.FIXED,
            max_nodes=8,
        )
        for capacity_type in (CapacityType.ON_DEMAND, CapacityType.SPOT)
    )
    fields = {"region": "us-east-1", "instance_type": f"{name}.large", "startup_seconds": 410.0, **other}
    return NodePool(name=name, config=config, resources=resources, offerings=offerings, **fields)


H100 = pool(
    "h100x8",
    GpuConfig(kind="H100-80GB", count=8),
    NodeResources(cpu_millis=191_450, memory_mib=1_980_000, ephemeral_mib=500_000),
    tolerations=({"key": "dedicated", "operator": "Equal", "value": "inference", "effect": "NoSchedule"},),
)
L40S = pool(
    "l40sx4",
    GpuConfig(kind="L40S-48GB", count=4),
    NodeResources(cpu_millis=47_450, memory_mib=370_000, ephemeral_mib=200_000),
)
OWNED = replace(
    H100,
    name="owned",
    instance_type="",
    provisioning=Provisioning.FIXED,
    node_selector={"example.com/rack": "r7"},
    startup_seconds=0.0,
)
POOLS = {each.name: each for each in (H100, L40S, OWNED)}


def offering(name: str, capacity_type: CapacityType = CapacityType.SPOT) -> OfferingKey:
    """One offering of a sample pool."""
    return OfferingKey(pool=name, zone="us-east-1a", capacity_type=capacity_type)


SINGLE = Strategy(
    engine=EngineName.VLLM,
    tp=2,
    stages=(Stage(gpu_kind="H100-80GB", layers=64),),
    quantisation=Quantisation.BF16,
    max_sequences=256,
    max_context=8192,
)
PIPELINE = replace(
    SINGLE,
    stages=(Stage(gpu_kind="H100-80GB", layers=44), Stage(gpu_kind="L40S-48GB", layers=20)),
    quantisation=Quantisation.FP8,
)
SITE = ReplicaSite(offerings=(offering("h100x8"), offering("l40sx4")))


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, _: object) -> bool:
        return True


def as_yaml(objects: Sequence[dict[str, Any]]) -> str:
    """Objects as a golden file shows them."""
    return yaml.dump_all(objects, Dumper=_Plain, sort_keys=False, width=120)
