"""Files that are valid but not ours: every value of a real file's JSON, and every array, replaced by wrong ones."""

from __future__ import annotations

import functools
import json
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import bptt
from bptt.app import options
from damaged_files import in_time, mutants, parts_of, wrong_arrays
from problems import Array
from results import same_bits

# ---- Checkpoints ----


def checkpoint_file(arrays: dict[str, Array], text: str) -> bytes:
    """A checkpoint whose checksum is right, whatever it holds."""
    value = zlib.crc32(text.encode())
    for name in sorted(arrays):
        value = zlib.crc32(repr((name, arrays[name].shape, arrays[name].dtype.str)).encode(), value)
        value = zlib.crc32(arrays[name].tobytes(), value)
    return save(arrays, {"bptt.checkpoint": text, "bptt.checkpoint.crc32": f"{value:08x}"})


KINDS = ("windows", "batches", "fresh")


def fresh(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.standard_normal((9, 4, 3)).astype(np.float32), rng.integers(0, 2, (9, 4))


def mean_of_the_first(y: Array, y_hat: Array) -> Any:
    return y_hat[:, 0].mean()


class Run:
    """A run of `fit` that has a checkpoint in the middle of a pass."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path, random = path, np.random.default_rng(0)
        self.x, self.y = random.standard_normal((30, 4, 3)).astype(np.float32), random.integers(0, 2, (30, 4))
        self.data: dict[str, Any] = {"x": self.x, "y": self.y}
        more: dict[str, Any] = {"batch_size": 2}
        if kind == "windows":
            more = {"truncate": 10, "updates_per_epoch": 2}
        elif kind == "fresh":
            self.data = {"x": bptt.Batches(fresh, steps=2)}
            more = {"metrics": {"first": mean_of_the_first}, "schedule": bptt.schedules.ReduceOnPlateau(patience=0)}
        self.options: dict[str, Any] = {
            **more,
            "validation": (self.x[:5], self.y[:5]),
            "patience": 50,
            "checkpoint": path,
            "progress": False,
        }
        self.kind = kind
        self.fit(self.network(), self.optimizer(), epochs=2)

    def network(self) -> Any:
        return bptt.ElmanRNN(3, (4, 3) if self.kind == "windows" else 4, 2, seed=0)

    def optimizer(self) -> bptt.Optimizer:
        return bptt.Adam(0.01) if self.kind == "windows" else bptt.SGD(0.01, momentum=0.9, nesterov=True)

    def fit(self, rnn: Any, optimizer: bptt.Optimizer, **options: Any) -> bptt.History:
        history: bptt.History = rnn.fit(optimizer=optimizer, **{**self.data, **self.options, **options})
        return history

    def outcome(self, data: bytes) -> str:
        """How a run that is to go on from these data ends: with an error that it has checked, or not."""
        self.path.write_bytes(data)
        rnn, optimizer = self.network(), self.optimizer()
        before, configuration = rnn.parameters.copy(), optimizer.configuration()
        begin = time.process_time()
        try:
            self.fit(rnn, optimizer, epochs=3, resume=True)
        except ValueError as error:
            seconds = time.process_time() - begin
            message = str(error)
            assert message.startswith((f"{self.path}: expected a checkpoint: ", "resume: expected "))
            assert len(message) < 1000 + len(str(self.path))
            assert "\n" not in message
            assert in_time(seconds, lambda: self.fit(rnn, optimizer, epochs=3, resume=True))
            assert same_bits(rnn.parameters, before)
            assert optimizer.configuration() == configuration
            assert optimizer.updates == 0
            return message
        return ""


# What may stand there too: a run that can be gone on from as well as this one. None: nothing.
Fits = dict[tuple[Any, ...], list[str | None]]
HYPER = ("position", "hyper_parameters")
_FITS: Fits = {
    # As in earlier versions
    **{("identity", "network", name): [None] for name in ("activation", "bidirectional", "leak", "learn_h0")},
    **{("identity", "settings", name): [None] for name in ("clip_norm", "clip_value")},
    ("position", "seed"): ["0"],
    ("position", "stopped"): ['""'],
    ("position", "lr"): ["0", "1.5", "18446744073709551616"],
    HYPER: [None, "null"],
    (*HYPER, "weight_decay"): ["0", "1.5", "18446744073709551616"],
}
FITS: dict[str, Fits] = {
    "windows": {
        **_FITS,
        ("identity", "settings", "batch_size"): [None],
        (*HYPER, "eps"): ["1.5", "18446744073709551616"],
        (*HYPER, "betas", 0): ["0"],
        (*HYPER, "betas", 1): ["0"],
    },
    "batches": {
        **_FITS,
        ("identity", "settings", "truncate"): [None],
        ("identity", "settings", "updates_per_epoch"): [None],
        (*HYPER, "nesterov"): ["true"],
    },
    "fresh": {
        **_FITS,
        **{("identity", "settings", name): [None] for name in ("truncate", "updates_per_epoch", "batch_size")},
        (*HYPER, "nesterov"): ["true"],
    },
}


def is_equal(text: str, wrong: str | None, path: tuple[Any, ...]) -> bool:
    """Whether what stands there is what stood there."""
    value = json.loads(text)
    for key in path:
        value = value[key]
    try:
        here = json.loads(wrong or "")
    except (ValueError, RecursionError):
        return False
    return bool(here == value) and (type(here) is type(value) or path[0] == "identity")


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_with_a_wrong_value_is_refused(kind: str, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", kind)
    arrays, texts = parts_of(run.path)
    text, refused = texts["bptt.checkpoint"], 0
    for path, wrong, other in mutants(text):
        message = run.outcome(checkpoint_file(arrays, other))
        expected = not is_equal(text, wrong, path) and wrong not in FITS[kind].get(path, [])
        assert bool(message) == expected, (path, wrong and wrong[:50], message)
        refused += expected
    assert refused > 1000


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_with_a_wrong_array_is_refused(kind: str, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", kind)
    arrays, texts = parts_of(run.path)
    refused = 0
    for what, other in wrong_arrays(arrays):
        assert run.outcome(checkpoint_file(other, texts["bptt.checkpoint"])), what
        refused += 1
    for values in (np.nan, np.inf):
        other = {**arrays, "epochs.updates": np.full_like(arrays["epochs.updates"], values)}
        assert run.outcome(checkpoint_file(other, texts["bptt.checkpoint"])), values
    assert refused > 100


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_checkpoint_is_gone_on_from(kind: str, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", kind)
    arrays, texts = parts_of(run.path)
    assert not run.outcome(checkpoint_file(arrays, texts["bptt.checkpoint"]))
    for texts in ({}, {"bptt.checkpoint": ""}, {"bptt": "{}"}):
        assert "expected a checkpoint: " in run.outcome(save(arrays, texts))


def test_hyper_parameters_that_a_callback_has_set_are_gone_on_with(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).standard_normal((30, 4, 3)), np.random.default_rng(1).integers(0, 2, (30, 4))

    def train(epochs: int, optimizer: Any, resume: bool = False) -> Any:
        rnn = bptt.ElmanRNN(3, 4, 2, seed=0)

        def change(history: bptt.History) -> None:
            if len(history.epochs) == 2:
                optimizer.nesterov, optimizer.momentum, optimizer.lr = False, 0.0, 0.05

        how: dict[str, Any] = {
            "checkpoint": tmp_path / f"{epochs > 2 and not resume}",
            "resume": resume,
            "callbacks": [change],
        }
        rnn.fit(x, y, optimizer=optimizer, epochs=epochs, batch_size=2, seed=0, progress=False, **how)
        return rnn

    first, second, third = (bptt.SGD(0.1, momentum=0.9, nesterov=True) for _ in range(3))
    whole = train(5, first)
    train(2, second)
    resumed = train(5, third, resume=True)
    assert repr(third) == repr(first) == "SGD(0.05, momentum=0.0, nesterov=False, weight_decay=0.0)"
    assert same_bits(resumed.parameters, whole.parameters)


# ---- Models ----


def refused_model(path: Path, data: bytes) -> str:
    """The error of `bptt.load`, checked; empty where there is none."""
    path.write_bytes(data)
    begin = time.process_time()
    try:
        bptt.load(path)
    except ValueError as error:
        message = str(error)
        assert in_time(time.process_time() - begin, lambda: bptt.load(path))
        assert message.startswith(f"{path}: ")
        assert len(message) < 1000 + len(str(path))
        return message
    return ""


MODELS: dict[str, Any] = {
    "elman": lambda: bptt.ElmanRNN(3, (4, 3), 2, bidirectional=True, seed=0),
    "jordan": lambda: bptt.JordanRNN(3, 4, 2, seed=0),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_a_wrong_value_is_refused(name: str, tmp_path: Path) -> None:
    path, rnn = tmp_path / "model", MODELS[name]()
    rnn.metadata = {"text": "a", "list": [1, {"x": None}]}
    rnn.save(path)
    tensors, texts = parts_of(path)
    text, refused = texts["bptt"], 0
    for at, wrong, other in mutants(text):
        message = refused_model(path, save(tensors, {"bptt": other}))
        if at[:1] == ("metadata",):  # which is the user's: any object will do, that JSON can hold
            too_deep = wrong is not None and len(wrong) > 10_000 and wrong[0] in "[{"
            expected = too_deep or (at == ("metadata",) and wrong is not None and wrong[0] != "{")
        else:  # without a number it is format 1
            expected = not is_equal(text, wrong, at) and (at, wrong) != (("format",), None)
        assert bool(message) == expected, (at, wrong and wrong[:50], message)
        refused += bool(message)
    assert refused > 200


@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_a_wrong_tensor_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    MODELS[name]().save(path)
    tensors, texts = parts_of(path)
    for what, other in wrong_arrays(tensors):
        assert refused_model(path, save(other, texts)), what
    for texts in ({}, {"bptt": ""}, {"bptt.checkpoint": "{}"}, {"x": "{}"}):
        assert refused_model(path, save(tensors, texts))


# ---- The models of the command line ----


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a model of it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text").write_text("abc\n" * 200)
    how = ["--updates", "1", "--hidden", "4", "--out", str(folder / "text.model")]
    assert options.main(["train", str(folder / "text"), *how]) == 0
    return folder


def test_commands_tell_in_a_line_what_is_wrong_with_a_model(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "_parser", functools.cache(options._parser))  # or half of the time would be its
    tensors, texts = parts_of(trained / "text.model")
    path, refused = tmp_path / "model", 0
    calls = [["info", str(path)], ["sample", str(path)]]
    capsys.readouterr()
    for at, wrong, other in mutants(texts["bptt"]):
        if at[:1] != ("metadata",):
            continue  # is refused before any command comes to it
        path.write_bytes(save(tensors, {"bptt": other}))
        for call in calls:
            begin = time.process_time()
            code = options.main(call)
            seconds = time.process_time() - begin
            output, errors = capsys.readouterr()
            if code != 0:
                assert code == 2, (at, wrong and wrong[:50])
                assert errors.startswith(f"bptt: {path}: ")
                assert len(errors.splitlines()) == 1
                assert in_time(seconds, functools.partial(options.main, call))
                capsys.readouterr()
                assert not output
                refused += 1
    assert refused > 40


def test_training_tells_in_a_line_what_is_wrong_with_its_checkpoint(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "run", tmp_path / "model"
    how = ["--updates", "10", "--hidden", "4", "--out", str(out), "--checkpoint", str(path), "--resume"]
    command = ["train", str(trained / "text"), *how]
    assert options.main(command) == 0
    arrays, texts = parts_of(path)
    out.unlink()
    capsys.readouterr()
    for name in ("updates", "epoch", "batch", "hyper_parameters"):
        for value in (None, 10**9, "x" * 1000, [0], {"x": 0}):
            told = json.loads(texts["bptt.checkpoint"])
            told["position"][name] = value
            if name == "hyper_parameters" and value is None:
                continue  # as earlier versions have it
            path.write_bytes(checkpoint_file(arrays, json.dumps(told)))
            assert options.main(command) == 2
            line = capsys.readouterr().err
            assert line.startswith(f"bptt: --checkpoint {path}: expected a checkpoint: ")
            assert line.count("\n") == 1
            assert not out.exists()
