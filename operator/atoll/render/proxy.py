"""The proxy before a decode engine: a container of the engine's own image, beside the engine."""

from functools import cache
from importlib.resources import files
from typing import Any

from atoll.domain.strategy import EngineName
from atoll.render.engines.stage import BEHIND_PROXY_PORT, BOOTSTRAP_PORT, HTTP_PORT

CONTAINER = "proxy"
_CPU_MILLIS = 100
_MEMORY_MIB = 256


def proxy_container(*, engine: EngineName, image: str, prefill: str, grace_seconds: int) -> dict[str, Any]:
    """The container.

    Args:
        engine: whose way to hand over it speaks.
        image: the engine's, whose Python and aiohttp it runs by.
        prefill: host of the Service of the replicas that prefill.
        grace_seconds: requests in flight may take so long to finish, seconds.
    """
    env = {
        "ATOLL_PREFILL": f"http://{prefill}:{HTTP_PORT}",
        "ATOLL_ENGINE": f"http://127.0.0.1:{BEHIND_PROXY_PORT}",
        "ATOLL_PORT": str(HTTP_PORT),
        "ATOLL_GRACE_SECONDS": str(grace_seconds),
    }
    if engine is EngineName.SGLANG:
        env["ATOLL_BOOTSTRAP_PORT"] = str(BOOTSTRAP_PORT)
    return {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c"],
        "args": [_source()],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [{"name": "proxy", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        # Beyond the engine's share, out of what its pods leave of a node.
        "resources": {"requests": {"cpu": f"{_CPU_MILLIS}m", "memory": f"{_MEMORY_MIB}Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "readinessProbe": {
            "httpGet": {"path": "/health", "port": "proxy"},
            "periodSeconds": 5,
            "timeoutSeconds": 5,
            "failureThreshold": 2,
        },
    }


@cache
def _source() -> str:
    return files("atoll.pairproxy").joinpath("proxy.py").read_text(encoding="utf-8")
