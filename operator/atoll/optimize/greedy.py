"""A feasible plan within tens of milliseconds: cheapest nodes per unit of demand, then limits, then trimming."""

from collections.abc import Sequence

import numpy as np

from atoll.domain.demand import Loss
from atoll.optimize.building import Build, fill
from atoll.optimize.carried import carried
from atoll.optimize.nodes import close_nodes, nodes_for
from atoll.optimize.plan import Plan, carried_after_loss, missing_of, served
from atoll.optimize.scarcity import COVER_TOLERANCE
from atoll.optimize.sets import Floats, Ints, Sets


def greedy(
    sets: Sets,
    *,
    start: Plan | None = None,
    choices: Sequence[Sequence[Ints]] | None = None,
    origin: str = "greedy",
) -> Plan:
    """A plan by cheapest nodes per unit of demand, highest priority first.

    Args:
        sets: what can be had.
        start: a plan that fits, of which nothing is taken out.
        choices: per demand, sets of columns of which one may be used; nothing for all columns.
        origin: one word for the plan.
    """
    width = max((len(column.pods) for column in sets.columns), default=1)
    pod_row: Ints = np.full((len(sets.columns), width), len(sets.rows), dtype=np.int64)
    pod_count: Floats = np.zeros((len(sets.columns), width))
    for number, column in enumerate(sets.columns):
        for place, (group, pod_width, count) in enumerate(column.pods):
            pod_row[number, place] = sets.row_index[group, pod_width]
            pod_count[number, place] = count
    begin = nothing(sets) if start is None else start
    build = Build(
        sets=sets,
        counts=begin.counts.copy(),
        nodes=begin.nodes.copy(),
        load=sets.load_of(begin.counts),
        pod_row=pod_row,
        pod_count=pod_count,
        barred=np.zeros(len(sets.columns), dtype=bool),
    )
    for number in sorted(range(len(sets.demands)), key=lambda number: -sets.demands[number].priority):
        if choices is None:
            _serve(build, number, np.flatnonzero(sets.demand_of == number))
        elif choices[number]:
            tried: list[tuple[float, float, int, Build]] = []
            for own in choices[number]:
                trial = build.copy()
                _serve(trial, number, own)
                lacking = max(0.0, 1.0 - float(served(sets, trial.counts)[number]))
                tried.append((lacking, float(trial.nodes @ sets.price), len(tried), trial))
            build = min(tried, key=lambda item: item[:3])[3]
    return trimmed(sets, Plan(counts=build.counts, nodes=build.nodes, origin=origin), begin)


def nothing(sets: Sets) -> Plan:
    """No replicas on no nodes."""
    return Plan(
        counts=np.zeros(len(sets.columns), dtype=np.int64),
        nodes=np.zeros(len(sets.supplies), dtype=np.int64),
        origin="greedy",
    )


def _serve(build: Build, demand: int, own: Ints) -> None:
    """Cover a demand from its own columns, its steady part and first choices first, then what its limits lack."""
    sets = build.sets
    placement = sets.demands[demand].placement
    if placement.spot_share < 1.0:
        steady = own[~sets.spot[own]]
        _cover(build, (demand, steady), 1.0 - placement.spot_share, placement.steps)
    _cover(build, (demand, own), 1.0, placement.steps)
    for _ in range(placement.min_replicas + placement.min_domains):
        missing = missing_of(sets, build.counts, demand)
        if not (missing.replicas or missing.domains or missing.spot):
            break
        allowed = own[build.counts[own] < sets.upper[own]]
        if missing.domains:
            taken = {sets.columns[number].domain for number in own if build.counts[number]}
            allowed = np.array([number for number in allowed if sets.columns[number].domain not in taken], dtype=int)
        price = (build.prices[build.pod_row[allowed]] * build.pod_count[allowed]).sum(axis=1)
        for place in np.argsort(price, kind="stable")[:20]:
            if np.isfinite(price[place]) and build.add(int(allowed[place]), 1):
                break
        else:
            break
    _harden(build, demand, own)


def _harden(build: Build, demand: int, own: Ints) -> None:
    """Add what is missing after the worst loss that a demand is to survive, loss after loss."""
    sets, placement = build.sets, build.sets.demands[demand].placement
    if placement.survive is Loss.NONE:
        return
    for _ in range(len(own) + 1):
        left, worst = carried_after_loss(sets, build.counts, demand)
        lacking = placement.survive_share - left
        if placement.survive is Loss.REPLICA and not sets.demands[demand].is_plain:
            safe = own
        elif placement.survive is Loss.REPLICA:
            largest = float(sets.share[own[build.counts[own] > 0]].max(initial=0.0))
            safe = own[sets.share[own] <= largest]
        else:
            safe = np.array([number for number in own.tolist() if worst not in sets.losses[number]], dtype=np.int64)
        before = int(build.counts.sum())
        fill(build, demand, safe, lacking)
        if int(build.counts.sum()) == before:
            return


def _cover(build: Build, of: tuple[int, Ints], least: float, steps: Sequence[tuple[int, float]]) -> None:
    """Have columns of a demand carry a share of it, those of a rank below each step first."""
    sets, (demand, columns) = build.sets, of
    for step, due in (*steps, (np.inf, 1.0)):
        own = columns[sets.rank[columns] < step]
        lacking = least - carried(sets, build.counts, demand, columns)
        fill(build, demand, own, min(lacking, due - carried(sets, build.counts, demand, own)))


def trimmed(sets: Sets, plan: Plan, floor: Plan) -> Plan:
    """Take out replicas that nothing needs, dearest first, and the nodes that are then empty.

    Args:
        sets: what can be had.
        plan: that fits.
        floor: replicas and nodes that stay.
    """
    counts, share = plan.counts.copy(), served(sets, plan.counts)
    for number in sorted(np.flatnonzero(counts > floor.counts), key=lambda column: -sets.gpus[column]):
        demand = int(sets.demand_of[number])
        while counts[number] > floor.counts[number]:
            before = missing_of(sets, counts, demand)
            counts[number] -= 1
            after = missing_of(sets, counts, demand)
            left, due = share[demand] - sets.share[number], 1.0
            if not sets.demands[demand].is_plain:
                left = carried(sets, counts, demand, sets.columns_of[demand])
                due = min(1.0, share[demand])
            if left < due - COVER_TOLERANCE / 2 or any(now > was for now, was in zip(after, before, strict=True)):
                counts[number] += 1
                break
            if sets.demands[demand].is_plain:
                share[demand] = left
    load = sets.load_of(counts)
    nodes = plan.nodes.copy()
    close_nodes(sets, nodes, load, floor.nodes)
    again = nodes_for(sets, load) if not floor.nodes.any() else None
    if again is not None and again @ sets.price < nodes @ sets.price - 1e-12:
        nodes = again
    return Plan(counts=counts, nodes=nodes, origin=plan.origin)
