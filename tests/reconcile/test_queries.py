from atoll.domain.demand import DemandKey
from atoll.domain.signal import DemandSignal, SignalSource
from atoll.reconcile.queries import demand_query

KEY = DemandKey(namespace="team-a", name="chat")


def test_a_query_of_its_own_is_asked_as_it_is() -> None:
    assert demand_query(KEY, "chat", DemandSignal(query="sum(x)")) == "sum(x)"


def test_the_router_is_asked_for_what_came_once_each_also_where_no_replica_took_it() -> None:
    assert demand_query(KEY, "chat", DemandSignal()) == (
        'sum(rate(envoy_cluster_upstream_rq_total{envoy_cluster_name="team-a/chat"}[60s]))'
        ' + sum(rate(envoy_cluster_upstream_rq_pending_failure_eject{envoy_cluster_name="team-a/chat"}[60s]))'
        ' + sum(rate(envoy_cluster_upstream_cx_none_healthy{envoy_cluster_name="team-a/chat"}[60s]))'
        ' + (sum(rate(envoy_cluster_upstream_rq_active_overflow{envoy_cluster_name="team-a/chat"}[60s])) or vector(0))'
        ' - sum(rate(envoy_cluster_upstream_rq_retry{envoy_cluster_name="team-a/chat"}[60s]))'
    )


def test_engines_are_asked_for_what_they_finished_and_what_waits() -> None:
    signal = DemandSignal(source=SignalSource.ENGINE, window_seconds=14400.0)
    assert demand_query(KEY, 'a"b\\c', signal) == (
        'sum(rate(vllm:request_success_total{model_name="a\\"b\\\\c"}[240s]))'
        ' + clamp_min(sum(deriv(vllm:num_requests_waiting{model_name="a\\"b\\\\c"}[240s])), 0)'
    )
