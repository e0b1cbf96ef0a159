"""Layers per stage: the search finds the best of all splits, and memory bounds it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from atoll.catalogue.architectures import architecture
from atoll.domain.engineterms import TERMS
from atoll.domain.strategy import EngineName, Stage, Strategy
from atoll.domain.workload import Objectives
from atoll.optimize.templates import candidates_for, templates_for
from atoll.optimize.templates.partition import Slot
from atoll.performance.estimate import ShippedPerformance
from optimize.templates.sample import CORAL, coral_demand

ESTIMATES = ShippedPerformance()
LAYERS = 10


@pytest.mark.parametrize(
    "kinds",
    [
        ("A10G-24GB", "L40S-48GB"),
        ("A100-80GB", "H100-80GB"),
        ("L4-24GB", "H100-80GB"),
        ("A10G-24GB", "L40S-48GB", "H100-80GB"),
    ],
)
@pytest.mark.parametrize("name", ["openai/gpt-oss-20b", "Qwen/Qwen3-32B", "Qwen/Qwen3-235B-A22B"])
def test_no_split_beats_the_one_found(name: str, kinds: tuple[str, ...]) -> None:
    whole = architecture(name)
    served = replace(whole, layers=LAYERS, full_attention_layers=whole.full_attention_layers and LAYERS // 2)
    ttft, tpot, _ = CORAL[name]
    share = 2.0 * LAYERS / whole.layers
    wanted = replace(
        coral_demand(name),
        architecture=served,
        objectives=Objectives(ttft_seconds=ttft * share, tpot_seconds=tpot * share, percentile=90.0),
    )
    offered = dict.fromkeys(kinds, 8)
    if len(kinds) == 2:
        three = [t for t in templates_for(wanted, offered, ESTIMATES).templates if len(t.strategy.stages) <= 3]
    else:
        # Where memory is ample their parts do as well: so those that are left out count too.
        every = (each.template for each in candidates_for(wanted, offered, ESTIMATES) if each.feasible)
        three = [template for template in every if len(template.strategy.need) == len(kinds)]
    assert three
    for template in three:
        order = [stage.gpu_kind for stage in template.strategy.stages]
        splits = [
            Strategy(
                engine=EngineName.VLLM,
                tp=template.strategy.tp,
                stages=tuple(Stage(gpu_kind=kind, layers=held) for kind, held in zip(order, split, strict=True)),
                quantisation=template.strategy.quantisation,
                max_sequences=TERMS[EngineName.VLLM].most_sequences,
                max_context=template.strategy.max_context,
            )
            for split in product(range(1, LAYERS + 1), repeat=len(order))
            if sum(split) == LAYERS
        ]
        every = templates_for(wanted, {}, ESTIMATES, always=splits).templates
        assert max(one.rate for one in every) == pytest.approx(template.rate, rel=1e-3)


@pytest.mark.parametrize("prefill", [0.001, 0.0])
def test_most_layers_in_a_time_invert_the_time_of_layers(prefill: float) -> None:
    slot = Slot(
        decode=np.array([[0.003, 0.001]]),
        head=np.array([[0.0, 0.002]]),
        prefill=np.array([[prefill, 0.0005]]),
        hop=np.array([[0.0, 0.0005]]),
    )
    for layers in range(1, 30):
        held = np.array([[layers, layers]])
        for stage in (0, 1):
            time = slot.seconds(held)[:, stage]
            assert slot.carried(time)[0, stage] == layers
            assert slot.carried(time * 0.999)[0, stage] == layers - 1


def test_the_stage_with_less_memory_holds_fewer_layers() -> None:
    offered = {"L40S-48GB": 8, "A100-80GB": 8}
    found = candidates_for(coral_demand("Qwen/Qwen3-235B-A22B"), offered, ESTIMATES)
    mixed = [each.template for each in found if each.feasible and len(each.template.strategy.need) == 2]
    assert mixed
    for template in mixed:
        small = max(s.layers for s in template.strategy.stages if s.gpu_kind == "L40S-48GB")
        assert small < min(s.layers for s in template.strategy.stages if s.gpu_kind == "A100-80GB") + 1
