"""Other people's test vectors (ONNX Runtime, Keras, the ONNX standard), if BPTT_DATA names the folder that has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN
from problems import Array


def network(dtype: Any, U: Any, W: Any, b: Any, **options: Any) -> ElmanRNN:
    n_hidden, n_in = np.shape(U)
    rnn = ElmanRNN(n_in, n_hidden, 1, dtype=dtype, init=None, **options)
    rnn.U, rnn.W, rnn.b = U, W, b
    return rnn


def check(rnn: ElmanRNN, x: Any, h0: Any, lengths: Any, h: Any, h_last: Any, tolerance: float) -> None:
    """A forward pass, padded and as a list, against what is expected; None is not."""
    x, h0 = np.asarray(x, rnn.dtype), np.asarray(h0, rnn.dtype)
    run = rnn.forward(x, h0=h0, lengths=lengths)
    lengths = [len(x)] * x.shape[1] if lengths is None else lengths
    as_list = rnn.forward([x[:length, i] for i, length in enumerate(lengths)], h0=h0)
    for i, length in enumerate(lengths):
        assert run.h[:length, i].tobytes() == as_list.h[i].tobytes()
    assert h is not None or h_last is not None
    for found, expected in [(run.h, h), (run.h_last, h_last), (as_list.h_last, h_last)]:
        if expected is not None:
            assert np.shape(expected) == found.shape
            assert np.abs(found - np.asarray(expected)).max() <= tolerance * max(1.0, np.abs(expected).max())


# The expected values of ONNX Runtime are float32 results written with 8 or 9 digits, some steps of rounding off: of
# numbers up to 1, and of the largest where relu makes larger ones.
ONNX_RUNTIME = 5e-7


def test_onnx_runtime(data: Path, dtype: Any, isa: str) -> None:
    checked = 0
    for case in json.loads((data / "vectors" / "ort_rnn.json").read_text())["cases"]:
        for one in case["directions"]:
            rnn = network(dtype, one["U"], one["W"], one["b"], activation=one["activation"])
            x, h = (one["x_fwd"], one["h_fwd"]) if one["direction"] == "reverse" else (case["x"], one["h"])
            check(rnn, x, one["h0"], case["lengths"], h, one["h_last"], ONNX_RUNTIME)
            checked += 1
    assert checked == 14


def test_two_directions_of_onnx_runtime(data: Path, dtype: Any, isa: str) -> None:
    """Both directions in one network, each sequence reversed within its own length."""
    checked = 0
    for case in json.loads((data / "vectors" / "ort_rnn.json").read_text())["cases"]:
        if len(case["directions"]) != 2 or len({one["activation"] for one in case["directions"]}) != 1:
            continue
        rnn: Any = ElmanRNN(case["n_in"], case["n_hidden"], 1, bidirectional=True, dtype=dtype, init=None)
        forward, reverse = case["directions"]
        assert (forward["direction"], reverse["direction"]) == ("forward", "reverse")
        for to, of in ((rnn.layers[0], forward), (rnn.layers[0].reverse, reverse)):
            to.U, to.W, to.b = of["U"], of["W"], of["b"]
        x, lengths = np.asarray(case["x"], dtype), case["lengths"]
        h0 = [tuple(np.asarray(one["h0"], dtype) for one in (forward, reverse))]
        run = rnn.forward(x, h0=h0, lengths=lengths)
        expected = np.concatenate([forward["h"], reverse["h"]], axis=2)
        assert run.h.shape == expected.shape
        assert np.abs(run.h - expected).max() <= ONNX_RUNTIME
        for found, one in zip(run.h_last[0], (forward, reverse), strict=True):
            assert np.abs(found - np.asarray(one["h_last"])).max() <= ONNX_RUNTIME
        checked += 1
    assert checked == 4


def test_keras(data: Path, dtype: Any, isa: str) -> None:
    checked = 0
    for case in json.loads((data / "vectors" / "keras_simple_rnn.json").read_text())["cases"]:
        rnn = network(dtype, case["U"], case["W"], case["b"])
        x, h0, lengths = np.array(case["x_fwd"]), np.array(case["h0"]), case["lengths"]
        for _ in range(case["passes"] - 1):
            h0 = rnn.forward(x, h0=h0, lengths=lengths).h_last
        # Upstream's own tolerance: its constants have 8 digits, computed in float32.
        check(rnn, x, h0, lengths, None, case["expected_last"], 1e-6)
        if case["expected_h"] is not None:
            check_masked(rnn, case, x, h0)
        checked += 1
    assert checked == 9


def check_masked(rnn: ElmanRNN, case: Any, x: Array, h0: Array) -> None:
    """Keras's h has a row for masked steps too: the state before them, or 0."""
    run = rnn.forward(x, h0=h0, lengths=case["lengths"])
    for i, mask in enumerate(np.array(case["mask"]).T):
        steps = iter(run.h[:, i])
        state = h0[i]
        for expected, masked_in in zip(np.array(case["expected_h"])[:, i], mask, strict=True):
            state = next(steps) if masked_in else state
            shown = state if masked_in or not case["zero_output_for_mask"] else np.zeros_like(state)
            assert np.abs(shown - expected).max() <= 1e-6  # as above


@pytest.mark.parametrize("name", ["defaults", "initial_bias", "seq_length", "batchwise"])
def test_onnx_standard(name: str, data: Path, dtype: Any, isa: str) -> None:
    with np.load(data / "vectors" / "onnx_nodes.npz", allow_pickle=False) as arrays:
        case = {key.partition("/")[2]: arrays[key] for key in arrays if key.startswith(f"{name}/")}
    assert {"x", "U", "W", "b", "h0", "h_last"} <= set(case)
    rnn = network(dtype, case["U"], case["W"], case["b"])
    # Float32 results, of which one is nearly saturated: with a larger tolerance a transposed W would pass.
    check(rnn, case["x"], case["h0"], None, case.get("h"), case["h_last"], 1e-6)
