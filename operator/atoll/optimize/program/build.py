"""The whole program from its families, in the order of docs and golden files."""

from collections.abc import Callable

import pyomo.environ as pyo

from atoll.optimize.program.breach import add_breach_level
from atoll.optimize.program.budget import add_budget
from atoll.optimize.program.classes import add_size_classes
from atoll.optimize.program.demand import add_demand
from atoll.optimize.program.domains import add_least_domains
from atoll.optimize.program.objective import add_objectives
from atoll.optimize.program.one_kind import add_one_kind
from atoll.optimize.program.packing import add_packing
from atoll.optimize.program.pairs import add_pairs
from atoll.optimize.program.preference import add_preference
from atoll.optimize.program.quota import add_quotas
from atoll.optimize.program.replicas import add_least_replicas
from atoll.optimize.program.shortfall import add_shortfall_levels
from atoll.optimize.program.spot import add_spot_share
from atoll.optimize.program.survive import add_survival
from atoll.optimize.program.switching import add_switching
from atoll.optimize.program.variables import add_variables
from atoll.optimize.sets import Sets

Family = Callable[[pyo.ConcreteModel, Sets], None]

FAMILIES: tuple[Family, ...] = (
    add_variables,
    add_pairs,
    add_size_classes,
    add_demand,
    add_packing,
    add_quotas,
    add_spot_share,
    add_least_replicas,
    add_least_domains,
    add_survival,
    add_budget,
    add_preference,
    add_shortfall_levels,
    add_breach_level,
    add_switching,
    add_objectives,
)
"""Families of the exact program; each may use variables of those before it."""

BASELINE_FAMILIES: tuple[Family, ...] = (*FAMILIES, add_one_kind)
"""Families of the baseline with one GPU kind per demand."""


def build(sets: Sets, families: tuple[Family, ...] = FAMILIES) -> pyo.ConcreteModel:
    """State the program of these sets.

    Args:
        sets: what it is indexed by.
        families: which constraint families.
    """
    program = pyo.ConcreteModel(name="atoll")
    for add in families:
        add(program, sets)
    return program
