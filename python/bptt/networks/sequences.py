"""The sequences of a call: what users pass, checked and brought into the one form that the core reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bptt._arrays import (
    BOOL,
    INT64,
    Array,
    as_array,
    as_indices,
    check_shape,
    first_place,
    new_array,
    rows_in_place,
    shape_text,
)

Form = Literal["single", "batch", "list"]

Numbers = np.dtype[Any] | None  # of this dtype, or indices: integers of any width


@dataclass(slots=True)
class Sequences:
    """The sequences of one call: what the core reads, and the form in which they came and results go back."""

    form: Form
    data: Array | list[Array]  # [tau, batch, ...], or [tau_i, ...] for each sequence
    lengths: list[int]
    tau: int
    padded: bool

    @property
    def batch(self) -> int:
        return len(self.lengths)

    def empty(self, width: int, dtype: np.dtype[Any]) -> Array | list[Array]:
        """Memory for a result with a row of `width` at every step; 0 where no step is."""
        if self.form == "list":
            return [new_array((length, width), dtype) for length in self.lengths]
        return new_array((self.tau, self.batch, width), dtype, zeros=self.padded)

    def give_back(self, steps: Any) -> Any:
        """A result with all steps, in the form that came in."""
        return steps[:, 0] if self.form == "single" else steps

    def give_back_one(self, rows: Array) -> Array:
        """A result with one row a sequence, in the form that came in."""
        return rows[0] if self.form == "single" else rows

    def every_step(self, name: str, value: Any, width: int | None, dtype: Numbers) -> Array | list[Array]:
        """An argument with a row of `width` (None: one number) at every step, beside the sequences of x."""
        tail = () if width is None else (width,)
        if self.form == "list":
            came = type(value).__name__
            value = _as_list(value)
            if not isinstance(value, list | tuple):
                raise TypeError(f"{name}: expected a list, as x is a list of sequences, got {came}")
            if len(value) != self.batch:
                raise ValueError(f"{name}: expected {self.batch} sequences, as many as x has, got {len(value)}")
            items = []
            for i, (item, length) in enumerate(zip(value, self.lengths, strict=True)):
                array = _array(f"{name}[{i}]", item, dtype)
                check_shape(f"{name}[{i}]", array, (length, *tail))
                items.append(rows_in_place(array, 1))
            return _of_one_dtype(items)
        array = _array(name, value, dtype)
        if self.form == "single":
            check_shape(name, array, (self.tau, *tail))
            array = array[:, None]
        else:
            check_shape(name, array, (self.tau, len(self.lengths), *tail))
        return rows_in_place(array, 2)

    def has_row_for_each_target(self, value: Any, every_step: bool) -> bool:
        """Whether an argument beside the targets has an axis more than one number for each."""
        if self.form == "list" and every_step:
            value = _as_list(value)
            return isinstance(value, list | tuple) and len(value) > 0 and np.ndim(value[0]) == 2
        axes = (1 if every_step else 0) + (0 if self.form == "single" else 1)
        return np.ndim(value) == axes + 1

    def check_weights(self, weights: Any, every_step: bool) -> None:
        """Raise ValueError for a weight that is no finite number of at least 0."""
        if all(map(_are_weights, weights)) if isinstance(weights, list) else _are_weights(weights):
            return
        wrong = [_no_weight(a) for a in weights] if isinstance(weights, list) else _no_weight(weights)
        places = ((i, 0, length) for i, length in enumerate(self.lengths))
        if place := first_place(wrong, weights, places, every_step):  # else it is beyond the lengths, and not read
            raise ValueError(f"weight: expected finite numbers of at least 0, {place}")

    def flags(self, name: str, value: Any) -> Array | list[Array] | None:
        """An argument with a truth value at every step, as bytes; None for none."""
        if value is None:
            return None
        flags = self.every_step(name, value, None, BOOL)
        return [item.view(np.uint8) for item in flags] if isinstance(flags, list) else flags.view(np.uint8)

    def one_row(self, name: str, value: Any, width: int | None, dtype: Numbers) -> Array:
        """An argument with one row of `width` (None: one number) a sequence."""
        tail = () if width is None else (width,)
        array = _array(name, value, dtype)
        if self.form == "single":
            check_shape(name, array, tail)
            array = array[None]
        else:
            check_shape(name, array, (self.batch, *tail))
        return rows_in_place(array, 1)


def _array(name: str, value: Any, dtype: Numbers) -> Array:
    return as_indices(name, value) if dtype is None else as_array(name, value, dtype)


def _of_one_dtype(items: list[Array]) -> list[Array]:
    """Sequences of indices may come in integers of different widths; the core reads one."""
    return items if len({item.dtype for item in items}) == 1 else [item.astype(INT64) for item in items]


def _as_list(value: Any) -> Any:
    """An array or a column of sequences (objects) as a list of them; whatever else as it is."""
    if isinstance(value, list | tuple):
        return value
    array = np.asarray(value) if hasattr(value, "to_numpy") else value
    if not isinstance(array, np.ndarray) or array.dtype.kind != "O" or array.ndim != 1:
        return value
    are_sequences = all(hasattr(item, "__len__") and not isinstance(item, str | bytes) for item in array)
    return list(array) if are_sequences and len(array) else value


def _are_weights(weights: Array) -> bool:
    """Whether no bits are those of infinity or, as integers, larger: NaN and what has a sign, -0 too. In one pass."""
    bits = weights.view("u4" if weights.itemsize == 4 else "u8")
    return int(bits.max()) < (0x7F800000 if weights.itemsize == 4 else 0x7FF0000000000000)


def _no_weight(weights: Array) -> Array:
    return ~((weights >= 0) & np.isfinite(weights))


def _check_steps(name: str, length: int) -> None:
    if length == 0:
        raise ValueError(f"{name}: expected at least one time step, got none")


def sequences(x: Any, lengths: Any, width: int | None, dtype: Numbers) -> Sequences:
    """Read `x`: rows of `width` numbers, or tokens where it is None."""
    tail = () if width is None else (width,)
    x = _as_list(x)
    if isinstance(x, list | tuple):
        if lengths is not None:
            raise ValueError("lengths: expected None, as each sequence of a list has its own length")
        if len(x) == 0:
            raise ValueError("x: expected at least one sequence, got an empty list")
        items = []
        for i, item in enumerate(x):
            array = _array(f"x[{i}]", item, dtype)
            if array.ndim != 1 + len(tail):
                raise ValueError(
                    f"x[{i}]: expected {shape_text(('tau', *tail))}, got {array.shape}; "
                    "a list is a list of sequences: pass one sequence as an array"
                )
            check_shape(f"x[{i}]", array, ("tau", *tail))
            _check_steps(f"x[{i}]", len(array))
            items.append(rows_in_place(array, 1))
        items = _of_one_dtype(items)
        return Sequences("list", items, [len(item) for item in items], max(len(item) for item in items), True)

    array = _array("x", x, dtype)
    shape = array.shape
    axes = len(shape) - len(tail)  # time, and the batch where there is one
    if not 1 <= axes <= 2 or (tail and shape[-1] != width):
        either = f"{shape_text(('tau', 'batch', *tail))} or {shape_text(('tau', *tail))}"
        raise ValueError(f"x: expected {either}, got {shape}")
    tau = shape[0]
    _check_steps("x", tau)
    if axes == 1:
        if lengths is not None:
            raise ValueError("lengths: expected None, as x is a single sequence")
        return Sequences("single", rows_in_place(array[:, None], 2), [tau], tau, False)
    batch = shape[1]
    if batch == 0:
        raise ValueError(f"x: expected at least one sequence, got {shape}")
    if lengths is None:
        return Sequences("batch", rows_in_place(array, 2), [tau] * batch, tau, False)
    lengths = as_array("lengths", as_indices("lengths", lengths), INT64)
    check_shape("lengths", lengths, (batch,))
    for i, length in enumerate(lengths.tolist()):
        if not 1 <= length <= tau:
            raise ValueError(f"lengths: expected values from 1 to {tau}, got {length} for sequence {i}")
    padded = bool((lengths != tau).any())
    return Sequences("batch", rows_in_place(array, 2), lengths.tolist(), tau, padded)
