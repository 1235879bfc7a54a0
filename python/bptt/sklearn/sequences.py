"""X: sequences as users of scikit-learn have them, checked, and standardized for a network. Knows no networks."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from bptt._arrays import Array, first_place

Rows: TypeAlias = "Array | list[Array]"  # time-major [steps, n, channels], or [steps_i, channels] for each sequence

_FORMS = "[n, steps], [n, steps, channels], or a list of [steps_i] or [steps_i, channels]"
_STEPS_TOGETHER = 1 << 16  # of sequences whose outputs are computed in one call: so many states fit the memory
_FARTHEST = 3.0  # from 0 is a standardized number of X


@dataclass(frozen=True)
class Sequences:
    """Sequences of float64, checked."""

    form: str  # "table": [n, steps] of one channel; "array": [n, steps, channels]; "list"
    rows: Rows  # batch-first [n, steps, channels], or [steps_i, channels] for each sequence
    channels: int

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, which: Array) -> Sequences:
        """Those of these numbers, which rise."""
        if len(which) == len(self):
            return self
        rows = self.rows
        return replace(self, rows=[rows[i] for i in which] if isinstance(rows, list) else rows[which])

    @property
    def width(self) -> int:
        """What X has to have again: the steps of a table, else the channels."""
        return self.rows[0].shape[0] if self.form == "table" else self.channels


def read(estimator: Any, X: Any, *, reset: bool) -> Sequences:
    """Read `X`, and note its width and the names of its columns in `estimator`, or compare them (``reset=False``)."""
    is_list = (isinstance(X, list | tuple) and not _is_nested_table(X)) or _is_1d_of_objects(X)
    found = _list(X) if is_list else _array(estimator, X, reset)
    if reset:
        estimator.n_features_in_, estimator.n_channels_ = found.width, found.channels
        estimator._is_table = found.form == "table"
        if found.form != "table" and hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    elif found.channels != estimator.n_channels_:
        n = estimator.n_channels_
        raise ValueError(f"X: expected {n} channel{'s' * (n > 1)}, as in fit, got {found.channels}")
    return found


def _is_1d_of_objects(X: Any) -> bool:
    """Whether it is an array of objects, or a Series of them, each of which is a sequence."""
    return getattr(X, "ndim", None) == 1 and getattr(X, "dtype", None) == np.dtype(object)


def _is_nested_table(X: Any) -> bool:
    """Whether it is a list of as long lists of numbers, as ``tolist`` makes one of a table."""
    lengths = {len(row) if isinstance(row, list | tuple) else -1 for row in X}
    return len(lengths) == 1 and min(lengths) > 0 and all(np.isscalar(number) for row in X for number in row)


def _array(estimator: Any, X: Any, reset: bool) -> Sequences:
    axes = getattr(X, "ndim", 2)
    if axes not in (2, 3):
        hint = ". Reshape your data: X.reshape(1, -1) if it is one sequence" if axes == 1 else ""
        raise ValueError(f"X: expected {_FORMS}, got {tuple(X.shape)}{hint}")
    if axes == 2:
        if reset or estimator._is_table:
            X = validate_data(estimator, X, reset=reset, dtype=np.float64)
        else:  # of sequences whose number of steps is free
            X = check_array(X, dtype=np.float64, input_name="X", estimator=estimator)
        return Sequences("table", X[..., None], 1)
    X = check_array(X, dtype=np.float64, allow_nd=True, input_name="X", estimator=estimator)
    if 0 in X.shape:
        raise ValueError(f"X: expected at least one step and one channel, got {X.shape}")
    return Sequences("array", X, X.shape[2])


def _list(X: Any) -> Sequences:
    rows: list[Array] = []
    for i, item in enumerate(X):
        try:
            array = np.asarray(item)
            if array.dtype.kind == "O":
                array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"X[{i}]: expected numbers [steps_i] or [steps_i, channels] ({error})") from None
        if array.dtype.kind not in "fiub":
            raise ValueError(f"X[{i}]: expected numbers, got {array.dtype}")
        if array.ndim not in (1, 2):
            raise ValueError(f"X[{i}]: expected [steps_i] or [steps_i, channels], got {array.shape}")
        if 0 in array.shape:
            raise ValueError(f"X[{i}]: expected at least one step and one channel, got {array.shape}")
        rows.append(array.astype(np.float64).reshape(len(array), -1))
        if rows[i].shape[1] != rows[0].shape[1]:
            raise ValueError(f"X[{i}]: expected {rows[0].shape[1]} channels, as X[0] has, got {rows[i].shape[1]}")
    if not rows:
        raise ValueError("X: expected at least one sequence, got an empty list")
    places = ((i, 0, len(row)) for i, row in enumerate(rows))
    if not all(np.isfinite(row).all() for row in rows):
        place = first_place([~np.isfinite(row) for row in rows], rows, places, True)
        raise ValueError(f"X: expected no NaN and no infinity, {place}")
    return Sequences("list", rows, rows[0].shape[1])


def parts(sequences: Sequences) -> list[slice]:
    """The sequences cut into parts whose outputs are computed in one call each."""
    if isinstance(sequences.rows, list):
        ends, together = [], 0
        for i, row in enumerate(sequences.rows):
            together += len(row)
            if together >= _STEPS_TOGETHER:
                ends.append(i + 1)
                together = 0
        cuts = [0, *ends, len(sequences)]
        return [slice(a, b) for a, b in itertools.pairwise(cuts) if a < b]
    n = max(1, _STEPS_TOGETHER // sequences.rows.shape[1])
    return [slice(i, i + n) for i in range(0, len(sequences), n)]


class Standard(NamedTuple):
    """How numbers are brought to a mean of 0 and a standard deviation of 1, and back again."""

    mean: Array
    scale: Array

    @classmethod
    def of(cls, name: str, rows: Array, weight: Array, farthest: float = math.inf) -> Standard:
        """That of the columns of `rows`, ``[m, columns]``, weighted. A constant column is shifted alone.

        `farthest` bounds the numbers that come of them. So what is rare and large gets a larger scale.
        """
        counts = weight > 0
        rows, weight = rows[counts], weight[counts] / weight.sum()
        with np.errstate(over="ignore", invalid="ignore"):
            mean = weight @ rows
            apart = rows - mean
            scale = np.maximum(np.sqrt(weight @ np.square(apart)), np.abs(apart).max(axis=0) / farthest)
        if not np.isfinite(scale).all():
            raise ValueError(f"{name}: expected numbers whose variance is finite, got some of {np.abs(rows).max():g}")
        return cls(mean, np.where((scale > 0) & (np.ptp(rows, axis=0) > 0), scale, 1.0))

    @classmethod
    def of_sequences(cls, sequences: Sequences, weight: Array) -> Standard:
        """That of the channels, over all steps of the sequences, each with its weight."""
        if isinstance(sequences.rows, list):
            steps = [len(row) for row in sequences.rows]
            return cls.of("X", np.concatenate(sequences.rows), np.repeat(weight, steps), _FARTHEST)
        steps_in_each = sequences.rows.shape[1]
        return cls.of("X", sequences.rows.reshape(-1, sequences.channels), np.repeat(weight, steps_in_each), _FARTHEST)

    @classmethod
    def none(cls, columns: int) -> Standard:
        """Numbers as they are."""
        return cls(np.zeros(columns), np.ones(columns))

    def there(self, rows: Array) -> Array:
        """Standardized numbers."""
        return (rows - self.mean) / self.scale

    def back(self, rows: Array) -> Array:
        """Numbers as they were."""
        return rows * self.scale + self.mean

    def for_network(self, rows: Rows, dtype: str) -> Rows:
        """Sequences, or some of them, as a network reads them."""
        with np.errstate(over="ignore"):
            if isinstance(rows, list):
                return [self._finite(self.there(row).astype(dtype), f"X[{i}]") for i, row in enumerate(rows)]
            return self._finite(np.ascontiguousarray(self.there(rows).swapaxes(0, 1), dtype), "X")

    @staticmethod
    def _finite(rows: Array, name: str) -> Array:
        if not np.isfinite(rows).all():
            raise ValueError(f"{name}: expected numbers that {rows.dtype} can hold, got larger ones")
        return rows
