"""`bptt.onnx.export`: ONNX Runtime, and the evaluator of ONNX itself, compute what `forward` computes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpreter import run_python
from refusals import refuses

onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
from onnx.reference import ReferenceEvaluator  # noqa: E402

import bptt  # noqa: E402
import bptt.onnx  # noqa: E402  (which needs onnx)
from onnx_models import (  # noqa: E402
    BATCH,
    ELMAN,
    ELMAN_ROWS,
    JORDAN,
    JORDAN_ROWS,
    LENGTHS,
    N_IN,
    as_ours,
    as_theirs,
    inputs_of,
    model,
    network,
    run,
    session,
    state_names,
    states_of,
)
from pairs import Row, assert_every_pair  # noqa: E402

pytestmark = pytest.mark.peers

# What is promised of float32. Both round, and tanh differs by some places: the largest difference seen is 4e-7.
PROMISED = 5e-6
FLOAT64 = 1e-13  # of a Scan in float64: some places of numbers near 1
PAGE = Path(__file__).parent.parent / "docs" / "onnx.md"
ROWS = [*ELMAN_ROWS, *JORDAN_ROWS]


def of_a_row(row: Row) -> str:
    return "-".join(str(value).replace(" ", "") for value in row.values())


def test_every_pair_of_options_occurs() -> None:
    assert_every_pair(ELMAN_ROWS, ELMAN)
    assert_every_pair(JORDAN_ROWS, JORDAN)


def feeds_and_run(rnn: Any, row: Row, dtype: str) -> tuple[dict[str, Any], Any]:
    """What a model is given, and what `forward` makes of the same."""
    feeds: dict[str, Any] = {"x": inputs_of(rnn, dtype)}
    given: dict[str, Any] = {}
    if row["state"] != "none":
        states = states_of(rnn, dtype)
        feeds.update(zip(state_names(rnn, True), states, strict=True))
        given["r0" if isinstance(rnn, bptt.JordanRNN) else "h0"] = as_ours(rnn, states)
    if row["lengths"]:
        feeds["sequence_lens"], given["lengths"] = np.array(LENGTHS, np.int32), LENGTHS
    return feeds, rnn.forward(feeds["x"], **given)


def compare(rnn: Any, outputs: Any, found: dict[str, Any], expected: Any, tolerance: float) -> None:
    assert list(found) == [*outputs, *state_names(rnn, False)]
    last = expected.r_last if isinstance(rnn, bptt.JordanRNN) else expected.h_last
    arrays = [(found[name], getattr(expected, name)) for name in outputs]
    arrays += zip([found[name] for name in state_names(rnn, False)], as_theirs(rnn, last), strict=True)
    for theirs, ours in arrays:
        assert theirs.shape == ours.shape
        assert theirs.dtype == ours.dtype
        assert np.abs(theirs - ours).max() <= tolerance


@pytest.mark.parametrize("row", ROWS, ids=of_a_row)
def test_onnx_runtime_computes_what_forward_does(row: Row) -> None:
    rnn, dtype = network(row), row.get("dtype", "float32")
    proto = model(rnn, row, dtype=dtype)
    onnx.checker.check_model(proto, full_check=True)
    feeds, expected = feeds_and_run(rnn, row, dtype)
    compare(rnn, row["outputs"], run(session(proto), feeds), expected, PROMISED if dtype == "float32" else FLOAT64)


@pytest.mark.parametrize(
    "row",
    # Those that the evaluator has: it steps in one direction, with tanh, through whole sequences, and knows no empty
    # outputs; and it has no optional state of several axes.
    [
        row
        for row in ROWS
        if "feedback" in row
        or not (row["bidirectional"] or row["activation"] == "relu" or row["lengths"] or row["readout"] == "last")
    ],
    ids=of_a_row,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_evaluator_of_onnx_computes_what_forward_does(row: Row, dtype: str) -> None:
    rnn = network(row, dtype=dtype)
    feeds, expected = feeds_and_run(rnn, row, dtype)
    found = run(ReferenceEvaluator(model(rnn, row, dtype=dtype)), feeds)
    compare(rnn, row["outputs"], found, expected, PROMISED if dtype == "float32" else FLOAT64)


def simple(**options: Any) -> Any:
    return bptt.ElmanRNN(N_IN, 5, 2, seed=0, init="uniform", **options)


def test_time_and_batch_are_free_and_named() -> None:
    proto = bptt.onnx.to_onnx(bptt.ElmanRNN(N_IN, (5, 4), 2, seed=0), sequence_lens=True, outputs=("o", "h"))
    sizes = {
        one.name: [axis.dim_param or axis.dim_value for axis in one.type.tensor_type.shape.dim]
        for one in (*proto.graph.input, *proto.graph.output)
    }
    assert sizes == {
        "x": ["tau", "batch", N_IN],
        "sequence_lens": ["batch"],
        "initial_h1": [1, "state_batch", 5],
        "initial_h2": [1, "state_batch", 4],
        "o": ["tau", "batch", 2],
        "h": ["tau", "batch", 4],
        "Y_h1": [1, "batch", 5],
        "Y_h2": [1, "batch", 4],
    }
    rnn = simple()
    of = session(bptt.onnx.to_onnx(rnn))
    for tau, batch in ((1, 1), (4, 2), (30, 5)):
        x = inputs_of(rnn, "float32", tau, batch)
        assert np.abs(run(of, {"x": x})["o"] - rnn.forward(x).o).max() <= PROMISED


@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_layer_is_one_node(bidirectional: bool) -> None:
    proto = bptt.onnx.to_onnx(bptt.ElmanRNN(N_IN, (5, 4, 3), 2, bidirectional=bidirectional, activation="relu"))
    nodes = [one for one in proto.graph.node if one.op_type == "RNN"]
    attributes = [{one.name: onnx.helper.get_attribute_value(one) for one in node.attribute} for node in nodes]
    assert [one["hidden_size"] for one in attributes] == [5, 4, 3]
    for one in attributes:
        assert one["direction"] == (b"bidirectional" if bidirectional else b"forward")
        assert one["activations"] == [b"Relu"] * (1 + bidirectional)


@pytest.mark.parametrize(
    "rnn",
    [
        simple(),
        bptt.ElmanRNN(N_IN, (5, 4), 2, activation="relu", input="token", seed=0),
        bptt.JordanRNN(N_IN, 5, 2, seed=0, init="uniform"),
        bptt.JordanRNN(N_IN, 5, 2, feedback="o", output="linear", seed=0, init="uniform"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("state", ["optional", "required"])
def test_steps_that_hand_on_the_state_are_the_whole_run(rnn: Any, state: Any) -> None:
    of = session(bptt.onnx.to_onnx(rnn, state=state))
    x = inputs_of(rnn, "float32")
    before, after = state_names(rnn, True), state_names(rnn, False)
    states = (
        {}
        if state == "optional"
        else {name: 0 * one for name, one in zip(before, states_of(rnn, "float32"), strict=True)}
    )
    o = []
    for x_t in x:
        found = run(of, {"x": x_t[None], **states})
        o.append(found["o"][0])
        states = {name: found[last] for name, last in zip(before, after, strict=True)}
    expected = rnn.forward(x)
    assert np.abs(np.stack(o) - expected.o).max() <= PROMISED
    last = expected.r_last if isinstance(rnn, bptt.JordanRNN) else expected.h_last
    for name, one in zip(before, as_theirs(rnn, last), strict=True):
        assert np.abs(states[name] - one).max() <= PROMISED


@pytest.mark.parametrize("rnn", [simple(), bptt.JordanRNN(N_IN, 5, 2, seed=0)], ids=["elman", "jordan"])
def test_a_state_may_be_left_out_or_given_for_one_sequence(rnn: Any) -> None:
    of, x = session(bptt.onnx.to_onnx(rnn)), inputs_of(rnn, "float32")
    (name,), (states,) = state_names(rnn, True), states_of(rnn, "float32")
    one = states[..., :1, :]
    initial = "r0" if isinstance(rnn, bptt.JordanRNN) else "h0"
    expected = rnn.forward(x, **{initial: as_ours(rnn, [np.repeat(one, BATCH, axis=-2)])})
    assert np.abs(run(of, {"x": x, name: one})["o"] - expected.o).max() <= PROMISED
    assert np.abs(run(of, {"x": x})["o"] - rnn.forward(x).o).max() <= PROMISED
    assert np.abs(expected.o - rnn.forward(x).o).max() > 0.01
    required = session(bptt.onnx.to_onnx(rnn, state="required"))
    with pytest.raises(ValueError, match=name):
        required.run(None, {"x": x})


def test_float64_is_rounded_for_onnx_runtime_or_kept() -> None:
    rnn = simple(dtype="float64")
    x = inputs_of(rnn, "float64")
    found = run(session(bptt.onnx.to_onnx(rnn)), {"x": x.astype(np.float32)})
    assert np.abs(found["o"] - rnn.forward(x).o).max() <= PROMISED
    kept = ReferenceEvaluator(bptt.onnx.to_onnx(rnn, dtype="float64")).run(None, {"x": x})
    assert np.abs(kept[1] - rnn.forward(x).o).max() <= FLOAT64
    rnn.V[0, 1] = 1e200
    message = "rnn: expected parameters that are finite in float32, got others in V.transposed"
    refuses(lambda: bptt.onnx.to_onnx(rnn), ValueError, message)
    bptt.onnx.to_onnx(rnn, dtype="float64")


def test_old_runtimes_can_read_it_and_it_says_what_it_is() -> None:
    rnn = simple()
    rnn.metadata = {"alphabet": "abc"}
    proto = bptt.onnx.to_onnx(rnn)
    assert (proto.ir_version, [(one.domain, one.version) for one in proto.opset_import]) == (7, [("", 14)])
    assert (proto.producer_name, proto.producer_version) == ("bptt", bptt.__version__)
    assert proto.doc_string == repr(rnn)
    assert [(one.key, one.value) for one in proto.metadata_props] == [
        ("bptt", '{"metadata": {"alphabet": "abc"}, "output": "softmax"}')
    ]
    assert {one.domain for one in proto.graph.node} == {""}


def test_the_file_is_the_model_whole_or_not_at_all(tmp_path: Path) -> None:
    path, rnn = tmp_path / "network.onnx", simple()
    bptt.onnx.export(rnn, path, outputs=["o"])
    before = path.read_bytes()
    assert before == bptt.onnx.to_onnx(rnn, outputs=["o"]).SerializeToString()
    bptt.onnx.export(rnn, path, outputs=["o"])
    assert path.read_bytes() == before, "equal networks, equal bytes"
    rnn.c[0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        bptt.onnx.export(rnn, path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["network.onnx"]
    with pytest.raises(FileNotFoundError):
        bptt.onnx.export(simple(), tmp_path / "none" / "network.onnx")


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    rnn: Any = simple()
    to_onnx: Any = bptt.onnx.to_onnx
    names = "'y_hat', 'o', 'h'"
    refuses(lambda: to_onnx(3), TypeError, "rnn: expected an ElmanRNN or a JordanRNN, got int")
    refuses(lambda: to_onnx(rnn, outputs="o"), TypeError, f"outputs: expected a sequence of {names}, got 'o'")
    refuses(lambda: to_onnx(rnn, outputs=["o", "Y"]), ValueError, f"outputs[1]: expected one of {names}, got 'Y'")
    refuses(lambda: to_onnx(rnn, outputs=["o", "o"]), ValueError, "outputs: expected each one once, got ['o', 'o']")
    refuses(lambda: to_onnx(rnn, sequence_lens=1), TypeError, "sequence_lens: expected True or False, got 1")
    message = "state: expected one of 'optional', 'required', 'none', got None"
    refuses(lambda: to_onnx(rnn, state=None), ValueError, message)
    message = "dtype: expected one of 'float32', 'float64', got 'float16'"
    refuses(lambda: to_onnx(rnn, dtype="float16"), ValueError, message)
    refuses(lambda: bptt.onnx.export(rnn, 3), TypeError, "path: expected a path, got int")  # type: ignore[arg-type]
    rnn.metadata = {"a": {1, 2}}
    with pytest.raises(TypeError, match=r"^metadata: expected what JSON can hold: "):
        to_onnx(rnn)
    rnn.metadata = {"a": (1, 2)}
    with pytest.raises(ValueError, match=r"^metadata: expected what JSON can hold and give back as it is"):
        to_onnx(rnn)
    monkeypatch.setattr("bptt.onnx.exporting._MOST", 100)
    message = "rnn: expected parameters of at most 100 bytes, as a file can have, got 228"
    refuses(lambda: to_onnx(simple()), ValueError, message)


def test_an_option_that_files_do_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What networks learn later is not left out silently."""
    rnn = simple()
    told = rnn.configuration()
    monkeypatch.setattr(bptt.ElmanRNN, "LATER_KEYS", {**bptt.ElmanRNN.LATER_KEYS, "speed": 1.0})
    monkeypatch.setattr(bptt.ElmanRNN, "configuration", lambda self: {**told, "speed": 0.5})
    refuses(lambda: bptt.onnx.to_onnx(rnn), ValueError, "rnn: expected speed=1.0, as ONNX has it, got 0.5")
    monkeypatch.setattr(bptt.ElmanRNN, "configuration", lambda self: {**told, "speed": 1.0})
    bptt.onnx.to_onnx(rnn)


def test_the_program_on_the_page_says_what_it_should(tmp_path: Path) -> None:
    program = re.findall(r"```{example}\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    done = run_python(f"import os\nos.chdir({str(tmp_path)!r})\n{program}")
    assert done.stdout.split() == ["True"] * 3, done


def test_nothing_but_the_tests_needs_onnx_runtime() -> None:
    done = run_python("import sys\nsys.modules['onnxruntime'] = None\nimport bptt.onnx\nprint(bptt.onnx.__all__)")
    assert done.stdout == "['export', 'load', 'to_onnx']\n", done
