"""Drawing from the output-recurrent network, and what a draw depends on: seed, step and sequence, for both networks."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN, reference
from conftest import same_bits
from problems import Array


def network(n_in: int = 0, output: Any = "softmax", **options: Any) -> JordanRNN:
    rnn = JordanRNN(n_in, 12, 5, output=output, seed=3, **options)
    rnn.V *= 3
    rnn.c = np.linspace(-0.5, 0.5, 5)
    return rnn


def bits(seed: int) -> int:
    """The 64 bits that `generate` draws from."""
    return int(np.random.default_rng(seed).integers(2**64, dtype=np.uint64))


def classes_by_hand(rnn: JordanRNN, x: Array, sequence: int, seed: int, temperature: float) -> list[int]:
    """Step by step from forward passes of one step, with the numbers of the reference's generator."""
    r, drawn = np.zeros(rnn.n_out), []
    for x_t, u in zip(x, reference.draws(bits(seed), sequence, len(x)), strict=True):
        o = rnn.forward(x_t[None], r0=r).o[0].astype(np.float64)
        share = np.exp((o - o.max()) / temperature).cumsum()
        drawn.append(int(np.searchsorted(share, u * share[-1], side="right")))
        r = np.eye(rnn.n_out)[drawn[-1]]
    return drawn


@pytest.mark.parametrize("temperature", [0.7, 1.0])
@pytest.mark.parametrize("feedback", ["y_hat", "o"])
@pytest.mark.parametrize("n_in", [0, 3])
def test_each_draw_is_what_the_next_step_sees(n_in: int, feedback: str, temperature: float, isa: str) -> None:
    rnn = network(n_in, feedback=feedback, dtype="float64")
    x = np.random.default_rng(0).standard_normal((40, 3, n_in))
    drawn = rnn.generate(40, x=x, seed=7, temperature=temperature)
    for i in range(3):
        assert drawn[:, i].tolist() == classes_by_hand(rnn, x[:, i], i, 7, temperature)
    assert len({*map(tuple, drawn.T.tolist())}) == 3
    if n_in == 0:
        assert rnn.generate(40, seed=7, temperature=temperature).tolist() == drawn[:, 0].tolist()


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_numbers_are_fed_back(output: str, dtype: Any) -> None:
    rnn = network(2, output, dtype=dtype)
    x = np.random.default_rng(0).standard_normal((10, 2, 2)).astype(dtype)
    for temperature in (0.0, 1.0):
        y = rnn.generate(10, x=x, seed=1, temperature=temperature)
        assert y.shape == (10, 2, 5)
        assert y.dtype == np.dtype(dtype)
        # Forced with what was drawn, every step sees what it saw then.
        before = np.concatenate([np.zeros((1, 2, 5), dtype), y[:-1]])
        o = np.stack([rnn.forward(x[t : t + 1], r0=before[t]).o[0] for t in range(10)])
        if temperature == 0:
            assert same_bits(y, o if output == "linear" else (o > 0).astype(dtype))
        elif output == "linear":
            assert 0.5 < float(np.std(y - o)) < 1.6  # 100 numbers of standard deviation 1
        else:
            assert set(np.unique(y)) == {0, 1}


def test_tokens_are_inputs() -> None:
    tokens, one_hot = network(4, input="token"), network(4)
    one_hot.parameters = tokens.parameters
    x = np.random.default_rng(0).integers(0, 4, (30, 2))
    drawn = tokens.generate(30, x=x, seed=5)
    assert drawn.tolist() == one_hot.generate(30, x=np.eye(4)[x], seed=5).tolist()
    assert drawn.tolist() != tokens.generate(30, x=(x + 1) % 4, seed=5).tolist()


def test_of_a_prompt_the_last_output_counts() -> None:
    rnn = network()
    for last in range(5):
        expected = rnn.generate(8, r0=np.eye(5)[last], seed=2)
        assert same_bits(rnn.generate(8, prompt=np.array([3, last]), seed=2), expected)
    batch = rnn.generate(8, prompt=np.array([[1, 1], [4, 2]]), temperature=0)
    assert batch[:, 0].tolist() == rnn.generate(8, prompt=np.array([4]), temperature=0).tolist()
    assert batch[:, 1].tolist() == rnn.generate(8, prompt=np.array([2]), temperature=0).tolist()
    linear = network(output="linear")
    y = np.arange(10.0).reshape(2, 5)
    assert same_bits(linear.generate(3, prompt=y, temperature=0), linear.generate(3, r0=y[1], temperature=0))


@pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
def test_same_bits_for_any_number_of_threads(kind: Any, output: str, threads: None) -> None:
    rnn = kind(5, 200, 5, output=output, seed=0)
    steps, batch = 60, 9
    random = np.random.default_rng(0)
    if kind is ElmanRNN:
        arguments: dict[str, Any] = {"prompt": random.standard_normal((3, batch, 5)).astype(np.float32)}
    else:
        arguments = {"x": random.standard_normal((steps, batch, 5)).astype(np.float32)}
    results = []
    for n in (1, 2, 3, 8):
        bptt.set_num_threads(n)
        results.append(rnn.generate(steps, seed=4, **arguments))
    assert all(same_bits(result, results[0]) for result in results)
    fewer = {name: value[:, :4] for name, value in arguments.items()}
    assert same_bits(rnn.generate(steps, seed=4, **fewer), np.ascontiguousarray(results[0][:, :4]))


def test_top_k_and_the_likeliest() -> None:
    rnn = network()
    likeliest = rnn.generate(20, temperature=0)
    assert rnn.generate(20, top_k=1, seed=9).tolist() == likeliest.tolist()
    assert rnn.generate(20, temperature=1e-9, seed=9).tolist() == likeliest.tolist()
    assert rnn.generate(20, top_k=99, seed=9).tolist() == rnn.generate(20, seed=9).tolist()


@pytest.mark.parametrize(
    ("n_in", "arguments", "error", "message"),
    [
        (0, {"n_steps": 0}, ValueError, "n_steps: expected at least 1, got 0"),
        (2, {}, ValueError, "x: expected the inputs of 3 steps, got None"),
        (2, {"x": np.zeros((4, 2))}, ValueError, "x: expected as many steps as n_steps, 3, got 4"),
        (2, {"x": [np.zeros((3, 2))]}, TypeError, "x: expected an array, got a list, which is a list of sequences"),
        (2, {"x": np.zeros((3, 4, 2)), "r0": np.zeros((3, 5))}, ValueError, "r0: expected 4, as x has, got (3, 5)"),
        (2, {"x": np.zeros((3, 2)), "r0": np.zeros((1, 5))}, ValueError, "r0: expected a single sequence, as x has, "),
        (0, {"r0": np.zeros(4)}, ValueError, "r0: expected [5] or [batch, 5], got (4,)"),
        (0, {"r0": np.zeros((0, 5))}, ValueError, "r0: expected [5] or [batch, 5], got (0, 5)"),
        (0, {"r0": np.zeros(5), "prompt": np.array([1])}, ValueError, "r0: expected None, as the prompt tells "),
        (0, {"prompt": [1, 2]}, TypeError, "prompt: expected an array, got a list, which is a list of sequences"),
        (0, {"prompt": np.array([1, 5])}, ValueError, "prompt: expected classes in [0, 5), got 5"),
        (0, {"prompt": np.array([-1])}, ValueError, "prompt: expected classes in [0, 5), got -1"),
        (0, {"prompt": np.zeros(0, int)}, ValueError, "prompt: expected [steps, batch] or [steps], got (0,)"),
        (0, {"prompt": np.zeros(3)}, TypeError, "prompt: expected int64 or what converts to it safely, got float64"),
        (0, {"temperature": -1}, ValueError, "temperature: expected a finite number of at least 0, got -1"),
        (0, {"top_k": 0}, ValueError, "top_k: expected at least 1, got 0"),
    ],
)
def test_errors(n_in: int, arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        network(n_in).generate(**{"n_steps": 3, **arguments})


def test_nothing_is_drawn_from_outputs_that_are_not_finite() -> None:
    rnn = network()
    rnn.c[1] = math.nan
    with pytest.raises(ValueError, match=r"^o: expected finite outputs to draw from"):
        rnn.generate(3, seed=0)
