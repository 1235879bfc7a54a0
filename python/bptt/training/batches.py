"""The data of `fit`, and the part of it that one update sees."""

from __future__ import annotations

import inspect
import math
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from bptt._arrays import INT64, Array, first_place
from bptt._checks import size as checked_size

_NUMBERS_AT_A_TIME = 1 << 20  # of a digest
_SORTED_TOGETHER = 16  # batches: few enough that each epoch's batches are others


def described(value: Any) -> str:
    """What tells a function from another, in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


Part: TypeAlias = slice | Array  # steps of all sequences, or whole sequences


class Batch(NamedTuple):
    """What one update sees."""

    arguments: dict[str, Any]  # of `loss`: x, y, and weight, reset, lengths where they are given
    targets: float  # the sum of the weights of its targets, by which the loss is divided
    steps: int
    part: Part  # where it is in the data


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
        self.first = 0  # how many sequences are before these in the user's data: errors count them

    def share(self, begin: int, end: int) -> Data:
        """Some sequences side by side, in the same memory where they are in arrays."""

        def of(part: Any, every_step: bool) -> Any:
            return None if part is None else part[:, begin:end] if every_step and not self.is_list else part[begin:end]

        kind = {"padded": self.padded, "every_step": self.every_step, "classes": self.classes}
        x, y, weight = of(self.x, True), of(self.y, self.every_step), of(self.weight, self.every_step)
        some = Data(x, y, weight, of(self.reset, True), self.lengths[begin:end].tolist(), **kind)
        some.first = self.first + begin
        return some

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
    def nbytes(self) -> int:
        """Of all arrays."""
        parts = [part for part in (self.x, self.y, self.weight, self.reset) if part is not None]
        return sum(array.nbytes for part in parts for array in (part if isinstance(part, list) else [part]))

    @property
    def tau(self) -> int:
        return int(self.lengths.max())

    @property
    def steps(self) -> int:
        return int(self.lengths.sum())

    @property
    def targets(self) -> float:
        """The sum of the weights of all targets."""
        return self._targets(self.y, self.weight, self.lengths)

    def take(self, part: Part) -> Batch:
        """Some steps of all sequences, or all steps of some sequences."""
        return self._window(part) if isinstance(part, slice) else self._some(part)

    def not_finite(self, part: Part | None = None) -> str:
        """Say which number of a part, or of all data, is the first that is not finite; an empty text if all are."""
        n = len(self)
        if isinstance(part, slice):
            places = [(i, part.start, part.stop) for i in range(n)]
        else:
            places = [(i, 0, int(self.lengths[i])) for i in (range(n) if part is None else part.tolist())]
        for name, rows, every_step in (("x", self.x, True), ("y", self.y, self.every_step)):
            read = self.weight if name == "y" else None  # a target of weight 0 is not
            right = np.isfinite if name == "x" else _may_be_target
            if isinstance(rows, list):
                wrong: Any = [_wrong(r, w, right) for r, w in zip(rows, read or [None] * n, strict=True)]
            else:
                wrong = _wrong(rows, read, right)
            if place := first_place(wrong, rows, places, every_step, self.first):
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

    def windows(self, steps: int) -> list[Part]:
        """All steps, cut into windows."""
        return [slice(begin, min(begin + steps, self.tau)) for begin in range(0, self.tau, steps)]

    def batches(self, size: int, random: np.random.Generator | None) -> list[Part]:
        """The sequences cut into batches, those of similar length together; in order, or in a random one."""
        groups = self.groups(size, random)
        return [*groups] if random is None else [groups[i] for i in random.permutation(len(groups))]

    def groups(self, size: int, random: np.random.Generator | None) -> list[Array]:
        """The batches, of which the last may be smaller."""
        order = np.arange(len(self)) if random is None else random.permutation(len(self))
        if self.lengths.min() != self.lengths.max():
            chunk = size * _SORTED_TOGETHER if random is not None else len(self)
            chunks = [order[i : i + chunk] for i in range(0, len(self), chunk)]
            order = np.concatenate([part[np.argsort(self.lengths[part], kind="stable")] for part in chunks])
        return [order[i : i + size] for i in range(0, len(self), size)]

    def in_order(self, size: int) -> list[Array]:
        """The sequences cut into batches, in the order of the data whatever their lengths."""
        return [np.arange(i, min(i + size, len(self))) for i in range(0, len(self), size)]

    def counted(self, batch: Batch, rows: Any) -> list[tuple[Array, Array]]:
        """Of each sequence of a batch, the targets that count, and the rows that are beside them.

        A target counts where it is within the length, of a weight that is not 0, and no class of -1. An output that
        does not count, beside others that do, is NaN among the targets.
        """
        y, weight = batch.arguments["y"], batch.arguments.get("weight")
        if not self.every_step:
            return [self._that_count(y, weight, rows)]
        lengths = batch.arguments.get("lengths")
        pairs = []
        for i in range(len(y) if self.is_list else y.shape[1]):
            index: Any = i if self.is_list else (slice(None if lengths is None else lengths[i]), i)
            pairs.append(self._that_count(y[index], None if weight is None else weight[index], rows[index]))
        return pairs

    def _that_count(self, y: Array, weight: Array | None, rows: Any) -> tuple[Array, Array]:
        if weight is not None and weight.ndim == y.ndim and not self.classes:
            y = np.where(weight == 0, np.asarray(np.nan, y.dtype), y)
        there = self._weights(y, weight) != 0
        return y[there], rows[there]

    def _batch(self, part: Part, x: Any, y: Any, weight: Any, reset: Any, lengths: Any, steps: Array) -> Batch:
        given = {"x": x, "y": y, "weight": weight, "reset": reset, "lengths": lengths}
        arguments = {name: value for name, value in given.items() if value is not None}
        return Batch(arguments, self._targets(y, weight, steps), int(steps.sum()), part)

    def _targets(self, y: Any, weight: Any, lengths: Array) -> float:
        if isinstance(y, list):
            weights = [None] * len(y) if weight is None else weight
            return math.fsum(_exact_sum(self._weights(y_i, w_i)) for y_i, w_i in zip(y, weights, strict=True))
        weights = self._weights(y, weight)
        if self.every_step and self.padded:
            weights = np.where(np.arange(len(y))[:, None] < lengths, weights, 0.0)
        return _exact_sum(weights)

    def _weights(self, y: Array, weight: Array | None) -> Array:
        """Of every step's loss, 0 where there is no target; the mean over its outputs, where these have their own."""
        if self.classes:
            return np.where(y == -1, 0.0, 1.0 if weight is None else weight.astype(np.float64))
        missing = np.isnan(y)
        weights = np.ones(y.shape[:-1]) if weight is None else weight.astype(np.float64)
        if weights.ndim < y.ndim:
            if not missing.any():
                return weights
            weights = weights[..., None]
        return np.asarray(np.where(missing, 0.0, weights).mean(axis=-1))

    def identity(self) -> dict[str, Any]:
        """What tells it from other data."""
        return {"data": self.digest()}

    def digest(self) -> int:
        """A number that changes with the data."""
        value = zlib.crc32(repr(self.lengths.tolist()).encode())
        steps = ((self.x, True), (self.y, self.every_step), (self.weight, self.every_step), (self.reset, True))
        for part, every_step in steps:
            if (rows := self.within_lengths(part, every_step)) is not None:
                dtype = INT64 if rows.dtype.kind in "iu" else rows.dtype  # of integers, the width does not matter
                value = zlib.crc32(repr((rows.shape, dtype.str)).encode(), value)
                at_a_time = 1 + _NUMBERS_AT_A_TIME * len(rows) // max(rows.size, 1)
                for begin in range(0, len(rows) if rows.size else 0, at_a_time):
                    some = np.ascontiguousarray(rows[begin : begin + at_a_time], dtype)
                    value = zlib.crc32(some.data.cast("B"), value)
        return value


