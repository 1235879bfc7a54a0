"""Outputs with targets of their own: weights for each output, and numbers that are missing (NaN)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from answers import solve
from bptt import SGD, ElmanRNN, JordanRNN, gradcheck
from cases import Options, cycled, make
from core import DTYPES, ISAS
from problems import Problem, smooth_problem
from refusals import refuses
from results import assert_close, by_sequence, everything, same_bits, tolerances

NETWORKS: list[Options] = [
    {},
    {"readout": "last"},
    {"upper": (6,), "reset": True},
    {"bidirectional": True},
    {"bidirectional": True, "readout": "last"},
    *({"feedback": feedback, "teacher_forcing": p} for feedback in ("y_hat", "o") for p in (0.0, 0.5, 1.0)),
]
SHAPES = [(3, 9, 1, (7,) * 3), (4, 11, 3, (6, 1, 9)), (2, 5, 17, (5,)), (3, 70, 33, (40,) * 9)]
MISSING = ["nan", "weights", "both"]


def with_gaps(p: Problem, missing: str) -> Problem:
    """The problem with a weight for each output, or with targets that are missing, or both."""
    random = np.random.default_rng(5)

    def targets(y: Any, w: Any) -> tuple[Any, Any]:
        gaps = random.random(y.shape) < 0.3
        y = np.where(gaps if missing != "weights" else np.zeros_like(gaps), np.nan, np.nan_to_num(y, nan=0.5))
        if missing == "nan":
            return y, w
        own = random.choice([0.0, 0.5, 1.0, 2.25], y.shape)
        return np.where(own == 0.0, np.nan, y), own

    if p.case.readout == "last":
        y, weight = targets(p.y, p.weight)
    else:
        weights = p.weight if p.weight is not None else [None] * len(p.y)
        pairs = [targets(y, w) for y, w in zip(p.y, weights, strict=True)]
        y, weight = [y for y, _ in pairs], [w for _, w in pairs]
        weight = None if p.weight is None and missing == "nan" else weight
    return dataclasses.replace(p, y=y, weight=weight)


@cycled(
    shape=SHAPES,
    network=NETWORKS,
    missing=MISSING,
    output=["sigmoid", "linear"],
    extras=[True, False],
    dtype=DTYPES,
    isa=ISAS,
)
def test_results_are_those_of_the_reference(
    shape: Any, network: Options, missing: str, output: Any, extras: bool, dtype: str, isa: str
) -> None:
    p = with_gaps(smooth_problem(make(*shape, output=output, extras=extras, **network)), missing)
    results = by_sequence(everything(p.network(dtype), p.arguments()), p.case.form, p.case)
    expected = solve(p)
    assert_close(results, expected.results, tolerances(dtype, layers=len(p.case.sizes)), expected.scales)


@cycled(network=NETWORKS, missing=MISSING, output=["sigmoid", "linear"], form=["padded", "list"])
def test_gradients_are_central_differences(network: Options, missing: str, output: Any, form: Any) -> None:
    p = with_gaps(smooth_problem(make(4, 11, 3, (6, 1, 9), output=output, **network)), missing)
    # A central difference with step 1e-5 is off by step^2 of the third derivative and by eps |L| / step: near 1e-10.
    assert gradcheck(p.network("float64"), **p.arguments(form), tolerance=1e-8)


@cycled(network=NETWORKS, output=["sigmoid", "linear"], dtype=DTYPES, isa=ISAS)
def test_no_target_is_said_in_three_ways(network: Options, output: Any, dtype: str, isa: str) -> None:
    """A number that is missing, an output of weight 0, and a step of weight 0 have the same bits."""
    p = smooth_problem(make(4, 11, 3, (6,) * 3, output=output, extras=False, **network))
    rnn, arguments = p.network(dtype), p.arguments()
    y = np.array(arguments["y"])
    gaps = np.random.default_rng(1).random(y.shape) < 0.4
    missing = everything(rnn, arguments | {"y": np.where(gaps, np.nan, y)})
    assert np.isfinite(missing["loss"])
    own = everything(rnn, arguments | {"weight": np.where(gaps, 0.0, 1.0)})
    assert same_bits(missing, own)
    steps = np.asarray(gaps.any(-1))
    of_steps = everything(rnn, arguments | {"weight": np.where(steps, 0.0, 1.0)})
    assert same_bits(everything(rnn, arguments | {"y": np.where(steps[..., None], np.nan, y)}), of_steps)


@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
def test_what_is_refused(kind: Any) -> None:
    x, y = np.zeros((5, 4, 3)), np.zeros((5, 4, 2))
    linear, classes = kind(3, 6, 2, output="linear"), kind(3, 6, 2)
    own = np.ones((5, 4, 2))
    message = "weight: expected [5, 4], got (5, 4, 2)"
    refuses(lambda: classes.loss(x, np.zeros((5, 4), int), weight=own), ValueError, message)
    refuses(
        lambda: linear.loss(x, y, weight=np.ones((5, 4, 3))), ValueError, "weight: expected [5, 4, 2], got (5, 4, 3)"
    )
    own[3, 1, 0] = -1
    message = "weight: expected finite numbers of at least 0, got -1.0 at step 3 of sequence 1, column 0"
    refuses(lambda: linear.loss(x, y, weight=own), ValueError, message)
    sigmoid = kind(3, 6, 2, output="sigmoid")
    y[2, 1] = np.nan, 1.5
    message = "y: expected probabilities in [0, 1], got 1.5 at step 2 of sequence 1"
    refuses(lambda: sigmoid.loss(x, y), ValueError, message)
    own[...] = 1
    own[2, 1, 1] = 0  # then it is not read
    assert np.isfinite(sigmoid.loss(x, y, weight=own))


def test_weights_of_each_output_in_a_column_of_sequences() -> None:
    rnn = ElmanRNN(3, 6, 2, output="linear", seed=0)
    x, y, w = ([np.full((n, k), 0.5) for n in (4, 2)] for k in (3, 2, 2))
    column = np.empty(2, object)
    column[:] = w
    assert rnn.loss(x, y, weight=column) == rnn.loss(x, y, weight=w) == rnn.loss(x, y) / 2


# ---- Training ----


def fit(rnn: Any, x: Any, y: Any, **more: Any) -> Any:
    return rnn.fit(x, y, optimizer=SGD(0.05), epochs=3, seed=0, progress=False, **more)


@pytest.mark.parametrize("of", ["arrays", "windows", "list", "last"])
def test_fit_follows_the_mean_over_what_is_there(of: str) -> None:
    """The loss of an epoch is the sum of all terms, over the number of them, n_out of which are one target."""
    random = np.random.default_rng(0)
    rnn = ElmanRNN(3, 8, 2, output="linear", readout="last" if of == "last" else "all", seed=0)
    x: Any = random.standard_normal((20, 6, 3))
    y: Any = random.standard_normal((20, 6, 2))
    y[random.random(y.shape) < 0.4] = np.nan
    own: Any = random.choice([0.0, 1.0, 2.0], y.shape)
    more: dict[str, Any] = {"truncate": 7} if of == "windows" else {"batch_size": 6}
    if of == "last":
        y, own = y[0], own[0]
    if of == "list":
        x, y, own = ([*np.moveaxis(a, 1, 0)] for a in (x, y, own))
    before = rnn.loss(x, y, weight=own)
    weights = np.where(np.isnan(y), 0, own)
    history = fit(rnn, x, y, weight=own, **more)
    assert history.epochs.updates[0] == (3 if of == "windows" else 1)
    if of != "windows":  # else the parameters change within the epoch
        assert history.updates.loss[0] == pytest.approx(before / (weights.sum() / 2), rel=1e-6)  # float32 in the core
    assert history.updates.targets.sum() == pytest.approx(3 * weights.sum() / 2)
    assert history.epochs.loss[-1] < history.epochs.loss[0]


def test_metrics_see_what_is_missing_as_nan() -> None:
    x, y = np.zeros((5, 2, 3)), np.ones((5, 2, 2))
    y[0], y[1, 0, 0] = np.nan, np.nan
    weight = np.ones_like(y)
    weight[2, 1, 1] = 0
    seen: list[Any] = []

    def metric(y: Any, y_hat: Any) -> float:
        seen.append((y, y_hat))
        return float(np.nanmean(np.abs(y - y_hat)))

    rnn = ElmanRNN(3, 4, 2, output="linear", seed=0)
    fit(rnn, x, y, weight=weight, validation=(x, y, weight), metrics={"error": metric})
    assert seen[0][0].shape == seen[0][1].shape == (8, 2)
    assert np.isnan(seen[0][0]).sum() == 2
    assert np.isfinite(seen[0][1]).all()


def test_a_target_that_is_infinite_is_refused_and_one_at_least_is_needed() -> None:
    x, y = np.zeros((5, 2, 3)), np.full((5, 2, 2), np.nan)
    rnn = ElmanRNN(3, 4, 2, output="linear", seed=0)
    refuses(lambda: fit(rnn, x, y), ValueError, "y: expected at least one target, got none")
    y[3, 1, 1] = np.inf
    with pytest.raises(
        FloatingPointError, match=r"y: expected finite numbers, got inf at step 3 of sequence 1, column 1"
    ):
        fit(rnn, x, y)
