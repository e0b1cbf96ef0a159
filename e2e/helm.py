"""Helm, and the chart of this repository."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from atoll.local.tools import ensure_tool

CHART = Path(__file__).parents[1] / "charts" / "atoll"
RELEASE = "atoll"
NAMESPACE = "atoll-system"


class HelmError(Exception):
    """What Helm said when it refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """One Helm with folders of its own, so that no setting of the machine's user matters.

    Attributes:
        program: the built helm.
        home: for its configuration, cache and data.
        kubeconfig: of the cluster; None where none is needed.
    """

    program: Path
    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str) -> str:
        """What Helm prints; HelmError with what it says where it refuses."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        environment |= {f"HELM_{kind}_HOME": str(self.home / kind) for kind in ("CONFIG", "CACHE", "DATA")}
        # A file that is not there, so that Helm finds no cluster by itself.
        environment["KUBECONFIG"] = str(self.kubeconfig or self.home / "none")
        done = subprocess.run(
            [str(self.program), *arguments], check=False, capture_output=True, text=True, env=environment
        )
        if done.returncode:
            raise HelmError(done.stderr)
        return done.stdout

    def template(self, *arguments: str, chart: Path = CHART) -> list[dict[str, Any]]:
        """Every object that the chart renders."""
        text = self.run("template", RELEASE, str(chart), "--namespace", NAMESPACE, *arguments)
        return [obj for obj in yaml.safe_load_all(text) if obj]


def helm(home: Path, kubeconfig: Path | None = None) -> Helm:
    """Helm as this repository pins it, built where it is not there yet."""
    return Helm(program=ensure_tool("helm"), home=home, kubeconfig=kubeconfig)
