"""Teacher forcing, and what a step draws: of the output-recurrent network alone."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import JordanRNN, reference
from cases import FEEDBACKS, FORCING, INPUTS, OUTPUTS, cycled
from core import DTYPES, ISAS
from problems import Array, Case, Problem, problem
from refusals import BATCH, CLASSES, N_IN, TAU, X, network, refuses
from results import assert_near, differing, everything, same_bits, tolerances

# The largest number below 1 and the smallest above 0: all draws, which are multiples of 2^-53, are forced or free but
# for one in 2^53.
ALMOST_1, ALMOST_0 = 1.0 - 2.0**-53, 2.0**-53


@cycled(batch=[1, 9, 450], p=FORCING, feedback=FEEDBACKS, input=INPUTS, output=OUTPUTS)
def test_one_step_is_that_of_the_elman_network_without_recurrence(
    batch: int, p: float, feedback: Any, input: Any, output: Any, dtype: str, isa: str
) -> None:
    case = Case(5, 19, 7, (1,) * batch, input, output, feedback=feedback, teacher_forcing=p, extras=False)
    ours = problem(case)
    jordan, elman = ours.network(dtype), dataclasses.replace(case, feedback=None).network(dtype)
    for letter in "UbVc":
        setattr(elman, letter, getattr(jordan, letter))
    arguments = ours.arguments()
    found = everything(jordan, arguments)
    expected = everything(elman, {key: arguments[key] for key in ("x", "y", "lengths", "weight")})
    for key in ("loss", "loss alone", *"UbVcxho", "y_hat"):
        assert same_bits(found[key], expected[key]), key
    assert not found["W"].any()


@cycled(input=INPUTS, output=OUTPUTS, dtype=DTYPES, isa=ISAS)
def test_forced_steps_decouple(input: Any, output: Any, dtype: str, isa: str) -> None:
    """Every step is a sequence of its own, whose r(0) is the target of the step before."""
    case = Case(5, 19, 7, (60,) * 9, input, output, feedback="o", extras=False)
    ours = problem(case)
    rnn, arguments = ours.network(dtype), ours.arguments()
    y = arguments["y"]
    seen = np.zeros((60, 9, 7))
    seen[1:] = np.where(y[:-1, :, None] == np.arange(7), 1.0, 0.0) if output == "softmax" else y[:-1]
    whole = everything(rnn, arguments)
    steps = {"x": arguments["x"].reshape(1, 540, *arguments["x"].shape[2:]), "y": y.reshape(1, 540, *y.shape[2:])}
    apart = everything(rnn, {**steps, "r0": seen.reshape(540, 7), "teacher_forcing": 0.0})
    tolerance = tolerances(dtype).gradients
    for key in ("loss", *"UWbVc"):
        assert_near(whole[key], apart[key], tolerance, key)
    if input == "real":
        assert_near(whole["x"].reshape(540, 5), apart["x"][0], tolerance, "x")
    scale = np.abs(apart["r0"]).max()  # of all steps: that of the first may be smaller
    assert np.abs(whole["r0"] - apart["r0"][:9]).max() <= tolerance * scale


def with_both_feedbacks(ours: Problem, dtype: str) -> list[dict[str, Any]]:
    both = [dataclasses.replace(ours, case=dataclasses.replace(ours.case, feedback=feedback)) for feedback in FEEDBACKS]
    return [everything(one.network(dtype), one.arguments()) for one in both]


@pytest.mark.parametrize("output", OUTPUTS)
def test_forced_steps_ignore_what_runs_free(output: Any, dtype: str) -> None:
    ours = problem(Case(4, 11, 5, (3, 6, 1, 6, 2), "real", output, feedback="y_hat"))
    results = with_both_feedbacks(ours, dtype)
    for key in ("loss", "loss alone", *"UWbVcx", "r0", "last of the gradients"):
        assert same_bits(results[0][key], results[1][key]), key


@pytest.mark.parametrize("p", FORCING)
def test_a_linear_output_is_its_own_unit(p: float, dtype: str) -> None:
    ours = problem(Case(4, 11, 5, (3, 6, 1, 6, 2), "real", "linear", feedback="y_hat", teacher_forcing=p))
    results = with_both_feedbacks(ours, dtype)
    assert same_bits(results[0], results[1])


# ---- Draws ----


@cycled(
    lengths=[(60,) * 9, (450,), (4, 1, 7, 3, 7, 2)],
    extras=[False, True],
    reset=[False, True],
    feedback=FEEDBACKS,
    input=INPUTS,
    output=OUTPUTS,
)
def test_draws_that_all_agree_are_the_pure_modes(
    input: Any, output: Any, feedback: Any, extras: bool, reset: bool, lengths: tuple[int, ...], dtype: str, isa: str
) -> None:
    ours = problem(Case(4, 11, 5, lengths, input, output, feedback=feedback, reset=reset, extras=extras))
    rnn, arguments = ours.network(dtype), ours.arguments()
    for p, almost in ((1.0, ALMOST_1), (0.0, ALMOST_0)):
        pure, drawn = (everything(rnn, arguments | {"teacher_forcing": value}) for value in (p, almost))
        assert differing(pure, drawn) == []


def test_draws_follow_the_place_of_a_sequence_alone() -> None:
    """Neither its length, nor those beside it, nor the order of work, which is by length."""
    ours = problem(Case(4, 11, 5, (6,), "real", "linear", feedback="y_hat", extras=False))
    rnn, x, y = ours.network("float64"), ours.x[0], ours.y[0]

    def of_copies(*lengths: int) -> Any:
        """dL/dx of copies of the sequence, which tells them apart by what their steps see, and r_last."""
        xs, ys = [x[:n] for n in lengths], [y[:n] for n in lengths]
        _, gradients = rnn.loss_and_gradients(xs, ys, teacher_forcing=0.5, seed=3, wrt_x=True)
        return gradients

    def same(a: Array, b: Array) -> bool:
        return bool(np.abs(a - b).max() <= 1e-14 * np.abs(b).max())  # the rows of a tile are not always the same ones

    whole = of_copies(*[6] * 12)
    forced = [tuple(reference.forced_steps(0.5, 3, i, 6)[1:]) for i in range(12)]
    assert len(set(forced)) > 6
    for i, j in itertools.combinations(range(12), 2):
        assert same(whole.x[i], whole.x[j]) == (forced[i] == forced[j])
    for lengths in ([6, 3, 1, 6, 5, 2, 6, 4, 6, 1, 2, 6], [6] * 5):
        other = of_copies(*lengths)
        for i in range(len(lengths)):
            if lengths[i] == 6:
                assert same(other.x[i], whole.x[i])
                assert same_bits(other.r_last[i], whole.r_last[i])


def test_what_a_seed_may_be() -> None:
    ours = problem(Case(4, 11, 5, (50,) * 4, feedback="y_hat", extras=False))
    rnn, arguments = ours.network("float64"), ours.arguments()
    del arguments["seed"], arguments["teacher_forcing"]

    def loss(seed: Any, p: float = 0.5) -> float:
        with_gradients, _ = rnn.loss_and_gradients(**arguments, teacher_forcing=p, seed=seed)
        return float(with_gradients)

    assert loss(7) == loss(7) == loss(np.int8(7)) == rnn.loss(**arguments, teacher_forcing=0.5, seed=7)
    assert len({loss(seed) for seed in (0, 1, 2**32, 2**63, 2**64 - 1, np.uint64(2**64 - 2))}) == 6
    assert len({loss(None) for _ in range(4)}) == 4
    generator = np.random.default_rng(3)
    two = [loss(generator), loss(generator)]
    again = np.random.default_rng(3).integers(2**64, size=2, dtype=np.uint64)
    assert two == [loss(int(value)) for value in again]
    # Where nothing is drawn, nothing is taken from the generator.
    for p in (0, 1):
        assert len({loss(seed, p) for seed in (None, 0, 7, np.random.default_rng(3))}) == 1
        generator = np.random.default_rng(3)
        loss(generator, p)
        assert loss(generator) == two[0]


def test_teacher_forcing_is_a_probability() -> None:
    """The share of steps that are forced, which can be told from r_last."""
    rnn = JordanRNN(1, 2, 3, output="linear", init=None)
    rnn.c = [5, 5, 5]
    x, y = np.zeros((1, 4000, 1)), np.ones((1, 4000, 3))
    for p in (0.1, 0.5, 0.9):
        r_last = rnn.loss_and_gradients(x, y, teacher_forcing=p, seed=1)[1].r_last
        assert set(np.unique(r_last)) == {1, 5}
        share = float((r_last[:, 0] == 1).mean())
        assert share == pytest.approx(p, abs=4 * (p * (1 - p) / 4000) ** 0.5)  # 4 standard deviations


# ---- What is refused ----


@pytest.mark.parametrize(
    ("p", "error", "message"),
    [
        (True, TypeError, "teacher_forcing: expected a number from 0 to 1, got bool"),
        (np.True_, TypeError, f"teacher_forcing: expected a number from 0 to 1, got {type(np.True_).__name__}"),
        ("1.0", TypeError, "teacher_forcing: expected a number from 0 to 1, got str"),
        (None, TypeError, "teacher_forcing: expected a number from 0 to 1, got NoneType"),
        (1j, TypeError, "teacher_forcing: expected a number from 0 to 1, got complex"),
        ([1.0], TypeError, "teacher_forcing: expected a number from 0 to 1, got list"),
        (np.ones((TAU, BATCH)), TypeError, "teacher_forcing: expected a number from 0 to 1, got ndarray"),
        (-1e-9, ValueError, "teacher_forcing: expected a number from 0 to 1, got -1e-09"),
        (1.5, ValueError, "teacher_forcing: expected a number from 0 to 1, got 1.5"),
        (2, ValueError, "teacher_forcing: expected a number from 0 to 1, got 2"),
        (float("nan"), ValueError, "teacher_forcing: expected a number from 0 to 1, got nan"),
        (float("inf"), ValueError, "teacher_forcing: expected a number from 0 to 1, got inf"),
    ],
)
def test_teacher_forcing(p: Any, error: type[Exception], message: str) -> None:
    rnn = network(JordanRNN)
    refuses(lambda: rnn.loss(X, CLASSES, teacher_forcing=p), error, message)
    refuses(lambda: rnn.loss_and_gradients(X, CLASSES, teacher_forcing=p), error, message)
    if p is not None:
        refuses(lambda: bptt.gradcheck(rnn, X, CLASSES, teacher_forcing=p), error, message)


def test_any_number_from_0_to_1_is_teacher_forcing() -> None:
    rnn = network(JordanRNN)
    rnn.V *= 3
    x = np.random.default_rng(0).normal(size=(50, N_IN))
    y = np.arange(50) % 2
    of = {p: rnn.loss(x, y, teacher_forcing=p, seed=1) for p in (0.0, 0.5, 1.0)}
    assert len(set(of.values())) == 3
    for p in (0, 1, np.float32(0.5), np.float64(1), np.int8(0), -0.0):
        assert rnn.loss(x, y, teacher_forcing=p, seed=1) == of[float(p)]
    assert rnn.loss(x, y) == of[1.0]


EXPECTED_SEED = "seed: expected an int in [0, 2**64), a numpy.random.Generator or None, got"


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (-1, ValueError, f"{EXPECTED_SEED} -1"),
        (2**64, ValueError, f"{EXPECTED_SEED} 18446744073709551616"),
        (np.int64(-5), ValueError, f"{EXPECTED_SEED} -5"),
        (1.0, TypeError, f"{EXPECTED_SEED} float"),
        ("a", TypeError, f"{EXPECTED_SEED} str"),
        (True, TypeError, f"{EXPECTED_SEED} bool"),
        ([1], TypeError, f"{EXPECTED_SEED} list"),
        (np.random.RandomState(0), TypeError, f"{EXPECTED_SEED} RandomState"),
    ],
)
def test_seed(seed: Any, error: type[Exception], message: str, p: float) -> None:
    rnn = network(JordanRNN)
    refuses(lambda: rnn.loss(X, CLASSES, teacher_forcing=p, seed=seed), error, message)
    refuses(lambda: rnn.loss_and_gradients(X, CLASSES, teacher_forcing=p, seed=seed), error, message)


def test_forced_windows_give_the_bits_of_one_pass(isa: str) -> None:
    """A state that is a class, one-hot, is that class: the losses of all steps are the same, which leaves the rounding
    of their sum in double precision. Bits of float32 that differ would be 1e-8 of a loss."""
    random = np.random.default_rng(0)
    inputs: list[tuple[Any, int]] = [("real", 5), ("real", 0), ("token", 5)]
    for input, n_in in inputs:
        rnn = JordanRNN(n_in, 33, 7, input=input, seed=0)
        y = random.integers(-1, 7, (24, 9))
        x: Any = random.standard_normal((24, 9, n_in)) if input == "real" else random.integers(0, n_in, (24, 9))
        one_pass = rnn.loss(x, y)
        for steps in (1, 5, 8):
            r, total = None, 0.0
            for begin in range(0, 24, steps):
                window = slice(begin, begin + steps)
                loss, gradients = rnn.loss_and_gradients(x[window], y[window], r0=r)
                assert rnn.loss(x[window], y[window], r0=r) == loss
                total, r = total + loss, gradients.r_last
            assert total == pytest.approx(one_pass, rel=1e-14), (input, n_in, steps)


@pytest.mark.parametrize("p", [1.0, 0.5])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_target_of_weight_0_is_not_read_and_a_forced_step_sees_0(p: float, output: Any) -> None:
    ours = problem(Case(3, 9, 5, (30,) * 4, "real", output, feedback="y_hat", teacher_forcing=p, extras=False))
    rnn, arguments = ours.network("float64"), ours.arguments()
    none = np.arange(120).reshape(30, 4) % 3 == 1

    def results(target: int, weight: float) -> tuple[float, Array]:
        y = arguments["y"].copy()
        y[none] = target
        loss, gradients = rnn.loss_and_gradients(**{**arguments, "y": y, "weight": np.where(none, weight, 1.0)})
        return loss, gradients.flat

    expected = results(1, 0.0)
    assert same_bits(results(0, 0.0), expected), "it is not read"
    # What is seen as 0 otherwise: no class, or the number 0, of so small a weight that its loss is lost in rounding.
    loss, flat = results(-1, 1.0) if output == "softmax" else results(0, 1e-200)
    assert loss == pytest.approx(expected[0], rel=1e-15)
    np.testing.assert_allclose(flat, expected[1], rtol=1e-12, atol=1e-14)
