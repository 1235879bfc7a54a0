"""Operators that compute: products with matrices, sums with vectors, output units, and masks of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bptt._arrays import Array
from bptt._checks import shown
from bptt.onnx.node import Node
from bptt.onnx.values import Affine, Content, Filled, Given, Known, Steps, Tensor, Unit, Value, Within, axis_of, size_of


def times(matrix: Array, other: Array) -> Array:
    """``matrix @ other``, rounded once; a matrix that picks rows of the other picks them to the bit."""
    if _picks(matrix):
        picked: Array = other[matrix.argmax(axis=1)]
        return picked
    product: Array = (matrix.astype(np.float64) @ other.astype(np.float64)).astype(np.result_type(matrix, other))
    return product


def through(W: Array, b: Array, holds: Content) -> tuple[Array, Array, Any]:
    """``W v + b`` of a value v as ``U x + b`` of what v is made of: U, b and x."""
    while isinstance(holds, Affine):
        if holds.vector is not None:
            dtype = np.result_type(W, b, holds.vector)
            if _picks(W):
                moved = holds.vector[W.argmax(axis=1)]
                b = np.where(b == 0, moved, b + moved)  # which keeps the sign of a zero
            else:
                b = (b.astype(np.float64) + W.astype(np.float64) @ holds.vector).astype(dtype)
        if holds.matrix is not None:
            W = times(W, holds.matrix)
        holds = holds.of
    return W, b, holds


def _picks(matrix: Array) -> bool:
    """Whether each row has a single 1, and nothing else."""
    return bool(((matrix == 0) | (matrix == 1)).all() and (np.count_nonzero(matrix, axis=1) == 1).all())


def _affine(tensor: Tensor, matrix: Array | None, vector: Array | None) -> Affine:
    """``matrix @ tensor + vector``: one Affine of what the tensor is made of."""
    if matrix is None and isinstance(tensor.holds, Affine) and tensor.holds.vector is None:
        return Affine(tensor.holds.of, tensor.holds.matrix, vector)
    return Affine(tensor.holds, matrix, vector)


def _numbers_of_a_step(name: str, tensor: Tensor) -> int:
    """How many numbers a step has, which have to be in the last axis."""
    real = not isinstance(tensor.holds, Given) or np.issubdtype(tensor.holds.dtype, np.floating)
    if not real or isinstance(tensor.holds, Unit | Steps | Within) or not tensor.ends_with_features:
        raise ValueError(f"{name}: expected the numbers of a step of the network in the last axis, got others")
    if tensor.width is None:
        raise ValueError(f"{name}: expected a last axis whose size the model tells, got one that it does not tell")
    return tensor.width


def _product(tensor: Tensor, name: str, matrix: Array, vector: Array | None) -> Tensor:
    width = _numbers_of_a_step(name, tensor)
    if matrix.ndim != 2 or matrix.shape[1] != width:
        raise ValueError(f"expected a matrix for {width} numbers, got one of shape {matrix.T.shape}")
    feature = axis_of("product", len(matrix))
    return Tensor(_affine(tensor, matrix, vector), (*tensor.axes[:-1], feature), feature, len(matrix))


def _matmul(node: Node) -> Value:
    tensor, matrix = node.tensor(0, "A"), node.array(1, "B")
    if matrix is None or matrix.ndim != 2:
        raise ValueError("B: expected a matrix that the file holds, got others")
    return _product(tensor, "A", matrix.T, None)


def _gemm(node: Node) -> Value:
    tensor, matrix, C = node.tensor(0, "A"), node.array(1, "B"), node.array(2, "C")
    if node.attributes.get("transA", 0):
        raise ValueError("transA: expected 0, got 1")
    if matrix is None or matrix.ndim != 2 or len(tensor.axes) != 2:
        raise ValueError("expected two axes of A, and a matrix B, got others")
    matrix = matrix if node.attributes.get("transB", 0) else matrix.T
    alpha, beta = (np.asarray(node.attributes.get(name, 1.0), matrix.dtype) for name in ("alpha", "beta"))
    vector = None
    if C is not None:
        vector = _for_each_step("C", C, len(matrix), 2)
        vector = vector if beta == 1 else vector * beta
    return _product(tensor, "A", matrix if alpha == 1 else matrix * alpha, vector)


def _for_each_step(name: str, array: Array, width: int, axes: int) -> Array:
    """Numbers that are combined with those of each step, ``[width]``."""
    last = array.shape[-1] if array.ndim else 1
    if array.ndim > axes or array.size != last or last not in (1, width):
        raise ValueError(f"{name}: expected one number or {width}, the same at every step, got {array.shape}")
    return np.broadcast_to(array.reshape(-1), (width,))


def _elementwise(node: Node) -> Value:
    """A tensor plus, minus, times or over numbers."""
    order = [i for i in (0, 1) if isinstance(node.input(i), Tensor)]
    if len(order) != 1 or (order == [1] and node.operator in ("Sub", "Div")):
        raise ValueError("expected values of a step and, after them, numbers that the file holds, got others")
    tensor, other = node.tensor(order[0], "AB"[order[0]]), node.input(1 - order[0])
    name = "AB"[1 - order[0]]
    width = _numbers_of_a_step("AB"[order[0]], tensor)
    array = np.asarray(other.value) if isinstance(other, Filled) else node.array(1 - order[0], name)
    if array is None:
        raise ValueError(f"{name}: expected numbers, got none")
    numbers = _for_each_step(name, array, width, len(tensor.axes))
    if node.operator in ("Add", "Sub"):
        return tensor.holding(_affine(tensor, None, numbers if node.operator == "Add" else -numbers))
    if node.operator == "Div":
        if not numbers.all():
            raise ValueError(f"{name}: expected numbers other than 0, got 0")
        numbers = 1 / numbers
    diagonal = np.diag(numbers)
    return tensor.holding(_affine(tensor, diagonal, None))


# ---- Output units ----


def _softmax(node: Node) -> Value:
    tensor = node.tensor(0, "input")
    _numbers_of_a_step("input", tensor)
    rank = len(tensor.axes)
    if node.axis(rank, -1 if node.opset >= 13 else 1) != rank - 1:
        raise ValueError(f"axis: expected the last, got {node.attributes.get('axis', 1)}")
    return tensor.holding(Unit("softmax", tensor.holds))


def _sigmoid(node: Node) -> Value:
    tensor = node.tensor(0, "X")
    _numbers_of_a_step("X", tensor)
    return tensor.holding(Unit("sigmoid", tensor.holds))


# ---- Masks ----


def _less(node: Node) -> Value:
    """Steps below lengths."""
    steps, lengths = node.input(0), node.tensor(1, "B")
    if isinstance(steps, Known) and steps.array.size and (steps.array.ravel() == np.arange(steps.array.size)).all():
        steps = Tensor(Steps(), tuple(axis_of("steps", size) for size in steps.array.shape), (), None)
    if not isinstance(steps, Tensor) or not isinstance(steps.holds, Steps) or not isinstance(lengths.holds, Given):
        raise node.unknown()
    rank = max(len(steps.axes), len(lengths.axes))
    first, second = (((),) * (rank - len(tensor.axes)) + tensor.axes for tensor in (steps, lengths))
    if any(a and b for a, b in zip(first, second, strict=True)):
        raise ValueError("expected steps and lengths in axes of their own, got them in one")
    return Tensor(Within(), tuple(a or b for a, b in zip(first, second, strict=True)), (), None)


def _where(node: Node) -> Value:
    """A value up to its length, and 0 beyond."""
    mask, value, other = node.tensor(0, "condition"), node.tensor(1, "X"), node.input(2)
    zero = (isinstance(other, Known) and not other.array.any()) or (isinstance(other, Filled) and other.value == 0)
    if not isinstance(mask.holds, Within) or not zero or len(mask.axes) != len(value.axes):
        raise node.unknown()
    for masked, axis in zip(mask.axes, value.axes, strict=True):
        if size_of(masked) != (1 if axis == value.feature else size_of(axis)):
            raise ValueError(f"condition: expected the sizes of time and batch, got {shown(size_of(masked))}")
    return value


ARITHMETIC: dict[str, Callable[[Node], Any]] = {
    "Add": _elementwise,
    "Div": _elementwise,
    "Gemm": _gemm,
    "Less": _less,
    "MatMul": _matmul,
    "Mul": _elementwise,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Sub": _elementwise,
    "Where": _where,
}
