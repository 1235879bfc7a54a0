"""`bptt.tasks`: what is in a trial, its statistics, seeds, and what is refused."""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
import bptt.tasks
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
from refusals import refuses
from results import same_bits
from task_cases import DECISIONS, TASKS, rng

every = pytest.mark.parametrize("name", TASKS)


def arrays_of(trials: Trials) -> list[Array]:
    parts = [part if isinstance(part, list) else [part] for part in trials]
    return [*parts[0], *parts[1], *parts[2], *trials.conditions.values(), *trials.epochs.values()]


def shares(values: Array, options: Any, probabilities: Any = None) -> None:
    """Each option occurs as often as it should, within 5 standard deviations of a binomial number."""
    options = list(options)
    probabilities = [1 / len(options)] * len(options) if probabilities is None else probabilities
    assert set(np.unique(values)) <= set(options)
    for option, p in zip(options, probabilities, strict=True):
        assert abs((values == option).mean() - p) <= 5 * math.sqrt(p * (1 - p) / values.size)


# ---- What all tasks have ----


@every
def test_shapes_and_dtypes(name: str) -> None:
    task = TASKS[name]
    trials = task.trials(rng(), 17)
    x = trials.x
    assert isinstance(trials, tuple)
    assert len(trials) == 3
    xs, ys, weights = (part if isinstance(part, list) else [part] for part in trials)
    for one_x, one_y, one_weight in zip(xs, ys, weights, strict=True):
        counted = one_x.shape[1:2] if task.readout == "last" else one_x.shape[: 1 if isinstance(x, list) else 2]
        assert one_x.dtype == (np.int64 if task.input == "token" else np.float32)
        assert one_y.dtype == (np.int64 if task.output == "softmax" else np.float32)
        assert one_weight.dtype == np.float32
        assert one_weight.shape == counted
        assert one_y.shape == (counted if task.output == "softmax" else (*counted, task.n_out))
        if task.input == "real":
            assert one_x.shape[1:] == (17, task.n_in)
    assert (len(set(task.inputs)), len(set(task.outputs))) == (task.n_in, task.n_out)
    assert all(values.shape == (17,) for values in trials.conditions.values())
    assert all(epoch.shape == (17, 2) for epoch in trials.epochs.values())
    assert trials.task is task
    assert task.metric
    assert task.source


@every
def test_trials_follow_from_the_generator(name: str) -> None:
    task = TASKS[name]
    first, again, other = (task.trials(rng(seed), 20) for seed in (3, 3, 4))
    assert all(map(same_bits, arrays_of(first), arrays_of(again)))
    assert not all(map(np.array_equal, arrays_of(first), arrays_of(other)))
    generator = rng(3)
    task.trials(generator, 20)
    assert not all(map(np.array_equal, arrays_of(first), arrays_of(task.trials(generator, 20)))), "fresh ones"


@every
def test_a_network_of_the_task_takes_its_trials(name: str) -> None:
    task = TASKS[name]
    trials = task.trials(rng(), 5)
    rnn = task.network((4, 3), seed=0, dtype="float64")
    assert (rnn.n_in, rnn.n_hidden, rnn.n_out) == (task.n_in, (4, 3), task.n_out)
    y_hat = rnn.forward(trials.x).y_hat
    assert np.isfinite(rnn.loss(trials.x, trials.y, weight=trials.weight))
    assert task.score(y_hat, trials) >= 0
    history = rnn.fit(
        task.batches(6, steps=2), optimizer=bptt.SGD(1e-3), epochs=1, validation=trials, seed=0, progress=False
    )
    assert len(history.updates) == 2
    assert np.isfinite(history.validation).all()


@every
def test_trials_are_copied_and_pickled(name: str) -> None:
    trials = TASKS[name].trials(rng(), 4)
    for other in (copy.copy(trials), copy.deepcopy(trials), pickle.loads(pickle.dumps(trials))):
        assert isinstance(other, Trials)
        assert all(map(same_bits, arrays_of(trials), arrays_of(other)))
        assert (list(other.conditions), list(other.epochs)) == (list(trials.conditions), list(trials.epochs))
        assert other.task == trials.task
    assert repr(trials) == f"Trials(4 of {TASKS[name]})"


