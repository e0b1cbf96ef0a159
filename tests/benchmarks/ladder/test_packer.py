"""The packer of the ladder finds a place whenever there is one, and never invents one."""

from functools import cache

import numpy as np
import pytest
from benchmarks.ladder.answer import Answer
from benchmarks.ladder.packer import packed, place
from hypothesis import given
from hypothesis import strategies as st
from tiny import form

WIDTHS = st.sampled_from([1, 2, 4, 8])


@cache
def fits(widths: tuple[int, ...], rooms: tuple[int, ...]) -> bool:
    """By trying every node for every pod."""
    if not widths:
        return True
    width, rest = widths[0], widths[1:]
    return any(
        fits(rest, tuple(sorted((*rooms[:seat], room - width, *rooms[seat + 1 :]))))
        for seat, room in enumerate(rooms)
        if room >= width
    )


@given(st.lists(WIDTHS, max_size=7), st.lists(st.integers(1, 9), max_size=4))
def test_finds_a_place_just_when_there_is_one(widths: list[int], rooms: list[int]) -> None:
    assert (place(widths, rooms) is not None) == fits(tuple(widths), tuple(sorted(rooms)))


@given(st.lists(st.integers(1, 9), max_size=6), st.lists(st.integers(1, 9), max_size=4))
def test_never_invents_a_place_whatever_the_widths(widths: list[int], rooms: list[int]) -> None:
    left = place(widths, rooms)
    if left is not None:
        assert fits(tuple(widths), tuple(sorted(rooms)))
        assert sum(left) == sum(rooms) - sum(widths)
        assert min(left, default=0) >= 0


def answer(replicas: dict[tuple[int, int, int, bool], int], nodes: tuple[int, ...]) -> Answer:
    return Answer(replicas=replicas, nodes=nodes)


def test_a_replica_with_all_its_stages_on_the_nodes_is_packed() -> None:
    assert packed(form(), answer({(0, 1, 0, False): 1}, (1, 0)))


@pytest.mark.parametrize(
    ("replicas", "nodes"),
    [
        ({(0, 1, 0, False): 1}, (0, 3)),  # a stage of 2 GPUs does not fit nodes of one
        ({(0, 1, 0, False): 1, (1, 0, 0, False): 1}, (1, 0)),  # 5 GPUs on 4
        ({(0, 0, 1, False): 1}, (2, 3)),  # another region
        ({(0, 0, 0, True): 1}, (2, 3)),  # spot
        ({(0, 0, 0, False): 1}, (3, 0)),  # more nodes than there are
        ({(0, 0, 0, False): 1}, (1, -1)),
        ({(0, 0, 0, False): -1}, (1, 0)),
        ({(0, 2, 0, False): 1}, (1, 0)),  # no such template
        ({(2, 0, 0, False): 1}, (1, 0)),  # no such served model
        ({(0, 0, 0, False): 1}, (1,)),  # a pool is missing
    ],
)
def test_what_does_not_stand_on_its_nodes_is_not_packed(
    replicas: dict[tuple[int, int, int, bool], int], nodes: tuple[int, ...]
) -> None:
    assert not packed(form(), answer(replicas, nodes))


def test_another_gpu_kind_is_no_place() -> None:
    assert not packed(form(pool_kind=("A", "B")), answer({(0, 0, 0, False): 1}, (0, 1)))


def test_stages_of_different_replicas_share_a_node() -> None:
    wanted = form(obtainable=np.array([1, 0]))
    assert packed(wanted, answer({(0, 0, 0, False): 2, (1, 0, 0, False): 2}, (1, 0)))
