"""bptt.analysis.fixed_points: where fixed points are known, by hand or by brute force, and of a trained network."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN
from bptt.analysis import FixedPoints, fixed_points
from problems import Array
from refusals import refuses

# The method goes on until no number changes but by rounding: 4 eps of g, divided by how far eigenvalues are from 1.
NEAR = 1e-12


def network(W: Any, b: Any = 0.0, **options: Any) -> ElmanRNN:
    rnn = ElmanRNN(1, len(W), 1, dtype="float64", init=None, **options)
    rnn.W = W
    rnn.b[...] = b
    return rnn


def starts(n: int, count: int = 200, width: float = 1.0) -> Array:
    return np.random.default_rng(0).uniform(-width, width, (count, n))


def roots(of: Callable[[Array], Array], low: float, high: float, count: int = 200001) -> Array:
    """All sign changes of a function on a fine grid, each halved until it has no more digits."""
    grid = np.linspace(low, high, count)
    values = of(grid)
    left = np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) < 0)
    a, b = grid[left], grid[left + 1]
    for _ in range(60):
        middle = 0.5 * (a + b)
        same = np.sign(of(middle)) == np.sign(of(a))
        a, b = np.where(same, middle, a), np.where(same, b, middle)
    return np.concatenate([0.5 * (a + b), grid[values == 0]])


def unit_roots(w: float, b: float = 0.0) -> Array:
    """The fixed points of h = tanh(w h + b)."""
    return roots(lambda h: np.tanh(w * h + b) - h, -1.0, 1.0)


def compare(points: FixedPoints, expected: Array, is_stable: Array) -> None:
    """The same set of fixed points, with the same stability, and no other point."""
    assert points.is_fixed.all()
    assert len(points) == len(expected)
    partners = [int(np.linalg.norm(expected - state, axis=1).argmin()) for state in points.state]
    assert sorted(partners) == list(range(len(expected))), "one for each"
    for i, partner in enumerate(partners):
        assert np.linalg.norm(points.state[i] - expected[partner]) < NEAR
        assert points.is_stable[i] == is_stable[partner]


@pytest.mark.parametrize(
    ("w", "b"), [(0.5, 0.0), (2.0, 0.0), (2.0, 0.2), (2.0, 0.9), (-0.5, 0.3), (-2.0, 0.1), (4.0, -1.0)]
)
def test_one_unit(w: float, b: float) -> None:
    """h = tanh(w h + b), by bisection: 2 with b = 0 has three, and 0.9 is beyond the fold of two of them."""
    expected = unit_roots(w, b)
    assert len(expected) == (3 if (w, b) in ((2, 0), (2, 0.2), (4, -1)) else 1)
    slopes = w * (1 - expected**2)
    compare(fixed_points(network([[w]], b), starts(1), slow=0.0), expected[:, None], np.abs(slopes) < 1)


def test_units_apart_have_every_combination() -> None:
    weights = (2.0, 1.5, 0.5)
    each = [unit_roots(w) for w in weights]
    expected = np.array(list(itertools.product(*each)))
    assert len(expected) == 9
    is_stable = (np.array(weights) * (1 - expected**2) < 1).all(axis=1)
    found = fixed_points(network(np.diag(weights)), starts(3, 400))
    compare(found, expected, is_stable)
    counts = (np.array(weights) * (1 - found.state**2) > 1).sum(axis=1)
    assert found.n_unstable.tolist() == counts.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2]


@pytest.mark.parametrize("seed", range(6))
def test_two_units(seed: int) -> None:
    """Brute force: from h1 follows h2 by the first equation, and the second is a function of h1 alone."""
    random = np.random.default_rng(seed)
    W, b = 2.5 * random.standard_normal((2, 2)), 0.3 * random.standard_normal(2)

    def h2(h1: Array) -> Array:
        return np.asarray((np.arctanh(h1) - W[0, 0] * h1 - b[0]) / W[0, 1])

    edge = 1 - 1e-12
    first = roots(lambda h1: np.tanh(W[1, 0] * h1 + W[1, 1] * h2(h1) + b[1]) - h2(h1), -edge, edge, 2_000_001)
    expected = np.stack([first, h2(first)], axis=1)
    for _ in range(3):  # arctanh near 1 has lost digits: Newton's steps bring them back
        h = np.tanh(expected @ W.T + b)
        J = (1 - h**2)[:, :, None] * W - np.eye(2)
        expected = expected - np.linalg.solve(J, (h - expected)[..., None])[..., 0]
    J = (1 - expected**2)[:, :, None] * W
    compare(fixed_points(network(W, b), starts(2, 400), slow=0.0), expected, np.abs(np.linalg.eigvals(J)).max(1) < 1)


@pytest.mark.parametrize(("seed", "count"), [(1, 2), (2, 4), (3, 0), (5, 1), (25, 4)])
def test_relu(seed: int, count: int) -> None:
    """Brute force: for each set of units that are on, the fixed point of the linear network, if it is on there."""
    random = np.random.default_rng(seed)
    W, b = 1.2 * random.standard_normal((4, 4)), random.standard_normal(4)
    expected, is_stable = [], []
    for on in itertools.product((0.0, 1.0), repeat=4):
        D = np.diag(on)
        h = np.linalg.solve(np.eye(4) - D @ W, D @ b)
        if ((W @ h + b > 0) == (np.array(on) > 0)).all():
            expected.append(h)
            is_stable.append(np.abs(np.linalg.eigvals(D @ W)).max() < 1)
    found = fixed_points(network(W, b, activation="relu"), np.abs(starts(4, 600, 3.0)), slow=0.0)
    assert len(found) == len(expected) == count
    compare(found, np.array(expected).reshape(-1, 4), np.array(is_stable))


def test_two_layers() -> None:
    """The lower unit has three fixed points; under each of them the upper one is a unit with another bias."""
    rnn = ElmanRNN(1, (1, 1), 1, dtype="float64", init=None)
    lower, upper = rnn.layers
    lower.W, upper.W, upper.U, upper.b = [[2.0]], [[1.8]], [[0.9]], [0.05]
    expected = np.array([(h, g) for h in unit_roots(2.0) for g in unit_roots(1.8, 0.9 * h + 0.05)])
    assert len(expected) == 5
    is_stable = (np.array([2.0, 1.8]) * (1 - expected**2) < 1).all(axis=1)
    h = starts(2, 300)
    found = fixed_points(rnn, [h[:, :1], h[:, 1:]], slow=0.0)
    compare(found, expected, is_stable)
    after = rnn.forward(np.zeros((1, len(found), 1)), h0=found.h0)
    assert np.abs(np.concatenate(after.h_last, axis=1) - found.state).max() < NEAR


@pytest.mark.parametrize("seed", range(3))
def test_leaky_units(seed: int) -> None:
    """Their h is fixed where that of the units without a leak is; v = b + W h there, and the stability is another."""
    W, alpha = 2.5 * np.random.default_rng(seed).standard_normal((2, 2)), np.array([0.3, 0.6])
    plain = fixed_points(network(W, 0.1), starts(2, 400), slow=0.0)
    rnn = network(W, 0.1, leak=alpha)
    found = fixed_points(rnn, 4 * starts(2, 400), slow=0.0)
    v = 0.1 + plain.state @ W.T
    J = np.diag(1 - alpha) + alpha[:, None] * W * (1 - plain.state**2)[:, None, :]
    compare(found, v, np.abs(np.linalg.eigvals(J)).max(axis=1) < 1)
    assert np.abs(rnn.forward(np.zeros((1, len(found), 1)), v0=found.h0).v_last - found.state).max() < NEAR


@pytest.mark.parametrize(("output", "feedback"), [("sigmoid", "y_hat"), ("linear", "o"), ("softmax", "y_hat")])
def test_fed_back_outputs(output: Any, feedback: Any) -> None:
    """One number is fed back; or of two probabilities the first, as they sum to 1."""
    n_out = 2 if output == "softmax" else 1
    rnn = JordanRNN(1, 3, n_out, output=output, feedback=feedback, dtype="float64", seed=0)
    rnn.W = np.array([[6.0], [-5.0], [7.0]]) * ([1, 0] if n_out == 2 else [1])
    rnn.b, rnn.V = [-3.0, 2.0, -3.0], np.array([[3.0, -1.0, 2.0]]) * ([[1], [-1]] if n_out == 2 else 1)

    def step(r: Array) -> Array:
        fed = np.stack([r, 1 - r], axis=1) if n_out == 2 else r[:, None]
        return np.asarray(rnn.forward(np.zeros((1, len(r), 1)), r0=fed).r_last[:, 0])

    expected = roots(lambda r: step(r) - r, -8.0 if output == "linear" else 0.0, 8.0 if output == "linear" else 1.0)
    assert len(expected) == 3
    slopes = (step(expected + 1e-6) - step(expected - 1e-6)) / 2e-6
    near = starts(1, 100, 8.0) if output == "linear" else 0.5 + 0.5 * starts(1, 100)
    if n_out == 2:
        near, expected = np.hstack([near, 1 - near]), np.stack([expected, 1 - expected], axis=1)
    found = fixed_points(rnn, near, slow=0.0)
    assert np.abs(found.eigenvalues[:, 0]).max() > 1
    compare(found, expected.reshape(3, -1), np.abs(slopes) < 1)


def test_a_slow_point_is_the_minimum_of_q() -> None:
    """Just beyond the fold of h = tanh(2 h + b) nothing is fixed there, and trajectories pass by slowly."""
    b = 2 * np.sqrt(0.5) - np.arctanh(np.sqrt(0.5)) + 0.003  # at the fold, h^2 = 1/2, the slope is 1
    grid = np.linspace(-0.9, -0.5, 400001)
    q = 0.5 * (np.tanh(2 * grid + b) - grid) ** 2
    found = fixed_points(network([[2.0]], b), np.array([[-0.9], [-0.6], [0.8]]))
    assert found.is_fixed.tolist() == [True, False]
    assert abs(found.state[1, 0] - grid[q.argmin()]) < 1e-5, "the grid has steps of 1e-6, and q is flat"
    assert found.q[1] == pytest.approx(q.min(), rel=1e-8)
    assert found.point_of_start.tolist() == [1, 1, 0]
    assert len(fixed_points(network([[2.0]], b), np.array([[-0.9]]), slow=1e-7)) == 0, "q is 4e-6 there"


def test_a_continuum_of_fixed_points() -> None:
    """relu with W = I: every positive state is fixed, and where the search begins is where it ends."""
    given = np.abs(starts(3, 30)) + 0.01
    found = fixed_points(network(np.eye(3), activation="relu"), given, unique=0.0)
    assert found.state.tolist() == given[found.point_of_start.argsort()].tolist()
    assert (found.q == 0).all()
    assert found.n_unstable.tolist() == [3] * 30, "eigenvalues of 1 are not below 1"
    merged = fixed_points(network(np.eye(3), activation="relu"), given, unique=10.0)
    assert (len(merged), merged.starts.tolist()) == (1, [30])


def test_a_line_of_fixed_points_is_found_quickly() -> None:
    """relu with W = v v^T, |v| = 1, v > 0: all multiples of v are fixed. Convergence is quadratic there too."""
    v = np.array([0.6, 0.8])
    rnn = network(np.outer(v, v), activation="relu")
    found = fixed_points(rnn, np.abs(starts(2, 50)) + 0.05, unique=0.0, max_iterations=15)
    assert len(found) == 50
    assert np.abs(found.state - (found.state @ v)[:, None] * v).max() < NEAR


def test_each_start_may_have_its_input() -> None:
    rnn = network([[2.0]])
    rnn.U = [[1.0]]
    x = np.repeat([[0.0], [0.2], [0.9]], 30, axis=0)
    found = fixed_points(rnn, np.tile(starts(1, 30), (3, 1)), x=x)
    assert {value: int((found.x[:, 0] == value).sum()) for value in (0.0, 0.2, 0.9)} == {0.0: 3, 0.2: 3, 0.9: 1}
    for i in range(len(found)):
        assert abs(np.tanh(2 * found.state[i, 0] + found.x[i, 0]) - found.state[i, 0]) < NEAR
    assert len(fixed_points(rnn, [[0.9], [0.9]], x=[[0.0], [1e-7]])) == 2, "however near, they are of two inputs"
    one = fixed_points(rnn, starts(1, 30), x=[0.2])
    assert sorted(one.state[:, 0].tolist()) == sorted(found.state[found.x[:, 0] == 0.2, 0].tolist())
    drawn = fixed_points(rnn, np.tile(starts(1, 30), (3, 1)).reshape(9, 10, 1), x=x.reshape(9, 10, 1), n_starts=40)
    for i in range(len(drawn)):
        assert abs(np.tanh(2 * drawn.state[i, 0] + drawn.x[i, 0]) - drawn.state[i, 0]) < NEAR
    assert set(drawn.x[:, 0]) == {0.0, 0.2, 0.9}
    tokens = ElmanRNN(3, 2, 1, input="token", dtype="float64", seed=0)
    tokens.W = 0.5 * np.eye(2)
    at = fixed_points(tokens, starts(2, 3), x=[0, 1, 2])
    assert sorted(at.x.tolist()) == [0, 1, 2]
    assert np.abs(np.tanh(0.5 * at.state + tokens.U.T[at.x]) - at.state).max() < NEAR


def test_starts_are_drawn_from_the_states() -> None:
    rnn, states = network(np.diag([2.0, 1.5])), starts(2, 60).reshape(6, 10, 2)
    every = fixed_points(rnn, states)
    assert len(every.point_of_start) == 60
    some = [fixed_points(rnn, states, n_starts=20, noise=0.1, seed=seed) for seed in (1, 1, 2)]
    assert some[0].point_of_start.tolist() == some[1].point_of_start.tolist() != some[2].point_of_start.tolist()
    assert some[0].starts.sum() == 20
    for i, point in enumerate(every.starts):
        assert point == (every.point_of_start == i).sum()
    assert fixed_points(rnn, states.astype(np.float32)).state.dtype == np.float64
    assert len(fixed_points(rnn, starts(2, 1100)).point_of_start) == 1000


def test_points_away_from_the_states_are_outliers() -> None:
    near_one = network([[2.0]]).forward(np.zeros((3, 1)), h0=[0.9]).h  # goes to 0.9575
    found = fixed_points(network([[2.0]]), near_one, noise=2.0, n_starts=3, seed=3, outlier=2.0)
    all_found = fixed_points(network([[2.0]]), np.concatenate([near_one, [[-0.5]]]))
    assert found.is_outlier.tolist() == [abs(s - 0.95) > 0.3 for s in found.state[:, 0]]
    assert found.is_outlier.any()
    assert not all_found.is_outlier.any()
    assert np.abs(found.distance - np.abs(found.state - near_one.T).min(axis=1)).max() < NEAR


def test_how_far_an_outlier_is() -> None:
    """By the distance to the nearest state over the states' root mean square distance to their mean."""
    given = np.array([[-1.5], [-0.5], [0.5]])
    spread = np.sqrt(((given - given.mean()) ** 2).mean())
    rnn = network([[2.0]])
    found = fixed_points(rnn, given, outlier=1e9)
    ratios = np.abs(found.state - given.T).min(axis=1) / spread
    assert ratios.min() > 0.1
    for ratio in ratios:
        for outlier in (0.99 * ratio, 1.01 * ratio):
            assert fixed_points(rnn, given, outlier=outlier).is_outlier.tolist() == (ratios > outlier).tolist()


