"""ONNX Runtime: the state is an input and an output; RNN or Gemm, plain runs or two bindings that take turns."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

from peers.fastest import fastest
from problem import Array, Problem
from steps import Stepper


def model(problem: Problem, rnn: bool) -> bytes:
    """One step: from x ``[batch, n_in]`` and h ``[batch, n_hidden]`` to h_next and o."""
    _, batch, n_in, n_hidden, n_out = problem.line.sizes
    weights = dict(problem.parameters)
    if rnn:
        weights = {
            "U": problem["U"][None],
            "W": problem["W"][None],
            "b": np.concatenate([problem["b"], np.zeros_like(problem["b"])])[None],  # RNN always has a second bias
            "V": problem["V"],
            "c": problem["c"],
            "x_shape": np.array([1, batch, n_in]),
            "h_shape": np.array([1, batch, n_hidden]),
            "rows": np.array([batch, n_hidden]),
        }
        nodes = [
            helper.make_node("Reshape", ["x", "x_shape"], ["x_1"]),
            helper.make_node("Reshape", ["h", "h_shape"], ["h_1"]),
            helper.make_node("RNN", ["x_1", "U", "W", "b", "", "h_1"], ["", "h_last"], hidden_size=n_hidden),
            helper.make_node("Reshape", ["h_last", "rows"], ["h_next"]),
        ]
    else:
        nodes = [
            helper.make_node("Gemm", ["x", "U", "b"], ["a_x"], transB=1),
            helper.make_node("Gemm", ["h", "W", "a_x"], ["a"], transB=1),
            helper.make_node("Tanh", ["a"], ["h_next"]),
        ]
    nodes.append(helper.make_node("Gemm", ["h_next", "V", "c"], ["o"], transB=1))
    real = TensorProto.FLOAT
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "step",
        [info("x", real, [batch, n_in]), info("h", real, [batch, n_hidden])],
        [info("h_next", real, [batch, n_hidden]), info("o", real, [batch, n_out])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(result)
    return result.SerializeToString()


def session(problem: Problem, rnn: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model(problem, rnn), options, providers=["CPUExecutionProvider"])


def plain(problem: Problem, rnn: bool) -> Stepper:
    run, names = session(problem, rnn).run, ["h_next", "o"]
    feed = {"h": np.zeros((problem.line.batch, problem.line.n_hidden), np.float32)}

    def step(x_t: Array) -> Array:
        feed["x"] = x_t
        feed["h"], o = run(names, feed)
        return o

    def reset() -> None:
        feed["h"] = np.zeros_like(feed["h"])

    return Stepper(f"{'RNN' if rnn else 'Gemm'}, plain run", step, list(problem.x), reset)


def bound(problem: Problem, rnn: bool) -> Stepper:
    """Inputs and outputs are bound once; the state goes to and fro between two arrays."""
    made, batch = session(problem, rnn), problem.line.batch
    x = np.zeros((batch, problem.line.n_in), np.float32)
    states = [np.zeros((batch, problem.line.n_hidden), np.float32) for _ in range(2)]
    o = np.empty((batch, problem.line.n_out), np.float32)
    bindings = []
    for before, after in (states, states[::-1]):
        binding = made.io_binding()
        for name, array in (("x", x), ("h", before)):
            binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for name, array in (("h_next", after), ("o", o)):
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        bindings.append(binding)
    now, other = bindings
    run = made.run_with_iobinding

    def step(x_t: Array) -> Array:
        nonlocal now, other
        x[...] = x_t
        run(now)
        now, other = other, now
        return o

    def reset() -> None:
        for state in states:
            state.fill(0)

    return Stepper(f"{'RNN' if rnn else 'Gemm'}, bound", step, list(problem.x), reset)


def build(problem: Problem, quick: bool) -> Stepper:
    return fastest([way(problem, rnn) for way in (plain, bound) for rnn in (True, False)])
