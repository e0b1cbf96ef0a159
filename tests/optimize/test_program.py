import inspect
import io
from pathlib import Path

import pyomo.environ as pyo
import pytest
from pyomo.opt import WriterFactory

from atoll.domain.demand import Loss
from atoll.domain.problem import Problem
from atoll.domain.strategy import Phase
from atoll.optimize.indexing import sets_of
from atoll.optimize.program.build import BASELINE_FAMILIES, Family, build
from atoll.optimize.program.classes import add_size_classes
from atoll.optimize.program.pairs import add_pairs
from golden import assert_golden
from optimize.fleets import SPOT, problem, quota, row, running, supply, template

GOLDEN = Path(__file__).parent / "golden"


def fleet() -> Problem:
    """Two demands, two kinds, two zones: every family has a row to write, and every golden file can be read."""
    pair = template("L4", "H100", tp=1, rate=3.0)
    wide = template("L4", tp=4, rate=6.0)
    one = template("L4", rate=1.0)
    quad = supply("L4", 6, 4.0, zone="a")
    return problem(
        [
            row("chat", 5.0, one, wide, pair, spot_share=0.25, min_replicas=2, min_domains=2, survive=Loss.ZONE),
            row("code", 2.0, one, priority=10, preference=(SPOT,), survive=Loss.REPLICA),
        ],
        [
            quad,
            supply("L4", 1, 1.25, zone="b"),
            supply("L4", 1, 0.5, zone="b", capacity_type=SPOT),
            supply("H100", 2, 9.0, zone="a", nodes=1),
        ],
        [running("chat", wide, quad, count=1), running("code", one, quad, count=2)],
        budget_per_hour=30.0,
        quotas=(quota(12),),
    )


def mixed() -> Problem:
    """A demand that pairs serve and one of two size classes, each with limits that count some columns only."""
    sides = (template("H100", rate=4.0, phase=Phase.PREFILL), template("L4", rate=2.0, phase=Phase.DECODE))
    sizes = (template("L4", class_rates=(2.0, 0.5)), template("H100", rate=3.0))
    return problem(
        [
            row("chat", 4.0, *sides, template("H100", rate=1.0), spot_share=0.5),
            row("code", 6.0, *sizes, classes=(2.0, 4.0), preference=(SPOT,), survive=Loss.REPLICA),
        ],
        [supply("L4", 1, 0.5, capacity_type=SPOT), supply("L4", 2, 2.0), supply("H100", 1, 4.0)],
    )


def lp_of(families: tuple[Family, ...]) -> str:
    case = mixed() if families[-1] in {add_pairs, add_size_classes} else fleet()
    program = build(sets_of(case), families)
    if next(program.component_data_objects(pyo.Objective, active=True), None) is None:
        # An LP file must have an objective; a family that states none is written with this one.
        program.none = pyo.Objective(expr=next(iter(program.x.values())))
    text = io.StringIO()
    WriterFactory("lp_v2").write(program, text, symbolic_solver_labels=True)
    return text.getvalue()


@pytest.mark.parametrize("family", BASELINE_FAMILIES, ids=lambda family: family.__name__)
def test_family_is_written_as_in_its_golden_file(family: Family) -> None:
    """A family alone, with the variables that the families before it declare but without their rows."""
    families = BASELINE_FAMILIES[: BASELINE_FAMILIES.index(family)]
    program_text = lp_of((*_only_variables(families), family))
    assert_golden(GOLDEN / f"{family.__name__}.lp", program_text)


def _only_variables(families: tuple[Family, ...]) -> tuple[Family, ...]:
    def without_rows(add: Family) -> Family:
        def declare(program: pyo.ConcreteModel, sets: object) -> None:
            before = set(program.component_map((pyo.Constraint, pyo.Objective)))
            add(program, sets)  # type: ignore[arg-type]
            for name in set(program.component_map((pyo.Constraint, pyo.Objective))) - before:
                program.del_component(name)

        return declare

    return tuple(without_rows(add) for add in families)


def test_every_family_has_a_golden_file_and_every_golden_file_a_family() -> None:
    names = {family.__name__ for family in BASELINE_FAMILIES}
    assert {path.stem for path in GOLDEN.glob("add_*.lp")} == names


def test_every_family_of_the_package_is_in_the_program() -> None:
    folder = Path(inspect.getfile(build)).parent
    defined = {
        line.removeprefix("def ").split("(")[0]
        for path in folder.glob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith("def add_")
    }
    assert defined == {family.__name__ for family in BASELINE_FAMILIES}


@pytest.mark.parametrize("family", BASELINE_FAMILIES, ids=lambda family: family.__name__)
def test_family_says_what_it_means(family: Family) -> None:
    text = inspect.getdoc(family) or ""
    assert "``" in text
    assert "design" in text or "Coral" in text