def test_points_can_be_chosen() -> None:
    found = fixed_points(network(np.diag([2.0, 1.5])), starts(2))
    stable = found[found.is_stable]
    assert (len(stable), len(found), len(found[0]), len(found[2:5])) == (4, 9, 1, 3)
    assert stable.is_stable.all()
    assert stable.jacobians().tolist() == found.jacobians()[found.is_stable].tolist()
    slopes = np.array([2.0, 1.5]) * (1 - found.state**2)
    assert np.abs(found.jacobians() - slopes[:, :, None] * np.eye(2)).max() < NEAR
    assert np.abs(np.sort(found.eigenvalues.real, axis=1) - np.sort(slopes, axis=1)).max() < NEAR
    assert repr(found) == "FixedPoints(9 fixed, 4 of them stable, 0 slow; 0 outliers; 200 starts, 0 without a point)"


def test_too_few_iterations_leave_starts_without_a_point() -> None:
    rnn = network(np.diag([2.0, 1.5]))
    found = fixed_points(rnn, starts(2), max_iterations=2)
    failed = found.point_of_start < 0
    assert failed.any()
    assert found.starts.sum() == (~failed).sum()
    assert len(fixed_points(rnn, [[0.1, 0.9]], max_iterations=1)) == 0


def test_no_iteration_makes_q_larger() -> None:
    """In a chaotic network, where full steps often would."""
    W = 3.0 / np.sqrt(20) * np.random.default_rng(0).standard_normal((20, 20))
    given = starts(20, 50)
    q = []
    for k in range(1, 9):
        found = fixed_points(network(W), given, max_iterations=k, tolerance=1e9, unique=0.0)
        q.append(found.q[found.point_of_start])
    assert (np.diff(q, axis=0) <= 0).all()
    assert (q[-1] < 0.1 * q[0]).all()


