"""What stops a run of `fit`: numbers that are not finite, by their place, and Ctrl-C at any moment."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import SGD, Adam, ElmanRNN, History, JordanRNN
from bptt.networks.trainee import Trainee
from bptt.training.checkpoint import Checkpoint
from problems import Array
from results import same_bits

QUIET: dict[str, Any] = {"progress": False}


def streams(tau: int = 60, batch: int = 4) -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    return random.standard_normal((tau, batch, 3)), random.standard_normal((tau, batch, 2))


def linear(kind: Any = ElmanRNN, **options: Any) -> Any:
    return kind(3, 8, 2, output="linear", dtype="float64", seed=1, **options)


# ---- Numbers that are not finite ----


@pytest.mark.parametrize(
    ("where", "value"),  # a target that is NaN is none
    [("x", np.nan), *((where, value) for where in "xy" for value in (np.inf, -np.inf))],
)
@pytest.mark.parametrize("form", ["windows", "batches", "list", "padded", "single"])
@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
def test_the_error_names_the_argument_and_the_place(kind: Any, form: str, where: str, value: float) -> None:
    x: Any
    y: Any
    x, y = streams()
    (x if where == "x" else y)[45, 2, 1] = value
    x[50, 0, 0] = np.nan  # comes later, or in another sequence
    options: dict[str, Any] = {"optimizer": SGD(1e-6), "epochs": 1, "clip_norm": 1.0, "seed": 0, **QUIET}
    options |= {"truncate": 7} if form == "windows" else {"batch_size": 1, "shuffle": False}
    place = "step 45 of sequence 2"
    if form == "list":
        x, y = list(x.swapaxes(0, 1)[1:]), list(y.swapaxes(0, 1)[1:])
        place = "step 45 of sequence 1"
    elif form == "padded":
        options["lengths"] = [50, 60, 60, 60]  # what is beyond is not read
    elif form == "single":
        x, y = x[:, 2], y[:, 2]
        place = "step 45 of sequence 0"
    elif form == "batches":
        x[50, 0, 0] = 0.0
    rnn = linear(kind)
    message = f"{where}: expected finite numbers, got {value} at {place}, column 1; the norm of the gradient is "
    with pytest.raises(FloatingPointError, match=rf"^update \d+ \(epoch 0\): {re.escape(message)}"):
        rnn.fit(x, y, **options)
    assert np.isfinite(rnn.parameters).all()


def test_a_target_of_the_last_step_has_no_step() -> None:
    x, y = streams()
    y[0, 2, 1] = np.inf
    with pytest.raises(
        FloatingPointError, match=r": y: expected finite numbers, got inf for sequence 2, column 1; the "
    ):
        linear(readout="last").fit(x, y[0], optimizer=SGD(0.1), epochs=1, **QUIET)


def test_what_is_not_read_is_not_blamed() -> None:
    """Targets of weight 0, and what is finite where parameters are not."""
    x, y = streams()
    weight = np.ones((60, 4))
    y[3, 1], weight[3, 1] = np.nan, 0
    rnn = linear()
    rnn.fit(x, y, weight=weight, optimizer=SGD(0.1), epochs=1, **QUIET)
    x[45, 2, 1] = np.nan
    with pytest.raises(FloatingPointError, match=": x: expected finite numbers, got nan at step 45 of sequence 2"):
        rnn.fit(x, y, weight=weight, optimizer=SGD(0.1), epochs=1, **QUIET)
    x[45, 2, 1] = 0.0
    rnn.V[0, 0] = np.inf
    with pytest.raises(FloatingPointError, match=r"^update 0 \(epoch 0\): the loss is (nan|inf); the norm"):
        rnn.fit(x, y, weight=weight, optimizer=SGD(0.1), epochs=1, **QUIET)


@pytest.mark.parametrize("where", ["x", "y"])
def test_validation_is_named_too(where: str) -> None:
    x, y = streams()
    held_out = {"x": x[:9].copy(), "y": y[:9].copy()}
    held_out[where][8, 3, 0] = value = np.nan if where == "x" else np.inf  # a target of NaN is none
    message = (
        rf"^epoch 0: validation: {where}: expected finite numbers, got {value} at step 8 of sequence 3, column 0; the "
    )
    with pytest.raises(FloatingPointError, match=message):
        linear().fit(x, y, optimizer=SGD(0.1), epochs=2, validation=held_out, batch_size=2, **QUIET)


def test_a_weight_is_refused_before_training() -> None:
    x, y = streams()
    weight = np.ones((60, 4))
    weight[7, 1] = np.nan
    message = r"weight: expected finite numbers of at least 0, got nan at step 7 of sequence 1$"
    with pytest.raises(ValueError, match=f"^{message}"):
        linear().fit(x, y, weight=weight, optimizer=SGD(0.1), epochs=1, **QUIET)
    with pytest.raises(ValueError, match=f"^validation: {message}"):
        linear().fit(x, y, optimizer=SGD(0.1), epochs=1, validation=(x, y, weight), **QUIET)


# ---- Ctrl-C ----


class Run:
    """Three epochs of two updates, each followed by two batches of validation, on a network of its own."""

    def __init__(self, path: Path) -> None:
        self.rnn, self.path = linear(), path

    def fit(self, resume: bool = False, **options: Any) -> History:
        x, y = streams(20)
        more: dict[str, Any] = {"checkpoint": self.path, "resume": resume, "validation": (x[:5], y[:5]), **options}
        history: History = self.rnn.fit(
            x, y, optimizer=Adam(0.01), epochs=3, batch_size=2, patience=3, seed=0, **more, **QUIET
        )
        return history


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def interrupt() -> None:
    bptt.interrupt()
    raise KeyboardInterrupt  # as the call under way does


def in_validation(batch: int, do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something in the batch of validation of this number, counted from 1."""
    original, made = Trainee.loss, [0]

    def loss(self: Trainee, *arguments: Any) -> float:
        made[0] += 1
        if made[0] == batch:
            do()
        return original(self, *arguments)

    monkeypatch.setattr(Trainee, "loss", loss)


