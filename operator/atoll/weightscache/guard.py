"""Runs before an engine: makes sure that a node's cache of weights can be written, and is no larger than it may be.

Each Hugging Face repository has a folder of its own in the cache. Whoever starts marks its folder; where all others
together are beyond the limit, those that were started longest ago go. None that was started lately goes: its engine may
still be reading. Only the standard library of the engine image's Python is used.

Environment: ``ATOLL_CACHE`` is the mounted cache, ``ATOLL_ENTRY`` the folder to be used, ``ATOLL_LIMIT_BYTES`` what the
other folders may hold (0: any amount), ``ATOLL_KEEP_SECONDS`` how long after a start a folder is let alone.
"""

import fcntl
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

MARK = ".started"
LOCK = ".atoll-lock"
FAILED = 1


def main() -> int:
    """Mark, tidy and say what was done; 1 where the cache cannot be written."""
    cache, entry = Path(os.environ["ATOLL_CACHE"]), os.environ["ATOLL_ENTRY"]
    limit, keep = int(os.environ["ATOLL_LIMIT_BYTES"]), float(os.environ["ATOLL_KEEP_SECONDS"])
    try:
        with (cache / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # pods that start on one node at one time
            (cache / entry).mkdir(exist_ok=True)
            (cache / entry / MARK).touch()
            gone = evict(cache, entry, limit, time.time() - keep) if limit else []
    except OSError as error:
        user, group = os.getuid(), os.getgid()
        print(  # noqa: T201  # a container's log
            f"the weights cache cannot be used ({error}): on the node, make its folder belong to user {user}, group "
            f"{group}, or leave weightsCache out of the GPUNodePool",
            file=sys.stderr,
        )
        return FAILED
    print(f"cache entry {entry}; removed: {', '.join(gone) or 'none'}")  # noqa: T201  # a container's log
    return 0


def evict(cache: Path, kept: str, limit: int, since: float) -> list[str]:
    """Remove what was started longest ago until all others hold ``limit`` bytes at most; names of what went.

    Args:
        cache: folder of entries.
        kept: entry that stays.
        limit: bytes of all other entries.
        since: Unix seconds; what was started after it stays.
    """
    others = [path for path in cache.iterdir() if path.is_dir() and not path.is_symlink() and path.name != kept]
    sizes = {path: size(path) for path in others}
    held, gone = sum(sizes.values()), []
    for path in sorted(others, key=started):
        if held <= limit or started(path) > since:
            break
        shutil.rmtree(path, ignore_errors=True)
        held -= sizes[path]
        gone.append(path.name)
    return gone


def started(path: Path) -> float:
    """When an engine was last started with an entry, Unix seconds; of one without a mark, when it changed."""
    mark = path / MARK
    return (mark if mark.exists() else path).stat().st_mtime


def size(path: Path) -> int:
    """Bytes on disk of everything below a folder; links count for nothing.

    Other pods may be downloading: what they rename or remove meanwhile counts for nothing either.
    """
    held = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                held += (Path(folder) / name).lstat().st_blocks * 512
    return held


if __name__ == "__main__":
    sys.exit(main())
