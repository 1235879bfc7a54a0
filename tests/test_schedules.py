"""Learning-rate schedules: beside their formulas, and PyTorch's where it is installed."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import SGD, ElmanRNN, History, schedules
from bptt.schedules import Constant, Cosine, InverseSigmoid, Linear, ReduceOnPlateau, Step, Warmup
from results import same_bits

SCHEDULES = [
    Constant(),
    Step(3),
    Step(1, gamma=0.9),
    Cosine(10),
    Cosine(7, final=0.2),
    Warmup(4),
    Warmup(0, Step(5)),
    Warmup(3, Cosine(10, final=0.1)),
    Linear(10),
    Linear(5, start=0.2, end=0.9),
    InverseSigmoid(5.0),
]


def test_values() -> None:
    assert [Constant()(i) for i in (0, 10**9)] == [1, 1]
    assert [Step(2, 0.5)(i) for i in range(7)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert [Cosine(4, 0.2)(i) for i in (0, 2, 4, 5, 10**9)] == pytest.approx([1, 0.6, 0.2, 0.2, 0.2], rel=1e-15)
    assert Cosine(4)(1) == pytest.approx((1 + math.sqrt(0.5)) / 2, rel=1e-15)
    assert [Warmup(4)(i) for i in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert [Warmup(2, Step(2, 0.5))(i) for i in range(7)] == [0.5, 1, 1, 1, 0.5, 0.5, 0.25]
    assert [Linear(4)(i) for i in (0, 1, 3, 4, 10**9)] == [1, 0.75, 0.25, 0, 0]
    assert [Linear(2, 0.5, 1.0)(i) for i in range(4)] == [0.5, 0.75, 1, 1]
    assert [InverseSigmoid(3)(i) for i in (0, 6)] == pytest.approx([3 / 4, 3 / (3 + math.e**2)], rel=1e-15)
    assert InverseSigmoid(2)(2 * math.log(2)) == pytest.approx(0.5, rel=1e-15)  # type: ignore[arg-type]
    assert InverseSigmoid(1)(10**9) < 1e-300
    assert [Warmup(2, lambda i: 0.4 / (i + 1))(i) for i in range(4)] == [0.2, 0.4, 0.4, 0.2]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_can_be_pickled_printed_and_compared(schedule: Any) -> None:
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert eval(repr(schedule), vars(schedules).copy()) == schedule
    assert all(0 <= schedule(i) <= 1 for i in range(40))


@pytest.mark.torch
def test_equal_to_pytorch() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.optim.lr_scheduler
    pairs: list[tuple[Any, Any]] = [
        (Step(7, 0.5), lambda o: theirs.StepLR(o, 7, 0.5)),
        (Cosine(50, final=0.1), lambda o: theirs.CosineAnnealingLR(o, 50, eta_min=0.01)),
        (Warmup(20), lambda o: theirs.LinearLR(o, 1 / 20, total_iters=19)),
    ]
    for schedule, make in pairs:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler = make(optimizer)
        for i in range(50):
            assert 0.1 * schedule(i) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
            optimizer.step()
            scheduler.step()


# ---- Schedules that follow losses ----

PLATEAUS = [
    ReduceOnPlateau(),
    ReduceOnPlateau(0.5, patience=0),
    ReduceOnPlateau(0.5, 2, threshold=0.05, cooldown=3, min_factor=0.1),
    ReduceOnPlateau(0.3, 1, threshold=0.1, threshold_mode="abs", cooldown=1),
    Warmup(4, ReduceOnPlateau(0.5, patience=1)),
]


def factors(schedule: Any, losses: list[float]) -> list[float]:
    """Before the first epoch, and after each."""
    follower = schedule.follow()
    found = [follower(100)]
    for loss in losses:
        follower.end_epoch(loss)
        found.append(follower(100))
    return found


def test_a_plateau_reduces_the_factor() -> None:
    assert factors(ReduceOnPlateau(0.5, patience=1), [3, 2, 2, 2, 2, 2, 1]) == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]
    assert factors(ReduceOnPlateau(0.5, patience=0, cooldown=2), [1] * 8) == [
        1,
        1,
        0.5,
        0.5,
        0.5,
        0.25,
        0.25,
        0.25,
        0.125,
    ]
    assert factors(ReduceOnPlateau(0.5, patience=0, min_factor=0.3), [1] * 5) == [1, 1, 0.5, 0.3, 0.3, 0.3]
    barely = [1.0, 0.95, 0.9, 0.85]  # each within a tenth of the best one
    assert factors(ReduceOnPlateau(0.5, 1, threshold=0.1), barely) == [1, 1, 1, 0.5, 0.5]
    assert factors(ReduceOnPlateau(0.5, 1, threshold=0.1, threshold_mode="abs"), [2.0, 1.85]) == [1, 1, 1]
    assert factors(ReduceOnPlateau(0.5, patience=1), [math.nan, math.nan]) == [1, 1, 0.5], "NaN is not better"


def test_a_warmup_to_a_plateau() -> None:
    follower = Warmup(4, ReduceOnPlateau(0.5, patience=0)).follow()
    assert [follower(i) for i in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    for loss in (1, 1):
        follower.end_epoch(loss)
    assert [follower(i) for i in range(6)] == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]
    nested = Warmup(2, Warmup(2, ReduceOnPlateau())).follow()
    assert [nested(i) for i in range(5)] == [0.25, 0.5, 0.5, 1, 1]
    with pytest.raises(TypeError, match=r"^then: expected a schedule of the update alone, as no losses are told here"):
        Warmup(4, ReduceOnPlateau())(5)
    with pytest.raises(TypeError, match=r"^then: expected a schedule that depends on losses, got Constant$"):
        Warmup(4).follow()


@pytest.mark.parametrize("schedule", PLATEAUS, ids=repr)
def test_a_schedule_that_follows_losses_keeps_nothing_of_a_run(schedule: Any) -> None:
    losses = np.random.default_rng(0).random(60).tolist()
    text, first = repr(schedule), factors(schedule, losses)
    assert factors(schedule, losses) == first
    assert min(first) < 1
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert eval(repr(schedule), vars(schedules).copy()) == schedule
    assert repr(schedule) == text


@pytest.mark.torch
@pytest.mark.parametrize("schedule", PLATEAUS[:-1], ids=repr)
def test_a_plateau_is_pytorchs(schedule: ReduceOnPlateau) -> None:
    torch = pytest.importorskip("torch")
    options = dict(vars(schedule))
    options["min_lr"] = 0.25 * options.pop("min_factor")
    for seed in range(20):
        random = np.random.default_rng(seed)
        losses = (np.exp(-np.arange(100) / 20) + random.choice([0, 0.02, 0.3]) * random.random(100)).tolist()
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.25)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0, **options)
        rates = [optimizer.param_groups[0]["lr"]]
        for loss in losses:
            scheduler.step(loss)
            rates.append(optimizer.param_groups[0]["lr"])
        assert [0.25 * factor for factor in factors(schedule, losses)] == pytest.approx(rates, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Step(0), ValueError, "^every: expected at least 1, got 0$"),
        (lambda: Step(2, 0.0), ValueError, r"^gamma: expected a number in \(0, 1\], got 0.0$"),
        (lambda: Cosine(2.0), TypeError, "^updates: expected an int, got float$"),  # type: ignore[arg-type]
        (lambda: Cosine(2, 1.5), ValueError, r"^final: expected a number in \[0, 1\], got 1.5$"),
        (lambda: Linear(0), ValueError, "^updates: expected at least 1, got 0$"),
        (lambda: Linear(3, end=-0.1), ValueError, r"^end: expected a number in \[0, inf\), got -0.1$"),
        (lambda: InverseSigmoid(0.5), ValueError, r"^k: expected a number in \[1, inf\), got 0.5$"),
        (lambda: ReduceOnPlateau(1.0), ValueError, r"^factor: expected a number in \(0, 1\), got 1.0$"),
        (lambda: ReduceOnPlateau(patience=-1), ValueError, "^patience: expected at least 0, got -1$"),
        (lambda: ReduceOnPlateau(patience=1.5), TypeError, "^patience: expected an int, got float$"),  # type: ignore[arg-type]
        (lambda: ReduceOnPlateau(threshold=-1), ValueError, r"^threshold: expected a number in \[0, inf\), got -1$"),
        (
            lambda: ReduceOnPlateau(threshold_mode="min"),  # type: ignore[arg-type]
            ValueError,
            "^threshold_mode: expected one of 'rel', 'abs', got 'min'$",
        ),
        (lambda: ReduceOnPlateau(cooldown=-1), ValueError, "^cooldown: expected at least 0, got -1$"),
        (lambda: ReduceOnPlateau(min_factor=2), ValueError, r"^min_factor: expected a number in \[0, 1\], got 2$"),
        (lambda: Warmup(-1), ValueError, "^updates: expected at least 0, got -1$"),
        (lambda: Warmup(2, 0.5), TypeError, "^then: expected a schedule, got float$"),  # type: ignore[arg-type]
    ],
)
def test_bad_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_numbers_of_numpy_do_not_overflow() -> None:
    """They did: a warm-up of np.int16(100) updates ended training at update 32868."""
    for made in (
        Warmup(np.int16(100)),
        Step(np.int8(3), np.float32(0.5)),
        Linear(np.int16(5)),
        InverseSigmoid(np.float32(9)),
    ):
        assert all(0 <= made(i) < math.inf for i in (0, 1, 10**6))
        assert made == eval(repr(made))
    assert repr(Linear(3, start=1)) == "Linear(updates=3, start=1, end=0.0)", "checkpoints know schedules by their text"


# ---- In `fit` ----


def trained(path: Path | None, epochs: int, schedule: Any, resume: bool = False, **options: Any) -> tuple[Any, History]:
    random = np.random.default_rng(0)
    x, y = random.standard_normal((10, 12, 3)), random.integers(0, 2, (10, 12))
    rnn = ElmanRNN(3, 6, 2, seed=1)
    more: dict[str, Any] = {"batch_size": 5, "progress": False, "checkpoint": path, "resume": resume, **options}
    if more.pop("validated", True):
        more["validation"] = random.standard_normal((10, 5, 3)), random.integers(0, 2, (10, 5))
    return rnn, rnn.fit(x, y, optimizer=SGD(0.3), epochs=epochs, schedule=schedule, seed=0, **more)


@pytest.mark.parametrize("validated", [True, False])
def test_fit_tells_a_plateau_the_losses(validated: bool) -> None:
    schedule = ReduceOnPlateau(0.5, patience=0, threshold=0.01)
    _, history = trained(None, 20, schedule, validated=validated)
    losses = history.validation if validated else history.loss
    expected = np.repeat(factors(schedule, losses.tolist())[:-1], 3)
    assert expected[-1] < 0.6
    assert history.updates.learning_rate.tolist() == (0.3 * expected).tolist()
    _, again = trained(None, 20, schedule, validated=validated)
    assert same_bits(again.loss, history.loss), "no run knows of another"


@pytest.mark.parametrize(
    "schedule",
    [ReduceOnPlateau(0.5, 1, threshold=0.01, cooldown=1), Warmup(7, ReduceOnPlateau(0.5, 0, threshold=0.01))],
    ids=repr,
)
@pytest.mark.parametrize("validated", [True, False])
def test_a_resumed_run_follows_the_losses_of_all_epochs(schedule: Any, validated: bool, tmp_path: Path) -> None:
    whole, expected = trained(None, 20, schedule, validated=validated)
    assert len(set(expected.updates.learning_rate)) > 3
    for stop in (1, 2, 7, 13, 19):
        path = tmp_path / str(stop)
        trained(path, stop, schedule, validated=validated)
        rnn, history = trained(path, 20, schedule, resume=True, validated=validated)
        assert same_bits(rnn.parameters, whole.parameters)
        assert same_bits(history.updates.learning_rate, expected.updates.learning_rate)
    with pytest.raises(ValueError, match=r"^resume: expected settings.schedule as in the checkpoint, "):
        trained(path, 20, ReduceOnPlateau(0.4), resume=True, validated=validated)


def test_a_run_killed_within_an_epoch_follows_the_losses(tmp_path: Path) -> None:
    """The run ends by an error in the middle of an epoch, and goes on from the last checkpoint."""

    class Halving:
        """A user's own schedule, which fails once."""

        fails, factor = False, 1.0

        def __repr__(self) -> str:
            return "Halving()"

        def follow(self) -> Halving:
            made = Halving()
            made.fails = self.fails
            return made

        def __call__(self, update: int) -> float:
            if self.fails and update == 8:
                raise RuntimeError("as if killed")
            return self.factor

        def end_epoch(self, loss: float) -> None:
            self.factor = 0.5 + 0.25 * loss

    whole, expected = trained(None, 6, Halving())
    failing = Halving()
    failing.fails = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bptt.training.fit._CHECKPOINT_SECONDS", 0.0)  # after every update
        with pytest.raises(RuntimeError, match="as if killed"):
            trained(tmp_path / "c", 6, failing)
    rnn, history = trained(tmp_path / "c", 6, Halving(), resume=True)
    assert same_bits(rnn.parameters, whole.parameters)
    assert same_bits(history.updates.learning_rate, expected.updates.learning_rate)
