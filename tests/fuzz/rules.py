"""Which arguments of a call are right, and what they mean: as the docstrings say it, written anew."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from problems import Array, Case, Form

INT64, BOOL = np.dtype(np.int64), np.dtype(np.bool_)
Types = tuple[type[Exception], ...]


class WrongError(Exception):
    """An argument that is to be refused, and the errors that may say so."""

    def __init__(self, *types: type[Exception]) -> None:
        super().__init__()
        self.types = types


def array_of(value: Any, dtype: np.dtype[Any]) -> Array:
    """What an argument means as an array: "converted where NumPy's same-kind rule allows, else TypeError".

    Objects that are numbers are these numbers, and None among them is NaN.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise WrongError(TypeError)
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        raise WrongError(ValueError) from None
    if array.dtype == object:
        array = of_objects(array)
    if not (array.size == 0 and array.dtype == np.float64) and not np.can_cast(array.dtype, dtype, "same_kind"):
        raise WrongError(TypeError)
    if array.dtype == np.uint64 and dtype == INT64 and (array > np.uint64(2**63 - 1)).any():
        raise WrongError(ValueError)
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def of_objects(array: Array) -> Array:
    items = array.ravel().tolist()
    there = [item for item in items if item is not None]
    if not there or not all(isinstance(item, bool | int | float | np.number | np.bool_) for item in there):
        return array
    numbers = np.array(there)
    if len(there) == len(items):
        return numbers.reshape(array.shape)
    return (
        array if numbers.dtype == object else np.array([np.nan if i is None else i for i in items]).reshape(array.shape)
    )


def shaped(value: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    array = array_of(value, dtype)
    if array.shape != shape:
        raise WrongError(ValueError)
    return array


def integer(value: Any, least: int, most: int = 2**31 - 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise WrongError(TypeError)
    if not least <= value <= most:
        raise WrongError(ValueError)
    return int(value)


def truth(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise WrongError(TypeError)
    return bool(value)


def real(value: Any, least: float, most: float, *, least_too: bool = True, most_too: bool = True) -> float:
    """A number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, float | int | np.floating | np.integer):
        raise WrongError(TypeError)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if not ((least <= number if least_too else least < number) and (number <= most if most_too else number < most)):
        raise WrongError(ValueError)
    return number


def seed(value: Any, *, most: int | None = None) -> Any:
    if value is None or isinstance(value, np.random.Generator):
        return value
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise WrongError(TypeError)
    if value < 0 or (most is not None and value > most):
        raise WrongError(ValueError)
    return int(value)


class Sequences(NamedTuple):
    """What x and lengths mean."""

    form: Form
    x: list[Array]  # within the lengths
    lengths: tuple[int, ...]
    tau: int


def sequences(x: Any, lengths: Any, width: int | None, dtype: np.dtype[Any]) -> Sequences:
    """What x means, if the lengths are right; those are another argument."""
    tail = () if width is None else (width,)
    if isinstance(x, list | tuple):
        if not x:
            raise WrongError(ValueError)
        items = [array_of(item, dtype) for item in x]
        if any(item.ndim != 1 + len(tail) or item.shape[1:] != tail or len(item) == 0 for item in items):
            raise WrongError(ValueError)
        return Sequences("list", items, tuple(map(len, items)), max(map(len, items)))
    array = array_of(x, dtype)
    axes = array.ndim - len(tail)
    if axes not in (1, 2) or array.shape[axes:] != tail or 0 in array.shape[:axes]:
        raise WrongError(ValueError)
    tau = len(array)
    if axes == 1:
        return Sequences("single", [array], (tau,), tau)
    told = [tau] * array.shape[1] if lengths is None else lengths_of(lengths, array.shape[1], tau)
    form: Form = "batch" if set(told) == {tau} else "padded"
    return Sequences(form, [array[:n, i] for i, n in enumerate(told)], tuple(told), tau)


def lengths_of(value: Any, batch: int, tau: int) -> list[int]:
    found: list[int] = shaped(value, INT64, (batch,)).tolist()
    if not all(1 <= n <= tau for n in found):
        raise WrongError(ValueError)
    return found


def check_lengths(lengths: Any, x: Any, tail: int) -> None:
    """Raise for lengths that are wrong beside an x that is right."""
    if lengths is None:
        return
    if isinstance(x, list | tuple) or np.ndim(x) == 1 + tail:
        raise WrongError(ValueError)
    lengths_of(lengths, np.shape(x)[1], np.shape(x)[0])


def every_step(s: Sequences, value: Any, width: int | None, dtype: np.dtype[Any]) -> list[Array]:
    """An argument with a row at every step: of each sequence what is within its length."""
    tail = () if width is None else (width,)
    if s.form == "list":
        if not isinstance(value, list | tuple):
            raise WrongError(TypeError)
        if len(value) != len(s.lengths):
            raise WrongError(ValueError)
        return [shaped(item, dtype, (n, *tail)) for item, n in zip(value, s.lengths, strict=True)]
    if s.form == "single":
        return [shaped(value, dtype, (s.tau, *tail))]
    array = shaped(value, dtype, (s.tau, len(s.lengths), *tail))
    return [array[:n, i] for i, n in enumerate(s.lengths)]


def one_row(s: Sequences, value: Any, width: int | None, dtype: np.dtype[Any]) -> Array:
    """An argument with a row a sequence."""
    tail = () if width is None else (width,)
    if s.form == "single":
        return shaped(value, dtype, tail)[None]
    return shaped(value, dtype, (len(s.lengths), *tail))


def state_widths(case: Case) -> list[int]:
    """How many numbers the state of each layer and direction has."""
    if case.feedback is not None:
        return [case.n_out]
    return [n for n in case.sizes for _ in range(2 if case.bidirectional else 1)]


def parts_of_state(case: Case, value: Any) -> list[Any]:
    """What a state holds for each layer and direction: one array, a list of them, or a list of pairs."""
    if len(state_widths(case)) == 1:
        return [value]
    if not isinstance(value, list | tuple):
        raise WrongError(TypeError)
    if len(value) != len(case.sizes):
        raise WrongError(ValueError)
    if not case.bidirectional:
        return list(value)
    for pair in value:
        if not isinstance(pair, list | tuple):
            raise WrongError(TypeError)
        if len(pair) != 2:
            raise WrongError(ValueError)
    return [one for pair in value for one in pair]


def state(case: Case, s: Sequences, value: Any, dtype: np.dtype[Any]) -> list[Array]:
    parts = zip(parts_of_state(case, value), state_widths(case), strict=True)
    return [one_row(s, part, n, dtype) for part, n in parts]


def check_targets(case: Case, y: list[Array], weight: list[Array] | None) -> None:
    """Where the weight is 0 a target is not read."""
    for i, of_one in enumerate(y):
        read = of_one if weight is None else of_one[weight[i] != 0]
        wrong = (read < -1) | (read >= case.n_out) if case.output == "softmax" else (read < 0) | (read > 1)
        if case.output != "linear" and wrong.any():
            raise WrongError(ValueError)
