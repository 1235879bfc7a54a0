"""ONNX Runtime, forward only: a graph of RNN and Gemm, all optimisations, inputs and outputs bound once."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

from problem import Answer, Array, Contender, Problem


def model(problem: Problem) -> bytes:
    """The network as an ONNX graph, weights included: h as `shape_of_h` says, o [tau * batch, n_out]."""
    line = problem.line
    tau, batch, n_in, n_hidden, n_out = line.sizes
    weights = {
        "V": problem["V"],
        "c": problem["c"],
        "rows": np.array([tau * batch, line.n_top]),
        "steps": np.array([tau, batch, line.n_top]),
    }
    if line.ragged:
        weights["lengths"] = problem.lengths.astype(np.int32)
    lengths = "lengths" if line.ragged else ""
    nodes, below = [], "x"
    for number, layer in enumerate(line.names):
        U, W, b, h = (f"{letter}_{number}" for letter in "UWbh")
        biases = [np.concatenate([problem[name], np.zeros_like(problem[name])]) for _, _, name in layer]
        weights[U] = np.stack([problem[name] for name, _, _ in layer])
        weights[W] = np.stack([problem[name] for _, name, _ in layer])
        weights[b] = np.stack(biases)  # with a second bias, which RNN always has
        top, direction = number == line.layers - 1, "bidirectional" if line.both else "forward"
        # RNN gives [tau, directions, batch, n_hidden], and what is above reads [tau, batch, directions * n_hidden].
        states = "h" if top and not line.both else h
        options = {"hidden_size": n_hidden, "direction": direction, "activations": ["Tanh"] * line.directions}
        nodes.append(helper.make_node("RNN", [below, U, W, b, lengths], [states], **options))
        below = states
        if line.both:
            below = f"{h}_side_by_side"
            nodes.append(helper.make_node("Transpose", [states], [below], perm=[0, 2, 1, 3]))
        if not top or line.both:
            rows = "h" if top else f"{h}_rows"
            nodes.append(helper.make_node("Reshape", [below, "steps"], [rows]))
            below = rows
    nodes.append(helper.make_node("Reshape", ["h", "rows"], ["h_rows"]))
    nodes.append(helper.make_node("Gemm", ["h_rows", "V", "c"], ["o"], transB=1))
    used = {name for node in nodes for name in node.input}
    real = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "elman",
        [helper.make_tensor_value_info("x", real, [tau, batch, n_in])],
        [
            helper.make_tensor_value_info("h", real, shape_of_h(problem)),
            helper.make_tensor_value_info("o", real, [tau * batch, n_out]),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items() if name in used],
    )
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(result)
    return result.SerializeToString()


def shape_of_h(problem: Problem) -> list[int]:
    """Of the graph's output h: that of RNN, or with two directions that which is read above."""
    line = problem.line
    return [line.tau, line.batch, line.n_top] if line.both else [line.tau, 1, line.batch, line.n_hidden]


def build(problem: Problem, threads: int) -> Contender:
    line = problem.line
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(model(problem), options, providers=["CPUExecutionProvider"])
    h = np.empty(shape_of_h(problem), np.float32)
    o = np.empty((line.tau * line.batch, line.n_out), np.float32)
    binding = session.io_binding()
    binding.bind_cpu_input("x", problem.x)
    for name, array in (("h", h), ("o", o)):
        binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def forward() -> tuple[Array, Array]:
        session.run_with_iobinding(binding)
        return h, o

    def read_forward(result: tuple[Array, Array]) -> Answer:
        steps = (line.tau, line.batch)
        return {"h": result[0].reshape(*steps, line.n_top), "o": result[1].reshape(*steps, line.n_out)}

    return Contender(None, forward, None, read_forward)
