"""The router's files for one allocation, and the ConfigMap that carries them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atoll.domain.fleet import RouterPolicy
from atoll.domain.objects import CONFIG_MAP
from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.render import names
from atoll.render.router.bootstrap import BOOTSTRAP_FILE, CLUSTERS_FILE, ROUTES_FILE, bootstrap_text
from atoll.render.router.clusters import clusters
from atoll.render.router.routes import route_configuration
from atoll.render.router.routing import RoutedModel, RouterSettings

SIZE_LIMIT_BYTES = 900 * 1024
"""Largest ConfigMap that is written; the API server refuses 1 MiB."""

COMPONENT = "router"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfiguration:
    """What the router reads.

    Attributes:
        version: hash of clusters and routes; routers report it once they have taken it.
        files: content by file name.
    """

    version: str
    files: Mapping[str, str]


def router_configuration(
    models: tuple[RoutedModel, ...], settings: RouterSettings, policy: RouterPolicy
) -> RouterConfiguration:
    """The files for these models, in their order; of a served name that is given twice the first model keeps it."""
    routes = [route_configuration(models, policy)]
    endpoints = clusters(models, policy)
    version = names.content_hash([endpoints, routes])
    return RouterConfiguration(
        version=version,
        files={
            BOOTSTRAP_FILE: bootstrap_text(settings, policy),
            CLUSTERS_FILE: _discovery(version, endpoints),
            ROUTES_FILE: _discovery(version, routes),
        },
    )


def router_config_map(configuration: RouterConfiguration, settings: RouterSettings) -> dict[str, Any]:
    """The ConfigMap; InvalidObjectError (RouterConfigTooLarge) beyond 900 KiB, so that the last good one stays."""
    size = sum(len(name) + len(text.encode()) for name, text in configuration.files.items())
    if size > SIZE_LIMIT_BYTES:
        raise InvalidObjectError(
            Fault(
                reason=Reason.ROUTER_CONFIG_TOO_LARGE,
                message=f"the router's configuration would be {size} bytes of at most {SIZE_LIMIT_BYTES}: serve fewer"
                " models in this cluster; the last good configuration stays",
            )
        )
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.name,
        "metadata": {
            "name": settings.name,
            "namespace": settings.namespace,
            "labels": router_labels(),
            "annotations": {names.ROUTER_VERSION: configuration.version},
        },
        "data": dict(configuration.files),
    }


def router_labels() -> dict[str, str]:
    """Labels of the router's objects; its pods are selected by them."""
    return {names.MANAGED_BY: names.FIELD_MANAGER, names.COMPONENT: COMPONENT}


def _discovery(version: str, resources: list[dict[str, Any]]) -> str:
    return names.compact_json({"version_info": version, "resources": resources})
