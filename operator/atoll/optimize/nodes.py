"""The nodes for given replicas: a covering problem of a few rows per group, solved by a greedy choice and clean-up."""

import numpy as np

from atoll.optimize.sets import Floats, Ints, Sets


def cover(price: Floats, obtainable: Ints, slots: Floats, load: Floats, nodes: Ints) -> bool:
    """Add nodes, in place, until a load fits; cheapest per slot that is still lacking first.

    Args:
        price: US$/h of a node, by supply.
        obtainable: most nodes, by supply.
        slots: of a node, by supply and width, widths ascending.
        load: slots asked for, by width.
        nodes: so far, by supply.

    Returns:
        Whether the load fits; if not, the nodes are left as far as they came.
    """
    for row in reversed(range(len(load))):
        lacking = float(load[row] - nodes @ slots[:, row])
        while lacking > 0.0:
            left = obtainable - nodes
            usable = np.flatnonzero((left > 0) & (slots[:, row] > 0.0))
            if not usable.size:
                return False
            # Price of the slots that are of use; ties go to the smaller node.
            useful = np.minimum(slots[usable, row], lacking)
            best = int(usable[int(np.argmin((price[usable] + 1e-9 * slots[usable, row]) / useful))])
            more = int(min(left[best], max(1.0, lacking // slots[best, row])))
            nodes[best] += more
            lacking -= more * float(slots[best, row])
    return True


def thin(price: Floats, obtainable: Ints, slots: Floats, load: Floats, *, nodes: Ints, floor: Ints) -> None:
    """Take out, or exchange for cheaper ones, in place, nodes above a floor that the load does not need.

    Arguments as in ``cover``; ``floor`` is the fewest nodes by supply.
    """
    spare = nodes @ slots - load
    dear_first = sorted(np.flatnonzero(nodes > floor).tolist(), key=lambda p: -price[p])
    cheap_first = np.argsort(price, kind="stable").tolist()
    for supply in dear_first:
        while nodes[supply] > floor[supply] and (spare >= slots[supply]).all():
            nodes[supply] -= 1
            spare -= slots[supply]
        for other in cheap_first:
            if price[other] >= price[supply]:
                break
            change = slots[other] - slots[supply]
            while nodes[supply] > floor[supply] and nodes[other] < obtainable[other] and (spare + change >= 0.0).all():
                nodes[supply] -= 1
                nodes[other] += 1
                spare += change


def open_nodes(sets: Sets, nodes: Ints, load: Floats, groups: set[int]) -> bool:
    """Add nodes, in place, until the load of these groups fits; false where it cannot."""
    for group in groups:
        supplies = np.array(sets.supplies_of_group[group], dtype=np.int64)
        rows = list(sets.rows_of_group[group])
        own = nodes[supplies]
        fit = cover(sets.price[supplies], sets.obtainable[supplies], sets.slots[supplies][:, rows], load[rows], own)
        nodes[supplies] = own
        if not fit:
            return False
    return True


def close_nodes(sets: Sets, nodes: Ints, load: Floats, floor: Ints | None = None) -> None:
    """Take out or exchange for cheaper ones, in place, nodes above a floor that the load does not need."""
    for group, rows in enumerate(sets.rows_of_group):
        supplies = np.array(sets.supplies_of_group[group], dtype=np.int64)
        if not supplies.size or not nodes[supplies].any():
            continue
        own = nodes[supplies]
        least = np.zeros_like(own) if floor is None else floor[supplies]
        slots = sets.slots[supplies][:, list(rows)]
        thin(sets.price[supplies], sets.obtainable[supplies], slots, load[list(rows)], nodes=own, floor=least)
        nodes[supplies] = own


def nodes_for(sets: Sets, load: Floats) -> Ints | None:
    """Nodes that hold a load, cheap but not proven cheapest; nothing where they cannot be had."""
    nodes: Ints = np.zeros(len(sets.supplies), dtype=np.int64)
    loaded = {group for group, rows in enumerate(sets.rows_of_group) if any(load[row] > 0 for row in rows)}
    if not open_nodes(sets, nodes, load, loaded):
        return None
    close_nodes(sets, nodes, load)
    return nodes
