"""Settings of the engine that estimates and rendered arguments must agree on."""

MEMORY_FRACTION = 0.90
"""Share of device memory that the engine takes (vLLM ``--gpu-memory-utilization``)."""

CHUNK_TOKENS = 2048
"""Most prompt tokens in one engine step (vLLM ``--max-num-batched-tokens``): activations are sized by it."""
