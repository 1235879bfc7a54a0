"""What the values in a graph are, as far as a recurrent network can tell: the axes of each, and what it holds.

A size is a number, or a name where each call may choose it. An axis is a tuple of parts, as `Reshape` may join axes;
one of size 1 has none. So whatever turns, joins and parts axes is followed without a look at numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bptt._arrays import Array

Size = int | str


class Part(NamedTuple):
    """A part of an axis: what it counts, and its size."""

    name: str
    size: Size


Axis = tuple[Part, ...]


def axis_of(name: str, size: Size) -> Axis:
    """An axis of one part; of none, where its size is 1."""
    return () if size == 1 else (Part(name, size),)


def size_of(axis: Axis) -> Size:
    """The size of an axis: a name where that of a part is one."""
    number = math.prod(part.size for part in axis if isinstance(part.size, int))
    names = sorted(part.size for part in axis if isinstance(part.size, str))
    return number if not names else "*".join([*([str(number)] if number != 1 else []), *names])


# ---- What a tensor holds ----


@dataclass(frozen=True, eq=False)
class Given:
    """An input of the model."""

    name: str
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class Tokens:
    """A row of a table for each token of an input; without a table, its one-hot vector."""

    table: Array | None  # [n_in, width]
    n_in: int


@dataclass(frozen=True, eq=False)
class Hidden:
    """States of layers, each with its direction, side by side: of every step, or the last ones."""

    states: tuple[tuple[int, int], ...]  # (layer, direction)
    last: bool


@dataclass(frozen=True, eq=False)
class Affine:
    """``matrix @ of + vector``; None stands for a matrix or a vector that does nothing."""

    of: Any
    matrix: Array | None
    vector: Array | None


@dataclass(frozen=True, eq=False)
class Unit:
    """An output unit of a value."""

    name: str
    of: Any


@dataclass(frozen=True, eq=False)
class Steps:
    """The numbers 0, 1, ... of steps."""


@dataclass(frozen=True, eq=False)
class Within:
    """Whether a step lies within the length that an input has for its sequence."""


Content = Given | Tokens | Hidden | Affine | Unit | Steps | Within


# ---- Values ----


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value whose axes are known."""

    holds: Content
    axes: tuple[Axis, ...]
    feature: Axis  # the axis of the numbers that a step has
    width: int | None  # how many these are; None where the model does not tell

    @property
    def ends_with_features(self) -> bool:
        """Whether the last axis is that of the numbers of a step."""
        return bool(self.axes) and self.axes[-1] == self.feature

    def arranged(self, axes: Sequence[Axis]) -> Tensor:
        """The same in other axes."""
        return Tensor(self.holds, tuple(axes), self.feature, self.width)

    def holding(self, holds: Content) -> Tensor:
        """Something else in the same axes."""
        return Tensor(holds, self.axes, self.feature, self.width)


@dataclass(frozen=True, eq=False)
class Known:
    """Numbers that do not depend on the inputs; or sizes, of which some may be names."""

    array: Array

    @property
    def has_names(self) -> bool:
        return self.array.dtype == object


@dataclass(frozen=True, eq=False)
class Filled:
    """The same number, or size, everywhere, in a shape that a call may choose."""

    value: Any


@dataclass(frozen=True, eq=False)
class Moved:
    """An input of the model in another form, or a part of it: a state before the first step can be that."""


Value = Tensor | Known | Filled | Moved | None  # None: left out


def regrouped(axes: Sequence[Axis], shape: Sequence[Size]) -> tuple[Axis, ...] | None:
    """The parts of some axes in axes of another shape, as `Reshape` joins and parts them; None if it does not."""
    sizes = [size_of(axes[i]) if size == 0 and i < len(axes) else size for i, size in enumerate(shape)]
    parts = [part for axis in axes for part in axis]
    rest = sizes.index(-1) if -1 in sizes else len(sizes)
    front = _taken(parts, sizes[:rest])
    if front is None:
        return None
    if rest == len(sizes):
        return None if parts else tuple(front)
    parts.reverse()
    back = _taken(parts, sizes[:rest:-1])
    if back is None:
        return None
    return (*front, tuple(reversed(parts)), *(tuple(reversed(axis)) for axis in reversed(back)))


def _taken(parts: list[Part], sizes: Sequence[Size]) -> list[Axis] | None:
    """Axes of these sizes, each of the next parts, which are taken out of the list."""
    axes: list[Axis] = []
    for size in sizes:
        axis: Axis = ()
        while size_of(axis) != size:
            if not parts:
                return None
            axis = (*axis, parts.pop(0))
        axes.append(axis)
    return axes
