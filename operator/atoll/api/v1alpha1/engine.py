"""The engine part of a ModelDemand: image, arguments, environment and the typed overlay of the pod template.

The overlay is an allow-list (docs/architecture.md): what is not named here cannot be set, and Atoll's own keys win.
"""

from typing import Annotated, ClassVar

from msgspec import Meta, field

from atoll.api.v1alpha1.base import Label, LabelKey, ObjectName, Quantity, Rule, Schema, Tolerations, describe
from atoll.domain.strategy import EngineName

VariableName = Annotated[str, Meta(pattern="^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=128)]
KeyName = Annotated[str, Meta(pattern="^[-._a-zA-Z0-9]+$", max_length=253)]
VolumeName = Annotated[str, Meta(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Path = Annotated[str, Meta(pattern="^/[^:]*$", max_length=512)]


class SecretKey(Schema, frozen=True, kw_only=True):
    """One key of a Secret in the demand's namespace."""

    name: Annotated[ObjectName, describe("Name of the Secret.")]
    key: Annotated[KeyName, describe("Key in it.")]
    optional: Annotated[bool, describe("Go on where it is missing.")] = False


class EnvSource(Schema, frozen=True, kw_only=True):
    """Where a variable's value is had."""

    secret_key_ref: Annotated[SecretKey, describe("A key of a Secret.")]


class EnvVariable(Schema, frozen=True, kw_only=True):
    """One environment variable of the engine's container."""

    name: Annotated[VariableName, describe("Name of the variable.")]
    value: Annotated[
        Annotated[str, Meta(max_length=4096)] | None, describe("Literal value; keep secrets in valueFrom.")
    ] = None
    value_from: Annotated[EnvSource | None, describe("Reference to a secret value.")] = None

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("!(has(self.value) && has(self.valueFrom))", "give one of value and valueFrom, not both"),
    )


class ClaimVolume(Schema, frozen=True, kw_only=True):
    """A PersistentVolumeClaim of the demand's namespace."""

    claim_name: Annotated[ObjectName, describe("Name of the claim.")]
    read_only: Annotated[bool, describe("Mount it read-only.")] = False


class EmptyVolume(Schema, frozen=True, kw_only=True):
    """Scratch space that goes with the pod."""

    medium: Annotated[Annotated[str, Meta(pattern="^(|Memory)$", max_length=6)], describe("Empty or Memory.")] = ""
    size_limit: Annotated[Quantity | None, describe("Most that it may hold.")] = None


class ConfigVolume(Schema, frozen=True, kw_only=True):
    """A ConfigMap of the demand's namespace."""

    name: Annotated[ObjectName, describe("Name of the ConfigMap.")]
    optional: Annotated[bool, describe("Go on where it is missing.")] = False


class SecretVolume(Schema, frozen=True, kw_only=True):
    """A Secret of the demand's namespace, by name."""

    secret_name: Annotated[ObjectName, describe("Name of the Secret.")]
    optional: Annotated[bool, describe("Go on where it is missing.")] = False


class CsiVolume(Schema, frozen=True, kw_only=True):
    """An inline volume of a CSI driver."""

    driver: Annotated[ObjectName, describe("Name of the driver.")]
    read_only: Annotated[bool, describe("Mount it read-only.")] = False
    volume_attributes: Annotated[
        Annotated[dict[LabelKey, Annotated[str, Meta(max_length=1024)]], Meta(max_length=32)],
        describe("Attributes for the driver."),
    ] = field(default_factory=dict)


class Volume(Schema, frozen=True, kw_only=True):
    """One volume of the pod; exactly one kind."""

    name: Annotated[VolumeName, describe("Name of the volume.")]
    persistent_volume_claim: Annotated[ClaimVolume | None, describe("A PersistentVolumeClaim.")] = None
    empty_dir: Annotated[EmptyVolume | None, describe("Scratch space.")] = None
    config_map: Annotated[ConfigVolume | None, describe("A ConfigMap.")] = None
    secret: Annotated[SecretVolume | None, describe("A Secret.")] = None
    csi: Annotated[CsiVolume | None, describe("An inline CSI volume.")] = None

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.persistentVolumeClaim), has(self.emptyDir), has(self.configMap), has(self.secret), "
            "has(self.csi)].filter(given, given).size() == 1",
            "give exactly one of persistentVolumeClaim, emptyDir, configMap, secret and csi",
        ),
    )


