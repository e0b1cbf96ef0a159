"""Stand-ins for inference engines: vLLM's HTTP API on the very addresses of simulated pods, without weights or GPUs.

What is real: sockets and connections, HTTP and server-sent events, JSON as vLLM writes it, queueing behind
``--max-num-seqs``, the flags and times of the pod itself (served names, keep-alive, preStop, shutdown time-out, grace).
What stands in: tokens are words that mean nothing, and how fast they come follows a law that meets the template's rate
at the demand's time per token (:mod:`atoll.local.engines.tempo`).

Needs addresses that can be bound: a network namespace of its own (:mod:`atoll.local.namespace`).
"""
