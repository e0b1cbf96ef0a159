"""Settings of one operator process: from the environment, frozen at the start."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from atoll.domain.fleet import SCHEDULER
from atoll.render.router.pods import RouterPods
from atoll.render.router.routing import RouterSettings
from atoll.signals.fetch import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the operator runs; what the fleet should be is in Fleet.

    Attributes:
        kubeconfig: to use outside a cluster; None for the pod's service account.
        context: of the kubeconfig; empty for its current one.
        namespace: of the operator's own objects: Lease, router.
        fleet: name of the Fleet that it looks after.
        identity: that it holds the Lease by.
        probe_port: of metrics and probes; 0 for any free port.
        probe_host: address they listen on; empty for all.
        router: where the router runs and listens.
        scheduler: kube-scheduler profile of engine pods.
        debounce_seconds: from a change to the look at it, seconds.
        tick_seconds: between two looks while nothing changes, seconds.
        solver_memory_mib: most memory of the solver's process, MiB.
        log_level: Python's name of the least level logged.
        prometheus: where measured demand is asked for; None where there is none.
        log_json: one JSON object a line instead of text.
    """

    kubeconfig: Path | None = None
    context: str = ""
    namespace: str = "atoll-system"
    fleet: str = "default"
    identity: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")
    probe_port: int = 8081
    probe_host: str = ""
    router: RouterSettings = field(default_factory=RouterSettings)
    scheduler: str = SCHEDULER
    debounce_seconds: float = 0.3
    tick_seconds: float = 5.0
    solver_memory_mib: int = 4096
    log_level: str = "INFO"
    prometheus: Server | None = None
    log_json: bool = True


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Settings from ``ATOLL_*`` variables; what is not set has its default.

    Raises ValueError naming the variable, its value and what is expected.
    """
    defaults = Settings()
    namespace = environment.get("ATOLL_NAMESPACE", defaults.namespace)
    kubeconfig = environment.get("ATOLL_KUBECONFIG", "")
    return Settings(
        kubeconfig=Path(kubeconfig) if kubeconfig else None,
        context=environment.get("ATOLL_CONTEXT", ""),
        namespace=namespace,
        fleet=environment.get("ATOLL_FLEET", defaults.fleet),
        identity=environment.get("ATOLL_IDENTITY", defaults.identity),
        probe_port=int(_number(environment, "ATOLL_PROBE_PORT", defaults.probe_port)),
        probe_host=environment.get("ATOLL_PROBE_HOST", defaults.probe_host),
        router=RouterSettings(namespace=namespace, pods=_router_pods(environment)),
        scheduler=environment.get("ATOLL_SCHEDULER", defaults.scheduler),
        debounce_seconds=_number(environment, "ATOLL_DEBOUNCE_SECONDS", defaults.debounce_seconds),
        tick_seconds=_number(environment, "ATOLL_TICK_SECONDS", defaults.tick_seconds),
        solver_memory_mib=int(_number(environment, "ATOLL_SOLVER_MEMORY_MIB", defaults.solver_memory_mib)),
        log_level=environment.get("ATOLL_LOG_LEVEL", defaults.log_level),
        prometheus=_prometheus(environment),
        log_json=environment.get("ATOLL_LOG_JSON", "true") == "true",
    )


class _RouterWorkload(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """:class:`RouterPods` as the chart writes it, in Kubernetes' words; what is left out has its default."""

    image: str | msgspec.UnsetType = msgspec.UNSET
    replicas: int | msgspec.UnsetType = msgspec.UNSET
    autoscaled: bool | msgspec.UnsetType = msgspec.UNSET
    image_pull_secrets: tuple[dict[str, str], ...] | msgspec.UnsetType = msgspec.UNSET
    pod_annotations: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    pod_labels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    node_selector: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    tolerations: tuple[dict[str, Any], ...] | msgspec.UnsetType = msgspec.UNSET
    affinity: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    priority_class_name: str | msgspec.UnsetType = msgspec.UNSET
    service_type: str | msgspec.UnsetType = msgspec.UNSET
    service_annotations: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


def _router_pods(environment: Mapping[str, str]) -> RouterPods:
    text = environment.get("ATOLL_ROUTER_WORKLOAD", "{}")
    try:
        found = msgspec.json.decode(text, type=_RouterWorkload)
    except msgspec.MsgspecError as error:
        raise ValueError(f"ATOLL_ROUTER_WORKLOAD={text!r}: {error}; the chart writes it from its values") from error
    return RouterPods(**{k: v for k, v in msgspec.structs.asdict(found).items() if v is not msgspec.UNSET})


def _prometheus(environment: Mapping[str, str]) -> Server | None:
    url = environment.get("ATOLL_PROMETHEUS_URL", "")
    if not url:
        return None
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"ATOLL_PROMETHEUS_URL={url!r}: expected an http or https URL")
    token, authorities = (environment.get(f"ATOLL_PROMETHEUS_{name}_FILE", "") for name in ("TOKEN", "CA"))
    if authorities and not Path(authorities).is_file():
        raise ValueError(f"ATOLL_PROMETHEUS_CA_FILE={authorities!r}: expected a file; mount the authorities there")
    return Server(
        url=url,
        token_file=Path(token) if token else None,
        ca_file=Path(authorities) if authorities else None,
        seconds=_number(environment, "ATOLL_PROMETHEUS_TIMEOUT_SECONDS", 10.0),
    )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    if text is None:
        return default
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name}={text!r}: expected a number, such as {default:g}") from None
