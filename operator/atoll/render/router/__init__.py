"""The router: one Envoy, configured by files from a ConfigMap (router.md; Envoy 1.40).

``bootstrap.yaml`` names the listeners and never changes under traffic; ``cds.yaml`` and ``rds.yaml`` hold what follows
the allocation and are re-read when the kubelet swaps the mounted folder. Both carry the same ``version_info``, which
each router pod reports back once it has taken it. The files are JSON, which is YAML too.
"""
