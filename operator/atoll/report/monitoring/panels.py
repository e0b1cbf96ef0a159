"""Grafana's JSON from few words: panels in rows of a grid 24 wide.

Written out plainly instead of with a library: a dashboard is data, few of its fields matter, and the form of these has
been the same since Grafana 9 (decision record 35).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
DOLLARS, RATE, SHARE = "currencyUSD", "reqps", "percentunit"
"""Grafana's names of units."""

GOOD, FAIR, BAD = "green", "orange", "red"

OF_FLEET = '{fleet="$fleet"}'
"""Of the fleet that the dashboard shows."""

_WIDTH = 24
_SCHEMA_VERSION = 39


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query of a panel.

    Attributes:
        expr: PromQL; ``$fleet`` and ``$__rate_interval`` are Grafana's.
        legend: name of each series, such as ``{{served_model}}``.
    """

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        title: what it shows.
        queries: at least one.
        kind: Grafana's type of panel.
        unit: Grafana's name of the unit; empty for a plain number.
        about: what to make of it, shown behind the panel's small i.
        width: of the 24 columns.
        height: in rows of the grid.
        stacked: series add up to a whole.
        thresholds: value and colour, lowest first; the first value counts from minus infinity.
    """

    title: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    unit: str = ""
    about: str = ""
    width: int = 12
    height: int = 8
    stacked: bool = False
    thresholds: tuple[tuple[float, str], ...] = ()


def number(
    title: str, expr: str, unit: str = "", about: str = "", *, thresholds: tuple[tuple[float, str], ...] = ()
) -> Panel:
    """A panel with the present value of one query."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row's title and its panels, from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One dashboard.

    Attributes:
        uid: that links name it by.
        title: of the dashboard.
        about: a sentence on it.
        rows: from the top.
        links: uid and title of dashboards beside it.
    """

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...]
    links: tuple[tuple[str, str], ...] = ()


def grafana(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in dashboard.rows:
        panels.append(_row(len(panels) + 1, row.title, top))
        top += 1
        left = height = 0
        for panel in row.panels:
            if left + panel.width > _WIDTH:
                left, top, height = 0, top + height, 0
            panels.append(_panel(len(panels) + 1, panel, left, top))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["atoll"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [_link(uid, title) for uid, title in dashboard.links],
        "annotations": {"list": [_losses()]},
        "templating": {"list": [_datasource(), _fleet()]},
        "panels": panels,
    }


def _row(number: int, title: str, top: int) -> dict[str, Any]:
    grid = {"h": 1, "w": _WIDTH, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": grid, "panels": []}


def _panel(number: int, panel: Panel, left: int, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": left, "y": top},
        "targets": [_target(panel, query, index) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    } | (_table(panel) if panel.kind == "table" else {})


def _target(panel: Panel, query: Query, index: int) -> dict[str, Any]:
    now = panel.kind in {"stat", "table", "bargauge"}
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": now,
        "range": not now,
        "format": "table" if panel.kind == "table" else "time_series",
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = {"unit": panel.unit or "short"}
    if panel.thresholds:
        (_, first), *others = panel.thresholds
        steps = [{"value": None, "color": first}, *({"value": value, "color": colour} for value, colour in others)]
        found |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        custom = {
            "lineWidth": 1,
            "fillOpacity": 25 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": stacking,
        }
        found |= {"custom": custom, "min": 0}
    return found


def _options(panel: Panel) -> dict[str, Any]:
    reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case "timeseries":
            legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "stat":
            return {"reduceOptions": reduced, "colorMode": "value", "graphMode": "none", "textMode": "auto"}
        case "bargauge":
            return {"reduceOptions": reduced, "orientation": "horizontal", "displayMode": "basic"}
        case "state-timeline":
            return {"mergeValues": True, "showValue": "never", "legend": {"showLegend": False}}
        case _:
            return {}


def _table(panel: Panel) -> dict[str, Any]:
    """Queries of a table side by side, one line for each set of labels, columns named by the legends."""
    names = {f"Value #{chr(ord('A') + index)}": query.legend for index, query in enumerate(panel.queries)}
    hidden = {"Time": True, "fleet": True}
    transformations = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden, "renameByName": names}},
    ]
    return {"transformations": transformations}


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _fleet() -> dict[str, Any]:
    query = "label_values(atoll_fleet_mode, fleet)"
    return {
        "name": "fleet",
        "label": "Fleet",
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "fleet"},
        "definition": query,
        "refresh": 2,
        "sort": 1,
    }


def _losses() -> dict[str, Any]:
    return {
        "name": "Lost nodes",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'sum by (pool, zone) (increase(atoll_nodes_lost_total{fleet="$fleet"}[2m])) > 0',
        "titleFormat": "Node lost",
        "textFormat": "{{pool}} in {{zone}}",
    }


def _link(uid: str, title: str) -> dict[str, Any]:
    return {
        "type": "link",
        "title": title,
        "url": f"/d/{uid}?${{fleet:queryparam}}&${{datasource:queryparam}}",
        "keepTime": True,
        "includeVars": False,
    }


def queries(dashboard: Dashboard) -> Sequence[str]:
    """Every PromQL expression of the panels."""
    return [query.expr for row in dashboard.rows for panel in row.panels for query in panel.queries]
