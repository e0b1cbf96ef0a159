"""What the descriptions of all kinds share: the struct base, CEL rules and bounded scalars.

Every string has a greatest length and every list and map a greatest size: the API server estimates the cost of CEL
rules from them and refuses a CRD without (reliability.md S5).
"""

import re
from typing import Annotated, ClassVar, NamedTuple

from msgspec import Meta, Struct


class Rule(NamedTuple):
    """One CEL validation rule and what the API server says when it does not hold."""

    rule: str
    message: str


class Column(NamedTuple):
    """One column of ``kubectl get``; ``wide`` columns show with ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


class Schema(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Base of every struct: camelCase names, unknown fields refused, defaults left out when encoding."""

    rules: ClassVar[tuple[Rule, ...]] = ()
    columns: ClassVar[tuple[Column, ...]] = ()


IMMUTABLE = Rule("self == oldSelf", "is immutable: delete and create the object instead")


def describe(description: str, *rules: Rule, **keywords: object) -> Meta:
    """Metadata of a field: its description, its CEL rules and OpenAPI keywords (``list_type``, ``list_map_keys``)."""
    extra: dict[str, object] = {f"x-kubernetes-{key.replace('_', '-')}": value for key, value in keywords.items()}
    if rules:
        extra["x-kubernetes-validations"] = [rule._asdict() for rule in rules]
    return Meta(description=description, extra_json_schema=extra or None)


def between(least: str, most: str) -> Rule:
    """Bounds of a Go duration."""
    return Rule(
        f"duration(self) >= duration('{least}') && duration(self) <= duration('{most}')",
        f"must be between {least} and {most}",
    )


_BETWEEN = re.compile(r"duration\(self\) >= duration\('(\w+)'\) && duration\(self\) <= duration\('(\w+)'\)")


def bounds_of(rule: str) -> tuple[str, str] | None:
    """Least and most of a rule made by ``between``; None for another rule."""
    found = _BETWEEN.fullmatch(rule)
    return (found[1], found[2]) if found else None


Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Rate = Annotated[float, Meta(ge=0.0, le=1e6)]
"""Requests/s; a million is ten times the busiest public service of 2026."""
Money = Annotated[float, Meta(ge=0.0, le=1e9)]
"""US$ per hour."""
Price = Annotated[float, Meta(ge=0.0, le=1e4)]
"""US$ per node and hour; the dearest GPU node of any cloud is below 500."""
Seconds = Annotated[float, Meta(ge=0.0, le=1e6)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Generation = Annotated[int, Meta(ge=0, le=2**53)]
Duration = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$", max_length=16)]
"""Go duration, such as ``1200ms`` or ``10m``."""
Quantity = (
    Annotated[int, Meta(ge=0, le=2**53)]
    | Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$", max_length=16)]
)
"""Kubernetes quantity, such as ``8``, ``7910m`` or ``64Gi``."""
Label = Annotated[str, Meta(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$", max_length=63)]
"""Value of a label."""
LabelKey = Annotated[str, Meta(max_length=317)]
ObjectName = Annotated[str, Meta(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
"""DNS-1123 subdomain."""
FleetName = Annotated[str, Meta(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
Word = Annotated[str, Meta(min_length=1, max_length=63)]
"""A short name, such as a region, a zone or a GPU kind."""
Text = Annotated[str, Meta(max_length=1024)]
Message = Annotated[str, Meta(max_length=32768)]
Uid = Annotated[str, Meta(max_length=64)]
Timestamp = Annotated[str, Meta(max_length=40)]

FLEET = describe("Name of the Fleet this belongs to. Immutable.", IMMUTABLE)


class Condition(Schema, frozen=True, kw_only=True):
    """One condition, as Kubernetes API conventions have it."""

    type: Annotated[Annotated[str, Meta(max_length=316)], describe("What is true or not: Ready, Planned, Routed, …")]
    status: Annotated[
        Annotated[str, Meta(pattern="^(True|False|Unknown)$", max_length=7)], describe("True, False or Unknown.")
    ]
    reason: Annotated[
        Annotated[str, Meta(max_length=128)], describe("One word; the same in events, logs and metrics.")
    ] = ""
    message: Annotated[Message, describe("What it means and, where something is wrong, the mend.")] = ""
    observed_generation: Annotated[Generation, describe("metadata.generation that this was seen for.")] = 0
    last_transition_time: Annotated[Timestamp, describe("When the status last changed, RFC 3339.")] = ""


Conditions = Annotated[tuple[Condition, ...], Meta(max_length=16)]
CONDITIONS = describe("Conditions; Ready sums up the others.", list_type="map", list_map_keys=["type"])
OBSERVED_GENERATION = describe("metadata.generation that this status was written for.")


class Toleration(Schema, frozen=True, kw_only=True):
    """One toleration, as in a pod's spec."""

    key: Annotated[LabelKey, describe("Taint key; empty with operator Exists tolerates every taint.")] = ""
    operator: Annotated[
        Annotated[str, Meta(pattern="^(Equal|Exists)$", max_length=6)], describe("Equal or Exists.")
    ] = "Equal"
    value: Annotated[Label, describe("Taint value, for Equal.")] = ""
    effect: Annotated[
        Annotated[str, Meta(pattern="^(|NoSchedule|PreferNoSchedule|NoExecute)$", max_length=16)],
        describe("Taint effect; empty tolerates every effect."),
    ] = ""
    toleration_seconds: Annotated[
        Annotated[int, Meta(ge=0, le=86400)] | None, describe("For NoExecute: how long it is tolerated, seconds.")
    ] = None


Tolerations = Annotated[tuple[Toleration, ...], Meta(max_length=32)]
