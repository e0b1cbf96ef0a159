"""For whom the cost of a fleet is added up."""

from dataclasses import dataclass

NAMESPACE = "namespace"
"""Demands of one namespace together."""

_LABEL = "label="


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Payer:
    """Demands whose cost is added up.

    Attributes:
        by: what puts them together: ``namespace``, or ``label=`` and the key of a label of theirs.
        value: which namespace, or the label's value; empty for demands without the label.
    """

    by: str
    value: str

    @property
    def label(self) -> str:
        """Key of the label; empty where it is by namespace."""
        return self.by.removeprefix(_LABEL) if self.by.startswith(_LABEL) else ""


def by_label(key: str) -> str:
    """How demands are put together that share the value of a label."""
    return f"{_LABEL}{key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPolicy:
    """For whom a fleet's cost is added up, beside namespaces.

    Attributes:
        labels: keys of labels of ModelDemands.
        budgets: US$/h that these may cost before somebody is told; they hold nothing back.
    """

    labels: tuple[str, ...] = ()
    budgets: tuple[tuple[Payer, float], ...] = ()
