"""The data of `fit`, and the part of it that one update sees."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np

from bptt._arrays import Array, first_place

_SORTED_TOGETHER = 16  # batches: few enough that each epoch's batches are others


class Batch(NamedTuple):
    """What one update sees."""

    arguments: dict[str, Any]  # of `loss`: x, y, and weight, reset, lengths where they are given
    targets: float  # the sum of the weights of its targets, by which the loss is divided
    steps: int
    part: slice | Array  # where it is in the data: steps of all sequences, or whole sequences


class Data:
    """Sequences with their targets: in arrays ``[tau, batch, ...]``, or in lists with one array a sequence.

    Parameters
    ----------
    x, y, weight, reset
        As a network's `loss` takes them, checked; None for no weight and no reset.
    lengths : list of int
        How many steps each sequence has.
    padded : bool
        Whether arrays hold steps beyond these lengths.
    every_step : bool
        Whether each step has a target, or each sequence one.
    classes : bool
        Whether targets are classes, of which -1 is none.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        weight: Any,
        reset: Any,
        lengths: list[int],
        *,
        padded: bool,
        every_step: bool,
        classes: bool,
    ) -> None:
        self.x, self.y, self.weight, self.reset = x, y, weight, reset
        self.lengths = np.array(lengths)
        self.padded, self.every_step, self.classes = padded, every_step, classes
        self.is_list = isinstance(x, list)

    def within_lengths(self, part: Any, every_step: bool) -> Any:
        """All rows within the lengths, one after the other."""
        if part is None or not every_step:
            return part
        if self.is_list:
            return np.concatenate(part)
        return part[np.arange(len(part))[:, None] < self.lengths] if self.padded else part

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def tau(self) -> int:
        return int(self.lengths.max())

    @property
    def steps(self) -> int:
        return int(self.lengths.sum())

    def take(self, part: slice | Array) -> Batch:
        """Some steps of all sequences, or all steps of some sequences."""
        return self._window(part) if isinstance(part, slice) else self._some(part)

    def not_finite(self, part: slice | Array | None = None) -> str:
        """Say which number of a part, or of all data, is the first that is not finite; an empty text if all are."""
        n = len(self)
        if isinstance(part, slice):
            places = [(i, part.start, part.stop) for i in range(n)]
        else:
            places = [(i, 0, int(self.lengths[i])) for i in (range(n) if part is None else part.tolist())]
        for name, rows, every_step in (("x", self.x, True), ("y", self.y, self.every_step)):
            read = self.weight if name == "y" else None  # a target of weight 0 is not
            if isinstance(rows, list):
                wrong: Any = [_not_finite(r, w) for r, w in zip(rows, read or [None] * n, strict=True)]
            else:
                wrong = _not_finite(rows, read)
            if place := first_place(wrong, rows, places, every_step):
                return f"{name}: expected finite numbers, {place}"
        return ""

    def _some(self, sequences: Array) -> Batch:
        if len(sequences) == len(self) and (np.diff(sequences) == 1).all():
            lengths = self.lengths if self.padded else None
            return self._batch(sequences, self.x, self.y, self.weight, self.reset, lengths, self.lengths)
        lengths = self.lengths[sequences]
        tau = int(lengths.max())

        def of(part: Any, every_step: bool) -> Any:
            if part is None or not every_step:
                return None if part is None else part[sequences]
            return [part[i] for i in sequences] if self.is_list else part[:tau, sequences]

        return self._batch(
            sequences,
            of(self.x, True),
            of(self.y, self.every_step),
            of(self.weight, self.every_step),
            of(self.reset, True),
            lengths if self.padded else None,
            lengths,
        )

    def _window(self, steps: slice) -> Batch:
        weight, reset = (None if part is None else part[steps] for part in (self.weight, self.reset))
        lengths = np.full(len(self), steps.stop - steps.start)
        return self._batch(steps, self.x[steps], self.y[steps], weight, reset, None, lengths)

    def windows(self, steps: int) -> list[slice | Array]:
        """All steps, cut into windows."""
        return [slice(begin, min(begin + steps, self.tau)) for begin in range(0, self.tau, steps)]

    def batches(self, size: int, random: np.random.Generator | None) -> list[slice | Array]:
        """The sequences cut into batches, those of similar length together; in order, or in a random one."""
        order = np.arange(len(self)) if random is None else random.permutation(len(self))
        if self.lengths.min() != self.lengths.max():
            chunk = size * _SORTED_TOGETHER if random is not None else len(self)
            chunks = [order[i : i + chunk] for i in range(0, len(self), chunk)]
            order = np.concatenate([part[np.argsort(self.lengths[part], kind="stable")] for part in chunks])
        batches = [order[i : i + size] for i in range(0, len(self), size)]
        return [*batches] if random is None else [batches[i] for i in random.permutation(len(batches))]

    def in_order(self, size: int) -> list[Array]:
        """The sequences cut into batches, in the order of the data whatever their lengths."""
        return [np.arange(i, min(i + size, len(self))) for i in range(0, len(self), size)]

    def counted(self, batch: Batch, rows: Any) -> list[tuple[Array, Array]]:
        """Of each sequence of a batch, the targets that count, and the rows that are beside them.

        A target counts where it is within the length, of a weight that is not 0, and no class of -1.
        """
        y, weight = batch.arguments["y"], batch.arguments.get("weight")
        if not self.every_step:
            there = self._weights(y, weight) != 0
            return [(y[there], rows[there])]
        lengths = batch.arguments.get("lengths")
        pairs = []
        for i in range(len(y) if self.is_list else y.shape[1]):
            index: Any = i if self.is_list else (slice(None if lengths is None else lengths[i]), i)
            there = self._weights(y[index], None if weight is None else weight[index]) != 0
            pairs.append((y[index][there], rows[index][there]))
        return pairs

    def _batch(self, part: slice | Array, x: Any, y: Any, weight: Any, reset: Any, lengths: Any, steps: Array) -> Batch:
        given = {"x": x, "y": y, "weight": weight, "reset": reset, "lengths": lengths}
        arguments = {name: value for name, value in given.items() if value is not None}
        return Batch(arguments, self._targets(y, weight, steps), int(steps.sum()), part)

    def _targets(self, y: Any, weight: Any, lengths: Array) -> float:
        if isinstance(y, list):
            weights = [None] * len(y) if weight is None else weight
            return float(sum(self._weights(y_i, w_i).sum() for y_i, w_i in zip(y, weights, strict=True)))
        weights = self._weights(y, weight)
        if self.every_step and self.padded:
            weights = np.where(np.arange(len(y))[:, None] < lengths, weights, 0.0)
        return float(weights.sum())

    def _weights(self, y: Array, weight: Array | None) -> Array:
        """Of every step's loss, 0 where there is no target."""
        shape = y.shape if self.classes else y.shape[:-1]
        weights = np.ones(shape) if weight is None else weight.astype(np.float64)
        return np.where(y == -1, 0.0, weights) if self.classes else weights

    def digest(self) -> int:
        """A number that changes with the data."""
        value = zlib.crc32(repr(self.lengths.tolist()).encode())
        steps = ((self.x, True), (self.y, self.every_step), (self.weight, self.every_step), (self.reset, True))
        for part, every_step in steps:
            if (rows := self.within_lengths(part, every_step)) is not None:
                value = zlib.crc32(repr((rows.shape, rows.dtype.str)).encode(), value)
                if rows.size:
                    value = zlib.crc32(np.ascontiguousarray(rows).data.cast("B"), value)
        return value


def _not_finite(rows: Array, weight: Array | None) -> Array:
    """Where numbers are not finite, those of weight 0 left out."""
    wrong = ~np.isfinite(rows)
    if weight is not None:
        wrong &= (weight != 0).reshape(*weight.shape, *(1,) * (wrong.ndim - weight.ndim))
    return np.asarray(wrong)
