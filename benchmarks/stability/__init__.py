"""What stays where it is: noise, changes of availability, and scarcity by priority; see docs/benchmarks.md."""
