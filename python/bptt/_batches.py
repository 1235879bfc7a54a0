"""The data of `fit`, and the part of it that one update sees. Knows no optimizers."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bptt._inputs import BOOL, Array

if TYPE_CHECKING:
    from bptt.network import RecurrentNetwork

_SORTED_TOGETHER = 16  # batches: few enough that each epoch's batches are others


class Batch(NamedTuple):
    """What one update sees."""

    arguments: dict[str, Any]  # of `loss_and_gradients`
    targets: float  # the sum of the weights of its targets, by which the loss is divided
    steps: int


class Data:
    """Sequences with their targets, checked: in arrays ``[tau, batch, ...]``, or in lists with one array a sequence."""

    def __init__(
        self, rnn: RecurrentNetwork, x: Any, y: Any, weight: Any = None, lengths: Any = None, reset: Any = None
    ) -> None:
        s = rnn._sequences(x, lengths)
        self.x = s.data
        self.y, self.weight = rnn._targets(s, y, weight)
        self.reset = None if reset is None else s.every_step("reset", reset, None, BOOL)
        self.lengths = np.array(s.lengths)
        self.padded = s.form == "batch" and s.padded
        self.is_list = s.form == "list"
        self._every_step, self._classes = rnn._every_step, rnn.output == "softmax"
        self._check(rnn)

    def _check(self, rnn: RecurrentNetwork) -> None:
        """Raise ValueError for what the core would refuse in the middle of training, or could not learn from."""
        if rnn.input == "token":
            _check_range("x", "tokens", self._given(self.x, True), 0, rnn.n_in - 1)
        weights = self._given(self.weight, self._every_step)
        if weights is not None and not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError("weight: expected finite numbers of at least 0")
        y = self._given(self.y, self._every_step)
        if weights is not None:
            y = y[weights != 0]
        if self._classes:
            _check_range("y", "classes (or -1 for none)", y, -1, rnn.n_out - 1)
        elif rnn.output == "sigmoid":
            _check_range("y", "probabilities", y, 0, 1)
        if not ((y >= 0).any() if self._classes else y.size):
            raise ValueError("y: expected at least one target, got none")

    def _given(self, part: Any, every_step: bool) -> Any:
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
        return self._window(part.start, part.stop) if isinstance(part, slice) else self._some(part)

    def _some(self, sequences: Array) -> Batch:
        if len(sequences) == len(self) and (np.diff(sequences) == 1).all():
            lengths = self.lengths if self.padded else None
            return self._batch(self.x, self.y, self.weight, self.reset, lengths, self.lengths)
        lengths = self.lengths[sequences]
        tau = int(lengths.max())

        def of(part: Any, every_step: bool) -> Any:
            if part is None or not every_step:
                return None if part is None else part[sequences]
            return [part[i] for i in sequences] if self.is_list else part[:tau, sequences]

        return self._batch(
            of(self.x, True),
            of(self.y, self._every_step),
            of(self.weight, self._every_step),
            of(self.reset, True),
            lengths if self.padded else None,
            lengths,
        )

    def _window(self, begin: int, end: int) -> Batch:
        weight, reset = (None if part is None else part[begin:end] for part in (self.weight, self.reset))
        return self._batch(self.x[begin:end], self.y[begin:end], weight, reset, None, np.full(len(self), end - begin))

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

    def _batch(self, x: Any, y: Any, weight: Any, reset: Any, lengths: Any, steps: Array) -> Batch:
        given = {"x": x, "y": y, "weight": weight, "reset": reset, "lengths": lengths}
        arguments = {name: value for name, value in given.items() if value is not None}
        return Batch(arguments, self._targets(y, weight, steps), int(steps.sum()))

    def _targets(self, y: Any, weight: Any, lengths: Array) -> float:
        if isinstance(y, list):
            weights = [None] * len(y) if weight is None else weight
            return float(sum(self._weights(y_i, w_i).sum() for y_i, w_i in zip(y, weights, strict=True)))
        weights = self._weights(y, weight)
        if self._every_step and self.padded:
            weights = np.where(np.arange(len(y))[:, None] < lengths, weights, 0.0)
        return float(weights.sum())

    def _weights(self, y: Array, weight: Array | None) -> Array:
        """Of every step's loss, 0 where there is no target."""
        shape = y.shape if self._classes else y.shape[:-1]
        weights = np.ones(shape) if weight is None else weight.astype(np.float64)
        return np.where(y == -1, 0.0, weights) if self._classes else weights

    def digest(self) -> int:
        """A number that changes with the data."""
        value = zlib.crc32(repr(self.lengths.tolist()).encode())
        steps = ((self.x, True), (self.y, self._every_step), (self.weight, self._every_step), (self.reset, True))
        for part, every_step in steps:
            if (rows := self._given(part, every_step)) is not None:
                value = zlib.crc32(repr((rows.shape, rows.dtype.str)).encode(), value)
                if rows.size:
                    value = zlib.crc32(np.ascontiguousarray(rows).data.cast("B"), value)
        return value


def _check_range(name: str, what: str, values: Array, low: float, high: float) -> None:
    outside = values[(values < low) | (values > high)]
    if outside.size:
        raise ValueError(f"{name}: expected {what} from {low} to {high}, got {outside.flat[0]}")
