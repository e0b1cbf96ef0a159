"""Tiny forms, and their optima by going through everything."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from benchmarks.ladder.answer import Answer, Sort, value
from benchmarks.ladder.form import Form, Menu
from benchmarks.ladder.packer import packed


def form(**changes: object) -> Form:
    """Two served models, one menu, two pools of one kind: nodes of 4 GPUs for 8 $/h and of 1 GPU for 3 $/h.

    Template 0: one stage of 1 GPU, rate 10. Template 1: two stages of 2 GPUs, rate 50.
    """
    fields: dict[str, object] = {
        "name": "tiny",
        "demand": np.array([20.0, 50.0]),
        "penalty": np.array([2.0, 1.0]),
        "size": (7, 7),
        "menus": {7: Menu(need=np.array([[1, 0], [0, 2]]), rate=np.array([10.0, 50.0]))},
        "price": np.array([8.0, 3.0]),
        "obtainable": np.array([2, 3]),
        "pool_kind": ("A", "A"),
        "pool_gpus": np.array([4, 1]),
        "pool_region": np.array([0, 0]),
        "pool_spot": np.array([False, False]),
        "kind_gpu": ("A", "A"),
        "kind_width": np.array([1, 2]),
        "best_value": float("nan"),
        "best_bound": float("nan"),
    }
    return Form(**{**fields, **changes})  # type: ignore[arg-type]


def arrays(**changes: object) -> dict[str, np.ndarray]:
    """The same form as the arrays of a file."""
    fields: dict[str, object] = {
        "demand": [20.0, 50.0],
        "pen": [2.0, 1.0],
        "sizes": [7, 7],
        "U_7": [[1, 0], [0, 2]],
        "thr_7": [10.0, 50.0],
        "price": [8.0, 3.0],
        "avail": [2, 3],
        "cfg_gpu": ["A", "A"],
        "cfg_n": [4, 1],
        "pool_cfg": [0, 1],
        "pool_region": [0, 0],
        "pool_spot": [0, 0],
        "kind_gpu": ["A", "A"],
        "kind_tp": [1, 2],
    }
    return {name: np.array(values) for name, values in {**fields, **changes}.items() if values is not None}


def random_form(seed: int) -> Form:
    """Small enough to go through all answers, with everything that the form knows: kinds, regions, spot, zeros."""
    rng = np.random.default_rng(seed)
    kind_gpu, kind_width = ("A", "A", "B"), np.array([1, 2, 2])
    menus = {}
    for size in (1, 2):
        widths = rng.integers(1, 3, 2)
        need = np.array([[rng.integers(1, 3), 0, 0] if w == 1 else [0, *_stages(rng)] for w in widths])
        menus[size] = Menu(need=need, rate=rng.uniform(5.0, 30.0, 2).round(1))
    one_place = rng.random() < 0.5
    models = 2 if one_place else 1
    pools = 3
    return form(
        demand=rng.choice([0.0, 9.0, 25.0, 40.0], models),
        penalty=rng.choice([0.0, 0.4, 3.0], models),
        size=tuple(rng.choice([1, 2], models).tolist()),
        menus=menus,
        price=rng.uniform(1.0, 9.0, pools).round(2),
        obtainable=rng.integers(0, 3, pools),
        pool_kind=tuple(rng.choice(["A", "B"], pools).tolist()),
        pool_gpus=rng.choice([1, 2, 4], pools),
        pool_region=np.zeros(pools, dtype=np.int64) if one_place else rng.integers(0, 2, pools),
        pool_spot=np.zeros(pools, dtype=bool) if one_place else rng.random(pools) < 0.3,
        kind_gpu=kind_gpu,
        kind_width=kind_width,
    )


def _stages(rng: np.random.Generator) -> tuple[int, int]:
    return ((1, 0), (0, 1), (1, 1), (2, 0))[int(rng.integers(4))]


def optimum(wanted: Form, *, whole_nodes: bool = False) -> float:
    """US$/h, by going through all nodes and replicas."""
    best = float("inf")
    for replicas in _replicas(wanted):
        for nodes in product(*(range(int(most) + 1) for most in wanted.obtainable)):
            answer = Answer(replicas=replicas, nodes=nodes)
            worth = value(wanted, answer)
            fits = whole_nodes_packed if whole_nodes else packed
            if worth < best and fits(wanted, answer):
                best = worth
    return best


def whole_nodes_packed(wanted: Form, answer: Answer) -> bool:
    """Whether each stage finds a node of its own: widest first, onto the narrowest node that takes it."""
    nodes = [(wanted.pool_gpus[p], p) for p, count in enumerate(answer.nodes) for _ in range(count)]
    stages = [
        (int(wanted.kind_width[kind]), wanted.kind_gpu[kind], region, spot)
        for (model, template, region, spot), count in answer.replicas.items()
        for kind, number in enumerate(wanted.menu(model).need[template])
        for _ in range(int(number) * count)
    ]
    for width, gpu, region, spot in sorted(stages, reverse=True):
        here = [
            (gpus, p)
            for gpus, p in nodes
            if gpus >= width
            and (wanted.pool_kind[p], wanted.pool_region[p], wanted.pool_spot[p]) == (gpu, region, spot)
        ]
        if not here:
            return False
        nodes.remove(min(here))
    return True


def _replicas(wanted: Form) -> Iterator[dict[Sort, int]]:
    places = sorted({(int(r), bool(s)) for r, s in zip(wanted.pool_region, wanted.pool_spot, strict=True)})
    sorts = [
        (model, template, *place)
        for model in range(len(wanted.demand))
        for template in range(len(wanted.menu(model).rate))
        for place in places
    ]
    most = [int(np.ceil(wanted.demand[s[0]] / wanted.menu(s[0]).rate[s[1]])) for s in sorts]
    for counts in product(*(range(min(4, each) + 1) for each in most)):
        yield {sort: count for sort, count in zip(sorts, counts, strict=True) if count}
