"""What an engine that runs did, held against the estimate."""

import math

import numpy as np

from atoll.domain.correction import EngineLoad
from atoll.domain.engineterms import CHUNK_TOKENS
from atoll.domain.workload import Workload
from atoll.optimize.templates.curves import Prefill
from atoll.optimize.templates.lengths import prompts, resident_tokens
from atoll.performance.steps import StepCosts

MOST_PROMPTING = 1.0
"""Estimated time for prompts over that for answers. Beyond it many sequences in flight are being prefilled, which no
metric tells, and steps would seem slower than they are."""


def slowness(load: EngineLoad, workload: Workload, layers: int, costs: StepCosts) -> float | None:
    """How many times as long as estimated an engine's steps took; None where its work was prompts rather than answers.

    An engine that is never idle spends each second on steps. So the time that the estimate has for the work of a second
    is the inverse: a decode step for every ``running`` tokens of answers, and what prompts add to the steps that they
    join. Lengths are those of the demand; the number of requests follows from the tokens of prompts.

    Args:
        load: of one replica of one stage.
        workload: lengths of its requests.
        layers: of the served model.
        costs: what is estimated, without margin and without correction.
    """
    running, lengths = max(load.running, 1.0), prompts(workload)
    requests = load.prompted / workload.input.mean
    steps = max(load.generated - requests, 0.0) / running
    # Prompts that come within one step share it (Poisson), as in the rate model.
    each = requests / steps if steps > 0.0 else 0.0
    shared = each / -math.expm1(-each) if each > 0.0 else 1.0
    together = np.minimum(shared * lengths.computed, max(CHUNK_TOKENS - running, 1.0))
    prompt = Prefill(cost=costs, batch=np.array([[running]]), lengths=lengths).seconds(together[None, :])[0]
    decode = layers * costs.decode_layer(np.array([running]), resident_tokens(workload)) + costs.head(
        np.array([running + each])
    )
    answering = steps * float(decode[0])
    prompting = requests * layers * float(prompt @ lengths.weights)
    return None if prompting > MOST_PROMPTING * answering else 1.0 / (answering + prompting)
