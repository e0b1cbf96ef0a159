"""What is asked of Prometheus where a demand brings no query of its own."""

from atoll.domain.demand import DemandKey
from atoll.domain.signal import DemandSignal, SignalSource

_LEAST_RANGE_SECONDS = 60.0
"""Two scrapes at the usual distance of 30 s."""

_CAME = ("upstream_rq_total", "upstream_rq_pending_failure_eject", "upstream_cx_none_healthy")
"""Envoy's counters of what became of a try of a request: it was sent, reached nobody, or found no replica to try."""

_TOO_MANY = "upstream_rq_active_overflow"
"""Likewise: it was beyond ``spec.router.maxConcurrentRequests``. Envoy 1.40 counts it, older ones do not."""

_AGAIN = "upstream_rq_retry"
"""Tries after the first: each is in one of the others too, which less these are the requests that came."""


def demand_query(key: DemandKey, served_name: str, signal: DemandSignal) -> str:
    """PromQL that gives the requests/s of a demand as one number: its own, or the shipped one.

    Router: every try of a request, without what was tried again, also those that no replica took: else demand would be
    nought while every replica is down. Requests count when they come, and once, however they end.

    Engine: what replicas finished, and by how much their queues grew: an engine that is full finishes less than comes.
    """
    if signal.query:
        return signal.query
    within = f"[{max(_LEAST_RANGE_SECONDS, 2.0 * signal.step_seconds):.0f}s]"
    if signal.source is SignalSource.ROUTER:
        chosen = f"{{envoy_cluster_name={_text(str(key))}}}{within}"
        tries = " + ".join(f"sum(rate(envoy_cluster_{name}{chosen}))" for name in _CAME)
        too_many = f"(sum(rate(envoy_cluster_{_TOO_MANY}{chosen})) or vector(0))"
        return f"{tries} + {too_many} - sum(rate(envoy_cluster_{_AGAIN}{chosen}))"
    chosen = f"{{model_name={_text(served_name)}}}{within}"
    return (
        f"sum(rate(vllm:request_success_total{chosen})) + clamp_min(sum(deriv(vllm:num_requests_waiting{chosen})), 0)"
    )


def length_queries(served_name: str) -> tuple[str, str, str]:
    """PromQL for the requests that engines finished in the last hour, and for the tokens of prompts and answers."""
    chosen = f"{{model_name={_text(served_name)}}}[1h]"
    metrics = ("request_success_total", "prompt_tokens_total", "generation_tokens_total")
    requests, prompts, answers = (f"sum(increase(vllm:{metric}{chosen}))" for metric in metrics)
    return requests, prompts, answers


def _text(value: str) -> str:
    """A string of PromQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
