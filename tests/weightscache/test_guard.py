"""What runs before an engine in a node's cache of weights."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atoll.weightscache import guard

SOURCE = Path(guard.__file__).read_text(encoding="utf-8")
HOUR = 3600.0


def entry(cache: Path, name: str, kilobytes: int, hours_ago: float) -> Path:
    """An entry as an engine leaves it: blobs, a link to one, and the mark of its start."""
    folder = cache / name
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / "weights").write_bytes(os.urandom(kilobytes << 10))
    (folder / "model.safetensors").symlink_to("blobs/weights")
    mark = folder / guard.MARK
    mark.touch()
    at = time.time() - hours_ago * HOUR
    os.utime(mark, (at, at))
    return folder


def run(cache: Path, name: str = "org--new", limit_kilobytes: int = 0) -> subprocess.CompletedProcess[str]:
    """As the container runs it."""
    env = {
        "ATOLL_CACHE": str(cache),
        "ATOLL_ENTRY": name,
        "ATOLL_LIMIT_BYTES": str(limit_kilobytes << 10),
        "ATOLL_KEEP_SECONDS": str(2 * HOUR),
    }
    return subprocess.run([sys.executable, "-c", SOURCE], env=env, capture_output=True, text=True, check=False)  # noqa: S603  # our own source


def left(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir() if path.is_dir()}


def test_a_first_start_makes_its_entry(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 0
    assert (tmp_path / "org--new" / guard.MARK).exists()


def test_what_was_started_longest_ago_goes_until_the_rest_is_within_the_limit(tmp_path: Path) -> None:
    for name, hours_ago in (("a", 9.0), ("b", 7.0), ("c", 5.0), ("d", 3.0)):
        entry(tmp_path, name, 100, hours_ago)
    done = run(tmp_path, limit_kilobytes=250)
    assert "removed: a, b" in done.stdout
    assert left(tmp_path) == {"c", "d", "org--new"}


def test_what_was_started_lately_and_what_starts_now_stay_whatever_the_limit(tmp_path: Path) -> None:
    entry(tmp_path, "starts", 300, 9.0)
    entry(tmp_path, "lately", 300, 1.0)
    entry(tmp_path, "old", 300, 8.0)
    assert "removed: old" in run(tmp_path, "starts", limit_kilobytes=1).stdout
    assert left(tmp_path) == {"starts", "lately"}


def test_without_a_limit_nothing_goes(tmp_path: Path) -> None:
    entry(tmp_path, "old", 300, 900.0)
    assert "removed: none" in run(tmp_path).stdout


def test_nothing_outside_the_cache_goes(tmp_path: Path) -> None:
    outside, cache = tmp_path / "outside", tmp_path / "cache"
    entry(outside, "weights", 300, 9.0)
    cache.mkdir()
    (cache / "link").symlink_to(outside / "weights")
    assert "removed: none" in run(cache, limit_kilobytes=1).stdout
    assert (outside / "weights" / "blobs" / "weights").exists()


@pytest.mark.parametrize("missing", [True, False])
def test_a_cache_that_cannot_be_written_is_told_with_the_mend(tmp_path: Path, missing: bool) -> None:
    cache = tmp_path / "cache"
    if not missing:
        cache.write_text("no folder")
    done = run(cache)
    assert done.returncode == guard.FAILED
    assert f"belong to user {os.getuid()}" in done.stderr


def test_files_that_another_pod_renames_meanwhile_are_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = entry(tmp_path, "downloading", 100, 9.0)
    seen = list(os.walk(folder))
    (folder / "blobs" / "weights").rename(folder / "blobs" / "whole")
    monkeypatch.setattr(guard.os, "walk", lambda _: seen)
    assert guard.evict(tmp_path, "org--new", 10**9, time.time()) == []
