"""What is asked of Prometheus where a demand brings no query of its own."""

from atoll.domain.demand import DemandKey
from atoll.domain.signal import DemandSignal, SignalSource

_LEAST_RANGE_SECONDS = 60.0
"""Two scrapes at the usual distance of 30 s."""


def demand_query(key: DemandKey, served_name: str, signal: DemandSignal) -> str:
    """PromQL that gives the requests/s of a demand as one number: its own, or the shipped one.

    Router: what Envoy sent to replicas, without what it sent again, and what it answered with 503 because there was
    none to send it to: else demand would be nought while every replica is down. Requests count when they come.

    Engine: what replicas finished, and by how much their queues grew: an engine that is full finishes less than comes.
    """
    if signal.query:
        return signal.query
    within = f"[{max(_LEAST_RANGE_SECONDS, 2.0 * signal.step_seconds):.0f}s]"
    if signal.source is SignalSource.ROUTER:
        chosen = f"{{envoy_cluster_name={_text(str(key))}}}{within}"
        refused = f'{{demand={_text(str(key))},status="503"}}{within}'
        return (
            f"sum(rate(envoy_cluster_upstream_rq_total{chosen})) - sum(rate(envoy_cluster_upstream_rq_retry{chosen}))"
            f" + (sum(rate(envoy_atoll_router_requests{refused})) or vector(0))"
        )
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
