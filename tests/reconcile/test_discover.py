"""Pools that nobody declared are made of nodes and NodePools, and say what was assumed."""

from dataclasses import replace
from typing import Any

import pytest

from atoll.api.parse import parse_gpu_node_pool
from atoll.domain.objects import Apply, Delete, ObjectLike
from atoll.domain.pool import Provisioning
from atoll.domain.snapshot import Snapshot
from atoll.reconcile.discover import Discovered, discover, pool_writes, region_of
from atoll.reconcile.karpenter import NotUnderstoodError, terms_of
from atoll.render.names import DISCOVERED
from reconcile.test_devices import device, slice_object
from reconcile.worlds import NOW, ago, demand_object, fleet_object, node_object, pool_object, seen

Raw = dict[str, Any]

IN = "In"


def needs(key: str, *values: str, operator: str = IN) -> Raw:
    return {"key": key, "operator": operator, "values": list(values)}


def node_pool(name: str = "gpus", *requirements: Raw, limit: int | None = 32, taints: tuple[Raw, ...] = ()) -> Raw:
    asked = requirements or (
        needs("node.kubernetes.io/instance-type", "p5.48xlarge"),
        needs("topology.kubernetes.io/zone", "us-east-2a", "us-east-2b"),
        needs("karpenter.sh/capacity-type", "spot", "on-demand"),
    )
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {
            "limits": {} if limit is None else {"nvidia.com/gpu": str(limit)},
            "template": {"spec": {"requirements": list(asked), "taints": list(taints)}},
        },
    }