@every
def test_the_repr_makes_the_task(name: str) -> None:
    task = TASKS[name]
    assert eval(repr(task)) == task
    assert all(task != other for key, other in TASKS.items() if key != name)
    assert hash(task) == hash(eval(repr(task)))


@pytest.mark.parametrize("task", [FlipFlop(steps=12), ReberGrammar()], ids=repr)
def test_a_resumed_run_has_the_same_bits(task: Task, tmp_path: Path) -> None:
    def run(epochs: int, path: Path | None, resume: bool = False, of: Task = task) -> Array:
        rnn = task.network(6, seed=1)
        options: dict[str, Any] = {"optimizer": bptt.Adam(1e-2), "seed": 5, "progress": False}
        rnn.fit(of.batches(8, steps=3), epochs=epochs, checkpoint=path, resume=resume, **options)
        return np.array(rnn.parameters)

    whole, path = run(4, None), tmp_path / "run.safetensors"
    assert not same_bits(run(2, path), whole)
    assert same_bits(run(4, path, resume=True), whole)
    other = FlipFlop(steps=13) if isinstance(task, FlipFlop) else ReberGrammar(embedded=False)
    with pytest.raises(ValueError, match="make"):
        run(5, path, resume=True, of=other)


# ---- What is in a trial ----


@pytest.mark.parametrize("name", DECISIONS)
def test_the_parts_of_a_decision(name: str) -> None:
    task: Any = TASKS[name]
    x, y, weight = trials = task.trials(rng(), 300)
    t = np.arange(len(x))[:, None]
    ends = [0]
    for epoch, begin_end in trials.epochs.items():
        assert np.array_equal(begin_end[:, 0], np.broadcast_to(ends[-1], 300)), "they follow one another"
        ends.append(begin_end[:, 1])
        shares(np.diff(begin_end)[:, 0] * task.dt, np.atleast_1d(getattr(task, epoch)))
    begin, end = trials.epochs["decision"].T
    assert len(x) == sum(np.max(getattr(task, epoch)) for epoch in trials.epochs) / task.dt
    assert np.array_equal(x[..., 0], t < begin), "the fixation cue goes off at the decision"
    assert np.array_equal(y, np.where((begin <= t) & (t < end), trials.conditions["choice"], 0))
    assert not x[np.broadcast_to(t >= end, x.shape[:2])].any()
    assert not weight[t >= end].any()
    before = np.where(t < begin, weight, 0).sum(0)
    np.testing.assert_allclose(before, end - begin, rtol=1e-6)  # sums of float32
    assert np.array_equal(np.where(t >= begin, weight, 0).sum(0), end - begin)


def shown(task: Any, epoch: str, **conditions: Any) -> tuple[Array, Array]:
    """What is seen in an epoch of the trials with some conditions, ``[n, n_in]``, and outside of stimuli."""
    trials = task.trials(rng(), 400)
    those = np.all([trials.conditions[name] == value for name, value in conditions.items()], 0)
    begin, end = trials.epochs[epoch].T
    t = np.arange(len(trials.x))[:, None]
    stimuli = np.zeros(trials.x.shape[:2], np.bool_)
    for name in ("stimulus", "sample", "test"):
        if name in trials.epochs:
            stimuli |= (trials.epochs[name][:, 0] <= t) & (t < trials.epochs[name][:, 1])
    assert those.any()
    return trials.x[(begin <= t) & (t < end) & those], trials.x[~stimuli]


