"""A stream that goes on in windows: each begins with the state that the one before it left, and all are one pass."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from cases import CAUSAL, FEEDBACKS, INPUTS, OUTPUTS, Options, cycled, make
from core import DTYPES, ISAS
from laws import check_carried
from problems import Case, problem
from results import assert_near, same_bits, tolerances

ENDS = (1, 2, 9, 41)
STEPWISE = [options for options in CAUSAL if options.get("readout") != "last"]


@pytest.mark.parametrize("lengths", [(41,), (41,) * 3, (41,) * 9], ids=["1", "3", "9"])
@cycled(n_hidden=[5, 33, 70, 130], options=[*STEPWISE, {"upper": (40,)}], input=INPUTS, isa=ISAS)
def test_windows_are_one_pass(
    n_hidden: int, options: Options, input: str, lengths: tuple[int, ...], dtype: str, isa: str
) -> None:
    check_carried(problem(make(4, n_hidden, 6, lengths, input=input, **options)), dtype, ENDS)


@pytest.mark.parametrize("p", [0.0, 1.0])
@cycled(
    shape=[(5, 1), (33, 1), (70, 3), (17, 9)], feedback=FEEDBACKS, input=INPUTS, output=OUTPUTS, dtype=DTYPES, isa=ISAS
)
def test_losses_of_windows_are_the_loss_of_all(
    shape: tuple[int, int], feedback: Any, input: Any, output: Any, p: float, dtype: str, isa: str
) -> None:
    """What the gradients' pass leaves is what the next window's first step sees: an output, or a target."""
    n_hidden, batch = shape
    ours = problem(Case(4, n_hidden, 6, (41,) * batch, input, output, feedback=feedback))
    rnn, arguments = ours.network(dtype), ours.arguments("batch")
    x, y, weight, r0 = (arguments[key] for key in ("x", "y", "weight", "r0"))
    whole = rnn.forward(x, r0=r0)
    total, r = 0.0, r0
    for begin, end in itertools.pairwise([0, *ENDS]):
        window = slice(begin, end)
        part, after = rnn.loss_and_gradients(x[window], y[window], r0=r, weight=weight[window], teacher_forcing=p)
        total += part
        r = after.r_last
        if p == 0.0:
            assert same_bits(r, getattr(whole, feedback)[end - 1])
    _, gradients = rnn.loss_and_gradients(x, y, r0=r0, weight=weight, teacher_forcing=p)
    assert same_bits(r, gradients.r_last)
    if p == 0.0:
        assert same_bits(r, whole.r_last)
    else:
        seen = y[-1] if output != "softmax" else y[-1, :, None] == np.arange(6)
        assert same_bits(r, np.where(weight[-1, :, None] == 0, 0, seen).astype(dtype))
    # Equal terms, added up in another order, in double; where a window begins and r(0) is a class as a vector, a(t) too
    # is added up in another order.
    eps = float(np.finfo(dtype).eps) if (p, output) == (1.0, "softmax") else 0.0
    expected = rnn.loss(x, y, r0=r0, weight=weight, teacher_forcing=p)
    assert total == pytest.approx(expected, rel=max(1e-14, eps))


@pytest.mark.parametrize("output", OUTPUTS)
def test_forced_windows_have_the_gradients_of_the_whole(output: Any, dtype: str, isa: str) -> None:
    """With the same bits, but where a window begins and r(0) is the vector of a class: a sum in another order."""
    ours = problem(Case(4, 17, 6, (41,) * 3, "real", output, feedback="y_hat"))
    rnn, arguments = ours.network(dtype), ours.arguments("batch")
    x, y, weight, r0 = (arguments[key] for key in ("x", "y", "weight", "r0"))
    _, whole = rnn.loss_and_gradients(x, y, r0=r0, weight=weight, wrt_x=True)
    tolerance = tolerances(dtype).gradients
    total: Any = 0.0
    for window in (slice(0, 1), slice(1, 9), slice(9, 41)):
        _, part = rnn.loss_and_gradients(x[window], y[window], r0=r0, weight=weight[window], wrt_x=True)
        begin = 1 if output == "softmax" and window.start > 0 else 0
        assert same_bits(part.x[begin:], whole.x[window][begin:])
        assert_near(part.x[:begin], whole.x[window][:begin], tolerance, "x")
        r0 = part.r_last
        total = total + part.flat
    assert_near(total, whole.flat, tolerance, "flat")


@cycled(options=[o for o in CAUSAL if "feedback" not in o], dtype=DTYPES, isa=ISAS)
def test_the_last_states_are_those_that_the_gradients_tell(options: Options, dtype: str, isa: str) -> None:
    p = problem(make(3, 9, 4, (5, 17, 2), **options))
    rnn = p.network(dtype)
    _, gradients = rnn.loss_and_gradients(**p.arguments())
    last = p.case.last
    assert same_bits(getattr(gradients, last), getattr(rnn.forward(**p.inputs()), last))


@cycled(options=CAUSAL, lengths=[(900,) * 3, (900, 17, 433)], dtype=DTYPES)
def test_both_losses_have_the_same_bits(options: Options, lengths: tuple[int, ...], dtype: str) -> None:
    """In several windows; whether gradients are asked for or not."""
    p = problem(make(3, 5, 4, lengths, **options))
    rnn, arguments = p.network(dtype), p.arguments()
    assert same_bits(rnn.loss_and_gradients(**arguments)[0], rnn.loss(**arguments))
