"""Metrics of `fit`: which targets and predictions they see, and that a resumed run has their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import SGD, Adam, ElmanRNN, History, JordanRNN
from bptt.networks.trainee import Trainee
from problems import Array
from results import same_bits

QUIET: dict[str, Any] = {"progress": False}


def accuracy(y: Array, y_hat: Array) -> float:
    return float((y_hat.argmax(-1) == y).mean())


def mean_square(y: Array, y_hat: Array) -> np.floating[Any]:
    error: np.floating[Any] = ((y - y_hat) ** 2).mean()
    return error


class Seen:
    """A metric that keeps what it is given."""

    def __init__(self) -> None:
        self.calls: list[tuple[Array, Array]] = []

    def __call__(self, y: Array, y_hat: Array) -> int:
        self.calls.append((y, y_hat))
        return len(y)


def data(form: str, output: str, readout: str) -> dict[str, Any]:
    """With weights, some of them 0, and classes of -1."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, 9, 40)
    if form == "batch":
        lengths[:] = 8
    shape = (8, 40) if readout == "all" else (40,)
    y = random.integers(-1, 2, shape) if output == "softmax" else random.random((*shape, 2)).astype(np.float32)
    given: dict[str, Any] = {"x": random.standard_normal((8, 40, 3)).astype(np.float32), "y": y, "lengths": lengths}
    given["weight"] = random.choice([0, 0.5, 2], shape).astype(np.float32)
    given["reset"] = random.random((8, 40)) < 0.2
    if form == "list":
        for name in ("x", "reset", *(("y", "weight") if readout == "all" else ())):
            given[name] = [given[name][:n, i] for i, n in enumerate(given["lengths"])]
        del given["lengths"]
    return given


@pytest.mark.parametrize("form", ["batch", "padded", "list"])
@pytest.mark.parametrize("output", ["softmax", "linear"])
@pytest.mark.parametrize("readout", ["all", "last"])
@pytest.mark.parametrize("validated", [True, False])
def test_a_metric_sees_the_targets_that_count_and_what_is_predicted(
    form: str, output: Any, readout: Any, validated: bool
) -> None:
    given, seen = data(form, output, readout), Seen()
    rnn = ElmanRNN(3, (5, 4), 2, output=output, readout=readout, bidirectional=True, seed=0)
    options: dict[str, Any] = {"optimizer": SGD(1e-3), "epochs": 2, "batch_size": 7, "metrics": {"n": seen}, **QUIET}
    if validated:
        some = np.random.default_rng(1).standard_normal((5, 2, 3))
        y = np.zeros((5, 2) if readout == "all" else 2, int)
        history = rnn.fit(some, y if output == "softmax" else np.zeros((*y.shape, 2)), validation=given, **options)
    else:
        history = rnn.fit(**given, **options)
    run = rnn.forward(given["x"], lengths=given.get("lengths"), reset=given["reset"])
    expected_y, expected_y_hat = [], []
    for i in range(40):
        if readout == "last":
            steps: list[Any] = [(given["y"][i], run.y_hat[i], given["weight"][i])]
        else:
            columns = (given["y"], run.y_hat, given["weight"])
            n = 8 if "lengths" not in given else given["lengths"][i]
            steps = list(zip(*(c[i] if form == "list" else c[:n, i] for c in columns), strict=True))
        for y_t, y_hat_t, weight in steps:
            if weight > 0 and (output != "softmax" or y_t >= 0):
                expected_y.append(y_t)
                expected_y_hat.append(y_hat_t)
    assert len(seen.calls) == 2
    y, y_hat = seen.calls[-1]
    assert y.dtype == (np.int64 if output == "softmax" else np.float32)
    assert same_bits(y, np.array(expected_y))
    assert same_bits(y_hat, np.array(expected_y_hat))
    assert history.epochs.n.tolist() == [len(y)] * 2


