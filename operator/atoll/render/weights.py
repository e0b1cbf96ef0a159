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
        repository: Hugging Face name that the engine downloads; empty for weights that come otherwise.
        load_format: what the engine calls the way to load them; empty for its own choice.
        volumes: pod volumes that hold them.
        mounts: where they are mounted.
    """

    source: str
    revision: str = ""
    repository: str = ""
    load_format: str = ""
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()


def weights(demand: Demand) -> Weights:
    """Read ``hf://``, ``pvc://``, ``oci://`` or ``s3://``; without a URI the architecture's name.

    ``hf://organisation/name[@revision]`` is downloaded by the engine. ``pvc://claim/path`` is a volume.
    ``oci://reference`` is an image that holds the weights at its root, mounted as an image volume, so that a node pulls
    it once. From ``s3://bucket/prefix`` engines stream to the GPUs.

    Raises InvalidObjectError for any other URI.
    """
    if not demand.weights:
        return Weights(source=demand.architecture.name, repository=demand.architecture.name)
    scheme, separator, rest = demand.weights.partition("://")
    if separator and scheme == "hf":
        source, _, revision = rest.partition("@")
        if source.count("/") == 1 and all(source.split("/")):
            return Weights(source=source, revision=revision, repository=source)
    if separator and scheme == "pvc":
        claim, _, path = rest.partition("/")
        if claim and ".." not in path.split("/"):
            return Weights(
                source=f"{WEIGHTS_PATH}/{path.strip('/')}".rstrip("/"),
                volumes=({"name": _VOLUME, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}},),
                mounts=({"name": _VOLUME, "mountPath": WEIGHTS_PATH, "readOnly": True},),
            )
    if separator and scheme == "oci" and "/" in rest and not rest.endswith("/"):
        return Weights(
            source=WEIGHTS_PATH,
            volumes=({"name": _VOLUME, "image": {"reference": rest, "pullPolicy": "IfNotPresent"}},),
            mounts=({"name": _VOLUME, "mountPath": WEIGHTS_PATH, "readOnly": True},),
        )
    if separator and scheme == "s3" and rest.partition("/")[0]:
        return Weights(source=demand.weights.rstrip("/"), load_format="runai_streamer")
    raise _invalid(
        f"{demand.weights!r} is not supported: use hf://organisation/name[@revision], pvc://claim/path,"
        " oci://registry/repository:tag or s3://bucket/prefix"
    )


def _invalid(message: str) -> InvalidObjectError:
    return InvalidObjectError(Fault(reason=Reason.INVALID_SPEC, field="spec.model.weights", message=message))
