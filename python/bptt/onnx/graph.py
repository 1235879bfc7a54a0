"""An ONNX graph that grows node by node. Knows no networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Shape = Sequence[int | str]  # a name stands for a size that each call may choose

_OPSET, _IR = 14, 7  # of 2021: ONNX Runtime 1.8 reads them, and every later one


class Graph:
    """Inputs, outputs, numbers and nodes, in the order in which they are added."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.results: set[str] = set()  # of nodes
        self._numbers: dict[str, Any] = {}
        self._nodes: list[Any] = []

    def input(self, name: str, dtype: Any, shape: Shape) -> str:
        """An input, whose name is also that of its value."""
        self.inputs.append(_value(name, dtype, shape))
        return name

    def output(self, name: str, dtype: Any, shape: Shape) -> str:
        """An output: a node has to have this name among its results."""
        self.outputs.append(_value(name, dtype, shape))
        return name

    def number(self, name: str, values: Any, dtype: Any) -> str:
        """Numbers that are part of the graph. The same name twice stands for the same ones."""
        if name not in self._numbers:
            self._numbers[name] = numpy_helper.from_array(np.asarray(values, dtype, order="C"), name)
        return name

    def node(
        self, operator: str, inputs: Sequence[str], *results: str, name: str | None = None, **attributes: Any
    ) -> str:
        """A node, called as its first result by default. Returns its first result."""
        used = list(inputs)
        while not used[-1]:  # what is left out at the end is left out altogether
            used.pop()
        self._nodes.append(helper.make_node(operator, used, results, name=name or results[0], **attributes))
        self.results.update(results)
        return results[0]

    def proto(self, name: str) -> Any:
        """The graph as ONNX has it."""
        return helper.make_graph(self._nodes, name, self.inputs, self.outputs, list(self._numbers.values()))


def model_of(graph: Any, version: str, description: str, metadata: dict[str, str]) -> Any:
    """A model of a graph, which ONNX itself has checked."""
    model = helper.make_model(
        graph,
        producer_name="bptt",
        producer_version=version,
        doc_string=description,
        ir_version=_IR,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def _value(name: str, dtype: Any, shape: Shape) -> Any:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))