def test_the_last_iterations_double_the_digits() -> None:
    """With a damping that does not fall with |F(s) - s| it takes 11."""
    found = fixed_points(network([[2.0]], 0.2), starts(1), max_iterations=8, slow=0.0)
    assert (found.point_of_start >= 0).all()


def test_results_do_not_depend_on_how_many_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rnn = network(np.diag([2.0, 1.5]))
    whole = fixed_points(rnn, starts(2))
    monkeypatch.setattr("bptt.analysis.points._NUMBERS", 28)  # 7 starts of 2 numbers
    parts = fixed_points(rnn, starts(2))
    assert parts.point_of_start.tolist() == whole.point_of_start.tolist()
    assert np.abs(parts.state - whole.state).max() < NEAR


# ---- A trained network ----


def flip_flop(random: np.random.Generator, tau: int = 40, batch: int = 64) -> tuple[Array, Array]:
    """Three bits: each output is the sign of the last pulse of its input (Sussillo and Barak, 2013)."""
    is_pulse = random.random((tau, batch, 3)) < 0.15
    is_pulse[0] = True
    x = np.where(is_pulse, random.choice([-1.0, 1.0], (tau, batch, 3)), 0.0)
    latest = np.maximum.accumulate(np.where(is_pulse, np.arange(tau)[:, None, None], 0), axis=0)
    return x, np.take_along_axis(x, latest, axis=0)


