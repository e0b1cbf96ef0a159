"""Manifests in the pages are such as the operator takes."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from atoll.api.manifests import load_manifests
from docs.blocks import Block, blocks

MANIFESTS = [block for block in blocks() if block.kind == "yaml" and "apiVersion: atoll.dev/" in block.text]


def test_there_are_manifests() -> None:
    assert MANIFESTS


@pytest.mark.parametrize("block", MANIFESTS, ids=str)
def test_a_manifest_can_be_understood(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "page.yaml"
    path.write_text(block.text, encoding="utf-8")

    assert load_manifests([path], now=datetime.now(UTC)).faults == ()