class Batches:
    """Fresh batches for `fit`, made by a function as training goes on: ``rnn.fit(Batches(make, steps=100), ...)``.

    Parameters
    ----------
    make : callable
        ``make(rng)`` returns the batch of one update: ``(x, y)``, ``(x, y, weight)`` or a dict with x, y and, if need
        be, weight, lengths and reset, as a network's `loss` takes them. `rng` is a `numpy.random.Generator` that
        follows from the seed of `fit`, the epoch and the update, and from nothing else. So whoever draws from it alone
        has the same batches in every run with that seed, and a run that is resumed ends with the same bits.

        A generator function is called as ``make(rng)`` at the beginning of each epoch, and yields its batches. To go on
        within an epoch, `fit` takes those again that were made before.
    steps : int
        How many batches an epoch has, and so how many updates.

    Examples
    --------
    >>> import bptt
    >>> def make(rng):  # which of two signs has the sum of the numbers so far?
    ...     x = rng.standard_normal((20, 32, 1))
    ...     return x, (x.cumsum(0)[..., 0] > 0).astype(int)
    >>> rnn = bptt.ElmanRNN(1, 16, 2, seed=0)
    >>> batches = bptt.Batches(make, steps=50)
    >>> history = rnn.fit(batches, optimizer=bptt.Adam(1e-2), epochs=2, seed=0, progress=False)
    >>> history.epochs.updates
    array([ 50., 100.])
    """

    def __init__(self, make: Callable[[np.random.Generator], Any], steps: int) -> None:
        if not callable(make):
            extra = ": pass the function that makes it" if isinstance(make, Iterator) else ""
            raise TypeError(f"make: expected a function of a generator, got {type(make).__name__}{extra}")
        self._make, self._steps = make, checked_size("steps", steps, 1)

    @property
    def make(self) -> Callable[[np.random.Generator], Any]:
        """What makes them."""
        return self._make

    @property
    def steps(self) -> int:
        """How many batches an epoch has."""
        return self._steps

    def __repr__(self) -> str:
        return f"Batches({self._make!r}, steps={self._steps})"