def test_stimuli_without_noise() -> None:
    quiet: dict[str, Any] = {"sigma": 0, "dt": 50}
    seen, outside = shown(PerceptualDecisionMaking(**quiet), "stimulus", choice=2, coherence=25.6)
    np.testing.assert_allclose(seen, np.broadcast_to([1, 0.5 - 0.128, 0.5 + 0.128], seen.shape), rtol=1e-6)
    assert not outside[:, 1:].any()
    ring = PerceptualDecisionMaking(dim_ring=4, coherences=[100], **quiet)
    seen, _ = shown(ring, "stimulus", choice=3)
    np.testing.assert_allclose(seen, np.broadcast_to([1, 0, 0.5, 1, 0.5], seen.shape), atol=1e-7)  # float32
    both = ContextDecisionMaking(**quiet)
    conditions = {"context": 2, "direction_1": 1, "coherence_1": 50, "direction_2": 2, "coherence_2": 15}
    seen, outside = shown(both, "stimulus", **conditions)
    expected = [1, 0.75, 0.25, 0.425, 0.575, 0, 1]
    np.testing.assert_allclose(seen, np.broadcast_to(expected, seen.shape), rtol=1e-6)
    assert not outside[:, 1:5].any()
    assert np.array_equal(outside[:, 5:].sum(-1), outside[:, 0]), "one context is told until the decision"
    for theta, sample in ((0, [1, 1, 0]), (np.pi, [1, 0, 1])):
        seen, _ = shown(DelayMatchSample(**quiet), "sample", sample_theta=theta)
        np.testing.assert_allclose(seen, np.broadcast_to(sample, seen.shape), atol=1e-7)
        for choice, test in ((1, sample), (2, [1, *sample[:0:-1]])):
            seen, outside = shown(DelayMatchSample(**quiet), "test", sample_theta=theta, choice=choice)
            np.testing.assert_allclose(seen, np.broadcast_to(test, seen.shape), atol=1e-7)
            assert not outside[:, 1:].any()
    for choice, stimulus in ((0, [1, 1, 0]), (1, [1, 0, 1])):
        seen, outside = shown(GoNogo(**quiet), "stimulus", choice=choice)
        assert np.array_equal(seen, np.broadcast_to(stimulus, seen.shape))
        assert not outside[:, 1:].any()


@pytest.mark.parametrize("kind", [PerceptualDecisionMaking, ContextDecisionMaking, DelayMatchSample, GoNogo])
def test_noise_is_that_of_its_unit_and_in_stimuli_alone(kind: Any) -> None:
    options = {"dt": 20, "delay": 100}
    noisy, quiet = (kind(sigma=sigma, **options).trials(rng(1), 500) for sigma in (2.5, 0))
    noise = (noisy.x - quiet.x).astype(np.float64)
    names = [name for name in ("stimulus", "sample", "test") if name in quiet.epochs]
    t = np.arange(len(noise))[:, None]
    inside = np.any([(quiet.epochs[e][:, 0] <= t) & (t < quiet.epochs[e][:, 1]) for e in names], 0)
    cues = [0, 5, 6] if kind is ContextDecisionMaking else [0]
    assert not noise[~inside].any()
    assert not noise[..., cues].any()
    drawn = np.delete(noise[inside], cues, -1)
    sd = 2.5 / math.sqrt(20)
    assert abs(drawn.std() / sd - 1) < 5 / math.sqrt(2 * drawn.size)
    assert abs(drawn.mean()) < 5 * sd / math.sqrt(drawn.size)
    correlations = np.corrcoef(drawn.T) - np.eye(drawn.shape[1])
    assert abs(correlations).max() < 5 / math.sqrt(len(drawn)), "each channel has its own"


def test_an_interval() -> None:
    task = ReadySetGo(dt=10, gain=2, fixation=20, measure=[40], pulse=20)
    x, y, weight = trials = task.trials(rng(), 2)
    assert x[:, 1].T.tolist() == [[1] * 6 + [0] * 16, [0, 0, 1, 1] + [0] * 18, [0] * 6 + [1, 1] + [0] * 14]
    assert y[:, 1].tolist() == [0] * 14 + [1] * 8, "Set at step 6, go 8 steps later"
    assert weight[:, 1].tolist() == [1] * 22
    assert trials.conditions["measure"].tolist() == [40, 40]
    assert trials.conditions["production"].tolist() == [80, 80]
    trials = ReadySetGo(dt=10, fixation=(0, 50), measure=(30, 40), pulse=10).trials(rng(), 500)
    end = trials.epochs["production"][:, 1]
    assert np.array_equal(trials.weight, np.arange(17)[:, None] < end), "17 steps: 50 + 3 * 40 ms"
    assert not trials.x[np.arange(17)[:, None] >= end].any()
    shares(trials.conditions["measure"], [30, 40])
    shares(trials.epochs["fixation"][:, 1], [0, 5])
    assert np.array_equal(trials.conditions["production"], trials.conditions["measure"])


# ---- Statistics ----


