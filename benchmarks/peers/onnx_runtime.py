"""ONNX Runtime, forward only: a graph of RNN and Gemm, all optimisations, inputs and outputs bound once."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

from problem import Answer, Array, Contender, Problem


def model(problem: Problem) -> bytes:
    """The network as an ONNX graph, weights included: h [tau, 1, batch, n_hidden], o [tau * batch, n_out]."""
    tau, batch, n_in, n_hidden, n_out = problem.line.sizes
    weights = {
        "U": problem.U[None],
        "W": problem.W[None],
        "b": np.concatenate([problem.b, np.zeros_like(problem.b)])[None],  # a second bias, which RNN always has
        "V": problem.V,
        "c": problem.c,
        "rows": np.array([tau * batch, n_hidden]),
    }
    if problem.line.ragged:
        weights["lengths"] = problem.lengths.astype(np.int32)
    lengths = "lengths" if problem.line.ragged else ""
    nodes = [
        helper.make_node("RNN", ["x", "U", "W", "b", lengths], ["h"], hidden_size=n_hidden),
        helper.make_node("Reshape", ["h", "rows"], ["h_rows"]),
        helper.make_node("Gemm", ["h_rows", "V", "c"], ["o"], transB=1),
    ]
    real = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "elman",
        [helper.make_tensor_value_info("x", real, [tau, batch, n_in])],
        [
            helper.make_tensor_value_info("h", real, [tau, 1, batch, n_hidden]),
            helper.make_tensor_value_info("o", real, [tau * batch, n_out]),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(result)
    return result.SerializeToString()


def build(problem: Problem, threads: int) -> Contender:
    tau, batch, _, n_hidden, n_out = problem.line.sizes
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(model(problem), options, providers=["CPUExecutionProvider"])
    h = np.empty((tau, 1, batch, n_hidden), np.float32)
    o = np.empty((tau * batch, n_out), np.float32)
    binding = session.io_binding()
    binding.bind_cpu_input("x", problem.x)
    for name, array in (("h", h), ("o", o)):
        binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def forward() -> tuple[Array, Array]:
        session.run_with_iobinding(binding)
        return h, o

    def read_forward(result: tuple[Array, Array]) -> Answer:
        return {"h": result[0][:, 0], "o": result[1].reshape(tau, batch, n_out)}

    return Contender(None, forward, None, read_forward)
