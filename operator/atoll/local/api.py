"""A small client for the local API server: a kubeconfig with a token, JSON in, JSON out.

The operator's own client is not used here on purpose: what sets the stage must not share faults with what is tested.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from atoll.local.errors import LocalEnvironmentError

FIELD_MANAGER = "atoll-local"
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a kubeconfig says about its current context."""

    server: str
    token: str
    authority: Path


def read_access(kubeconfig: Path) -> Access:
    """The server, the token and the certificate authority of a kubeconfig that this package wrote."""
    try:
        content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        return Access(server=cluster["server"], token=user["token"], authority=Path(cluster["certificate-authority"]))
    except FileNotFoundError as error:
        raise LocalEnvironmentError(
            f"kubeconfig {kubeconfig}: no such file; start the local environment first (`make run`)"
        ) from error
    except (KeyError, IndexError, TypeError) as error:
        raise LocalEnvironmentError(
            f"kubeconfig {kubeconfig}: has no {error} as the local environment writes it; "
            "name the kubeconfig in its state folder, not one of another cluster"
        ) from error


def tls_context(access: Access) -> ssl.SSLContext:
    """Trust the local API server's own authority and nothing else."""
    return ssl.create_default_context(cafile=str(access.authority))


class Api:
    """Requests to the API server of one kubeconfig, on loopback, so proxy settings are ignored."""

    def __init__(self, kubeconfig: Path) -> None:
        access = read_access(kubeconfig)
        self._client = httpx.Client(
            base_url=access.server,
            headers={"Authorization": f"Bearer {access.token}"},
            verify=tls_context(access),
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str) -> dict[str, Any] | None:
        """One object, or None if there is none."""
        answer = self._client.get(path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _content(answer)

    def list(self, path: str, *, selector: str = "", fields: str = "") -> list[dict[str, Any]]:
        """The items of a collection, by label selector and field selector."""
        answer = self._client.get(path, params={"labelSelector": selector, "fieldSelector": fields})
        return list(_content(answer)["items"])

    def apply(self, path: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Create or change an object by server-side apply."""
        return self._patch(path, content, "application/apply-patch+yaml", force="true", fieldManager=FIELD_MANAGER)

    def create(self, path: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object in a collection."""
        return _content(self._client.post(path, json=content))

    def merge(self, path: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Change fields of an object by JSON merge patch."""
        return self._patch(path, change, "application/merge-patch+json")

    def delete(self, path: str, *, grace_seconds: int | None = None) -> bool:
        """Delete an object; False if there was none."""
        parameters = {} if grace_seconds is None else {"gracePeriodSeconds": str(grace_seconds)}
        answer = self._client.delete(path, params=parameters)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        _content(answer)
        return True

    def ready(self) -> bool:
        """Whether the API server serves requests."""
        try:
            return self._client.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _patch(self, path: str, content: Mapping[str, Any], kind: str, **parameters: str) -> dict[str, Any]:
        return _content(
            self._client.request("PATCH", path, params=parameters, json=content, headers={"Content-Type": kind})
        )


def _content(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        content: dict[str, Any] = answer.json()
        return content
    raise LocalEnvironmentError(
        f"{answer.request.method} {answer.request.url.path}: the API server answered {answer.status_code}: "
        f"{answer.text[:500]}"
    )
