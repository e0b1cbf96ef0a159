"""Atoll against a cluster that is there already, with care: it recommends, and moves nothing without an approval."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import which

import yaml

from atoll.api.crd import render
from atoll.api.v1alpha1.kinds import RESOURCES
from atoll.local.binaries import locate, needs_checkout
from atoll.local.errors import LocalEnvironmentError
from atoll.local.fleet import NAMESPACE, documents_of

Say = Callable[[str], None]


def run_against(kubeconfig: Path, paths: Sequence[Path], *, say: Say, confirm: Callable[[str], None]) -> None:
    """Install into a cluster, run the operator beside it, and stay until interrupted.

    Args:
        kubeconfig: of the cluster; its current context is used.
        paths: manifests; the Fleet is applied as ``mode: Recommend`` whatever it says.
        say: prints a line.
        confirm: asks a question, and raises where the answer is no.
    """
    kubectl = _Kubectl(kubeconfig)
    context = kubectl.read("config", "current-context").strip()
    say(f"Cluster: {kubectl.read('cluster-info').splitlines()[0]}")
    confirm(f"Apply Atoll's definitions, namespace {NAMESPACE} and these manifests to context {context!r}?")
    with tempfile.TemporaryDirectory() as folder:
        definitions, prepared = Path(folder) / "definitions.yaml", Path(folder) / "manifests.yaml"
        definitions.write_text("---\n".join(map(render, RESOURCES)), encoding="utf-8")
        kubectl.run("apply", "--server-side", "-f", str(definitions))
        kubectl.run("wait", "--for=condition=Established", "--timeout=60s", "-f", str(definitions))
        prepared.write_text(yaml.safe_dump_all(_recommending(paths)), encoding="utf-8")
        kubectl.run("apply", "--server-side", "-f", str(prepared))
    say("The Fleet recommends: see `kubectl get plan`, and approve one with")
    say('  kubectl patch plan NAME --type=merge -p \'{"spec":{"approved":true}}\'')
    say("The operator runs here until Ctrl-C; what it made stays.")
    # A kubeconfig may name a program that gets a token, as those of clouds do: it needs its path and its home.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ATOLL_")} | {
        "ATOLL_KUBECONFIG": str(kubeconfig.absolute()),
        "ATOLL_LOG_JSON": "false",
        "ATOLL_PROBE_HOST": "127.0.0.1",
        "ATOLL_PROBE_PORT": "0",
    }
    subprocess.run([sys.executable, "-m", "atoll.main"], env=environment, check=True)  # ourselves


def _recommending(paths: Sequence[Path]) -> list[dict[str, object]]:
    """The manifests with every Fleet in mode Recommend, and the namespace of the operator first."""
    namespace: dict[str, object] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    documents: list[dict[str, object]] = [namespace]
    fleets = 0
    for obj in (obj for path in paths for obj in documents_of(path)):
        if obj.get("kind") == "Fleet":
            fleets += 1
            documents.append({**obj, "spec": {**(obj.get("spec") or {}), "mode": "Recommend"}})
        else:
            documents.append(obj)
    if not fleets:
        fleet = {"apiVersion": "atoll.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "default"}}
        documents.append({**fleet, "spec": {"mode": "Recommend"}})
    return documents


def _built() -> str:
    """The kubectl that was built for this checkout; empty where it was not built, or there is no checkout."""
    try:
        needs_checkout()
    except LocalEnvironmentError:
        return ""
    built = locate().kubectl
    return str(built) if built.is_file() else ""


class _Kubectl:
    """kubectl, ours where it was built, on one kubeconfig; never on the one in the environment."""

    def __init__(self, kubeconfig: Path) -> None:
        if not kubeconfig.is_file():
            raise LocalEnvironmentError(f"kubeconfig {kubeconfig}: no such file; name the one of your cluster")
        program = _built() or which("kubectl")
        if program is None:
            raise LocalEnvironmentError("kubectl: not found; install it, it is what applies manifests to your cluster")
        self._command = (program, "--kubeconfig", str(kubeconfig.absolute()))

    def read(self, *arguments: str) -> str:
        """What a command prints; LocalEnvironmentError with its own words where it fails."""
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise LocalEnvironmentError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def run(self, *arguments: str) -> None:
        """Run a command."""
        self.read(*arguments)
