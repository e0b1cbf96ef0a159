"""What a Fleet says of itself."""

from typing import Annotated, Any

from msgspec import Meta

from atoll.api.v1alpha1.base import (
    CONDITIONS,
    OBSERVED_GENERATION,
    Conditions,
    Count,
    Fraction,
    Generation,
    Money,
    Rate,
    Schema,
    Text,
    Timestamp,
    describe,
)


class LastSolve(Schema, frozen=True, kw_only=True):
    """How the last solve went."""

    time: Annotated[Timestamp, describe("When, RFC 3339.")] = ""
    seconds: Annotated[Annotated[float, Meta(ge=0.0, le=1e6)], describe("Time taken, seconds.")] = 0.0
    solver: Annotated[Annotated[str, Meta(max_length=32)], describe("What found the answer.")] = ""
    trigger: Annotated[Text, describe("Why it was solved.")] = ""


Dollars = Annotated[float, Meta(ge=-1e12, le=1e12)]


class AccountStatus(Schema, frozen=True, kw_only=True):
    """What the fleet has cost since it was first planned: as planned, at the prices of the plans, not as billed."""

    began: Annotated[Timestamp, describe("When the first plan was in force, RFC 3339.")] = ""
    spent: Annotated[Dollars, describe("US$ from then until since.")] = 0.0
    saved: Annotated[Dollars, describe("US$ less than the baseline until since, while there was one.")] = 0.0
    compared_hours: Annotated[
        Annotated[float, Meta(ge=0.0, le=1e9)], describe("Hours until since in which there was a baseline.")
    ] = 0.0
    since: Annotated[Timestamp, describe("Since when the rates below hold, RFC 3339: add them to the sums.")] = ""
    plan: Annotated[Annotated[str, Meta(max_length=63)], describe("FleetPlan in force since then.")] = ""
    cost_per_hour: Annotated[Money, describe("What it costs, US$/h.")] = 0.0
    baseline_per_hour: Annotated[
        Money | None, describe("What the baseline would cost instead, US$/h; absent where there is none.")
    ] = None


class CostStatus(Schema, frozen=True, kw_only=True):
    """What the demands of a namespace, or of a label's value, cost by the plan in force."""

    by: Annotated[Annotated[str, Meta(max_length=323)], describe("What puts them together.")]
    value: Annotated[
        Annotated[str, Meta(max_length=63)],
        describe("Which; empty: demands without the label; (others): all beyond the 99 that cost most."),
    ]
    demands: Annotated[Count, describe("How many they are.")] = 0
    cost_per_hour: Annotated[Money, describe("Their part of the nodes' price, by GPUs, US$/h.")] = 0.0
    cost_per_million_tokens: Annotated[
        Money | None, describe("US$ per million tokens of prompts and answers; absent where none are served.")
    ] = None
    budget_per_hour: Annotated[Money | None, describe("What they may cost, US$/h; absent where none is set.")] = None


class InForceStatus(Schema, frozen=True, kw_only=True):
    """The settings that hold: the last that were understood."""

    generation: Annotated[Generation, describe("metadata.generation that they are of.")] = 0
    spec: Annotated[dict[str, Any] | None, describe("They, as they were declared.")] = None


class FleetStatus(Schema, frozen=True, kw_only=True):
    """What is."""

    observed_generation: Annotated[Generation, OBSERVED_GENERATION] = 0
    conditions: Annotated[Conditions, CONDITIONS] = ()
    cost_per_hour: Annotated[Money, describe("What the nodes in use cost beside what is paid for anyway, US$/h.")] = 0.0
    list_cost_per_hour: Annotated[Money, describe("Price of all nodes in use, owned and reserved ones too, US$/h.")] = (
        0.0
    )
    bound_per_hour: Annotated[Money, describe("Proven lower bound of it, US$/h.")] = 0.0
    gap: Annotated[Fraction, describe("(cost - bound) / cost.")] = 0.0
    conditional: Annotated[bool, describe("The bound holds for these shortfalls only.")] = False
    shortfall: Annotated[Rate, describe("Requests/s wanted and not planned for, all demands.")] = 0.0
    demands: Annotated[Annotated[int, Meta(ge=0, le=1_000_000)], describe("Demands of this fleet.")] = 0
    discovered_pools: Annotated[Count, describe("GPUNodePools that were made of what the cluster has.")] = 0
    discovery_notes: Annotated[
        Annotated[tuple[Text, ...], Meta(max_length=8)],
        describe("What was found and not understood, each with the mend.", list_type="atomic"),
    ] = ()
    current_plan: Annotated[Annotated[str, Meta(max_length=63)], describe("Name of the FleetPlan in force.")] = ""
    account: Annotated[AccountStatus, describe("What it has cost and saved since it was first planned.")] = (
        AccountStatus()
    )
    costs: Annotated[
        Annotated[tuple[CostStatus, ...], Meta(max_length=1000)],
        describe("What it costs by namespace, and by the labels of spec.cost.", list_type="atomic"),
    ] = ()
    last_solve: Annotated[LastSolve, describe("How the last solve went.")] = LastSolve()
    in_force: Annotated[
        InForceStatus,
        describe("The settings that hold: spec, or what it was when it was understood last, while it is invalid."),
    ] = InForceStatus()
