"""Soft limits that a plan does not keep, for people: the field, its value, and what would mend it."""

from collections.abc import Iterable

from atoll.domain.demand import Placement
from atoll.domain.reason import Reason


def unkept(unmet: Iterable[str], placement: Placement) -> tuple[str, ...]:
    """A sentence for each soft limit that is not kept; quotas, which are hard, are told with the shortfall.

    Args:
        unmet: reasons, as a plan has them.
        placement: of the demand.
    """
    return tuple(_said(reason, placement) for reason in unmet if reason != Reason.QUOTA_REACHED)


def _said(reason: str, placement: Placement) -> str:
    more = "offer more nodes that are not spot"
    sentences = {
        Reason.SPOT_SHARE_UNMET: f"spec.placement.spotShare {placement.spot_share:g} is exceeded: raise it, or {more}",
        Reason.MIN_REPLICAS_UNMET: (
            f"spec.placement.minReplicas {placement.min_replicas} is not reached: lower it, or raise maxNodes of a pool"
        ),
        Reason.MIN_DOMAINS_UNMET: (
            f"spec.placement.minDomains {placement.min_domains} is not reached: lower it, or offer nodes in more zones"
        ),
        Reason.SURVIVE_UNMET: (
            f"spec.placement.survive {placement.survive} with share {placement.survive_share:g} is not kept: "
            "lower the share, or offer nodes elsewhere"
        ),
        Reason.OVER_BUDGET: "spec.budgetPerHour of the Fleet is exceeded: raise it, or lower a demand",
    }
    known = next((text for name, text in sentences.items() if name == reason), "is not kept")
    return f"{reason}: {known}"
