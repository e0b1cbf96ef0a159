"""Comparison with inferno (llm-d's workload variant autoscaler) on its published instances; see README.md here."""
