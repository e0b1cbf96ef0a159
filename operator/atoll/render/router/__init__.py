"""The router: one Envoy, configured by files from a ConfigMap (router.md; Envoy 1.40).

``bootstrap.json`` names the listeners and never changes under traffic; ``cds.json`` and ``rds.json`` hold what follows
the allocation and are re-read when the kubelet swaps the mounted folder. Both carry the same ``version_info``, which
each router pod reports back once it has taken it. They are JSON by name too: Envoy reads large
files as YAML more than twice as slowly.
"""
