"""What users get wrong: every error by its type and message, before anything is computed or changed."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt import ElmanRNN
from conftest import everything, same_bits
from problems import Case, problem

TAU, BATCH, N_IN, N_HIDDEN, N_OUT = 5, 4, 3, 6, 2
X = np.zeros((TAU, BATCH, N_IN), np.float32)
TOKENS = np.zeros((TAU, BATCH), np.int64)
CLASSES = np.zeros((TAU, BATCH), np.int64)
VALUES = np.zeros((TAU, BATCH, N_OUT), np.float32)


def network(**options: Any) -> ElmanRNN:
    return ElmanRNN(N_IN, N_HIDDEN, N_OUT, **{"seed": 0, **options})


def refuses(call: Callable[[], object], error: type[Exception], message: str) -> None:
    """The call raises exactly this error, with exactly this message."""
    with pytest.raises(error, match=f"^{re.escape(message)}$") as raised:
        call()
    assert raised.type is error


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
        rnn = ElmanRNN(*arguments)
        assert (rnn.n_in, rnn.n_hidden, rnn.n_out) == arguments
        assert type(rnn.n_in) is int
    else:
        refuses(lambda: ElmanRNN(*arguments), error, message)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("input", "onehot", "input: expected one of 'real', 'token', got 'onehot'"),
        ("output", "tanh", "output: expected one of 'softmax', 'sigmoid', 'linear', got 'tanh'"),
        ("readout", "first", "readout: expected one of 'all', 'last', got 'first'"),
        ("readout", None, "readout: expected one of 'all', 'last', got None"),
        ("dtype", "float16", "dtype: expected one of 'float32', 'float64', got 'float16'"),
        ("dtype", int, "dtype: expected one of 'float32', 'float64', got 'int64'"),
        ("dtype", "nonsense", "dtype: expected one of 'float32', 'float64', got 'nonsense'"),
        ("init", "zeros", "init: expected one of 'orthogonal', 'uniform', 'identity', got 'zeros'"),
    ],
)
def test_options(option: str, value: Any, message: str) -> None:
    refuses(lambda: network(**{option: value}), ValueError, message)


def test_tokens_need_a_vocabulary() -> None:
    refuses(lambda: ElmanRNN(0, 1, 1, input="token"), ValueError, "n_in: expected at least 1, got 0")


def test_unknown_arguments_are_refused() -> None:
    rnn = network()
    for call in (
        lambda: network(layers=2),
        lambda: rnn.forward(X, mask=None),  # type: ignore[call-arg]
        lambda: rnn.loss(X, CLASSES, wrt_x=True),  # type: ignore[call-arg]
        lambda: rnn.loss_and_gradients(X, CLASSES, teacher_forcing=1.0),  # type: ignore[call-arg]
    ):
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            call()


# ---- Parameters ----


@pytest.mark.parametrize(
    ("letter", "value", "error", "message"),
    [
        ("U", np.ones((3, 6)), ValueError, "U: expected [6, 3], got (3, 6)"),
        ("W", np.ones((6, 5)), ValueError, "W: expected [6, 6], got (6, 5)"),
        ("W", 1.0, ValueError, "W: expected [6, 6], got ()"),
        ("b", np.ones((1, 6)), ValueError, "b: expected [6], got (1, 6)"),
        ("V", np.ones(6), ValueError, "V: expected [2, 6], got (6,)"),
        ("c", [1.0], ValueError, "c: expected [2], got (1,)"),
        ("c", [1j, 1], TypeError, "c: expected float32 or what converts to it safely, got complex128"),
        ("c", ["1", "2"], TypeError, "c: expected float32 or what converts to it safely, got <U1"),
        ("parameters", np.ones(7), ValueError, "parameters: expected [74], got (7,)"),
    ],
)
def test_assigning_parameters(letter: str, value: Any, error: type[Exception], message: str) -> None:
    rnn = network()
    before = rnn.parameters.copy()
    refuses(lambda: setattr(rnn, letter, value), error, message)
    assert same_bits(rnn.parameters, before)


def test_assigning_rows_of_different_lengths() -> None:
    rnn = network()
    with pytest.raises(ValueError, match=r"^c: expected an array, got rows of different lengths \("):
        rnn.c = [[1.0], [1.0, 2.0]]


# ---- The input ----


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((TAU, BATCH, 4)), ValueError, "x: expected [tau, batch, 3] or [tau, 3], got (5, 4, 4)"),
        (np.zeros((TAU, 4)), ValueError, "x: expected [tau, batch, 3] or [tau, 3], got (5, 4)"),
        (np.zeros(TAU), ValueError, "x: expected [tau, batch, 3] or [tau, 3], got (5,)"),
        (np.zeros((1, TAU, BATCH, N_IN)), ValueError, "x: expected [tau, batch, 3] or [tau, 3], got (1, 5, 4, 3)"),
        (1.0, ValueError, "x: expected [tau, batch, 3] or [tau, 3], got ()"),
        (None, TypeError, "x: expected float32 or what converts to it safely, got object"),
        (np.zeros((0, BATCH, N_IN)), ValueError, "x: expected at least one time step, got none"),
        (np.zeros((0, N_IN)), ValueError, "x: expected at least one time step, got none"),
        (np.zeros((TAU, 0, N_IN)), ValueError, "x: expected at least one sequence, got (5, 0, 3)"),
        (X.astype(complex), TypeError, "x: expected float32 or what converts to it safely, got complex64"),
        (X.astype(str), TypeError, "x: expected float32 or what converts to it safely, got <U32"),
        ([], ValueError, "x: expected at least one sequence, got an empty list"),
        (
            [[1.0, 2.0, 3.0]],
            ValueError,
            "x[0]: expected [tau, 3], got (3,); a list is a list of sequences: pass one sequence as an array",
        ),
        (
            [X[:, 0], 1.0],
            ValueError,
            "x[1]: expected [tau, 3], got (); a list is a list of sequences: pass one sequence as an array",
        ),
        (
            [X],
            ValueError,
            "x[0]: expected [tau, 3], got (5, 4, 3); a list is a list of sequences: pass one sequence as an array",
        ),
        ([X[:, 0], X[:, 0, :2]], ValueError, "x[1]: expected [tau, 3], got (5, 2)"),
        ([X[:, 0], X[:0, 0]], ValueError, "x[1]: expected at least one time step, got none"),
        ([X[:, 0].astype(complex)], TypeError, "x[0]: expected float32 or what converts to it safely, got complex64"),
    ],
)
def test_x(x: Any, error: type[Exception], message: str) -> None:
    rnn = network()
    message = message.replace("complex64", np.asarray(x[0] if isinstance(x, list) and x else x).dtype.name)
    refuses(lambda: rnn.forward(x), error, message)
    refuses(lambda: rnn.loss(x, CLASSES), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, CLASSES), error, message)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((TAU, BATCH, 1), int), ValueError, "x: expected [tau, batch] or [tau], got (5, 4, 1)"),
        (0, ValueError, "x: expected [tau, batch] or [tau], got ()"),
        (TOKENS * 1.0, TypeError, "x: expected int64 or what converts to it safely, got float64"),
        (TOKENS[:0], ValueError, "x: expected at least one time step, got none"),
        (TOKENS[:, :0], ValueError, "x: expected at least one sequence, got (5, 0)"),
        (np.array([0, 2, 3]), ValueError, "x: expected tokens in [0, 3), got 3 at step 2 of sequence 0"),
        (np.array([[0, 1], [0, -1]]), ValueError, "x: expected tokens in [0, 3), got -1 at step 1 of sequence 1"),
        ([TOKENS[:, 0], np.array([9])], ValueError, "x: expected tokens in [0, 3), got 9 at step 0 of sequence 1"),
        (np.array([2**63], np.uint64), ValueError, "x: expected values that fit int64, got 9223372036854775808"),
        (np.array([-(2**63)]), ValueError, f"x: expected tokens in [0, 3), got {-(2**63)} at step 0 of sequence 0"),
        (
            [1, 2, 0],
            ValueError,
            "x[0]: expected [tau], got (); a list is a list of sequences: pass one sequence as an array",
        ),
        ([np.zeros((2, 2), int)], ValueError, "x[0]: expected [tau], got (2, 2); a list is a list of sequences: "),
    ],
)
def test_tokens(x: Any, error: type[Exception], message: str) -> None:
    rnn = network(input="token")
    y = [np.zeros(np.shape(one), int) for one in x] if isinstance(x, list) else np.zeros(np.shape(x), int)
    for call in (lambda: rnn.forward(x), lambda: rnn.loss(x, y), lambda: rnn.loss_and_gradients(x, y)):
        with pytest.raises(error, match=f"^{re.escape(message)}"):
            call()


def test_tokens_out_of_range_are_found_in_every_layout() -> None:
    rnn = network(input="token")
    for i, t in [(0, 0), (3, 4), (2, 1)]:
        tokens = TOKENS.copy()
        tokens[t, i] = 7
        for x in (tokens, np.asfortranarray(tokens), [*tokens.T], np.repeat(tokens, 2, axis=1)[:, ::2]):
            refuses(
                lambda x=x: rnn.forward(x),  # type: ignore[misc]
                ValueError,
                f"x: expected tokens in [0, 3), got 7 at step {t} of sequence {i}",
            )


# ---- Lengths and initial states ----


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([5, 5, 5], ValueError, "lengths: expected [4], got (3,)"),
        (5, ValueError, "lengths: expected [4], got ()"),
        ([[5, 5, 5, 5]], ValueError, "lengths: expected [4], got (1, 4)"),
        ([5, 0, 5, 5], ValueError, "lengths: expected values from 1 to 5, got 0 for sequence 1"),
        ([5, 5, 6, 5], ValueError, "lengths: expected values from 1 to 5, got 6 for sequence 2"),
        ([-1, 5, 5, 5], ValueError, "lengths: expected values from 1 to 5, got -1 for sequence 0"),
        ([5.0, 5, 5, 5], TypeError, "lengths: expected int64 or what converts to it safely, got float64"),
    ],
)
def test_lengths(lengths: Any, error: type[Exception], message: str) -> None:
    rnn = network()
    refuses(lambda: rnn.forward(X, lengths=lengths), error, message)
    refuses(lambda: rnn.loss(X, CLASSES, lengths=lengths), error, message)


def test_lengths_are_for_padded_batches() -> None:
    rnn = network()
    refuses(
        lambda: rnn.forward([X[:, 0]], lengths=[5]),
        ValueError,
        "lengths: expected None, as each sequence of a list has its own length",
    )
    refuses(lambda: rnn.forward(X[:, 0], lengths=[5]), ValueError, "lengths: expected None, as x is a single sequence")


@pytest.mark.parametrize(
    ("x", "h0", "error", "message"),
    [
        (X, np.zeros(6), ValueError, "h0: expected [4, 6], got (6,)"),
        (X, np.zeros((1, 6)), ValueError, "h0: expected [4, 6], got (1, 6)"),
        (X, np.zeros((4, 5)), ValueError, "h0: expected [4, 6], got (4, 5)"),
        (X, 0.0, ValueError, "h0: expected [4, 6], got ()"),
        (X[:, 0], np.zeros((1, 6)), ValueError, "h0: expected [6], got (1, 6)"),
        ([X[:, 0], X[:2, 0]], np.zeros((4, 6)), ValueError, "h0: expected [2, 6], got (4, 6)"),
        (X, np.zeros((4, 6), complex), TypeError, "h0: expected float32 or what converts to it safely, got complex128"),
    ],
)
def test_h0(x: Any, h0: Any, error: type[Exception], message: str) -> None:
    rnn = network(output="linear")
    refuses(lambda: rnn.forward(x, h0=h0), error, message)
    y = [VALUES[: len(one), 0] for one in x] if isinstance(x, list) else VALUES[:, 0] if x.ndim == 2 else VALUES
    refuses(lambda: rnn.loss(x, y, h0=h0), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, y, h0=h0), error, message)


# ---- Targets and weights ----

LIST = [X[:, 0], X[:2, 0]]


@pytest.mark.parametrize(
    ("options", "x", "y", "error", "message"),
    [
        ({}, X, CLASSES[:4], ValueError, "y: expected [5, 4], got (4, 4)"),
        ({}, X, CLASSES[..., None], ValueError, "y: expected [5, 4], got (5, 4, 1)"),
        ({}, X, CLASSES[:, 0], ValueError, "y: expected [5, 4], got (5,)"),
        ({}, X[:, 0], CLASSES, ValueError, "y: expected [5], got (5, 4)"),
        ({}, X, CLASSES * 1.0, TypeError, "y: expected int64 or what converts to it safely, got float64"),
        ({}, X, None, TypeError, "y: expected int64 or what converts to it safely, got object"),
        ({}, LIST, CLASSES, TypeError, "y: expected a list, as x is a list of sequences, got ndarray"),
        ({}, LIST, [CLASSES[:, 0]], ValueError, "y: expected 2 sequences, as many as x has, got 1"),
        ({}, LIST, [CLASSES[:, 0]] * 2, ValueError, "y[1]: expected [2], got (5,)"),
        ({"output": "linear"}, X, CLASSES, ValueError, "y: expected [5, 4, 2], got (5, 4)"),
        ({"output": "sigmoid"}, X[:, 0], VALUES, ValueError, "y: expected [5, 2], got (5, 4, 2)"),
        ({"output": "linear"}, LIST, [VALUES[:, 0]] * 2, ValueError, "y[1]: expected [2, 2], got (5, 2)"),
        (
            {"output": "linear"},
            X,
            VALUES * 1j,
            TypeError,
            "y: expected float32 or what converts to it safely, got complex64",
        ),
        ({"readout": "last"}, X, CLASSES, ValueError, "y: expected [4], got (5, 4)"),
        ({"readout": "last"}, X[:, 0], CLASSES[:, 0], ValueError, "y: expected [], got (5,)"),
        ({"readout": "last"}, LIST, [0, 1, 0], ValueError, "y: expected [2], got (3,)"),
        ({"readout": "last", "output": "linear"}, X, VALUES, ValueError, "y: expected [4, 2], got (5, 4, 2)"),
    ],
)
def test_y(options: Any, x: Any, y: Any, error: type[Exception], message: str) -> None:
    rnn = network(**options)
    refuses(lambda: rnn.loss(x, y), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, y), error, message)


@pytest.mark.parametrize("bad", [-2, 2, 2**40, -(2**63)])
def test_classes_out_of_range(bad: int) -> None:
    rnn, last = network(), network(readout="last")
    y = CLASSES.copy()
    y[3, 2] = bad
    expected = f"y: expected classes in [0, 2), or -1 for none, got {bad}"
    refuses(lambda: rnn.loss(X, y), ValueError, f"{expected} at step 3 of sequence 2")
    refuses(lambda: rnn.loss_and_gradients(X[:, 2], y[:, 2]), ValueError, f"{expected} at step 3 of sequence 0")
    refuses(lambda: rnn.loss([*X.swapaxes(0, 1)], [*y.T]), ValueError, f"{expected} at step 3 of sequence 2")
    refuses(lambda: last.loss(X, y[3]), ValueError, f"{expected} for sequence 2")
    # Nothing is wrong where the step does not count.
    weight = np.ones((TAU, BATCH))
    weight[3, 2] = 0
    assert rnn.loss(X, y, weight=weight) == rnn.loss(X, np.where(weight == 0, -1, CLASSES))
    assert rnn.loss(X, y, lengths=[5, 5, 3, 5]) == rnn.loss(X, CLASSES, lengths=[5, 5, 3, 5])


@pytest.mark.parametrize("bad", [-0.5, 1.5])
def test_probabilities_out_of_range(bad: float) -> None:
    rnn, last = network(output="sigmoid"), network(output="sigmoid", readout="last")
    y = VALUES.copy()
    y[3, 2, 1] = bad
    expected = f"y: expected probabilities in [0, 1], got {bad}"
    refuses(lambda: rnn.loss_and_gradients(X, y), ValueError, f"{expected} at step 3 of sequence 2")
    refuses(lambda: last.loss(X, y[3]), ValueError, f"{expected} for sequence 2")


@pytest.mark.parametrize(
    ("options", "x", "weight", "error", "message"),
    [
        ({}, X, np.ones(5), ValueError, "weight: expected [5, 4], got (5,)"),
        ({}, X, 1.0, ValueError, "weight: expected [5, 4], got ()"),
        ({}, X, np.ones((5, 4, 1)), ValueError, "weight: expected [5, 4], got (5, 4, 1)"),
        ({}, X, np.ones((5, 4), str), TypeError, "weight: expected float32 or what converts to it safely, got <U1"),
        ({}, LIST, np.ones((5, 2)), TypeError, "weight: expected a list, as x is a list of sequences, got ndarray"),
        ({}, LIST, [np.ones(5), np.ones(3)], ValueError, "weight[1]: expected [2], got (3,)"),
        ({"readout": "last"}, X, np.ones((5, 4)), ValueError, "weight: expected [4], got (5, 4)"),
        ({"readout": "last"}, LIST, [1.0], ValueError, "weight: expected [2], got (1,)"),
    ],
)  # fmt: skip
def test_weight(options: Any, x: Any, weight: Any, error: type[Exception], message: str) -> None:
    rnn = network(**options)
    n = len(x) if isinstance(x, list) else BATCH
    y: Any = np.zeros(n, int) if options else CLASSES if n == BATCH else [CLASSES[: len(one), 0] for one in x]
    refuses(lambda: rnn.loss(x, y, weight=weight), error, message)
    refuses(lambda: rnn.loss_and_gradients(x, y, weight=weight), error, message)


def test_a_token_has_no_gradient() -> None:
    rnn = network(input="token")
    refuses(
        lambda: rnn.loss_and_gradients(TOKENS, CLASSES, wrt_x=True),
        ValueError,
        "wrt_x: expected False, as a token has no gradient",
    )


# ---- What is left after an error, and what the error is not about ----


def test_arguments_and_parameters_are_left_as_they_are() -> None:
    rnn = network()
    x, y = np.ones_like(X), CLASSES.copy()
    y[-1, -1] = 7
    before = copy.deepcopy((rnn.parameters, x, y))
    with pytest.raises(ValueError, match="y: expected classes"):
        rnn.loss_and_gradients(x, y, wrt_x=True)
    y[-1, -1] = 0
    everything(rnn, {"x": x, "y": y, "h0": None, "lengths": None, "weight": None})
    y[-1, -1] = 7
    assert same_bits((rnn.parameters, x, y), before)


def test_a_tuple_is_a_list() -> None:
    p = problem(Case(3, 4, 2, (2, 5)))
    as_list = p.arguments("list")
    as_tuple = {name: tuple(value) if isinstance(value, list) else value for name, value in as_list.items()}
    rnn = p.network("float32")
    assert same_bits(everything(rnn, as_tuple), everything(rnn, as_list))


@settings(max_examples=150, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4).map(tuple),
    dtype=st.sampled_from(["float32", "float64", "float16", "int8", "complex64", "bool", "U1", "object", "M8[s]"]),
    kind=st.sampled_from(["real", "token"]),
    what=st.sampled_from(["x", "y", "h0", "weight", "lengths"]),
)
def test_any_array_is_taken_or_refused_by_name(shape: tuple[int, ...], dtype: str, kind: Any, what: str) -> None:
    rnn = ElmanRNN(3, 4, 2, input=kind, seed=0)
    value = np.zeros(shape, dtype)
    arguments: dict[str, Any] = {
        "x": np.zeros((2, 3, 3)) if kind == "real" else np.zeros((2, 3), int),
        "y": np.zeros((2, 3), int),
    }
    arguments[what] = value
    right = {
        "x": ("fiub" if kind == "real" else "iub", [(2, 3, 3)] if kind == "real" else [(2, 3)]),
        "y": ("iub", [(2, 3)]),
        "h0": ("fiub", [(3, 4)]),
        "weight": ("fiub", [(2, 3)]),
        "lengths": ("iub", []),  # a length of 0 is an error
    }[what]
    if value.dtype.kind in right[0] and shape in right[1]:
        rnn.loss_and_gradients(**arguments)
        return
    # Where x has another valid shape, it is y that does not fit.
    name = "[xy]" if what == "x" else what
    with pytest.raises((ValueError, TypeError), match=f"^{name}: expected "):
        rnn.loss_and_gradients(**arguments)