def test_conditions_are_balanced() -> None:
    dots = PerceptualDecisionMaking(dim_ring=3, coherences=(0, 10, 30)).trials(rng(), 4000).conditions
    both = dots["choice"] * 100 + dots["coherence"]
    shares(both, [choice * 100 + coherence for choice in (1, 2, 3) for coherence in (0, 10, 30)])
    context = ContextDecisionMaking(coherences=(5, 50)).trials(rng(), 4000).conditions
    combined = sum(10**i * context[key] for i, key in enumerate(("context", "direction_1", "direction_2")))
    shares(combined, [a + 10 * b + 100 * c for a in (1, 2) for b in (1, 2) for c in (1, 2)])
    shares(context["coherence_1"] * 100 + context["coherence_2"], [505, 550, 5005, 5050])
    relevant = np.where(context["context"] == 1, context["direction_1"], context["direction_2"])
    assert np.array_equal(context["choice"], relevant)
    match = DelayMatchSample(dim_ring=4).trials(rng(), 4000).conditions
    shares(
        match["choice"] * 10 + np.rint(match["sample_theta"] * 2 / np.pi), [a + b for a in (10, 20) for b in range(4)]
    )
    apart = np.abs(match["test_theta"] - match["sample_theta"])
    np.testing.assert_allclose(apart, np.pi * (match["choice"] - 1), atol=1e-12)
    shares(GoNogo(p_go=0.8).trials(rng(), 4000).conditions["choice"], [0, 1], [0.2, 0.8])


def test_pulses_symbols_and_numbers() -> None:
    x, y, _ = FlipFlop(p_flip=0.3, steps=50).trials(rng(), 400)
    assert x[0].all(), "every bit begins with a pulse"
    shares(x[1:], [-1, 0, 1], [0.15, 0.7, 0.15])
    shares(x[0], [-1, 1])
    noisy = FlipFlop(p_flip=0.3, steps=50, sigma=0.5).trials(rng(), 400)
    noise = noisy.x - x
    assert np.array_equal(noisy.y, y)
    assert abs(noise.std() / 0.5 - 1) < 5 / math.sqrt(2 * noise.size)
    x, y, _ = CopyMemory(n_symbols=4, length=3, delay=5).trials(rng(), 1000)
    shares(x[:3], range(4))
    assert np.array_equal(x[3:], np.tile([[4], [4], [4], [4], [5], [4], [4], [4]], 1000))
    assert np.array_equal(y, np.concatenate([np.full((8, 1000), 4), x[:3]]))
    trials = AddingProblem(steps=9).trials(rng(), 4000)
    numbers, marks = trials.x[..., 0], trials.x[..., 1]
    shares(trials.conditions["first"], range(4))
    shares(trials.conditions["second"], range(4, 9))
    assert np.array_equal(marks.sum(0), np.full(4000, 2))
    assert marks[trials.conditions["first"], np.arange(4000)].all()
    assert marks[trials.conditions["second"], np.arange(4000)].all()
    assert abs(numbers.mean() - 0.5) < 5 / math.sqrt(12 * numbers.size)
    assert numbers.min() >= 0
    assert numbers.max() < 1


A = "(?:XT*VP)*(?:S|XT*VV)"  # from the state in which the two branches meet to the one before E
REBER = f"B(?:TS*X{A}|PT*V(?:V|P{A}))E"
STRINGS = {False: REBER, True: f"B(?:T{REBER}T|P{REBER}P)E"}


@pytest.mark.parametrize("embedded", [False, True])
def test_strings_of_the_grammar(embedded: bool) -> None:
    """By a regular expression; by their mean length, by hand: 8, and 4 more; and each choice is one in two."""
    task = ReberGrammar(embedded=embedded)
    trials = task.trials(rng(), 1500)
    taken: list[bool] = []
    for x, y, length in zip(trials.x, trials.y, trials.conditions["length"], strict=True):
        assert np.array_equal(x[1:], y[:-1])
        string = task.text([*x, y[-1]])
        assert re.fullmatch(STRINGS[embedded], string)
        assert len(string) == length
        legal = task.legal(x)
        assert legal[np.arange(len(y)), y].all()
        taken += [bool(y[i] == legal[i].argmax()) for i in np.flatnonzero(legal.sum(-1) == 2)]
    lengths = trials.conditions["length"]
    mean = 12 if embedded else 8
    assert abs(lengths.mean() - mean) < 5 * lengths.std() / math.sqrt(len(lengths))
    shares(np.array(taken), [False, True])


