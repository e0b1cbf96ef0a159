"""The two dashboards: what the fleet serves and costs, and how operator and router are."""

from atoll.report.monitoring.panels import Dashboard, Panel, Query, Row

_DOLLARS = "currencyUSD"
_RATE = "reqps"
_SHARE = "percentunit"
_GOOD, _FAIR, _BAD = "green", "orange", "red"

_OF_FLEET = '{fleet="$fleet"}'
_ROUTER = 'envoy_http_conn_manager_prefix="requests"'
_SERVED = 'envoy_cluster_name=~".+/.+"'  # a served model's cluster is namespace/name; the router's own have no slash


def _by_demand(metric: str) -> str:
    return f"sum by (namespace, demand, served_model, priority) ({metric}{_OF_FLEET})"


def _number(
    title: str, expr: str, unit: str = "", about: str = "", *, thresholds: tuple[tuple[float, str], ...] = ()
) -> Panel:
    return Panel(
        title=title,
        queries=(Query(expr=expr),),
        kind="stat",
        unit=unit,
        about=about,
        width=4,
        height=4,
        thresholds=thresholds,
    )


FLEET = Dashboard(
    uid="atoll-fleet",
    title="Atoll / Fleet",
    about="What the fleet serves, what it costs, and what moves.",
    links=(("atoll-operator", "Operator and router"),),
    rows=(
        Row(
            title="Cost",
            panels=(
                _number("Cost per hour", f"atoll_fleet_cost_dollars_per_hour{_OF_FLEET}", _DOLLARS),
                _number(
                    "Proven lower bound",
                    f"atoll_fleet_bound_dollars_per_hour{_OF_FLEET}",
                    _DOLLARS,
                    "No plan that serves as much can cost less.",
                ),
                _number(
                    "Gap",
                    f"atoll_fleet_gap_ratio{_OF_FLEET}",
                    _SHARE,
                    "How far above the least cost the plan can be at most.",
                    thresholds=((0.0, _GOOD), (0.05, _FAIR)),
                ),
                _number(
                    "Budget used",
                    f"(atoll_fleet_cost_dollars_per_hour{_OF_FLEET} / atoll_fleet_budget_dollars_per_hour{_OF_FLEET})",
                    _SHARE,
                    "Nothing where the Fleet has no budget.",
                    thresholds=((0.0, _GOOD), (0.9, _FAIR), (1.0, _BAD)),
                ),
                _number(
                    "Shortfall",
                    f"sum(atoll_shortfall_requests_per_second{_OF_FLEET})",
                    _RATE,
                    "Requests/s wanted that the plan does not serve.",
                    thresholds=((0.0, _GOOD), (0.001, _BAD)),
                ),
                _number(
                    "Objects at fault",
                    f"count(atoll_object_fault{_OF_FLEET}) or vector(0)",
                    thresholds=((0.0, _GOOD), (1.0, _BAD)),
                ),
                Panel(
                    title="Cost, bound and budget",
                    unit=_DOLLARS,
                    queries=(
                        Query(expr=f"atoll_fleet_cost_dollars_per_hour{_OF_FLEET}", legend="cost"),
                        Query(expr=f"atoll_fleet_bound_dollars_per_hour{_OF_FLEET}", legend="proven lower bound"),
                        Query(
                            expr=f"atoll_fleet_list_cost_dollars_per_hour{_OF_FLEET}", legend="list price of all nodes"
                        ),
                        Query(expr=f"atoll_fleet_budget_dollars_per_hour{_OF_FLEET}", legend="budget"),
                    ),
                ),
                Panel(
                    title="Cost by served model",
                    unit=_DOLLARS,
                    stacked=True,
                    about="Each node's price is shared out by the GPUs in use.",
                    queries=(
                        Query(
                            expr=f"sum by (namespace, served_model) (atoll_demand_cost_dollars_per_hour{_OF_FLEET})",
                            legend="{{namespace}}/{{served_model}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            title="Demand and capacity",
            panels=(
                Panel(
                    title="Demand against capacity",
                    unit=_RATE,
                    about="Capacity: what Ready replicas can serve within the objectives.",
                    queries=(
                        Query(
                            expr=f"sum by (served_model) (atoll_demand_requests_per_second{_OF_FLEET})",
                            legend="{{served_model}} wanted",
                        ),
                        Query(
                            expr=f"sum by (served_model) (atoll_served_requests_per_second{_OF_FLEET})",
                            legend="{{served_model}} capacity",
                        ),
                    ),
                ),
                Panel(
                    title="Shortfall by priority",
                    unit=_RATE,
                    stacked=True,
                    about="Lower priorities fall short first.",
                    queries=(
                        Query(
                            expr='fleet_priority:atoll_shortfall_requests_per_second:sum{fleet="$fleet"}',
                            legend="priority {{priority}}",
                        ),
                    ),
                ),
                Panel(
                    title="Measured demand",
                    unit=_RATE,
                    about="Of demands that follow Prometheus: what was seen, and what is planned for by it.",
                    queries=tuple(
                        Query(
                            expr=f"sum by (served_model) (atoll_demand_{what}_requests_per_second{_OF_FLEET})",
                            legend=f"{{{{served_model}}}} {legend}",
                        )
                        for what, legend in (("observed", "seen"), ("estimate", "estimate"), ("floor", "floor"))
                    ),
                ),
                Panel(
                    title="Held signals",
                    kind="state-timeline",
                    about="Red: the signal fails, and what was planned for last is held. Unknown is not zero.",
                    thresholds=((0.0, _GOOD), (1.0, _BAD)),
                    queries=(
                        Query(
                            expr=f"max by (namespace, demand, reason) (atoll_demand_signal_held{_OF_FLEET})",
                            legend="{{namespace}}/{{demand}} {{reason}}",
                        ),
                    ),
                ),
                Panel(
                    title="Demands",
                    kind="table",
                    width=24,
                    queries=(
                        Query(expr=_by_demand("atoll_demand_requests_per_second"), legend="wanted, requests/s"),
                        Query(expr=_by_demand("atoll_served_requests_per_second"), legend="capacity, requests/s"),
                        Query(expr=_by_demand("atoll_shortfall_requests_per_second"), legend="shortfall, requests/s"),
                        Query(expr=_by_demand("atoll_replicas_wanted"), legend="replicas wanted"),
                        Query(expr=_by_demand("atoll_replicas_ready"), legend="replicas ready"),
                        Query(expr=_by_demand("atoll_demand_cost_dollars_per_hour"), legend="$/h"),
                    ),
                ),
            ),
        ),
        Row(
            title="Nodes",
            panels=(
                Panel(
                    title="Nodes in use",
                    stacked=True,
                    queries=(
                        Query(
                            expr=f"sum by (pool, capacity_type) (atoll_nodes{_OF_FLEET}) > 0",
                            legend="{{pool}} {{capacity_type}}",
                        ),
                    ),
                ),
                Panel(
                    title="Ready against planned",
                    about="Ready above planned for long: nodes that nobody uses and that are paid for.",
                    queries=(
                        Query(
                            expr=f"sum by (capacity_type) (atoll_nodes{_OF_FLEET})", legend="{{capacity_type}} planned"
                        ),
                        Query(
                            expr=f"sum by (capacity_type) (atoll_nodes_ready{_OF_FLEET})",
                            legend="{{capacity_type}} ready",
                        ),
                    ),
                ),
                Panel(
                    title="Lost nodes, by the hour",
                    about="Nodes under engines that went without our doing: spot interruptions, and failures.",
                    queries=(
                        Query(
                            expr="sum by (pool, zone, capacity_type) "
                            f"(increase(atoll_nodes_lost_total{_OF_FLEET}[1h]))",
                            legend="{{pool}} {{zone}} {{capacity_type}}",
                        ),
                    ),
                ),
                Panel(
                    title="Masked offerings",
                    kind="state-timeline",
                    about="Red: pods waited and no node came; not counted on for a while.",
                    thresholds=((0.0, _GOOD), (1.0, _BAD)),
                    queries=(
                        Query(
                            expr=f"max by (pool, zone, capacity_type) (atoll_offering_masked{_OF_FLEET})",
                            legend="{{pool}} {{zone}} {{capacity_type}}",
                        ),
                    ),
                ),
                Panel(
                    title="Price of a node",
                    unit=_DOLLARS,
                    width=24,
                    queries=(
                        Query(
                            expr=f"max by (pool, zone, capacity_type) (atoll_node_price_dollars_per_hour{_OF_FLEET})",
                            legend="{{pool}} {{zone}} {{capacity_type}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            title="Moves",
            panels=(
                Panel(
                    title="Replicas",
                    queries=(
                        Query(expr=f"sum(atoll_replicas_wanted{_OF_FLEET})", legend="wanted"),
                        Query(expr=f"sum(atoll_replicas_ready{_OF_FLEET})", legend="ready"),
                        Query(expr=f"sum(atoll_replicas_leaving{_OF_FLEET})", legend="leaving"),
                    ),
                ),
                Panel(
                    title="Writes to the cluster",
                    unit="ops",
                    about="A fleet that is as it should be is not written to.",
                    queries=(
                        Query(
                            expr="sum by (verb, kind) "
                            '(rate(atoll_writes_total{verb!~"status|event"}[$__rate_interval]))',
                            legend="{{verb}} {{kind}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)

OPERATOR = Dashboard(
    uid="atoll-operator",
    title="Atoll / Operator and router",
    about="Whether the operator decides and acts, and whether requests get through the router.",
    links=(("atoll-fleet", "Fleet"),),
    rows=(
        Row(
            title="Operator",
            panels=(
                _number(
                    "Leaders",
                    "sum(atoll_leader)",
                    about="Operators that hold a Lease: one for each fleet.",
                    thresholds=((0.0, _BAD), (1.0, _GOOD)),
                ),
                _number(
                    "Since the planner looked",
                    'time() - max(atoll_loop_looked_timestamp_seconds{loop="planner"})',
                    "s",
                    "A look lasts as long as a solve.",
                    thresholds=((0.0, _GOOD), (900.0, _BAD)),
                ),
                _number(
                    "Since the executor looked",
                    'time() - max(atoll_loop_looked_timestamp_seconds{loop="executor"})',
                    "s",
                    thresholds=((0.0, _GOOD), (120.0, _BAD)),
                ),
                _number(
                    "Failed decisions",
                    f"count(atoll_decision_failed{_OF_FLEET}) or vector(0)",
                    thresholds=((0.0, _GOOD), (1.0, _BAD)),
                ),
                _number(
                    "Plan waits for approval",
                    f"max(atoll_plan_awaiting_approval{_OF_FLEET})",
                    thresholds=((0.0, _GOOD), (1.0, _FAIR)),
                ),
                _number(
                    "Age of the oldest list",
                    "max(atoll_cache_age_seconds)",
                    "s",
                    "Every kind is listed whole again from time to time, beside the watch.",
                    thresholds=((0.0, _GOOD), (1800.0, _BAD)),
                ),
                Panel(
                    title="Time of a solve",
                    unit="s",
                    queries=(
                        Query(
                            expr="histogram_quantile(0.5, sum by (le) (increase(atoll_solve_seconds_bucket"
                            f"{_OF_FLEET}[1h])))",
                            legend="median of the last hour",
                        ),
                        Query(
                            expr="histogram_quantile(0.95, sum by (le) (increase(atoll_solve_seconds_bucket"
                            f"{_OF_FLEET}[1h])))",
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
                _number(
                    "Routers in step",
                    f"min(atoll_router_synced{_OF_FLEET})",
                    about="1: every router has taken the present configuration. 0: nothing old is drained.",
                    thresholds=((0.0, _BAD), (1.0, _GOOD)),
                ),
                _number("Routers asked", f"sum(atoll_routers{_OF_FLEET})"),
                _number(
                    "Refused configurations",
                    "sum(envoy_cluster_manager_cds_update_rejected) or vector(0)",
                    about="Envoy keeps the last good one.",
                    thresholds=((0.0, _GOOD), (1.0, _BAD)),
                ),
                _number("Requests in flight", f"sum(envoy_http_downstream_rq_active{{{_ROUTER}}})"),
                Panel(
                    title="Answers by class",
                    unit=_RATE,
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
                    unit=_RATE,
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
                    unit=_SHARE,
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
                    unit=_RATE,
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

DASHBOARDS = (FLEET, OPERATOR)
