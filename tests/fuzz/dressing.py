"""Arrays as users have them: any dtype, layout of memory and container, right or wrong."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from problems import Array


class Subclass(np.ndarray):
    """As matrices and arrays with units are."""


class Protocol:
    """What becomes an array when it is asked to."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self.array if dtype is None else self.array.astype(dtype)

    def __repr__(self) -> str:
        return f"Protocol({self.array!r})"


def endless() -> list[Any]:
    """A list that holds itself."""
    one: list[Any] = []
    one.append(one)
    return one


# Made anew each time: some of them could be changed.
ODD: list[Callable[[], Any]] = [
    *(lambda value=value: value for value in (None, True, False, np.True_, "", "a", "softmax", b"ab", 1.5, 0.0, -1.0)),
    *(lambda value=value: value for value in (float("nan"), float("inf"), -float("inf"), 1e300, 1e-320, 1 + 2j)),
    *(lambda value=value: value for value in (0, 1, 2, 3, -1, 1000, 2**31 - 1, 2**31, 2**63, 2**64, -(2**70))),
    *(lambda value=value: value for value in (10**400, -(10**400), np.int8(3), np.uint64(2**64 - 1))),
    *(lambda value=value: value for value in (np.float32(0.5), np.float16(1), np.longdouble(1), np.complex128(1j))),
    *(lambda value=value: value for value in (np.datetime64(1, "s"), np.str_("a"), Ellipsis, range(3), object, print)),
    *(list, dict, set, object, endless, lambda: (), lambda: [1, 2], lambda: [[1.0], [2.0]], lambda: [None]),
    *(lambda: np.array(3), lambda: np.array(0.5), lambda: np.array([]), lambda: np.zeros((0, 3)), lambda: np.zeros(3)),
    *(lambda: np.array("a"), lambda: np.array([1, 2]), lambda: np.zeros((2, 2, 2)), lambda: np.array(None)),
    *(lambda: [[1, 2], [3]], lambda: np.zeros(2, "i4,f4"), lambda: (i for i in range(3)), lambda: bytearray(b"ab")),
    *(lambda: np.random.default_rng(0), lambda: np.zeros((1,) * 30), lambda: np.zeros((2, 0, 2))),
    *(lambda: np.zeros(3, "S2"), lambda: 10**5000, lambda: [10**5000]),
]


def odd(by: Random) -> Any:
    """What hardly is what is asked for."""
    return by.choice(ODD)()


RIGHT = {
    "f": ["float32", "float64", "float16", "longdouble", "int8", "uint16", "int64", "uint64", "bool"],
    "i": ["int32", "int8", "uint8", "int16", "uint64", "uint32"],
    "b": ["bool"],
}
WRONG = ["complex64", "object", "U3", "M8[s]", "S2", "V4", "float64", "int8"]
LAYOUTS = [
    *(
        "plain",
        "plain",
        "plain",
        "fortran",
        "reversed",
        "reversed",
        "gaps",
        "gaps",
        "transposed",
        "swapped",
        "misaligned",
    ),
    *("read-only", "subclass", "broadcast", "overlapping", "list", "protocol", "memoryview"),
]


def converted(array: Array, dtype: str) -> Array:
    """The same numbers, nearly, as another dtype; whether the core may convert back is the core's to say."""
    with np.errstate(all="ignore"):
        if dtype == "V4":
            return np.zeros(array.shape, dtype)
        if np.dtype(dtype).kind in "iu" and array.dtype.kind == "f":
            array = np.nan_to_num(np.round(array))
        if np.dtype(dtype).kind == "u":
            array = np.abs(array)
        return array.astype("int64").view(dtype) if dtype == "M8[s]" else array.astype(dtype)


