"""What replicas of a demand carry of it together: the sum of what each serves, except in two cases.

Prefill and decode replicas serve in pairs: in a domain, those of one variant (engine, quantisation, widths and form of
KV, so that one can read the other's) serve what the lesser of both sides does. And where a demand has size classes, how
its requests are shared out decides: that is a small linear program (design section 5, pairs and size classes).
"""

from collections import defaultdict
from collections.abc import Sequence

import highspy
import numpy as np

from atoll.domain.strategy import Phase
from atoll.optimize.sets import Sets
from atoll.optimize.space import Floats, Ints


def carried(sets: Sets, counts: Ints, demand: int, columns: Ints) -> float:
    """Share of a demand that some of its columns carry; beyond 1 where they could carry more.

    Args:
        sets: of the columns.
        counts: replicas by column.
        demand: number of the demand.
        columns: of the demand.
    """
    used = columns[counts[columns] > 0]
    wanted = sets.demands[demand]
    if wanted.classes:
        return float(sum(shared_out(sets, counts, demand, used)))
    if wanted.is_paired:
        return _paired(sets, counts, demand, used)
    return float((counts[used] * sets.share[used]).sum())


def shared_out(sets: Sets, counts: Ints, demand: int, columns: Ints) -> list[float]:
    """Share of a demand that some of its columns carry of each size class, shared out at best."""
    wanted = sets.demands[demand]
    rates: dict[tuple[float, ...], int] = defaultdict(int)
    for number in columns.tolist():
        rates[wanted.class_shares(sets.columns[number].template)] += int(counts[number])
    return _routed(list(rates), list(rates.values()), wanted.classes)


def _paired(sets: Sets, counts: Ints, demand: int, columns: Ints) -> float:
    """Whole replicas and, by domain and variant, the lesser of prefill and decode."""
    wanted, whole = sets.demands[demand], 0.0
    sides: dict[object, dict[Phase, float]] = defaultdict(lambda: defaultdict(float))
    for number in columns.tolist():
        column = sets.columns[number]
        template = wanted.templates[column.template]
        share = int(counts[number]) * template.rate / wanted.rate
        if template.strategy.phase is None:
            whole += share
        else:
            sides[column.domain, template.strategy.variant][template.strategy.phase] += share
    return whole + sum(min(side[Phase.PREFILL], side[Phase.DECODE]) for side in sides.values())


def _routed(rates: Sequence[tuple[float, ...]], counts: Sequence[int], classes: Sequence[float]) -> list[float]:
    """``max sum f[b,t] so that sum_t f[b,t] <= classes[b], sum_b f[b,t] / rates[t][b] <= counts[t]``, by class b."""
    flows = [(t, b) for t, each in enumerate(rates) for b, rate in enumerate(each) if rate > 0.0 and classes[b] > 0.0]
    if not flows:
        return [0.0] * len(classes)
    highs = highspy.Highs()  # type: ignore[no-untyped-call]  # highspy has no annotations there
    for name, setting in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("presolve", "off")):
        highs.setOptionValue(name, setting)
    none: Ints = np.array([], dtype=np.int32)
    for most in (*map(float, counts), *classes):
        highs.addRow(-highspy.kHighsInf, most, 0, none, none.astype(float))
    for t, b in flows:
        rows: Ints = np.array([t, len(rates) + b], dtype=np.int32)
        values: Floats = np.array([1.0 / rates[t][b], 1.0])
        highs.addCol(-1.0, 0.0, highspy.kHighsInf, 2, rows, values)
    highs.run()
    found = [0.0] * len(classes)
    for (_, b), value in zip(flows, highs.getSolution().col_value, strict=True):
        found[b] += max(0.0, float(value))
    return found
