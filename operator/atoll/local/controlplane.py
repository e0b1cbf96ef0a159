"""Start, break and stop a whole local cluster.

The order matters: the store, the API server, what must exist before anything runs (custom resource definitions,
NodePools), then the controllers. Whatever fails on the way, what was started is ended before the error is seen.
"""

import json
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from atoll.local import audit, components, karpenter, kwok, pidfile
from atoll.local.api import Api
from atoll.local.binaries import Binaries
from atoll.local.cloud import SimulatedOffering, check_offerings, fixed_nodes, instance_types
from atoll.local.components import REQUESTS_PER_SECOND, Ports
from atoll.local.credentials import OPERATOR, authority_path, write_credentials
from atoll.local.losenode import lose_node
from atoll.local.ports import LOOPBACK, free_ports
from atoll.local.processes import Command, Processes
from atoll.local.schedulerprofile import scheduler_configuration
from atoll.local.state import StateDirectory, default_state_directory

START_SECONDS = 180.0
"""Longest wait for one component to answer; 2 to 4 s on an idle machine, far more while others compile on it."""

_CUSTOM_RESOURCES = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Provisioning(StrEnum):
    """Where nodes come from."""

    KARPENTER = "karpenter"
    """Nodes come with pods and go when empty."""
    FIXED = "fixed"
    """All obtainable nodes are there from the start; quicker, for tests that are not about provisioning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What kind of cluster to start."""

    offerings: tuple[SimulatedOffering, ...] = ()
    provisioning: Provisioning = Provisioning.KARPENTER
    pace: kwok.Pace = field(default_factory=kwok.Pace)
    operator_cluster_role: str = "cluster-admin"
    """ClusterRole of user `atoll-operator`; empty: bind nothing. `LocalFleet.install` grants what the chart grants."""
    advertise_address: str = LOOPBACK
    """Another address (in a network namespace of its own) makes the Service `kubernetes` real; see the module docs."""
    pod_cidr: str = "10.244.0.0/16"
    """Where simulated pods get their addresses from."""