def laid_out(by: Random, array: Array, layouts: list[str]) -> Any:
    """The array in another layout; some of them repeat a part of its numbers."""
    array, layout = np.asarray(array), by.choice(layouts)
    if layout == "list":
        return array.tolist()
    if layout == "protocol":
        return Protocol(array.copy())
    if layout == "memoryview":
        return memoryview(array.copy()) if array.dtype.char in "fdbBhHiIlLqQ?" and array.size else array.copy()
    if layout == "read-only":
        array = array.copy()
        array.flags.writeable = False
        return array
    if layout == "subclass":
        return array.copy().view(Subclass)
    if layout == "swapped":
        return array.astype(array.dtype.newbyteorder())
    if layout == "misaligned":
        memory = np.empty(array.nbytes + 1, np.uint8)[1:]
        if array.dtype.hasobject:
            return array.copy()
        moved: Array = memory.view(array.dtype).reshape(array.shape) if array.size else array.copy()
        moved[...] = array
        return moved
    if layout == "plain" or array.ndim == 0:
        return array.copy()
    if layout == "fortran":
        return np.asfortranarray(array)
    axis = by.randint(0, array.ndim - 1)
    if layout == "reversed":
        return np.flip(np.flip(array, axis).copy(), axis)
    if layout == "gaps":
        wide = np.repeat(array, 3, axis)
        return np.moveaxis(np.moveaxis(wide, axis, 0)[1::3], 0, axis)
    if layout == "transposed":
        return np.swapaxes(np.swapaxes(array, 0, axis).copy(), 0, axis)
    if array.shape[axis] == 0 or array.dtype.hasobject:
        return array.copy()
    if layout == "broadcast":
        return np.broadcast_to(array.take([0], axis), array.shape)
    # Overlapping: each row of the axis begins one number after the one before it.
    flat = np.resize(array, array.size + sum(array.shape))
    strides = np.array(array.take([0], axis).copy().strides)
    strides[axis] = array.itemsize
    return as_strided(flat, array.shape, tuple(strides))


def dressed(by: Random, array: Array, kind: str, *, may_be_list: bool = True) -> Any:
    """What means the same as the array, or nearly, and is as right."""
    # A dtype of the other kinds half of the time
    dtype = by.choice([array.dtype.name] * len(RIGHT[kind]) + RIGHT[kind])
    layouts = LAYOUTS if may_be_list else [layout for layout in LAYOUTS if layout != "list"]
    return laid_out(by, converted(np.asarray(array), dtype), layouts)


def reshaped(by: Random, array: Array) -> Array:
    """Another shape."""
    how = by.choice(["axis more", "axis less", "longer", "shorter", "empty", "swapped"])
    if how == "axis more" or array.ndim == 0:
        return np.expand_dims(array, by.randint(0, array.ndim))
    axis = by.randint(0, array.ndim - 1)
    if how == "axis less":
        return np.asarray(array.take(0, axis) if array.shape[axis] else array.sum(axis))
    if how == "longer":
        return np.concatenate([array, array.take([0], axis)], axis) if array.shape[axis] else array
    if how == "swapped":
        return np.swapaxes(array, 0, axis)
    return array.take(range(array.shape[axis] - 1 if how == "shorter" and array.shape[axis] else 0), axis)


def spoilt(by: Random, array: Array, kind: str) -> Any:
    """What is probably wrong."""
    how = by.choice(["shape", "dtype", "value", "value", "odd", "masked", "ragged", "list", "as it is"])
    array = np.array(array)
    if how == "odd":
        return odd(by)
    if how == "shape":
        return laid_out(by, reshaped(by, array), LAYOUTS)
    if how == "dtype":
        return laid_out(by, converted(array, by.choice(WRONG)), LAYOUTS)
    if how == "masked":
        return np.ma.MaskedArray(array, mask=False)
    if how == "list":
        return by.choice([list, tuple])(array) if array.ndim else [array]
    if how == "ragged":
        return [*array[:-1].tolist(), [[0]]] if array.ndim else [array.tolist(), [[0]]]
    if how == "value" and array.size:
        if kind == "i":
            array.flat[by.randint(0, array.size - 1)] = by.choice([-2, -1, 0, 5, 100, 2**40, -(2**63)])
        elif kind == "f":
            array = array.astype("float64")
            number = by.choice([np.nan, np.inf, -np.inf, 1e300, -1e300, -1.0, 2.0, 1e-310])
            array.flat[by.randint(0, array.size - 1)] = number
    return dressed(by, array, kind)


def snapshot(value: Any) -> Any:
    """All that a call could change of an argument: the bytes of it and of what it is a view of, and its form."""
    if isinstance(value, Protocol):
        return snapshot(value.array)
    if isinstance(value, memoryview):
        return value.tobytes()
    if isinstance(value, np.ndarray):
        whole = value
        while isinstance(whole.base, np.ndarray):
            whole = whole.base
        memory = repr(whole.tolist()) if whole.dtype.hasobject else whole.tobytes("A")
        form = (id(whole), value.__array_interface__["data"], value.shape, value.strides, value.dtype, str(value.flags))
        return form, memory
    if isinstance(value, list | tuple) and value and value[0] is not value:
        return [type(value), *((id(one), snapshot(one)) for one in value)]
    return value if isinstance(value, int | float | str | bytes | type(None)) else id(value)
