"""Which measurements say something other than what their row tells, by rules that know no estimate.

Contradictory: a request's time, users / rate, is not that of its first and its further tokens. Answers ended early.
Impossible: what was served needs more than the data sheet's peaks, every product and every byte at the peak, nothing
for launches, latencies or the engine. Such a series did not compute its prompts: engines find prompts that a benchmark
repeats in their prefix cache. Disturbed: tokens came slower than to more users with the same lengths.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from atoll.catalogue.gpus import gpu_kind
from atoll.performance.memory import BF16_BYTES
from atoll.performance.peak import peak
from benchmarks.performance.measurements import Served, architecture

REPEATED = 1.1
"""More than runs differ: repeated on one day they are within 2 % of each other."""


def busy_at_peak(row: Served) -> float:
    """Share of its time that the GPU needs at its peaks for what was served; above 1 it is impossible."""
    model, tokens = architecture(row.model), np.array([row.input_tokens])
    costs = peak(model, gpu_kind(row.gpu_kind), row.tp, row.quantisation)
    batch = np.array([max(row.users * (1.0 - row.waited), 1.0)])
    context = (row.input_tokens + row.output_tokens / 2.0) * row.kv_bytes / BF16_BYTES
    prompt = model.layers * np.maximum(costs.prefill_layer(tokens) - costs.saved_layer(batch, tokens), 0.0)
    step = model.layers * costs.decode_layer(batch, context) + costs.head(batch)
    return float((row.rate * (prompt + (row.output_tokens - 1.0) * step / batch))[0])


def trusted(rows: Sequence[Served]) -> tuple[Served, ...]:
    """The rows that are neither contradictory nor disturbed, of the series that are possible.

    A series is what one source measured of an engine's version, an LLM and a GPU kind.
    """
    clear = [row for row in rows if not contradictory(row)]
    broken = {_series(row) for row in clear if busy_at_peak(row) > 1.0}
    alike: dict[tuple[str, str, str, int, float, float], list[Served]] = defaultdict(list)
    for row in clear:
        alike[_load(row)].append(row)
    return tuple(row for row in clear if _series(row) not in broken and not _disturbed(row, alike[_load(row)]))


def contradictory(row: Served) -> bool:
    """Whether a request's time and the times of its tokens differ by more than repeated runs do."""
    tokens = row.ttft_seconds + (row.output_tokens - 1.0) * row.tpot_seconds
    return not 1.0 / REPEATED < row.users / row.rate / tokens < REPEATED


def _disturbed(row: Served, alike: Sequence[Served]) -> bool:
    """Whether more users of the same engine and lengths got their tokens faster, by more than runs differ."""
    larger = [other for other in alike if other.users > row.users]
    return row.rendered and any(row.tpot_seconds > REPEATED * other.tpot_seconds for other in larger)


def _load(row: Served) -> tuple[str, str, str, int, float, float]:
    return row.engine, row.model, row.gpu_kind, row.tp, row.input_tokens, row.output_tokens


def _series(row: Served) -> tuple[str, str, str, str, str]:
    return row.source, row.engine, row.version, row.model, row.gpu_kind
