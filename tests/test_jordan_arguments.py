"""What users get wrong with the output-recurrent network: every error by its type and message, nothing half done."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt
from bptt import JordanRNN
from conftest import everything, same_bits
from test_arguments import refuses

TAU, BATCH, N_IN, N_HIDDEN, N_OUT = 5, 4, 3, 6, 2
X = np.zeros((TAU, BATCH, N_IN), np.float32)
CLASSES = np.zeros((TAU, BATCH), np.int64)
VALUES = np.zeros((TAU, BATCH, N_OUT), np.float32)


def network(**options: Any) -> JordanRNN:
    return JordanRNN(N_IN, N_HIDDEN, N_OUT, **{"seed": 0, **options})


# ---- Construction ----


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 1, 1), None, ""),
        ((-1, 1, 1), ValueError, "n_in: expected at least 0, got -1"),
        ((1, 0, 1), ValueError, "n_hidden: expected at least 1, got 0"),
        ((1, 1, 0), ValueError, "n_out: expected at least 1, got 0"),
        ((1.0, 1, 1), TypeError, "n_in: expected an int, got float"),
        ((1, "2", 1), TypeError, "n_hidden: expected an int, got str"),
        ((1, 1, True), TypeError, "n_out: expected an int, got bool"),
        ((np.int32(2), np.int64(3), np.uint8(4)), None, ""),
    ],
)
def test_sizes(arguments: Any, error: type[Exception] | None, message: str) -> None:
    if error is None:
        rnn = JordanRNN(*arguments)
        assert (rnn.n_in, rnn.n_hidden, rnn.n_out) == arguments
        assert rnn.W.shape == (arguments[1], arguments[2])
    else:
        refuses(lambda: JordanRNN(*arguments), error, message)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("input", "onehot", "input: expected one of 'real', 'token', got 'onehot'"),
        ("output", "tanh", "output: expected one of 'softmax', 'sigmoid', 'linear', got 'tanh'"),
        ("feedback", "h", "feedback: expected one of 'y_hat', 'o', got 'h'"),
        ("feedback", None, "feedback: expected one of 'y_hat', 'o', got None"),
        ("dtype", "float16", "dtype: expected one of 'float32', 'float64', got 'float16'"),
        ("init", "identity", "init: expected one of 'orthogonal', 'uniform', got 'identity'"),
    ],
)
def test_options(option: str, value: Any, message: str) -> None:
    refuses(lambda: network(**{option: value}), ValueError, message)


def test_tokens_need_a_vocabulary() -> None:
    refuses(lambda: JordanRNN(0, 1, 1, input="token"), ValueError, "n_in: expected at least 1, got 0")


def test_what_it_does_not_have_is_refused() -> None:
    rnn = network()
    calls: list[Callable[[], object]] = [
        lambda: network(readout="all"),
        lambda: rnn.forward(X, teacher_forcing=1.0),  # type: ignore[call-arg]
        lambda: rnn.forward(X, h0=None),  # type: ignore[call-arg]
        lambda: rnn.loss(X, CLASSES, h0=None),  # type: ignore[call-arg]
        lambda: rnn.loss(X, CLASSES, wrt_x=True),  # type: ignore[call-arg]
        lambda: rnn.loss_and_gradients(X, CLASSES, forced=None),  # type: ignore[call-arg]
    ]
    for call in calls:
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            call()
    assert not hasattr(rnn, "readout")


@pytest.mark.parametrize("name", ["n_in", "n_hidden", "n_out", "input", "output", "feedback", "dtype"])
def test_what_the_core_was_built_for_is_read_only(name: str) -> None:
    rnn = network()
    with pytest.raises(AttributeError, match=name):
        setattr(rnn, name, getattr(rnn, name))


def test_assigning_parameters() -> None:
    rnn = network()
    refuses(lambda: setattr(rnn, "W", np.ones((6, 6))), ValueError, "W: expected [6, 2], got (6, 6)")
    refuses(lambda: setattr(rnn, "parameters", np.ones(7)), ValueError, "parameters: expected [50], got (7,)")
    rnn.W = np.arange(12).reshape(6, 2)
    assert rnn.parameters[18:30].tolist() == list(range(12))


# ---- Teacher forcing ----


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
    rnn = network()
    refuses(lambda: rnn.loss(X, CLASSES, teacher_forcing=p), error, message)
    refuses(lambda: rnn.loss_and_gradients(X, CLASSES, teacher_forcing=p), error, message)
    if p is not None:
        refuses(lambda: bptt.gradcheck(rnn, X, CLASSES, teacher_forcing=p), error, message)


def test_any_number_from_0_to_1_is_teacher_forcing() -> None:
    rnn = network()
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
    rnn = network()
    refuses(lambda: rnn.loss(X, CLASSES, teacher_forcing=p, seed=seed), error, message)
    refuses(lambda: rnn.loss_and_gradients(X, CLASSES, teacher_forcing=p, seed=seed), error, message)


# ---- The other arguments ----


@pytest.mark.parametrize(
    ("x", "r0", "error", "message"),
    [
        (X, np.zeros(2), ValueError, "r0: expected [4, 2], got (2,)"),
        (X, np.zeros((1, 2)), ValueError, "r0: expected [4, 2], got (1, 2)"),
        (X, np.zeros((4, 6)), ValueError, "r0: expected [4, 2], got (4, 6)"),
        (X, 0.0, ValueError, "r0: expected [4, 2], got ()"),
        (X, np.zeros(4, int), ValueError, "r0: expected [4, 2], got (4,)"),  # a class is a vector here
        (X[:, 0], np.zeros((1, 2)), ValueError, "r0: expected [2], got (1, 2)"),
        ([X[:, 0], X[:2, 0]], np.zeros((4, 2)), ValueError, "r0: expected [2, 2], got (4, 2)"),
        (X, np.zeros((4, 2), complex), TypeError, "r0: expected float32 or what converts to it safely, got complex128"),
    ],
)
def test_r0(x: Any, r0: Any, error: type[Exception], message: str) -> None:
    rnn = network(output="linear")
    refuses(lambda: rnn.forward(x, r0=r0), error, message)
    y = [VALUES[: len(one), 0] for one in x] if isinstance(x, list) else VALUES[:, 0] if x.ndim == 2 else VALUES
    refuses(lambda: rnn.loss(x, y, r0=r0), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, y, r0=r0), error, message)


LIST = [X[:, 0], X[:2, 0]]


@pytest.mark.parametrize(
    ("options", "x", "arguments", "error", "message"),
    [
        ({}, X[..., :2], {"y": CLASSES}, ValueError, "x: expected [tau, batch, 3] or [tau, 3], got (5, 4, 2)"),
        ({}, X[:0], {"y": CLASSES}, ValueError, "x: expected at least one time step, got none"),
        ({}, X[:, :0], {"y": CLASSES}, ValueError, "x: expected at least one sequence, got (5, 0, 3)"),
        ({}, X, {"y": CLASSES[:4]}, ValueError, "y: expected [5, 4], got (4, 4)"),
        ({}, X, {"y": CLASSES[0]}, ValueError, "y: expected [5, 4], got (4,)"),
        ({}, X, {"y": CLASSES * 1.0}, TypeError, "y: expected int64 or what converts to it safely, got float64"),
        ({}, X, {"y": None}, TypeError, "y: expected int64 or what converts to it safely, got object"),
        ({}, LIST, {"y": CLASSES}, TypeError, "y: expected a list, as x is a list of sequences, got ndarray"),
        ({}, LIST, {"y": [CLASSES[:, 0]] * 2}, ValueError, "y[1]: expected [2], got (5,)"),
        ({"output": "linear"}, X, {"y": CLASSES}, ValueError, "y: expected [5, 4, 2], got (5, 4)"),
        (
            {"output": "sigmoid"},
            X,
            {"y": VALUES - 0.5},
            ValueError,
            "y: expected probabilities in [0, 1], got -0.5 at step 0 of sequence 0",
        ),
        (
            {},
            X,
            {"y": CLASSES + 2},
            ValueError,
            "y: expected classes in [0, 2), or -1 for none, got 2 at step 0 of sequence 0",
        ),
        ({}, X, {"y": CLASSES, "weight": np.ones(5)}, ValueError, "weight: expected [5, 4], got (5,)"),
        ({}, X, {"y": CLASSES, "lengths": [5] * 3}, ValueError, "lengths: expected [4], got (3,)"),
        (
            {},
            X,
            {"y": CLASSES, "lengths": [5, 0, 5, 5]},
            ValueError,
            "lengths: expected values from 1 to 5, got 0 for sequence 1",
        ),
    ],
)
@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_x_and_y(options: Any, x: Any, arguments: Any, error: type[Exception], message: str, p: float) -> None:
    rnn = network(**options)
    refuses(lambda: rnn.loss(x, **arguments, teacher_forcing=p), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, **arguments, teacher_forcing=p), error, message)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"memory_limit": -1}, ValueError, "memory_limit: expected at least 0, got -1"),
        ({"memory_limit": 1e6}, TypeError, "memory_limit: expected an int, got float"),
        ({"memory_limit": True}, TypeError, "memory_limit: expected an int, got bool"),
        ({"wrt_x": True}, ValueError, "wrt_x: expected False, as a token has no gradient"),
    ],
)
def test_what_gradients_are_asked_for(arguments: Any, error: type[Exception], message: str) -> None:
    rnn = network(input="token")
    refuses(lambda: rnn.loss_and_gradients(CLASSES, CLASSES, **arguments), error, message)


def test_tokens_out_of_range() -> None:
    rnn = network(input="token")
    message = "x: expected tokens in [0, 3), got 3 at step 0 of sequence 0"
    refuses(lambda: rnn.forward(CLASSES + 3), ValueError, message)
    refuses(lambda: rnn.loss(CLASSES + 3, CLASSES), ValueError, message)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_arguments_and_parameters_are_left_as_they_are(p: float) -> None:
    rnn = network()
    x, y, r0 = np.ones_like(X), CLASSES.copy(), np.ones((BATCH, N_OUT), np.float32)
    y[-1, -1] = 7
    before = copy.deepcopy((rnn.parameters, x, y, r0))
    with pytest.raises(ValueError, match="y: expected classes"):
        rnn.loss_and_gradients(x, y, r0=r0, teacher_forcing=p, wrt_x=True)
    y[-1, -1] = 0
    everything(rnn, {"x": x, "y": y, "r0": r0, "teacher_forcing": p})
    y[-1, -1] = 7
    assert same_bits((rnn.parameters, x, y, r0), before)


@settings(max_examples=100, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4).map(tuple),
    dtype=st.sampled_from(["float32", "float64", "float16", "int8", "complex64", "bool", "U1", "object", "M8[s]"]),
    what=st.sampled_from(["x", "y", "r0", "weight", "lengths", "reset"]),
    p=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_any_array_is_taken_or_refused_by_name(shape: tuple[int, ...], dtype: str, what: str, p: float) -> None:
    rnn = JordanRNN(3, 4, 2, seed=0)
    value = np.zeros(shape, dtype)
    arguments: dict[str, Any] = {"x": np.zeros((2, 3, 3)), "y": np.zeros((2, 3), int), "teacher_forcing": p}
    arguments[what] = value
    right: tuple[str, Any] = {
        "x": ("fiub", [(2, 3, 3)]),
        "y": ("iub", [(2, 3)]),
        "r0": ("fiub", [(3, 2)]),
        "weight": ("fiub", [(2, 3)]),
        "lengths": ("iub", []),  # a length of 0 is an error
        "reset": ("b", [(2, 3)]),
    }[what]
    if value.dtype.kind in right[0] and shape in right[1]:
        rnn.loss_and_gradients(**arguments)
        return
    # Where x has another valid shape, it is y that does not fit.
    name = "[xy]" if what == "x" else what
    with pytest.raises((ValueError, TypeError), match=f"^{name}: expected "):
        rnn.loss_and_gradients(**arguments)
