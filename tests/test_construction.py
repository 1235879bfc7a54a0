"""Networks and parameters that cannot be: every error by its type and message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN, JordanRNN
from refusals import (
    CLASSES,
    X,
    kinds,
    network,
    refuses,
)
from results import same_bits

# ---- Construction ----


@kinds
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1, 1, 1), ValueError, "n_in: expected at least 0, got -1"),
        ((1, 0, 1), ValueError, "n_hidden: expected at least 1, got 0"),
        ((1, 1, 0), ValueError, "n_out: expected at least 1, got 0"),
        ((1.0, 1, 1), TypeError, "n_in: expected an int, got float"),
        ((1, 1, True), TypeError, "n_out: expected an int, got bool"),
    ],
)
def test_sizes_that_are_none(kind: Any, arguments: Any, error: type[Exception], message: str) -> None:
    refuses(lambda: kind(*arguments), error, message)


@kinds
def test_a_hidden_size_of_another_type(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"^n_hidden: expected an int.*, got str$"):
        kind(1, "2", 1)


@kinds
@pytest.mark.parametrize("arguments", [(0, 1, 1), (np.int32(2), np.int64(3), np.uint8(4))])
def test_sizes(kind: Any, arguments: Any) -> None:
    rnn = kind(*arguments)
    assert (rnn.n_in, rnn.n_hidden, rnn.n_out) == arguments
    assert type(rnn.n_in) is int
    assert rnn.W.shape == (arguments[1], arguments[1 if kind is ElmanRNN else 2])


OPTIONS = [
    ("input", "onehot", "input: expected one of 'real', 'token', got 'onehot'"),
    ("output", "tanh", "output: expected one of 'softmax', 'sigmoid', 'linear', got 'tanh'"),
    ("dtype", "float16", "dtype: expected one of 'float32', 'float64', got 'float16'"),
    ("dtype", int, "dtype: expected one of 'float32', 'float64', got 'int64'"),
    ("dtype", "nonsense", "dtype: expected one of 'float32', 'float64', got 'nonsense'"),
    ("dtype", None, "dtype: expected one of 'float32', 'float64', got 'None'"),
]


@pytest.mark.parametrize(
    ("kind", "option", "value", "message"),
    [
        *((kind, *option) for kind in (ElmanRNN, JordanRNN) for option in OPTIONS),
        (ElmanRNN, "readout", "first", "readout: expected one of 'all', 'last', got 'first'"),
        (ElmanRNN, "readout", None, "readout: expected one of 'all', 'last', got None"),
        (ElmanRNN, "init", "zeros", "init: expected one of 'orthogonal', 'uniform', 'identity', got 'zeros'"),
        (JordanRNN, "feedback", "h", "feedback: expected one of 'y_hat', 'o', got 'h'"),
        (JordanRNN, "feedback", None, "feedback: expected one of 'y_hat', 'o', got None"),
        (JordanRNN, "init", "identity", "init: expected one of 'orthogonal', 'uniform', got 'identity'"),
    ],
)
def test_options(kind: Any, option: str, value: Any, message: str) -> None:
    refuses(lambda: network(kind, **{option: value}), ValueError, message)


@kinds
def test_tokens_need_a_vocabulary(kind: Any) -> None:
    refuses(lambda: kind(0, 1, 1, input="token"), ValueError, "n_in: expected at least 1, got 0")


@kinds
@pytest.mark.parametrize(
    ("seed", "error"),
    [(-1, ValueError), ("a", TypeError), (True, TypeError), ([1, 2], TypeError), (-(10**400), ValueError)],
)
def test_bad_seeds(kind: Any, seed: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^seed: expected an int of at least 0"):
        network(kind, seed=seed)
    with pytest.raises(error, match=r"^seed: expected an int of at least 0"):
        kind(0 if kind is JordanRNN else 3, 5, 3).generate(2, seed=seed)


def test_what_a_network_does_not_have_is_refused() -> None:
    elman, jordan = network(), network(JordanRNN)
    calls: list[Callable[[], object]] = [
        lambda: network(layers=2),
        lambda: network(feedback="o"),
        lambda: elman.forward(X, mask=None),
        lambda: elman.forward(X, r0=None),
        lambda: elman.loss(X, CLASSES, wrt_x=True),
        lambda: elman.loss_and_gradients(X, CLASSES, teacher_forcing=1.0),
        lambda: network(JordanRNN, readout="all"),
        lambda: elman.forward(X, y=CLASSES),
        lambda: jordan.forward(X, h0=None),
        lambda: jordan.loss(X, CLASSES, h0=None),
        lambda: jordan.loss(X, CLASSES, wrt_x=True),
        lambda: jordan.loss_and_gradients(X, CLASSES, forced=None),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            call()
    assert not hasattr(jordan, "readout")
    assert not hasattr(elman, "feedback")


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


def test_assigning_parameters_of_the_output_recurrent_network() -> None:
    rnn = network(JordanRNN)
    refuses(lambda: setattr(rnn, "W", np.ones((6, 6))), ValueError, "W: expected [6, 2], got (6, 6)")
    refuses(lambda: setattr(rnn, "parameters", np.ones(7)), ValueError, "parameters: expected [50], got (7,)")
    rnn.W = np.arange(12).reshape(6, 2)
    assert rnn.parameters[18:30].tolist() == list(range(12))


@kinds
def test_assigning_rows_of_different_lengths(kind: Any) -> None:
    rnn = network(kind)
    with pytest.raises(ValueError, match=r"^c: expected an array, got rows of different lengths \("):
        rnn.c = [[1.0], [1.0, 2.0]]


HUGE = 10**5000  # Python refuses to write its digits


@kinds
def test_huge_numbers_are_refused_by_name(kind: Any) -> None:
    calls: dict[str, Callable[[], object]] = {
        "n_in": lambda: kind(HUGE, 5, 2),
        "n_hidden": lambda: kind(3, HUGE, 2),
        "n_out": lambda: kind(3, 5, -HUGE),
        "dtype": lambda: network(kind, dtype=HUGE),
        "init": lambda: network(kind, init=HUGE),
        "output": lambda: network(kind, output="softmax" * 1000),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=rf"^{name}: expected [^\n]{{,400}}$"):
            call()


@kinds
def test_a_seed_that_holds_itself(kind: Any) -> None:
    """It went to NumPy, and ended the process."""
    seed: list[Any] = []
    seed.append(seed)
    with pytest.raises(TypeError, match=r"^seed: expected an int of at least 0.*, got list$"):
        network(kind, seed=seed)


@kinds
def test_names_of_dtypes_that_numpy_forgets_are_refused_without_a_warning(kind: Any) -> None:
    refuses(lambda: network(kind, dtype="a5"), ValueError, "dtype: expected one of 'float32', 'float64', got 'bytes40'")
