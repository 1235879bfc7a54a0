"""What `bptt.onnx.load` refuses, and how it says so: what no network is, wrong arguments, and damaged files."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refusals import refuses

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")

import bptt  # noqa: E402
import bptt.onnx  # noqa: E402  (which needs onnx)
from onnx_models import ELMAN_ROWS, NUMBERS, RNN, TWO_DIRECTIONS, H, N, made, model, network, node, real  # noqa: E402

BIDIRECTIONAL = [node("RNN", "x WW RR BB", "Y Y_h", **TWO_DIRECTIONS), node("Transpose", "Y", "t", perm=[0, 2, 1, 3])]
AN_OPERATOR = "expected an operator that an ElmanRNN has, got"
REFUSED = {
    "clip": ([node("RNN", "x W R B", "o Y_h", hidden_size=N, clip=3.0)], "RNN 'the_RNN': clip: expected none"),
    "alpha": (
        [node("RNN", "x W R B", "o Y_h", hidden_size=N, activation_alpha=[0.5])],
        "RNN 'the_RNN': activation_alpha: expected none",
    ),
    "activation": (
        [node("RNN", "x W R B", "o Y_h", hidden_size=N, activations=["Sigmoid"])],
        "RNN 'the_RNN': activations: expected ['Tanh'] or ['Relu'], got ['Sigmoid']",
    ),
    "input_forget": (
        [node("RNN", "x W R B", "o Y_h", hidden_size=N, input_forget=1)],
        "expected a model of ONNX: Unrecognized attribute: input_forget",
    ),
    "LSTM": (
        [node("LSTM", "x L L", "o", hidden_size=N, input_forget=1)],
        f"LSTM 'the_LSTM': {AN_OPERATOR} LSTM with hidden_size, input_forget",
    ),
    "hidden_size": ([node("RNN", "x W R B", "o Y_h", hidden_size=9)], "RNN 'the_RNN': W: expected [1, 9, n_in], got"),
    "states": (
        [node("RNN", "x W R B - h_ones", "o Y_h", hidden_size=N)],
        "RNN 'the_RNN': initial_h: expected zeros or an input of the model, got other numbers",
    ),
    "no weights": (
        [node("RNN", "x x R B", "o Y_h", hidden_size=N)],
        "RNN 'the_RNN': W: expected numbers that the file",
    ),
    "n_in": (
        [node("RNN", "x W2 R B", "o Y_h", hidden_size=N)],
        "RNN 'the_RNN': X: expected [tau, batch, 4] of float32",
    ),
    "other operator": ([*H, node("Erf", "h", "o")], f"Erf 'the_Erf': {AN_OPERATOR} Erf"),
    "other domain": (
        [*H, node("Erf", "h", "o", domain="others")],
        "expected a model of ONNX: ",
    ),
    "last step of two directions": (
        [*BIDIRECTIONAL, node("Reshape", "t joined", "h"), node("Gather", "h minus_1", "o")],
        "Gather 'the_Gather': expected the last states, Y_h, got the last step, at which the reverse direction begins",
    ),
    "first step": (
        [*H, node("Gather", "h zero", "o")],
        "Gather 'the_Gather': expected all of an axis, its last step or",
    ),
    "units apart": (
        [*H, node("Transpose", "h", "u", perm=[0, 2, 1]), node("MatMul", "u VT", "o")],
        "MatMul 'the_MatMul': A: expected the numbers of a step of the network in the last axis, got others",
    ),
    "a sum": ([*H, node("Add", "h h", "o")], "Add 'the_Add': expected values of a step and, after them, numbers"),
    "softmax over time": (
        [*H, node("Softmax", "h", "o", axis=0)],
        "Softmax 'the_Softmax': axis: expected the last, got 0",
    ),
    "joined steps": (
        [
            node("Flatten", "x", "f", axis=2),
            node("Unsqueeze", "f ones", "u"),
            node("RNN", "u W R B", "o", hidden_size=N),
        ],
        "RNN 'the_RNN': X: expected one axis of steps and one of sequences, got axes that were joined",
    ),
    "steps beside": (
        [
            *H,
            node("RNN", "x W R B", "Z Z_h", hidden_size=N),
            node("Squeeze", "Z ones", "z"),
            node("Concat", "h z", "o", axis=2),
        ],
        "expected RNN nodes that stand upon one another, got 'the_RNN' beside them",
    ),
    "turned between": (
        [
            *H,
            node("Transpose", "h", "t", perm=[1, 0, 2]),
            node("RNN", "t W2 R B", "Z", hidden_size=N),
            node("Squeeze", "Z ones", "o"),
        ],
        "RNN 'the_RNN': expected the steps, the batch and the lengths of 'the_RNN', got others",
    ),
    "two activations": (
        [*H, node("RNN", "h W2 R B", "Z", hidden_size=N, activations=["Relu"]), node("Squeeze", "Z ones", "o")],
        "RNN 'the_RNN': expected the activation and the direction of 'the_RNN', got others",
    ),
    "no RNN": ([node("Relu", "x", "o")], "Relu 'the_Relu': expected an operator that an ElmanRNN has, got Relu"),
    "input alone": ([node("Identity", "x", "o")], "expected RNN nodes, got none (PyTorch's exporter"),
    "lengths": (
        [node("RNN", "x W R B ones32", "o Y_h", hidden_size=N)],
        "RNN 'the_RNN': sequence_lens: expected an input of the model, or none, got [1]",
    ),
    "numbers of a step in the middle": (
        [node("Transpose", "x", "t", perm=[0, 2, 1]), node("RNN", "t W R B", "o", hidden_size=N)],
        "RNN 'the_RNN': X: expected [tau, batch, 3] of float32, as W has it, got others",
    ),
    "last step of padded sequences": (
        [
            node("RNN", "x W R B lengths", "Y", hidden_size=N),
            node("Squeeze", "Y ones", "h"),
            node("Gather", "h minus_1", "o"),
        ],
        "Gather 'the_Gather': expected the last states, Y_h, got the last step, which shorter sequences do not have",
    ),
    "last sequence": (
        [*H, node("Gather", "h minus_1", "o", axis=1)],
        "Gather 'the_Gather': expected all of an axis, its last step or whole states, got a part of batch",
    ),
    "states of other steps": (
        [
            RNN,
            node("Transpose", "x", "t", perm=[1, 0, 2]),
            node("RNN", "t W R B", "Z Z_h", hidden_size=N),
            node("Concat", "Y_h Z_h", "o", axis=0),
        ],
        "Concat 'the_Concat': expected states of one size along the axis of directions or of units, got others",
    ),
    "rounded states": (
        [*H, node("Cast", "h", "i", to=6), node("Cast", "i", "o", to=1)],
        "Cast 'the_Cast': to: expected one of float32, float64 for numbers of float32, got int32",
    ),
    "one direction of two": (
        [BIDIRECTIONAL[0], node("Gather", "Y_h zero", "f"), node("Gemm", "f V c", "o", transB=1)],
        "expected a readout of all directions of one layer, the forward one first, got others",
    ),
    "one direction below": (
        [
            BIDIRECTIONAL[0],
            node("Gather", "Y zero", "f", axis=1),
            node("RNN", "f W2 R B", "o", hidden_size=N, activations=["Relu"]),
        ],
        "RNN 'the_RNN': X: expected all directions of one layer, the forward one first, got others",
    ),
    "units of directions in turns": (
        [BIDIRECTIONAL[0], node("Transpose", "Y", "t", perm=[0, 2, 3, 1]), node("Reshape", "t joined", "o")],
        "output 'o': expected the units of a state side by side, got them apart",
    ),
    "shape": (
        [*H, node("Reshape", "h steps", "o")],
        "Reshape 'the_Reshape': shape: expected axes of ['tau', 'batch', 4]",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_network_is_is_told_by_its_name(name: str) -> None:
    nodes, message = REFUSED[name]
    numbers = {**NUMBERS, "L": real(1, 4 * N, 3), "ones32": np.array([1], np.int32)}
    inputs: dict[str, Any] = {"x": (np.float32, ["tau", "batch", 3]), "lengths": (np.int32, ["batch"])}
    proto = made(nodes, inputs, ["o"], numbers)
    with pytest.raises(ValueError) as raised:  # noqa: PT011  (its message is looked at)
        bptt.onnx.load(proto)
    assert str(raised.value).startswith(f"model: {message}"), raised.value


def test_two_readouts_are_refused() -> None:
    nodes = [*H, node("MatMul", "h VT", "o"), node("MatMul", "h VTs", "p")]
    proto = made(nodes, {"x": (np.float32, ["t", "b", 3])}, ["o", "p"], {**NUMBERS, "VTs": real(N, 2)})
    message = "model: expected one readout and one output unit, got those of the outputs 'o', 'p'"
    refuses(lambda: bptt.onnx.load(proto), ValueError, message)


def test_softmax_of_early_opsets_is_over_all_but_the_first_axes() -> None:
    nodes = [RNN, node("Squeeze", "Y", "h", axes=[1]), node("MatMul", "h VT", "p"), node("Softmax", "p", "o")]
    proto = made(nodes, {"x": (np.float32, ["t", "b", 3])}, ["o"], NUMBERS, opset=12)
    refuses(lambda: bptt.onnx.load(proto), ValueError, "model: Softmax 'the_Softmax': axis: expected the last, got 1")
    nodes = [RNN, node("Squeeze", "Y_h", "h", axes=[0]), *nodes[2:]]
    rnn = bptt.onnx.load(made(nodes, {"x": (np.float32, ["t", "b", 3])}, ["o"], NUMBERS, opset=12))
    assert (rnn.output, rnn.readout) == ("softmax", "last")


def test_a_mask_of_other_steps_is_refused() -> None:
    proto = bptt.onnx.to_onnx(bptt.ElmanRNN(3, 4, 2), outputs=["o"], sequence_lens=True)
    bptt.onnx.load(proto)
    (axis,) = [one for one in proto.graph.initializer if one.name == "axis_0"]
    axis.CopyFrom(onnx.numpy_helper.from_array(np.array(1), "axis_0"))  # so many steps as there are sequences
    message = "model: Where 'o': condition: expected the sizes of time and batch, got 'batch'"
    refuses(lambda: bptt.onnx.load(proto), ValueError, message)


def test_other_dtypes_are_refused() -> None:
    half = {name: array.astype(np.float16) if array.dtype == np.float32 else array for name, array in NUMBERS.items()}
    proto = made([RNN], {"x": (np.float16, ["t", "b", 3])}, ["Y"], half)
    refuses(
        lambda: bptt.onnx.load(proto),
        ValueError,
        "model: RNN 'the_RNN': W: expected float32 or float64, got float16",
    )


def test_a_scan_is_refused() -> None:
    proto = bptt.onnx.to_onnx(bptt.JordanRNN(3, 4, 2))
    message = f"model: Scan 'recurrence': {AN_OPERATOR} Scan with body, num_scan_inputs"
    refuses(lambda: bptt.onnx.load(proto), ValueError, message)


def test_arguments(tmp_path: Path) -> None:
    any_load: Any = bptt.onnx.load
    message = "model: expected a path, bytes or an onnx.ModelProto, got int"
    refuses(lambda: any_load(3), TypeError, message)
    message = "output: expected one of 'softmax', 'sigmoid', 'linear', got 'tanh'"
    refuses(lambda: any_load(b"", output="tanh"), ValueError, message)
    with pytest.raises(FileNotFoundError):
        any_load(tmp_path / "none.onnx")
    path = tmp_path / "text.onnx"
    path.write_text("no model at all")
    with pytest.raises(ValueError, match=rf"^{path}: expected a model of ONNX: "):
        any_load(path)
    with pytest.raises(ValueError, match=r"^model: expected a model of ONNX: "):
        any_load(b"")


def test_what_export_has_noted_is_checked() -> None:
    proto = bptt.onnx.to_onnx(bptt.ElmanRNN(3, 4, 2))
    for text, message in (
        ("[", "metadata 'bptt': "),
        ('{"output": "tanh", "metadata": {}}', "metadata 'bptt': expected an output unit and metadata, got "),
        ('{"output": "linear"}', "metadata 'bptt': expected an output unit and metadata, got "),
    ):
        proto.metadata_props[0].value = text
        with pytest.raises(ValueError, match=f"^model: {message}"):
            bptt.onnx.load(proto)


def test_damaged_files_are_refused_or_are_networks() -> None:
    """Bytes that were changed, taken out or put in: an error of the one kind, or a network."""
    rng, outcomes = random.Random(0), {"network": 0, "refused": 0}
    files = [model(network(row), row).SerializeToString() for row in ELMAN_ROWS[::4]]
    for _ in range(600):
        data = bytearray(rng.choice(files))
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(len(data))
            change = rng.randrange(3)
            if change == 0:
                data[at] = rng.randrange(256)
            elif change == 1:
                del data[at : at + rng.randrange(1, 20)]
            else:
                data[at:at] = rng.randbytes(rng.randrange(1, 5))
        try:
            bptt.onnx.load(bytes(data))
            outcomes["network"] += 1
        except ValueError as error:
            outcomes["refused"] += str(error).startswith("model: ")
    assert sum(outcomes.values()) == 600, "each refusal has its name"
    assert min(outcomes.values()) > 10, outcomes
