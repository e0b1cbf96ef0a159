"""Instance types, their allocatable resources and prices."""

import pytest

from atoll.catalogue.coral import coral_configs
from atoll.catalogue.gpus import known_gpu_kinds
from atoll.catalogue.instances import gke_resources, instance_type, instance_types, price, price_row, prices
from atoll.domain.gpu import CapacityType, GpuConfig
from atoll.domain.reason import InvalidObjectError
from atoll.domain.startup import NodeBandwidth


def test_aws_allocatable_is_as_karpenter_lists_it() -> None:
    found = instance_type("g6e.12xlarge")
    assert found.config == GpuConfig(kind="L40S-48GB", count=4)
    assert (found.resources.cpu_millis, found.resources.memory_mib) == (47810, 360157)


def test_gke_reservations_follow_the_published_example() -> None:
    # 16 vCPU and 64 GiB: 60 + 10 + 10 + 30 millicores; 1 GiB + 0.8 + 0.8 + 2.88 GiB and 100 MiB.
    found = gke_resources(16, 65536)
    assert found.cpu_millis == 15890
    assert found.memory_mib == 65536 - round(1024 + 819.2 + 819.2 + 0.06 * 49152) - 100


def test_every_type_has_a_known_kind_and_gives_less_than_it_has() -> None:
    for found in instance_types():
        assert found.config.kind in known_gpu_kinds()
        assert 0 < found.resources.cpu_millis < 1000 * found.vcpus
        assert 0 < found.resources.memory_mib < found.memory_mib


def test_every_type_loads_over_its_first_network_card_onto_a_volume() -> None:
    assert instance_type("p5.48xlarge").bandwidth == NodeBandwidth(nic=12.5e9, disk=1e9)
    assert instance_type("g5.xlarge").bandwidth == NodeBandwidth(nic=0.3125e9, disk=0.4375e9)
    assert instance_type("a2-highgpu-1g").bandwidth == NodeBandwidth(nic=3e9, disk=1e9)
    for found in instance_types():
        assert 1e8 < found.bandwidth.nic <= 12.5e9
        assert 1e8 < found.bandwidth.disk <= 1e9


def test_every_price_is_of_a_known_type_and_spot_is_no_dearer() -> None:
    for row in prices():
        assert instance_type(row.instance_type).cloud == row.cloud
        assert row.on_demand > 0
        assert row.spot is None or 0 < row.spot <= row.on_demand
        assert row.source
        assert row.as_of


def test_price_by_capacity_type() -> None:
    assert price("us-east-2", "p5.48xlarge", CapacityType.ON_DEMAND) == 55.04
    assert price("us-east-2", "p5.48xlarge", CapacityType.SPOT, cloud="aws") == 21.4656
    assert price("us-east-2", "p5.48xlarge", CapacityType.RESERVED) is None


def test_price_is_none_where_none_is_published() -> None:
    assert price("us-east-2", "p5.4xlarge", CapacityType.SPOT) is None
    assert price("us-east-2", "p4de.24xlarge", CapacityType.ON_DEMAND) is None
    assert price("us-east-2", "p5.48xlarge", CapacityType.ON_DEMAND, cloud="gcp") is None


def test_zones_are_told_where_the_source_has_them() -> None:
    row = price_row("us-central1", "a2-ultragpu-8g")
    assert row is not None
    assert row.zones == ("us-central1-a", "us-central1-c")


def test_unknown_type_is_refused() -> None:
    with pytest.raises(InvalidObjectError, match=r"p9\.metal"):
        instance_type("p9.metal")


def test_coral_has_twenty_configs_over_its_regions() -> None:
    assert len({found.config for found in coral_configs()}) == 20


def test_coral_offers_a10g_on_aws_only_and_l40s_not_on_gcp() -> None:
    kinds = {found.config.kind for found in coral_configs("us-central1")}
    assert kinds == {"L4-24GB", "A100-80GB", "H100-80GB"}
    assert {found.config.kind for found in coral_configs("ap-northeast-2")} == kinds | {"A10G-24GB", "L40S-48GB"}


def test_a_share_of_a_larger_type_stands_in_at_its_share_of_the_price() -> None:
    found = next(item for item in coral_configs("us-east-2") if item.config == GpuConfig(kind="A10G-24GB", count=2))
    assert found.stands_in
    assert found.name == "g5.12xlarge-2of4"
    assert found.price_per_hour == 5.672 / 2
    assert found.resources.cpu_millis == instance_type("g5.12xlarge").resources.cpu_millis // 2


def test_real_types_carry_no_note_of_a_stand_in() -> None:
    assert not any(found.stands_in for found in coral_configs("us-central1"))


def test_coral_names_are_unique_within_a_region_and_valid_labels() -> None:
    for region in ("us-east-2", "ap-northeast-2", "us-central1"):
        names = [found.name for found in coral_configs(region)]
        assert len(names) == len(set(names))
        assert all(len(name) <= 63 and name.replace("-", "").replace(".", "").isalnum() for name in names)
