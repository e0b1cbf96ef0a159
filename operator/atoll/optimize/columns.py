"""What a program's variables and rows are of, one object each: columns, packing groups, views, what runs."""

from dataclasses import dataclass

from atoll.domain.gpu import CapacityType
from atoll.domain.problem import ReplicaGroup
from atoll.optimize.space import Choice, Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One x[m,t,z,a]: replicas of a template in a domain and capacity class.

    Attributes:
        demand: index of the demand.
        label: readable name of the template within the demand, its strategy's id.
        template: index of the template within the demand.
        choice: the same in the space.
        domain: where.
        capacity_type: on which terms.
        share: share of the demand that one replica serves, 1 = all of it; may exceed 1.
        pods: stage pods as (group, width in GPUs, count).
        upper: more replicas than this are never of use.
        start_charge: cost of starting one replica, spread over the horizon, US$/h.
    """

    demand: int
    label: str
    template: int
    choice: Choice
    domain: Domain
    capacity_type: CapacityType
    share: float
    pods: tuple[tuple[int, int, int], ...]
    upper: int
    start_charge: float

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return sum(width * count for _, width, count in self.pods)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Columns of a demand whose replicas serve the same share of it, where the loss of one is to be survived.

    Attributes:
        demand: index of the demand.
        share: of the demand, clipped to what is to be served after the loss.
        columns: of this size.
    """

    demand: int
    share: float
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Columns of a demand that count for one of its rows; where it has flows, each view has its own.

    Attributes:
        demand: index of the demand.
        name: unique within the demand.
        columns: that count.
        less: the column of which one replica is taken as lost; -1 for none.
    """

    demand: int
    name: str
    columns: tuple[int, ...]
    less: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Replicas that run now and that a plan can keep.

    Attributes:
        column: index of the column that they are of.
        group: the replicas.
    """

    column: int
    group: ReplicaGroup
