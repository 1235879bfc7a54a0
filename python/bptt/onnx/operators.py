"""Operators that leave numbers as they are: they move them, pick some of them, or tell their shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from bptt._arrays import Array
from bptt._checks import shown
from bptt.onnx.node import Node
from bptt.onnx.values import (
    Affine,
    Axis,
    Content,
    Filled,
    Given,
    Hidden,
    Known,
    Moved,
    Steps,
    Tensor,
    Tokens,
    Unit,
    Value,
    axis_of,
    regrouped,
    size_of,
)

_LARGE = 2**26  # numbers that are not worth a look at each
_FAR = 2**31 - 1  # the end of a slice that goes on to the end


def _first_input(node: Node) -> Tensor | Filled | Moved | Known:
    value = node.input(0)
    if value is None:
        raise ValueError("expected an input, got none")
    return value


# ---- What leaves numbers as they are ----


def _same(node: Node) -> Value:
    return node.input(0)


def _cast(node: Node) -> Value:
    value = _first_input(node)
    if not isinstance(value, Tensor):
        return value
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(node.attributes["to"]))
    found = value.holds.dtype if isinstance(value.holds, Given) else np.dtype(np.float32)
    allowed = ["float32", "float64"] if np.issubdtype(found, np.floating) else ["int32", "int64", "float32", "float64"]
    if dtype not in allowed:
        raise ValueError(f"to: expected one of {', '.join(allowed)} for numbers of {found}, got {dtype}")
    return value.holding(Given(value.holds.name, dtype)) if isinstance(value.holds, Given) else value


def _transpose(node: Node) -> Value:
    value = _first_input(node)
    if not isinstance(value, Tensor):
        return value
    order = node.attributes.get("perm", list(range(len(value.axes)))[::-1])
    if sorted(order) != list(range(len(value.axes))):
        raise ValueError(f"perm: expected an order of {len(value.axes)} axes, got {shown(order)}")
    return value.arranged([value.axes[i] for i in order])


def _squeeze(node: Node) -> Value:
    value, axes = _first_input(node), node.numbers(1, "axes")
    if isinstance(value, Known):
        return Known(value.array.reshape(()))  # a size
    if not isinstance(value, Tensor):
        return value
    rank = len(value.axes)
    if axes is None:
        axes = [i for i, axis in enumerate(value.axes) if not axis]
    if any(not -rank <= i < rank or value.axes[i] for i in axes):
        raise ValueError(
            f"axes: expected axes of size 1 of {[size_of(axis) for axis in value.axes]}, got {shown(axes)}"
        )
    left_out = {i % rank for i in axes}
    return value.arranged([axis for i, axis in enumerate(value.axes) if i not in left_out])


def _unsqueeze(node: Node) -> Value:
    value, axes = _first_input(node), node.numbers(1, "axes") or []
    if isinstance(value, Known):
        return Known(value.array.reshape(-1))
    if not isinstance(value, Tensor):
        return value
    rank = len(value.axes) + len(axes)
    if any(not -rank <= i < rank for i in axes):
        raise ValueError(f"axes: expected some of {rank} axes, got {shown(axes)}")
    new, old = {i % rank for i in axes}, iter(value.axes)
    return value.arranged([() if i in new else next(old, ()) for i in range(rank)])


def _reshape(node: Node) -> Value:
    value, shape = _first_input(node), node.numbers(1, "shape", names=True) or []
    if not isinstance(value, Tensor):
        return value
    axes = None if node.attributes.get("allowzero", 0) else regrouped(value.axes, shape)
    if axes is None:
        if isinstance(value.holds, Given):
            return Moved()
        raise ValueError(
            f"shape: expected axes of {[size_of(a) for a in value.axes]} joined or parted, got {shown(shape)}"
        )
    return value.arranged(axes)


def _flatten(node: Node) -> Value:
    value = node.tensor(0, "input")
    rank = len(value.axes)
    at = int(node.attributes.get("axis", 1))
    if not -rank <= at <= rank:
        raise ValueError(f"axis: expected one of {rank} axes, got {at}")
    at = at + rank if at < 0 else at
    joined = [tuple(part for axis in some for part in axis) for some in (value.axes[:at], value.axes[at:])]
    return value.arranged(joined)


def _expand(node: Node) -> Value:
    value = _first_input(node)
    if isinstance(value, Tensor):
        if not isinstance(value.holds, Given):
            raise node.unknown()
        return Moved()
    if not isinstance(value, Known):
        return value
    uniform = value.array.size and (value.array == value.array.flat[0]).all()
    return _in_shape(value.array, node, 1) or (Filled(value.array.flat[0]) if uniform else value)


def _in_shape(array: Array, node: Node, i: int) -> Known | None:
    """Numbers that are repeated to fill the shape that an input is; None if that depends on a call, or is large."""
    shape = node.numbers(i, "shape", names=True) or []
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) < len(shape) or min(sizes, default=1) < 0 or math.prod(sizes) > _LARGE:
        return None
    return Known(np.broadcast_to(array, np.broadcast_shapes(array.shape, tuple(sizes))))


# ---- Shapes ----


def _shape(node: Node) -> Value:
    value = node.tensor(0, "data")
    sizes = [size_of(axis) for axis in value.axes]
    sizes = sizes[node.attributes.get("start", 0) : node.attributes.get("end", len(sizes))]
    return Known(np.array(sizes, np.int64 if all(isinstance(size, int) for size in sizes) else object))


def _constant_of_shape(node: Node) -> Value:
    value = node.attributes.get("value")
    array = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    return _in_shape(array, node, 0) or Filled(array.flat[0])


def _range(node: Node) -> Value:
    start, limit, delta = (node.numbers(i, name, True) for i, name in enumerate(("start", "limit", "delta")))
    if start != [0] or delta != [1] or limit is None or len(limit) != 1:
        raise node.unknown()
    return Tensor(Steps(), (axis_of("steps", limit[0]),), (), None)


# ---- Parts ----


def _gather(node: Node) -> Value:
    value, which = _first_input(node), node.input(1)
    if isinstance(which, Tensor):
        return _embedded(node, value, which)
    if isinstance(value, Filled | Moved):
        return value
    places = node.numbers(1, "indices") or []
    if not isinstance(which, Known) or which.array.ndim > 1:
        raise ValueError("indices: expected one number, or a list of them, that the file holds, got others")
    if isinstance(value, Known):
        sizes, n = value.array.reshape(-1), value.array.size
        if value.array.ndim != 1 or any(not -n <= i < n for i in places):
            raise ValueError(f"indices: expected some of {n} sizes, got {shown(places)}")
        return Known(sizes[which.array] if which.array.ndim else np.array(sizes[places[0]], sizes.dtype))
    return _picked(node, value, node.axis(len(value.axes), 0), places, which.array.ndim == 1)


def _embedded(node: Node, table: Value, tokens: Tensor) -> Value:
    """Rows of a table."""
    if not isinstance(table, Known) or table.has_names or table.array.ndim != 2 or node.axis(2, 0) != 0:
        raise ValueError("data: expected a table [n_in, width] that the file holds, got others")
    _need_tokens(tokens)
    n_in, width = table.array.shape
    feature = axis_of("embedded", width)
    return Tensor(Tokens(table.array, n_in), (*tokens.axes, feature), feature, width)


def _one_hot(node: Node) -> Value:
    tokens, depth, values = node.tensor(0, "indices"), node.numbers(1, "depth"), node.array(2, "values")
    _need_tokens(tokens)
    if depth is None or len(depth) != 1 or not isinstance(depth[0], int) or depth[0] < 1:
        raise ValueError(f"depth: expected one number of at least 1, got {shown(depth)}")
    if values is None or values.tolist() != [0, 1]:
        raise ValueError(f"values: expected [0, 1], got {shown(None if values is None else values.tolist())}")
    rank = len(tokens.axes) + 1
    if node.axis(rank, -1) != rank - 1:
        raise ValueError(f"axis: expected the last, got {node.attributes['axis']}")
    n_in = depth[0]
    feature = axis_of("embedded", n_in)
    return Tensor(Tokens(None, n_in), (*tokens.axes, feature), feature, n_in)


def _need_tokens(tokens: Tensor) -> None:
    if not isinstance(tokens.holds, Given) or not np.issubdtype(tokens.holds.dtype, np.integer):
        raise ValueError("indices: expected an input of the model with integers, got others")


def _slice(node: Node) -> Value:
    value: Value = _first_input(node)
    if isinstance(value, Filled | Moved):
        return value
    starts, ends = node.numbers(1, "starts") or [], node.numbers(2, "ends") or []
    axes = node.numbers(3, "axes") or list(range(len(starts)))
    steps = node.numbers(4, "steps") or [1] * len(starts)
    rank = len(value.axes) if isinstance(value, Tensor) else 1
    if not len(starts) == len(ends) == len(axes) == len(steps) or any(not -rank <= axis < rank for axis in axes):
        raise ValueError(f"axes: expected some of {rank} axes, each with a start and an end, got {shown(axes)}")
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step == 0:
            raise ValueError("steps: expected no 0")
        if isinstance(value, Known):
            value = Known(value.array[start:end:step])  # sizes, in one axis
            continue
        if not isinstance(value, Tensor):
            break
        size = size_of(value.axes[axis])
        if isinstance(size, int):
            picked = list(range(size))[start:end:step]
            whole = picked == list(range(size))
        else:
            picked = [-1] if (start, step) == (-1, 1) and end >= _FAR else []
            whole = (start, step) == (0, 1) and end >= _FAR
        if not whole:
            value = _picked(node, value, axis % rank, picked, True)
    return value


def _picked(node: Node, tensor: Tensor, at: int, which: list[Any], keep: bool) -> Value:
    """Some places of an axis: it stays, or goes with its one place. No places stand for what cannot be told."""
    axis, holds = tensor.axes[at], tensor.holds
    if isinstance(holds, Given):
        return Moved()
    size = size_of(axis)
    which = [i + size if isinstance(size, int) and i < 0 else i for i in which]

    def rearranged(new: Content, picked: Axis, feature: Axis, width: int | None) -> Tensor:
        here = [picked] if keep else []
        return Tensor(new, (*tensor.axes[:at], *here, *tensor.axes[at + 1 :]), feature, width)

    if not axis and which == [0]:
        return rearranged(holds, (), tensor.feature, tensor.width)
    if isinstance(holds, Hidden) and axis and axis == axis_of("states", len(holds.states)):
        if not which or (len(which) > 1 and not keep) or not set(which) <= set(range(len(holds.states))):
            raise ValueError(f"expected some of {len(holds.states)} states, got {shown(which)}")
        assert tensor.width is not None
        n = tensor.width // len(holds.states)
        states = tuple(holds.states[i] for i in which)
        picked = axis_of("states", len(states))
        return rearranged(Hidden(states, holds.last), picked, (*picked, *axis_of("unit", n)), n * len(states))
    at_the_end = axis and which == [size - 1 if isinstance(size, int) else -1]
    if at_the_end and (last := _at_the_end(node, holds, axis)) is not None:
        return rearranged(last, (), tensor.feature, tensor.width)
    raise ValueError(f"expected all of an axis, its last step or whole states, got a part of {size}")


def _at_the_end(node: Node, holds: Content, axis: Axis) -> Content | None:
    """What the last step of a value holds, if this axis is that of its steps."""
    if isinstance(holds, Affine | Unit):
        of = _at_the_end(node, holds.of, axis)
        if of is None:
            return None
        return Affine(of, holds.matrix, holds.vector) if isinstance(holds, Affine) else Unit(holds.name, of)
    if not isinstance(holds, Hidden) or holds.last:
        return None
    layer = node.layers[holds.states[0][0]]
    if layer.time != axis:
        return None
    if layer.node.directions == 2:
        raise ValueError("expected the last states, Y_h, got the last step, at which the reverse direction begins")
    if layer.has_lengths:
        raise ValueError("expected the last states, Y_h, got the last step, which shorter sequences do not have")
    return Hidden(holds.states, True)


def _concat(node: Node) -> Value:
    values = node.inputs
    if all(isinstance(value, Known) for value in values):
        return Known(np.concatenate([np.atleast_1d(value.array) for value in values if isinstance(value, Known)]))
    filled = [value.value for value in values if isinstance(value, Filled)]
    if len(filled) == len(values) and len(set(filled)) == 1:
        return values[0]
    given = [value for value in values if is_input(value)]
    if len(given) == len(values):
        return Moved()
    tensors = [value for value in values if isinstance(value, Tensor) and isinstance(value.holds, Hidden)]
    if len(tensors) < len(values):
        raise ValueError("expected last states, or states of both directions, got others")
    return _side_by_side(tensors, node.axis(len(tensors[0].axes), 0))


def _side_by_side(tensors: list[Tensor], at: int) -> Value:
    """States in one axis, or joined in that of their units."""
    states: list[tuple[int, int]] = []
    forms = set()
    for tensor in tensors:
        assert isinstance(tensor.holds, Hidden)
        assert tensor.width is not None
        count = len(tensor.holds.states)
        n = tensor.width // count
        rest = (*tensor.axes[:at], *tensor.axes[at + 1 :])
        joined = at == len(rest) and tensor.axes[at] == tensor.feature
        stacked = tensor.axes[at] == axis_of("states", count)
        forms.add((joined, joined or stacked, tensor.holds.last, n, rest))
        states += tensor.holds.states
    joined, fits, last, n, rest = forms.pop()
    if forms or not fits:
        raise ValueError("expected states of one size along the axis of directions or of units, got others")
    of_states = axis_of("states", len(states))
    feature = (*of_states, *axis_of("unit", n))
    axes = (*rest[:at], feature if joined else of_states, *rest[at:])
    return Tensor(Hidden(tuple(states), last), axes, feature, n * len(states))


def is_input(value: Value) -> bool:
    """Whether a value is an input of the model, in whatever form."""
    return isinstance(value, Moved) or (isinstance(value, Tensor) and isinstance(value.holds, Given))


MOVES: dict[str, Callable[[Node], Value]] = {
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Dropout": _same,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": _same,
    "OneHot": _one_hot,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
