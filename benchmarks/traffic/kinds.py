"""Every kind of planned move, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.traffic import moves, notices
from benchmarks.traffic.bed import Bed
from benchmarks.traffic.sight import Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One kind.

    Attributes:
        name: for people.
        make: orders it and waits for its end; what was seen of it where it is the notice of a loss.
    """

    name: str
    make: Callable[[Bed], Loss | None]


MOVES = (
    Move(name="more demand", make=moves.more_demand),
    Move(name="another engine image", make=moves.another_image),
    Move(name="another GPU kind", make=moves.another_kind),
    Move(name="operator killed in a move", make=moves.killed_operator),
    Move(name="demand deleted", make=moves.stop_of_a_demand),
    Move(name="node with notice", make=notices.node_with_notice),
    Move(name="less demand", make=moves.less_demand),
    Move(name="another zone", make=moves.another_zone),
    Move(name="other capacity type", make=moves.other_terms),
    Move(name="another strategy", make=moves.another_strategy),
    Move(name="plan approved", make=moves.approval),
    Move(name="plan rolled back", make=moves.rollback),
    Move(name="image that cannot be pulled", make=moves.missing_image),
    Move(name="nodes that are not to be had", make=moves.scarce_nodes),
    Move(name="budget cut", make=moves.budget_cut),
    Move(name="router pods rolled", make=moves.rolling_router),
    Move(name="node cordoned", make=notices.cordoned_node),
    Move(name="node NotReady", make=notices.silent_node),
    Move(name="node deleted", make=notices.deleted_node),
    Move(name="node disrupted by Karpenter", make=notices.disrupted_node),
)
"""In an order in which each finds something to change; the first six are those of a short run."""