def gpu_node(name: str, *, product: str = "NVIDIA-L4", zone: str = "rack-1", **labels: str) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "nvidia.com/gpu.product": product,
                "topology.kubernetes.io/region": "cellar",
                "topology.kubernetes.io/zone": zone,
                **labels,
            },
        },
        "spec": {"taints": [{"key": "team", "value": "ml", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": {"nvidia.com/gpu": "4", "cpu": "64", "memory": "256Gi", "ephemeral-storage": "100Gi"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def cluster(*objects: Raw, node_pools: tuple[Raw, ...] | None = (), waits: float = 60.0) -> Snapshot:
    demand = demand_object()
    demand["metadata"]["creationTimestamp"] = ago(waits)
    return replace(seen(demand, *objects), node_pools=node_pools)


def found_in(world: Snapshot) -> Discovered:
    return discover(world, NOW)


def only(found: Discovered) -> Raw:
    (pool,) = found.pools
    return dict(pool)


def test_a_node_pool_becomes_a_pool_with_an_offering_per_zone_and_terms() -> None:
    raw = only(found_in(cluster(node_pools=(node_pool(),))))

    pool = parse_gpu_node_pool(raw)

    assert pool.provisioning is Provisioning.AUTOSCALER
    assert str(pool.config) == "8 x H100-80GB"
    assert pool.region == "us-east-2"
    assert pool.node_selector == {"karpenter.sh/nodepool": "gpus"}
    assert {(o.key.zone, str(o.key.capacity_type), o.max_nodes) for o in pool.offerings} == {
        (zone, terms, 4) for zone in ("us-east-2a", "us-east-2b") for terms in ("spot", "on-demand")
    }
    assert all(offering.price_per_hour > 0.0 for offering in pool.offerings)
    assert "32 GPUs of the NodePool's limit" in raw["metadata"]["annotations"]["atoll.dev/assumed"]


def test_without_a_limit_a_node_pool_is_taken_to_make_ten_nodes_and_says_so() -> None:
    raw = only(found_in(cluster(node_pools=(node_pool(limit=None),))))

    assert {item["maxNodes"] for item in raw["spec"]["offerings"]} == {10}
    assert "sets no limit" in raw["metadata"]["annotations"]["atoll.dev/assumed"]


def test_taints_of_a_node_pool_are_tolerated_but_for_those_that_always_are() -> None:
    taints = (
        {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"},
        {"key": "team", "value": "ml", "effect": "NoSchedule"},
        {"key": "batch", "effect": "NoExecute"},
    )
    raw = only(found_in(cluster(node_pools=(node_pool(taints=taints),))))

    assert raw["spec"]["tolerations"] == [
        {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"},
        {"key": "batch", "operator": "Exists", "effect": "NoExecute"},
    ]


def test_families_and_gpu_names_choose_among_instance_types() -> None:
    zone = needs("topology.kubernetes.io/zone", "us-east-2a")
    of_family = terms_of(node_pool("a", needs("karpenter.k8s.aws/instance-family", "g6"), zone))
    of_gpu = terms_of(
        node_pool(
            "b",
            needs("karpenter.k8s.aws/instance-gpu-name", "l4"),
            needs("karpenter.k8s.aws/instance-gpu-count", "1", operator="NotIn"),
            zone,
        )
    )

    assert {item.name.partition(".")[0] for item in of_family.instance_types} == {"g6"}
    assert of_gpu.instance_types
    assert all(item.config.kind == "L4-24GB" and item.config.count > 1 for item in of_gpu.instance_types)


def test_karpenter_makes_on_demand_nodes_where_a_node_pool_says_nothing() -> None:
    found = terms_of(
        node_pool(
            "a",
            needs("node.kubernetes.io/instance-type", "p5.48xlarge"),
            needs("topology.kubernetes.io/zone", "us-east-2a"),
        )
    )

    assert list(map(str, found.capacity_types)) == ["on-demand"]


def test_nothing_is_discovered_before_a_demand_has_waited_for_declared_pools() -> None:
    assert found_in(cluster(gpu_node("n1"), waits=5.0)) == Discovered()
    assert found_in(replace(cluster(gpu_node("n1")), demands={})) == Discovered()


def test_discovered_pools_stay_when_the_last_demand_goes() -> None:
    live = _stored(only(found_in(cluster(gpu_node("n1")))))
    idle = replace(cluster(gpu_node("n1"), live), demands={})

    assert pool_writes(idle, found_in(idle)) == ()


def test_a_node_pool_without_gpus_is_none_of_ours() -> None:
    cpu = node_pool("cpu", needs("node.kubernetes.io/instance-type", "m5.large"), limit=None)
    anything = node_pool("any", needs("kubernetes.io/arch", "amd64"), limit=None)

    assert found_in(cluster(node_pools=(cpu, anything))) == Discovered()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (node_pool("a", needs("kubernetes.io/arch", "amd64")), "tells no instance types"),
        (node_pool("a", needs("node.kubernetes.io/instance-type", "p5.48xlarge")), "tells no zones"),
    ],
)
def test_a_node_pool_that_says_too_little_is_named_with_the_requirement_to_add(raw: Raw, said: str) -> None:
    with pytest.raises(NotUnderstoodError, match=said):
        terms_of(raw)

    found = found_in(cluster(node_pools=(raw, node_pool("good"))))

    assert len(found.pools) == 1
    assert said in found.notes[0]
    assert "NodePool a" in found.notes[0]


def test_an_offering_without_a_catalogue_price_is_named_and_left_to_people() -> None:
    reserved = node_pool(
        "a",
        needs("node.kubernetes.io/instance-type", "p5.48xlarge"),
        needs("topology.kubernetes.io/zone", "us-east-2a"),
        needs("karpenter.sh/capacity-type", "reserved"),
    )

    found = found_in(cluster(node_pools=(reserved,)))

    assert found.pools == ()
    assert "NodePool a" in found.notes[0]
    assert "price" in found.notes[0]


def test_nodes_that_are_there_become_owned_pools_by_shape_and_zone() -> None:
    found = found_in(
        cluster(gpu_node("n1"), gpu_node("n2"), gpu_node("n3", zone="rack-2"), gpu_node("n4", product="NVIDIA-L40S"))
    )

    pools = {pool.config.kind: pool for pool in map(parse_gpu_node_pool, found.pools)}

    assert set(pools) == {"L4-24GB", "L40S-48GB"}
    small = pools["L4-24GB"]
    assert small.provisioning is Provisioning.FIXED
    assert {(o.key.zone, o.max_nodes, o.price_per_hour) for o in small.offerings} == {
        ("rack-1", 2, 0.0),
        ("rack-2", 1, 0.0),
    }
    assert small.resources.cpu_millis == 64000
    assert [dict(item) for item in small.tolerations] == [
        {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}
    ]


def test_allocatable_is_the_least_of_the_nodes() -> None:
    lesser = gpu_node("n2")
    lesser["status"]["allocatable"] |= {"cpu": "63500m", "memory": "300Gi"}

    raw = only(found_in(cluster(gpu_node("n1"), lesser)))

    assert raw["spec"]["allocatable"] == {"cpu": "63500m", "memory": "256Gi", "ephemeralStorage": "100Gi"}


def test_spot_nodes_are_pools_of_their_own() -> None:
    spot = gpu_node("n2", **{"cloud.google.com/gke-spot": "true"})
    standard = gpu_node("n1", **{"cloud.google.com/gke-provisioning": "standard"})

    found = found_in(cluster(standard, spot))

    assert sorted(pool["spec"]["offerings"][0]["capacityType"] for pool in found.pools) == ["on-demand", "spot"]
    assert {"cloud.google.com/gke-spot": "true"}.items() <= found.pools[1]["spec"]["nodeSelector"].items()


def test_nodes_that_cannot_be_placed_are_counted_with_the_label_to_set() -> None:
    bare, strange = gpu_node("n1"), gpu_node("n2", product="NVIDIA-L4-SHARED")
    del bare["metadata"]["labels"]["topology.kubernetes.io/zone"]

    found = found_in(cluster(bare, strange))

    assert found.pools == ()
    assert any("topology.kubernetes.io/zone" in note for note in found.notes)
    assert any("NVIDIA-L4-SHARED" in note for note in found.notes)


def test_nodes_that_karpenter_made_belong_to_its_node_pool() -> None:
    made = gpu_node("n1", **{"karpenter.sh/nodepool": "gpus"})

    assert found_in(cluster(made)) == Discovered()


@pytest.mark.parametrize(("policy", "count"), [("WhenNoneDeclared", 0), ("Always", 1), ("Never", 0)])
def test_the_fleet_says_whether_pools_are_discovered_beside_declared_ones(policy: str, count: int) -> None:
    world = cluster(
        fleet_object(poolDiscovery=policy), pool_object(), node_object("n1"), gpu_node("n2", product="NVIDIA-L40S")
    )

    assert len(found_in(world).pools) == count


def test_a_wrong_declared_pool_is_a_declared_one() -> None:
    wrong = pool_object()
    wrong["spec"]["gpu"]["kind"] = "H999"

    assert found_in(cluster(wrong, gpu_node("n1"))).pools == ()


def test_what_is_discovered_is_written_once() -> None:
    world = cluster(gpu_node("n1"))
    (write,) = pool_writes(world, found_in(world))

    assert isinstance(write, Apply)
    live = _stored(write.intent)
    again = cluster(gpu_node("n1"), live)
    assert pool_writes(again, found_in(again)) == ()

    grown = cluster(gpu_node("n1"), gpu_node("n2"), live)
    (change,) = pool_writes(grown, found_in(grown))
    assert isinstance(change, Apply)
    assert change.live_uid == "u1"


def test_a_discovered_pool_goes_with_its_nodes_or_when_a_declared_one_covers_them() -> None:
    live = _stored(only(found_in(cluster(gpu_node("n1")))))
    covering = pool_object()
    covering["spec"] |= {"provisioning": "Fixed", "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"}}
    covering["spec"] |= {"gpu": {"kind": "L4-24GB", "count": 4}, "region": "cellar"}
    covering["spec"]["offerings"] = [{"zone": "rack-1", "capacityType": "reserved", "maxNodes": 1}]

    for later in (cluster(gpu_node("n1"), live, covering), cluster(live)):
        (write,) = pool_writes(later, found_in(later))
        assert isinstance(write, Delete)
        assert write.target.name == live["metadata"]["name"]


def test_a_discovered_pool_stays_beside_a_declared_one_that_does_not_cover_it_and_no_other_comes() -> None:
    live = _stored(only(found_in(cluster(gpu_node("n1")))))

    later = cluster(gpu_node("n1"), gpu_node("n2", product="NVIDIA-L40S"), live, pool_object())

    assert pool_writes(later, found_in(later)) == ()


def test_a_node_with_an_ill_gpu_keeps_its_pool() -> None:
    """Feature discovery's label says how many GPUs there are, allocatable how many are well."""
    nodes = [gpu_node(f"n{number}", **{"nvidia.com/gpu.count": "4"}) for number in range(3)]
    well = found_in(cluster(*nodes))
    nodes[0]["status"]["allocatable"]["nvidia.com/gpu"] = "0"
    nodes[1]["status"]["allocatable"]["nvidia.com/gpu"] = "3"

    assert only(found_in(cluster(*nodes))) == only(well)
    assert only(well)["spec"]["nodeSelector"]["nvidia.com/gpu.count"] == "4"


def test_shapes_that_labels_do_not_tell_apart_are_left_to_people() -> None:
    mixed = gpu_node("n2")
    mixed["status"]["allocatable"]["nvidia.com/gpu"] = "8"

    found = found_in(cluster(gpu_node("n1"), mixed))

    assert found.pools == ()
    assert "2 nodes with L4-24GB" in found.notes[0]


def test_pools_of_another_fleet_are_left_to_it() -> None:
    theirs = _stored(only(found_in(cluster(gpu_node("n1")))))
    theirs["spec"] = {**theirs["spec"], "fleet": "other"}

    later = cluster(gpu_node("n1"), theirs)

    assert pool_writes(later, found_in(later)) == ()
    assert "of Fleet other" in found_in(later).notes[0]


def test_a_pool_that_was_taken_over_is_never_written() -> None:
    world = cluster(fleet_object(poolDiscovery="Always"), gpu_node("n1"))
    taken = _stored(only(found_in(world)))
    del taken["metadata"]["labels"][DISCOVERED]
    taken["spec"]["offerings"][0]["maxNodes"] = 7

    later = cluster(fleet_object(poolDiscovery="Always"), gpu_node("n1"), gpu_node("n2"), taken)

    assert pool_writes(later, found_in(later)) == ()


def test_nothing_is_written_while_node_pools_cannot_be_read() -> None:
    live = _stored(only(found_in(cluster(node_pools=(node_pool(),)))))
    blind = cluster(live, node_pools=None)

    assert pool_writes(blind, found_in(blind)) == ()


@pytest.mark.parametrize(
    ("zone", "region"),
    [("us-east-2a", "us-east-2"), ("us-central1-a", "us-central1"), ("europe-west4-b", "europe-west4"), ("lab", "lab")],
)
def test_regions_are_told_from_zones(zone: str, region: str) -> None:
    assert region_of(zone) == region


def _stored(intent: ObjectLike) -> Raw:
    metadata = {**intent["metadata"], "uid": "u1", "resourceVersion": "1", "generation": 1}
    return {**intent, "metadata": {**metadata, "labels": dict(metadata["labels"])}}


def device_node(name: str, **labels: str) -> Raw:
    """A node without GPU feature discovery whose GPUs are devices."""
    node = gpu_node(name, **labels)
    del node["metadata"]["labels"]["nvidia.com/gpu.product"], node["status"]["allocatable"]["nvidia.com/gpu"]
    return node


DEVICES = [device(f"gpu-{index}") for index in range(4)]


def test_nodes_that_publish_their_gpus_as_devices_become_a_pool_that_claims_them() -> None:
    machine = {"node.kubernetes.io/instance-type": "rack-server"}
    nodes = [obj for name in "ab" for obj in (device_node(name, **machine), slice_object(name, *DEVICES))]
    raw = only(found_in(cluster(*nodes)))

    assert raw["spec"]["gpu"] == {"kind": "L4-24GB", "count": 4, "deviceClass": "gpu.nvidia.com"}
    assert raw["spec"]["nodeSelector"] == machine
    assert raw["spec"]["offerings"][0]["maxNodes"] == 2
    assert "claimed of DeviceClass gpu.nvidia.com" in raw["metadata"]["annotations"]["atoll.dev/assumed"]
    assert parse_gpu_node_pool(raw).device_class == "gpu.nvidia.com"


def test_a_node_that_no_label_tells_is_left_out_with_the_label_to_add() -> None:
    found = found_in(cluster(device_node("a"), slice_object("a", *DEVICES)))

    assert found.pools == ()
    assert found.notes == ("1 nodes with L4-24GB by no label: label them nvidia.com/gpu.product=NVIDIA-L4",)


def test_gpus_that_are_advertised_are_not_claimed_whatever_else_is_published() -> None:
    raw = only(found_in(cluster(gpu_node("a"), slice_object("a", *DEVICES))))

    assert "deviceClass" not in raw["spec"]["gpu"]
