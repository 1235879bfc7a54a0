"""Model files: what is written is read back to the bit, a damaged file is refused, a failed save leaves the old one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import bptt
from bptt import ElmanRNN, JordanRNN
from interpreter import run_python
from problems import LETTERS
from results import same_bits


def model(**options: Any) -> ElmanRNN:
    rnn = ElmanRNN(3, 5, 2, **{"seed": 0, **options})
    rnn.metadata = {"name": "a model", "numbers": [1, 2.5, None, True], "text": 'é"\n'}
    return rnn


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- Round trip ----


@pytest.mark.parametrize("readout", ["all", "last"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("input", ["real", "token"])
def test_round_trip(input: Any, output: Any, readout: Any, dtype: Any, tmp_path: Path) -> None:
    rnn = model(input=input, output=output, readout=readout, dtype=dtype)
    rnn.U[0, :3] = [np.nan, -0.0, np.finfo(dtype).smallest_subnormal]
    rnn.save(tmp_path / "model.safetensors")
    other = bptt.load(tmp_path / "model.safetensors")
    assert type(other) is ElmanRNN
    assert repr(other) == repr(rnn)
    assert same_bits(other.parameters, rnn.parameters)
    assert other.metadata == rnn.metadata
    assert other.parameters.flags.writeable
    assert other.parameters.ctypes.data % 64 == 0
    other.parameters += 1
    x = np.zeros((4, 3), dtype) if input == "real" else np.zeros(4, int)
    assert other.forward(x).h.shape == (4, 5)


@pytest.mark.parametrize("feedback", ["y_hat", "o"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("input", ["real", "token"])
def test_round_trip_of_an_output_recurrent_network(
    input: Any, output: Any, feedback: Any, dtype: Any, tmp_path: Path
) -> None:
    rnn = JordanRNN(3, 5, 2, input=input, output=output, feedback=feedback, dtype=dtype, seed=0)
    rnn.metadata = {"name": "another model"}
    rnn.save(tmp_path / "model.safetensors")
    other = bptt.load(tmp_path / "model.safetensors")
    assert type(other) is JordanRNN
    assert repr(other) == repr(rnn)
    assert same_bits(other.parameters, rnn.parameters)
    assert other.metadata == rnn.metadata
    x = np.ones((4, 3), dtype) if input == "real" else np.ones(4, int)
    assert same_bits(other.forward(x).o, rnn.forward(x).o)
    with safe_open(tmp_path / "model.safetensors", "numpy") as file:
        configuration = json.loads(file.metadata()["bptt"])
    assert configuration == {
        "format": 2,
        "network": "jordan",
        "n_in": 3,
        "n_hidden": 5,
        "n_out": 2,
        "input": input,
        "output": output,
        "feedback": feedback,
        "activation": "tanh",
        "dtype": dtype,
        "metadata": rnn.metadata,
    }


@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 1, 1), (2, 17, 40)])
def test_round_trip_of_sizes(sizes: tuple[int, int, int], kind: Any, tmp_path: Path) -> None:
    rnn = kind(*sizes, seed=0, init="uniform")
    rnn.save(tmp_path / "m")
    assert same_bits(bptt.load(tmp_path / "m").parameters, rnn.parameters)


NAMES = {
    (5, False): "U W b V c",
    ((5,), True): "U W b U_reverse W_reverse b_reverse V c",
    ((5, 4), False): "U1 W1 b1 U2 W2 b2 V c",
    ((5, 4), True): "U1 W1 b1 U1_reverse W1_reverse b1_reverse U2 W2 b2 U2_reverse W2_reverse b2_reverse V c",
}


@pytest.mark.parametrize(("n_hidden", "bidirectional"), NAMES)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_round_trip_of_layers(n_hidden: Any, bidirectional: bool, activation: Any, dtype: Any, tmp_path: Path) -> None:
    rnn = ElmanRNN(3, n_hidden, 2, activation=activation, bidirectional=bidirectional, dtype=dtype, seed=0)
    path = tmp_path / "model"
    rnn.save(path)
    other = bptt.load(path)
    assert repr(other) == repr(rnn)
    assert same_bits(other.parameters, rnn.parameters)
    tensors = load_file(path)
    names = NAMES[n_hidden, bidirectional].split()
    assert sorted(tensors) == sorted(names) == sorted(rnn.by_name())
    assert same_bits(np.concatenate([tensors[name].ravel() for name in names]), rnn.parameters.copy())
    if names[0] == "U1":
        assert same_bits(tensors["U2"], np.ascontiguousarray(rnn.layers[1].U))
    if bidirectional:
        assert rnn.layers[0].reverse is not None
        last = next(name for name in names if name.startswith("W") and name.endswith("_reverse"))
        assert same_bits(tensors[last], np.ascontiguousarray(rnn.layers[0].reverse.W))


def test_equal_models_are_equal_bytes(tmp_path: Path) -> None:
    first, second = model(), model()
    second.metadata = dict(reversed(second.metadata.items()))
    first.save(tmp_path / "first")
    second.save(tmp_path / "second")
    bptt.load(tmp_path / "first").save(tmp_path / "third")
    data = (tmp_path / "first").read_bytes()
    assert data == (tmp_path / "second").read_bytes() == (tmp_path / "third").read_bytes()
    second.c[0] = 1
    second.save(tmp_path / "second")
    assert data != (tmp_path / "second").read_bytes()


def test_others_can_read_the_file(dtype: Any, tmp_path: Path) -> None:
    rnn = model(dtype=dtype)
    path = tmp_path / "model.safetensors"
    rnn.save(path)
    tensors = load_file(path)
    assert sorted(tensors) == sorted(LETTERS)
    assert all(same_bits(tensors[letter], getattr(rnn, letter).copy()) for letter in LETTERS)
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    assert list(metadata) == ["bptt"]
    assert json.loads(metadata["bptt"]) == {
        "format": 2,
        "network": "elman",
        "n_in": 3,
        "n_hidden": 5,
        "n_out": 2,
        "input": "real",
        "output": "softmax",
        "readout": "all",
        "activation": "tanh",
        "bidirectional": False,
        "dtype": dtype,
        "metadata": rnn.metadata,
    }


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("plain", tmp_path / "é λ.safetensors", str(tmp_path / "text"), ".hidden"):
        model().save(path)
        assert repr(bptt.load(path)) == repr(model())
    model(output="linear").save("plain")  # what stands there is replaced
    assert bptt.load("plain").output == "linear"
    assert files(tmp_path) == [".hidden", "plain", "text", "é λ.safetensors"]


# ---- A damaged or foreign file ----


def refused(path: Path, message: str) -> None:
    """Loading is a ValueError that names the file and says what is wrong; `message` is a regular expression."""
    with pytest.raises(ValueError, match=f"^{re.escape(os.fspath(path))}: {message}") as raised:
        bptt.load(path)
    assert raised.type is ValueError


UNREADABLE = "expected a safetensors file"


def test_every_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    model().save(path)
    data = path.read_bytes()
    lengths = [*range(40), *range(40, len(data), 17), *range(len(data) - 20, len(data))]
    for length in lengths:
        path.write_bytes(data[:length])
        refused(path, UNREADABLE)
    for longer in (data + b"\0", data + data):
        path.write_bytes(longer)
        refused(path, UNREADABLE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 8,
        b"\0" * 100,
        b"\xff" * 100,
        b"Some text, which is no model.\n",
        b"PK\x03\x04" + b"\0" * 60,
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"null",
        (9).to_bytes(8, "little") + b'{"a": NaN',
        (2**40).to_bytes(8, "little") + b"{}",
    ],
    ids=["empty", "8 zeros", "zeros", "ones", "text", "archive", "list", "null", "no JSON", "long header"],
)
def test_no_safetensors_file(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(data)
    refused(path, UNREADABLE)


def test_every_spoilt_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    rnn = model()
    rnn.metadata = {}  # in which any text is right
    rnn.save(path)
    data = path.read_bytes()
    for i in range(8 + int.from_bytes(data[:8], "little")):
        path.write_bytes(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
        refused(path, "")


def write(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
    """A model's file after `change` of its tensors and its configuration."""
    rnn = model()
    rnn.save(path)
    tensors: dict[str, Any] = load_file(path)
    with safe_open(path, "numpy") as file:
        configuration = json.loads(file.metadata()["bptt"])
    change(tensors, configuration)
    save_file(tensors, path, {"bptt": json.dumps(configuration)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, c: t.pop("W"), "expected the tensors U, W, b, V, c, got U, V, b, c$"),
        (lambda t, c: t.clear(), "expected the tensors U, W, b, V, c, got none$"),
        (lambda t, c: t.update(X=np.zeros(1)), "expected the tensors U, W, b, V, c, got U, V, W, X, b, c$"),
        (lambda t, c: t.update(W=np.zeros((5, 4), np.float32)), r"W: expected the shape \[5, 5\], got \[5, 4\]$"),
        (lambda t, c: t.update(b=np.zeros((5, 1), np.float32)), r"b: expected the shape \[5\], got \[5, 1\]$"),
        (lambda t, c: t.update(U=t["U"].T.copy()), r"U: expected the shape \[5, 3\], got \[3, 5\]$"),
        (lambda t, c: t.update(V=t["V"].astype(np.float64)), "V: expected the dtype F32, got F64$"),
        (lambda t, c: t.update(c=np.zeros(2, np.int32)), "c: expected the dtype F32, got I32$"),
        (lambda t, c: c.update(dtype="float64"), "U: expected the dtype F64, got F32$"),
        (lambda t, c: c.update(n_hidden=6), r"U: expected the shape \[6, 3\], got \[5, 3\]$"),
        (lambda t, c: c.update(n_hidden=10**9), r"U: expected the shape \[1000000000, 3\], got \[5, 3\]$"),
        (
            lambda t, c: c.update(n_hidden=10**12),
            r"bad configuration: n_hidden: expected at most 2147483647, got 1000000000000$",
        ),
        (lambda t, c: c.update(n_in=-1), "bad configuration: n_in: expected at least 0, got -1$"),
        (lambda t, c: c.update(n_out="2"), "bad configuration: n_out: expected an int, got str$"),
        (lambda t, c: c.update(n_out=2.0), "bad configuration: n_out: expected an int, got float$"),
        (lambda t, c: c.update(n_out=None), "bad configuration: n_out: expected an int, got NoneType$"),
        (lambda t, c: c.update(input="onehot"), "bad configuration: input: expected one of .* got 'onehot'$"),
        (
            lambda t, c: c.update(output=["softmax"]),
            r"bad configuration: output: expected one of .* got \['softmax'\]$",
        ),
        (lambda t, c: c.update(readout=None), "bad configuration: readout: expected one of .* got None$"),
        (lambda t, c: c.update(activation="gelu"), "bad configuration: activation: expected one of .* got 'gelu'$"),
        (lambda t, c: c.update(bidirectional=0), "bad configuration: bidirectional: expected True or False, got 0$"),
        (
            lambda t, c: c.update(bidirectional=True),
            "expected the tensors U, W, b, U_reverse, W_reverse, b_reverse, V, c, ",
        ),
        (lambda t, c: c.update(n_hidden=[5, 4]), "expected the tensors U1, W1, b1, U2, W2, b2, V, c, got "),
        (
            lambda t, c: c.update(n_hidden=[5, 10**12]),
            r"bad configuration: n_hidden\[1\]: expected at most 2147483647, ",
        ),
        (lambda t, c: c.update(n_hidden=[]), "bad configuration: n_hidden: expected at least one layer, got none$"),
        (
            lambda t, c: c.update(n_hidden={"5": 1}),
            "bad configuration: n_hidden: expected an int or a sequence of ints, got dict$",
        ),
        (lambda t, c: c.update(n_hidden=[5] * 10**5), "expected the tensors U1, "),
        (lambda t, c: c.update(dtype="int32"), "bad configuration: dtype: expected one of .* got 'int32'$"),
        (lambda t, c: c.update(dtype={}), "bad configuration: "),
        (
            lambda t, c: c.update(network="lstm"),
            "bad configuration: expected the network 'elman' or 'jordan', got 'lstm'$",
        ),
        (lambda t, c: c.update(network=["elman"]), "bad configuration: expected the network 'elman' or 'jordan', got "),
        (
            lambda t, c: c.update(network="jordan"),
            "bad configuration: missing: feedback; unknown: bidirectional, readout$",
        ),
        *(  # what format 1 did not know is not made up in format 2
            (lambda t, c, key=key: c.pop(key), f"bad configuration: missing: {key}$")
            for key in ("activation", "bidirectional", "readout", "n_in")
        ),
        (
            lambda t, c: (c.pop("activation"), c.pop("bidirectional")),
            "bad configuration: missing: activation, bidirectional$",
        ),
        (
            lambda t, c: c.update({f"{i:03}": 0 for i in range(100)}),
            "bad configuration: unknown: 000, 001, .*, 015, and 84 more$",
        ),
        (lambda t, c: c.update({"x" * 10**6: 0}), "bad configuration: unknown: x{40}[.]{3}$"),
        (lambda t, c: c.update(n_hidden=[5] * 10**4), "expected the tensors U1, .*, b5, U6, and 29986 more, got U, V"),
        (lambda t, c: c.update(network="x" * 10**6), "bad configuration: expected the network .{1,80}$"),
        (
            lambda t, c: (c.pop("readout"), c.pop("bidirectional"), c.update(network="jordan", feedback="o")),
            r"W: expected the shape \[5, 2\], got",
        ),
        (lambda t, c: c.pop("network"), "bad configuration: expected the network 'elman' or 'jordan', got None$"),
        (lambda t, c: c.update(layers=2), "bad configuration: unknown: layers$"),
        (lambda t, c: c.update(init="identity"), "bad configuration: unknown: init$"),
        (
            lambda t, c: c.update(format=3),
            "bad configuration: expected a format from 1 to 2, got 3: a newer version may have written it$",
        ),
        (lambda t, c: c.update(format=0), "bad configuration: expected a format from 1 to 2, got 0$"),
        (lambda t, c: c.update(format="2"), "bad configuration: format: expected an int, got '2'$"),
        (lambda t, c: c.update(format=1.0), "bad configuration: format: expected an int, got 1.0$"),
        (lambda t, c: c.update(format=True), "bad configuration: format: expected an int, got True$"),
        (lambda t, c: c.update(format=[1] * 10**5), r"bad configuration: format: expected an int, got \[1, .{1,40}\]$"),
        (lambda t, c: c.update(format=9, gates=4), "bad configuration: expected a format from 1 to 2, got 9: "),
        (lambda t, c: c.update(metadata=[1]), "bad configuration: expected an object as metadata, got list$"),
    ],
)
def test_an_inconsistent_model(change: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write(path, change)
    refused(path, message)


def test_a_model_without_metadata_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "model", lambda t, c: c.pop("metadata"))
    assert bptt.load(tmp_path / "model").metadata == {}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "expected a model of bptt, got a file without the metadata key 'bptt'$"),
        ({"format": "pt"}, "expected a model of bptt, got a file without the metadata key 'bptt'$"),
        ({"bptt": "no JSON"}, "bad configuration: "),
        ({"bptt": ""}, "bad configuration: "),
        ({"bptt": "[1, 2]"}, "bad configuration: expected an object, got list$"),
        ({"bptt": "{}"}, "bad configuration: expected the network 'elman' or 'jordan', got None$"),
    ],
)
def test_a_foreign_safetensors_file(metadata: dict[str, str] | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({letter: np.zeros(1, np.float32) for letter in LETTERS}, path, metadata)
    refused(path, message)


@pytest.mark.parametrize("told", [{}, {"format": 1}])
def test_what_format_1_does_not_know_is_as_it_was(told: dict[str, Any], tmp_path: Path) -> None:
    def change(tensors: dict[str, Any], configuration: dict[str, Any]) -> None:
        for key in ("format", "activation", "bidirectional"):
            configuration.pop(key)
        configuration.update(told)

    write(tmp_path / "model", change)
    assert repr(bptt.load(tmp_path / "model")) == repr(model())


@pytest.mark.parametrize("wrong", [0, 3, True, None, 1.5, ["model"]])
def test_what_is_no_path(wrong: Any, tmp_path: Path) -> None:
    message = f"^path: expected a path, got {type(wrong).__name__}$"
    with pytest.raises(TypeError, match=message):
        bptt.load(wrong)
    with pytest.raises(TypeError, match=message):
        model().save(wrong)


def test_paths_may_be_bytes(tmp_path: Path) -> None:
    model().save(os.fsencode(tmp_path / "model"))  # type: ignore[arg-type]
    assert repr(bptt.load(os.fsencode(tmp_path / "model"))) == repr(model())  # type: ignore[arg-type]


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        bptt.load(tmp_path / "nothing")
    with pytest.raises(OSError, match=re.escape(tmp_path.name)):  # a folder: IsADirectoryError, but not on Windows
        bptt.load(tmp_path)


# ---- A failed save ----


def test_metadata_that_json_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "model"
    rnn = model()
    rnn.save(path)
    before = path.read_bytes()
    circle: list[Any] = []
    circle.append(circle)
    unfit: list[tuple[Any, type[Exception]]] = [
        ({"a": {1, 2}}, TypeError),
        ({"a": np.float32(1)}, TypeError),
        ({"a": float("nan")}, ValueError),
        ({"a": circle}, ValueError),
        ({(1, 2): 3}, TypeError),
    ]
    for wrong, error in unfit:
        rnn.metadata = wrong
        with pytest.raises(error, match=r"^metadata: expected what JSON can hold: "):
            rnn.save(path)
        assert path.read_bytes() == before
        assert files(tmp_path) == ["model"]


@pytest.mark.parametrize("function", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_a_failed_save_leaves_the_old_file(
    function: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    model().save(path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        assert path.read_bytes() == before, "the old file is whole while the new one is written"
        assert len(files(tmp_path)) == 2
        raise error

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(type(error)):
        model(output="linear").save(path)
    assert path.read_bytes() == before
    assert files(tmp_path) == ["model"]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(NotADirectoryError):
        model().save(tmp_path / "file" / "model")
    with pytest.raises(FileNotFoundError):
        model().save(tmp_path / "no such folder" / "model")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        model().save(tmp_path / "folder")
    assert files(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "no folder"


def test_errors_name_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        ElmanRNN(2, 3, 4).save(tmp_path / "none" / "m")
    assert str(caught.value) == f"[Errno 2] No such file or directory: '{tmp_path / 'none' / 'm'}'"


def test_a_checkpoint_is_no_model(tmp_path: Path) -> None:
    rnn = ElmanRNN(2, 3, 4, seed=0)
    x, y = np.zeros((5, 2, 2)), np.zeros((5, 2), int)
    rnn.fit(x, y, optimizer=bptt.SGD(0.1), epochs=1, checkpoint=tmp_path / "c", progress=False)
    with pytest.raises(ValueError, match="c: expected a model of bptt, got a checkpoint, from which `fit` goes on"):
        bptt.load(tmp_path / "c")


# ---- Files that earlier versions have written ----


DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("elman", model(seed=0)),
        (
            "elman_token",
            ElmanRNN(4, 6, 4, input="token", output="sigmoid", readout="last", dtype="float64", seed=1, init="uniform"),
        ),
        ("jordan", JordanRNN(2, 4, 3, output="linear", feedback="o", seed=2)),
    ],
)
def test_models_of_format_1(name: str, expected: Any, tmp_path: Path) -> None:
    old = DATA / f"{name}_format1.safetensors"
    with safe_open(old, "numpy") as file:
        assert "format" not in json.loads(file.metadata()["bptt"])
    rnn = bptt.load(old)
    assert repr(rnn) == repr(expected)
    assert rnn.metadata == {"elman": {"name": "of format 1"}, "elman_token": {}, "jordan": {"note": [1, None]}}[name]
    if name == "elman":
        expected.b = np.arange(5) / 8
    assert same_bits(rnn.parameters, expected.parameters), "a seed draws what it drew then"
    rnn.save(tmp_path / "new")
    with safe_open(tmp_path / "new", "numpy") as file:
        assert json.loads(file.metadata()["bptt"])["format"] == 2
    assert same_bits(bptt.load(tmp_path / "new").parameters, rnn.parameters)


RESUME = """
import sys
import numpy as np, bptt
from bptt.schedules import Cosine, Warmup

kind, checkpoint = sys.argv[1:]
random = np.random.default_rng(0)
x, y = random.standard_normal((60, 4, 3)).astype(np.float32), random.integers(0, 2, (60, 4))
rnn = {"elman": bptt.ElmanRNN, "jordan": bptt.JordanRNN}[kind](3, 8, 2, seed=0)
history = rnn.fit(x, y, optimizer=bptt.Adam(0.01), epochs=5, truncate=20, updates_per_epoch=2, clip_norm=0.5,
                  schedule=Warmup(2, Cosine(10)), validation=(x[:10], y[:10]), patience=3, seed=3, progress=False,
                  teacher_forcing=0.5 if kind == "jordan" else None, checkpoint=checkpoint, resume=True)
assert len(history.epochs) == 5
rnn.save(checkpoint + ".model")
"""


@pytest.mark.parametrize("kind", ["elman", "jordan"])
def test_checkpoints_of_format_1_are_resumed(kind: str, tmp_path: Path) -> None:
    """The checkpoint was written after 3 of 5 epochs, in the middle of a pass; then 5 epochs were trained in one go."""
    path = tmp_path / "run"
    path.write_bytes((DATA / f"{kind}_checkpoint_format1.safetensors").read_bytes())
    program = RESUME.replace("sys.argv[1:]", repr((kind, str(path))))
    done = run_python(program)
    assert done.returncode == 0, done.stderr
    resumed, expected = bptt.load(f"{path}.model"), bptt.load(DATA / f"{kind}_resumed_format1.safetensors")
    # Releases and instruction sets round differently: the gradients differ by some 1e-6 of themselves, and so do 10
    # updates with a rate of 0.01 at most.
    assert np.abs(resumed.parameters - expected.parameters).max() <= 1e-5


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_paths_that_no_file_has(tmp_path: Path, name: str) -> None:
    rnn, path = ElmanRNN(1, 1, 1, seed=0), str(tmp_path / name)
    for call in (lambda: rnn.save(path), lambda: bptt.load(path)):
        with pytest.raises(ValueError, match=r"^path: expected a path that a file can have, got "):
            call()
