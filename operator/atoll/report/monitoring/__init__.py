"""Dashboards and rules for the operator's metrics, as code: what Grafana and Prometheus are given."""
