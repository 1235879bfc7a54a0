"""Networks looked into: small ones whose dynamics are known, a step by the network itself, and a comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from bptt import ElmanRNN, JordanRNN
from problems import Array

# A step is a sum of at most some 20 products of numbers near 1, in float64. Over the few steps of these problems errors
# of rounding stay below 100 eps of the largest number.
EXACT = 2e-14


def close(found: Any, expected: Any, tolerance: float = EXACT) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max(initial=0.0) <= tolerance * max(1.0, np.abs(expected).max(initial=0.0))


def step_of(rnn: Any, state: Array, x_t: Any) -> Array:
    """F by the network itself: one step of many states ``[m, n]`` under the same input."""
    m = len(state)
    x = np.broadcast_to(x_t, (1, m, *np.shape(x_t)))
    if isinstance(rnn, JordanRNN):
        return np.asarray(rnn.forward(x, r0=state).r_last)
    letter = "h" if rnn.leak == 1.0 else "v"
    if len(rnn.layers) == 1:
        return np.asarray(getattr(rnn.forward(x, **{f"{letter}0": state}), f"{letter}_last"))
    parts = np.split(state, np.cumsum(rnn.n_hidden)[:-1], axis=1)
    run = rnn.forward(x, **{f"{letter}0": list(parts)})
    return np.concatenate(getattr(run, f"{letter}_last"), axis=1)


def autonomous(W: Any, activation: Any = "tanh", b: Any = 0.0) -> ElmanRNN:
    rnn = ElmanRNN(0, len(W), 1, activation=activation, dtype="float64", init=None)
    rnn.W = W
    rnn.b[...] = b
    return rnn


def no_input(tau: int) -> Array:
    return np.zeros((tau, 0))