def test_a_trained_flip_flop_has_its_eight_stable_points() -> None:
    rnn = ElmanRNN(3, 24, 3, output="linear", seed=0)
    batches = bptt.Batches(flip_flop, steps=400)
    rnn.fit(batches, optimizer=bptt.Adam(1e-2), epochs=1, clip_norm=1.0, seed=0, progress=False)
    x, _ = flip_flop(np.random.default_rng(1))
    found = fixed_points(rnn, rnn.forward(x).h, n_starts=300)
    assert (found.point_of_start >= 0).all()
    stable = found[found.is_fixed & found.is_stable]
    o = stable.state @ rnn.V.T + rnn.c
    assert sorted(np.sign(o).tolist()) == sorted(map(list, itertools.product((-1.0, 1.0), repeat=3)))
    assert np.abs(np.abs(o) - 1).max() < 0.2, "each holds the bits that the network gives"
    assert not stable.is_outlier.any()
    saddles = found[found.is_fixed & ~found.is_stable]
    assert len(saddles) >= 3, "what separates their basins"
    # Without pulses the network stays at a stable point, and leaves a saddle that it is put beside
    at_rest = np.zeros((300, 1, 3))
    for point in stable.state:
        assert np.abs(rnn.forward(at_rest, h0=point[None]).h_last - point).max() < 1e-4
    for point in saddles.state:
        assert np.abs(rnn.forward(at_rest, h0=point[None] + 1e-2).h_last - point).max() > 0.1


