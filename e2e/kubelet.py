"""A stand-in for the kubelet: runs the operator of a pod as a process of this machine.

KWOK says of a pod that it is Ready, and runs no container. So the operator is started here as a kubelet would start it:
the image's entry point, the container's own environment with its field references resolved, and a token of the pod's
ServiceAccount that is bound to the pod and as short-lived as its volume says. Its permissions, the admission policies
and its settings are therefore those of the chart. Three things differ, because the process shares the machine's network
and files: a kubeconfig takes the place of the mounted token, and metrics listen on another port of loopback.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from atoll.local.controlplane import ControlPlane
from atoll.local.ports import LOOPBACK
from atoll.local.processes import Command

_DOCKERFILE = Path(__file__).parents[1] / "Dockerfile"


def start_operator(plane: ControlPlane, pod: Mapping[str, Any], *, folder: Path, name: str, probe_port: int) -> None:
    """Run the container `operator` of a pod as a process of that name."""
    container = next(each for each in pod["spec"]["containers"] if each["name"] == "operator")
    arguments = [*container.get("command", entry_point()), *container.get("args", ())]
    assert arguments[0] == "python", "the image's python is this environment's"
    environment = {each["name"]: value_of(each, pod) for each in container.get("env", ())}
    environment |= {
        "ATOLL_KUBECONFIG": str(kubeconfig(plane, pod, folder)),
        "ATOLL_PROBE_HOST": LOOPBACK,
        "ATOLL_PROBE_PORT": str(probe_port),
        "PATH": os.environ["PATH"],
    }
    plane.processes.start(Command(name=name, arguments=(sys.executable, *arguments[1:]), environment=environment))


def entry_point() -> list[str]:
    """Of the operator's image."""
    lines = _DOCKERFILE.read_text(encoding="utf-8").splitlines()
    found: list[str] = json.loads(next(line.removeprefix("ENTRYPOINT") for line in lines if "ENTRYPOINT" in line))
    return found


def value_of(variable: Mapping[str, Any], pod: Mapping[str, Any]) -> str:
    """The value of an environment variable; of its sources only fields of the pod's metadata are known."""
    if "valueFrom" not in variable:
        return str(variable.get("value", ""))
    path = variable["valueFrom"]["fieldRef"]["fieldPath"]
    part, _, field = path.partition(".")
    assert part == "metadata", f"{path}: only metadata is resolved here"
    return str(pod["metadata"][field])


def kubeconfig(plane: ControlPlane, pod: Mapping[str, Any], folder: Path) -> Path:
    """A kubeconfig with a token such as the kubelet would mount."""
    account, namespace = pod["spec"]["serviceAccountName"], pod["metadata"]["namespace"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    volume = next(each for each in pod["spec"]["volumes"] if each["name"] == "token")
    wanted = next(s["serviceAccountToken"] for s in volume["projected"]["sources"] if "serviceAccountToken" in s)
    bound = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": wanted["expirationSeconds"], "boundObjectRef": bound},
    }
    with plane.api() as api:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        token = api.create(path, request)["status"]["token"]
    content = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    content["users"][0]["user"] = {"token": token}
    target = folder / f"{pod['metadata']['name']}.kubeconfig"
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(content), encoding="utf-8")
    return target