def test_legal_symbols() -> None:
    """Strings and non-strings of Reber's grammar as textbooks have them."""
    task = ReberGrammar(embedded=False)
    tokens = {symbol: k for k, symbol in enumerate(task.inputs)}
    for string in ("BTSSXXTVVE", "BPVVE", "BTXXVPSE", "BPVPXVPXVPXVVE", "BTSXXVPSE"):
        legal = task.legal(tokens[symbol] for symbol in string)
        assert legal.shape == (len(string), 7)
        assert not legal[-1].any()
    for string in ("BTSSPXSE", "BPTVVB", "BTXXVVSE", "BPVSPSE", "BTSSSE"):
        with pytest.raises(ValueError, match="tokens: expected"):
            task.legal(tokens[symbol] for symbol in string)
    after = ["".join(np.array(task.inputs)[row]) for row in task.legal([tokens[symbol] for symbol in "BTXX"])]
    assert after == ["TP", "SX", "SX", "TV"], "in the order of the tokens"
    embedded = ReberGrammar()
    assert embedded.text(np.flatnonzero(embedded.legal([tokens[symbol] for symbol in "BPBTXSE"])[-1])) == "P"
    assert embedded.legal([]).shape == (0, 7)
    refuses(lambda: embedded.legal([0, 5]), ValueError, "tokens: expected T or P at step 1, got V")
    refuses(lambda: embedded.legal([0, -1]), ValueError, "tokens: expected T or P at step 1, got a token -1")


# ---- What is refused ----


