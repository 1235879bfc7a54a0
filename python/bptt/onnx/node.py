"""A node of a graph that is read, with the values of its inputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from bptt._arrays import Array
from bptt.onnx.rnn_node import LayerNode
from bptt.onnx.values import Axis, Content, Known, Tensor, Value

_RANDOM = ("Bernoulli", "Multinomial", "RandomNormalLike", "RandomUniformLike")
_COMPUTED = "expected numbers that the file holds, got what is computed from an input"


class Layer(NamedTuple):
    """An RNN node, and what it reads."""

    node: LayerNode
    below: Content  # what X holds
    time: Axis
    batch: Axis
    has_lengths: bool
    name: str


class Node:
    """A node, its attributes as Python has them, and the layers below it."""

    def __init__(self, proto: Any, inputs: list[Value], opset: int, layers: list[Layer]) -> None:
        self.proto, self.inputs, self.opset = proto, inputs, opset
        self.layers = layers  # that were found before it
        self.operator: str = proto.op_type
        self.attributes: dict[str, Any] = {one.name: helper.get_attribute_value(one) for one in proto.attribute}

    def unknown(self) -> ValueError:
        """The error for an operator that no recurrent network has here."""
        had = f" with {', '.join(sorted(self.attributes))}" if self.attributes else ""
        return ValueError(f"expected an operator that an ElmanRNN has, got {self.operator}{had}")

    def input(self, i: int) -> Value:
        """An input, None if it is left out."""
        return self.inputs[i] if i < len(self.inputs) else None

    def array(self, i: int, name: str) -> Array | None:
        """An input that the file holds, None if it is left out."""
        value = self.input(i)
        if value is None:
            return None
        if not isinstance(value, Known) or value.has_names:
            raise ValueError(f"{name}: {_COMPUTED}")
        return value.array

    def tensor(self, i: int, name: str) -> Tensor:
        """An input that depends on those of the model."""
        value = self.input(i)
        if not isinstance(value, Tensor):
            raise ValueError(f"{name}: expected what comes from an input of the model, got what does not")
        return value

    def numbers(self, i: int, name: str, names: bool = False) -> list[Any] | None:
        """What later opsets have as an input and earlier ones as an attribute: integers, or also names of sizes."""
        if name in self.attributes:
            return [int(number) for number in self.attributes[name]]
        value = self.input(i)
        if value is None:
            return None
        if not isinstance(value, Known) or (value.has_names and not names):
            raise ValueError(f"{name}: {_COMPUTED}")
        if not value.has_names and not np.issubdtype(value.array.dtype, np.integer):
            raise ValueError(f"{name}: expected integers, got {value.array.dtype}")
        return list(value.array.ravel().tolist())

    def axis(self, axes: int, default: int, name: str = "axis") -> int:
        """An attribute that is one of so many axes, counted from the first."""
        axis = int(self.attributes.get(name, default))
        if not -axes <= axis < axes:
            raise ValueError(f"{name}: expected one of {axes} axes, got {axis}")
        return axis % axes

    @property
    def can_be_folded(self) -> bool:
        """Whether its results are numbers that depend on no input."""
        if not self.inputs and self.operator != "Constant":  # which draws them
            return False
        subgraphs = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
        if self.operator in _RANDOM or any(one.type in subgraphs for one in self.proto.attribute):
            return False
        return all(value is None or (isinstance(value, Known) and not value.has_names) for value in self.inputs)

    def folded(self) -> list[Value]:
        """These results."""
        names = [name for name in self.proto.output if name]
        given = {
            name: value.array
            for name, value in zip(self.proto.input, self.inputs, strict=True)
            if isinstance(value, Known)
        }
        kind = onnx.TypeProto()
        graph = helper.make_graph(
            [self.proto],
            "node",
            [helper.make_value_info(name, kind) for name in given],
            [helper.make_value_info(name, kind) for name in names],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        try:
            with np.errstate(all="ignore"):
                results = dict(zip(names, ReferenceEvaluator(model).run(None, given), strict=True))
        except MemoryError:
            raise
        except Exception as error:  # of any kind: the numbers may be anything
            raise ValueError(f"expected numbers that it can be computed of: {error}") from None
        return [Known(np.asarray(results[name])) if name else None for name in self.proto.output]
