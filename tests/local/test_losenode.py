"""Losing a node where there is nothing to lose: one sentence with the mend."""

from pathlib import Path

import certifi
import pytest

from atoll.local.credentials import kubeconfig
from atoll.local.errors import LocalEnvironmentError
from atoll.local.losenode import lose_node
from atoll.local.ports import free_ports


def test_where_nothing_answers_the_mend_is_told(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    file = tmp_path / "kubeconfig"
    file.write_text(
        kubeconfig(user="me", token="", server=f"https://127.0.0.1:{port}", authority=Path(certifi.where()))
    )

    with pytest.raises(LocalEnvironmentError, match=r"nothing answers .*make run"):
        lose_node(file, "a")
