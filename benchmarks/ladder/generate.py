"""Random instances of the ladder's form: ``python -m benchmarks.ladder.generate MODELS REGIONS``.

Not the recipe that the instances of the project were made by, but the same form with the same traits: menus of Pareto
templates of one or two GPU kinds with up to four stages of one width; nodes of 1 to 8 GPUs, on demand and on spot, at
prices that differ by region; availability from nothing to plenty; demands that differ a hundredfold. A template's
rate is its memory bandwidth by the share of memory that the weights leave to sequences, over the weights: what bounds
decoding. Rates are of nobody's engine.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ending import end_with
from benchmarks.ladder.form import Floats, Form, Ints, form_of

GPUS: Mapping[str, tuple[float, float, float, tuple[int, ...]]] = {
    "T4": (16.0, 0.32, 0.38, (1, 4)),
    "A10G": (24.0, 0.60, 1.06, (1, 4, 8)),
    "L4": (24.0, 0.30, 0.80, (1, 2, 4, 8)),
    "L40S": (48.0, 0.86, 1.86, (1, 4, 8)),
    "A100-40": (40.0, 1.56, 2.7, (1, 2, 8)),
    "A100-80": (80.0, 2.04, 3.4, (1, 2, 8)),
    "H100": (80.0, 3.35, 5.5, (1, 8)),
    "H200": (141.0, 4.80, 7.9, (8,)),
}
"""Memory in GB, bandwidth in TB/s, rough price in US$/h, and nodes by GPUs."""

SIZES = (8, 14, 32, 70, 120, 235, 405)
"""Billion parameters."""

WIDTHS = (1, 2, 4, 8)
MOST_STAGES = 4
WEIGHT_BYTES = 1.0
"""GB for a billion parameters, at 8 bits."""

RATE = 5e4
"""Rate of 1 TB/s of bandwidth, all memory free, for a billion parameters."""

PENALTY = 100.0
"""Not to serve costs so many times what the cheapest replica on demand takes for the same rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an instance is made of.

    Attributes:
        models: number of served models.
        regions: number of regions.
        scale: of all demands.
        seed: of everything random.
        most_nodes: most nodes of a pool; a tenth of the pools has none.
        gpu_kinds: how many of the GPU kinds there are, cheapest first.
    """

    models: int
    regions: int
    scale: float = 1.0
    seed: int = 0
    most_nodes: int = 19
    gpu_kinds: int = len(GPUS)

    @property
    def name(self) -> str:
        """Of the file, without its suffix."""
        return f"g_{self.models}_{self.regions}_{self.seed}_{self.scale:g}"


def generate(recipe: Recipe) -> dict[str, np.ndarray]:
    """Arrays of an instance; the same for the same recipe."""
    rng = np.random.default_rng(recipe.seed)
    gpus = list(GPUS)[: recipe.gpu_kinds]
    configs = [(gpu, number) for gpu in gpus for number in GPUS[gpu][3]]
    kinds = [(gpu, width) for gpu in gpus for width in WIDTHS if width <= max(GPUS[gpu][3])]
    hourly = np.array([GPUS[gpu][2] for gpu, _ in kinds]) * np.array([width for _, width in kinds])
    menus = {size: _menu(kinds, size) for size in SIZES}
    sizes = rng.choice([size for size in SIZES if len(menus[size][1])], size=recipe.models)
    cheapest = {size: float(((need @ hourly) / rate).min()) for size, (need, rate) in menus.items() if len(rate)}
    dollars = recipe.scale * rng.lognormal(2.0, 1.2, recipe.models)
    arrays: dict[str, np.ndarray] = {
        "demand": dollars / np.array([cheapest[size] for size in sizes.tolist()]),
        "pen": PENALTY * np.array([cheapest[size] for size in sizes.tolist()]),
        "sizes": sizes,
        "cfg_gpu": np.array([gpu for gpu, _ in configs]),
        "cfg_n": np.array([number for _, number in configs]),
        "kind_gpu": np.array([gpu for gpu, _ in kinds]),
        "kind_tp": np.array([width for _, width in kinds]),
    }
    for size in sorted(set(sizes.tolist())):
        arrays[f"U_{size}"], arrays[f"thr_{size}"] = menus[size]
    return arrays | _pools(rng, recipe, configs)


def _pools(rng: np.random.Generator, recipe: Recipe, configs: Sequence[tuple[str, int]]) -> dict[str, np.ndarray]:
    pools = [(c, r, s) for c in range(len(configs)) for r in range(recipe.regions) for s in (0, 1)]
    config, region, spot = (np.array(column) for column in zip(*pools, strict=True))
    listed = np.array([GPUS[gpu][2] * number for gpu, number in configs])[config]
    dearer = 1.0 + 0.2 * rng.random(recipe.regions)[region]
    saving = np.where(spot == 1, rng.uniform(0.3, 0.7, len(pools)), 1.0)
    some = rng.random(len(pools)) >= 0.1
    return {
        "pool_cfg": config,
        "pool_region": region,
        "pool_spot": spot,
        "price": listed * dearer * saving * rng.uniform(0.95, 1.05, len(pools)),
        "avail": np.where(some, rng.integers(1, recipe.most_nodes + 1, len(pools)), 0),
    }


def _menu(kinds: Sequence[tuple[str, int]], size: int) -> tuple[Ints, Floats]:
    """Pareto templates of one size: none that another serves as much with a part of its stages."""
    needs, rates = [], []
    for stages in _pipelines(kinds):
        memory = sum(GPUS[kinds[kind][0]][0] * kinds[kind][1] for kind in stages)
        free = 1.0 - WEIGHT_BYTES * size / (0.9 * memory)
        bandwidth = sum(GPUS[kinds[kind][0]][1] * kinds[kind][1] for kind in stages)
        if free > 0.02:
            needs.append(np.bincount(stages, minlength=len(kinds)))
            # Stages wait for each other, the more the longer the pipeline is.
            rates.append(RATE * bandwidth * free / size * 0.97 ** (len(stages) - 1))
    if not rates:
        return np.zeros((0, len(kinds)), dtype=np.int64), np.zeros(0)
    need, rate = np.array(needs), np.array(rates)
    kept = [
        number
        for number in range(len(rate))
        if not ((need <= need[number]).all(axis=1) & (rate >= rate[number]) & (need != need[number]).any(axis=1)).any()
    ]
    return need[kept], rate[kept]


def _pipelines(kinds: Sequence[tuple[str, int]]) -> list[tuple[int, ...]]:
    """Up to four stages of one width, of one or two kinds."""
    found = []
    for width in WIDTHS:
        same = [number for number, (_, each) in enumerate(kinds) if each == width]
        for length in range(1, MOST_STAGES + 1):
            found += [stages for stages in combinations_with_replacement(same, length) if len(set(stages)) <= 2]
    return found


def form_from(recipe: Recipe) -> Form:
    """An instance without a file."""
    return form_of(recipe.name, generate(recipe))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one instance; the exit status."""
    options = _options(arguments)
    recipe = Recipe(
        models=options.models,
        regions=options.regions,
        scale=options.scale,
        seed=options.seed,
        most_nodes=options.most_nodes,
    )
    path = options.folder / f"{recipe.name}.npz"
    arrays: dict[str, Any] = generate(recipe)
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **arrays)
    except OSError as error:
        sys.stderr.write(f"benchmarks.ladder.generate: {path}: {error.strerror}: name another folder with --folder\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ladder.generate", description="Write a random instance of the ladder's form."
    )
    parser.add_argument("models", type=_number, metavar="MODELS", help="served models")
    parser.add_argument("regions", type=_number, metavar="REGIONS", help="regions, each with all 22 kinds of nodes")
    parser.add_argument("--scale", type=float, default=1.0, help="of all demands (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--most-nodes", type=_number, default=19, help="most nodes of a pool (default: 19)")
    parser.add_argument("--folder", type=Path, default=Path(), help="where to write (default: here)")
    return parser.parse_args(arguments)


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above zero")
    return number


if __name__ == "__main__":
    end_with(main, "benchmarks.ladder.generate")
