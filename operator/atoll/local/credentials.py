"""Who may talk to the local API server: one user with one token per component, so that the audit log names the writer.

No OpenSSL is needed: the API server makes its own serving certificate, and the one key that must exist before it (the
one that signs service-account tokens) is on an elliptic curve, where a private key is just a random number.
"""

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path

import yaml

from atoll.local.state import StateDirectory

ADMINISTRATOR = "atoll-admin"
OPERATOR = "atoll-operator"
KWOK = "kwok"
KARPENTER = "karpenter"
CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
_MASTERS = "system:masters"

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P256_IDENTIFIER = bytes.fromhex("06082a8648ce3d030107")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of the cluster and where its kubeconfig lies."""

    name: str
    group: str
    kubeconfig: Path


def users(state: StateDirectory) -> tuple[User, ...]:
    """All users of a local cluster. KWOK and Karpenter play the cloud, so they may do anything."""
    return (
        User(name=ADMINISTRATOR, group=_MASTERS, kubeconfig=state.kubeconfig),
        User(name=OPERATOR, group="atoll:operators", kubeconfig=state.operator_kubeconfig),
        User(name=KWOK, group=_MASTERS, kubeconfig=state.component_kubeconfig("kwok")),
        User(name=KARPENTER, group=_MASTERS, kubeconfig=state.component_kubeconfig("karpenter")),
        User(
            name=CONTROLLER_MANAGER,
            group="system:authenticated",
            kubeconfig=state.component_kubeconfig("kube-controller-manager"),
        ),
        User(name=SCHEDULER, group="system:authenticated", kubeconfig=state.component_kubeconfig("kube-scheduler")),
    )


def write_credentials(state: StateDirectory, *, server: str) -> None:
    """Write the signing key, the token file and a kubeconfig per user."""
    _write_private(signing_key_path(state), signing_key(1 + secrets.randbelow(_P256_ORDER - 1)))
    tokens = {user.name: secrets.token_hex(16) for user in users(state)}
    lines = (f'{tokens[user.name]},{user.name},{user.name},"{user.group}"' for user in users(state))
    _write_private(token_path(state), "\n".join(lines) + "\n")
    for user in users(state):
        text = kubeconfig(user=user.name, token=tokens[user.name], server=server, authority=authority_path(state))
        _write_private(user.kubeconfig, text)


def kubeconfig(*, user: str, token: str, server: str, authority: Path) -> str:
    """A kubeconfig with one cluster, one user and one context, all named after what they are."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "atoll-local", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "atoll-local", "context": {"cluster": "atoll-local", "user": user}}],
        "current-context": "atoll-local",
    }
    return yaml.safe_dump(content, sort_keys=False)


def signing_key(scalar: int) -> str:
    """A P-256 private key as PEM (RFC 5915; the public half is optional and left out)."""
    body = b"\x02\x01\x01" + b"\x04\x20" + scalar.to_bytes(32, "big") + b"\xa0\x0a" + _P256_IDENTIFIER
    encoded = base64.encodebytes(b"\x30" + bytes([len(body)]) + body).decode("ascii")
    return f"-----BEGIN EC PRIVATE KEY-----\n{encoded}-----END EC PRIVATE KEY-----\n"


def signing_key_path(state: StateDirectory) -> Path:
    """The key that signs and checks service-account tokens."""
    return state.pki / "service-account.key"


def token_path(state: StateDirectory) -> Path:
    """The API server's list of static tokens."""
    return state.pki / "tokens.csv"


def authority_path(state: StateDirectory) -> Path:
    """The API server writes its certificate and the authority that signed it here at its first start."""
    return state.pki / "apiserver.crt"


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
