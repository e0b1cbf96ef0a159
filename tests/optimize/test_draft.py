import numpy as np

from atoll.optimize.draft import Draft, draft_of, plan_in, within_quotas
from atoll.optimize.indexing import sets_over
from atoll.optimize.plan import fits
from atoll.optimize.space import space_of
from optimize.fleets import problem, quota, row, supply, template

CASE = problem(
    [row("a", 2.0, template("L4"), priority=1), row("b", 2.0, template("H100"), template("L4", tp=2, rate=1.5))],
    [supply("L4", 4, 1.0), supply("H100", 1, 0.0)],
    quotas=(quota(3),),
)
SPACE = space_of(CASE)


def test_idle_nodes_of_supplies_that_no_choice_uses_are_left_out() -> None:
    (only,) = [choice for choice in SPACE.choices() if choice[0] == 0]
    draft = Draft(counts={only: 2}, nodes=np.array([1, 3]))
    sets = sets_over(SPACE, CASE, [only])
    plan = plan_in(sets, draft, "program")
    assert plan is not None
    assert fits(sets, plan)
    assert draft_of(SPACE, sets, plan).nodes.tolist() == [1, 0]


def test_choice_that_sets_lack_makes_no_plan() -> None:
    first, second = SPACE.choices()[:2]
    draft = Draft(counts={first: 1, second: 1}, nodes=np.array([1, 1]))
    assert plan_in(sets_over(SPACE, CASE, [first]), draft, "program") is None


def test_a_draft_beyond_a_quota_loses_what_is_of_low_priority_and_serves_least_with_its_gpus() -> None:
    counts = dict.fromkeys(SPACE.choices(), 1)
    kept = within_quotas(SPACE, Draft(counts=counts, nodes=np.array([2, 2])))
    assert kept.gpus(SPACE)["shop"] == 2
    assert {SPACE.demands[demand].key.name for demand, _, _ in kept.counts} == {"a", "b"}
    assert within_quotas(SPACE, kept) is kept
