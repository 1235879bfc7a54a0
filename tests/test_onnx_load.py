"""`bptt.onnx.load`: what `export`, PyTorch and others write is the same network here, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refusals import refuses

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")

import bptt  # noqa: E402
import bptt.onnx  # noqa: E402  (which needs onnx)
from onnx_models import ELMAN_ROWS, NUMBERS, RNN, TWO_DIRECTIONS, H, N, made, model, network, node  # noqa: E402
from pairs import Row  # noqa: E402

FAR = 2**31 - 1


# ---- What `export` writes ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "row", ELMAN_ROWS, ids=lambda row: "-".join(str(value).replace(" ", "") for value in row.values())
)
def test_a_round_trip_is_the_same_network_to_the_bit(row: Row, dtype: str) -> None:
    rnn = network(row, dtype=dtype)
    rnn.metadata = {"alphabet": ["a", "b"]}
    rnn.parameters[::3] *= -1
    rnn.parameters[::5] = -0.0
    back = bptt.onnx.load(model(rnn, row, dtype=dtype))
    if row["outputs"] == ("h",):  # the readout is not in the graph: what the lowest layers are is, and h comes out
        for mine, its in zip(rnn.layers, back.layers, strict=True):
            assert [mine.U.tobytes(), mine.W.tobytes(), mine.b.tobytes()] == [
                its.U.tobytes(),
                its.W.tobytes(),
                its.b.tobytes(),
            ]
        assert (back.output, np.array_equal(back.V, np.eye(back.n_out))) == ("linear", True)
    else:
        assert back.configuration() == rnn.configuration()
        assert back.parameters.tobytes() == rnn.parameters.tobytes()
    assert back.metadata == rnn.metadata


def test_a_model_is_a_file_bytes_or_a_proto(tmp_path: Path) -> None:
    rnn = bptt.ElmanRNN(3, 4, 2, seed=0)
    path = tmp_path / "network.onnx"
    bptt.onnx.export(rnn, path)
    for given in (path, str(path), path.read_bytes(), onnx.load(path)):
        assert bptt.onnx.load(given).parameters.tobytes() == rnn.parameters.tobytes()
    onnx.save(
        onnx.load(path), tmp_path / "apart.onnx", save_as_external_data=True, size_threshold=0, location="numbers"
    )
    assert (tmp_path / "numbers").stat().st_size >= rnn.parameters.nbytes
    assert bptt.onnx.load(tmp_path / "apart.onnx").parameters.tobytes() == rnn.parameters.tobytes()
    (tmp_path / "numbers").unlink()
    with pytest.raises(ValueError, match=r"apart\.onnx: "):
        bptt.onnx.load(tmp_path / "apart.onnx")


# ---- Public test vectors ----

ONNX_RUNTIME = 5e-7  # of float32 results written with 8 or 9 digits; the standard's are below 1e-6, see test_vectors.py


def of_directions(case: Any, ones: Any, layout: int, **attributes: Any) -> Any:
    """A model of one RNN node with these directions of a case; its lengths and its states are inputs."""
    n, n_in, batch = case["n_hidden"], case["n_in"], case["batch"]
    f32 = np.float32
    numbers = {
        "W": np.array([one["U"] for one in ones], f32),
        "R": np.array([one["W"] for one in ones], f32),
        "B": np.array([np.concatenate([one["b_input"], one["b_recurrent"]]) for one in ones], f32),
    }
    attributes = {
        "hidden_size": n,
        "activations": [{"tanh": "Tanh", "relu": "Relu"}[one["activation"]] for one in ones],
        "direction": "bidirectional" if len(ones) == 2 else ones[0]["direction"],
        "layout": layout,
        **attributes,
    }
    return made(
        [node("RNN", "x W R B sequence_lens initial_h", "Y Y_h", **attributes)],
        {
            "x": (f32, [batch, "tau", n_in] if layout else ["tau", batch, n_in]),
            "sequence_lens": (np.int32, [batch]),
            "initial_h": (f32, [batch, len(ones), n] if layout else [len(ones), batch, n]),
        },
        ["Y", "Y_h"],
        numbers,
    )


def ort_cases(data: Path) -> list[Any]:
    cases: list[Any] = json.loads((data / "vectors" / "ort_rnn.json").read_text())["cases"]
    return cases


def check(rnn: bptt.ElmanRNN, x: Any, h0: Any, lengths: Any, expected: Any, last: Any, tolerance: float) -> None:
    run = rnn.forward(np.asarray(x, np.float32), h0=h0, lengths=lengths)
    found = [np.asarray(one) for one in (run.h_last[0] if rnn.bidirectional else (run.h_last,))]
    assert np.abs(np.stack(found) - np.asarray(last)).max() <= tolerance * max(1.0, np.abs(last).max())
    if expected is not None:
        assert run.h.shape == np.shape(expected)
        assert np.abs(run.h - np.asarray(expected)).max() <= tolerance * max(1.0, np.abs(expected).max())
        assert run.o.tobytes() == run.h.tobytes(), "without a readout, the states come out"


@pytest.mark.parametrize("layout", [0, 1])
def test_the_vectors_of_onnx_runtime(layout: int, data: Path) -> None:
    checked: list[str] = []
    for case in ort_cases(data):
        ones = case["directions"]
        activations = {one["activation"] for one in ones}
        if len(ones) == 2 and len(activations) == 1:
            rnn = bptt.onnx.load(of_directions(case, ones, layout))
            h0 = [tuple(np.array(one["h0"], np.float32) for one in ones)]
            h = np.concatenate([one["h"] for one in ones], axis=2)
            check(rnn, case["x"], h0, case["lengths"], h, [one["h_last"] for one in ones], ONNX_RUNTIME)
            checked.append("both")
        for one in ones:  # each by itself, and the reverse one over sequences from their end
            rnn = bptt.onnx.load(of_directions(case, [{**one, "direction": "forward"}], layout))
            assert rnn.activation == one["activation"]
            backwards = one["direction"] == "reverse"
            x, h = (one["x_fwd"], one["h_fwd"]) if backwards else (case["x"], one["h"])
            check(rnn, x, np.array(one["h0"], np.float32), case["lengths"], h, [one["h_last"]], ONNX_RUNTIME)
            checked.append(one["activation"])
    assert sorted(set(checked)) == ["both", "relu", "tanh"]
    assert len(checked) == 18


def test_what_of_the_vectors_no_network_is(data: Path) -> None:
    refused = []
    for case in ort_cases(data):
        ones = case["directions"]
        if len(ones) == 1 and ones[0]["direction"] == "reverse":
            message = (
                "model: RNN 'the_RNN': direction: expected 'forward' or 'bidirectional', got 'reverse'; "
                "give a forward node the sequences from their end"
            )
        elif len({one["activation"] for one in ones}) == 2:
            message = (
                "model: RNN 'the_RNN': activations: expected ['Tanh', 'Tanh'] or ['Relu', 'Relu'], got ['Relu', 'Tanh']"
            )
        else:
            continue
        refuses(lambda case=case, ones=ones: bptt.onnx.load(of_directions(case, ones, 0)), ValueError, message)  # type: ignore[misc]
        refused.append(case["name"])
    assert refused == ["reverse_direction_zigged_batch", "reverse_direction", "bidirectional_with_sequence_lens"]


@pytest.mark.parametrize("name", ["defaults", "initial_bias", "seq_length", "batchwise"])
@pytest.mark.parametrize("layout", [0, 1])
def test_the_vectors_of_the_standard(name: str, layout: int, data: Path) -> None:
    with np.load(data / "vectors" / "onnx_nodes.npz", allow_pickle=False) as arrays:
        case = {key.partition("/")[2]: arrays[key] for key in arrays if key.startswith(f"{name}/")}
    n, n_in = case["U"].shape
    numbers = {"W": case["U"][None], "R": case["W"][None]}
    numbers["B"] = np.concatenate([case["b_input"], case["b_recurrent"]])[None]
    inputs = "x W R B" if numbers["B"].any() else "x W R"  # the default of B is 0
    proto = made(
        [node("RNN", inputs, "- Y_h", hidden_size=n, layout=layout)],
        {"x": (np.float32, ["a", "b", n_in])},
        ["Y_h"],
        numbers,
    )
    rnn = bptt.onnx.load(proto)
    assert rnn.readout == "last", "nothing else comes out"
    check(rnn, case["x"], case["h0"], None, None, case["h_last"][None], 1e-6)
    assert np.abs(rnn.forward(case["x"]).o - case["h_last"]).max() <= 1e-6


# ---- Models as others write them ----


def load(nodes: Any, output: str = "o", x: Any = (np.float32, ["tau", "batch", 3]), **more: Any) -> bptt.ElmanRNN:
    return bptt.onnx.load(made(nodes, {"x": x, **more}, [output], NUMBERS))


def expected(x: Any, readout: str = "all", **options: Any) -> Any:
    """The network of RNN and the readout, beside what any of these models makes of it."""
    rnn = bptt.ElmanRNN(3, N, 2, output="linear", readout=readout, init=None, **options)  # type: ignore[arg-type]
    rnn.U, rnn.W, rnn.V, rnn.c = NUMBERS["W"][0], NUMBERS["R"][0], NUMBERS["V"], NUMBERS["c"]
    rnn.b = NUMBERS["B"][0, :N] + NUMBERS["B"][0, N:]
    return rnn


ROWS_OF_H = [*H, node("Reshape", "h rows", "rows_of_h")]
SAME = {  # each is the RNN with V and c, or as much of it
    "MatMul, Add": ([*H, node("MatMul", "h VT", "p"), node("Add", "c p", "o")], "all"),
    "batch first": (
        [
            node("RNN", "x W R B", "Y Y_h", hidden_size=N, layout=1),
            node("Squeeze", "Y twos", "h"),
            node("MatMul", "h VT", "p"),
            node("Add", "p c", "o"),
        ],
        "all",
    ),
    "turned": (
        [
            node("Transpose", "x", "turned", perm=[1, 0, 2]),
            node("RNN", "turned W R B", "Y Y_h", hidden_size=N),
            node("Squeeze", "Y ones", "h"),
            node("Transpose", "h", "back", perm=[1, 0, 2]),
            node("MatMul", "back VT", "p"),
            node("Add", "p c", "o"),
        ],
        "all",
    ),
    "Gemm of the last state": (
        [RNN, node("Squeeze", "Y_h zeros", "last"), node("Gemm", "last V c", "o", transB=1)],
        "last",
    ),
    "Gemm of the last step": ([*H, node("Gather", "h minus_1", "last"), node("Gemm", "last VT c", "o")], "last"),
    "slice of the last step": (
        [
            *H,
            node("Slice", "h minus_ones far zeros", "end"),
            node("Squeeze", "end zeros", "last"),
            node("Gemm", "last VT c", "o"),
        ],
        "last",
    ),
    "last step of the outputs": (
        [*H, node("MatMul", "h VT", "p"), node("Add", "p c", "q"), node("Gather", "q minus_1", "o", axis=0)],
        "last",
    ),
    "Gemm of rows": (
        [
            *ROWS_OF_H,
            node("Gemm", "rows_of_h VT c", "p"),
            node("Shape", "x", "sizes"),
            node("Slice", "sizes zeros twos", "first"),
            node("Concat", "first twos", "shape", axis=0),
            node("Reshape", "p shape", "o"),
        ],
        "all",
    ),
    "states of zeros": (
        [
            node("Shape", "x", "sizes"),
            node("Gather", "sizes ones", "batch"),
            node("Concat", "ones batch ones", "shape", axis=0),
            node("Expand", "h_zeros shape", "initial"),
            node("RNN", "x W R B - initial", "Y Y_h", hidden_size=N),
            node("Squeeze", "Y ones", "h"),
            node("MatMul", "h VT", "p"),
            node("Add", "p c", "o"),
        ],
        "all",
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_models_that_are_the_same_network(name: str) -> None:
    nodes, readout = SAME[name]
    rnn, same = load(nodes), expected(None, readout)
    assert rnn.configuration() == same.configuration()
    assert rnn.parameters.tobytes() == same.parameters.tobytes()


X = np.random.default_rng(1).standard_normal((7, 2, 3)).astype(np.float32)


def test_alpha_and_beta_of_gemm() -> None:
    last = [RNN, node("Squeeze", "Y_h zeros", "last")]
    rnn = load([*last, node("Gemm", "last V c", "o", transB=1, alpha=0.5, beta=2.0)])
    assert np.array_equal(rnn.V, NUMBERS["V"] / 2)
    assert np.array_equal(rnn.c, NUMBERS["c"] * 2)
    assert not load([*last, node("Gemm", "last VT", "o")]).c.any()


def test_output_units() -> None:
    o = [*H, node("MatMul", "h VT", "o")]
    for operator, unit in (("Softmax", "softmax"), ("Sigmoid", "sigmoid")):
        more = {"axis": 2} if operator == "Softmax" else {}
        assert load([*o, node(operator, "o", "y", **more)], "y").output == unit
    assert load(o).output == "linear"
    proto = made(o, {"x": (np.float32, [None, None, 3])}, ["o"], NUMBERS)
    assert bptt.onnx.load(proto, output="softmax").output == "softmax"
    proto = made([*o, node("Sigmoid", "o", "y")], {"x": (np.float32, [None, None, 3])}, ["y", "o"], NUMBERS)
    assert bptt.onnx.load(proto, output="sigmoid").output == "sigmoid"
    message = "output: expected 'sigmoid', as the model has, or None, got 'softmax'"
    refuses(lambda: bptt.onnx.load(proto, output="softmax"), ValueError, message)


def test_what_is_before_a_layer_becomes_part_of_it() -> None:
    """A standardized input, a matrix, a table of tokens and one-hot vectors; rounded once, so within some 1e-7."""
    readout = [node("Squeeze", "Y ones", "h"), node("MatMul", "h VT", "p"), node("Add", "p c", "o")]
    same = expected(None)
    rnn = load(
        [
            node("Sub", "x shift", "x1"),
            node("Div", "x1 scale", "x2"),
            node("RNN", "x2 W R B", "Y Y_h", hidden_size=N),
            *readout,
        ]
    )
    wanted = same.forward((X - NUMBERS["shift"]) / NUMBERS["scale"]).o
    assert np.abs(rnn.forward(X).o - wanted).max() < 1e-6
    tokens = np.random.default_rng(2).integers(0, 3, (7, 2))
    kind = (np.int64, ["tau", "batch"])
    embedded = [node("Gather", "table x", "e"), node("RNN", "e W R B", "Y Y_h", hidden_size=N), *readout]
    rnn = load(embedded, x=kind)
    assert (rnn.n_in, rnn.input) == (5, "token")
    assert np.abs(rnn.forward(tokens).o - same.forward(NUMBERS["table"][tokens]).o).max() < 1e-6
    rnn = load(
        [node("OneHot", "x depth off_on", "e"), node("RNN", "e W R B", "Y Y_h", hidden_size=N), *readout], x=kind
    )
    assert rnn.parameters.tobytes() == same.parameters.tobytes()
    assert np.abs(rnn.forward(tokens).o - same.forward(np.eye(3, dtype=np.float32)[tokens]).o).max() < 1e-6
    two = [RNN, node("Squeeze", "Y ones", "h1"), node("MatMul", "h1 W2T", "h2")]
    two += [node("RNN", "h2 W2 R B", "Z Z_h", hidden_size=N), node("Squeeze", "Z ones", "o")]
    numbers = {**NUMBERS, "W2T": np.ascontiguousarray(NUMBERS["R"][0])}
    rnn = bptt.onnx.load(made(two, {"x": (np.float32, ["t", "b", 3])}, ["o"], numbers))
    assert np.abs(rnn.layers[1].U - NUMBERS["W2"][0] @ NUMBERS["R"][0].T).max() < 1e-6


def test_biases_that_are_made_in_the_graph() -> None:
    shape = {"shape": np.array([1, 2 * N])}
    for nodes in (
        [node("ConstantOfShape", "shape", "zeros_B")],
        [node("Expand", "h_zero shape", "zeros_B")],
    ):
        nodes = [*nodes, node("RNN", "x W R zeros_B", "Y Y_h", hidden_size=N)]
        numbers = {**NUMBERS, **shape, "h_zero": np.zeros((1, 1), np.float32)}
        rnn = bptt.onnx.load(made(nodes, {"x": (np.float32, ["t", "b", 3])}, ["Y"], numbers))
        assert np.array_equal(rnn.U, NUMBERS["W"][0])
        assert not rnn.b.any()


def test_two_directions_and_their_last_states() -> None:
    rnn = load(
        [
            node("RNN", "x WW RR BB", "Y Y_h", **TWO_DIRECTIONS),
            node("Gather", "Y_h zero", "forward"),
            node("Gather", "Y_h minus_1", "reverse"),
            node("Concat", "forward reverse", "both", axis=1),
            node("Gemm", "both VV c", "o", transB=1),
        ]
    )
    assert (rnn.bidirectional, rnn.readout, rnn.activation) == (True, "last", "relu")
    layer: Any = rnn.layers[0]
    assert np.array_equal(layer.reverse.U, NUMBERS["WW"][1])
    assert np.array_equal(layer.reverse.b, NUMBERS["BB"][1, :N] + NUMBERS["BB"][1, N:])
    assert np.array_equal(rnn.V, NUMBERS["VV"])
