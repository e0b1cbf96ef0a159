"""The real Envoy follows a ConfigMap: takes what is good, says which version it has, keeps it when fed nonsense."""

import json

import httpx
import pytest

from atoll.local.controlplane import ControlPlane
from atoll.local.envoy import LocalRouter, configuration_folder
from atoll.local.ports import LOOPBACK, free_ports

pytestmark = pytest.mark.timeout(900)

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
RDS = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def source(folder: str, name: str) -> dict[str, object]:
    watched = {"path": f"{folder}/{name}", "watched_directory": {"path": folder}}
    return {"resource_api_version": "V3", "path_config_source": watched}


def address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}


def bootstrap(folder: str, *, admin: int, ingress: int) -> str:
    manager = {
        "@type": HTTP,
        "stat_prefix": "ingress",
        "rds": {"route_config_name": "atoll", "config_source": source(folder, "rds.json")},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return json.dumps(
        {
            "node": {"id": "local", "cluster": "atoll"},
            "admin": {"address": address(admin)},
            "dynamic_resources": {"cds_config": source(folder, "cds.json")},
            "static_resources": {
                "listeners": [{"name": "ingress", "address": address(ingress), "filter_chains": [chain]}]
            },
        }
    )


def config_map(version: str, *, answer: str) -> dict[str, object]:
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": answer}}}
    routes = {
        "@type": RDS,
        "name": "atoll",
        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "router"},
        "data": {
            "cds.json": json.dumps({"version_info": version, "resources": []}),
            "rds.json": json.dumps({"version_info": version, "resources": [routes]}),
        },
    }


def test_envoy_follows_the_config_map(control_plane: ControlPlane) -> None:
    admin, ingress = free_ports(2)
    folder = configuration_folder(control_plane)
    router = LocalRouter(
        control_plane,
        bootstrap=bootstrap(str(folder), admin=admin, ingress=ingress),
        admin_url=f"http://{LOOPBACK}:{admin}",
        namespace="default",
        config_map="router",
    )

    def answers(text: str) -> bool:
        try:
            return httpx.get(f"http://{LOOPBACK}:{ingress}/", trust_env=False).text == text
        except httpx.TransportError:  # it listens a moment after it is ready
            return False

    with control_plane.api() as api, router:
        router.start()
        assert not folder.exists(), "no ConfigMap, no files, no Envoy"
        api.apply(f"{CONFIG_MAPS}/router", config_map("v1", answer="first"))
        router.wait_ready(seconds=90)
        control_plane.wait_until(lambda: answers("first"), what="first routes", seconds=60)

        api.apply(f"{CONFIG_MAPS}/router", config_map("v2", answer="second"))
        control_plane.wait_until(lambda: set(router.acknowledged_versions().values()) == {"v2"}, what="v2", seconds=60)
        control_plane.wait_until(lambda: answers("second"), what="second routes", seconds=60)

        control_plane.restart("kube-apiserver")
        broken = config_map("v3", answer="third")
        broken["data"] = {"cds.json": "nonsense: true", "rds.json": "version_info: [v3"}
        api.apply(f"{CONFIG_MAPS}/router", broken)
        control_plane.wait_until(
            lambda: (folder / "cds.json").read_text() == "nonsense: true", what="files swapped", seconds=60
        )
        assert set(router.acknowledged_versions().values()) == {"v2"}, "the last good configuration stays"
        assert answers("second")
        api.delete(f"{CONFIG_MAPS}/router")
        assert router.ends == (), "it never crashed"
