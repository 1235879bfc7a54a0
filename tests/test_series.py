"""Models of tables: pairs, units, what is held out, streams, predictions and forecasts, each against its definition."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Adam, ElmanRNN, JordanRNN
from bptt.app.architecture import Architecture
from bptt.app.errors import UserError
from bptt.app.table_data import Table
from bptt.app.table_model import (
    Columns,
    Series,
    choose,
    columns_of,
    forecast,
    new_model,
    predictions,
    scores,
    series_of,
    split,
    streams,
)
from problems import Array


def table(**columns: Any) -> Table:
    return Table("t.csv", {name: np.asarray(column) for name, column in columns.items()})


def columns(
    horizon: int = 1,
    targets: tuple[str, ...] = ("a", "b"),
    inputs: tuple[str, ...] = ("a", "b"),
    differences: bool = False,
) -> Columns:
    means, scales = np.arange(1.0, 9.0), np.arange(2.0, 10.0)
    n, k = len(inputs), len(targets)
    units = (means[:n].tolist(), scales[:n].tolist(), means[:k].tolist(), scales[:k].tolist())
    return Columns(list(inputs), list(targets), horizon, None, differences, *units)


def some(lengths: tuple[int, ...] = (30,), n: int = 2, k: int = 2, seed: int = 0) -> list[Series]:
    """Sequences whose targets are the first inputs."""
    random = np.random.default_rng(seed)
    rows = [random.standard_normal((t, max(n, k))) * 3 + 1 for t in lengths]
    return [Series(str(i), part[:, :n].copy(), part[:, :k].copy()) for i, part in enumerate(rows)]


# ---- From tables ----


def test_columns_by_default_are_all_numbers_and_predict_themselves() -> None:
    found = choose(table(day=["Mon", "Tue"], a=[1.0, 2], store=[1, 1], b=[3.0, 4]), None, None, 1, "store", False)
    assert (found.inputs, found.targets, found.horizon, found.id) == (["a", "b"], ["a", "b"], 1, "store")


@pytest.mark.parametrize(
    ("inputs", "targets", "horizon", "expected"),
    [
        (["a"], None, 1, (["a"], ["a"])),
        (None, ["b"], 1, (["a", "b", "c"], ["b"])),
        (None, ["b"], 0, (["a", "c"], ["b"])),
        (["c", "a"], ["b"], 0, (["c", "a"], ["b"])),
        (["c"], ["a", "b"], 5, (["c"], ["a", "b"])),
    ],
)
def test_columns_that_are_named(
    inputs: list[str] | None, targets: list[str] | None, horizon: int, expected: tuple[list[str], list[str]]
) -> None:
    found = choose(table(a=[1.0], b=[2.0], c=[3.0]), inputs, targets, horizon, None, False)
    assert (found.inputs, found.targets) == expected


@pytest.mark.parametrize(
    ("inputs", "targets", "horizon", "id", "message"),
    [
        (["z"], None, 1, None, "--inputs: t.csv has no column 'z'; it has a, b, t"),
        (None, ["z"], 1, None, "--targets: t.csv has no column 'z'"),
        (None, None, 1, "z", "--id: t.csv has no column 'z'"),
        (None, None, 0, None, "--targets: with --horizon 0, expected columns that are no inputs"),
        (["a"], ["a"], 0, None, "--targets: with --horizon 0, expected columns that are no inputs"),
    ],
)
def test_columns_that_are_refused(inputs: Any, targets: Any, horizon: int, id: Any, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        choose(table(a=[1.0], b=[2.0], t=["x"]), inputs, targets, horizon, id, False)
    with pytest.raises(UserError, match=r"--id: expected one column, got b\.0, b\.1"):
        choose(Table("t", {"a": np.ones(2), "b.0": np.ones(2), "b.1": np.ones(2)}), None, None, 1, "b", False)
    with pytest.raises(UserError, match="--id: expected none, as the arrays of t have an axis of sequences"):
        choose(Table("t", {"a": np.ones(2), "b": np.ones(2)}, steps=1), None, None, 1, "b", False)
    with pytest.raises(UserError, match="expected at least one column of numbers to read"):
        choose(table(t=["x"]), None, None, 1, None, False)
    with pytest.raises(UserError, match="--differences: expected a --horizon of at least 1"):
        choose(table(a=[1.0], b=[2.0]), None, ["b"], 0, None, True)


def test_series_of_a_table_by_id_in_the_order_of_the_file() -> None:
    data = table(a=[0.0, 1, 2, 3, 4], b=[5.0, 6, 7, 8, np.nan], id=["y", "x", "y", "x", "y"])
    found = series_of(data, replace(columns(targets=("b",), inputs=("a",)), id="id"), need_targets=True)
    assert [one.id for one in found] == ["y", "x"]
    assert found[0].inputs.tolist() == [[0], [2], [4]]
    assert np.array_equal(found[0].targets[:, 0], [5, 7, np.nan], equal_nan=True)
    assert found[1].targets.tolist() == [[6], [8]]


def test_series_without_targets() -> None:
    with_b = columns(targets=("b",), inputs=("a",))
    (one,) = series_of(table(a=[1.0, 2]), with_b, need_targets=False)
    assert np.isnan(one.targets).all()
    with pytest.raises(UserError, match=re.escape("t.csv: expected a column 'b', as the model has, got a")):
        series_of(table(a=[1.0, 2]), with_b, need_targets=True)
    with pytest.raises(UserError, match=re.escape("t.csv: expected a column 'a', as the model has, got c")):
        series_of(table(c=[1.0, 2]), with_b, need_targets=False)


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_pairs(horizon: int) -> None:
    c = columns(horizon, targets=("c",), inputs=("a", "b"))
    (one,) = some((10,), n=2, k=1)
    x, y = one.pairs(c)
    assert len(x) == len(y) == 10 - horizon
    t = 4
    assert x[t] == pytest.approx((one.inputs[t] - [1, 2]) / [2, 3], rel=1e-6)
    assert y[t] == pytest.approx((one.targets[t + horizon] - 1) / 2, rel=1e-6)
    assert c.in_units(y, one.targets[: 10 - horizon]) == pytest.approx(one.targets[horizon:], rel=1e-6)


@pytest.mark.parametrize("horizon", [1, 3])
def test_pairs_of_differences(horizon: int) -> None:
    c = columns(horizon, targets=("c",), inputs=("a", "b"), differences=True)
    (one,) = some((10,), n=2, k=1)
    x, y = one.pairs(c)
    assert len(x) == len(y) == 10 - horizon
    t = 4
    assert x[t] == pytest.approx((one.inputs[t] - one.inputs[t - 1] - [1, 2]) / [2, 3], rel=1e-5)
    assert x[0].tolist() == [0, 0]  # unknown: the mean
    assert y[t] == pytest.approx((one.targets[t + horizon] - one.targets[t] - 1) / 2, rel=1e-5)
    assert c.in_units(y, one.targets[: 10 - horizon]) == pytest.approx(one.targets[horizon:], rel=1e-5)


# ---- What is held out, and what units ----


@pytest.mark.parametrize("horizon", [0, 1, 4])
@pytest.mark.parametrize("lengths", [(100,), (50, 80, 20), (6, 6), (2000,)])
def test_the_last_rows_are_held_out(horizon: int, lengths: tuple[int, ...]) -> None:
    found = some(lengths)
    c, training, validation, kept, cuts, _ = split(found, columns(horizon), "t")
    assert kept == found
    assert cuts == [min(max(t - round(0.1 * t), horizon + 1), t - 1) for t in lengths]
    for i, (one, cut) in enumerate(zip(found, cuts, strict=True)):
        x, y = one.pairs(c)
        # Training ends before the first row held out; validation scores every target from there on, once.
        assert np.array_equal(training.x[i], x[: cut - horizon])
        assert np.array_equal(training.y[i], y[: cut - horizon])
        assert (training.weight[i] == 1).all()
        assert np.array_equal(validation.y[i][validation.weight[i] == 1], y[cut - horizon :])
        assert np.array_equal(validation.x[i], x[-len(validation.x[i]) :])
        assert len(validation.x[i]) == min(len(x), len(x) - (cut - horizon) + 1000)
    assert validation.rows == sum(t - cut for t, cut in zip(lengths, cuts, strict=True))
    rows = np.concatenate([one.inputs[:cut] for one, cut in zip(found, cuts, strict=True)])
    assert np.allclose(c.input_mean, rows.mean(axis=0))
    assert np.allclose(c.input_scale, rows.std(axis=0))
    assert c.target_scale == c.input_scale


def test_of_many_sequences_whole_ones_are_held_out() -> None:
    found = some((3, 8, 5, 9, 12, 4, 5, 6, 7, 8, 9, 20))
    c, training, validation, _, cuts, held_out = split([*found, *some((1, 2))], columns(), "t")
    assert held_out == "the last 2 of 13 sequences"  # that of one row has no pair
    found.append(some((1, 2))[1])
    assert cuts == [*(len(one.inputs) for one in found[:-2]), 0, 0]
    assert [len(x) for x in training.x] == [len(one.inputs) - 1 for one in found[:-2]]
    assert [x.tolist() for x in validation.x] == [one.pairs(c)[0].tolist() for one in found[-2:]]
    assert all((weight == 1).all() for weight in validation.weight)


def test_missing_targets_have_no_weight_and_no_part_in_the_units() -> None:
    (one,) = some((50,))
    one.targets[10, 1] = one.targets[20] = np.nan
    c, training, _, _, _, _ = split([one], columns(), "t")
    assert np.flatnonzero(training.weight[0] == 0).tolist() == [9, 19]
    assert np.isfinite(training.y[0]).all()
    assert np.allclose(c.target_mean, np.nanmean(one.targets[:45], axis=0))


@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("value", [7, 0.1, 1e-300, 123456.789, 0])
def test_where_only_rounding_varies_the_scale_is_1(value: float, differences: bool) -> None:
    (one,) = some((54,))
    one.inputs[:, 1] = value * (np.arange(54) if differences else 1)
    c = split([one], columns(differences=differences), "t").columns
    assert c.input_scale[1] == 1
    assert c.input_mean[1] == pytest.approx(value)


def test_a_small_scale_far_from_0_is_kept() -> None:
    (one,) = some((50,))
    one.inputs[:, 1] = 1e12 + np.sin(np.arange(50))
    assert split([one], columns(), "t").columns.input_scale[1] == pytest.approx(0.7, abs=0.05)


def test_units_of_differences() -> None:
    (one,) = some((50,))
    one.targets[20, 1] = np.nan
    c = split([one], columns(2, targets=("c", "d"), differences=True), "t").columns
    steps = one.inputs[1:45] - one.inputs[:44]
    assert np.allclose([c.input_mean, c.input_scale], [steps.mean(axis=0), steps.std(axis=0)])
    ahead = one.targets[2:45] - one.targets[:43]
    assert np.allclose([c.target_mean, c.target_scale], [np.nanmean(ahead, axis=0), np.nanstd(ahead, axis=0)])


def test_splits_that_are_refused() -> None:
    with pytest.raises(
        UserError, match=re.escape("t: too short; expected a sequence of at least 5 rows, got 4 at most")
    ):
        split(some((4, 3)), columns(3), "t")
    (one,) = some((50,))
    one.targets[45:] = np.nan
    with pytest.raises(UserError, match="t: expected rows to validate with in which no target is missing, got none"):
        split([one], columns(), "t")
    one.targets[:45, 1] = np.nan
    with pytest.raises(UserError, match="t, column 'b': expected numbers in the rows to train on, got none"):
        split([one], columns(), "t")
    one.inputs[:, 0] = np.where(np.arange(50) % 2, 1e308, -1e308)
    with pytest.raises(UserError, match="t, column 'a': expected numbers that can be standardised, got too large ones"):
        split([one], columns(), "t")


# ---- Streams ----


@pytest.mark.parametrize("lengths", [(2000,), (700, 3, 900, 50, 2), (9,)])
def test_streams_hold_every_pair_once_and_begin_each_sequence_anew(lengths: tuple[int, ...]) -> None:
    training = split(some(lengths), columns(), "t").training
    data = streams(training, batch=4, tau=16, seed=3)
    steps, batch = data["weight"].shape
    assert batch == max(1, min(4, sum(map(len, training.x)) // (8 * 16)))
    assert steps * batch - sum(map(len, training.x)) < batch
    joined = {name: rows.swapaxes(0, 1).reshape(steps * batch, *rows.shape[2:]) for name, rows in data.items()}
    begins = [*np.flatnonzero(joined["reset"]).tolist(), sum(map(len, training.x))]
    parts = [
        (joined["x"][begin:end].tolist(), joined["y"][begin:end].tolist()) for begin, end in itertools.pairwise(begins)
    ]
    assert sorted(parts) == sorted((x.tolist(), y.tolist()) for x, y in zip(training.x, training.y, strict=True))
    assert joined["weight"].sum() == training.rows
    order = [len(part[0]) for part in parts]
    assert order != [len(x) for x in training.x] or len(order) == 1, "another order than the file's"


# ---- Models ----


def model(network: str, c: Columns) -> Any:
    rnn = new_model(c, Architecture("elman", (6, 5)) if network == "stack" else Architecture(network, (6,)))
    rnn.parameters = rnn.parameters * 1.5
    return rnn


@pytest.mark.parametrize("network", ["elman", "jordan"])
def test_a_model_carries_its_columns(network: str, tmp_path: Any) -> None:
    c = columns(2, targets=("c",), inputs=("a", "b"))
    rnn = new_model(c, Architecture(network, (5,)))
    assert (rnn.n_in, rnn.n_hidden, rnn.n_out, rnn.output) == (2, 5, 1, "linear")
    rnn.save(tmp_path / "m")
    assert columns_of(bptt.load(tmp_path / "m")) == c
    good = rnn.metadata["series"]
    for wrong in (
        None,
        {},
        {**good, "inputs": ["a"]},
        {**good, "target_scale": []},
        {**good, "input_mean": [1.0, float("nan")]},
        {**good, "input_mean": [1.0, "x"]},
        {**good, "horizon": -1},
        {**good, "inputs": ["a", 5]},
        {**good, "more": 1},
        {**good, "differences": 0},
        {**good, "id": 3},
        {**good, "target_scale": [0.0]},
        {**good, "target_scale": [-1.0]},
        {**good, "target_mean": ["1"]},
        {**good, "inputs": "ab"},
    ):
        rnn.metadata["series"] = wrong
        assert columns_of(rnn) is None
    other = ElmanRNN(2, 5, 1, output="sigmoid")
    other.metadata["series"] = good
    assert columns_of(other) is None
    of_both_ends = ElmanRNN(2, 5, 1, output="linear", bidirectional=True)
    of_both_ends.metadata["series"] = good
    assert columns_of(of_both_ends) is None


@pytest.mark.parametrize("length", [1, 7, 4096, 4097, 9000])
@pytest.mark.parametrize("network", ["elman", "stack"])
def test_predictions_of_an_elman_network(network: str, length: int) -> None:
    c = columns(3, targets=("c",), inputs=("a", "b"))
    rnn, found = model(network, c), some((length, 5), k=1)
    for one, rows in zip(found, predictions(rnn, c, found), strict=True):
        o = rnn.forward(((one.inputs - [1, 2]) / [2, 3]).astype(np.float32)).o
        assert rows == pytest.approx(o * 2 + 1, rel=1e-5, abs=1e-5)


def jordan_by_hand(rnn: JordanRNN, x: Array, fed: Array | None) -> Array:
    """o(1), o(2), ... by equations 10.8-10.10, of what is fed or, without it, of the network's own outputs."""
    r, outputs = np.zeros(rnn.n_out), []
    U, W, b, V, c = (np.asarray(p, np.float64) for p in (rnn.U, rnn.W, rnn.b, rnn.V, rnn.c))
    for t, x_t in enumerate(x):
        if fed is not None and t > 0:
            r = fed[t]
        outputs.append(c + V @ np.tanh(b + W @ r + U @ x_t))
        r = outputs[-1]
    return np.array(outputs)