class ControlPlane:
    """One local cluster in one state folder. A context manager: leaving it ends every process."""

    def __init__(self, *, binaries: Binaries, state_directory: Path | None = None, detached: bool = False) -> None:
        self.state = StateDirectory(root=(state_directory or default_state_directory()).absolute())
        self.processes = Processes(self.state, detached=detached)
        self._binaries = binaries
        self._ports = _choose_ports()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state.kubeconfig

    @property
    def operator_kubeconfig(self) -> Path:
        """The kubeconfig of user `atoll-operator`."""
        return self.state.operator_kubeconfig

    @property
    def apiserver_url(self) -> str:
        """Where the API server listens."""
        return f"https://{LOOPBACK}:{self._ports.apiserver}"

    @property
    def karpenter_metrics_url(self) -> str:
        """Where Karpenter tells Prometheus what it does."""
        return f"http://{LOOPBACK}:{self._ports.karpenter_metrics}/metrics"

    @property
    def kubectl_path(self) -> Path:
        """A kubectl of the cluster's own version."""
        return self._binaries.kubectl

    @property
    def audit_log(self) -> Path:
        """Every write so far; read it with `atoll.local.audit.writes`."""
        return self.state.audit_log

    def api(self) -> Api:
        """A client with the administrator's rights; the caller closes it."""
        return Api(self.kubeconfig)

    def start(self, profile: Profile) -> None:
        """Start a fresh cluster; data of an earlier one in the same folder is thrown away."""
        check_offerings(profile.offerings)
        self.state.create()
        self.processes.refuse_second_environment()
        try:
            self._start(profile)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process. Logs, kubeconfigs and data stay for inspection until the next start."""
        self.processes.stop_all()

    def restart(self, name: str) -> None:
        """End a component abruptly, start it again with the same command line and wait until it serves.

        KWOK misses what is bound while the API server is away, where a kubelet would list again: so it starts anew too.
        """
        self.processes.restart(name)
        if name == "etcd":
            self._await_etcd()
        if name in ("etcd", "kube-apiserver"):
            self._await_apiserver()
            self.processes.restart("kwok")

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a component a signal: SIGKILL for a crash, SIGSTOP and SIGCONT for a hang."""
        self.processes.kill(name, number)

    def lose_node(self, name: str) -> None:
        """Take a node away without notice."""
        lose_node(self.kubeconfig, name)

    def wait_until(self, condition: Callable[[], bool], *, what: str, seconds: float) -> None:
        """Wait until the condition holds; fail at once if a component ends by itself, and after `seconds`."""
        self.processes.wait_until(condition, what=what, seconds=seconds)

    def _start(self, profile: Profile) -> None:
        self._prepare(profile)
        self._run(components.etcd(self._binaries.etcd, self.state, self._ports))
        self._run(self._apiserver(profile))
        self._await_apiserver()
        with self.api() as api:
            _bind_operator(api, profile.operator_cluster_role)
            self._run(components.controller_manager(self._binaries.controller_manager, self.state, self._ports))
            self._run(components.scheduler(self._binaries.scheduler, self.state, self._ports))
            self._run(kwok.command(self._binaries.kwok, self.state, self._ports, pod_cidr=profile.pod_cidr))
            self._await_default_service_account(api)
            if profile.provisioning is Provisioning.KARPENTER:
                self._start_karpenter(api, profile)
            else:
                self._create_nodes(api, profile)

    def _prepare(self, profile: Profile) -> None:
        shutil.rmtree(self.state.etcd, ignore_errors=True)
        shutil.rmtree(self.state.pki, ignore_errors=True)
        for log in self.state.logs.iterdir():
            log.unlink()
        self.state.create()
        write_credentials(self.state, server=self.apiserver_url)
        scheduler = scheduler_configuration(
            kubeconfig=self.state.component_kubeconfig("kube-scheduler"), requests_per_second=REQUESTS_PER_SECOND
        )
        _write_yaml(components.audit_policy_path(self.state), audit.AUDIT_POLICY)
        _write_yaml(components.scheduler_configuration_path(self.state), scheduler)
        kwok.stages_path(self.state).write_text(kwok.stages_text(profile.pace), encoding="utf-8")
        sold = json.dumps(instance_types(profile.offerings), indent=1)
        karpenter.instance_types_path(self.state).write_text(sold, encoding="utf-8")

    def _apiserver(self, profile: Profile) -> Command:
        return components.apiserver(
            self._binaries.apiserver, self.state, self._ports, advertise_address=profile.advertise_address
        )

    def _run(self, command: Command) -> None:
        self.processes.start(command)

    def _await_etcd(self) -> None:
        """The API server's own readiness is a cached answer that may be older than the store's restart."""
        url = f"http://{LOOPBACK}:{self._ports.etcd_client}/readyz"

        def serves() -> bool:
            try:
                return httpx.get(url, trust_env=False).is_success
            except httpx.TransportError:
                return False

        self.processes.wait_until(serves, what="etcd ready", seconds=START_SECONDS)

    def _await_apiserver(self) -> None:
        def serves() -> bool:
            if not authority_path(self.state).exists():
                return False
            with self.api() as api:
                return api.ready()

        self.processes.wait_until(serves, what="kube-apiserver ready", seconds=START_SECONDS)

    def _await_default_service_account(self, api: Api) -> None:
        """Before it exists the API server refuses every pod of the namespace."""
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        self.processes.wait_until(
            lambda: api.get(path) is not None,
            what="service account default/default made by the controllers",
            seconds=START_SECONDS,
        )

    def _start_karpenter(self, api: Api, profile: Profile) -> None:
        names = [self._apply_custom_resource(api, path) for path in sorted(self._binaries.karpenter_crds.iterdir())]
        self.processes.wait_until(
            lambda: all(_established(api, name) for name in names),
            what="Karpenter's custom resources served",
            seconds=START_SECONDS,
        )
        karpenter.apply_cloud(api, profile.offerings, node_start_seconds=profile.pace.node_start_seconds)
        self._run(karpenter.command(self._binaries.karpenter, self.state, self._ports))
        self.processes.wait_until(
            lambda: all(_accepted(api, offering) for offering in profile.offerings),
            what="Karpenter accepts the NodePools",
            seconds=START_SECONDS,
        )

    def _apply_custom_resource(self, api: Api, path: Path) -> str:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        name: str = content["metadata"]["name"]
        api.apply(f"{_CUSTOM_RESOURCES}/{name}", content)
        return name

    def _create_nodes(self, api: Api, profile: Profile) -> None:
        nodes = fixed_nodes(profile.offerings)
        for node in nodes:
            api.create("/api/v1/nodes", node)
        self.processes.wait_until(
            lambda: sum(_condition(node, "Ready") for node in api.list("/api/v1/nodes")) >= len(nodes),
            what=f"{len(nodes)} simulated nodes Ready",
            seconds=START_SECONDS,
        )


def up(
    profile: Profile, *, binaries: Binaries, state_directory: Path | None = None, detached: bool = False
) -> ControlPlane:
    """Start a cluster. The caller stops it; `detached` ones outlive this process until `down`."""
    plane = ControlPlane(binaries=binaries, state_directory=state_directory, detached=detached)
    plane.start(profile)
    return plane


def down(state_directory: Path | None = None) -> tuple[str, ...]:
    """End what was started from a state folder, by whomever; returns the names of the processes ended.

    Only processes whose id **and** start time are recorded there are touched.
    """
    state = StateDirectory(root=(state_directory or default_state_directory()).absolute())
    ended = pidfile.end_all(pidfile.read_records(state.processes), patience_seconds=1.5)
    state.processes.unlink(missing_ok=True)
    return ended


def _choose_ports() -> Ports:
    names = Ports.__slots__
    return Ports(**dict(zip(names, free_ports(len(names)), strict=True)))


def _bind_operator(api: Api, cluster_role: str) -> None:
    if not cluster_role:
        return
    name = f"{OPERATOR}-local"
    api.apply(
        f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": OPERATOR}],
        },
    )


def _established(api: Api, name: str) -> bool:
    found = api.get(f"{_CUSTOM_RESOURCES}/{name}")
    return found is not None and _condition(found, "Established")


def _accepted(api: Api, offering: SimulatedOffering) -> bool:
    found = api.get(f"{karpenter.NODE_POOLS}/{offering.name}")
    return found is not None and _condition(found, "Ready")


def _condition(content: Mapping[str, Any], kind: str) -> bool:
    # A definition that was made just now has null for them.
    conditions = (content.get("status") or {}).get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def _write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
