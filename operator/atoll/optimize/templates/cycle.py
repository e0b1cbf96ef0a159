"""How long a slot of the slowest stage takes: on average, and the longer for what fluctuates.

**Pipelines do not stay balanced.** vLLM puts into a micro-batch every sequence that is not in flight, and sequences
that once went together stay together (vllm-project/vllm#41682, #57433). Micro-batches cannot overtake, so a pipeline of
S stages turns round in S times its longest slot, not in the sum of its slots. Three things follow:

- a micro-batch with prompts holds up the others: E[max] of S slots' prefill exceeds its mean by at most S - 1 times it
  (one burst, S - 1 bubbles), and by the order statistic m_S of S normals where many prompts come;
- the largest micro-batch counts: m_S standard deviations of the sequences in one beyond their mean;
- it also waits longest and so gathers most of what comes. With d seconds for one more sequence of b in a slot of T, the
  crowding S b d / T is the gain of that loop: the number of sequences has a variance of 1 / (1 - crowding) times
  Poisson's, and at one a single micro-batch takes everything.

The last holds for one stage too (S = 1): a decoding engine is a processor-sharing queue, whose mean exceeds the fluid
value by crowding / (1 - crowding) sequences (that of M/M/1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atoll.domain.engineterms import CHUNK_TOKENS
from atoll.optimize.templates.lengths import resident_cv2
from atoll.optimize.templates.loads import Place, place_of
from atoll.optimize.templates.partition import slot_of
from atoll.optimize.templates.pipelines import Pipelines, Setting

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
LARGEST_OF = np.array([0.0, 0.0, 0.564, 0.846, 1.029, 1.163, 1.267, 1.352, 1.424])
"""Expected largest of so many standard normals (Harter, Biometrika 48, 1961)."""
MOST_CROWDED = 0.9
"""Crowding at which a pipeline is not relied on: short of one, where micro-batches collapse into one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cycle:
    """Slots of the slowest stage, by strategy; seconds.

    Attributes:
        seconds: of a slot on average.
        step: of its decode step alone.
        slowest: where the slowest stage's curve is looked up.
        head: output head, by stage.
        arriving: prefill in a slot on average, with the bubbles that it makes.
        stretch: what a second of prefill costs with its bubbles, at least 1.
        chunk: prefill of a full step.
        burst: variance of the prefill that comes in one slot.
        sequence: what one more sequence adds.
        sequences_variance: of the sequences in one micro-batch, in sequences of average length.
        crowding: gain of the loop by which slow slots gather more sequences.
    """

    seconds: Array
    step: Array
    slowest: Place
    head: Array
    arriving: Array
    stretch: Array
    chunk: Array
    burst: Array
    sequence: Array
    sequences_variance: Array
    crowding: Array


def cycle_of(lines: Pipelines, layers: Indices, position: Array, place: Place, setting: Setting) -> Cycle:
    """The slots at a load, which ``place`` looks up by stage."""
    steps, rows = setting.curves.steps, np.arange(len(layers))
    slot = slot_of(lines, position, setting, place)
    seconds = np.where(lines.present, slot.seconds(layers), 0.0)
    slowest = seconds.argmax(axis=1)
    curve, held = lines.curve[rows, slowest], layers[rows, slowest]
    slow = place_of(curve, position)
    prefill = held * slot.prefill[rows, slowest]
    step = seconds[rows, slowest] - prefill
    chunk = held * slow.at(steps.chunk)
    burst = held**2 * slow.at(steps.burst)
    sequence = held * slow.at(steps.sequence)
    largest = LARGEST_OF[np.minimum(lines.depth, len(LARGEST_OF) - 1)]
    chunks = max(setting.prompts.mean_computed / CHUNK_TOKENS, 1.0)
    bubbles = np.minimum(prefill * (lines.depth - 1) / chunks, largest * np.sqrt(burst))
    bubbles = np.minimum(bubbles, np.maximum(chunk - prefill, 0.0))
    batch = setting.loads.batch(position)
    gathered = np.where(lines.present, layers * place.at(steps.crowding), 0.0).sum(axis=1)
    crowding = batch * np.where(lines.depth > 1, gathered, sequence) / (step + prefill + bubbles)
    gain = np.minimum(crowding, 0.99)
    sizes = 1.0 + resident_cv2(setting.workload)
    variance = sizes * batch / (1.0 - gain) * (1.0 + setting.workload.arrival_cv**2) / 2.0
    more = largest * np.sqrt(variance) + gain / (1.0 - gain) / lines.depth
    step = step + sequence * more
    return Cycle(
        seconds=step + prefill + bubbles,
        step=step,
        slowest=slow,
        head=slot.head,
        arriving=prefill + bubbles,
        stretch=1.0 + bubbles / np.maximum(prefill, 1e-12),
        chunk=chunk,
        burst=burst,
        sequence=sequence,
        sequences_variance=variance,
        crowding=crowding,
    )
