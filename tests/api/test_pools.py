"""What a GPUNodePool comes to mean: prices and resources that it leaves out come from the catalogue."""

from typing import Any

import pytest

from atoll.api.parse import parse_gpu_node_pool
from atoll.catalogue.instances import instance_type, price
from atoll.domain.gpu import CapacityType
from atoll.domain.pool import NodePool, NodeResources, PriceSource, Provisioning
from atoll.domain.reason import InvalidObjectError, Reason
from atoll.domain.startup import NodeBandwidth


def pool(**spec: Any) -> NodePool:
    given = {
        "gpu": {"kind": "L4-24GB", "count": 1},
        "instanceType": "g6.xlarge",
        "region": "us-east-2",
        "offerings": [{"zone": "us-east-2a", "capacityType": "spot", "maxNodes": 4}],
    }
    return parse_gpu_node_pool({"metadata": {"name": "l4"}, "spec": given | spec})


def test_what_is_left_out_comes_from_the_catalogue_or_is_the_domain_s_default() -> None:
    found = pool()
    assert found.resources == instance_type("g6.xlarge").resources
    offering = found.offerings[0]
    assert offering.price_per_hour == price("us-east-2", "g6.xlarge", CapacityType.SPOT)
    assert offering.price_source is PriceSource.CATALOGUE
    fields = NodePool.__dataclass_fields__
    assert found.startup_seconds == fields["startup_seconds"].default
    assert found.provisioning is fields["provisioning"].default
    assert found.fleet == fields["fleet"].default


def test_bandwidth_is_the_pool_s_the_instance_type_s_or_assumed() -> None:
    assert pool().bandwidth == instance_type("g6.xlarge").bandwidth == NodeBandwidth(nic=2.5e9 / 8, disk=5e9 / 8)
    assert pool(bandwidth={"disk": "3G"}).bandwidth == NodeBandwidth(nic=2.5e9 / 8, disk=3e9)
    owned = {
        "instanceType": "",
        "provisioning": "Fixed",
        "allocatable": {"cpu": 8, "memory": "9Gi", "ephemeralStorage": 1},
    }
    assert pool(**owned).bandwidth == NodeBandwidth()
    assert pool(**owned, bandwidth={"network": "12500M"}).bandwidth.nic == 12.5e9


def test_a_given_price_wins_and_zero_is_a_price() -> None:
    found = pool(offerings=[{"zone": "z", "capacityType": "spot", "price": 0, "maxNodes": 0}]).offerings[0]
    assert (found.price_per_hour, found.price_source, found.max_nodes) == (0.0, PriceSource.FIXED, 0)


def test_a_price_of_another_cloud_is_not_taken() -> None:
    assert pool(cloud="aws").offerings[0].price_per_hour > 0
    with pytest.raises(InvalidObjectError) as raised:
        pool(cloud="gcp")
    assert raised.value.fault.reason is Reason.PRICE_MISSING


def test_reserved_capacity_has_no_public_price() -> None:
    with pytest.raises(InvalidObjectError) as raised:
        pool(offerings=[{"zone": "z", "capacityType": "reserved", "maxNodes": 1}])
    assert raised.value.fault.reason is Reason.PRICE_MISSING


def test_owned_nodes_without_a_price_are_paid_for_anyway() -> None:
    found = pool(
        provisioning="Fixed",
        instanceType="",
        nodeSelector={"pool": "lab"},
        allocatable={"cpu": 64, "memory": "512Gi", "ephemeralStorage": "100G"},
        offerings=[{"zone": "z", "capacityType": "reserved", "maxNodes": 4}],
    )
    assert found.provisioning is Provisioning.FIXED
    assert found.offerings[0].price_per_hour == 0.0
    assert found.resources == NodeResources(cpu_millis=64000, memory_mib=512 * 1024, ephemeral_mib=95367)


def test_a_toleration_says_its_operator_and_leaves_out_what_is_empty() -> None:
    found = pool(tolerations=[{"key": "gpu", "operator": "Exists"}, {"key": "a", "value": "b", "tolerationSeconds": 0}])
    assert found.tolerations == (
        {"key": "gpu", "operator": "Exists"},
        {"key": "a", "operator": "Equal", "value": "b", "tolerationSeconds": 0},
    )
