"""GPUNodePool to the domain's NodePool."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from atoll.api.decode import check_label_keys, decode, invalid, metadata, shown
from atoll.api.quantities import bytes_of, mebibytes, millicores, seconds
from atoll.api.v1alpha1.base import Toleration
from atoll.api.v1alpha1.gpunodepool import SYSTEM_FOLDERS, GPUNodePoolSpec, OfferingItem, WeightsCacheSettings
from atoll.catalogue.gpus import gpu_kind
from atoll.catalogue.instances import instance_type, instance_types, price
from atoll.domain.feed import PriceFeed, Quote, Terms
from atoll.domain.gpu import GpuConfig
from atoll.domain.objects import GPU_NODE_POOL
from atoll.domain.pool import NodePool, NodeResources, Offering, OfferingKey, PriceSource, Provisioning, WeightsCache
from atoll.domain.reason import InvalidObjectError, Reason
from atoll.domain.startup import NodeBandwidth


def parse_gpu_node_pool(obj: object, *, quotes: Mapping[Terms, Quote] = MappingProxyType({})) -> NodePool:
    """Understand one GPUNodePool; prices and resources that it leaves out come from the catalogue.

    Args:
        obj: any JSON that claims to be one.
        quotes: what its feed says, by offering.

    Raises:
        InvalidObjectError: and nothing else; ``PriceMissing`` where neither the pool nor the catalogue has a price.
    """
    found = metadata(obj, GPU_NODE_POOL, dns_1035=False)
    spec = decode(obj.get("spec", {}) if isinstance(obj, Mapping) else {}, GPUNodePoolSpec, "spec")
    config = GpuConfig(kind=gpu_kind(spec.gpu.kind, field="spec.gpu.kind").name, count=spec.gpu.count)
    _check_instance_type(spec, config)
    check_label_keys(spec.node_selector, "spec.nodeSelector")
    for index, item in enumerate(spec.offerings):
        check_label_keys(item.node_selector, f"spec.offerings[{index}].nodeSelector")
    return NodePool(
        name=found.name,
        uid=found.uid,
        generation=found.generation,
        fleet=spec.fleet,
        config=config,
        instance_type=spec.instance_type,
        region=spec.region,
        node_selector=spec.node_selector,
        tolerations=tuple(_toleration(item) for item in spec.tolerations),
        offerings=tuple(
            _offering(found.name, spec, index, item, quotes.get((item.zone, item.capacity_type), Quote()))
            for index, item in enumerate(spec.offerings)
        ),
        provisioning=spec.provisioning,
        device_class=spec.gpu.device_class,
        resources=_resources(spec),
        startup_seconds=seconds(spec.startup),
        bandwidth=_bandwidth(spec),
        weights_cache=_weights_cache(spec.weights_cache),
        feed=_feed(spec),
    )


def parse_price_feed(obj: object) -> PriceFeed | None:
    """Where a GPUNodePool's prices are heard; None where nowhere, or where it is at fault."""
    try:
        return _feed(decode(obj.get("spec", {}) if isinstance(obj, Mapping) else {}, GPUNodePoolSpec, "spec"))
    except InvalidObjectError:
        return None


def _feed(spec: GPUNodePoolSpec) -> PriceFeed | None:
    if spec.feed is None:
        return None
    interval, stale = seconds(spec.feed.interval), seconds(spec.feed.stale_after)
    if interval >= stale:
        raise invalid(
            "spec.feed.interval",
            f"{spec.feed.interval} given, but what was heard is too old after staleAfter, {spec.feed.stale_after}: ask"
            " more often, or raise staleAfter",
        )
    return PriceFeed(url=spec.feed.url, interval_seconds=interval, stale_seconds=stale)


def _check_instance_type(spec: GPUNodePoolSpec, config: GpuConfig) -> None:
    """A known instance type has the GPUs that it has; an unknown one must bring its figures along."""
    known = {item.name: item for item in instance_types()}.get(spec.instance_type)
    if known is not None and known.config != config:
        raise invalid("spec.gpu", f"{config} given, but {spec.instance_type} has {known.config}: mend one of them")


