"""The options of every command that asks a cluster, in kubectl's words, and what they lead to."""

import os
from pathlib import Path
from typing import Annotated

import typer

from atoll.cluster.access import Access

Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        envvar="KUBECONFIG",
        metavar="FILE",
        help="Kubeconfig of the cluster; default: ~/.kube/config, or the service account of the pod.",
    ),
]
Context = Annotated[str, typer.Option(metavar="NAME", help="Context of the kubeconfig; default: its own.")]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NAME", help="Only ModelDemands of this namespace.")
]
AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="ModelDemands of all namespaces; so it is without -n.")
]
FleetName = Annotated[str, typer.Option("--fleet", metavar="NAME", help="Name of the Fleet.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def access_of(kubeconfig: Path | None, context: str) -> Access:
    """Where the cluster is: the file named, else the default one, else the pod's service account where there is one."""
    path = kubeconfig or Path.home() / ".kube" / "config"
    if kubeconfig is None and not path.is_file() and "KUBERNETES_SERVICE_HOST" in os.environ:
        return Access()
    return Access(kubeconfig=path, context=context)


def only_one_scope(namespace: str, *, everywhere: bool) -> None:
    """Refuse ``-n`` together with ``-A``."""
    if namespace and everywhere:
        raise typer.BadParameter("give one of them", param_hint="--namespace / --all-namespaces")