def test_a_single_sequence_and_a_network_that_runs_free() -> None:
    random = np.random.default_rng(0)
    x, y = random.standard_normal((20, 3)), random.integers(0, 2, 20)
    rnn, seen = JordanRNN(3, 6, 2, seed=0), Seen()
    rnn.fit(x, y, optimizer=SGD(0.1), epochs=1, truncate=7, metrics={"seen": seen}, **QUIET)
    assert same_bits(seen.calls[0][1], rnn.forward(x).y_hat)


def trained(path: Path | None = None, epochs: int = 6, resume: bool = False, **options: Any) -> tuple[Any, History]:
    random = np.random.default_rng(0)
    x, y = random.standard_normal((10, 12, 3)), random.integers(0, 2, (10, 12))
    rnn = ElmanRNN(3, 6, 2, seed=1)
    more: dict[str, Any] = {"batch_size": 5, "validation": (x[:, :6], y[:, :6]), "patience": 20, **QUIET, **options}
    if "metrics" not in more:
        more["metrics"] = {"accuracy": accuracy, "F1, more or less": lambda y, y_hat: np.array(y_hat.std())}
    return rnn, rnn.fit(x, y, optimizer=Adam(0.05), epochs=epochs, seed=0, checkpoint=path, resume=resume, **more)


def test_values_stand_in_the_history() -> None:
    history = trained()[1]
    assert list(history.epochs) == ["loss", "validation", "updates", "seconds", "accuracy", "F1, more or less"]
    assert same_bits(history.epochs.accuracy, history.epochs["accuracy"])
    assert len(set(history.epochs.accuracy)) > 1
    assert same_bits(history.loss, trained(metrics=None)[1].loss), "training is the same"
    random = np.random.default_rng(0)
    x, y = random.standard_normal((10, 12, 3))[:, :6], random.integers(0, 2, (10, 12))[:, :6]
    rnn, history = trained(epochs=2, patience=None)
    assert history.epochs.accuracy[-1] == (rnn.forward(x).y_hat.argmax(-1) == y).mean()


def test_callbacks_see_them() -> None:
    seen: list[float] = []
    history = trained(callbacks=[lambda history: seen.append(history.epochs["accuracy"][-1])])[1]
    assert seen == history.epochs.accuracy.tolist()


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_resumed_run_has_the_values_of_all_epochs(stop: int, tmp_path: Path) -> None:
    whole, expected = trained()
    trained(tmp_path / "c", stop)
    rnn, history = trained(tmp_path / "c", resume=True)
    assert same_bits(rnn.parameters, whole.parameters)
    for name in ("accuracy", "F1, more or less", "loss", "validation"):
        assert same_bits(history.epochs[name], expected.epochs[name])


def test_only_a_run_with_the_same_metrics_is_resumed(tmp_path: Path) -> None:
    trained(tmp_path / "c", 2)
    expected = re.escape(
        "resume: expected settings.metrics as in the checkpoint, ['F1, more or less', 'accuracy'], got "
    )
    with pytest.raises(ValueError, match=f"^{expected}None$"):
        trained(tmp_path / "c", resume=True, metrics=None)
    with pytest.raises(ValueError, match=rf"^{expected}\['accuracy'\]$"):
        trained(tmp_path / "c", resume=True, metrics={"accuracy": accuracy})
    trained(tmp_path / "d", 2, metrics={})
    assert len(trained(tmp_path / "d", 3, resume=True, metrics=None)[1].epochs) == 3, "none is none"


def test_they_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    history = trained(epochs=2, progress=True)[1]
    last = capfd.readouterr().err.splitlines()[-1]
    first, other = (history.epochs[name][-1] for name in ("accuracy", "F1, more or less"))
    assert f", accuracy {first:.4f}, F1, more or less {other:.4f}, " in last


def raises(y: Array, y_hat: Array) -> float:
    raise ValueError("no such class")


