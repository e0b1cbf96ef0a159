import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from atoll.local.api import read_access
from atoll.local.credentials import (
    ADMINISTRATOR,
    OPERATOR,
    authority_path,
    signing_key,
    token_path,
    users,
    write_credentials,
)
from atoll.local.errors import LocalEnvironmentError
from atoll.local.state import StateDirectory


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    state = StateDirectory(root=tmp_path)
    state.create()
    write_credentials(state, server="https://127.0.0.1:6443")
    return state


def test_every_user_has_a_token_of_its_own(state: StateDirectory) -> None:
    known = {line.split(",")[0]: line.split(",")[1] for line in token_path(state).read_text().splitlines()}
    assert {ADMINISTRATOR, OPERATOR} < set(known.values())
    assert len(known) == len(users(state))
    for user in users(state):
        assert known[read_access(user.kubeconfig).token] == user.name


def test_secrets_are_for_the_owner_only(state: StateDirectory) -> None:
    for path in (token_path(state), state.kubeconfig, state.operator_kubeconfig):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_kubeconfig_names_server_and_authority(state: StateDirectory) -> None:
    access = read_access(state.operator_kubeconfig)
    assert (access.server, access.authority) == ("https://127.0.0.1:6443", authority_path(state))


def test_a_foreign_kubeconfig_is_refused(tmp_path: Path) -> None:
    (tmp_path / "foreign").write_text("clusters: []\n")
    with pytest.raises(LocalEnvironmentError, match="name the kubeconfig in its state folder"):
        read_access(tmp_path / "foreign")
    with pytest.raises(LocalEnvironmentError, match="start the local environment first"):
        read_access(tmp_path / "none")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_signing_key_is_a_p256_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(signing_key(12345))
    command = ["openssl", "ec", "-in", str(path), "-noout", "-text"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # our own file
    assert "ASN1 OID: prime256v1" in text
