"""What engines report of their load, from Prometheus: one value for each pod and question."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from atoll.domain.correction import EngineLoad
from atoll.signals.fetch import FetchError, Server, fetch

Pod = tuple[str, str]
"""Namespace and name."""

GAUGES = (
    ("running", "avg", ("vllm:num_requests_running", "sglang:num_running_reqs")),
    ("least_running", "min", ("vllm:num_requests_running", "sglang:num_running_reqs")),
    ("kv_usage", "max", ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage")),
)
"""Fields of EngineLoad, how samples of the window are put together, and the metrics of both engines."""

COUNTERS = (
    ("generated", ("vllm:generation_tokens_total", "sglang:generation_tokens_total")),
    ("prompted", ("vllm:prompt_tokens_total", "sglang:prompt_tokens_total")),
)
"""Likewise, of what is counted."""


class EngineMetricsError(Exception):
    """Prometheus gave no usable answer; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    field: str
    query: str


def questions(seconds: float) -> tuple[_Question, ...]:
    """PromQL for each figure of a window; a pod's metrics carry the labels ``namespace`` and ``pod``."""
    within = f"[{seconds:.0f}s]"

    def by_pod(function: str, names: tuple[str, ...], outer: str) -> str:
        return " or ".join(f"{outer} by (namespace, pod) ({function}({name}{within}))" for name in names)

    return (
        *(_Question(field=field, query=by_pod(f"{how}_over_time", names, "max")) for field, how, names in GAUGES),
        *(_Question(field=field, query=by_pod("rate", names, "sum")) for field, names in COUNTERS),
    )


async def engine_loads(
    server: Server, client: httpx.AsyncClient, *, ended_at: float, seconds: float
) -> tuple[EngineLoad, ...]:
    """The load of every engine over a window, as far as all figures of it are known.

    Raises:
        EngineMetricsError: it could not be asked, or does not answer as Prometheus does.
    """
    found: dict[Pod, dict[str, float]] = {}
    asked = questions(seconds)
    for question in asked:
        for pod, value in (await _vector(server, client, question.query, ended_at)).items():
            found.setdefault(pod, {})[question.field] = value
    return tuple(
        EngineLoad(namespace=pod[0], pod=pod[1], ended_at=ended_at, seconds=seconds, **values)
        for pod, values in sorted(found.items())
        if len(values) == len(asked)
    )


class _Item(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: Any


class _Reply(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""


async def _vector(server: Server, client: httpx.AsyncClient, query: str, at: float) -> Mapping[Pod, float]:
    url = f"{server.url.rstrip('/')}/api/v1/query"
    form = {"query": query, "time": f"{at:.3f}", "timeout": f"{max(1.0, server.seconds / 2.0):g}s"}
    try:
        answer = await fetch(server, client, "POST", url, form=form)
        reply = msgspec.json.decode(answer.content, type=_Reply)
        if answer.status != httpx.codes.OK or reply.data is None or reply.data.result_type != "vector":
            raise EngineMetricsError(f"{server.url} answered {answer.status}: {reply.error[:300] or 'no vector'}")
        items = msgspec.convert(reply.data.result, list[_Item])
    except FetchError as error:
        raise EngineMetricsError(str(error)) from None
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        raise EngineMetricsError(f"{server.url} does not answer as Prometheus does: look at the URL") from None
    return dict(_values(items))


def _values(items: list[_Item]) -> list[tuple[Pod, float]]:
    found = []
    for item in items:
        pod = item.metric.get("namespace", ""), item.metric.get("pod", "")
        try:
            value = float(item.value[1])
        except ValueError:
            continue
        if all(pod) and math.isfinite(value) and value >= 0.0:
            found.append((pod, value))
    return found
