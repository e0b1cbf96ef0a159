"""On small instances the templates of stage one suffice for the optimum of the joint problem solved in one piece."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest

from atoll.catalogue.architectures import architecture
from atoll.catalogue.gpus import gpu_kind
from atoll.domain.architecture import Architecture
from atoll.domain.demand import Demand
from atoll.domain.strategy import EngineName, Stage, Strategy, Template
from atoll.domain.workload import Lengths, Objectives, Workload
from atoll.optimize.templates import templates_for
from atoll.performance.estimate import ShippedPerformance
from optimize.templates.bruteforce import NodeType, cheapest
from optimize.templates.sample import demand

MOST_STAGES = 2
PAIRS = [("A10G-24GB", "L40S-48GB"), ("L4-24GB", "A100-80GB"), ("A100-80GB", "H100-80GB")]
WORKLOAD = Workload(input=Lengths(mean=1000.0, cv=1.0), output=Lengths(mean=150.0, cv=0.8))


def small(name: str, layers: int) -> Architecture:
    whole = architecture(name)
    return replace(
        whole, name=f"{name} cut", layers=layers, full_attention_layers=whole.full_attention_layers and layers // 2
    )


def up_to_two_stages(pair: tuple[str, str]) -> list[tuple[str, ...]]:
    """Pipelines of the declared space."""
    slow, fast = sorted(pair, key=lambda name: gpu_kind(name).memory_gbps)
    return [(slow,), (fast,), (slow, slow), (fast, fast), (slow, fast)]


def every_strategy(served: Architecture, pipelines: Sequence[tuple[str, ...]], widths: Sequence[int]) -> list[Strategy]:
    """Each split of the layers over such stages, spelled out."""
    return [
        Strategy(
            engine=EngineName.VLLM,
            tp=tp,
            stages=tuple(Stage(gpu_kind=kind, layers=held) for kind, held in zip(kinds, split, strict=True)),
            quantisation=served.native,
            max_sequences=1024,
            max_context=16384,
        )
        for kinds, tp in product(pipelines, widths)
        for split in product(range(1, served.layers + 1), repeat=len(kinds))
        if sum(split) == served.layers
    ]


def every_template(
    wanted: Demand, pipelines: Sequence[tuple[str, ...]], widths: Sequence[int] = (1, 2)
) -> list[Template]:
    """All strategies with what they deliver, none pruned: running ones are rated and kept as they are."""
    strategies = every_strategy(wanted.architecture, pipelines, widths)
    found = templates_for(wanted, {}, ShippedPerformance(), always=strategies).templates
    assert len(found) == len(strategies)
    return [template for template in found if template.rate > 0.0]


def stage_one(wanted: Demand, pair: tuple[str, str]) -> list[Template]:
    found = templates_for(wanted, dict.fromkeys(pair, 2), ShippedPerformance()).templates
    return [template for template in found if len(template.strategy.stages) <= MOST_STAGES]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("tightness", [2.0, 3.0, 8.0])
@pytest.mark.parametrize("shares", [(0.4, 1.3), (1.7, 0.9)])
def test_two_stages_reach_the_joint_optimum(
    pair: tuple[str, str], tightness: float, shares: tuple[float, float]
) -> None:
    objectives = Objectives(ttft_seconds=0.15 * tightness, tpot_seconds=0.01 * tightness, percentile=90.0)
    wanted = [
        demand(small("Qwen/Qwen3-32B", 8), objectives, WORKLOAD),
        demand(small("openai/gpt-oss-20b", 6), objectives, WORKLOAD),
    ]
    whole = [every_template(one, up_to_two_stages(pair)) for one in wanted]
    assert all(whole), "the instance is empty"
    rates = [share * max(t.rate for t in all_) / 2 for share, all_ in zip(shares, whole, strict=True)]
    nodes = [
        NodeType(kind=pair[0], gpus=1, price=1.0, most=3),
        NodeType(kind=pair[0], gpus=2, price=1.9, most=2),
        NodeType(kind=pair[1], gpus=2, price=5.3, most=2),
    ]
    joint = cheapest(list(zip(rates, whole, strict=True)), nodes, most_replicas=2)
    assert joint < float("inf"), "the instance cannot be served"
    pruned = [stage_one(one, pair) for one in wanted]
    assert sum(map(len, pruned)) < sum(map(len, whole))
    # Copies of a smaller template may stand in for each replica.
    assert cheapest(list(zip(rates, pruned, strict=True)), nodes, most_replicas=4) <= joint * (1 + 1e-9)
