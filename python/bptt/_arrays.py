"""Arrays: what users pass, checked and brought into a form that the core reads; and memory for results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]

INT64 = np.dtype(np.int64)  # of tokens, classes and lengths
BOOL = np.dtype(np.bool_)

_ALIGNMENT = 64  # bytes, a cache line and the widest vector
_MARGIN = 8 << 20  # bytes, for what is small


def aligned(count: int, dtype: DTypeLike) -> Array:
    """`count` zeros that begin at a cache line."""
    itemsize = np.dtype(dtype).itemsize
    memory = new_array((count * itemsize + _ALIGNMENT,), np.uint8, zeros=True)
    offset = -memory.ctypes.data % _ALIGNMENT
    return memory[offset : offset + count * itemsize].view(dtype)


def new_array(shape: tuple[int, ...], dtype: DTypeLike, zeros: bool = False) -> Array:
    """Memory for a result. A size that NumPy cannot count is one that no memory holds."""
    try:
        return np.zeros(shape, dtype) if zeros else np.empty(shape, dtype)
    except ValueError:
        raise MemoryError(f"unable to allocate an array with shape {shape} and data type {np.dtype(dtype)}") from None


def need_memory(file_bytes: int) -> None:
    """Raise MemoryError unless a file of so many bytes can be made or read now.

    The library that does it takes twice the file. Where it gets no memory, it ends the process, or waits for ever.
    """
    new_array((2 * file_bytes + _MARGIN,), np.uint8)


def as_array(name: str, value: ArrayLike, dtype: np.dtype[Any]) -> Array:
    """`value` as an array of `dtype` (NumPy's same-kind rule); a view where nothing needs to change."""
    if type(value) is np.ndarray and (value.dtype is dtype or value.dtype == dtype):
        return value
    if any(kind.__name__ == "MaskedArray" for kind in type(value).__mro__):
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
        with np.errstate(all="ignore"):  # what is too large for float32 becomes infinite, as it would in any sum
            array = array.astype(dtype)
    return array


def rows_in_place(array: Array, axes: int) -> Array:
    """The array itself, if it is aligned and its last axis beyond the first `axes` has no gaps, else a copy."""
    flags = array.flags
    if flags.carray or (flags.c_contiguous and flags.aligned):
        return array
    itemsize = array.itemsize
    contiguous = array.ndim == axes or array.shape[-1] <= 1 or array.strides[-1] == itemsize
    if contiguous and flags.aligned and all(stride % itemsize == 0 for stride in array.strides[:axes]):
        return array
    copy: Array = array.copy()  # np.ascontiguousarray would leave one as it is that is not aligned
    return copy


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


def first_place(wrong: Any, rows: Any, places: Iterable[tuple[int, int, int]], every_step: bool) -> str:
    """Say which number is the first that is wrong, and where; an empty text if none is.

    Parameters
    ----------
    wrong, rows : ndarray or list of ndarray
        Truth values, and the numbers: at every step ``[tau, batch, ...]`` or a list of ``[tau_i, ...]``, else
        ``[batch, ...]``.
    places : iterable of (int, int, int)
        Sequences, each with the first step that counts and the one after the last.
    every_step : bool
        Whether there are numbers at every step.
    """
    for i, begin, end in places:
        index = (i,) if not every_step else (slice(begin, end), i)
        part, values = ((a[i][begin:end] if isinstance(a, list) else a[index]) for a in (wrong, rows))
        if len(found := np.argwhere(part)):
            step, *column = found[0].tolist() if every_step else (0, *found[0].tolist())
            value = values[tuple(found[0])]
            where = f"at step {begin + step} of sequence {i}" if every_step else f"for sequence {i}"
            return f"got {value} {where}{''.join(f', column {k}' for k in column)}"
    return ""
