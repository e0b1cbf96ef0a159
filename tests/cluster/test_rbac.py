from itertools import product

from atoll.cluster.discovery import Permission, needed_permissions
from atoll.cluster.rbac import granted, policy_rules
from atoll.domain.objects import DEPLOYMENT, LEASE, NODE, POD


def test_alike_resources_of_a_group_share_a_rule() -> None:
    permissions = [Permission(verb=verb, kind=kind) for kind in (POD, NODE) for verb in ("watch", "list")]

    assert policy_rules(permissions) == [
        {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["list", "watch"]}
    ]


def test_names_and_subresources_are_kept_apart() -> None:
    permissions = [
        Permission(verb="update", kind=DEPLOYMENT, subresource="scale"),
        Permission(verb="patch", kind=LEASE, name="x"),
        Permission(verb="create", kind=LEASE),
    ]

    assert policy_rules(permissions) == [
        {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["update"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["x"], "verbs": ["patch"]},
    ]


def test_exactly_what_is_needed_is_granted() -> None:
    needed = needed_permissions("system", "lease", "atoll-router")
    found = set()
    for where, rules in granted(needed).items():
        for rule in rules:
            names = rule.get("resourceNames", [""])
            found |= {(where, *each) for each in product(rule["apiGroups"], rule["resources"], names, rule["verbs"])}

    assert found == {
        (
            "namespace" if each.namespace else "cluster",
            each.kind.api_version.rpartition("/")[0],
            f"{each.kind.plural}/{each.subresource}" if each.subresource else each.kind.plural,
            each.name,
            each.verb,
        )
        for each in needed
    }


def test_nothing_dangerous_is_asked_for() -> None:
    resources = {
        (resource, verb)
        for rules in granted(needed_permissions("system", "lease", "atoll-router")).values()
        for rule in rules
        for resource, verb in product(rule["resources"], rule["verbs"])
    }

    assert not {verb for _, verb in resources} & {"*", "escalate", "bind", "impersonate", "deletecollection"}
    named = {resource for resource, _ in resources}
    assert not named & {"*", "secrets", "pods/exec", "pods/attach", "nodes/proxy", "serviceaccounts/token"}
    assert ("pods", "create") not in resources
