"""Golden files: compare text with a file, or rewrite the file when ``ATOLL_GOLDEN=write`` (``make golden``)."""

import os
from pathlib import Path


def assert_golden(path: Path, text: str) -> None:
    """Compare ``text`` with the file at ``path``, byte for byte.

    Args:
        path: of the golden file.
        text: what was produced just now.
    """
    if os.environ.get("ATOLL_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"{path} does not exist: run `make golden`, read the file, commit it"
    assert text == path.read_text(), f"differs from {path}: if that is intended, run `make golden` and read the diff"
