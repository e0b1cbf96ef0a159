"""Comparisons with published systems on their own instances, and of the solver with itself; see docs/benchmarks.md."""
