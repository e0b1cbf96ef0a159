"""Layer placement on the instances that Helix (ASPLOS'25, arXiv 2406.01566) published; see docs/benchmarks.md."""
