"""A graph followed node by node: what each of its values is, and the RNN nodes in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bptt._checks import shown
from bptt.onnx.arithmetic import ARITHMETIC
from bptt.onnx.node import Layer, Node
from bptt.onnx.operators import MOVES, is_input
from bptt.onnx.rnn_node import layer_node
from bptt.onnx.values import Axis, Filled, Given, Hidden, Known, Part, Tensor, Value, axis_of, size_of

_HANDLERS = {**MOVES, **ARITHMETIC}
_ONNX = ("", "ai.onnx")  # names of the domain of its own operators


class Trace:
    """The values that a graph's outputs depend on, and the RNN nodes among them.

    Raises
    ------
    ValueError
        If a node is none that a recurrent network has. The message begins with its operator and its name.
    """

    def __init__(self, model: Any) -> None:
        graph = model.graph
        nodes = _needed(graph)
        _check(model, nodes)
        self._opset = max((one.version for one in model.opset_import if one.domain in _ONNX), default=1)
        self.layers: list[Layer] = []
        self._values: dict[str, Value] = {"": None}
        for tensor in graph.initializer:
            try:
                self._values[tensor.name] = Known(numpy_helper.to_array(tensor))
            except KeyError:
                raise ValueError(
                    f"initializer {tensor.name!r}: expected a dtype of ONNX, got {tensor.data_type}"
                ) from None
            except (TypeError, ValueError) as error:
                raise ValueError(f"initializer {tensor.name!r}: {error}") from None
        for given in graph.input:
            if given.name not in self._values:  # else it has a default, which is what counts
                self._values[given.name] = _given(given)
        for node in nodes:
            self._follow(node)
        self.outputs = {output.name: self._value(output.name) for output in graph.output}

    def _value(self, name: str) -> Value:
        if name not in self._values:
            raise ValueError(f"expected a value {name!r}, got none")
        return self._values[name]

    def _follow(self, proto: Any) -> None:
        name = proto.name or next(filter(None, proto.output), "")
        try:
            node = Node(proto, [self._value(name) for name in proto.input], self._opset, self.layers)
            results = self._results(node, name)
        except ValueError as error:
            raise ValueError(f"{proto.op_type} {name!r}: {error}") from None
        self._values.update((name, result) for name, result in zip(proto.output, results, strict=False) if name)

    def _results(self, node: Node, name: str) -> list[Value]:
        if node.proto.domain not in _ONNX:
            raise ValueError(f"expected an operator of ONNX itself, got one of {node.proto.domain!r}")
        if node.operator == "RNN":
            return self._rnn(node, name)
        if node.can_be_folded and node.operator not in ("ConstantOfShape", "Expand"):  # which may be large
            return node.folded()
        if node.operator not in _HANDLERS:
            raise node.unknown()
        return [_HANDLERS[node.operator](node)]

    def _rnn(self, node: Node, name: str) -> list[Value]:
        """h(t) of a layer, and its last states."""
        if self._opset < 7:
            raise ValueError(f"expected an opset of at least 7, got {self._opset}")
        read = layer_node(node.attributes, *(node.array(i, letter) for i, letter in ((1, "W"), (2, "R"), (3, "B"))))
        X = node.tensor(0, "X")
        directions, n, width = read.U.shape
        floats = not isinstance(X.holds, Given) or X.holds.dtype == read.U.dtype
        if len(X.axes) != 3 or not X.ends_with_features or X.width not in (width, None) or not floats:
            raise ValueError(f"X: expected [tau, batch, {width}] of {read.U.dtype}, as W has it, got others")
        batch, time = X.axes[:2] if read.batch_first else X.axes[1::-1]
        if len(time) > 1 or len(batch) > 1:
            raise ValueError("X: expected one axis of steps and one of sequences, got axes that were joined")
        _check_initial(node.input(5))
        has_lengths = _has_lengths(node.input(4), time)
        states = tuple((len(self.layers), direction) for direction in range(directions))
        self.layers.append(Layer(read, X.holds, time, batch, has_lengths, name))
        of_states, unit = axis_of("states", directions), axis_of("unit", n)
        every = (batch, time, of_states, unit) if read.batch_first else (time, of_states, batch, unit)
        last = (batch, of_states, unit) if read.batch_first else (of_states, batch, unit)
        feature = (*of_states, *unit)
        return [
            Tensor(Hidden(states, False), every, feature, directions * n),
            Tensor(Hidden(states, True), last, feature, directions * n),
        ]


def _check(model: Any, nodes: list[Any]) -> None:
    """Have ONNX check the nodes: their order, inputs and attributes. Numbers, and what else is there, are left out."""
    graph, kind = model.graph, onnx.TensorProto.FLOAT
    inputs = dict.fromkeys(one.name for one in (*graph.input, *graph.initializer))
    try:
        plain = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info(name, kind, []) for name in inputs],
            [helper.make_tensor_value_info(output.name, kind, []) for output in graph.output],
        )
        onnx.checker.check_model(helper.make_model(plain, opset_imports=model.opset_import, functions=model.functions))
    except (onnx.checker.ValidationError, TypeError, ValueError) as error:  # TypeError: of names that are no text
        raise ValueError(f"expected a model of ONNX: {error}") from None


def _check_initial(initial: Value) -> None:
    zero = initial is None or (isinstance(initial, Filled) and initial.value == 0)
    zero = zero or (isinstance(initial, Known) and not initial.has_names and not initial.array.any())
    if not zero and not is_input(initial):
        what = "other numbers" if isinstance(initial, Known | Filled) else "what is computed from an input"
        raise ValueError(f"initial_h: expected zeros or an input of the model, got {what}")


def _has_lengths(lengths: Value, time: Axis) -> bool:
    """Whether sequences have lengths of their own."""
    if lengths is None:
        return False
    if isinstance(lengths, Known | Filled):
        found = lengths.array.ravel().tolist() if isinstance(lengths, Known) else [lengths.value]
        if any(length != size_of(time) for length in found):
            raise ValueError(f"sequence_lens: expected an input of the model, or none, got {shown(found)}")
        return False
    if not is_input(lengths):
        raise ValueError("sequence_lens: expected an input of the model, or none, got what is computed from one")
    return True


def _given(given: Any) -> Tensor:
    """An input of the model."""
    kind = given.type.tensor_type
    if given.type.WhichOneof("value") != "tensor_type":
        raise ValueError(f"input {given.name!r}: expected a tensor, got another type")
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    except (KeyError, TypeError):
        raise ValueError(f"input {given.name!r}: expected numbers, got the type {kind.elem_type}") from None
    axes: list[Axis] = []
    for i, dimension in enumerate(kind.shape.dim):
        name = f"{given.name}[{i}]"
        size = dimension.dim_value if dimension.HasField("dim_value") else dimension.dim_param or name
        if not isinstance(size, int | str) or (isinstance(size, int) and size < 0):
            raise ValueError(f"input {given.name!r}: expected sizes, got {shown(size)}")
        axes.append(() if size == 1 else (Part(name, size),))
    feature: Axis = axes[-1] if axes else ()
    size = size_of(feature)
    return Tensor(Given(given.name, dtype), tuple(axes), feature, size if isinstance(size, int) else None)


def _needed(graph: Any) -> list[Any]:
    """The nodes that the outputs depend on, in the graph's order."""
    wanted = {output.name for output in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if wanted.intersection(filter(None, node.output)):
            wanted.update(node.input)
            nodes.append(node)
    return nodes[::-1]