@pytest.mark.parametrize(
    ("metric", "error", "message"),
    [
        (raises, RuntimeError, "expected a number, got ValueError: no such class"),
        (lambda y: 1.0, RuntimeError, "expected a number, got TypeError: "),
        (lambda y, y_hat: None, TypeError, "expected a number, got NoneType"),
        (lambda y, y_hat: "0.5", TypeError, "expected a number, got str"),
        (lambda y, y_hat: y_hat, TypeError, "expected a number, got ndarray"),
        (lambda y, y_hat: True, TypeError, "expected a number, got bool"),
        (lambda y, y_hat: 10**400, TypeError, "expected a number that a float can be, got 1000"),
    ],
)
def test_what_a_metric_does_wrong_is_told_with_its_name(
    metric: Callable[..., Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=re.escape(f"epoch 0: metrics['mine']: {message}")) as raised:
        trained(tmp_path / "c", metrics={"accuracy": accuracy, "mine": metric})
    assert (raised.value.__cause__ is None) == (error is TypeError)
    # The run goes on from its checkpoint once the metric is mended.
    mended = {"accuracy": accuracy, "mine": mean_square_of_classes}
    rnn, history = trained(tmp_path / "c", resume=True, metrics=mended)
    whole, expected = trained(metrics=mended)
    assert same_bits(rnn.parameters, whole.parameters)
    assert same_bits(history.epochs.mine, expected.epochs.mine)


def mean_square_of_classes(y: Array, y_hat: Array) -> np.floating[Any]:
    return mean_square(np.eye(2)[y], y_hat)


def test_what_is_not_finite_is_a_value() -> None:
    history = trained(epochs=2, metrics={"mine": lambda y, y_hat: np.float32(np.nan)})[1]
    assert np.isnan(history.epochs.mine).all()


def test_a_metric_cannot_change_what_the_next_one_sees() -> None:
    def spoils(y: Array, y_hat: Array) -> float:
        y[...], y_hat[...] = 0, 0
        return 0.0

    history = trained(metrics={"spoils": spoils, "accuracy": accuracy})[1]
    assert same_bits(history.epochs.accuracy, trained()[1].epochs.accuracy)


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        (accuracy, TypeError, "metrics: expected a dict of functions by name, got function"),
        ([accuracy], TypeError, "metrics: expected a dict of functions by name, got list"),
        ({1: accuracy}, TypeError, "metrics: expected names that are texts, got 1"),
        ({"": accuracy}, ValueError, "metrics: expected names of printable characters, got ''"),
        ({"a\n": accuracy}, ValueError, r"metrics: expected names of printable characters, got 'a\n'"),
        (
            {"loss": accuracy},
            ValueError,
            "metrics: expected names other than loss, validation, updates, seconds, got 'loss'",
        ),
        ({"a": 3}, TypeError, "metrics['a']: expected a function of y and y_hat, got int"),
    ],
)
def test_what_is_refused(metrics: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        trained(metrics=metrics)


def test_an_interruption_between_batches_leaves_the_epoch_to_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, expected = trained()
    original, made = Trainee.y_hat, [0]

    def y_hat(self: Trainee, *arguments: Any) -> Any:
        made[0] += 1
        if made[0] == 3:  # the first of two batches after the second epoch
            bptt.interrupt()
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainee, "y_hat", y_hat)
        history = trained(tmp_path / "c")[1]
    assert (history.stopped, len(history.epochs), len(history.updates)) == ("interrupted", 1, 6)
    rnn, again = trained(tmp_path / "c", resume=True)
    assert same_bits(rnn.parameters, whole.parameters)
    assert same_bits(again.epochs.accuracy, expected.epochs.accuracy)


def test_functions_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    metrics = {
        "accuracy": lambda y, y_hat: sklearn.accuracy_score(y, y_hat.argmax(-1)),
        "auc": lambda y, y_hat: sklearn.roc_auc_score(y, y_hat[:, 1]),
    }
    history = trained(metrics=metrics)[1]
    assert history.epochs.accuracy == pytest.approx(trained()[1].epochs.accuracy)
    assert ((history.epochs.auc >= 0) & (history.epochs.auc <= 1)).all()
