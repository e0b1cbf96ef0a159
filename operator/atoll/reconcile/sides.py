"""What replicas carry together: those of both phases the sum, and pairs the lesser of prefill and decode.

Prefill and decode replicas serve in pairs within a zone and a variant (``Strategy.variant``); design.md section 5.
"""

from collections import defaultdict
from collections.abc import Mapping

from atoll.domain.strategy import Phase, Strategy

Side = tuple[Phase | None, str, str]
"""Phase, variant and zone of replicas; of those that serve both phases nothing but that."""


def side_of(strategy: Strategy, zone: str) -> Side:
    """Which side of which pair a replica is on."""
    return (strategy.phase, strategy.variant, zone) if strategy.phase is not None else (None, "", "")


def carried(rates: Mapping[Side, float]) -> float:
    """Requests/s that replicas carry together.

    Args:
        rates: requests/s of all replicas of a side.
    """
    pairs: dict[tuple[str, str], dict[Phase, float]] = defaultdict(lambda: defaultdict(float))
    whole = 0.0
    for (phase, variant, zone), rate in rates.items():
        if phase is None:
            whole += rate
        else:
            pairs[variant, zone][phase] += rate
    return whole + sum(min(pair[Phase.PREFILL], pair[Phase.DECODE]) for pair in pairs.values())