@pytest.mark.parametrize(
    ("do", "batch", "epochs", "updates"),
    [
        *((press_ctrl_c, *row) for row in [(1, 0, 2), (2, 1, 2), (3, 1, 4), (5, 2, 6), (6, 3, 6)]),
        *((interrupt, *row) for row in [(1, 0, 2), (2, 0, 2), (3, 1, 4), (5, 2, 6), (6, 2, 6)]),
    ],
)
def test_an_interruption_of_validation(
    do: Callable[[], None], batch: int, epochs: int, updates: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is acted on after the batch under way, in the last validation too; the run is gone on from as any other."""
    whole, run = Run(tmp_path / "whole"), Run(tmp_path / "run")
    expected = whole.fit()
    with monkeypatch.context() as patch:
        in_validation(batch, do, patch)
        history = run.fit()
    assert (history.stopped, len(history.epochs), len(history.updates)) == ("interrupted", epochs, updates)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    checkpoint = Checkpoint.read(run.path)
    assert checkpoint is not None
    assert same_bits(checkpoint.arrays["parameters"], run.rnn.parameters), "the last ones"
    again = run.fit(resume=True)
    assert again.stopped == "epochs"
    assert same_bits(run.rnn.parameters, whole.rnn.parameters)
    assert same_bits(again.validation, expected.validation)


def test_ctrl_c_in_the_last_callback(tmp_path: Path) -> None:
    def press(history: History) -> None:
        if len(history.epochs) == 3:
            signal.raise_signal(signal.SIGINT)

    run = Run(tmp_path / "run")
    history = run.fit(callbacks=[press])
    assert (history.stopped, len(history.epochs)) == ("interrupted", 3)
    assert run.fit(resume=True).stopped == "epochs"


def test_a_second_ctrl_c_interrupts_at_once(tmp_path: Path) -> None:
    def press_twice(history: History) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path / "run").fit(callbacks=[press_twice])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
