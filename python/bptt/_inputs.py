"""What users pass, checked and brought into the one form that the core reads. Knows no equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Form = Literal["single", "batch", "list"]

INT64 = np.dtype(np.int64)  # of tokens, classes and lengths
BOOL = np.dtype(np.bool_)


class UserError(Exception):
    """What a user of the command line can put right. The message is one line and names the file or the option."""


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of the allowed, else raise."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def size(name: str, value: int, least: int, most: int = 2**31 - 1) -> int:
    """Return `value` as an int from `least` to `most`, else raise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")
    if value > most:
        raise ValueError(f"{name}: expected at most {most}, got {value}")
    return int(value)


def number(name: str, value: float, least: float, most: float, ends: str = "[)") -> float:
    """Return `value` as a float from `least` to `most`, of which a bracket includes the end, else raise."""
    if isinstance(value, bool) or not isinstance(value, float | int | np.floating | np.integer):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    above = least <= value if ends[0] == "[" else least < value
    below = value <= most if ends[1] == "]" else value < most
    if not (above and below):  # nor NaN
        raise ValueError(f"{name}: expected a number in {ends[0]}{least:g}, {most:g}{ends[1]}, got {value}")
    return float(value)


def generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    """Return the random generator that `seed` stands for."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"seed: expected an int of at least 0, a numpy.random.Generator or None, got {seed!r}"
        ) from None


def as_array(name: str, value: ArrayLike, dtype: np.dtype[Any]) -> Array:
    """`value` as an array of `dtype` (NumPy's same-kind rule); a view where nothing needs to change."""
    if type(value) is np.ndarray and value.dtype == dtype:
        return value
    if type(value).__name__ == "MaskedArray":
        raise TypeError(f"{name}: expected an array without a mask; for missing targets use -1 or weight=")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array, got rows of different lengths ({error})") from None
    if array.dtype != dtype:
        empty = array.size == 0 and array.dtype == np.float64  # what np.array([]) is: its shape tells what is wrong
        if not empty and not np.can_cast(array.dtype, dtype, "same_kind"):
            raise TypeError(f"{name}: expected {dtype} or what converts to it safely, got {array.dtype}")
        if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max and dtype == np.int64:
            raise ValueError(f"{name}: expected values that fit {dtype}, got {int(array.max())}")
        array = array.astype(dtype)
    return array


def rows_in_place(array: Array, axes: int) -> Array:
    """The array itself, if its last axis beyond the first `axes` has no gaps, else a copy."""
    flags = array.flags
    if flags.c_contiguous and flags.aligned:
        return array
    itemsize = array.itemsize
    contiguous = array.ndim == axes or array.shape[-1] <= 1 or array.strides[-1] == itemsize
    if contiguous and flags.aligned and all(stride % itemsize == 0 for stride in array.strides[:axes]):
        return array
    return np.ascontiguousarray(array)


def shape_text(shape: tuple[int | str, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def check_shape(name: str, array: Array, expected: tuple[int | str, ...]) -> None:
    """Raise unless the shape is the expected one, in which a str stands for any size."""
    if array.shape == expected:
        return
    if len(expected) != array.ndim or not all(
        isinstance(e, str) or e == n for e, n in zip(expected, array.shape, strict=True)
    ):
        raise ValueError(f"{name}: expected {shape_text(expected)}, got {array.shape}")


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
            return [np.empty((length, width), dtype) for length in self.lengths]
        return (np.zeros if self.padded else np.empty)((self.tau, self.batch, width), dtype)

    def give_back(self, steps: Any) -> Any:
        """A result with all steps, in the form that came in."""
        return steps[:, 0] if self.form == "single" else steps

    def give_back_one(self, rows: Array) -> Array:
        """A result with one row a sequence, in the form that came in."""
        return rows[0] if self.form == "single" else rows

    def every_step(self, name: str, value: Any, width: int | None, dtype: np.dtype[Any]) -> Array | list[Array]:
        """An argument with a row of `width` (None: one number) at every step, beside the sequences of x."""
        tail = () if width is None else (width,)
        if self.form == "list":
            if not isinstance(value, list | tuple):
                raise TypeError(f"{name}: expected a list, as x is a list of sequences, got {type(value).__name__}")
            if len(value) != self.batch:
                raise ValueError(f"{name}: expected {self.batch} sequences, as many as x has, got {len(value)}")
            items = []
            for i, (item, length) in enumerate(zip(value, self.lengths, strict=True)):
                array = as_array(f"{name}[{i}]", item, dtype)
                check_shape(f"{name}[{i}]", array, (length, *tail))
                items.append(rows_in_place(array, 1))
            return items
        array = as_array(name, value, dtype)
        if self.form == "single":
            check_shape(name, array, (self.tau, *tail))
            array = array[:, None]
        else:
            check_shape(name, array, (self.tau, self.batch, *tail))
        return rows_in_place(array, 2)

    def flags(self, name: str, value: Any) -> Array | list[Array] | None:
        """An argument with a truth value at every step, as bytes; None for none."""
        if value is None:
            return None
        flags = self.every_step(name, value, None, BOOL)
        return [item.view(np.uint8) for item in flags] if isinstance(flags, list) else flags.view(np.uint8)

    def one_row(self, name: str, value: Any, width: int | None, dtype: np.dtype[Any]) -> Array:
        """An argument with one row of `width` (None: one number) a sequence."""
        tail = () if width is None else (width,)
        array = as_array(name, value, dtype)
        if self.form == "single":
            check_shape(name, array, tail)
            array = array[None]
        else:
            check_shape(name, array, (self.batch, *tail))
        return rows_in_place(array, 1)


def _check_steps(name: str, length: int) -> None:
    if length == 0:
        raise ValueError(f"{name}: expected at least one time step, got none")


def sequences(x: Any, lengths: Any, width: int | None, dtype: np.dtype[Any]) -> Sequences:
    """Read `x`: rows of `width` numbers, or tokens where it is None."""
    tail = () if width is None else (width,)
    if isinstance(x, list | tuple):
        if lengths is not None:
            raise ValueError("lengths: expected None, as each sequence of a list has its own length")
        if len(x) == 0:
            raise ValueError("x: expected at least one sequence, got an empty list")
        items = []
        for i, item in enumerate(x):
            array = as_array(f"x[{i}]", item, dtype)
            if array.ndim != 1 + len(tail):
                raise ValueError(
                    f"x[{i}]: expected {shape_text(('tau', *tail))}, got {array.shape}; "
                    "a list is a list of sequences: pass one sequence as an array"
                )
            check_shape(f"x[{i}]", array, ("tau", *tail))
            _check_steps(f"x[{i}]", len(array))
            items.append(rows_in_place(array, 1))
        return Sequences("list", items, [len(item) for item in items], max(len(item) for item in items), True)

    array = as_array("x", x, dtype)
    shape = array.shape
    axes = len(shape) - len(tail)  # time, and the batch where there is one
    if not 1 <= axes <= 2 or shape[axes:] != tail:
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
    lengths = as_array("lengths", lengths, INT64)
    check_shape("lengths", lengths, (batch,))
    for i, length in enumerate(lengths.tolist()):
        if not 1 <= length <= tau:
            raise ValueError(f"lengths: expected values from 1 to {tau}, got {length} for sequence {i}")
    padded = bool((lengths != tau).any())
    return Sequences("batch", rows_in_place(array, 2), lengths.tolist(), tau, padded)
