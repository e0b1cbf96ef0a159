"""From a pod to the engine that runs in it: its own flags, variables and times."""

from collections.abc import Mapping, Sequence
from typing import Any

from atoll.local.engines.engine import EngineSettings
from atoll.local.engines.tempo import Tempo
from atoll.render.engines.stage import HTTP_PORT
from atoll.render.engines.vllm import KEEP_ALIVE_SECONDS

Pod = Mapping[str, Any]


def engine_settings(pod: Pod, tempo: Tempo, *, chunk_tokens: int) -> EngineSettings:
    """The engine of a leader's pod; ValueError where its command line misses what it must have."""
    container = pod["spec"]["containers"][0]
    arguments = container["args"]
    environment = {each["name"]: each.get("value", "") for each in container.get("env", [])}
    return EngineSettings(
        pod=pod["metadata"]["name"],
        address=pod["status"]["podIP"],
        port=int(values_of(arguments, "--port")[0]) if "--port" in arguments else HTTP_PORT,
        served_names=values_of(arguments, "--served-model-name"),
        max_sequences=int(values_of(arguments, "--max-num-seqs")[0]),
        max_context=int(values_of(arguments, "--max-model-len")[0]),
        keep_alive=float(environment.get("VLLM_HTTP_TIMEOUT_KEEP_ALIVE") or KEEP_ALIVE_SECONDS),
        shutdown=float(values_of(arguments, "--shutdown-timeout")[0]),
        chunk_tokens=chunk_tokens,
        tempo=tempo,
    )


def values_of(arguments: Sequence[str], flag: str) -> tuple[str, ...]:
    """What follows a flag up to the next one, or what it equals; ValueError where it has none."""
    found: list[str] = []
    for position, argument in enumerate(arguments):
        if argument.startswith(f"{flag}="):
            found.append(argument.removeprefix(f"{flag}="))
        elif argument == flag:
            for following in arguments[position + 1 :]:
                if following.startswith("--"):
                    break
                found.append(following)
    if not found:
        raise ValueError(f"engine's command line: {flag} has no value in {' '.join(arguments)}")
    return tuple(found)


def pre_stop_seconds(pod: Pod) -> float:
    """From the pod's deletion to SIGTERM."""
    return float(
        pod["spec"]["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    )
