"""All dashboards."""

from atoll.report.monitoring.fleet import FLEET
from atoll.report.monitoring.health import OPERATOR

DASHBOARDS = (FLEET, OPERATOR)
