"""The operator's permissions on a local cluster: the chart's rules, bound to its user there."""

from typing import Any

from atoll.cluster.discovery import needed_permissions
from atoll.cluster.lease import NAME
from atoll.cluster.rbac import granted

_GROUP = "rbac.authorization.k8s.io"


def grants(*, namespace: str, user: str) -> tuple[dict[str, Any], ...]:
    """Roles and bindings that let a user do what the operator needs, and nothing else."""
    rules = granted(needed_permissions(namespace, NAME))
    subjects = [{"apiGroup": _GROUP, "kind": "User", "name": user}]
    found: list[dict[str, Any]] = []
    for prefix, where, scope in (("Cluster", "cluster", {}), ("", "namespace", {"namespace": namespace})):
        metadata = {"name": user, **scope}
        role = {"apiGroup": _GROUP, "kind": f"{prefix}Role", "name": user}
        common: dict[str, Any] = {"apiVersion": f"{_GROUP}/v1", "metadata": metadata}
        found.append({**common, "kind": f"{prefix}Role", "rules": rules[where]})
        found.append({**common, "kind": f"{prefix}RoleBinding", "roleRef": role, "subjects": subjects})
    return tuple(found)
