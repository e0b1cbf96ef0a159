"""The program as arrays: what Pyomo states, in the form that HiGHS takes.

Pyomo's own HiGHS interfaces rebuild or diff the whole program per solve; the search solves one program some dozen
times with other bounds and objectives, so it is compiled once and only vectors change.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo
from pyomo.repn import generate_standard_repn

from atoll.optimize.sets import Floats, Ints

Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """``row_lower <= A v <= row_upper``, ``lower <= v <= upper``, some v integer.

    Attributes:
        lower: of each variable.
        upper: of each variable.
        integer: whether each variable is integer.
        row_lower: of each row.
        row_upper: of each row.
        starts: first entry of each row (compressed rows).
        indices: variable of each entry.
        values: coefficient of each entry.
        objectives: coefficients of each objective by its name.
        columns: numbers of the variables of each named Pyomo component.
    """

    lower: Floats
    upper: Floats
    integer: Bools
    row_lower: Floats
    row_upper: Floats
    starts: Ints
    indices: Ints
    values: Floats
    objectives: Mapping[str, Floats]
    columns: Mapping[str, Ints]


def compile_program(program: pyo.ConcreteModel) -> Matrix:
    """Read off a linear Pyomo program's arrays.

    Args:
        program: with linear constraints and objectives only.
    """
    number_of: dict[int, int] = {}
    lower, upper, integer = [], [], []
    columns: dict[str, Ints] = {}
    for component in program.component_objects(pyo.Var):
        first = len(number_of)
        for variable in component.values():
            number_of[id(variable)] = len(number_of)
            low, high = variable.bounds
            lower.append(-np.inf if low is None else low)
            upper.append(np.inf if high is None else high)
            integer.append(not variable.is_continuous())
        columns[component.local_name] = np.arange(first, len(number_of))
    starts, indices, values = [0], list[int](), list[float]()
    row_lower, row_upper = [], []
    for constraint in program.component_data_objects(pyo.Constraint, active=True):
        low, body, high = constraint.to_bounded_expression(evaluate_bounds=True)
        form = generate_standard_repn(body, quadratic=False)
        indices.extend(number_of[id(variable)] for variable in form.linear_vars)
        values.extend(form.linear_coefs)
        starts.append(len(indices))
        row_lower.append(-np.inf if low is None else low - form.constant)
        row_upper.append(np.inf if high is None else high - form.constant)
    objectives = {}
    for objective in program.component_data_objects(pyo.Objective):
        form = generate_standard_repn(objective.expr, quadratic=False)
        vector = np.zeros(len(number_of))
        for coefficient, variable in zip(form.linear_coefs, form.linear_vars, strict=True):
            vector[number_of[id(variable)]] += coefficient
        objectives[objective.local_name] = vector
    return Matrix(
        lower=np.array(lower, dtype=float),
        upper=np.array(upper, dtype=float),
        integer=np.array(integer, dtype=bool),
        row_lower=np.array(row_lower, dtype=float),
        row_upper=np.array(row_upper, dtype=float),
        starts=np.array(starts, dtype=np.int64),
        indices=np.array(indices, dtype=np.int64),
        values=np.array(values, dtype=float),
        objectives=objectives,
        columns=columns,
    )
