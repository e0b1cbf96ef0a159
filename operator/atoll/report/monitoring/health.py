"""The dashboard of operator and router: whether one decides and acts, and whether requests get through the other."""

from atoll.report.monitoring.panels import BAD, FAIR, GOOD, OF_FLEET, RATE, SHARE, Dashboard, Panel, Query, Row, number

_ROUTER = 'envoy_http_conn_manager_prefix="requests"'
_SERVED = 'envoy_cluster_name=~".+/.+"'  # a served model's cluster is namespace/name; the router's own have no slash

OPERATOR = Dashboard(
    uid="atoll-operator",
    title="Atoll / Operator and router",
    about="Whether the operator decides and acts, and whether requests get through the router.",
    links=(("atoll-fleet", "Fleet"),),
    rows=(
        Row(
            title="Operator",
            panels=(
                number(
                    "Leaders",
                    "sum(atoll_leader)",
                    about="Operators that hold a Lease: one for each fleet.",
                    thresholds=((0.0, BAD), (1.0, GOOD)),
                ),
                number(
                    "Since the planner looked",
                    'time() - max(atoll_loop_looked_timestamp_seconds{loop="planner"})',
                    "s",
                    "A look lasts as long as a solve.",
                    thresholds=((0.0, GOOD), (900.0, BAD)),
                ),
                number(
                    "Since the executor looked",
                    'time() - max(atoll_loop_looked_timestamp_seconds{loop="executor"})',
                    "s",
                    thresholds=((0.0, GOOD), (120.0, BAD)),
                ),
                number(
                    "Failed decisions",
                    f"count(atoll_decision_failed{OF_FLEET}) or vector(0)",
                    thresholds=((0.0, GOOD), (1.0, BAD)),
                ),
                number(
                    "Plan waits for approval",
                    f"max(atoll_plan_awaiting_approval{OF_FLEET})",
                    thresholds=((0.0, GOOD), (1.0, FAIR)),
                ),
                number(
                    "Age of the oldest list",
                    "max(atoll_cache_age_seconds)",
                    "s",
                    "Every kind is listed whole again from time to time, beside the watch.",
                    thresholds=((0.0, GOOD), (1800.0, BAD)),
                ),
                Panel(
                    title="Time of a solve",
                    unit="s",
                    queries=(
                        Query(
                            expr="histogram_quantile(0.5, sum by (le) (increase(atoll_solve_seconds_bucket"
                            f"{OF_FLEET}[1h])))",
                            legend="median of the last hour",
                        ),
                        Query(
                            expr="histogram_quantile(0.95, sum by (le) (increase(atoll_solve_seconds_bucket"
                            f"{OF_FLEET}[1h])))",
                            legend="95th percentile",
                        ),
                    ),
                ),
                Panel(
                    title="Solves, by what had changed",
                    stacked=True,
                    queries=(Query(expr="sum by (reason) (increase(atoll_replans_total[1h]))", legend="{{reason}}"),),
                ),
                Panel(
                    title="Errors",
                    queries=(
                        Query(
                            expr="sum by (loop) (increase(atoll_loop_errors_total[1h]))", legend="looks of the {{loop}}"
                        ),
                        Query(
                            expr='sum(increase(atoll_writes_total{result="Failed"}[1h])) or vector(0)',
                            legend="refused or failed writes",
                        ),
                    ),
                ),
                Panel(
                    title="Memory of the operator",
                    unit="bytes",
                    about="Without the solver, which is a process of its own.",
                    queries=(Query(expr="max(atoll_process_resident_memory_bytes)", legend="resident"),),
                ),
            ),
        ),
        Row(
            title="Router",
            panels=(
                number(
                    "Routers in step",
                    f"min(atoll_router_synced{OF_FLEET})",
                    about="1: every router has taken the present configuration. 0: nothing old is drained.",
                    thresholds=((0.0, BAD), (1.0, GOOD)),
                ),
                number("Routers asked", f"sum(atoll_routers{OF_FLEET})"),
                number(
                    "Refused configurations",
                    "sum(envoy_cluster_manager_cds_update_rejected) or vector(0)",
                    about="Envoy keeps the last good one.",
                    thresholds=((0.0, GOOD), (1.0, BAD)),
                ),
                number("Requests in flight", f"sum(envoy_http_downstream_rq_active{{{_ROUTER}}})"),
                Panel(
                    title="Answers by class",
                    unit=RATE,
                    stacked=True,
                    width=8,
                    queries=(
                        Query(
                            expr="sum by (envoy_response_code_class) "
                            f"(rate(envoy_http_downstream_rq_xx{{{_ROUTER}}}[$__rate_interval]))",
                            legend="{{envoy_response_code_class}}xx",
                        ),
                    ),
                ),
                Panel(
                    title="Requests by demand",
                    unit=RATE,
                    stacked=True,
                    queries=(
                        Query(
                            expr="sum by (demand) (rate(envoy_atoll_router_requests[$__rate_interval]))",
                            legend="{{demand}}",
                        ),
                    ),
                ),
                Panel(
                    title="Share of requests that fail",
                    unit=SHARE,
                    about="Answers of 500 and above, the router's own ones too.",
                    queries=(
                        Query(
                            expr='sum by (demand) (rate(envoy_atoll_router_requests{status=~"5.."}[$__rate_interval]))'
                            " / sum by (demand) (rate(envoy_atoll_router_requests[$__rate_interval]))",
                            legend="{{demand}}",
                        ),
                    ),
                ),
                Panel(
                    title="Time to the first byte, 95th percentile",
                    unit="ms",
                    about="From the whole request to the first byte of an engine's answer: of a stream about the TTFT.",
                    queries=(
                        Query(
                            expr="histogram_quantile(0.95, sum by (le, demand) "
                            "(rate(envoy_atoll_router_first_byte_ms_bucket[$__rate_interval])))",
                            legend="{{demand}}",
                        ),
                    ),
                ),
                Panel(
                    title="Tokens of answers",
                    unit="short",
                    about="Per second; counted where the Fleet's router is told to count tokens.",
                    queries=(
                        Query(
                            expr="sum by (demand) (rate(envoy_atoll_router_completion_tokens[$__rate_interval]))",
                            legend="{{demand}}",
                        ),
                    ),
                ),
                Panel(
                    title="Time of a whole answer",
                    unit="ms",
                    about="From the first byte of the request to the last of the answer.",
                    queries=tuple(
                        Query(
                            expr=f"histogram_quantile({share}, sum by (le) "
                            f"(rate(envoy_http_downstream_rq_time_bucket{{{_ROUTER}}}[$__rate_interval])))",
                            legend=legend,
                        )
                        for share, legend in ((0.5, "median"), (0.95, "95th percentile"))
                    ),
                ),
                Panel(
                    title="Healthy endpoints",
                    about="Services of strategies that answer the router's health checks.",
                    queries=(
                        Query(
                            expr=f"min by (envoy_cluster_name) (envoy_cluster_membership_healthy{{{_SERVED}}})",
                            legend="{{envoy_cluster_name}} healthy",
                        ),
                        Query(
                            expr=f"max by (envoy_cluster_name) (envoy_cluster_membership_total{{{_SERVED}}})",
                            legend="{{envoy_cluster_name}} all",
                        ),
                    ),
                ),
                Panel(
                    title="Retries and failed attempts",
                    unit=RATE,
                    queries=(
                        Query(
                            expr=f"sum(rate(envoy_cluster_upstream_rq_retry{{{_SERVED}}}[$__rate_interval]))",
                            legend="retries",
                        ),
                        Query(
                            expr=f"sum(rate(envoy_cluster_upstream_cx_connect_fail{{{_SERVED}}}[$__rate_interval]))",
                            legend="connections that failed",
                        ),
                    ),
                ),
            ),
        ),
    ),
)
