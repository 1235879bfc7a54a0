"""States as users see them, and as the core does: what is carried from step to step, of every layer and direction."""

from __future__ import annotations

from typing import Any

import numpy as np

from bptt._arrays import Array, as_array, check_shape
from bptt.networks.sequences import Sequences


class States:
    """The form of a network's states.

    Users see one array for one layer in one direction, else a list with an entry a layer, which with two directions is
    a pair (forward, reverse). The core has a list of arrays, in this order.

    Parameters
    ----------
    name : str
        What users call the state before the first step: errors name it.
    widths : tuple of int
        How many numbers the state of each layer has, in each direction.
    bidirectional : bool
        Whether there are two directions.
    """

    __slots__ = ("_bidirectional", "_layers", "_widths", "is_one_array", "name")

    def __init__(self, name: str, widths: tuple[int, ...], bidirectional: bool) -> None:
        self.name = name
        self._bidirectional = bidirectional
        self._layers = len(widths)
        self._widths = tuple(n for n in widths for _ in range(2 if bidirectional else 1))
        self.is_one_array = len(self._widths) == 1

    def empty(self, batch: int, dtype: np.dtype[Any]) -> list[Array]:
        """Memory for a result, as the core has it."""
        if self.is_one_array:
            return [np.empty((batch, self._widths[0]), dtype)]
        return [np.empty((batch, n), dtype) for n in self._widths]

    def zeros(self, batch: int, dtype: np.dtype[Any]) -> list[Array]:
        """The state that a network begins with where none is given, as the core has it."""
        return [np.zeros((batch, n), dtype) for n in self._widths]

    def read(self, s: Sequences, value: Any, dtype: np.dtype[Any]) -> list[Array] | None:
        """What a user gives for these sequences, as the core has it; None for none."""
        if value is None:
            return None
        if isinstance(value, list | tuple):
            n = self._widths[0]
            self._check_even(value, f"[{n}]" if s.form == "single" else f"[{s.batch}, {n}]", self.name)
        return [
            s.one_row(name, array, n, dtype)
            for (name, array), n in zip(self.arrays_of(value), self._widths, strict=True)
        ]

    def read_alone(self, value: Any, dtype: np.dtype[Any], name: str | None = None) -> tuple[list[Array], bool]:
        """What a user gives without sequences beside it, as the core has it; and whether it is for a single one."""
        name = name or self.name
        if isinstance(value, list | tuple):
            self._check_even(value, f"[{self._widths[0]}] or [batch, {self._widths[0]}]", name)
        arrays: list[Array] = []
        for (entry, given), n in zip(self.arrays_of(value, name), self._widths, strict=True):
            array = as_array(entry, given, dtype)
            if array.ndim not in (1, 2) or array.shape[-1] != n or len(array) == 0:
                raise ValueError(f"{entry}: expected [{n}] or [batch, {n}], got {array.shape}")
            if arrays:
                check_shape(entry, array, (*arrays[0].shape[:-1], n))
            arrays.append(array)
        return [np.atleast_2d(array) for array in arrays], arrays[0].ndim == 1

    def _check_even(self, value: list[Any] | tuple[Any, ...], expected: str, name: str) -> None:
        """Raise ValueError for a list that makes no array, such as the state of several layers, where one is needed."""
        if not self.is_one_array:
            return
        try:
            np.asarray(value)
        except ValueError:
            raise ValueError(f"{name}: expected {expected}, got a list of {len(value)}") from None

    def arrays_of(self, value: Any, name: str | None = None) -> list[tuple[str, Any]]:
        """The arrays that a user gives, not yet checked, with the name of each in errors."""
        name = name or self.name
        if self.is_one_array:
            return [(name, value)]
        if not isinstance(value, list | tuple):
            raise TypeError(f"{name}: expected a list with an entry a layer, got {type(value).__name__}")
        if len(value) != self._layers:
            raise ValueError(f"{name}: expected a list with an entry a layer, {self._layers}, got {len(value)}")
        if not self._bidirectional:
            return [(f"{name}[{k}]", entry) for k, entry in enumerate(value)]
        arrays = []
        for k, entry in enumerate(value):
            if not isinstance(entry, list | tuple):
                raise TypeError(f"{name}[{k}]: expected a pair (forward, reverse), got {type(entry).__name__}")
            if len(entry) != 2:
                raise ValueError(f"{name}[{k}]: expected a pair (forward, reverse), got {len(entry)} entries")
            arrays += [(f"{name}[{k}].forward", entry[0]), (f"{name}[{k}].reverse", entry[1])]
        return arrays

    def give_back(self, s: Sequences, arrays: list[Array]) -> Any:
        """A result, in the form that users see."""
        if self.is_one_array:
            return s.give_back_one(arrays[0])
        return self.nested([s.give_back_one(array) for array in arrays])

    def nested(self, arrays: list[Array]) -> Any:
        """The form that users see, of the core's arrays as they are."""
        if self.is_one_array:
            return arrays[0]
        if not self._bidirectional:
            return arrays
        return list(zip(arrays[::2], arrays[1::2], strict=True))
