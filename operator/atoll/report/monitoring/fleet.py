"""The dashboard of the fleet: what it serves and costs, and what moves."""

from atoll.report.monitoring.panels import (
    BAD,
    DOLLARS,
    FAIR,
    GOOD,
    OF_FLEET,
    RATE,
    SHARE,
    Dashboard,
    Panel,
    Query,
    Row,
    number,
)


def _by_demand(metric: str) -> str:
    return f"sum by (namespace, demand, served_model, priority) ({metric}{OF_FLEET})"


FLEET = Dashboard(
    uid="atoll-fleet",
    title="Atoll / Fleet",
    about="What the fleet serves, what it costs, and what moves.",
    links=(("atoll-operator", "Operator and router"),),
    rows=(
        Row(
            title="Cost",
            panels=(
                number("Cost per hour", f"atoll_fleet_cost_dollars_per_hour{OF_FLEET}", DOLLARS),
                number(
                    "Proven lower bound",
                    f"atoll_fleet_bound_dollars_per_hour{OF_FLEET}",
                    DOLLARS,
                    "No plan that serves as much can cost less.",
                ),
                number(
                    "Gap",
                    f"atoll_fleet_gap_ratio{OF_FLEET}",
                    SHARE,
                    "How far above the least cost the plan can be at most.",
                    thresholds=((0.0, GOOD), (0.05, FAIR)),
                ),
                number(
                    "Budget used",
                    f"(atoll_fleet_cost_dollars_per_hour{OF_FLEET} / atoll_fleet_budget_dollars_per_hour{OF_FLEET})",
                    SHARE,
                    "Nothing where the Fleet has no budget.",
                    thresholds=((0.0, GOOD), (0.9, FAIR), (1.0, BAD)),
                ),
                number(
                    "Shortfall",
                    f"sum(atoll_shortfall_requests_per_second{OF_FLEET})",
                    RATE,
                    "Requests/s wanted that the plan does not serve.",
                    thresholds=((0.0, GOOD), (0.001, BAD)),
                ),
                number(
                    "Objects at fault",
                    f"count(atoll_object_fault{OF_FLEET}) or vector(0)",
                    thresholds=((0.0, GOOD), (1.0, BAD)),
                ),
                Panel(
                    title="Cost, bound and budget",
                    unit=DOLLARS,
                    queries=(
                        Query(expr=f"atoll_fleet_cost_dollars_per_hour{OF_FLEET}", legend="cost"),
                        Query(expr=f"atoll_fleet_bound_dollars_per_hour{OF_FLEET}", legend="proven lower bound"),
                        Query(
                            expr=f"atoll_fleet_list_cost_dollars_per_hour{OF_FLEET}", legend="list price of all nodes"
                        ),
                        Query(expr=f"atoll_fleet_budget_dollars_per_hour{OF_FLEET}", legend="budget"),
                    ),
                ),
                Panel(
                    title="Cost by served model",
                    unit=DOLLARS,
                    stacked=True,
                    about="Each node's price is shared out by the GPUs in use.",
                    queries=(
                        Query(
                            expr=f"sum by (namespace, served_model) (atoll_demand_cost_dollars_per_hour{OF_FLEET})",
                            legend="{{namespace}}/{{served_model}}",
                        ),
                    ),
                ),
                Panel(
                    title="Cost by namespace",
                    unit=DOLLARS,
                    stacked=True,
                    queries=(
                        Query(
                            expr=f"sum by (namespace) (atoll_demand_cost_dollars_per_hour{OF_FLEET})",
                            legend="{{namespace}}",
                        ),
                    ),
                ),
                Panel(
                    title="Spent and saved since the first plan",
                    unit=DOLLARS,
                    about="As planned, at the plans' prices. Saved: beside spec.solve.baseline, while there was one.",
                    queries=(
                        Query(expr=f"atoll_fleet_spent_dollars{OF_FLEET}", legend="spent"),
                        Query(expr=f"atoll_fleet_saved_dollars{OF_FLEET}", legend="saved"),
                    ),
                ),
            ),
        ),
        Row(
            title="Demand and capacity",
            panels=(
                Panel(
                    title="Demand against capacity",
                    unit=RATE,
                    about="Capacity: what Ready replicas can serve within the objectives.",
                    queries=(
                        Query(
                            expr=f"sum by (served_model) (atoll_demand_requests_per_second{OF_FLEET})",
                            legend="{{served_model}} wanted",
                        ),
                        Query(
                            expr=f"sum by (served_model) (atoll_served_requests_per_second{OF_FLEET})",
                            legend="{{served_model}} capacity",
                        ),
                    ),
                ),
                Panel(
                    title="Shortfall by priority",
                    unit=RATE,
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
                    unit=RATE,
                    about="Of demands that follow Prometheus: what was seen, and what is planned for by it.",
                    queries=tuple(
                        Query(
                            expr=f"sum by (served_model) (atoll_demand_{what}_requests_per_second{OF_FLEET})",
                            legend=f"{{{{served_model}}}} {legend}",
                        )
                        for what, legend in (("observed", "seen"), ("estimate", "estimate"), ("floor", "floor"))
                    ),
                ),
                Panel(
                    title="Held signals",
                    kind="state-timeline",
                    about="Red: the signal fails, and what was planned for last is held. Unknown is not zero.",
                    thresholds=((0.0, GOOD), (1.0, BAD)),
                    queries=(
                        Query(
                            expr=f"max by (namespace, demand, reason) (atoll_demand_signal_held{OF_FLEET})",
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
                            expr=f"sum by (pool, capacity_type) (atoll_nodes{OF_FLEET}) > 0",
                            legend="{{pool}} {{capacity_type}}",
                        ),
                    ),
                ),
                Panel(
                    title="Ready against planned",
                    about="Ready above planned for long: nodes that nobody uses and that are paid for.",
                    queries=(
                        Query(
                            expr=f"sum by (capacity_type) (atoll_nodes{OF_FLEET})", legend="{{capacity_type}} planned"
                        ),
                        Query(
                            expr=f"sum by (capacity_type) (atoll_nodes_ready{OF_FLEET})",
                            legend="{{capacity_type}} ready",
                        ),
                    ),
                ),
                Panel(
                    title="Lost nodes, by the hour",
                    about="Nodes under engines that went without our doing: spot interruptions, and failures.",
                    queries=(
                        Query(
                            expr=f"sum by (pool, zone, capacity_type) (increase(atoll_nodes_lost_total{OF_FLEET}[1h]))",
                            legend="{{pool}} {{zone}} {{capacity_type}}",
                        ),
                    ),
                ),
                Panel(
                    title="Masked offerings",
                    kind="state-timeline",
                    about="Red: pods waited and no node came; not counted on for a while.",
                    thresholds=((0.0, GOOD), (1.0, BAD)),
                    queries=(
                        Query(
                            expr=f"max by (pool, zone, capacity_type) (atoll_offering_masked{OF_FLEET})",
                            legend="{{pool}} {{zone}} {{capacity_type}}",
                        ),
                    ),
                ),
                Panel(
                    title="Price of a node",
                    unit=DOLLARS,
                    width=24,
                    queries=(
                        Query(
                            expr=f"max by (pool, zone, capacity_type) (atoll_node_price_dollars_per_hour{OF_FLEET})",
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
                        Query(expr=f"sum(atoll_replicas_wanted{OF_FLEET})", legend="wanted"),
                        Query(expr=f"sum(atoll_replicas_ready{OF_FLEET})", legend="ready"),
                        Query(expr=f"sum(atoll_replicas_leaving{OF_FLEET})", legend="leaving"),
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
