"""`Batches`: what a function makes for each update, that it follows from the seed, and what is refused beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import SGD, Adam, Batches, ElmanRNN, History, JordanRNN
from bptt.training.checkpoint import Checkpoint
from problems import Array
from refusals import refuses
from results import same_bits

QUIET: dict[str, Any] = {"progress": False}
Rng = np.random.Generator


def make(rng: Rng) -> tuple[Array, Array]:
    tau, batch = rng.integers(3, 12, 2)
    x = rng.standard_normal((tau, batch, 3)).astype(np.float32)
    return x, (x.sum(-1) > 0).astype(int)


def make_list(rng: Rng) -> dict[str, Any]:
    lengths = rng.integers(1, 9, 5)
    x = [rng.standard_normal((n, 3)).astype(np.float32) for n in lengths]
    weight = [rng.choice(np.array([0.5, 1.0, 0.0], np.float32), n) for n in lengths]
    weight[0][0] = 1
    return {"x": x, "y": [(rows.sum(-1) > 0).astype(int) for rows in x], "weight": weight}


def make_padded(rng: Rng) -> dict[str, Any]:
    x, y = rng.standard_normal((8, 5, 3)).astype(np.float32), rng.integers(-1, 2, (8, 5))
    y[0] = 1
    return {"x": x, "y": y, "lengths": rng.integers(1, 9, 5), "reset": rng.random((8, 5)) < 0.2}


def walk(rng: Rng) -> Iterator[tuple[Array, Array]]:
    """Each batch depends on those before it in the epoch."""
    x = np.zeros((6, 4, 3), np.float32)
    while True:
        x = (0.9 * x + rng.standard_normal(x.shape)).astype(np.float32)
        yield x, (x.sum(-1) > 0).astype(int)


class Task:
    def __call__(self, rng: Rng) -> tuple[Array, Array]:
        return make(rng)


class Walk:
    def __call__(self, rng: Rng) -> Iterator[tuple[Array, Array]]:
        yield from walk(rng)


MAKERS: dict[str, Callable[[Rng], Any]] = {
    "tuple": make,
    "list": make_list,
    "padded": make_padded,
    "generator": walk,
    "object": Task(),
    "object with a generator": Walk(),
}
X = np.random.default_rng(9).standard_normal((7, 6, 3)).astype(np.float32)
HELD_OUT = X, (X.sum(-1) > 0).astype(int)


def trained(made: Any = make, epochs: int = 5, steps: int = 4, **options: Any) -> tuple[Any, History]:
    rnn = options.pop("rnn", None) or ElmanRNN(3, 6, 2, seed=1)
    more: dict[str, Any] = {"optimizer": Adam(0.02), "seed": 0, "clip_norm": 1.0, **QUIET, **options}
    return rnn, rnn.fit(Batches(made, steps=steps), epochs=epochs, **more)


class Killed(Exception):
    pass


def killed_at(update: int, maker: Callable[[Rng], Any]) -> Callable[[Rng], Any]:
    """A maker that raises instead of making the batch of this number."""
    made = [0]

    def count() -> None:
        if made[0] == update:
            raise Killed
        made[0] += 1

    def one(rng: Rng) -> Any:
        count()
        return maker(rng)

    def several(rng: Rng) -> Iterator[Any]:
        for batch in maker(rng):
            count()
            yield batch

    return several if maker in (walk, MAKERS["object with a generator"]) else one


# ---- What an update sees ----


def test_each_update_follows_a_fresh_batch() -> None:
    seen: list[Any] = []

    def keep(rng: Rng) -> Any:
        seen.append(make_list(rng))
        return seen[-1]

    rnn, history = trained(keep, epochs=2, optimizer=SGD(0.5), clip_norm=None)
    assert len(seen) == len(history.updates) == 8
    assert history.epochs.updates.tolist() == [4, 8]
    by_hand = ElmanRNN(3, 6, 2, seed=1)
    for i, batch in enumerate(seen):
        targets = float(sum(weight.sum() for weight in batch["weight"]))
        loss, gradients = by_hand.loss_and_gradients(**batch)
        assert history.updates.loss[i] == loss / targets
        assert history.updates.targets[i] == targets
        SGD(0.5).step(by_hand, gradients, scale=targets)
    assert same_bits(rnn.parameters, by_hand.parameters)
    assert history.loss[1] == pytest.approx(
        np.average(history.updates.loss[4:], weights=history.updates.targets[4:]), rel=1e-12
    )


@pytest.mark.parametrize("name", MAKERS)
def test_batches_follow_from_the_seed(name: str) -> None:
    first, again, other = (trained(MAKERS[name], seed=seed)[1] for seed in (3, 3, 4))
    assert same_bits(first.updates.loss, again.updates.loss)
    assert not same_bits(first.updates.loss, other.updates.loss)
    assert len(set(first.updates.loss)) == len(first.updates), "no batch comes twice"


def test_what_a_batch_draws_changes_no_other_batch() -> None:
    """It follows from its epoch and update, whatever was drawn before."""
    first: list[float] = []

    def greedy(rng: Rng) -> Any:
        first.append(float(rng.random()))
        rng.random(len(first) % 3)
        return make(np.random.default_rng(0))

    trained(greedy)
    drawn, first[:] = first.copy(), []
    trained(lambda rng: (first.append(float(rng.random())), make(rng))[1])  # type: ignore[func-returns-value]
    assert first == drawn
    assert len(set(drawn)) == 20


def test_a_network_of_section_10_2_1_and_one_that_reads_the_last_step_out() -> None:
    assert len(trained(rnn=JordanRNN(3, 6, 2, seed=0), teacher_forcing=0.5)[1].updates) == 20

    def last(rng: Rng) -> Any:
        x, y = make(rng)
        return x, y[-1], np.ones(y.shape[1], np.float32)

    rnn = ElmanRNN(3, 6, 2, readout="last", bidirectional=True, seed=0)
    history = trained(last, rnn=rnn, validation=(X, HELD_OUT[1][-1]), patience=3)[1]
    assert np.isfinite(history.validation).all()


def test_it_learns() -> None:
    history = trained(epochs=20, steps=20, validation=HELD_OUT)[1]
    assert history.validation[-1] < 0.5 * history.validation[0]


# ---- Checkpoints ----


@pytest.mark.parametrize("name", MAKERS)
def test_a_resumed_run_ends_in_the_same_bits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bptt.training.fit._CHECKPOINT_SECONDS", 0.0)  # after every update
    monkeypatch.setattr("bptt.training.batches.described", lambda value: "make")  # makers that fail are others
    options: dict[str, Any] = {
        "validation": HELD_OUT,
        "patience": 9,
        "metrics": {"accuracy": lambda y, y_hat: (y_hat.argmax(-1) == y).mean()},
        "schedule": bptt.schedules.ReduceOnPlateau(0.5, patience=0, threshold=0.05),
    }
    whole, expected = trained(MAKERS[name], **options)
    for at in (0, 1, 3, 4, 6, 8, 19):
        options["checkpoint"] = tmp_path / str(at)
        with pytest.raises(Killed):
            trained(killed_at(at, MAKERS[name]), **options)
        checkpoint = Checkpoint.read(tmp_path / str(at))
        assert checkpoint is not None
        assert checkpoint.position["updates"] == at
        rnn, history = trained(MAKERS[name], resume=True, **options | {"seed": None})
        assert same_bits(rnn.parameters, whole.parameters)
        assert same_bits(history.updates.loss, expected.updates.loss)
        for column in ("loss", "validation", "accuracy"):
            assert same_bits(history.epochs[column], expected.epochs[column])


def test_a_longer_run_goes_on(tmp_path: Path) -> None:
    whole, _ = trained(epochs=5)
    trained(epochs=2, checkpoint=tmp_path / "c")
    rnn, history = trained(epochs=5, checkpoint=tmp_path / "c", resume=True)
    assert same_bits(rnn.parameters, whole.parameters)
    assert len(history.epochs) == 5


def test_only_the_same_run_is_resumed(tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoint": tmp_path / "c"}
    trained(**options)
    for made, steps, message in (
        (make, 5, "expected steps as in the checkpoint, 4, got 5"),
        (make_list, 4, "expected make as in the checkpoint, '<function make>', got '<function make_list>'"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(f'resume: {message}')}$"):
            trained(made, steps=steps, resume=True, **options)
    with pytest.raises(ValueError, match=r"^resume: expected data as in the checkpoint, None, got \d+$"):
        ElmanRNN(3, 6, 2).fit(*HELD_OUT, optimizer=Adam(0.02), epochs=1, clip_norm=1.0, resume=True, **options | QUIET)


@pytest.mark.parametrize("maker", [make, walk])
def test_an_interruption_while_a_batch_is_made(maker: Any, tmp_path: Path) -> None:
    whole, _ = trained(maker)
    made, interrupts = [0], True

    def count() -> None:
        made[0] += 1
        if made[0] == 6 and interrupts:
            bptt.interrupt()
            raise KeyboardInterrupt  # as a call of the core does that is under way

    def one(rng: Rng) -> Any:
        count()
        return maker(rng)

    def several(rng: Rng) -> Iterator[Any]:
        for batch in maker(rng):
            count()
            yield batch

    made_by = one if maker is make else several
    history = trained(made_by, checkpoint=tmp_path / "c")[1]
    assert (history.stopped, len(history.updates)) == ("interrupted", 5)
    interrupts = False
    rnn, _ = trained(made_by, checkpoint=tmp_path / "c", resume=True)
    assert same_bits(rnn.parameters, whole.parameters)


# ---- Progress ----


def test_progress(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    trained(epochs=2, progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"epoch 2/2, update 8: loss \d\.\d{4}, [\d,]+ steps/s", lines[-1])
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    trained(epochs=2, progress=True, validation=HELD_OUT)
    last = capfd.readouterr().err.split("\r")[-1]
    assert "100%" in last
    assert "8.00/8.00" in last
    assert "update" in last


# ---- What is refused ----


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"y": HELD_OUT[1]}, ValueError, "y: expected None with Batches, as make gives it"),
        ({"weight": 1}, ValueError, "weight: expected None with Batches, as make gives it"),
        ({"lengths": [1]}, ValueError, "lengths: expected None with Batches, as make gives it"),
        ({"reset": [1]}, ValueError, "reset: expected None with Batches, as make gives it"),
        (
            {"truncate": 5},
            ValueError,
            "truncate: expected None with Batches, as no batch goes on where another one ends",
        ),
        ({"batch_size": 5}, ValueError, "batch_size: expected None with Batches, as make decides on it"),
        ({"updates_per_epoch": 5}, ValueError, "updates_per_epoch: expected None with Batches, as steps says so"),
        (
            {"shuffle": False},
            ValueError,
            "shuffle: expected True, its default, with Batches, as make decides on the order",
        ),
        (
            {"metrics": {"n": lambda y, y_hat: 1}},
            ValueError,
            "metrics: expected None with Batches without validation data, as no batch is kept",
        ),
        ({"patience": 3}, ValueError, "patience: expected None without validation data"),
        (
            {"validation": Batches(make, steps=2)},
            TypeError,
            "validation: expected (x, y), (x, y, weight) or a dict with x, y, weight, lengths, reset, got Batches",
        ),
    ],
)
def test_what_is_refused_beside_them(options: dict[str, Any], error: type[Exception], message: str) -> None:
    rnn = ElmanRNN(3, 6, 2, seed=1)
    before = rnn.parameters.copy()
    refuses(lambda: trained(lambda rng: pytest.fail("made"), rnn=rnn, **options), error, message)
    assert same_bits(rnn.parameters, before)


def test_data_without_targets_are_refused() -> None:
    refuses(
        lambda: ElmanRNN(3, 6, 2).fit(X, optimizer=SGD(0.1), epochs=1),
        TypeError,
        "y: expected the targets of x, got None",
    )


@pytest.mark.parametrize("x", [make, walk(np.random.default_rng()), Task()])
def test_what_makes_batches_is_passed_as_batches(x: Any) -> None:
    message = f"x: expected sequences or Batches, got {type(x).__name__}: pass bptt.Batches(make, steps=...)"
    refuses(lambda: ElmanRNN(3, 6, 2).fit(x, optimizer=SGD(0.1), epochs=1), TypeError, message)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Batches(3, steps=1), TypeError, "make: expected a function of a generator, got int"),  # type: ignore[arg-type]
        (
            lambda: Batches(walk(np.random.default_rng()), steps=1),  # type: ignore[arg-type]
            TypeError,
            "make: expected a function of a generator, got generator: pass the function that makes it",
        ),
        (lambda: Batches(make, steps=0), ValueError, "steps: expected at least 1, got 0"),
        (lambda: Batches(make, steps=1.5), TypeError, "steps: expected an int, got float"),  # type: ignore[arg-type]
    ],
)
def test_batches_that_cannot_be(call: Callable[[], object], error: type[Exception], message: str) -> None:
    refuses(call, error, message)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (None, TypeError, "expected (x, y), (x, y, weight) or a dict with x, y, weight, lengths, reset, got NoneType"),
        (
            {"x": 1, "h0": 2},
            TypeError,
            "expected (x, y), (x, y, weight) or a dict with x, y, weight, lengths, reset, got a dict with x, h0",
        ),
        ((X[..., :2], HELD_OUT[1]), ValueError, "x: expected [tau, batch, 3] or [tau, 3], got (7, 6, 2)"),
        ((X, HELD_OUT[1] + 5), ValueError, "y: expected classes (or -1 for none) from -1 to 1, got 5"),
        ((X, np.full((7, 6), -1)), ValueError, "y: expected at least one target, got none"),
    ],
)
def test_a_wrong_batch_is_told_with_its_place(wrong: Any, error: type[Exception], message: str) -> None:
    rnn, made = ElmanRNN(3, 6, 2, seed=1), [0]

    def in_the_end(rng: Rng) -> Any:
        made[0] += 1
        return make(rng) if made[0] < 7 else wrong

    refuses(lambda: trained(in_the_end, rnn=rnn), error, f"epoch 1, batch 2: make: {message}")
    before = ElmanRNN(3, 6, 2, seed=1)
    with pytest.raises(Killed):
        trained(killed_at(6, make), rnn=before)
    assert same_bits(rnn.parameters, before.parameters), "those before this update"


def test_a_generator_that_ends_too_early() -> None:
    def three(rng: Rng) -> Iterator[Any]:
        yield from (make(rng) for _ in range(3))

    refuses(lambda: trained(three), ValueError, "epoch 0: make: expected 4 batches, as steps says, got 3")
    assert len(trained(three, steps=3)[1].updates) == 15


def test_an_error_of_make_comes_as_it_is() -> None:
    def fails(rng: Rng) -> Any:
        raise LookupError("no more disk")

    with pytest.raises(LookupError, match=r"^no more disk$"):
        trained(fails)


def test_a_number_that_is_not_finite_is_told_by_its_place() -> None:
    def spoilt(rng: Rng) -> Any:
        x = X.copy()
        x[4, 2, 1] = np.nan
        return x, HELD_OUT[1]

    expected = r"^update 0 \(epoch 0\): x: expected finite numbers, got nan at step 4 of sequence 2, column 1; the norm"
    with pytest.raises(FloatingPointError, match=expected):
        trained(spoilt)


def test_repr() -> None:
    assert re.fullmatch(r"Batches\(<function make at 0x\w+>, steps=4\)", repr(Batches(make, 4)))
