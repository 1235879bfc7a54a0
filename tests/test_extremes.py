"""What is not a number, what is huge, and what is not read."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from answers import solve
from cases import EVERY_STEP, NETWORKS, OUTPUTS, Options, cycled, make
from core import DTYPES, ISAS
from laws import names_of_learned
from problems import Case, joined_state, letters, problem, split_state
from results import assert_close, by_sequence, everything, same_bits, tolerances


@cycled(options=EVERY_STEP, input=["real"], dtype=DTYPES, isa=ISAS)
def test_nan_within_a_length_propagates(options: Options, input: str, dtype: str, isa: str) -> None:
    p = problem(make(4, 11, 3, (6,) * 9, input=input, **options))
    case, rnn, arguments = p.case, p.network(dtype), p.arguments()
    arguments["y"][1:3, 1], arguments["weight"][1:3, 1] = 0, 1.5  # the step has a loss, and the one before it a class
    clean = everything(rnn, arguments)
    arguments["x"][2, 1, 3] = np.nan
    spoilt = everything(rnn, arguments)
    assert np.isnan(spoilt["loss"])
    assert np.isnan(spoilt["loss alone"])
    for name in set(letters(rnn)) - set(names_of_learned(rnn)):  # no sequence begins with what is learned
        assert np.isnan(spoilt[name]).any(), name
        assert case.feedback is not None or case.activation == "relu" or np.isnan(spoilt[name]).all(), name
    others = np.arange(9) != 1
    for name in ("h", "o", "y_hat"):
        after = spoilt[name][2:, 1]
        assert np.isnan(after).all() or case.bidirectional, name  # the reverse direction is past it
        assert np.isnan(after).any(), name
        assert same_bits(spoilt[name][:2], clean[name][:2]) or case.bidirectional, name
        assert same_bits(spoilt[name][:, others], clean[name][:, others]), name
    for name in spoilt:
        if name.startswith((case.of_each, "last")):
            assert same_bits(spoilt[name][others], clean[name][others]), name
        if name.startswith("h0_each") and case.activation == "tanh":
            assert np.isnan(spoilt[name][1]).all(), name
    assert same_bits(spoilt["x"][:, others], clean["x"][:, others])
    if case.feedback is not None and case.teacher_forcing == 1.0:
        assert np.isnan(spoilt["x"][2, 1]).all()
        assert same_bits(np.delete(spoilt["x"][:, 1], 2, 0), np.delete(clean["x"][:, 1], 2, 0)), "steps do not meet"


@cycled(
    lambda row: (row.get("where"), row.get("output")) != ("y", "softmax"),  # a class is never NaN
    where=["W", "V", "initial"],
    output=OUTPUTS,
    options=EVERY_STEP,
    dtype=DTYPES,
    isa=ISAS,
)
def test_nan_elsewhere_propagates(where: str, output: str, options: Options, dtype: str, isa: str) -> None:
    p = problem(make(4, 11, 3, (6,) * 2, output=output, **options))
    case, rnn = p.case, p.network(dtype)
    arguments = p.arguments() | {"weight": np.ones((6, 2))}
    arguments["y"] = np.zeros_like(arguments["y"])
    if where in "WV":
        named = letters(rnn)
        for name in named:
            if name[0] == where:
                named[name][1, 2] = np.nan
    elif where == "initial":
        states = [state.copy() for state in split_state(case, arguments[case.initial])]
        for state in states:
            state[1, 1] = np.nan
        arguments[case.initial] = joined_state(case, states)
    else:
        arguments[where] = np.array(arguments[where], np.float64)
        arguments[where][1, 1] = np.nan
    if where == "W" and output == "softmax":
        arguments["y"][2] = 2  # the column of the class, for the next step to see
    elif where == "W":
        arguments["y"][...] = 0.5
    loss, gradients = rnn.loss_and_gradients(**arguments)
    assert np.isnan(loss)
    assert np.isnan(rnn.loss(**arguments))
    assert np.isnan(gradients.flat).any()


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_target_of_weight_0_is_not_fed(output: Any, dtype: str) -> None:
    """What stands there is not read: it may be NaN, or no class."""
    p = problem(Case(4, 11, 3, (6,) * 2, "real", output, feedback="y_hat", extras=False))
    rnn, arguments = p.network(dtype), p.arguments() | {"weight": np.ones((6, 2))}
    y, arguments["weight"][2, 1] = arguments["y"].copy(), 0
    y[2, 1] = 99 if output == "softmax" else np.nan
    found = everything(rnn, arguments | {"y": y})
    assert same_bits(found, everything(rnn, arguments))
    if output == "softmax":
        y[2, 1] = -1  # no target, no weight needed
        del arguments["weight"]
        assert same_bits(everything(rnn, arguments | {"y": y}), found)
    else:
        fed = everything(rnn, arguments | {"y": np.where(np.isnan(y), 0, y), "weight": np.ones((6, 2))})
        assert same_bits(fed["x"][3], found["x"][3]), "the next step sees 0"


# ---- Huge outputs ----


@cycled(options=NETWORKS, output=OUTPUTS, scale=[1e4, -1e4], dtype=DTYPES, isa=ISAS)
def test_huge_weights_give_finite_losses_and_gradients(
    options: Options, output: str, scale: float, dtype: str, isa: str
) -> None:
    p = problem(make(3, 5, 4, (4,) * 3, output=output, **options))
    rnn = p.network(dtype)
    rnn.V *= scale
    loss, gradients = rnn.loss_and_gradients(**p.arguments(), wrt_x=True)
    assert np.isfinite(loss)
    assert np.isfinite(gradients.flat).all()
    assert np.isfinite(gradients.x).all()


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("readout", ["all", "last"])
def test_huge_outputs_have_the_losses_of_the_reference(output: Any, readout: Any, dtype: str, isa: str) -> None:
    p = problem(Case(3, 5, 4, (4,) * 3, "real", output, readout))
    rnn = p.network("float64")
    rnn.c = [1e4, -1e4, 1e4, 0]
    p = dataclasses.replace(p, parameters=rnn.parameters.copy())
    results = by_sequence(everything(p.network(dtype), p.arguments()), p.case.form, p.case)
    # o is near 1e4, so that eps of it is 1e4 eps of a probability or of a difference of two outputs.
    assert_close(results, solve(p).results, tolerances(dtype, 1e4))
