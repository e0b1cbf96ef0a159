"""Prefill and decode on replicas of their own: each phase is the whole rate model with the other phase's work left out.

- A **prefill** replica serves requests whose answer is one token: its TTFT is the queue, the prompt's passage and the
  transfer of its KV.
- A **decode** replica serves requests whose prompt is found in the cache but for the last token: it is handed the KV
  and computes that token again (vLLM's NixlConnector).

TTFT is shared out: decode may take two steps' objective, at most a quarter of TTFT, until the first token is there;
prefill has the rest, less the transfer. Either phase may be late for half of the requests that may be late at all, so
both together keep the percentile whatever their dependence (Boole's inequality).

The transfer takes KV bytes per token x prompt at the NIC's bandwidth, on both sides; longest prompts take longest in
prefill and transfer alike, so percentiles of both add. Where the sides differ in width, all goes through the NICs of
the narrower one, and heads that decode replicates are sent once for each of its GPUs. A replica pairs with one width
only, so what it delivers does not depend on whom it meets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from atoll.domain.architecture import Architecture
from atoll.domain.strategy import Phase
from atoll.domain.workload import Lengths, Objectives, Workload
from atoll.optimize.templates.hops import NETWORK_BYTES_PER_SECOND
from atoll.performance.memory import kv_bytes

NETWORK_SHARE = 0.7
"""Share of the NIC that KV may take on average: what comes in bursts waits little below it. Stated assumption."""
DECODE_STEPS = 2.0
"""Decode's part of TTFT, in steps at their objective: the step that runs, and the one that gives the first token."""
DECODE_SHARE = 0.25
"""Most of TTFT that decode may take."""
NETWORK_BYTES_PER_GPU = NETWORK_BYTES_PER_SECOND
"""Each GPU's share of its node's NIC, bytes/s: 10 Gbit/s, which every GPU instance of the catalogue has at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTask:
    """What replicas of one phase and width are asked, for replicas of the other phase of one width.

    Attributes:
        phase: which.
        tp: width.
        peer_tp: width of the other side.
        workload: as the rate model sees it.
        objectives: of this phase.
        most_rate: requests/s that the NIC carries for one replica.
        held_seconds: mean time for which KV is held beside its own phase: until it is transferred, seconds.
    """

    phase: Phase
    tp: int
    peer_tp: int
    workload: Workload
    objectives: Objectives
    most_rate: float
    held_seconds: float


def phase_tasks(
    architecture: Architecture, workload: Workload, objectives: Objectives, widths: Iterable[tuple[int, int]]
) -> Iterator[PhaseTask]:
    """The tasks of both phases at widths of prefill and decode; none where the transfer leaves no time for prefill."""
    percentile = (100.0 + objectives.percentile) / 2.0
    decoding = min(DECODE_STEPS * objectives.tpot_seconds, DECODE_SHARE * objectives.ttft_seconds)
    longest = workload.input.quantile(min(percentile, 99.99) / 100.0)
    for prefill, decode in widths:
        sent = transferred_bytes(architecture, workload.input.mean, decode)
        seconds_per_byte = 1.0 / (min(prefill, decode) * NETWORK_BYTES_PER_GPU)
        left = objectives.ttft_seconds - decoding - transferred_bytes(architecture, longest, decode) * seconds_per_byte
        if left <= 0.0:
            continue
        yield PhaseTask(
            phase=Phase.PREFILL,
            tp=prefill,
            peer_tp=decode,
            workload=Workload(
                input=workload.input,
                output=Lengths(mean=1.0, cv=0.0),
                prefix_hit_rate=workload.prefix_hit_rate,
                arrival_cv=workload.arrival_cv,
            ),
            objectives=Objectives(ttft_seconds=left, tpot_seconds=objectives.tpot_seconds, percentile=percentile),
            most_rate=NETWORK_SHARE * prefill * NETWORK_BYTES_PER_GPU / sent,
            held_seconds=sent * seconds_per_byte,
        )
        yield PhaseTask(
            phase=Phase.DECODE,
            tp=decode,
            peer_tp=prefill,
            workload=Workload(
                input=workload.input,
                output=workload.output,
                prefix_hit_rate=1.0,
                arrival_cv=workload.arrival_cv,
            ),
            objectives=Objectives(ttft_seconds=decoding, tpot_seconds=objectives.tpot_seconds, percentile=percentile),
            most_rate=NETWORK_SHARE * decode * NETWORK_BYTES_PER_GPU / sent,
            held_seconds=sent * seconds_per_byte,
        )


def transferred_bytes(architecture: Architecture, tokens: float, tp: int) -> float:
    """KV of a prompt that a replica of one stage and this width is handed, all its GPUs, bytes."""
    return architecture.layers * tp * kv_bytes(architecture, tp, tokens)
