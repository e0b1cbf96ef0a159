"""A fleet over simulated time: the operator's own decisions in a simulated cloud, beside simpler ways to decide."""
