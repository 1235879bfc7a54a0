"""The cost of activity: what it adds to losses, that its gradients are exact, and what `fit` follows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from answers import answer
from bptt import SGD, Adam, ElmanRNN, JordanRNN
from cases import NETWORKS, Options, cycled, each, make
from core import DTYPES, ISAS
from laws import check_central_differences, check_forms, check_memory_limit, check_threads, least_memory
from problems import Case, Form, letters, problem, smooth_problem
from refusals import refuses
from results import assert_close, by_sequence, everything, same_bits, tolerances

LENGTHS = (4, 1, 7, 3, 7, 2)
LARGE = [
    Case(3, 7, 3, (450,), activity=3.0),  # several windows
    Case(3, (7, 5), 3, (60,) * 9, activity=3.0, leak="mixed", noise=0.1, dropout=0.3),
    Case(3, (7, 5), 3, (60, 130, 7, 130, 60, 90, 30), "token", "sigmoid", activity=3.0, reset=True),
    Case(3, (7, 5), 3, (60, 130, 7, 130, 60, 90, 30), activity=3.0, bidirectional=True),
    Case(5, (40, 50), 3, (45,), output="linear", activity=3.0),  # layers side by side
    Case(3, (170, 60), 5, (20,), activation="relu", activity=3.0),  # threads share columns
    Case(7, 40, 3500, (2, 1), activity=3.0),  # matrices that do not fit L2
    Case(400, (370, 40), 5, (2, 3), activity=3.0),  # rows of several tiles
    Case(3, 7, 3, (450, 20), readout="last", activity=3.0),
    Case(3, 7, 3, (450,), feedback="o", teacher_forcing=0.0, output="linear", activity=3.0),
    Case(3, 90, 90, (20, 3), feedback="y_hat", teacher_forcing=0.4, activity=3.0),  # columns of both products
]
X = np.random.default_rng(0).standard_normal((12, 5, 3)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 4, (12, 5))


def mean_square(rnn: Any, x: Any, **how: Any) -> float:
    """The mean of h(t)^2 over all hidden units and all steps within the lengths."""
    run = rnn.forward(x, all_layers=True, **how) if isinstance(rnn, ElmanRNN) else rnn.forward(x, **how)
    lengths = how.get("lengths", [len(x)] * x.shape[1])
    rows = [h[: lengths[i], i] for h in run.layers or [run.h] for i in range(x.shape[1])]
    return float(sum((row.astype(np.float64) ** 2).sum() for row in rows) / sum(row.size for row in rows))


# ---- Numbers ----


@cycled(options=NETWORKS, dtype=DTYPES, isa=ISAS, output=("softmax", "sigmoid", "linear"), input=("real", "token"))
def test_the_results_are_those_of_the_reference(
    options: Options, dtype: str, isa: str, output: Any, input: Any
) -> None:
    case = make(3, 19, 4, LENGTHS, **options, output=output, input=input, reset=True, activity=3.0)
    check_reference(case, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", LARGE, ids=str)
def test_large_ones_are_those_of_the_reference(case: Case, dtype: str) -> None:
    if not case.noise:
        check_reference(case, dtype)
    else:  # in float32 the draws are rounded too: see tests/test_noise.py
        check_reference(case, "float64")


def check_reference(case: Case, dtype: str) -> None:
    p, expected = smooth_problem(case), answer(case)
    form: Form = "padded" if len(set(case.lengths)) > 1 else case.form
    found = by_sequence(everything(p.network(dtype), p.arguments(form)), form, case)
    assert_close(found, expected.results, tolerances(dtype, layers=len(case.sizes)), expected.scales)


@each(NETWORKS)
def test_gradients_are_central_differences(options: Options) -> None:
    case = make(3, 7, 4, LENGTHS, **options, reset=True, activity=3.0, output="linear")
    p = smooth_problem(case)
    check_central_differences(p, [case.initial, "x"])
    rnn, arguments = p.network("float64"), p.arguments()
    found = bptt.gradcheck(rnn, **{"seed": case.seed, **arguments}, tolerance=1e-8, most=60)
    assert list(found) == list(letters(rnn))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_loss_has_the_mean_for_every_target(dtype: str) -> None:
    """Weights are rounded to the dtype, by half an eps; the rest is added in double precision."""
    some = np.where(np.random.default_rng(2).random(Y.shape) < 0.3, -1, Y)
    lengths, weight = [12, 7, 3, 12, 1], np.random.default_rng(3).uniform(0, 2, Y.shape)
    inside = np.arange(12)[:, None] < lengths
    numbers = np.random.default_rng(4).random((12, 5, 4))
    missing = np.where(np.random.default_rng(5).random(numbers.shape) < 0.3, np.nan, numbers)
    of_each = np.random.default_rng(6).uniform(0, 2, numbers.shape)
    given: list[tuple[Any, dict[str, Any], float]] = [
        (Y, {}, 60),
        (some, {"lengths": lengths}, (some != -1)[inside].sum()),
        (Y, {"lengths": lengths, "weight": weight}, weight[inside].sum()),
        (missing, {}, (~np.isnan(missing)).mean(axis=-1).sum()),
        (numbers, {"weight": of_each, "lengths": lengths}, of_each.mean(axis=-1)[inside].sum()),
    ]
    for y, how, targets in given:
        rnn = ElmanRNN(3, (6, 5), 4, output="softmax" if y.ndim == 2 else "linear", dtype=dtype, seed=0)
        more = rnn.loss(X, y, **how, activity=0.7) - rnn.loss(X, y, **how)
        how.pop("weight", None)
        rounding = float(np.finfo(dtype).eps) / 2 + 1e-12
        assert more == pytest.approx(0.7 * targets * mean_square(rnn, X, **how), rel=rounding)
        assert more > 0.1


def test_of_disturbed_networks_it_is_that_of_the_units_themselves() -> None:
    """With noise, but before anything is dropped."""
    rnn = ElmanRNN(3, (6, 5), 4, leak=0.5, dtype="float64", seed=0)
    how: dict[str, Any] = {"noise": 0.4, "dropout": 0.5, "seed": 8}
    more = rnn.loss(X, Y, **how, activity=2.0) - rnn.loss(X, Y, **how)
    assert more == pytest.approx(2 * 60 * mean_square(rnn, X, **how), rel=1e-12)


@pytest.mark.parametrize("make_rnn", [ElmanRNN, JordanRNN])
@pytest.mark.parametrize("off", [0.0, 0, np.float32(0)])
def test_none_is_the_plain_network_to_the_bit(make_rnn: Any, off: Any) -> None:
    rnn = make_rnn(3, 6, 4, seed=0)
    assert same_bits(everything(rnn, {"x": X, "y": Y, "activity": off}), everything(rnn, {"x": X, "y": Y}))


def test_where_no_target_is_there_is_no_cost() -> None:
    rnn = ElmanRNN(3, 6, 4, seed=0)
    loss, gradients = rnn.loss_and_gradients(X, np.full_like(Y, -1), activity=2.0)
    assert loss == 0
    assert not gradients.flat.any()


# ---- Bits ----


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_threads_and_memory_limit_change_no_bit(case: Case) -> None:
    p = problem(case)
    check_threads(p, "float32", repeat=1)
    if max(case.lengths) > 100 and not case.bidirectional:
        least = least_memory(p.network("float32"), p.arguments())
        check_memory_limit(p, "float32", [least, 2 * least])


@pytest.mark.parametrize("options", [{}, {"upper": (6,), "bidirectional": True}, {"leak": "mixed"}], ids=str)
def test_the_form_of_the_sequences_changes_no_bit(options: Options) -> None:
    check_forms(problem(make(3, 9, 4, LENGTHS, **options, activity=3.0)), "float32", ends=[len(LENGTHS)])


# ---- Training ----


def trained(rnn: Any, x: Any = X, y: Any = Y, **how: Any) -> Any:
    options: dict[str, Any] = {"optimizer": Adam(0.01), "epochs": 3, "seed": 7, "progress": False}
    return rnn.fit(x, y, **{**options, **how})


@pytest.mark.parametrize("make_rnn", [ElmanRNN, JordanRNN])
@pytest.mark.parametrize("truncate", [None, 5])
def test_fit_follows_the_mean_loss_and_the_mean_square(make_rnn: Any, truncate: int | None) -> None:
    """By hand: loss / targets + lambda mean(h^2), of each batch or window."""
    weight = np.random.default_rng(3).choice([0.0, 1.0, 2.5], Y.shape)
    fitted, by_hand = (make_rnn(3, 6, 4, dtype="float64", seed=0) for _ in range(2))
    history = trained(fitted, weight=weight, optimizer=SGD(0.1), epochs=1, truncate=truncate, activity=0.3)
    state: dict[str, Any] = {}
    losses = []
    for t in range(0, 12, truncate or 12):
        window = slice(t, t + (truncate or 12))
        x, y, w = X[window], Y[window], weight[window]
        task, of_task = by_hand.loss_and_gradients(x, y, weight=w, **state)
        both, of_both = by_hand.loss_and_gradients(x, y, weight=w, **state, activity=1.0)
        losses.append((task + 0.3 * (both - task)) / w.sum())
        by_hand.parameters -= 0.1 * (of_task.flat + 0.3 * (of_both.flat - of_task.flat)) / w.sum()
        name = "h" if make_rnn is ElmanRNN else "r"
        state = {f"{name}0": getattr(of_task, f"{name}_last")}
    assert np.allclose(fitted.parameters, by_hand.parameters, rtol=0, atol=1e-14)  # rounded in another order
    assert np.allclose(history.updates.loss, losses, rtol=1e-14, atol=0)


def test_units_become_quiet_and_validation_tells_the_task_alone() -> None:
    """Chance of 4 classes is log 4 a target; y is which of 4 ranges the input is in."""
    x = np.random.default_rng(0).uniform(-1, 1, (10, 64, 1))
    y = np.digitize(x[..., 0], [-0.5, 0, 0.5])
    found = {}
    for cost in (None, 0.0, 1.0):
        rnn = ElmanRNN(1, 20, 4, seed=0)
        history = trained(rnn, x, y, epochs=60, activity=cost, validation=(x, y))
        found[cost] = mean_square(rnn, x), history, rnn
        assert history.validation[-1] == pytest.approx(rnn.loss(x, y) / y.size, rel=1e-6)  # batches, in another order
    assert same_bits(found[None][2].parameters, found[0.0][2].parameters)
    assert found[1.0][0] < found[0.0][0] / 2
    mean, history, _ = found[1.0]
    assert history.loss[-1] == pytest.approx(history.validation[-1] + mean, rel=0.05)  # over the last epoch's updates


def test_it_may_be_a_function_of_the_update() -> None:
    told: list[int] = []

    def later(update: int) -> float:
        told.append(update)
        return 5.0 if update >= 3 else 0.0

    rnn = ElmanRNN(3, 6, 4, seed=0)
    losses = trained(rnn, optimizer=SGD(1e-12), epochs=6, activity=later).updates.loss
    assert told == [*range(6)]
    more = 5 * mean_square(rnn, X)
    assert np.allclose(losses, rnn.loss(X, Y) / Y.size + np.array([0, 0, 0, 1, 1, 1]) * more, rtol=1e-5)


@pytest.mark.parametrize("truncate", [None, 5])
def test_fit_resumes_to_the_same_bits(truncate: int | None, tmp_path: Path) -> None:
    how: dict[str, Any] = {"activity": 0.5, "noise": 0.1, "truncate": truncate, "batch_size": None if truncate else 2}
    whole, first = ElmanRNN(3, (6, 5), 4, leak=0.5, seed=0), ElmanRNN(3, (6, 5), 4, leak=0.5, seed=0)
    history = trained(whole, **how)
    trained(first, **how, epochs=1, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="activity"):
        trained(first, **{**how, "activity": 0.6}, checkpoint=tmp_path / "run", resume=True)
    resumed = trained(first, **how, checkpoint=tmp_path / "run", resume=True)
    assert same_bits(first.parameters, whole.parameters)
    assert same_bits(resumed.loss, history.loss)


# ---- What is refused ----


@pytest.mark.parametrize("make_rnn", [ElmanRNN, JordanRNN])
@pytest.mark.parametrize(
    ("activity", "error", "message"),
    [
        (-0.1, ValueError, r"activity: expected a number in [0, inf), got -0.1"),
        (math.nan, ValueError, r"activity: expected a number in [0, inf), got nan"),
        (math.inf, ValueError, r"activity: expected a number in [0, inf), got inf"),
        ("1", TypeError, "activity: expected a number, got str"),
        (False, TypeError, "activity: expected a number, got bool"),
        ([0.5], TypeError, "activity: expected a number, got list"),
    ],
    ids=str,
)
def test_what_no_cost_is(make_rnn: Any, activity: Any, error: type[Exception], message: str) -> None:
    rnn = make_rnn(3, 6, 4, seed=0)
    before = rnn.parameters.copy()
    refuses(lambda: rnn.loss(X, Y, activity=activity), error, message)
    refuses(lambda: rnn.loss_and_gradients(X, Y, activity=activity), error, message)
    refuses(lambda: trained(rnn, activity=activity), error, message)
    refuses(lambda: trained(rnn, activity=lambda update: activity), error, message)
    refuses(lambda: bptt.gradcheck(rnn, X, Y, activity=activity), error, message)
    assert same_bits(rnn.parameters, before)
