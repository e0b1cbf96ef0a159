"""Soft limits that are not kept name the field, its value and the mend."""

import pytest

from atoll.domain.demand import Loss, Placement
from atoll.reconcile.softlimits import unkept

PLACEMENT = Placement(spot_share=0.25, min_replicas=3, min_domains=2, survive=Loss.ZONE, survive_share=0.5)


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("SpotShareUnmet", ["spec.placement.spotShare 0.25", "raise it"]),
        ("MinReplicasUnmet", ["spec.placement.minReplicas 3", "maxNodes"]),
        ("MinDomainsUnmet", ["spec.placement.minDomains 2", "more zones"]),
        ("OverBudget", ["spec.budgetPerHour", "raise it"]),
        ("SurviveUnmet", ["spec.placement.survive zone with share 0.5", "lower the share"]),
    ],
)
def test_each_soft_limit_names_field_value_and_mend(reason: str, parts: list[str]) -> None:
    (sentence,) = unkept((reason,), PLACEMENT)

    assert sentence.startswith(f"{reason}: ")
    assert all(part in sentence for part in parts)


def test_a_quota_is_no_soft_limit() -> None:
    assert unkept(("QuotaReached",), PLACEMENT) == ()
