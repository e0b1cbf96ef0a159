"""GPU kinds are found by name and by node label."""

import pytest

from atoll.catalogue.gpus import gpu_kind, kind_of_product, known_gpu_kinds
from atoll.domain.gpu import GpuKind, Interconnect
from atoll.domain.reason import InvalidObjectError, Reason


def test_known_kinds_hold_the_ones_of_coral() -> None:
    assert {"L40S-48GB", "L4-24GB", "A10G-24GB", "A100-80GB", "H100-80GB"} <= known_gpu_kinds().keys()


@pytest.mark.parametrize("kind", known_gpu_kinds().values(), ids=lambda kind: kind.name)
def test_memory_is_a_little_less_than_the_name_says(kind: GpuKind) -> None:
    gigabytes = float(kind.name.rsplit("-", 1)[-1].removesuffix("GB"))
    assert 0.9 * gigabytes < kind.memory_gib <= gigabytes


def test_only_ada_and_later_have_fp8_units() -> None:
    assert {name for name, kind in known_gpu_kinds().items() if not kind.tflops_fp8} == {
        "T4-16GB",
        "V100-16GB",
        "V100-32GB",
        "A10G-24GB",
        "A100-40GB",
        "A100-80GB",
    }


def test_interconnect_is_read() -> None:
    assert gpu_kind("L40S-48GB").interconnect is Interconnect.PCIE
    assert gpu_kind("H100-80GB").interconnect is Interconnect.NVLINK


def test_node_label_names_the_kind() -> None:
    found = kind_of_product("NVIDIA-H100-80GB-HBM3")
    assert found is not None
    assert found.name == "H100-80GB"


@pytest.mark.parametrize("label", ["NVIDIA-L4-SHARED", "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", "NVIDIA-H100-PCIe", ""])
def test_slices_and_other_boards_are_not_mistaken_for_a_kind(label: str) -> None:
    assert kind_of_product(label) is None


def test_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidObjectError) as caught:
        gpu_kind("H100", field="spec.gpu.kind")
    assert caught.value.fault.reason is Reason.INVALID_SPEC
    assert "H100-80GB" in caught.value.fault.message
