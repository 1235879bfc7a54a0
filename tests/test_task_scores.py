"""The scores of tasks: chance, ideal observers and solvers by hand, and that a plain network learns each task."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.tasks import (
    AddingProblem,
    ContextDecisionMaking,
    CopyMemory,
    DelayMatchSample,
    FlipFlop,
    GoNogo,
    PerceptualDecisionMaking,
    ReadySetGo,
    ReberGrammar,
    Task,
    Trials,
)
from problems import Array
from task_cases import DECISIONS, TASKS, mean_score, rng

# ---- Chance ----


def constant(task: Task, value: Any) -> Callable[[Trials], Any]:
    row = np.asarray(value, np.float64)

    def predictor(trials: Trials) -> Any:
        if isinstance(trials.x, list):
            return [np.tile(row, (len(x), 1)) for x in trials.x]
        shape = trials.x.shape[1:2] if task.readout == "last" else trials.x.shape[:2]
        return np.broadcast_to(row, (*shape, task.n_out))

    return predictor


@pytest.mark.parametrize(
    "name", [*DECISIONS, "flip-flop", "flip-flop, other", "copy, other", "adding", "adding, other"]
)
def test_chance_is_the_score_of_the_best_constant(name: str) -> None:
    task = TASKS[name]
    if task.output == "softmax":
        values = [*np.eye(task.n_out)]
    else:
        values = [np.full(task.n_out, value) for value in (-1.0, 0.0, 1.0)]
    scores = [mean_score(task, constant(task, value), batches=20) for value in values]
    best, tolerance = (min if "error" in task.metric else max)(scores)
    assert abs(best - task.chance) < tolerance


def test_chance_of_adding_is_the_variance_of_the_sum() -> None:
    task = AddingProblem(steps=2)
    mean, tolerance = mean_score(task, constant(task, [1.0]), batch=4000)
    assert tolerance < 0.003
    assert abs(mean - task.chance) < tolerance


def test_chance_of_strings() -> None:
    for name in ("reber", "reber, other"):
        task = TASKS[name]
        for value in [*np.eye(7), np.ones(7), np.arange(7)]:
            assert mean_score(task, constant(task, value), batches=2, batch=20) == (task.chance, 0)


def test_who_forgets_the_second_letter_predicts_half_of_the_strings() -> None:
    task = ReberGrammar()

    def forgetful(trials: Trials) -> list[Array]:
        y_hat = [task.legal(x).astype(np.float64) for x in trials.x]
        for rows in y_hat:
            rows[-2, [1, 2]] = 0.6, 0.4
        return y_hat

    mean, tolerance = mean_score(task, forgetful, batch=25)
    assert abs(mean - 0.5) < tolerance


def produces(task: ReadySetGo, steps: int) -> Callable[[Trials], Array]:
    def predictor(trials: Trials) -> Array:
        go = np.arange(len(trials.x))[:, None] >= trials.epochs["production"][:, 0] + steps
        return np.stack([~go, go], -1).astype(np.float64)

    return predictor


@pytest.mark.parametrize("name", ["interval", "interval, other"])
def test_chance_is_the_least_error_of_one_interval(name: str) -> None:
    task: Any = TASKS[name]
    longest = max(task.measure) * task.gain / task.dt
    trials = task.trials(rng(), 1000)
    scores = [task.score(produces(task, steps)(trials), trials) for steps in range(round(2 * longest))]
    errors = (np.argmin(scores) * task.dt / trials.conditions["production"] - 1) ** 2
    # the least over intervals is below the expected least by less than this, as each squared error has this tolerance
    assert abs(min(scores) ** 2 - task.chance**2) < 5 * errors.std() / math.sqrt(len(errors))


def test_the_loss_without_a_memory() -> None:
    task = CopyMemory(n_symbols=5, length=3, delay=7)
    trials = task.trials(rng(), 20)
    y_hat = np.zeros((*trials.y.shape, task.n_out))
    y_hat[:-3, :, -1] = 1
    y_hat[-3:, :, :-1] = 1 / 5
    losses = -np.log(np.take_along_axis(y_hat, trials.y[..., None], -1))
    assert losses.mean() == pytest.approx(task.memoryless_loss, rel=1e-12)
    assert CopyMemory().memoryless_loss == pytest.approx(10 * math.log(8) / 120, rel=1e-15)


# ---- Ideal observers: what they read is x ----


def chooses(task: Any, x: Array, choice: Array) -> Array:
    """Outputs that fixate as long as the cue is on, and then choose."""
    y_hat = np.zeros((*x.shape[:2], task.n_out))
    y_hat[..., 0] = x[..., 0]
    y_hat += (x[..., :1] == 0) * np.eye(task.n_out)[choice]
    return y_hat


def nearest(dots: Array) -> Array:
    """The direction whose pattern the sum of what each channel sees is nearest to."""
    n = dots.shape[-1]
    theta = 2 * np.pi * np.arange(n) / n
    likeness: Array = dots.sum(0, dtype=np.float64) @ np.cos(theta[:, None] - theta)
    return np.array(1 + likeness.argmax(-1))


def follows_the_motion(task: Any) -> Callable[[Trials], Array]:
    return lambda trials: chooses(task, trials.x, nearest(trials.x[..., 1:]))


def follows_the_context(task: Any, ignores: bool = False) -> Callable[[Trials], Array]:
    def predictor(trials: Trials) -> Array:
        n = task.dim_ring
        first, second = nearest(trials.x[..., 1 : n + 1]), nearest(trials.x[..., n + 1 : 2 * n + 1])
        told = trials.x[0, :, -2] == 1
        return chooses(task, trials.x, np.where(told | ignores, first, second))

    return predictor


def matches(task: Any) -> Callable[[Trials], Array]:
    def predictor(trials: Trials) -> Array:
        x, t = trials.x, np.arange(len(trials.x))[:, None]
        sides = []
        for name in ("sample", "test"):
            begin, end = trials.epochs[name].T
            sides.append(((x[..., 1] - x[..., 2]) * ((begin <= t) & (t < end))).sum(0, dtype=np.float64))
        return chooses(task, x, np.where(sides[0] * sides[1] > 0, 1, 2))

    return predictor


def goes(task: Any) -> Callable[[Trials], Array]:
    def predictor(trials: Trials) -> Array:
        difference = (trials.x[..., 2] - trials.x[..., 1]).sum(0, dtype=np.float64)  # mean n for go, else -n
        log_odds = difference / (task.sigma**2 / task.dt) + math.log(task.p_go / (1 - task.p_go))
        return chooses(task, trials.x, (log_odds > 0).astype(int))

    return predictor


OBSERVERS: list[tuple[Any, Callable[[Any], Callable[[Trials], Array]]]] = [
    (TASKS["perceptual"], follows_the_motion),
    (TASKS["perceptual, other"], follows_the_motion),
    (PerceptualDecisionMaking(dim_ring=3, coherences=(0, 100), sigma=0.5), follows_the_motion),
    (PerceptualDecisionMaking(dim_ring=16, stimulus=(200, 1000)), follows_the_motion),
    (TASKS["context"], follows_the_context),
    (TASKS["context, other"], follows_the_context),
    (TASKS["match, other"], matches),
    (TASKS["go, other"], goes),
    (GoNogo(sigma=30), goes),
]


@pytest.mark.parametrize(("task", "observer"), OBSERVERS, ids=[repr(task) for task, _ in OBSERVERS])
def test_an_ideal_observer_scores_best(task: Any, observer: Any) -> None:
    mean, tolerance = mean_score(task, observer(task))
    assert tolerance < 0.04
    assert task.chance + 0.05 < task.best < 0.99, "neither too hard nor too easy to tell anything"
    assert abs(mean - task.best) < tolerance


def test_who_ignores_the_context_scores_half_way() -> None:
    task = ContextDecisionMaking()
    mean, tolerance = mean_score(task, follows_the_context(task, ignores=True))
    assert abs(mean - (task.best + task.chance) / 2) < tolerance


def test_best_does_not_depend_on_dt_and_is_one_without_noise() -> None:
    kinds: list[Any] = [PerceptualDecisionMaking, ContextDecisionMaking, DelayMatchSample, GoNogo]
    for kind in kinds:
        assert kind(dt=20, sigma=6).best == pytest.approx(kind(dt=100, sigma=6).best, rel=1e-12)
        assert kind(sigma=6).best < kind(sigma=5).best
    quiet: list[Any] = [
        PerceptualDecisionMaking(sigma=0, coherences=[1]),
        DelayMatchSample(sigma=0, dim_ring=3),
        GoNogo(sigma=0),
    ]
    observers: list[Any] = [follows_the_motion, None, goes]
    for task, observer in zip(quiet, observers, strict=True):
        assert task.best == 1
        trials = task.trials(rng(), 200)
        y_hat = np.eye(task.n_out)[trials.y]
        assert task.score(y_hat, trials) == 1
        if observer is follows_the_motion:
            assert task.score(observer(task)(trials), trials) == 1
    assert PerceptualDecisionMaking(sigma=0, coherences=[0, 1]).best == 0.75
    assert PerceptualDecisionMaking(sigma=1e-9, dim_ring=5, coherences=[1]).best == 1
    assert DelayMatchSample(dim_ring=3).best is None
    assert FlipFlop(sigma=0.1).best is None


def test_solvers_of_what_has_no_noise() -> None:
    flip_flop, copies, adding, reber, interval = FlipFlop(), CopyMemory(), AddingProblem(), ReberGrammar(), ReadySetGo()
    trials = flip_flop.trials(rng(), 50)
    memory, y_hat = np.zeros(trials.x.shape[1:]), []
    for x in trials.x:
        memory = np.where(x != 0, x, memory)
        y_hat.append(memory)
    assert flip_flop.score(np.array(y_hat), trials) == flip_flop.best == 1
    assert np.array_equal(np.array(y_hat), trials.y)
    momentary, tolerance = mean_score(flip_flop, lambda trials: trials.x + (trials.x == 0) * 0.1)
    first = 1 / (2 * flip_flop.steps) * (1 - flip_flop.p_flip)  # what the certain pulse of the first step adds
    assert abs(momentary - (1 + flip_flop.p_flip) / 2 - first) < tolerance

    trials = copies.trials(rng(), 50)
    told = np.full(trials.y.shape, 8)
    for b in range(50):
        after = np.flatnonzero(trials.x[:, b] == 9)[0] + 1
        told[after:, b] = trials.x[:10, b]
    assert copies.score(np.eye(9)[told], trials) == copies.best == 1
    told[-1] = (told[-1] + 1) % 8
    assert copies.score(np.eye(9)[told], trials) == pytest.approx(0.9, rel=1e-12), "one of ten wrong"

    trials = adding.trials(rng(), 50)
    y_hat = (trials.x[..., 0] * trials.x[..., 1]).sum(0)[:, None]
    assert adding.score(y_hat, trials) == adding.best == 0
    assert adding.score(y_hat + 0.5, trials) == pytest.approx(0.25, rel=1e-6)  # sums of float32

    trials = reber.trials(rng(), 50)
    legal = [reber.legal(x) for x in trials.x]
    assert reber.score([rows / rows.sum(-1, keepdims=True) for rows in legal], trials) == reber.best == 1
    wrong = [rows.astype(float) for rows in legal]
    wrong[7][3] = 0.5
    assert reber.score(wrong, trials) == pytest.approx(0.98, rel=1e-12), "one of 50 strings, for one step"

    trials = interval.trials(rng(), 50)
    go = np.zeros(trials.y.shape)
    for b in range(50):
        ready, set_ = (np.flatnonzero(trials.x[:, b, k])[0] for k in (1, 2))
        go[2 * set_ - ready :, b] = 1
    assert interval.score(np.stack([1 - go, go], -1), trials) == interval.best == 0
    late = np.roll(go, 1, 0)
    late[0] = 0
    expected = math.sqrt(np.mean((50 / trials.conditions["production"]) ** 2))
    assert interval.score(np.stack([1 - late, late], -1), trials) == pytest.approx(expected, rel=1e-12)


# ---- How it is scored ----


def test_a_choice_is_the_largest_mean_over_the_decision() -> None:
    task = PerceptualDecisionMaking(fixation=100, stimulus=200, decision=300)
    trials = task.trials(rng(), 3)
    y_hat = np.zeros((6, 3, 3))
    y_hat[:3, :, 1] = 100  # before the decision nothing counts
    y_hat[3, :, 2] = 5
    y_hat[4:, 0, 1] = 2
    y_hat[4:, 1, 1] = 3
    y_hat[4:, 2, 0] = 4
    assert task.choice(y_hat, trials).tolist() == [2, 1, 0]
    fixating = np.zeros((6, 3, 3))
    fixating[..., 0] = 1
    assert task.score(fixating, trials) == 0
    right = np.eye(3)[trials.y]
    assert task.score(right, trials) == 1
    swapped = right.copy()
    swapped[3:, 1] = right[3:, 1][:, [0, 2, 1]]
    assert task.score(swapped, trials) == pytest.approx(2 / 3, rel=1e-15)


def test_an_interval_begins_at_set() -> None:
    task = ReadySetGo(dt=10, fixation=20, measure=[40], pulse=10)
    trials = task.trials(rng(), 4)  # Set at step 6, go at 10, 14 steps
    go = np.zeros((14, 4))
    go[:3] = 1  # before Set
    go[8:, 0] = 1
    go[10, 1] = 1
    go[6:, 2] = 1
    assert task.produced(np.stack([np.full_like(go, 0.5), go], -1), trials).tolist() == [20, 40, 0, 80]
    assert task.produced(np.stack([go, go], -1), trials).tolist() == [80] * 4, "a tie is no go"


# ---- A plain network learns them ----


LEARNED: list[tuple[Any, int, float, dict[str, Any]]] = [  # task, updates, the score to reach, of the network
    (PerceptualDecisionMaking(), 100, 0.75, {}),
    (ContextDecisionMaking(delay=100, fixation=100), 200, 0.7, {}),
    (DelayMatchSample(fixation=0, sample=200, delay=200, test=200, decision=200), 250, 0.9, {}),
    (GoNogo(), 60, 0.9, {}),
    (ReadySetGo(dt=100, measure=(300, 400, 500, 600)), 400, 0.1, {}),
    (FlipFlop(steps=32), 100, 0.95, {}),
    (CopyMemory(n_symbols=4, length=2, delay=3), 200, 0.6, {}),
    (AddingProblem(steps=20), 200, 0.05, {"activation": "relu", "init": "identity"}),
    (ReberGrammar(), 200, 0.6, {}),
]


@pytest.mark.parametrize(
    ("task", "updates", "expected", "options"), LEARNED, ids=[type(t[0]).__name__ for t in LEARNED]
)
def test_a_plain_network_learns_it(task: Any, updates: int, expected: float, options: dict[str, Any]) -> None:
    """Clearly better than by chance: by more than ten standard errors of 400 trials."""
    rnn = task.network(48, seed=0, **options)
    rnn.fit(task.batches(32, steps=updates), optimizer=bptt.Adam(5e-3), epochs=1, clip_norm=1.0, seed=0, progress=False)
    held_out = task.trials(rng(99), 400)
    score = task.score(rnn.forward(held_out.x).y_hat, held_out)
    assert score <= expected < task.chance / 1.5 if "error" in task.metric else score >= expected > task.chance + 0.19