class VolumeMount(Schema, frozen=True, kw_only=True):
    """Where the engine's container sees a volume."""

    name: Annotated[VolumeName, describe("Name of the volume.")]
    mount_path: Annotated[Path, describe("Path in the container.")]
    sub_path: Annotated[Annotated[str, Meta(max_length=512)], describe("Path in the volume.")] = ""
    read_only: Annotated[bool, describe("Mount it read-only.")] = False


class PullSecret(Schema, frozen=True, kw_only=True):
    """A Secret with registry credentials, by name."""

    name: Annotated[ObjectName, describe("Name of the Secret.")]


class PodOverlay(Schema, frozen=True, kw_only=True):
    """What a team may add to the pods of its engine; Atoll's own keys win."""

    labels: Annotated[
        Annotated[dict[LabelKey, Label], Meta(max_length=32)], describe("Further labels; atoll.dev/ is ours.")
    ] = field(default_factory=dict)
    annotations: Annotated[
        Annotated[dict[LabelKey, Annotated[str, Meta(max_length=4096)]], Meta(max_length=32)],
        describe("Further annotations; atoll.dev/ and karpenter.sh/ are ours."),
    ] = field(default_factory=dict)
    cpu: Annotated[
        Quantity | None, describe("cpu of each stage; at most its share of the node, which is the default.")
    ] = None
    memory: Annotated[
        Quantity | None, describe("Memory of each stage; at most its share of the node, which is the default.")
    ] = None
    volumes: Annotated[
        Annotated[tuple[Volume, ...], Meta(max_length=16)],
        describe("Further volumes.", list_type="map", list_map_keys=["name"]),
    ] = ()
    volume_mounts: Annotated[
        Annotated[tuple[VolumeMount, ...], Meta(max_length=16)],
        describe("Where they are mounted.", list_type="map", list_map_keys=["mountPath"]),
    ] = ()
    image_pull_secrets: Annotated[
        Annotated[tuple[PullSecret, ...], Meta(max_length=8)],
        describe("Registry credentials.", list_type="map", list_map_keys=["name"]),
    ] = ()
    service_account_name: Annotated[
        Annotated[str, Meta(max_length=253)], describe("Service account; its token is not mounted.")
    ] = ""
    priority_class_name: Annotated[Annotated[str, Meta(max_length=253)], describe("PriorityClass of the pods.")] = ""
    runtime_class_name: Annotated[Annotated[str, Meta(max_length=253)], describe("RuntimeClass of the pods.")] = ""
    tolerations: Annotated[Tolerations, describe("Further taints to tolerate.", list_type="atomic")] = ()


class EngineChoice(Schema, frozen=True, kw_only=True):
    """What runs the served model."""

    name: Annotated[EngineName, describe("vllm or sglang.")] = EngineName.VLLM
    image: Annotated[
        Annotated[str, Meta(max_length=512)], describe("Container image; empty: the tested release of vLLM.")
    ] = ""
    args: Annotated[
        Annotated[tuple[Annotated[str, Meta(max_length=1024)], ...], Meta(max_length=64)],
        describe("Further arguments, appended to ours.", list_type="atomic"),
    ] = ()
    env: Annotated[
        Annotated[tuple[EnvVariable, ...], Meta(max_length=64)],
        describe("Environment variables.", list_type="map", list_map_keys=["name"]),
    ] = ()
    pairs: Annotated[
        bool,
        describe(
            "Prefill and decode may run on replicas of their own, in pairs within a zone, where that costs less. The "
            "image must have NIXL, as the engines' own have."
        ),
    ] = False
    pod_template: Annotated[PodOverlay, describe("Overlay of the pod template: a typed allow-list.")] = PodOverlay()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.name == 'vllm' || size(self.image) > 0", "image must be set for sglang: Atoll tests no release of it"
        ),
    )