class FreshData:
    """What `Batches` makes in one run, checked: it has no data of its own.

    Parameters
    ----------
    batches : Batches
        What makes them.
    read : callable
        Brings what the user's function has returned into the form of `Data`.
    """

    def __init__(self, batches: Batches, read: Callable[[Any], Data]) -> None:
        self.batches, self._read = batches, read
        make = batches.make
        call = getattr(make, "__call__", None)  # noqa: B004 - of an object
        self._by_epoch = inspect.isgeneratorfunction(make) or inspect.isgeneratorfunction(call)
        self._going_on: Iterator[Any] = iter(())
        self._next = -1, 0  # of which epoch, and of its batches which one, it gives next
        self._latest: Data | None = None

    def take(self, epoch: int, step: int, random: Callable[[int, int], np.random.Generator]) -> Batch:
        """The batch of a step of an epoch. `random` gives a generator that follows from two numbers alone."""
        made = self.make(epoch, step, random)
        return made.take(np.arange(len(made)))

    def make(self, epoch: int, step: int, random: Callable[[int, int], np.random.Generator]) -> Data:
        """The sequences of a batch, with what is beside them."""
        made = self._of_epoch(epoch, step, random) if self._by_epoch else self.batches.make(random(epoch, step))
        try:
            self._latest = self._read(made)
        except (TypeError, ValueError) as error:
            raise type(error)(f"epoch {epoch}, batch {step}: make: {error}") from None
        return self._latest

    def _of_epoch(self, epoch: int, step: int, random: Callable[[int, int], np.random.Generator]) -> Any:
        begin = step
        if self._next != (epoch, step):
            self._going_on, begin = iter(self.batches.make(random(epoch, 0))), 0
        self._next = -1, 0  # until it has given the batch
        for i in range(begin, step + 1):
            try:
                made = next(self._going_on)
            except StopIteration:
                steps = self.batches.steps
                raise ValueError(f"epoch {epoch}: make: expected {steps} batches, as steps says, got {i}") from None
        self._next = epoch, step + 1
        return made

    def not_finite(self, part: Part) -> str:
        """Say which number of the latest batch is the first that is not finite; an empty text if all are."""
        return "" if self._latest is None else self._latest.not_finite(part)

    def identity(self) -> dict[str, Any]:
        """What tells it from other data."""
        return {"make": described(self.batches.make), "steps": self.batches.steps}


def _exact_sum(weights: Array) -> float:
    """The sum, rounded once: it does not depend on how they lie in memory, nor on zeros among them."""
    if (weights == np.floor(weights)).all():  # whole numbers have no rounding
        return float(weights.sum())
    return math.fsum(weights.ravel().tolist())


def _may_be_target(y: Array) -> Array:
    """Whether numbers are finite, or NaN: there is no target."""
    return np.asarray(~np.isinf(y))


def _wrong(rows: Array, weight: Array | None, right: Callable[[Array], Array]) -> Array:
    """Where numbers are not right, those of weight 0 left out."""
    wrong = ~right(rows)
    if weight is not None:
        wrong &= (weight != 0).reshape(*weight.shape, *(1,) * (wrong.ndim - weight.ndim))
    return np.asarray(wrong)
