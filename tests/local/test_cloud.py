import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from atoll.local.cloud import GPU_RESOURCE, SimulatedOffering, check_offerings, fixed_nodes, instance_types
from atoll.local.development import DEVELOPMENT_OFFERINGS
from atoll.local.errors import LocalEnvironmentError
from atoll.local.karpenter import node_class, node_pool
from golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"
L4 = tuple(each for each in DEVELOPMENT_OFFERINGS if each.instance_type == "g6.xlarge")


def yaml_text(*content: Any) -> str:
    return yaml.safe_dump_all(content, sort_keys=False)


def test_instance_types_are_karpenters_file_format() -> None:
    assert_golden(GOLDEN / "instance-types.json", json.dumps(instance_types(DEVELOPMENT_OFFERINGS), indent=1) + "\n")


def test_each_offering_is_one_node_pool_with_its_scarcity_as_limit() -> None:
    assert_golden(GOLDEN / "node-pool.yaml", yaml_text(node_class(node_start_seconds=2), node_pool(L4[1])))
    for each in DEVELOPMENT_OFFERINGS:
        assert node_pool(each)["spec"]["limits"] == {GPU_RESOURCE: str(each.gpus * each.obtainable_nodes)}


def test_fixed_nodes_carry_what_karpenters_nodes_carry() -> None:
    nodes = fixed_nodes(L4[:1])
    assert len(nodes) == L4[0].obtainable_nodes
    assert_golden(GOLDEN / "fixed-node.yaml", yaml_text(nodes[0]))


def test_the_order_of_offerings_does_not_change_the_file() -> None:
    assert instance_types(reversed(DEVELOPMENT_OFFERINGS)) == instance_types(DEVELOPMENT_OFFERINGS)


@pytest.mark.parametrize(
    ("instance_type", "name"),
    [
        ("p5.48xlarge", "us-east-1a-p5-48xlarge-spot"),
        ("Standard_NC40ads_H100_v5", "us-east-1a-standard-nc40ads-h100-v5-spot"),
    ],
)
def test_names_are_label_values(instance_type: str, name: str) -> None:
    assert offering(instance_type=instance_type, capacity_type="spot").name == name


def test_long_names_are_cut_and_stay_different() -> None:
    one, other = (offering(instance_type="x" * 80 + end).name for end in "ab")
    assert len(one) == len(other) == 63
    assert one != other


def test_an_offering_given_twice_is_refused() -> None:
    with pytest.raises(LocalEnvironmentError, match="us-east-1a-g6-xlarge-on-demand: given twice"):
        check_offerings((L4[0], L4[0]))


def test_an_instance_type_in_two_sizes_is_refused() -> None:
    with pytest.raises(LocalEnvironmentError, match="give every offering of an instance type the same size"):
        check_offerings((L4[0], replace(L4[1], memory_mib=1)))


def test_development_offerings_are_consistent() -> None:
    check_offerings(DEVELOPMENT_OFFERINGS)


@pytest.mark.parametrize("change", [{"capacity_type": "reserved"}, {"gpus": 0}, {"obtainable_nodes": -1}])
def test_what_no_cloud_sells_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(LocalEnvironmentError, match=r"simulated offering g6\.xlarge in us-east-1a"):
        offering(**change)


def offering(**change: Any) -> SimulatedOffering:
    return replace(L4[0], **change)
