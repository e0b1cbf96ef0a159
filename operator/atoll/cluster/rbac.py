"""The operator's permissions as rules of RBAC: the chart and the local environment grant the same, and no more."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from atoll.cluster.discovery import Permission

_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")


def policy_rules(permissions: Iterable[Permission]) -> list[dict[str, Any]]:
    """Rules that grant exactly these permissions, wherever they are granted.

    Resources of one group with the same verbs and names share a rule.
    """
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for each in permissions:
        group = each.kind.api_version.rpartition("/")[0]
        resource = f"{each.kind.plural}/{each.subresource}" if each.subresource else each.kind.plural
        verbs.setdefault((group, each.name, resource), set()).add(each.verb)
    alike = sorted((group, name, _ordered(found), resource) for (group, name, resource), found in verbs.items())
    return [
        _rule(group, name, granted, [resource for *_, resource in items])
        for (group, name, granted), items in groupby(alike, key=lambda item: item[:3])
    ]


def granted(permissions: Iterable[Permission]) -> Mapping[str, list[dict[str, Any]]]:
    """Rules by where they are granted: ``cluster`` for every namespace, ``namespace`` for the operator's own."""
    wanted = tuple(permissions)
    return {
        "cluster": policy_rules(each for each in wanted if not each.namespace),
        "namespace": policy_rules(each for each in wanted if each.namespace),
    }


def _ordered(verbs: Iterable[str]) -> tuple[int, ...]:
    return tuple(sorted(_VERBS.index(verb) for verb in verbs))


def _rule(group: str, name: str, verbs: tuple[int, ...], resources: list[str]) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [group], "resources": resources}
    rule |= {"resourceNames": [name]} if name else {}
    return {**rule, "verbs": [_VERBS[verb] for verb in verbs]}
