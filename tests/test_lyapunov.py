"""bptt.analysis.lyapunov: exponents that are known in closed form, and those of chaotic networks by brute force."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN, JordanRNN
from bptt.analysis import jacobians, lyapunov, spectrum
from inside import autonomous, close, no_input, step_of


@pytest.mark.parametrize("seed", range(3))
def test_exponents_at_a_fixed_point_are_those_of_its_jacobian(seed: int) -> None:
    """At h = 0 the Jacobian is W: the exponents are the logarithms of the eigenvalues' magnitudes."""
    W = np.random.default_rng(seed).standard_normal((4, 4)) / 2.5
    found = lyapunov(autonomous(W), no_input(1200), n_exponents=4, skip=200)
    # The turning of a complex pair adds a bounded number to the sum over the steps: of 1000 steps some 1e-3 is left
    assert np.abs(found.exponents - np.log(np.abs(spectrum(autonomous(W))["W"]))).max() < 2e-3
    assert found.steps == 1000


def test_exponents_of_a_linear_network() -> None:
    """relu with positive states is linear: W = S diag(e) S^-1 with positive entries."""
    W = np.array([[0.6, 0.3, 0.05], [0.2, 0.5, 0.1], [0.1, 0.1, 0.2]])
    found = lyapunov(autonomous(W, "relu", b=1.0), no_input(800), n_exponents=3, skip=300)
    assert np.abs(found.exponents - np.log(np.linalg.eigvals(W).real)).max() < 1e-12, "the directions have come to rest"


def test_exponent_of_one_unit_is_the_mean_of_its_slopes() -> None:
    rnn = ElmanRNN(1, 1, 1, dtype="float64", init=None)
    rnn.U, rnn.W, rnn.b = [[0.7]], [[1.8]], [0.1]
    x = np.random.default_rng(0).standard_normal((500, 3, 1))
    h = rnn.forward(x).h[..., 0]
    found = lyapunov(rnn, x, skip=50)
    close(found.largest, np.log(1.8 * (1 - h[50:] ** 2)).mean(axis=0), 1e-12)
    blocks = np.log(1.8 * (1 - h[50:] ** 2)).reshape(10, 45, 3).mean(axis=1)
    close(found.error[:, 0], blocks.std(axis=0, ddof=1) / math.sqrt(10), 1e-12)


def test_exponents_of_leaky_units_at_a_fixed_point() -> None:
    """At v = 0 the Jacobian is (1 - alpha) I + alpha W."""
    W, alpha = np.diag([0.9, 0.5, -0.5]), np.array([0.5, 0.2, 0.1])
    rnn = ElmanRNN(0, 3, 1, leak=alpha, dtype="float64", init=None)
    rnn.W = W
    found = lyapunov(rnn, no_input(500), n_exponents=3, v0=np.zeros(3), skip=400)
    expected = np.sort(np.log(1 - alpha + alpha * np.diag(W)))[::-1]
    assert np.abs(found.exponents - expected).max() < 1e-3, "what is left of the first directions"


CHAOTIC = {
    "leaky layers": lambda: scaled(ElmanRNN(1, (10, 8), 1, leak=0.6, dtype="float64", seed=3), 4.0),
    "one layer": lambda: scaled(ElmanRNN(1, 20, 1, dtype="float64", seed=3), 2.5),
    "two layers": lambda: scaled(ElmanRNN(1, (10, 8), 1, dtype="float64", seed=3), 2.5),
    "softmax fed back": lambda: scaled(JordanRNN(1, 20, 4, dtype="float64", seed=3), 9.0),
}


def scaled(rnn: Any, factor: float) -> Any:
    for layer in rnn.layers:
        layer.W *= factor
    rnn.V *= factor
    return rnn


@pytest.mark.parametrize("name", CHAOTIC)
def test_the_sum_of_all_exponents_is_how_volumes_grow(name: str) -> None:
    rnn = CHAOTIC[name]()
    x = np.random.default_rng(0).standard_normal((300, 1))
    J = jacobians(rnn, x)
    n = J.shape[1]
    if isinstance(rnn, JordanRNN):  # probabilities sum to 1: they move in a space of one dimension less
        plane = np.linalg.qr(np.eye(n) - 1 / n)[0][:, :-1]
        J, n = plane.T @ J @ plane, n - 1
        assert lyapunov(rnn, x, n_exponents=n + 1).exponents[-1] == -math.inf
    found = lyapunov(rnn, x, n_exponents=n, skip=1)  # after which all differences are in that space
    close(found.exponents.sum(), np.log(np.abs(np.linalg.det(J[1:]))).mean(), 1e-10)
    assert found.exponents[0] > found.exponents[-1]


@pytest.mark.parametrize("name", CHAOTIC)
def test_the_largest_exponent_is_how_neighbours_part(name: str) -> None:
    """By brute force: a neighbour at 1e-8, brought back to that distance after every step."""
    rnn = CHAOTIC[name]()
    x = np.random.default_rng(0).standard_normal((1500, 1))
    n = jacobians(rnn, x[:1]).shape[-1]
    state = np.full(n, 1 / n)
    neighbour, logarithms = state + 1e-8 / math.sqrt(n) * np.where(np.arange(n) % 2, 1, -1), []
    for x_t in x:
        state, neighbour = step_of(rnn, np.stack([state, neighbour]), x_t)
        distance = np.linalg.norm(neighbour - state)
        logarithms.append(math.log(distance / 1e-8))
        neighbour = state + (neighbour - state) * (1e-8 / distance)
    initial = np.full(n, 1 / n)
    h0: Any = {"r0": initial} if isinstance(rnn, JordanRNN) else {"h0": initial}
    if name in ("two layers", "leaky layers"):
        h0 = {"h0" if rnn.leak == 1.0 else "v0": [initial[:10], initial[10:]]}
    found = lyapunov(rnn, x, skip=1000, **h0)
    # Distances are off by some 1e-8. What is left of the first direction after 1000 steps was 1e-6 at most.
    assert abs(found.largest - np.mean(logarithms[1000:])) < 1e-5


def test_forms_and_windows_change_no_exponent(monkeypatch: pytest.MonkeyPatch) -> None:
    rnn = CHAOTIC["two layers"]()
    x = np.random.default_rng(0).standard_normal((90, 2, 1))
    whole = lyapunov(rnn, x, n_exponents=3, seed=1)
    assert whole.exponents.shape == whole.error.shape == (2, 3)
    assert whole.largest.shape == (2,)
    monkeypatch.setattr("bptt.analysis.exponents._WINDOW", 14)
    close(lyapunov(rnn, x, n_exponents=3, seed=1).exponents, whole.exponents, 1e-9)  # chaos enlarges the last bits
    single = lyapunov(rnn, x[:, 0], n_exponents=18)
    assert single.exponents.shape == (18,)
    close(lyapunov(rnn, x[:, 0], n_exponents=18, every=3).exponents, single.exponents, 1e-6)
    tokens = ElmanRNN(5, 4, 2, input="token", seed=0)
    assert lyapunov(tokens, np.zeros(100, int)).largest < 0


def test_what_shrinks_to_nothing_has_the_exponent_minus_infinity() -> None:
    W = np.diag([0.5, 0.0, 0.0])
    found = lyapunov(autonomous(W), no_input(50), n_exponents=3)
    assert found.exponents[0] == pytest.approx(math.log(0.5), abs=1e-12)
    assert found.exponents[1:].tolist() == [-math.inf, -math.inf]
    assert np.isnan(found.error[1:]).all()
