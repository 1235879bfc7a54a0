"""Arrays: what users pass, checked and brought into a form that the core reads; and memory for results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

INT64 = np.dtype(np.int64)  # of tokens, classes and lengths
BOOL = np.dtype(np.bool_)

_NUMBERS = (bool, int, float, np.number, np.bool_)
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


def as_array(name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """`value` as an array of `dtype` (NumPy's same-kind rule); a view where nothing needs to change."""
    if type(value) is np.ndarray and (value.dtype is dtype or value.dtype == dtype):
        return value
    array = _read(name, value)
    if array.dtype != dtype:
        if not _is_empty(array) and not np.can_cast(array.dtype, dtype, "same_kind"):
            got = _described(value, array)
            raise TypeError(f"{name}: expected {dtype} or what converts to it safely, got {got}")
        with np.errstate(all="ignore"):  # what is too large for float32 becomes infinite, as it would in any sum
            array = array.astype(dtype)
    return array


def as_indices(name: str, value: Any) -> Array:
    """`value` as an array of integers of any width, as the core reads them; a view where nothing needs to change."""
    if type(value) is np.ndarray and value.dtype is INT64:
        return value
    array = _read(name, value)
    if array.dtype == BOOL:
        return array.view(np.uint8)
    if array.dtype.kind in "iu":
        if not array.dtype.isnative:
            array = array.astype(array.dtype.type)
        if array.dtype != np.uint64:
            return array
        if array.size and (most := int(array.max())) > np.iinfo(np.int64).max:
            raise ValueError(f"{name}: expected values that fit int64, got {most}")
        return array.view(INT64)
    if _is_empty(array):
        return array.astype(INT64)
    hint = ""
    if array.dtype.kind == "f" and np.isnan(array).any():
        hint = ", and a value is missing; where there is no target, a class is -1"
    elif array.dtype.kind in "UST" or (array.dtype == object and any(isinstance(item, str) for item in array.flat)):
        hint = "; np.unique(labels, return_inverse=True)[1] has the numbers of labels"
    raise TypeError(f"{name}: expected integers, got {_described(value, array)}{hint}")


def _is_empty(array: Array) -> bool:
    """Whether it is what np.array([]) is. Its shape tells what is wrong."""
    return array.size == 0 and array.dtype == np.float64


def _read(name: str, value: Any) -> Array:
    """`value`, NumPy's or another library's, as an array of whatever dtype, where it is if that can be."""
    if any(kind.__name__ == "MaskedArray" for kind in type(value).__mro__):
        raise TypeError(f"{name}: expected an array without a mask; for missing targets use -1 or weight=")
    try:
        array: Array = np.asarray(value)
        if array.dtype == object and array.ndim == 0 and hasattr(value, "__dlpack__"):
            array = np.from_dlpack(value)
        elif array.dtype == object and array.ndim == 1 and all(isinstance(row, np.ndarray) for row in array):
            array = np.asarray(array.tolist())  # a table of rows, as Arrow has it
    except ValueError as error:
        raise ValueError(f"{name}: expected an array, got rows of different lengths ({error})") from None
    except (TypeError, RuntimeError, BufferError) as error:  # a tensor of PyTorch that cannot be one
        if getattr(value, "requires_grad", False):
            raise TypeError(f"{name}: expected an array, got a tensor that requires grad: use detach()") from None
        raise TypeError(f"{name}: expected an array, got {type(value).__name__} ({_first_line(error)})") from None
    return array if array.dtype != object else _of_objects(array)


def _of_objects(array: Array) -> Array:
    """An array of Python's numbers as one of NumPy's, NaN where pandas' NA or None is; others as they are."""
    kinds = {type(item) for item in array.flat}
    missing = {kind for kind in kinds if kind.__name__ == "NAType" or kind is type(None)}
    if kinds == missing or not all(issubclass(kind, _NUMBERS) for kind in kinds - missing):
        return array
    there = np.array([type(item) not in missing for item in array.flat], bool).reshape(array.shape)
    numbers = np.array(array[there].tolist())
    if not missing or numbers.dtype == object:
        return numbers.reshape(array.shape) if not missing else array
    filled = np.full(array.shape, np.nan)
    filled[there] = numbers
    return filled


def _described(value: Any, array: Array) -> str:
    """What came, in an error: its dtype, and where it is a table the column that is to blame."""
    if isinstance(names := getattr(value, "columns", None), Iterable):
        for column in names:
            kind = _read(str(column), value[column]).dtype
            if kind.kind not in "buif":
                return f"{kind} in column {column!r}"
    return str(array.dtype)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


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


def first_place(
    wrong: Any, rows: Any, places: Iterable[tuple[int, int, int]], every_step: bool, before: int = 0
) -> str:
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
    before : int
        How many sequences there are before the first of these.
    """
    for i, begin, end in places:
        index = (i,) if not every_step else (slice(begin, end), i)
        part, values = ((a[i][begin:end] if isinstance(a, list) else a[index]) for a in (wrong, rows))
        if len(found := np.argwhere(part)):
            step, *column = found[0].tolist() if every_step else (0, *found[0].tolist())
            value = values[tuple(found[0])]
            sequence = f"sequence {before + i}"
            where = f"at step {begin + step} of {sequence}" if every_step else f"for {sequence}"
            return f"got {value} {where}{''.join(f', column {k}' for k in column)}"
    return ""