@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("horizon", [0, 1, 2])
def test_a_jordan_network_is_fed_what_is_known(horizon: int, differences: bool) -> None:
    targets = ("b",) if horizon == 0 else ("a", "b")
    c = columns(horizon, targets, ("a",) if horizon == 0 else ("a", "b"), differences and horizon > 0)
    rnn = model("jordan", c)
    found = some((40, 1, 9), n=len(c.inputs), k=len(c.targets))
    found[0].targets[5, 0] = np.nan  # unknown: 0 is fed, as in training
    for one, rows in zip(found, predictions(rnn, c, found), strict=True):
        x, y, present = one.inputs, one.targets, np.zeros_like(one.targets)
        if c.differences:
            x = np.concatenate([[c.input_mean], x[1:] - x[:-1]])
            y = np.concatenate([y[:1], y[1:] - y[:-1]])
            present = one.targets
        known = (y - c.target_mean) / c.target_scale
        known[np.isnan(known).any(axis=1)] = 0
        o = jordan_by_hand(rnn, (x - c.input_mean) / c.input_scale, known if horizon == 1 else None)
        assert rows == pytest.approx(present + o * c.target_scale + c.target_mean, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("network", ["elman", "stack", "jordan"])
def test_a_forecast_reads_what_it_has_predicted(network: str, differences: bool) -> None:
    c = columns(inputs=("b", "a"), targets=("a", "x", "b"), differences=differences)
    c = replace(c, input_mean=[5.0, -2.0], input_scale=[0.5, 4.0])
    rnn = model(network, c)
    found = [one._replace(inputs=one.targets[:, [2, 0]]) for one in some((20, 33), n=2, k=3)]
    rows = forecast(rnn, c, found, 6)
    for one, predicted in zip(found, rows, strict=True):
        for step in range(6):
            longer = Series(
                one.id,
                np.concatenate([one.inputs, predicted[:step][:, [2, 0]]]),
                np.concatenate([one.targets, predicted[:step]]),
            )
            assert predicted[step] == pytest.approx(predictions(rnn, c, [longer])[0][-1], rel=1e-4, abs=1e-4)


def test_a_forecast_needs_inputs_that_are_predicted() -> None:
    c = columns(inputs=("a", "b"), targets=("a",))
    with pytest.raises(UserError, match=r"^--steps: .* got one that reads b, which it does not predict"):
        forecast(new_model(c, Architecture("elman", (3,))), c, some(k=1), 2)
    c = columns(2)
    with pytest.raises(UserError, match=r"^--steps: .* got one that predicts 2 rows ahead"):
        forecast(new_model(c, Architecture("elman", (3,))), c, some(), 2)


@pytest.mark.parametrize(("horizon", "differences"), [(0, False), (1, False), (3, False), (1, True), (2, True)])
def test_scores(horizon: int, differences: bool) -> None:
    c = columns(horizon, targets=("c", "d"), differences=differences)
    rnn, found = model("elman", c), some((40, 15))
    found[0].targets[20, 1] = np.nan
    found[1].targets[9, 0] = np.nan
    starts = [30, 5]
    result = scores(rnn, c, found, "t", starts)
    errors, means, lasts = [], [], []
    for one, rows, start in zip(found, predictions(rnn, c, found), starts, strict=True):
        for t in range(max(start, horizon), len(one.targets)):
            if not np.isnan(one.targets[[t, t - horizon] if differences else [t]]).any():
                errors.append(rows[t - horizon] - one.targets[t])
                before = one.targets[t - horizon] if differences else 0.0
                means.append(np.array(c.target_mean) + before - one.targets[t])
                lasts.append(one.targets[t - horizon] - one.targets[t])
    assert result.rows == len(errors)
    assert result.rmse == pytest.approx(np.sqrt(np.square(errors).mean(axis=0)))
    assert result.rmse_of_mean == pytest.approx(np.sqrt(np.square(means).mean(axis=0)))
    assert result.nats == pytest.approx(0.5 * np.square(np.array(errors) / c.target_scale).sum(axis=1).mean())
    if horizon == 0:
        assert result.rmse_of_present is None
    else:
        assert result.rmse_of_present == pytest.approx(np.sqrt(np.nanmean(np.square(lasts), axis=0)))


@pytest.mark.parametrize(
    ("network", "horizon", "differences"),
    [("elman", 0, False), ("elman", 1, False), ("elman", 1, True), ("elman", 3, True), ("jordan", 0, False)],
)
def test_the_scores_of_validation_are_its_loss(network: str, horizon: int, differences: bool) -> None:
    # A forced network's first row held out is not compared: in `fit` it is fed 0, as the row before has weight 0.
    found = some((60, 90))
    c, training, validation, kept, cuts, _ = split(
        found, columns(horizon, targets=("c", "d"), differences=differences), "t"
    )
    rnn = new_model(c, Architecture(network, (6,)))
    data: dict[str, Any] = {**streams(training, 4, 8, 0)}
    if network == "jordan":
        data["teacher_forcing"] = 0.0
    history = rnn.fit(
        **data,
        optimizer=Adam(1e-3),
        epochs=2,
        truncate=8,
        validation=validation._asdict(),
        progress=False,
        seed=0,
    )
    assert scores(rnn, c, kept, "t", cuts).nats == pytest.approx(history.validation[-1], rel=1e-4)


def test_scores_need_targets() -> None:
    c = columns()
    with pytest.raises(
        UserError, match=re.escape("t: expected rows whose targets are known and follow 1 others, got none among 2")
    ):
        scores(new_model(c, Architecture("elman", (3,))), c, some((1, 1)), "t")


def test_the_present_may_never_be_known() -> None:
    c = columns(targets=("c",), inputs=("a", "b"))
    (one,) = some((20,), k=1)
    one.targets[::2] = np.nan
    result = scores(new_model(c, Architecture("elman", (3,))), c, [one], "t")
    assert result.rows == 10
    assert result.rmse_of_present is not None
    assert np.isnan(result.rmse_of_present).all()


def test_what_is_not_finite_is_refused() -> None:
    c = columns()
    rnn, found = new_model(c, Architecture("elman", (3,))), some((20, 5))
    found[1].inputs[3, 1] = 1e60
    with pytest.raises(UserError, match=r"column 'b': expected numbers of a size as in training, got 1e\+60"):
        predictions(rnn, c, found)
    rnn.V[0, 0] = np.nan
    for model in (rnn, new_model(c, Architecture("jordan", (3,)))):
        model.V[0, 0] = np.nan
        with pytest.raises(UserError, match="expected finite outputs of the model, got NaN or infinity"):
            predictions(model, c, found[:1])
        with pytest.raises(UserError, match="expected finite outputs of the model, got NaN or infinity"):
            forecast(model, c, found[:1], 2)
    c = columns(inputs=("a",), targets=("a", "b"), differences=True)
    (one,) = some((20,), n=1)
    one.targets[-1, 1] = np.nan
    with pytest.raises(UserError, match="sequence 0, last row, column 'b': expected a number, got none"):
        forecast(new_model(c, Architecture("elman", (3,))), c, [one], 2)


def test_huge_outputs_are_scored_without_a_warning() -> None:
    c = columns()
    rnn, found = new_model(c, Architecture("elman", (3,))), some((20,), n=1)
    rnn.c = np.full(rnn.n_out, 3e38)
    found[0].targets[...] = -1.7e308
    assert scores(rnn, c, found, "t").nats == math.inf
