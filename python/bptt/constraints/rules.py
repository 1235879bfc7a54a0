"""What constraints say about each parameter of one network, gathered and checked against one another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from bptt._arrays import Array, shape_text
from bptt._checks import shown


class Entry(Protocol):
    """One parameter in the flat vector."""

    @property
    def name(self) -> str:
        """In files."""

    @property
    def letter(self) -> str:
        """The book's."""

    @property
    def layer(self) -> int:
        """From 0; -1 for what belongs to the outputs."""

    @property
    def reverse(self) -> bool:
        """Whether it belongs to the second direction."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its array."""


class Part:
    """One parameter, and what is said about its entries."""

    def __init__(self, entry: Entry, begin: int) -> None:
        self.name, self.letter, self.layer, self.reverse = entry.name, entry.letter, entry.layer, entry.reverse
        self.shape = entry.shape
        self.begin, self.end = begin, begin + math.prod(entry.shape)
        self.zero: Array | None = None  # where it is 0
        self.frozen: Array | None = None  # where it stays what it is
        self.sign: Array | None = None  # 1: at least 0; -1: at most 0; 0: free
        self.bounds: list[tuple[int | None, float]] = []  # the axis of a norm, as in np.linalg.norm, and its bound

    def of(self, flat: Array) -> Array:
        """Its view of a flat vector."""
        return flat[self.begin : self.end].reshape(self.shape)

    def add_zeros(self, where: Array) -> None:
        self.zero = where if self.zero is None else self.zero | where

    def freeze(self, where: Array) -> None:
        self.frozen = where if self.frozen is None else self.frozen | where

    def add_signs(self, sign: Array) -> None:
        """Say which signs its entries have, or raise ValueError where they were to have the other one."""
        if self.sign is None:
            self.sign = sign
            return
        opposite = np.argwhere(self.sign * sign < 0)
        if len(opposite):
            place = tuple(opposite[0].tolist())
            wanted, got = ("at least 0" if which[place] > 0 else "at most 0" for which in (self.sign, sign))
            raise ValueError(f"expected {self.place(place)} to be {wanted}, as by another constraint, got {got}")
        self.sign = np.where(self.sign == 0, sign, self.sign)

    def add_bound(self, axis: int | None, most: float) -> None:
        if axis is not None and axis >= len(self.shape):
            raise ValueError(f"axis: expected None, as {self.name} is a vector, got {axis}")
        self.bounds.append((axis, most))

    def broadcast(self, name: str, value: Array) -> Array:
        """An array of its shape, in which a row may stand for all rows, or raise ValueError."""
        try:
            return np.broadcast_to(value, self.shape)
        except ValueError:
            row = f" or {shape_text(self.shape[1:])}" if len(self.shape) > 1 else ""
            raise ValueError(
                f"{name}: expected {shape_text(self.shape)}{row} for {self.name}, got {value.shape}"
            ) from None

    def place(self, index: Sequence[int]) -> str:
        return f"{self.name}{list(map(int, index))}"

    def violation(self, flat: Array) -> str:
        """Say which entry is not as it has to be, what was expected and what came; empty where all are."""
        values = self.of(flat)
        if self.zero is not None and (text := self._first(values, self.zero & (values != 0), "0, as it is masked")):
            return text
        if self.sign is not None:
            for sign, expected in ((1, "at least 0, by its sign"), (-1, "at most 0, by its sign")):
                if text := self._first(values, (self.sign == sign) & (values * sign < 0), expected):
                    return text
        for axis, most in self.bounds:
            norms = np.atleast_1d(norm(values, axis))
            over = np.flatnonzero(norms > most)
            if len(over):
                of = "" if axis is None else f" of {('column', 'row')[axis]} {over[0]}"
                return f"{self.name}: expected a norm{of} of at most {most:g}, got {norms[over[0]]:.9g}"
        return ""

    def _first(self, values: Array, wrong: Array, expected: str) -> str:
        if not wrong.any():
            return ""
        place = tuple(np.argwhere(wrong)[0].tolist())
        held = self.frozen is not None and bool(self.frozen[place])
        return f"{self.place(place)}: expected {expected}, got {values[place]:g}{', which is frozen' if held else ''}"


def norm(values: Array, axis: int | None) -> Array:
    """The 2-norm of all entries or along an axis, summed in double precision."""
    if axis is None or values.ndim == 1:
        values, along = values.reshape(-1), "i,i->"
    else:
        along = "ij,ij->i" if axis == 1 else "ij,ij->j"
    norms: Array = np.sqrt(np.einsum(along, values, values, dtype=np.float64))
    return norms


class Rules:
    """What constraints say about all parameters of one network."""

    def __init__(self, entries: Sequence[Entry], hidden: bool) -> None:
        self.parts: list[Part] = []
        self.size = 0
        for entry in entries:
            self.parts.append(Part(entry, self.size))
            self.size = self.parts[-1].end
        self.hidden = hidden  # whether the columns of W stand for hidden units
        self.layers = 1 + max(part.layer for part in self.parts)
        self.two_directions = any(part.reverse for part in self.parts)
        self.excitatory: list[Array | None] = [None] * self.layers  # of each layer: which units Dale's law has so

    def chosen(self, letters: Sequence[str], layer: int | None, reverse: bool | None) -> Iterator[Part]:
        """The parameters under these letters, of a layer and direction or of all of them."""
        self.check_layer(layer)
        if reverse and not self.two_directions:
            raise ValueError("reverse: expected None or False, as the network has one direction, got True")
        known = sorted({part.letter for part in self.parts})
        for letter in letters:
            if letter not in known:
                raise ValueError(f"letters: expected {', '.join(map(repr, known))}, got {shown(letter)}")
            of_outputs = all(part.layer < 0 for part in self.parts if part.letter == letter)
            if of_outputs and (layer is not None or reverse is not None):
                name = "layer" if layer is not None else "reverse"
                raise ValueError(
                    f"{name}: expected None, as {letter} is of no layer, got {layer if layer is not None else reverse}"
                )
            for part in self.parts:
                if part.letter == letter and (
                    of_outputs or (layer in (None, part.layer) and reverse in (None, part.reverse))
                ):
                    yield part

    def check_layer(self, layer: int | None) -> None:
        if layer is not None and layer >= self.layers:
            count = "is one layer" if self.layers == 1 else f"are {self.layers} layers"
            raise ValueError(f"layer: expected None or less than {self.layers}, as there {count}, got {layer}")

    def projections(self, layer: int) -> Iterator[Part]:
        """All parameters whose columns stand for the units of a layer: W, and what is above.

        What is above has a column for each unit of one direction, and then of the other.
        """
        for part in self.parts:
            above = part.letter == "V" if layer == self.layers - 1 else part.letter == "U" and part.layer == layer + 1
            if above or (part.letter == "W" and part.layer == layer):
                yield part

    def units(self, layer: int) -> int:
        """How many units a layer has, in one direction."""
        return next(part.shape[0] for part in self.parts if part.letter == "U" and part.layer == layer)


def checked_booleans(name: str, value: Any) -> Array:
    """`value` as an array of booleans, of which 0 and 1 are others, or raise."""
    try:
        array = np.array(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array, got rows of different lengths ({error})") from None
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind not in "iuf":
        raise TypeError(
            f"{name}: expected booleans, or 0 and 1, got {shown(value) if array.ndim == 0 else array.dtype}"
        )
    wrong = array[(array != 0) & (array != 1)]
    if wrong.size:
        raise ValueError(f"{name}: expected booleans, or 0 and 1, got {wrong.flat[0]}")
    booleans: Array = array == 1
    return booleans