of_any: Any = bptt.tasks  # whose arguments mypy lets be


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: of_any.PerceptualDecisionMaking(dt=0), ValueError, "dt: expected a number in (0, inf), got 0"),
        (lambda: of_any.PerceptualDecisionMaking(dt="a"), TypeError, "dt: expected a number, got str"),
        (lambda: of_any.GoNogo(sigma=-1), ValueError, "sigma: expected a number in [0, inf), got -1"),
        (lambda: of_any.GoNogo(sigma=math.nan), ValueError, "sigma: expected a number in [0, inf), got nan"),
        (lambda: of_any.GoNogo(p_go=1), ValueError, "p_go: expected a number in (0, 1), got 1"),
        (lambda: of_any.GoNogo(stimulus=0), ValueError, "stimulus: expected a number in [100, inf), got 0"),
        (lambda: of_any.GoNogo(stimulus=[]), ValueError, "stimulus: expected at least one duration, got none"),
        (lambda: of_any.GoNogo(stimulus="500"), TypeError, "stimulus: expected a number, got str"),
        (lambda: of_any.GoNogo(delay=[100, 150]), ValueError, "delay: expected a multiple of dt = 100 ms, got 150"),
        (lambda: of_any.GoNogo(delay=1e20), ValueError, "delay: expected a multiple of dt = 100 ms, got 1e+20"),
        (lambda: of_any.GoNogo(delay=-100), ValueError, "delay: expected a number in [0, inf), got -100"),
        (lambda: of_any.GoNogo(decision=0), ValueError, "decision: expected a number in [100, inf), got 0"),
        (lambda: of_any.DelayMatchSample(test=0), ValueError, "test: expected a number in [100, inf), got 0"),
        (lambda: of_any.DelayMatchSample(dim_ring=1), ValueError, "dim_ring: expected at least 2, got 1"),
        (lambda: of_any.PerceptualDecisionMaking(dim_ring=2.0), TypeError, "dim_ring: expected an int, got float"),
        (
            lambda: of_any.PerceptualDecisionMaking(coherences=[]),
            ValueError,
            "coherences: expected at least one number, got none",
        ),
        (
            lambda: of_any.PerceptualDecisionMaking(coherences=6.4),
            TypeError,
            "coherences: expected a sequence of numbers, got float",
        ),
        (
            lambda: of_any.ContextDecisionMaking(coherences=[5, 120]),
            ValueError,
            "coherences: expected a number in [0, 100], got 120",
        ),
        (lambda: of_any.ReadySetGo(gain=0), ValueError, "gain: expected a number in (0, inf), got 0"),
        (
            lambda: of_any.ReadySetGo(gain=1.01),
            ValueError,
            "gain * measure: expected a multiple of dt = 50 ms, got 808",
        ),
        (lambda: of_any.ReadySetGo(pulse=[50, 100]), TypeError, "pulse: expected a number, got several"),
        (
            lambda: of_any.ReadySetGo(pulse=900),
            ValueError,
            "pulse: expected at most the shortest measure, 800 ms, got 900",
        ),
        (lambda: of_any.ReadySetGo(measure=0), ValueError, "measure: expected a number in [50, inf), got 0"),
        (lambda: of_any.FlipFlop(n_bits=0), ValueError, "n_bits: expected at least 1, got 0"),
        (lambda: of_any.FlipFlop(steps=0), ValueError, "steps: expected at least 1, got 0"),
        (lambda: of_any.FlipFlop(p_flip=0), ValueError, "p_flip: expected a number in (0, 1], got 0"),
        (lambda: of_any.FlipFlop(sigma=math.inf), ValueError, "sigma: expected a number in [0, inf), got inf"),
        (lambda: of_any.CopyMemory(n_symbols=1), ValueError, "n_symbols: expected at least 2, got 1"),
        (lambda: of_any.CopyMemory(length=0), ValueError, "length: expected at least 1, got 0"),
        (lambda: of_any.CopyMemory(delay=0), ValueError, "delay: expected at least 1, got 0"),
        (lambda: of_any.AddingProblem(steps=1), ValueError, "steps: expected at least 2, got 1"),
        (lambda: of_any.ReberGrammar(embedded=1), TypeError, "embedded: expected True or False, got 1"),
        (lambda: of_any.GoNogo().trials(0, 5), TypeError, "rng: expected a numpy.random.Generator, got int"),
        (lambda: of_any.GoNogo().trials(rng(), 0), ValueError, "batch: expected at least 1, got 0"),
        (lambda: of_any.GoNogo().batches(0, steps=1), ValueError, "batch: expected at least 1, got 0"),
        (lambda: of_any.GoNogo().batches(5, steps=0), ValueError, "steps: expected at least 1, got 0"),
        (
            lambda: of_any.GoNogo().network(5, output="linear"),
            TypeError,
            "output: expected none, as the task has 'softmax'",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    refuses(call, error, message)


def test_scores_of_what_is_no_output_are_refused() -> None:
    task, strings, adding = GoNogo(), ReberGrammar(), AddingProblem()
    trials = task.trials(rng(), 4)
    y_hat = np.zeros((15, 4, 2))

    def refused(value: Any, error: type[Exception], message: str, of: Task = task, given: Any = trials) -> None:
        refuses(lambda: of.score(value, given), error, message)

    refused(y_hat, TypeError, "trials: expected Trials, got tuple", given=tuple(trials))
    other = GoNogo(p_go=0.75)
    refused(y_hat, ValueError, f"trials: expected those of {other}, got those of {task}", of=other)
    refused(y_hat[:, :3], ValueError, "y_hat: expected [15, 4, 2], got (15, 3, 2)")
    refused(y_hat.astype(complex), TypeError, "y_hat: expected float64 or what converts to it safely, got complex128")
    y_hat[1, 2, 1] = np.nan
    refused(y_hat, ValueError, "y_hat: expected finite numbers, got nan")
    refuses(lambda: task.choice(y_hat, trials), ValueError, "y_hat: expected finite numbers, got nan")
    sums = adding.trials(rng(), 4)
    refused(np.zeros((100, 4, 1)), ValueError, "y_hat: expected [4, 1], got (100, 4, 1)", of=adding, given=sums)
    lists = strings.trials(rng(), 2)
    lengths = [len(x) for x in lists.x]
    rows = [np.zeros((n, 7)) for n in lengths]
    refused(rows[:1], ValueError, "y_hat: expected a list of 2 arrays, as x is, got 1 arrays", of=strings, given=lists)
    refused(rows[0], ValueError, "y_hat: expected a list of 2 arrays, as x is, got ndarray", of=strings, given=lists)
    expected = f"y_hat[1]: expected [{lengths[1]}, 7], got ({lengths[1] - 1}, 7)"
    refused([rows[0], rows[1][1:]], ValueError, expected, of=strings, given=lists)
