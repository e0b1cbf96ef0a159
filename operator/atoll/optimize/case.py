"""What is to be decided, and what was: the messages between the operator and the solver's process."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from atoll.domain.demand import Demand, DemandKey
from atoll.domain.explanation import Explanation
from atoll.domain.pool import Supply
from atoll.domain.problem import Allocation, Problem, ReplicaGroup, SolvePolicy
from atoll.domain.profile import PerformanceProfile
from atoll.domain.reason import Fault
from atoll.domain.startup import StartPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that a decision depends on.

    Attributes:
        demands: valid ones, in a stable order.
        supplies: what nodes can be had.
        running: replicas that run, without those that are lost.
        former: replicas of the plan in force, lost ones too.
        policy: how to solve.
        profiles: measured step times; they win over estimates.
        corrections: by demand, how many times as long as estimated steps take on some GPU kinds; none where they are
            not applied.
        start: what is known of replicas' starts.
        compare: whether the best answer with one GPU kind per served model is sought too, likewise.
        explain: whether the answer is to be explained too, which takes up to a fifth of the deadline more.
    """

    demands: tuple[Demand, ...]
    supplies: tuple[Supply, ...]
    running: tuple[ReplicaGroup, ...]
    policy: SolvePolicy
    former: tuple[ReplicaGroup, ...] = ()
    profiles: tuple[PerformanceProfile, ...] = ()
    corrections: Mapping[DemandKey, Mapping[str, float]] = field(default_factory=dict)
    start: StartPolicy = field(default_factory=StartPolicy)
    compare: bool = False
    explain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """The question what the best answer with one GPU kind per served model is.

    Attributes:
        problem: as it was solved.
        seconds: in which to seek it.
    """

    problem: Problem
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The question why an answer is as it is.

    Attributes:
        problem: as it was solved.
        allocation: the answer.
        seconds: in which to explain it.
    """

    problem: Problem
    allocation: Allocation
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided.

    Attributes:
        problem: as it was solved; faulty demands are not in it.
        allocation: the answer.
        faults: demands that nothing can serve, with the reason.
        fault: why the answer is only the first feasible one: the solver hung or crashed; None where it did not.
        explanation: why the answer is as it is; None where it was not asked for, or not had.
        baseline: the best answer with one GPU kind per served model; None likewise.
    """

    problem: Problem
    allocation: Allocation
    faults: Mapping[DemandKey, Fault]
    fault: Fault | None = None
    explanation: Explanation | None = None
    baseline: Allocation | None = None
