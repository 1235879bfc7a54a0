"""The Elman network's numbers: against the reference, against central differences, and against each other."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt
from bptt import ElmanRNN, _core
from conftest import DTYPES, ISAS, assert_close, by_sequence, central_differences, check_forms, everything, same_bits
from problems import INPUTS, OUTPUTS, READOUTS, SHAPES, Case, Problem, answer, problem, solve

# How far a result may be from the reference (whose sums are exact), in units of the dtype's eps, as a fraction of the
# array's largest magnitude. Rounding errors are a random walk over the steps, each of which forgets some of the past,
# so a forward pass stays near the error of one step; gradients meet them twice, and where the terms of a sum cancel the
# error is larger beside what remains. Largest seen over these cases and the sets baseline, v3 and v4: 16 and 54. In
# float64 this is far inside the 1e-12 that is promised.
FORWARD = 24
GRADIENTS = 96


def tolerances(dtype: str) -> dict[str, float]:
    eps = float(np.finfo(dtype).eps)
    return {"forward": FORWARD * eps, "gradients": GRADIENTS * eps}


def cases() -> list[Case]:
    found = [
        Case(*shape, input, output, readout)
        for shape, input, output, readout in itertools.product(SHAPES, INPUTS, OUTPUTS, READOUTS)
        if shape[0] > 0 or input == "real"
    ]
    plain = [
        Case(5, 9, 4, lengths, input, output, readout, extras=False)
        for lengths, input, output, readout in itertools.product([(3,) * 2, (1, 6, 2)], INPUTS, OUTPUTS, READOUTS)
    ]
    # More tokens than steps, in several windows
    many_tokens = [Case(600, 5, 3, (450,), "token", "softmax", readout) for readout in READOUTS]
    # So much to do with so few rows that threads share the columns of a step; matrices that fill near memory, and whose
    # products are cut into blocks of rows and columns
    wide = [Case(3, 170, 5, (110,)), Case(9, 170, 3, (60, 2, 70), "token", "linear")]
    large = [
        Case(400, 370, 400, (2, 1, 2)),
        Case(7, 40, 3500, (3, 2, 3), "token"),
        Case(7, 40, 3500, (3, 2, 3), "real", "sigmoid", "last"),
        Case(3500, 40, 3, (2,) * 9),
    ]
    return found + plain + many_tokens + wide + large


@pytest.mark.parametrize("case", cases(), ids=str)
def test_results_are_those_of_the_reference(case: Case, dtype: str, isa: str) -> None:
    p = problem(case)
    results = everything(p.network(dtype), p.arguments())
    assert_close(by_sequence(results, case.form, case), answer(case), **tolerances(dtype))


def ragged(
    input: bptt.reference.Input = "real",
    output: bptt.reference.Output = "softmax",
    readout: bptt.reference.Readout = "all",
) -> Problem:
    return problem(Case(4, 11, 5, (3, 6, 1, 6, 2), input, output, readout))


# ---- Central differences ----


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_gradients_are_central_differences(input: Any, output: Any, readout: Any, dtype: str) -> None:
    p = ragged(input, output, readout)
    rnn = p.network(dtype)
    # A central difference with step 1e-5 is off by step^2 of the third derivative and by eps |L| / step: near 1e-10.
    found = bptt.gradcheck(rnn, **p.arguments(), tolerance=1e-8)
    assert set(found) == set("UWbVc")
    assert same_bits(rnn.parameters, p.network(dtype).parameters), "the network is left as it is"


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_gradients_of_states_and_inputs_are_central_differences(output: Any, readout: Any, isa: str) -> None:
    p = ragged("real", output, readout)
    rnn = p.network("float64")
    arguments = p.arguments()
    _, gradients = rnn.loss_and_gradients(**arguments, wrt_x=True)
    for name in ("h0", "x"):
        exact, differences = getattr(gradients, name), central_differences(rnn, arguments, name)
        assert np.abs(exact - differences).max() <= 1e-8 * np.abs(exact).max()  # see above


@pytest.mark.parametrize("letter", "UWbVc")
def test_gradcheck_finds_a_wrong_gradient(letter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    p = ragged()
    rnn = p.network("float64")
    right = ElmanRNN.loss_and_gradients

    def wrong(*arguments: Any, **more: Any) -> Any:
        loss, gradients = right(*arguments, **more)
        getattr(gradients, letter)[...] *= 1.0001
        return loss, gradients

    monkeypatch.setattr(ElmanRNN, "loss_and_gradients", wrong)
    with pytest.raises(AssertionError, match=rf"dL/d{letter}\[.*but central differences give"):
        bptt.gradcheck(rnn, **p.arguments())
    wrong_by = bptt.gradcheck(rnn, **p.arguments(), tolerance=1e-3)
    assert wrong_by[letter] == pytest.approx(1e-4, rel=0.01)  # of the largest gradient
    assert sum(value > 1e-6 for value in wrong_by.values()) == 1


# ---- The same numbers in every form ----


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_forms_agree(input: Any, output: Any, readout: Any, dtype: str, isa: str) -> None:
    check_forms(ragged(input, output, readout), dtype, tolerances(dtype)["gradients"])


# Too large for the reference: in windows of some 400 rows that do not fit near memory. Those of one sequence do.
@pytest.mark.parametrize(
    ("dtype", "sizes", "lengths", "output"),
    [
        ("float64", (170, 260, 130), (20,) * 40, "softmax"),
        ("float32", (301, 450, 70), (20,) * 25 + (8,) * 15, "linear"),
        ("float32", (20, 300, 500), (20,) * 40, "sigmoid"),
    ],
)
def test_forms_agree_at_large_sizes(
    dtype: str, sizes: tuple[int, int, int], lengths: tuple[int, ...], output: Any, isa: str
) -> None:
    check_forms(problem(Case(*sizes, lengths, "real", output)), dtype, tolerances(dtype)["gradients"])


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)),
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=20).map(tuple),
    input=st.sampled_from(INPUTS),
    output=st.sampled_from(OUTPUTS),
    readout=st.sampled_from(READOUTS),
    extras=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    isa=st.sampled_from(ISAS),
)
def test_forms_agree_whatever_the_shape(
    sizes: tuple[int, int, int],
    lengths: tuple[int, ...],
    input: Any,
    output: Any,
    readout: Any,
    extras: bool,
    dtype: str,
    isa: str,
) -> None:
    before = _core.isa()
    _core.set_isa(isa)
    try:
        case = Case(*sizes, lengths, input, output, readout, extras)
        check_forms(problem(case), dtype, tolerances(dtype)["gradients"])
    finally:
        _core.set_isa(before)


@pytest.mark.parametrize("input", INPUTS)
def test_a_row_has_the_same_bits_in_every_batch(input: Any, dtype: str, isa: str) -> None:
    case = Case(6, 71, 5, (14,) * 40, input)
    p = problem(case)
    rnn = p.network(dtype)
    arguments = p.inputs("batch")
    x, h0 = arguments["x"], arguments["h0"]
    alone = [rnn.forward(x[:, i], h0=h0[i]) for i in range(40)]
    for batch in range(2, 41):  # beyond 28 rows, 14 steps are two windows of 7
        run = rnn.forward(x[:, :batch], h0=h0[:batch])
        for i in range(batch):
            assert same_bits(run.h[:, i], alone[i].h), (batch, i)
            assert same_bits(run.o[:, i], alone[i].o), (batch, i)
            assert same_bits(run.y_hat[:, i], alone[i].y_hat), (batch, i)
            assert same_bits(run.h_last[i], alone[i].h_last), (batch, i)


def test_results_have_the_form_that_went_in() -> None:
    rnn = ElmanRNN(3, 4, 2)
    last = ElmanRNN(3, 4, 2, readout="last")
    x, y = np.zeros((5, 6, 3), np.float32), np.zeros((5, 6), int)
    run, (loss, gradients) = rnn.forward(x), rnn.loss_and_gradients(x, y, wrt_x=True)
    assert type(loss) is type(rnn.loss(x, y)) is float
    assert (run.h.shape, run.o.shape, run.y_hat.shape, run.h_last.shape) == ((5, 6, 4), (5, 6, 2), (5, 6, 2), (6, 4))
    assert (gradients.h0.shape, gradients.x.shape, gradients.h_last.shape) == ((6, 4), (5, 6, 3), (6, 4))
    assert (gradients.U.shape, gradients.W.shape, gradients.b.shape) == ((4, 3), (4, 4), (4,))
    assert (gradients.V.shape, gradients.c.shape, gradients.flat.shape) == ((2, 4), (2,), rnn.parameters.shape)
    run, (_, gradients) = rnn.forward(x[:, 0]), rnn.loss_and_gradients(x[:, 0], y[:, 0], wrt_x=True)
    assert (run.h.shape, run.o.shape, run.y_hat.shape, run.h_last.shape) == ((5, 4), (5, 2), (5, 2), (4,))
    assert (gradients.h0.shape, gradients.x.shape, gradients.h_last.shape) == ((4,), (5, 3), (4,))
    run, (_, gradients) = last.forward(x), last.loss_and_gradients(x, y[0])
    assert (run.h.shape, run.o.shape, run.y_hat.shape, run.h_last.shape) == ((5, 6, 4), (6, 2), (6, 2), (6, 4))
    assert gradients.x is None
    assert last.forward(x[:, 0]).o.shape == last.forward(x[:, 0]).y_hat.shape == (2,)
    run, (_, gradients) = rnn.forward([x[:2, 0], x[:, 0]]), rnn.loss_and_gradients([x[:2, 0]], [y[:2, 0]], wrt_x=True)
    assert [[len(a) for a in steps] for steps in (run.h, run.o, run.y_hat)] == [[2, 5]] * 3
    assert run.h_last.shape == (2, 4)
    assert [dx.shape for dx in gradients.x] == [(2, 3)]
    assert last.forward([x[:2, 0], x[:, 0]]).o.shape == (2, 2)
    for array in (run.h_last, run.y_hat[0], gradients.flat, gradients.h0, gradients.x[0]):
        assert array.dtype == np.float32


def test_y_hat_is_computed_once() -> None:
    run = ElmanRNN(3, 5, 2, seed=0).forward(np.ones((4, 3)))
    assert run.y_hat is run.y_hat
    assert run.y_hat.sum(axis=1) == pytest.approx(np.ones(4), abs=4e-7)  # some eps of float32
    assert repr(run) == "Run(h [4, 5], o [4, 2], float32)"


# ---- Tokens ----


@pytest.mark.parametrize("n_in", [3, 40])  # fewer and more than the steps of all sequences
@pytest.mark.parametrize("lengths", [(4, 4, 4), (5, 1, 3), (9,)], ids=str)
def test_a_token_is_a_one_hot_vector(n_in: int, lengths: tuple[int, ...], dtype: str, isa: str) -> None:
    case = Case(n_in, 19, 4, lengths, "token")
    tokens = problem(case)
    one_hot = dataclasses.replace(
        tokens, case=dataclasses.replace(case, input="real"), x=[np.eye(n_in)[x] for x in tokens.x]
    )
    by_token = by_sequence(everything(tokens.network(dtype), tokens.arguments()), case.form, case)
    by_vector = by_sequence(everything(one_hot.network(dtype), one_hot.arguments()), case.form, one_hot.case)
    assert by_token.pop("x") is None
    del by_vector["x"]
    assert_close(by_token, by_vector, **tolerances(dtype))
    unused = np.setdiff1d(np.arange(n_in), np.concatenate(tokens.x))
    assert not by_token["U"][:, unused].any()


@pytest.mark.parametrize("dtype_of_tokens", ["int8", "uint8", "int32", "uint64", "bool", ">i4"])
def test_tokens_and_classes_of_any_integer_dtype(dtype_of_tokens: str) -> None:
    rnn = ElmanRNN(2, 3, 2, input="token", seed=0)
    x = np.array([0, 1, 1, 0])
    expected = everything(rnn, {"x": x, "y": x, "h0": None, "lengths": None, "weight": None})
    converted = x.astype(dtype_of_tokens)
    found = everything(rnn, {"x": converted, "y": converted, "h0": None, "lengths": None, "weight": None})
    assert same_bits(found, expected)


# ---- Extremes ----


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_huge_logits_give_finite_losses_and_gradients(output: Any, readout: Any, dtype: str, isa: str) -> None:
    p = problem(Case(3, 5, 4, (4,) * 3, "real", output, readout))
    rnn = p.network("float64")
    rnn.c = [1e4, -1e4, 1e4, 0]
    p = dataclasses.replace(p, parameters=rnn.parameters.copy())
    results = by_sequence(everything(p.network(dtype), p.arguments()), p.case.form, p.case)
    # o is near 1e4, so that eps of it is 1e4 eps of a probability or of a difference of two outputs.
    eps = float(np.finfo(dtype).eps)
    assert_close(results, solve(p), forward=FORWARD * eps * 1e4, gradients=GRADIENTS * eps * 1e4)
    for scale in (1e4, -1e4):
        rnn = p.network(dtype)
        rnn.V *= scale
        loss, gradients = rnn.loss_and_gradients(**p.arguments(), wrt_x=True)
        assert np.isfinite(loss)
        assert np.isfinite(gradients.flat).all()
        assert np.isfinite(gradients.x).all()


def test_nan_within_a_length_propagates(dtype: str, isa: str) -> None:
    p = problem(Case(4, 11, 3, (6,) * 9, "real"))
    rnn = p.network(dtype)
    arguments = p.arguments()
    clean = everything(rnn, arguments)
    arguments["x"][2, 1, 3] = np.nan
    spoilt = everything(rnn, arguments)
    assert np.isnan(spoilt["loss"])
    assert np.isnan(spoilt["loss alone"])
    assert all(np.isnan(spoilt[letter]).all() for letter in "UWbVc")
    others = np.arange(9) != 1
    for name in ("h", "o", "y_hat"):
        assert np.isnan(spoilt[name][2:, 1]).all(), name
        assert same_bits(spoilt[name][:2], clean[name][:2]), name
        assert same_bits(spoilt[name][:, others], clean[name][:, others]), name
    assert np.isnan(spoilt["h0"][1]).all()
    assert same_bits(spoilt["h0"][others], clean["h0"][others])
    assert same_bits(spoilt["x"][:, others], clean["x"][:, others])


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("where", ["W", "V", "h0", "y", "weight"])
def test_nan_elsewhere_propagates(where: str, output: Any, dtype: str, isa: str) -> None:
    p = problem(Case(4, 11, 3, (6,) * 2, "real", output, extras=False))
    rnn = p.network(dtype)
    arguments = p.arguments() | {"h0": np.zeros((2, 11)), "weight": np.ones((6, 2))}
    if where in "WV":
        getattr(rnn, where)[1, 2] = np.nan
    elif where != "y" or output != "softmax":  # a class is never NaN
        arguments[where] = arguments[where].copy()
        arguments[where][1, 1] = np.nan
    else:
        return
    loss, gradients = rnn.loss_and_gradients(**arguments)
    assert np.isnan(loss)
    assert np.isnan(rnn.loss(**arguments))
    assert np.isnan(gradients.flat).any()


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_nothing_beyond_a_length_is_read(input: Any, output: Any, readout: Any, dtype: str, isa: str) -> None:
    p = ragged(input, output, readout)
    rnn = p.network(dtype)
    zeros, nothing = p.arguments("padded", beyond=0.0), p.arguments("padded", beyond=np.nan)
    assert not same_bits(zeros["x"], nothing["x"])
    assert same_bits(everything(rnn, zeros), everything(rnn, nothing))
