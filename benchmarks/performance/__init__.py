"""How true the estimates of step times are, against measurements that others made (benchmarks/data/performance)."""
