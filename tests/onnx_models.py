"""ONNX models for tests: networks of all kinds as models, models run by ONNX Runtime, and models made node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

import bptt
import bptt.onnx
from pairs import Row, pairwise
from problems import Array

TAU, BATCH, N_IN, N_OUT = 7, 3, 3, 2
LENGTHS = (7, 2, 5)

ELMAN: dict[str, Sequence[Any]] = {
    "n_hidden": [5, 1, (4, 6), (3, 3, 3)],
    "input": ["real", "token", "none"],
    "output": ["softmax", "sigmoid", "linear"],
    "readout": ["all", "last"],
    "activation": ["tanh", "relu"],
    "bidirectional": [False, True],
    "lengths": [False, True],
    "state": ["optional", "required", "none"],
    "outputs": [("y_hat", "o"), ("h", "o", "y_hat"), ("y_hat",), ("o",), ("h",)],
}
JORDAN: dict[str, Sequence[Any]] = {
    "n_hidden": [5, 1],
    "input": ["real", "token", "none"],
    "output": ["softmax", "sigmoid", "linear"],
    "feedback": ["y_hat", "o"],
    "activation": ["tanh", "relu"],
    "lengths": [False, True],
    "state": ["optional", "required", "none"],
    "outputs": [("y_hat", "o"), ("h", "o", "y_hat"), ("y_hat",), ()],
    "dtype": ["float32", "float64"],
}
ELMAN_ROWS, JORDAN_ROWS = pairwise(ELMAN), pairwise(JORDAN)
_OF_THE_FILE = ("lengths", "state", "outputs")


def network(row: Row, **more: Any) -> Any:
    """The network of a row of options; all of its parameters are other than 0."""
    options = {key: value for key, value in row.items() if key not in _OF_THE_FILE} | more
    n_in = 0 if options["input"] == "none" else N_IN
    options["input"] = "token" if options["input"] == "token" else "real"
    kind = bptt.JordanRNN if "feedback" in row else bptt.ElmanRNN
    return kind(n_in, options.pop("n_hidden"), N_OUT, seed=3, init="uniform", **options)


def model(rnn: Any, row: Row, **more: Any) -> Any:
    """The model of a network that a row of options asks for."""
    options = {"outputs": row["outputs"], "sequence_lens": row["lengths"], "state": row["state"]}
    return bptt.onnx.to_onnx(rnn, **{**options, **more})


def inputs_of(rnn: Any, dtype: Any, tau: int = TAU, batch: int = BATCH) -> Array:
    rng = np.random.default_rng(5)
    if rnn.input == "token":
        return rng.integers(0, rnn.n_in, (tau, batch))
    return rng.standard_normal((tau, batch, rnn.n_in)).astype(dtype)


def state_names(rnn: Any, before: bool) -> list[str]:
    """What a model calls the states before the first step, or after the last."""
    if isinstance(rnn, bptt.JordanRNN):
        return ["r0" if before else "r_last"]
    numbers = [""] if len(rnn.layers) == 1 else [str(k + 1) for k in range(len(rnn.layers))]
    return [("initial_h" if before else "Y_h") + number for number in numbers]


def states_of(rnn: Any, dtype: Any, batch: int = BATCH) -> list[Array]:
    """States for a batch to begin with, as a model has them."""
    rng = np.random.default_rng(6)
    if isinstance(rnn, bptt.JordanRNN):
        return [rng.standard_normal((batch, rnn.n_out)).astype(dtype)]
    directions = 1 + rnn.bidirectional
    return [rng.uniform(-1, 1, (directions, batch, len(layer.b))).astype(dtype) for layer in rnn.layers]


def as_ours(rnn: Any, states: list[Array]) -> Any:
    """The states of a model in the form of h0, or r0."""
    if isinstance(rnn, bptt.JordanRNN):
        return states[0]
    nested = [tuple(one) if rnn.bidirectional else one[0] for one in states]
    return nested[0] if len(nested) == 1 and not rnn.bidirectional else nested


def as_theirs(rnn: Any, states: Any) -> list[Array]:
    """The h_last, or r_last, of a run in the form of a model."""
    if isinstance(rnn, bptt.JordanRNN):
        return [states]
    if len(rnn.layers) == 1 and not rnn.bidirectional:
        states = [states]
    return [np.stack(one) if rnn.bidirectional else one[None] for one in states]


# ---- ONNX Runtime ----


def session(proto: Any) -> Any:
    """A session that keeps to one thread and says nothing."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    data = proto if isinstance(proto, bytes) else proto.SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run(of: Any, feeds: dict[str, Array]) -> dict[str, Array]:
    """The outputs of a session, or of an evaluator of the reference, by name."""
    names = of.output_names if hasattr(of, "output_names") else [one.name for one in of.get_outputs()]
    return dict(zip(names, of.run(None, feeds), strict=True))


# ---- Models made node by node ----

Shape = Sequence[int | str | None]


def made(
    nodes: Sequence[Any],
    inputs: dict[str, tuple[Any, Shape]],
    outputs: Sequence[str],
    numbers: dict[str, Any],
    opset: int = 14,
) -> Any:
    """A model of these nodes. Of the outputs, nothing but the names is told."""
    graph = helper.make_graph(
        list(nodes),
        "made",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))
            for name, (dtype, shape) in inputs.items()
        ],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in numbers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """A node, called as its operator. The names of its inputs and outputs stand one after another; ``-`` is none."""
    names = [["" if name == "-" else name for name in some.split()] for some in (inputs, outputs)]
    return helper.make_node(operator, *names, name=f"the_{operator}", **attributes)


# ---- Numbers for them ----

RNG = np.random.default_rng(0)
N = 4


def real(*shape: int) -> Any:
    """Numbers of float32, other ones every time."""
    return RNG.standard_normal(shape).astype(np.float32) / 2


# Of nodes that read 3 numbers and have N units: W2 reads N, and what has its letter twice is of two directions.
NUMBERS: dict[str, Any] = {
    "W": real(1, N, 3),
    "R": real(1, N, N),
    "B": real(1, 2 * N),
    "W2": real(1, N, N),
    "WW": real(2, N, 3),
    "RR": real(2, N, N),
    "BB": real(2, 2 * N),
    "V": real(2, N),
    "VV": real(2, 2 * N),
    "c": real(2),
    "scale": np.array([2, 0.5, 4], np.float32),
    "shift": real(3),
    "table": real(5, 3),
    "minus_1": np.array(-1),
    "zero": np.array(0),
    "ones": np.array([1]),
    "zeros": np.array([0]),
    "twos": np.array([2]),
    "minus_ones": np.array([-1]),
    "far": np.array([2**31 - 1]),
    "joined": np.array([0, 0, -1]),
    "rows": np.array([-1, N]),
    "steps": np.array([7, -1, 2]),
    "depth": np.array(3),
    "off_on": np.array([0, 1], np.float32),
    "h_zeros": np.zeros((1, 1, N), np.float32),
    "h_ones": np.ones((1, 1, N), np.float32),
}
NUMBERS["VT"] = np.ascontiguousarray(NUMBERS["V"].T)
TWO_DIRECTIONS = {"direction": "bidirectional", "hidden_size": N, "activations": ["Relu", "Relu"]}
RNN = node("RNN", "x W R B", "Y Y_h", hidden_size=N)
H = [RNN, node("Squeeze", "Y ones", "h")]
