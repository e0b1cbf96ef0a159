"""Where an engine finds the weights of a served model."""

from dataclasses import dataclass
from typing import Any

from atoll.domain.demand import Demand
from atoll.domain.reason import Fault, InvalidObjectError, Reason

WEIGHTS_PATH = "/weights"
_VOLUME = "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weights as an engine takes them.

    Attributes:
        source: Hugging Face name, or a path in the container.
        revision: Hugging Face branch, tag or commit; empty for the default.
        volumes: pod volumes that hold them.
        mounts: where they are mounted.
    """

    source: str
    revision: str = ""
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()


def weights(demand: Demand) -> Weights:
    """Read ``hf://organisation/name[@revision]`` or ``pvc://claim/path``; without a URI the architecture's name.

    Raises InvalidObjectError for any other URI.
    """
    if not demand.weights:
        return Weights(source=demand.architecture.name)
    scheme, separator, rest = demand.weights.partition("://")
    if separator and scheme == "hf":
        source, _, revision = rest.partition("@")
        if source.count("/") == 1 and all(source.split("/")):
            return Weights(source=source, revision=revision)
    if separator and scheme == "pvc":
        claim, _, path = rest.partition("/")
        if claim and ".." not in path.split("/"):
            return Weights(
                source=f"{WEIGHTS_PATH}/{path.strip('/')}".rstrip("/"),
                volumes=({"name": _VOLUME, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}},),
                mounts=({"name": _VOLUME, "mountPath": WEIGHTS_PATH, "readOnly": True},),
            )
    raise InvalidObjectError(
        Fault(
            reason=Reason.INVALID_SPEC,
            field="spec.model.weights",
            message=f"{demand.weights!r} is not supported: use hf://organisation/name[@revision] or pvc://claim/path",
        )
    )
