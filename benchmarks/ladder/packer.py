"""A packer that knows nothing of the solver: it places every stage of an answer on the answer's nodes, one by one.

It reads template arrays, counts and nodes only, and none of the solver's load rows. Pods go widest first to the node
with the least room that still takes them. Where every width divides each wider one (1, 2, 4, 8: all that tensor
parallelism uses) this finds a place for all pods whenever there is one: a narrower pod never blocks a wider one, and
what is free on a node is worth the same in any order. With other widths it may miss a packing but never invents one.
"""

from bisect import bisect_left, insort
from collections import defaultdict

import numpy as np

from benchmarks.ladder.answer import Answer
from benchmarks.ladder.form import Form

Shelf = tuple[str, int, bool]
"""Where pods of a replica may stand: GPU kind, region, and whether on spot nodes."""


def packed(form: Form, answer: Answer) -> bool:
    """Whether every stage finds its place: its own GPUs of its kind, in the replica's region and capacity class.

    Also that counts are whole and not negative, templates exist, and no pool gives more nodes than it has.
    """
    nodes = np.array(answer.nodes, dtype=np.int64)
    if nodes.shape != form.obtainable.shape or (nodes < 0).any() or (nodes > form.obtainable).any():
        return False
    pods: dict[Shelf, list[int]] = defaultdict(list)
    for (model, template, region, spot), count in answer.replicas.items():
        if count < 0 or not 0 <= model < len(form.demand) or not 0 <= template < len(form.menu(model).rate):
            return False
        for kind in np.flatnonzero(form.menu(model).need[template]):
            stages = count * int(form.menu(model).need[template, kind])
            pods[form.kind_gpu[kind], region, spot] += [int(form.kind_width[kind])] * stages
    rooms: dict[Shelf, list[int]] = defaultdict(list)
    for pool in np.flatnonzero(nodes):
        shelf = (form.pool_kind[pool], int(form.pool_region[pool]), bool(form.pool_spot[pool]))
        rooms[shelf] += [int(form.pool_gpus[pool])] * int(nodes[pool])
    return all(place(widths, rooms[shelf]) is not None for shelf, widths in pods.items())


def place(widths: list[int], rooms: list[int]) -> list[int] | None:
    """Best fit of the widest first.

    Args:
        widths: GPUs of each pod.
        rooms: GPUs of each node.

    Returns:
        GPUs left on the nodes, ascending; nothing where a pod found no place.
    """
    free = sorted(rooms)
    for width in sorted(widths, reverse=True):
        seat = bisect_left(free, width)
        if seat == len(free):
            return None
        insort(free, free.pop(seat) - width)
    return free
