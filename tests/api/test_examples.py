"""The examples are valid and are what they say they are."""

from pathlib import Path

import pytest

from atoll.api.manifests import load_manifests
from atoll.catalogue.coral import coral_configs
from atoll.catalogue.lengths import azure_workloads
from atoll.domain.gpu import CapacityType

EXAMPLES = Path(__file__).parents[2] / "examples"
SIX = load_manifests([EXAMPLES / "coral-six"])


FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "scenarios")
"""Scenarios of `atoll simulate` are no manifests; tests/simulate reads them."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda it: it.name)
def test_every_example_is_valid(folder: Path) -> None:
    found = load_manifests([folder])
    assert found.faults == ()
    assert not found.notes or folder.name == "gitops"  # a whole repository: objects of others are passed over


def test_coral_six_has_coral_s_objectives_and_rates() -> None:
    traces = {workload: name for name, workload in azure_workloads().items()}
    found = {
        demand.served_name: (
            demand.architecture.layers,
            round(demand.objectives.ttft_seconds * 1000),
            round(demand.objectives.tpot_seconds * 1000),
            traces[demand.workload],
        )
        for demand in SIX.demands
    }
    assert found == {
        "phi-4-14b": (40, 1200, 60, "azure-conversation"),
        "gpt-oss-20b": (24, 900, 30, "azure-code"),
        "qwen3-32b": (64, 1600, 100, "azure-conversation"),
        "llama-3-3-70b": (80, 1500, 80, "azure-conversation"),
        "gpt-oss-120b": (36, 1000, 40, "azure-conversation"),
        "qwen3-235b-a22b": (94, 1800, 120, "azure-code"),
    }
    assert {demand.rate for demand in SIX.demands} == {25.0}
    assert {demand.objectives.percentile for demand in SIX.demands} == {90.0}
    assert [fleet.name for fleet in SIX.fleets] == ["default"]


def test_coral_six_offers_coral_s_gpu_configs_at_the_catalogue_s_prices() -> None:
    found = {
        (pool.region, pool.config, pool.instance_type): (
            pool.resources,
            {offering.key.capacity_type: offering.price_per_hour for offering in pool.offerings},
        )
        for pool in SIX.pools
    }
    wanted = {
        (config.region, config.config, config.name): (
            config.resources,
            {
                CapacityType.ON_DEMAND: config.price_per_hour,
                **({} if config.spot_price_per_hour is None else {CapacityType.SPOT: config.spot_price_per_hour}),
            },
        )
        for config in coral_configs()
    }
    assert found.keys() == wanted.keys()
    for key, (resources, prices) in wanted.items():
        assert found[key][0] == resources, key
        assert found[key][1] == pytest.approx(prices), key
