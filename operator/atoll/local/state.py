"""Where the local environment keeps its files: one folder, one noun per path, so that nobody joins paths by hand."""

import os
from dataclasses import dataclass
from pathlib import Path

STATE_VARIABLE = "ATOLL_LOCAL_DIR"
"""Environment variable that moves the state folder; two environments can run side by side in two folders."""


def default_state_directory() -> Path:
    """`ATOLL_LOCAL_DIR`, or `atoll/local` in the user's XDG state folder."""
    chosen = os.environ.get(STATE_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "atoll" / "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDirectory:
    """The paths below one state folder."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """For people and tests: user `atoll-admin`, a cluster administrator."""
        return self.root / "kubeconfig"

    @property
    def operator_kubeconfig(self) -> Path:
        """For the operator: user `atoll-operator`, so that the audit log tells its writes from all others."""
        return self.root / "operator.kubeconfig"

    def component_kubeconfig(self, name: str) -> Path:
        """For one component of the cluster, under its own user."""
        return self.pki / f"{name}.kubeconfig"

    @property
    def pki(self) -> Path:
        """Keys, certificates and tokens; readable by the owner only."""
        return self.root / "pki"

    @property
    def etcd(self) -> Path:
        """The cluster's data."""
        return self.root / "etcd"

    @property
    def configuration(self) -> Path:
        """Files that components are started with: scheduler profiles, stages, audit policy, instance types."""
        return self.root / "configuration"

    @property
    def logs(self) -> Path:
        """One `<process>.log` per process."""
        return self.root / "logs"

    @property
    def audit_log(self) -> Path:
        """Every write that the API server accepted or refused, one JSON event per line."""
        return self.logs / "audit.jsonl"

    @property
    def processes(self) -> Path:
        """Which processes were started: identity, not only process id."""
        return self.root / "processes.json"

    @property
    def router(self) -> Path:
        """Envoy's bootstrap file, and the folder `config` that the stand-in kubelet fills."""
        return self.root / "router"

    def create(self) -> None:
        """Make the folders, closed to other users."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.pki, self.configuration, self.logs, self.router):
            folder.mkdir(mode=0o700, exist_ok=True)
