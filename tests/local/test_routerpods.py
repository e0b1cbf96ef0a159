import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.fleet import RouterPolicy
from atoll.local.coredns import corefile
from atoll.local.routerpods import RouterPod, localised, loopback_of
from atoll.render.router.configuration import router_configuration
from atoll.render.router.routing import RouterSettings

ADDRESSES = st.ip_addresses(v=4, network="10.244.0.0/16").map(str)


@given(ADDRESSES, ADDRESSES)
def test_router_pods_have_loopbacks_of_their_own(one: str, other: str) -> None:
    assert loopback_of(one).startswith("127.")
    assert (loopback_of(one) == loopback_of(other)) == (one == other)


def test_a_bootstrap_binds_its_pods_addresses_only_and_asks_the_local_dns(tmp_path: Path) -> None:
    settings = RouterSettings()
    text = router_configuration((), settings, RouterPolicy()).files["bootstrap.json"]
    pod = RouterPod(name="atoll-router-0", address="10.244.1.7", loopback="127.244.1.7", folder=tmp_path)
    found = localised(text, settings, pod, dns_port=5353)
    content = json.loads(found)
    listeners = [each["address"]["socket_address"]["address"] for each in content["static_resources"]["listeners"]]
    assert set(listeners) == {"10.244.1.7"}
    assert content["admin"]["address"]["socket_address"]["address"] == "127.244.1.7"
    resolver = content["typed_dns_resolver_config"]["typed_config"]["resolvers"]
    assert resolver == [{"socket_address": {"address": "127.0.0.1", "port_value": 5353}}]
    assert settings.config_directory not in found
    assert "0.0.0.0" not in found  # noqa: S104  # what must not be there
    assert content["dynamic_resources"]["cds_config"]["path_config_source"]["path"] == f"{tmp_path}/cds.json"


def test_cluster_dns_answers_on_loopback_and_keeps_answers_for_a_second() -> None:
    text = corefile(Path("/state/kubeconfig"), port=5353, ready_port=5354)
    assert text.startswith("cluster.local:5353 {\n    bind 127.0.0.1\n")
    assert "kubeconfig /state/kubeconfig" in text
    assert "ttl 1\n" in text
    assert text.count("{") == text.count("}") == 2
