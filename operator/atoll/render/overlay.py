"""What a team adds to its engine pods: the typed allow-list ``spec.engine.podTemplate``; Atoll's own keys win."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from atoll.domain.reason import Fault, InvalidObjectError, Reason
from atoll.render.quantities import MEBIBYTE, mebibytes, millicores, parse_quantity
from atoll.render.requests import StageShare

_OWN_DOMAINS = ("atoll.dev", "karpenter.sh", "kubernetes.io", "k8s.io")
_POD_FIELDS = ("imagePullSecrets", "serviceAccountName", "priorityClassName", "runtimeClassName")
_FIELDS = frozenset({"labels", "annotations", "cpu", "memory", "volumes", "volumeMounts", "tolerations", *_POD_FIELDS})
_VOLUME_KINDS = frozenset({"persistentVolumeClaim", "emptyDir", "configMap", "csi", "secret"})
_FIELD = "spec.engine.podTemplate"
_MEANT = {"emptyDir", "labelSelector", "namespaceSelector"}
"""An empty selector selects everything, none nothing."""
_FREE = {"labels", "annotations", "matchLabels", "nodeSelector", "volumeAttributes"}
"""Maps in which an empty text is a value."""


class Overlay:
    """A read-only view of one overlay.

    Every method returns only what is set: no nulls, no empty values. The constructor raises InvalidObjectError for a
    field or a kind of volume that is not on the allow-list.
    """

    def __init__(self, pod_template: Mapping[str, Any]) -> None:
        self._fields: dict[str, Any] = prune(pod_template)
        for name in sorted(self._fields.keys() - _FIELDS):
            raise _invalid(f".{name}", f"{name!r} cannot be set; allowed are: {', '.join(sorted(_FIELDS))}")
        for index, volume in enumerate(self.volumes):
            kinds = volume.keys() - {"name"}
            if len(kinds) != 1 or not kinds <= _VOLUME_KINDS:
                raise _invalid(f".volumes[{index}]", f"give exactly one of: {', '.join(sorted(_VOLUME_KINDS))}")

    @property
    def labels(self) -> dict[str, str]:
        """Further labels, less those in domains that Atoll, Karpenter and Kubernetes own."""
        return _foreign(self._fields.get("labels", {}))

    @property
    def annotations(self) -> dict[str, str]:
        """Further annotations, less those in domains that Atoll, Karpenter and Kubernetes own."""
        return _foreign(self._fields.get("annotations", {}))

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """Further volumes."""
        return list(self._fields.get("volumes", ()))

    @property
    def mounts(self) -> list[dict[str, Any]]:
        """Where they are mounted."""
        return list(self._fields.get("volumeMounts", ()))

    @property
    def tolerations(self) -> list[dict[str, Any]]:
        """Further taints to tolerate."""
        return list(self._fields.get("tolerations", ()))

    @property
    def pod_fields(self) -> dict[str, Any]:
        """Fields of the pod's spec that are taken as they are."""
        return {name: self._fields[name] for name in _POD_FIELDS if name in self._fields}

    def requests(self, share: StageShare) -> dict[str, str]:
        """The stage's requests, with cpu and memory where they are set.

        Raises InvalidObjectError (RequestsExceedShare) where they are more than the stage's share of its node: such a
        pod would leave GPUs that the plan counts on without cpu or memory to use them.
        """
        requests = share.requests
        if "cpu" in self._fields:
            requests["cpu"] = millicores(self._within("cpu", Decimal("0.001"), share.cpu_millis))
        if "memory" in self._fields:
            requests["memory"] = mebibytes(self._within("memory", Decimal(MEBIBYTE), share.memory_mib))
        return requests

    def _within(self, field: str, unit: Decimal, most: int) -> int:
        text = self._fields[field]
        try:
            wanted = parse_quantity(text) / unit
        except ValueError as error:
            raise _invalid(f".{field}", str(error)) from error
        if wanted > most:
            share = millicores(most) if field == "cpu" else mebibytes(most)
            message = f"{text} is more than the stage's share of its node, {share}: ask for less or leave it out"
            raise _invalid(f".{field}", message, Reason.REQUESTS_EXCEED_SHARE)
        if wanted < 1:
            raise _invalid(f".{field}", f"{text} is too little to run anything")
        return int(wanted)


def merge_named(
    ours: Iterable[Mapping[str, Any]], theirs: Iterable[Mapping[str, Any]], key: str
) -> list[dict[str, Any]]:
    """Both lists, ours first; an item of theirs whose ``key`` one of ours has is left out."""
    merged: dict[Any, dict[str, Any]] = {item[key]: dict(item) for item in ours}
    for item in theirs:
        merged.setdefault(item[key], prune(item))
    return list(merged.values())


def prune(value: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without what the API server leaves out of an object: nulls, false, empty strings, lists and maps.

    Written, they would differ from the live object for ever. Maps that mean something though they are empty stay, and
    what people name freely stays as it is.
    """
    pruned = {
        name: item if name in _FREE else _pruned(item)
        for name, item in value.items()
        if item is not None and item is not False
    }
    return {name: item for name, item in pruned.items() if name in _MEANT or item not in ("", [], {})}


def _pruned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return prune(value)
    if isinstance(value, list | tuple):
        return [_pruned(item) for item in value]
    return value


def _foreign(entries: Mapping[str, str]) -> dict[str, str]:
    def owned(key: str) -> bool:
        domain, separator, _ = key.partition("/")
        return bool(separator) and any(domain == own or domain.endswith(f".{own}") for own in _OWN_DOMAINS)

    return {key: value for key, value in entries.items() if not owned(key)}


def _invalid(path: str, message: str, reason: Reason = Reason.INVALID_SPEC) -> InvalidObjectError:
    return InvalidObjectError(Fault(reason=reason, field=f"{_FIELD}{path}", message=message))
