"""A node's cache of weights: what downloaded them once on a node finds them there."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from atoll.domain.pool import WeightsCache

CACHE_PATH = "/weights-cache"
CONTAINER = "weights-cache"
KEEP_SECONDS = 7200
"""An entry is let alone for so long after a start: the longest that a start may take."""

_VOLUME = "weights-cache"
_CPU_MILLIS = 100
_MEMORY_MIB = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheParts:
    """What a pod gets for a cache; nothing where its weights do not go through one.

    Attributes:
        volumes: of the pod.
        mounts: of the engine.
        env: of the engine.
        init_containers: of the pod.
    """

    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    env: tuple[dict[str, Any], ...] = ()
    init_containers: tuple[dict[str, Any], ...] = ()


def weights_cache(found: WeightsCache | None, repository: str, image: str) -> CacheParts:
    """The parts of a pod.

    Both engines download by huggingface_hub, which keeps repositories below ``HF_HUB_CACHE`` and locks each file, so
    that pods which start together download it once. A folder on the node is the one that Pod Security does not allow:
    docs/security.md.

    Args:
        found: the pool's cache; None for none.
        repository: Hugging Face name; empty for weights that come otherwise.
        image: the engine's, whose Python runs the guard.
    """
    if found is None or not repository:
        return CacheParts()
    entry = repository.replace("/", "--")
    mount = {"name": _VOLUME, "mountPath": CACHE_PATH}
    env = {
        "ATOLL_CACHE": CACHE_PATH,
        "ATOLL_ENTRY": entry,
        "ATOLL_LIMIT_BYTES": str(found.limit_bytes or 0),
        "ATOLL_KEEP_SECONDS": str(KEEP_SECONDS),
    }
    guard = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c"],
        "args": [_source()],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "resources": {"requests": {"cpu": f"{_CPU_MILLIS}m", "memory": f"{_MEMORY_MIB}Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [mount],
    }
    return CacheParts(
        # The folder has to be there: one that the kubelet made would belong to root, and pods do not run as root.
        volumes=({"name": _VOLUME, "hostPath": {"path": found.host_path, "type": "Directory"}},),
        mounts=(mount,),
        env=({"name": "HF_HUB_CACHE", "value": f"{CACHE_PATH}/{entry}"},),
        init_containers=(guard,),
    )


@cache
def _source() -> str:
    return files("atoll.weightscache").joinpath("guard.py").read_text(encoding="utf-8")
