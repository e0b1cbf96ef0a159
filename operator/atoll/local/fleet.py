"""A whole Atoll on a local cluster: resources installed, router fed, operator running. `make run` and e2e share it."""

import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import yaml

from atoll.api.documents import files_of
from atoll.domain.fleet import RouterPolicy
from atoll.domain.objects import KINDS, OUR_KINDS, Kind
from atoll.local.api import Api
from atoll.local.controlplane import ControlPlane
from atoll.local.credentials import OPERATOR
from atoll.local.envoy import LocalRouter, configuration_folder
from atoll.local.errors import LocalEnvironmentError
from atoll.local.grants import grants
from atoll.local.ports import LOOPBACK, free_ports
from atoll.local.processes import Command
from atoll.render.router.bootstrap import bootstrap
from atoll.render.router.routing import RouterSettings

NAMESPACE = "atoll-system"
OPERATOR_PROCESS = "operator"

_CRDS = Path(__file__).parents[3] / "crds"
_CUSTOM_RESOURCES = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_INSTALL_SECONDS = 90.0

_STOP_SECONDS = 15.0
"""For an operator that ends: it releases its Lease, so that the next one need not wait until that runs out."""


class LocalFleet:
    """Atoll on one local cluster. A context manager: leaving it ends operator and router, not the cluster."""

    def __init__(
        self, plane: ControlPlane, *, environment: Mapping[str, str] | None = None, operator: str = OPERATOR_PROCESS
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            plane: the cluster.
            environment: further settings of the operator.
            operator: name of its process and log, where several run on one cluster.
        """
        self._plane = plane
        self._operator = operator
        self.environment = dict(environment or {})
        port, status_port, admin_port, self._dns_port, self.probe_port = free_ports(5)
        self.settings = RouterSettings(
            config_directory=str(configuration_folder(plane)),
            address=LOOPBACK,
            port=port,
            status_address=LOOPBACK,
            status_port=status_port,
            admin_port=admin_port,
        )
        self.router = LocalRouter(
            plane,
            bootstrap=self._bootstrap(),
            admin_url=self.router_status_url,
            namespace=self.settings.namespace,
            config_map=self.settings.name,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def router_status_url(self) -> str:
        """Where the local Envoy says which configuration it has taken."""
        return f"http://{LOOPBACK}:{self.settings.status_port}"

    def install(self) -> None:
        """Apply the definitions, the namespace, the operator's permissions, and a node without GPUs for router pods."""
        with self._plane.api() as api:
            for path in sorted(_CRDS.glob("*.yaml")):
                _apply_definition(api, path)
            api.apply(f"/api/v1/namespaces/{NAMESPACE}", _namespace())
            install_system_node(api)
            for obj in grants(namespace=NAMESPACE, user=OPERATOR):
                api.apply(f"{_RBAC}{_path_of_grant(obj)}", obj)
            self._plane.wait_until(
                lambda: all(_served(api, kind) for kind in OUR_KINDS),
                what="Atoll's custom resource definitions served",
                seconds=_INSTALL_SECONDS,
            )

    def start_router(self) -> None:
        """Start the stand-in kubelet, and Envoy as soon as its ConfigMap is there."""
        self.router.start()

    def start_operator(self) -> None:
        """Start the operator as its own user, as it would run in a pod."""
        self._plane.processes.start(
            Command(
                name=self._operator,
                arguments=(sys.executable, "-m", "atoll.main"),
                environment={
                    "ATOLL_KUBECONFIG": str(self._plane.operator_kubeconfig),
                    "ATOLL_LOG_JSON": "false",
                    "ATOLL_PROBE_HOST": LOOPBACK,
                    "ATOLL_PROBE_PORT": str(self.probe_port),
                    "PATH": os.environ.get("PATH", ""),
                    **self.environment,
                },
            )
        )

    def kill_operator(self) -> None:
        """End the operator without a chance to clean up; it can be started again."""
        self._plane.kill(self._operator, signal.SIGKILL)
        self.stop_operator()

    def stop_operator(self) -> None:
        """End the operator as a rollout would: it releases its Lease. Nothing where it does not run."""
        if self._plane.processes.has(self._operator):
            self._plane.processes.end(self._operator, patience_seconds=_STOP_SECONDS)

    def apply(self, paths: Iterable[Path]) -> None:
        """Apply manifests as a user would; the Fleet's routers are the local Envoy, a Fleet that is missing is made."""
        documents = [obj for path in paths for obj in documents_of(path)]
        if not any(obj.get("kind") == "Fleet" for obj in documents):
            documents.insert(0, {"apiVersion": "atoll.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "default"}})
        with self._plane.api() as api:
            for obj in documents:
                api.apply(resource_path(obj), self.localised(obj))

    def localised(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """A manifest as it must be here: versions are read from the local Envoy, since simulated pods run none."""
        if obj.get("kind") != "Fleet":
            return dict(obj)
        spec = dict(obj.get("spec") or {})
        acknowledgement = {"mode": "Endpoints", "endpoints": [self.router_status_url]}
        spec["router"] = {**(spec.get("router") or {}), "acknowledgement": acknowledgement}
        return {**obj, "spec": spec}

    def close(self) -> None:
        """End operator and router."""
        self.stop_operator()
        self.router.close()

    def _bootstrap(self) -> str:
        """The router's own bootstrap on loopback ports; names of Services are asked of nobody outside this machine."""
        content = bootstrap(self.settings, RouterPolicy())
        nobody = {"socket_address": {"address": LOOPBACK, "port_value": self._dns_port}}
        content["typed_dns_resolver_config"]["typed_config"]["resolvers"] = [nobody]
        return msgspec.json.encode(content).decode()


def install_system_node(api: Api) -> None:
    """Make a node for pods without GPUs, such as the router's."""
    node = _system_node()
    api.apply(f"/api/v1/nodes/{node['metadata']['name']}", node)


def resource_path(obj: Mapping[str, Any]) -> str:
    """REST path of one of our objects; LocalEnvironmentError for any other kind."""
    kind = KINDS.get(str(obj.get("kind")))
    if kind is None or kind not in OUR_KINDS:
        raise LocalEnvironmentError(f"{obj.get('kind')}: not one of Atoll's kinds; apply it with kubectl")
    metadata = obj["metadata"]
    scope = f"/namespaces/{metadata.get('namespace', 'default')}" if kind.namespaced else ""
    return f"{kind.path}{scope}/{kind.plural}/{metadata['name']}"


def documents_of(path: Path) -> list[dict[str, Any]]:
    """All YAML documents of a file, or of a folder and its sub-folders: of the files that a plan reads."""
    return [obj for file in files_of([path]) for obj in yaml.safe_load_all(file.read_text(encoding="utf-8")) if obj]


def _path_of_grant(obj: Mapping[str, Any]) -> str:
    metadata = obj["metadata"]
    scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{scope}/{obj['kind'].lower()}s/{metadata['name']}"


def _apply_definition(api: Api, path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    api.apply(f"{_CUSTOM_RESOURCES}/{content['metadata']['name']}", content)


def _served(api: Api, kind: Kind) -> bool:
    """Whether objects of the kind can be read: an Established definition still answers 404 or 429 for a moment."""
    try:
        api.list(f"{kind.path}/{kind.plural}")
    except LocalEnvironmentError:
        return False
    return True


def _namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def _system_node() -> dict[str, Any]:
    """Where pods without GPUs go, such as the router's."""
    size = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "100Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "system-0", "labels": {"kubernetes.io/hostname": "system-0", "kubernetes.io/os": "linux"}},
        "status": {"capacity": size, "allocatable": size},
    }
