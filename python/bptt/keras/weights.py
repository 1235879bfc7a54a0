"""The weights of a chain of layers, and how to find them in a list from `get_weights`. Knows no networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bptt._arrays import Array

DTYPES = ("float32", "float64")


class Direction(NamedTuple):
    """The weights of a SimpleRNN."""

    kernel: Array  # [numbers below, units]
    recurrent_kernel: Array  # [units, units]
    bias: Array | None


class Weights(NamedTuple):
    """The weights of a chain of layers."""

    embedding: Array | None  # [tokens, numbers]
    layers: list[list[Direction]]  # from the bottom to the top: of each layer its directions
    kernel: Array  # of the Dense, [numbers in h(t), n_out]
    bias: Array | None


def weights_in_list(arrays: Sequence[Any], tokens: bool) -> Weights:
    """Find the layers by the order and the shapes of their arrays. With `tokens` an Embedding may come first."""
    matrices = _matrices(arrays)
    has_embedding = len(matrices) % 2 == 0
    shapes = [np.shape(array) for array in arrays]
    if has_embedding and not tokens:
        raise ValueError(
            "model: expected two matrices for each SimpleRNN and one for the Dense (an Embedding before them needs "
            f"input='token'), got {len(matrices)}, of the shapes {shapes}"
        )
    if len(matrices) < 3:
        raise ValueError(
            "model: expected at least the kernel and recurrent_kernel of a SimpleRNN and the kernel of a Dense, got "
            f"the shapes {shapes}"
        )
    dense = matrices[-1]
    recurrent = _Reader(arrays[:dense], "the kernel of the Dense")
    embedding = recurrent.take("the embeddings of an Embedding", None, None) if has_embedding else None
    units = arrays[matrices[-2]].shape[1]  # of the top layer
    directions = 2 if len(arrays[dense]) == 2 * units else 1
    layers: list[list[Direction]] = []
    numbers = None if embedding is None else embedding.shape[1]  # that enter a layer
    while recurrent.left:
        first = recurrent.direction("a SimpleRNN", numbers, None)
        layers.append([first])
        n = len(first.recurrent_kernel)
        if directions == 2:
            layers[-1].append(recurrent.direction("a SimpleRNN's second direction", len(first.kernel), n))
        numbers = directions * n
    end = _Reader(arrays[dense:], "the end", dense)
    kernel = end.take("the kernel of the Dense", numbers, None)
    bias = end.take("the bias of the Dense", kernel.shape[1]) if end.left else None
    if end.left:
        raise ValueError(f"model: expected the end after the bias of the Dense, got {end.left} more")
    return Weights(embedding, layers, kernel, bias)


class _Reader:
    """A list of arrays, of which the next one is taken if it has the shape expected."""

    def __init__(self, arrays: Sequence[Array], then: str, first: int = 0) -> None:
        self._arrays = arrays
        self._then = then
        self._first = first
        self._taken = 0

    @property
    def left(self) -> int:
        """How many arrays there are yet."""
        return len(self._arrays) - self._taken

    def take(self, what: str, *shape: int | None) -> Array:
        """The next array, in whose shape None stands for any size."""
        i = self._first + self._taken
        expected = f"model[{i}]: expected {what}, {['any' if n is None else n for n in shape]}"
        if not self.left:
            raise ValueError(f"{expected}, got {self._then}")
        array = self._arrays[self._taken]
        if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
            raise ValueError(f"{expected}, got {list(array.shape)}")
        self._taken += 1
        return array

    def direction(self, of: str, numbers: int | None, units: int | None) -> Direction:
        """A kernel, a recurrent_kernel and, if there is one, a bias."""
        kernel = self.take(f"the kernel of {of}", numbers, units)
        n = kernel.shape[1]
        recurrent_kernel = self.take(f"the recurrent_kernel of {of}", n, n)
        has_bias = self.left and self._arrays[self._taken].ndim == 1
        return Direction(kernel, recurrent_kernel, self.take(f"the bias of {of}", n) if has_bias else None)


def _matrices(arrays: Sequence[Any]) -> list[int]:
    """Where the matrices are in the list, all of whose arrays are what weights can be."""
    for i, array in enumerate(arrays):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"model[{i}]: expected an array, as get_weights gives, got {type(array).__name__}")
        if array.dtype.name not in DTYPES:
            raise ValueError(f"model[{i}]: expected float32 or float64, got {array.dtype}")
        if array.dtype != arrays[0].dtype:
            raise ValueError(f"model[{i}]: expected {arrays[0].dtype}, as model[0] is, got {array.dtype}")
        if array.ndim not in (1, 2):
            raise ValueError(f"model[{i}]: expected a matrix or a bias, got {list(array.shape)}")
    return [i for i, array in enumerate(arrays) if array.ndim == 2]
