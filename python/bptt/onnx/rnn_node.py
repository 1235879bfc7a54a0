"""An RNN node of ONNX: its attributes and weights, checked for what a layer of an `ElmanRNN` can be."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bptt._arrays import Array
from bptt._checks import shown

ACTIVATIONS = {"tanh": "tanh", "relu": "relu"}  # ONNX leaves open how the names are written
_READ = {"activations", "direction", "hidden_size", "layout"}
_NOT_HERE: dict[str, Any] = {  # with the value that is as good as none
    "activation_alpha": [],
    "activation_beta": [],
    "clip": None,
    "input_forget": 0,
    "output_sequence": 0,
}


class LayerNode(NamedTuple):
    """What a node says of its layer; of its arrays, each has a first axis of directions."""

    activation: str
    directions: int
    batch_first: bool
    U: Array
    W: Array
    b: Array


def layer_node(attributes: dict[str, Any], W: Array | None, R: Array | None, B: Array | None) -> LayerNode:
    """Check a node. An error begins with the attribute, or the input, as ONNX calls it."""
    for name, value in attributes.items():
        if name in _NOT_HERE and value != _NOT_HERE[name]:
            raise ValueError(f"{name}: expected none, as a layer of an ElmanRNN has none, got {shown(_text(value))}")
        if name not in _READ and name not in _NOT_HERE:
            raise ValueError(f"{name}: expected an attribute of RNN, got {shown(_text(value))}")
    direction = _text(attributes.get("direction", b"forward"))
    if direction not in ("forward", "bidirectional"):
        why = "; give a forward node the sequences from their end" if direction == "reverse" else ""
        raise ValueError(f"direction: expected 'forward' or 'bidirectional', got {shown(direction)}{why}")
    directions = 2 if direction == "bidirectional" else 1
    activations = [_text(name) for name in attributes.get("activations", [b"Tanh"] * directions)]
    names = {str(name).lower() for name in activations}
    if len(activations) != directions or len(names) != 1 or not names <= set(ACTIVATIONS):
        expected = " or ".join(repr([name] * directions) for name in ("Tanh", "Relu"))
        raise ValueError(f"activations: expected {expected}, got {shown(activations)}")
    layout = attributes.get("layout", 0)
    if layout not in (0, 1):
        raise ValueError(f"layout: expected 0 or 1, got {shown(layout)}")
    U, recurrence = _weights("W", W), _weights("R", R)
    n = U.shape[1] if U.ndim == 3 else 0
    _shape("W", U, (directions, attributes.get("hidden_size", n), None))
    _shape("R", recurrence, (directions, n, n))
    b = np.zeros((directions, n), U.dtype)
    if B is not None:
        both = _weights("B", B)
        _shape("B", both, (directions, 2 * n))
        first, second = both[:, :n], both[:, n:]
        b = np.where(second == 0, first, first + second)  # which keeps the sign of a zero
    for name, array in (("R", recurrence), ("B", b)):
        if array.dtype != U.dtype:
            raise ValueError(f"{name}: expected {U.dtype}, as W is, got {array.dtype}")
    return LayerNode(ACTIVATIONS[names.pop()], directions, layout == 1, U, recurrence, b)


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _weights(name: str, array: Array | None) -> Array:
    if array is None:
        raise ValueError(f"{name}: expected numbers that the file holds, got what is computed from an input")
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name}: expected float32 or float64, got {array.dtype}")
    return array


def _shape(name: str, array: Array, expected: tuple[int | None, ...]) -> None:
    if len(expected) != array.ndim or any(n not in (None, m) for n, m in zip(expected, array.shape, strict=True)):
        text = ", ".join("n_in" if n is None else str(n) for n in expected)
        raise ValueError(f"{name}: expected [{text}], got {array.shape}")