# ---- Errors ----


def test_refusals() -> None:
    rnn, h = ElmanRNN(3, 4, 2, seed=0), np.zeros((5, 4))
    stack = ElmanRNN(3, (4, 2), 2, seed=0)
    tokens = ElmanRNN(3, 4, 2, input="token", seed=0)
    calls: list[tuple[Any, Any, str]] = [
        (lambda: fixed_points(1, h), TypeError, "rnn: expected an ElmanRNN or a JordanRNN, got int"),
        (
            lambda: fixed_points(ElmanRNN(3, 4, 2, bidirectional=True), h),
            ValueError,
            "rnn: expected one direction, as a step of two has no state before it, got two",
        ),
        (lambda: fixed_points(rnn, h[:, :3]), ValueError, "states: expected [..., 4], got (5, 3)"),
        (lambda: fixed_points(rnn, h[:0]), ValueError, "states: expected [..., 4], got (0, 4)"),
        (lambda: fixed_points(rnn, h * np.nan), ValueError, "states: expected finite numbers, got some that are not"),
        (lambda: fixed_points(rnn, "h"), TypeError, "states: expected float64 or what converts to it safely, got <U1"),
        (
            lambda: fixed_points(stack, h),
            TypeError,
            "states: expected a list with an array a layer, 2, got ndarray",
        ),
        (
            lambda: fixed_points(stack, [h, h[:3, :2]]),
            ValueError,
            "states[1]: expected as many states as states[0] has, 5, got 3",
        ),
        (
            lambda: fixed_points(rnn, h, x=[0, 1]),
            ValueError,
            "x: expected [3], or [..., 3] with one for each of 5 states, got (2,)",
        ),
        (
            lambda: fixed_points(rnn, h, x=[0, 1, np.inf]),
            ValueError,
            "x: expected finite numbers, got some that are not",
        ),
        (
            lambda: fixed_points(tokens, h),
            ValueError,
            "x: expected a token, as the network reads tokens, got None",
        ),
        (lambda: fixed_points(tokens, h, x=3), ValueError, "x: expected tokens from 0 to 2, got 3"),
        (
            lambda: fixed_points(tokens, h, x=[0, 1]),
            ValueError,
            "x: expected one token, or one for each of 5 states, got (2,)",
        ),
        (lambda: fixed_points(rnn, h, n_starts=6), ValueError, "n_starts: expected at most 5, got 6"),
        (lambda: fixed_points(rnn, h, noise=-1), ValueError, "noise: expected a number in [0, inf), got -1"),
        (lambda: fixed_points(rnn, h, tolerance="a"), TypeError, "tolerance: expected a number, got str"),  # type: ignore[arg-type]
        (lambda: fixed_points(rnn, h, slow=-1), ValueError, "slow: expected a number in [0, inf), got -1"),
        (lambda: fixed_points(rnn, h, unique=-1), ValueError, "unique: expected a number in [0, inf), got -1"),
        (lambda: fixed_points(rnn, h, outlier=0), ValueError, "outlier: expected a number in (0, inf], got 0"),
        (lambda: fixed_points(rnn, h, max_iterations=0), ValueError, "max_iterations: expected at least 1, got 0"),
        (
            lambda: fixed_points(rnn, h, seed=-1),
            ValueError,
            "seed: expected an int of at least 0, a numpy.random.Generator or None, got -1",
        ),
    ]
    for call, kind, message in calls:
        refuses(call, kind, message)