def _resources(spec: GPUNodePoolSpec) -> NodeResources:
    given = spec.allocatable
    if given is not None:
        return NodeResources(
            cpu_millis=millicores(given.cpu),
            memory_mib=mebibytes(given.memory),
            ephemeral_mib=mebibytes(given.ephemeral_storage),
        )
    if not spec.instance_type:
        raise invalid("spec.allocatable", "must be set where there is no instanceType to look it up")
    if spec.instance_type not in {item.name for item in instance_types()}:
        raise invalid(
            "spec.instanceType",
            f"{shown(spec.instance_type)} is not in the catalogue: mend the name or set spec.allocatable",
        )
    return instance_type(spec.instance_type).resources


LEAST_BYTES_PER_SECOND = 1e6


def _bandwidth(spec: GPUNodePoolSpec) -> NodeBandwidth:
    """What the pool says; what it leaves out is the instance type's, or assumed."""
    known = {item.name: item.bandwidth for item in instance_types()}.get(spec.instance_type, NodeBandwidth())
    given = spec.bandwidth
    nic = known.nic if given.network is None else bytes_of(given.network)
    disk = known.disk if given.disk is None else bytes_of(given.disk)
    for name, value in (("network", nic), ("disk", disk)):
        if value < LEAST_BYTES_PER_SECOND:
            raise invalid(f"spec.bandwidth.{name}", f"{value:g} bytes/s given: must be at least 1M")
    return NodeBandwidth(nic=nic, disk=disk)


def _weights_cache(given: WeightsCacheSettings | None) -> WeightsCache | None:
    if given is None:
        return None
    limit = None if given.size_limit is None else int(bytes_of(given.size_limit))
    if limit is not None and limit < 1:
        raise invalid("spec.weightsCache.sizeLimit", f"{shown(given.size_limit)} given: must be at least one byte")
    parts = tuple(given.host_path.strip("/").split("/"))
    for folder in (tuple(name.split("/")) for name in SYSTEM_FOLDERS):
        if parts[: len(folder)] == folder or folder[: len(parts)] == parts:
            raise invalid(
                "spec.weightsCache.hostPath",
                f"{shown(given.host_path)} given, but /{'/'.join(folder)} is a system folder of the node: name a folder"
                " for weights alone, such as /mnt/nvme/weights",
            )
    return WeightsCache(host_path=given.host_path, limit_bytes=limit)


def _offering(pool: str, spec: GPUNodePoolSpec, index: int, item: OfferingItem, quote: Quote) -> Offering:
    key = OfferingKey(pool=pool, zone=item.zone, capacity_type=item.capacity_type)
    declared = replace(_declared(key, spec, index, item, quote), node_selector=item.node_selector)
    return replace(declared, quoted_nodes=quote.nodes) if spec.feed is not None and item.price is None else declared


def _declared(key: OfferingKey, spec: GPUNodePoolSpec, index: int, item: OfferingItem, quote: Quote) -> Offering:
    """With its price: its own, the feed's, the catalogue's, or none where it is paid for anyway."""
    if spec.feed is not None and item.price is None and quote.price_per_hour is not None:
        heard = quote.price_per_hour
        return Offering(key=key, price_per_hour=heard, price_source=PriceSource.FEED, max_nodes=item.max_nodes)
    if item.price is not None:
        return Offering(key=key, price_per_hour=item.price, price_source=PriceSource.FIXED, max_nodes=item.max_nodes)
    listed = price(spec.region, spec.instance_type, item.capacity_type, cloud=spec.cloud)
    if listed is not None:
        return Offering(key=key, price_per_hour=listed, price_source=PriceSource.CATALOGUE, max_nodes=item.max_nodes)
    if spec.provisioning is Provisioning.FIXED:  # owned nodes are paid for anyway
        return Offering(key=key, price_per_hour=0.0, price_source=PriceSource.FIXED, max_nodes=item.max_nodes)
    raise invalid(
        f"spec.offerings[{index}].price",
        f"the catalogue has no {item.capacity_type} price of {shown(spec.instance_type)} in {shown(spec.region)}: "
        "set the price, US$ per node and hour",
        Reason.PRICE_MISSING,
    )


def _toleration(item: Toleration) -> Mapping[str, object]:
    """As a pod's spec has it: the operator is said, and what is empty is left out."""
    named = {"key": item.key, "operator": item.operator, "value": item.value, "effect": item.effect}
    written: dict[str, object] = {name: value for name, value in named.items() if value}
    if item.toleration_seconds is not None:
        written["tolerationSeconds"] = item.toleration_seconds
    return written
