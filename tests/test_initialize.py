"""`bptt.constraints.initialize`: initial weights within constraints, balanced, with the spectral radius asked for."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from bptt import ElmanRNN, JordanRNN
from bptt.constraints import blocks, dale, frozen, initialize, mask, max_norm, no_self_connections, signs
from problems import Array
from refusals import refuses
from results import same_bits


def radius(W: Array) -> float:
    return float(np.abs(np.linalg.eigvals(W.astype(np.float64))).max())


def network(n: int = 50, **options: Any) -> ElmanRNN:
    return ElmanRNN(4, n, 3, **{"seed": 0, "activation": "relu", **options})


@pytest.mark.parametrize(("wanted", "distribution"), [(0.3, "uniform"), (1.0, "gamma"), (1.5, "gamma")])
def test_balanced_with_this_spectral_radius(
    wanted: float, distribution: Literal["gamma", "uniform"], dtype: str
) -> None:
    rnn = network(dtype=dtype)
    rnn.b += 1
    rnn.c += 1
    connected = np.random.default_rng(1).random((50, 50)) < 0.5
    rnn.constraints = [dale(0.8), no_self_connections(), mask("W", connected)]
    initialize(rnn, spectral_radius=wanted, distribution=distribution, seed=0)
    eps = float(np.finfo(dtype).eps)
    # Each entry is rounded by half an eps at most, at random: an eigenvalue by about eps of the norm, here some 3
    # times the radius. 1e-12: eigenvalues of an unsymmetric matrix in double precision.
    assert radius(rnn.W) == pytest.approx(wanted, rel=10 * eps + 1e-12)
    rows, sizes = rnn.W.sum(1, dtype=np.float64), np.abs(rnn.W).sum(1, dtype=np.float64)
    assert (np.abs(rows) <= 2 * eps * sizes).all(), "excitatory and inhibitory inputs balance"
    assert ((rnn.W != 0) == (connected & ~np.eye(50, dtype=bool))).all(), "all that may be connected is"
    assert (rnn.W[:, :40] >= 0).all()
    assert (rnn.V[:, :40] > 0).all()
    assert (rnn.V[:, 40:] < 0).all()
    assert (rnn.U < 0).any()
    assert (rnn.U > 0).any()
    assert np.abs(rnn.U).max() <= 1 / np.sqrt(4)
    assert np.abs(rnn.V).max() <= 1 / np.sqrt(50)
    assert not rnn.b.any()
    assert not rnn.c.any()
    assert rnn.constraints[0] == dale(0.8)
    # The coefficient of variation of a gamma distribution of shape 2 is 1 / sqrt(2), that of a uniform one 1 / sqrt(3).
    # All rows have one factor. Of some 1000 draws the ratio is off by 3 %; 10 % is three times as much.
    magnitudes = rnn.W[:, :40][rnn.W[:, :40] > 0]
    assert magnitudes.std() / magnitudes.mean() == pytest.approx(
        {"gamma": 2**-0.5, "uniform": 3**-0.5}[distribution], rel=0.1
    )


def test_a_seed_is_a_network() -> None:
    first, second, third = network(20), network(20, seed=1), network(20)
    for rnn, seed in ((first, 5), (second, 5), (third, 6)):
        rnn.constraints = dale()
        initialize(rnn, seed=seed)
    assert same_bits(first.parameters, second.parameters)
    assert not np.array_equal(first.W, third.W)


def test_without_constraints_signs_are_random_and_nothing_is_balanced() -> None:
    rnn = network()
    initialize(rnn, seed=0, spectral_radius=0.9)
    assert radius(rnn.W) == pytest.approx(0.9, rel=1e-5)
    assert 0.45 < (rnn.W > 0).mean() < 0.55, "5 standard deviations of 2500 draws"
    assert np.abs(rnn.W.sum(1)).min() > 1e-5


def test_stacks_tokens_and_directions() -> None:
    rnn = ElmanRNN(5, (12, 8), 3, input="token", bidirectional=True, seed=0, dtype="float64")
    rnn.constraints = [dale(0.75)]
    initialize(rnn, seed=0, spectral_radius=1.1)
    for k, layer in enumerate(rnn.layers):
        for one in (layer, layer.reverse):
            assert one is not None
            assert radius(one.W) == pytest.approx(1.1)
            assert np.abs(one.W.sum(1)).max() < 1e-14
            assert np.abs(one.U).max() > 0.5 or k == 1, "a token is one input that is on"
            assert np.abs(one.U.sum(1)).max() < 1e-14 or k == 0, "what comes from excitatory and inhibitory units"


def test_frozen_parameters_stay() -> None:
    rnn = network(10)
    rnn.W[2, 5] = 0
    rnn.constraints = [frozen(["U", "b"]), frozen("W", np.eye(10)[5][None] * np.eye(10)[2][:, None])]
    before = rnn.U.copy()
    initialize(rnn, seed=0)
    assert same_bits(rnn.U, before)
    assert rnn.W[2, 5] == 0
    assert radius(rnn.W) == pytest.approx(1, rel=1e-5)
    rnn.constraints = frozen("W")
    before = rnn.W.copy()
    initialize(rnn, seed=1)
    assert same_bits(rnn.W, before)


def test_what_cannot_be() -> None:
    rnn = network(4)
    before = rnn.parameters.copy()

    def refused(message: str, **options: Any) -> None:
        now = rnn.parameters.copy()
        refuses(lambda: initialize(rnn, seed=0, **options), ValueError, message)
        assert same_bits(rnn.parameters, now)

    refused("spectral_radius: expected a number in [0, inf), got -1", spectral_radius=-1)
    refused("distribution: expected one of 'gamma', 'uniform', got 'normal'", distribution="normal")
    rnn.constraints = blocks("W", [[0, 1], [0, 0]], (2, 2))
    refused("spectral_radius: expected 0, as the connections of W have no cycle, got 1")
    initialize(rnn, spectral_radius=0)
    assert not rnn.W.any()
    rnn.constraints = mask("W", False)
    initialize(rnn)
    rnn.constraints = []
    rnn.parameters = before
    rnn.constraints = frozen("W", np.eye(4))
    refused("spectral_radius: expected W to be frozen as a whole, or where it is 0, when it is drawn")
    rnn.constraints = max_norm("W", 0.01)
    with pytest.raises(ValueError, match=r"^spectral_radius: expected about 0.00\d+, which max_norm leaves W, got 1$"):
        initialize(rnn, seed=0)
    rnn.constraints = [max_norm("W", 100), signs("c", 1)]
    initialize(rnn, seed=0)
    assert radius(rnn.W) == pytest.approx(1, rel=1e-5)
    message = "rnn: expected an ElmanRNN, as W is not square here, got a JordanRNN"
    refuses(lambda: initialize(JordanRNN(2, 3, 2)), ValueError, message)
    refuses(lambda: initialize(3), TypeError, "rnn: expected an ElmanRNN, got int")  # type: ignore[arg-type]
