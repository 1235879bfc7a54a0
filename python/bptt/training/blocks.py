"""How a batch is divided among processes so that its sums do not depend on how many they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from bptt._arrays import Array

Range: TypeAlias = tuple[int, int]  # the first, and the one after the last

_LEAST, _MOST, _COUNT = 8, 32, 16  # sequences of a block; blocks of a batch between both
# A step of eight sequences takes little more than one of a single sequence: smaller blocks would gain nothing.


@lru_cache(256)  # each update asks for the same few
def evenly(n: int, parts: int) -> Sequence[Range]:
    """Cut ``range(n)`` into so many parts whose sizes differ by at most one."""
    bounds = [n * i // parts for i in range(parts + 1)]
    return tuple(pairwise(bounds))


def blocks_of(n: int) -> Sequence[Range]:
    """Cut a batch of `n` sequences into blocks. They follow from its size alone."""
    size = min(max(n // _COUNT, _LEAST), _MOST)
    return evenly(n, -(-n // size))


@lru_cache(256)
def nodes(blocks: int, parts: int) -> Sequence[Sequence[Range]]:
    """Of each part of so many blocks, the nodes that it makes of its own."""
    return tuple(tuple(aligned(*part)) for part in evenly(blocks, parts))


def aligned(begin: int, end: int) -> Iterator[Range]:
    """Cut ``range(begin, end)`` into nodes of the tree by which `PairwiseSum` adds, as ``(begin, size)``."""
    while begin < end:
        size = begin & -begin or 1 << (end - begin).bit_length()
        while begin + size > end:
            size //= 2
        yield begin, size
        begin += size


class PairwiseSum:
    """The sum of the vectors of all blocks, in an order that follows from their number alone.

    Neighbours are added in pairs, their sums in pairs, and so on: ``((0 + 1) + (2 + 3)) + ((4 + 5) + 6)``. So whoever
    has blocks side by side adds most of them before anything is sent, and the error is smaller than one by one.
    """

    def __init__(self) -> None:
        self.nodes: list[tuple[int, int, Array]] = []  # the first block, how many, and their sum

    def add(self, begin: int, size: int, vector: Array) -> None:
        """Take in the sum of the blocks from `begin` on, those that follow the last ones. Vectors are overwritten."""
        self.nodes.append((begin, size, vector))
        while len(self.nodes) > 1:
            (first, n, left), (_, m, right) = self.nodes[-2:]
            if n != m or first % (2 * n) != 0:
                break
            left += right
            self.nodes[-2:] = [(first, 2 * n, left)]

    def total(self) -> Array:
        """The sum, once all blocks are in."""
        while len(self.nodes) > 1:
            (first, n, left), (_, m, right) = self.nodes[-2:]
            left += right
            self.nodes[-2:] = [(first, n + m, left)]
        return self.nodes[0][2]
