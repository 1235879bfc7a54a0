"""Drawing sequences from a network: what is drawn, from which distribution, and what is fed back."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN
from conftest import same_bits
from problems import Array

VOCABULARY = 5


def language(**options: Any) -> ElmanRNN:
    """A network that can read what it draws, with outputs that differ enough to tell greedy from random."""
    defaults: dict[str, Any] = {"input": "token", "seed": 9}
    rnn = ElmanRNN(VOCABULARY, 12, VOCABULARY, **(defaults | options))
    rnn.V *= 3
    rnn.c = np.linspace(-0.5, 0.5, VOCABULARY)
    return rnn


def vectors(output: str, dtype: Any = "float32") -> ElmanRNN:
    return language(input="real", output=output, dtype=dtype)


# ---- Reproducible ----


@pytest.mark.parametrize("rnn", [language(), vectors("softmax"), vectors("sigmoid"), vectors("linear")], ids=repr)
def test_equal_seeds_draw_equal_sequences(rnn: ElmanRNN) -> None:
    before = rnn.parameters.copy()
    first = rnn.generate(30, seed=1)
    assert same_bits(rnn.generate(30, seed=1), first)
    assert same_bits(rnn.generate(30, seed=np.random.default_rng(1)), first)
    assert not same_bits(rnn.generate(30, seed=2), first)
    assert not same_bits(rnn.generate(30), rnn.generate(30))
    assert same_bits(rnn.parameters, before)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("batch", [None, 1, 3])
def test_shapes_and_dtypes(output: str, batch: int | None, dtype: Any) -> None:
    rnn = vectors(output, dtype)
    prompt = np.zeros((2, VOCABULARY) if batch is None else (2, batch, VOCABULARY))
    y = rnn.generate(4, prompt=prompt, seed=0)
    assert y.shape == (4,) + (() if batch is None else (batch,)) + (() if output == "softmax" else (VOCABULARY,))
    assert y.dtype == (np.int64 if output == "softmax" else np.dtype(dtype))
    if output == "sigmoid":
        assert set(np.unique(y)) == {0, 1}


# ---- What is fed back ----


def by_hand(rnn: ElmanRNN, n_steps: int, prompt: Array) -> Array:
    """The likeliest continuation, from whole forward passes: after every step over all that came before."""
    read = prompt
    for _ in range(n_steps):
        o = rnn.forward(read).o[-1]
        if rnn.output == "softmax":
            likeliest: Any = o.argmax(axis=-1)
            step = likeliest if rnn.input == "token" else np.eye(VOCABULARY)[likeliest]
        else:
            step = o if rnn.output == "linear" else o > 0
        read = np.concatenate([read, np.asarray(step, read.dtype)[None]])
    drawn = read[len(prompt) :]
    return drawn.argmax(axis=-1) if rnn.output == "softmax" and rnn.input == "real" else drawn


@pytest.mark.parametrize("batch", [(), (1,), (4,)])
@pytest.mark.parametrize("output", ["token", "softmax", "sigmoid", "linear"])
def test_temperature_0_takes_the_likeliest(output: str, batch: tuple[int, ...], dtype: Any) -> None:
    random = np.random.default_rng(0)
    if output == "token":
        rnn, prompt = language(dtype=dtype), random.integers(0, VOCABULARY, (3, *batch))
    else:
        rnn, prompt = vectors(output, dtype), random.standard_normal((3, *batch, VOCABULARY)).astype(dtype)
    drawn = rnn.generate(12, prompt=prompt, temperature=0, seed=None)
    expected = by_hand(rnn, 12, prompt)
    if output == "linear":  # rounded in another order, and fed back a dozen times
        assert np.abs(drawn - expected).max() <= 1000 * np.finfo(dtype).eps * np.abs(expected).max()
    else:
        assert drawn.tolist() == expected.tolist()
        assert drawn.tolist() == rnn.generate(12, prompt=prompt, temperature=1e-9, seed=5).tolist()
    assert len(np.unique(drawn)) > 1, "or the test could not tell what is fed back"


def test_a_prompt_is_read_and_not_repeated() -> None:
    rnn = language()
    drawn = rnn.generate(8, prompt=np.array([1, 4, 2]), temperature=0)
    longer = rnn.generate(6, prompt=np.array([1, 4, 2, *drawn[:2]]), temperature=0)
    assert longer.tolist() == drawn[2:].tolist()
    others = [rnn.generate(8, prompt=np.array([1, 4, k]), temperature=0).tolist() for k in range(VOCABULARY)]
    assert len({*map(tuple, others)}) > 1


def test_real_input_reads_one_hot_vectors() -> None:
    tokens, real = language(), vectors("softmax")
    real.parameters = tokens.parameters
    prompt = np.array([[1, 2], [3, 0]])
    for seed in range(3):
        expected = tokens.generate(20, prompt=prompt, seed=seed)
        assert real.generate(20, prompt=np.eye(VOCABULARY)[prompt], seed=seed).tolist() == expected.tolist()


@pytest.mark.parametrize("output", ["token", "softmax", "sigmoid", "linear"])
def test_h0_is_the_state_before(output: str) -> None:
    rnn = language() if output == "token" else vectors(output)
    h0 = np.random.default_rng(0).uniform(-1, 1, (3, 12)).astype(np.float32)
    for prompt in (None, np.zeros((1, 3), int) if output == "token" else np.ones((1, 3, VOCABULARY))):
        together = rnn.generate(5, prompt=prompt, temperature=0, h0=h0)
        for i in range(3):
            one = None if prompt is None else prompt[:, i]
            alone = rnn.generate(5, prompt=one, temperature=0, h0=h0[i])
            assert same_bits(alone, np.ascontiguousarray(together[:, i]))
    if output != "token":
        return
    # Reading a prompt and going on from its last state is one and the same.
    prompt = np.array([1, 2, 3])
    after = rnn.forward(prompt).h_last
    assert rnn.generate(9, h0=after, seed=4).tolist() == rnn.generate(9, prompt=prompt, seed=4).tolist()


def test_without_prompt_the_first_output_is_of_the_state_0() -> None:
    rnn = language()
    rnn.c = [0, 0, 50, 0, 0]
    rnn.V[...] = 0
    assert rnn.generate(1, seed=0).tolist() == [2]
    assert vectors("linear").generate(1, temperature=0)[0] == pytest.approx(np.linspace(-0.5, 0.5, VOCABULARY))


# ---- The distribution ----


def constant(output: str, o: Array) -> ElmanRNN:
    """A network whose outputs are always o."""
    rnn = ElmanRNN(o.size, 1, o.size, output=output, init=None)  # type: ignore[arg-type]
    rnn.c = o
    return rnn


O = np.array([0.3, -1.2, 1.1, 0.0, -0.4])  # noqa: E741
N = 40_000  # draws: 40 steps of 1000 sequences


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [None, 3, 1, 9])
def test_classes_follow_the_softmax(temperature: float, top_k: int | None) -> None:
    drawn = constant("softmax", O).generate(
        N // 1000, prompt=np.zeros((1, 1000, 5)), temperature=temperature, top_k=top_k, seed=0
    )
    kept = np.sort(np.argsort(-O)[: top_k or 5])
    p = np.exp(O[kept] / temperature)
    p /= p.sum()
    counts = np.bincount(drawn.ravel(), minlength=5)
    assert counts.sum() == counts[kept].sum() == N
    # Pearson's statistic has at most 4 degrees of freedom: beyond 23.5 in one of 10,000 such tests; the seed is fixed.
    assert ((counts[kept] - N * p) ** 2 / (N * p)).sum() < 23.5


def test_draws_of_one_sequence_are_independent_of_those_beside_it() -> None:
    drawn = constant("softmax", np.zeros(2)).generate(N // 1000, prompt=np.zeros((1, 1000, 2)), seed=0) * 2.0 - 1
    # Correlations of neighbours, in time and in the batch: N products of +-1, so sqrt(N) deviations.
    assert abs((drawn[1:] * drawn[:-1]).sum()) < 4.5 * math.sqrt(N)
    assert abs((drawn[:, 1:] * drawn[:, :-1]).sum()) < 4.5 * math.sqrt(N)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_zeros_and_ones_follow_the_sigmoid(temperature: float) -> None:
    drawn = constant("sigmoid", O).generate(N // 1000, prompt=np.zeros((1, 1000, 5)), temperature=temperature, seed=0)
    p = 1 / (1 + np.exp(-O / temperature))
    deviations = (drawn.sum(axis=(0, 1)) - N * p) / np.sqrt(N * p * (1 - p))
    assert np.abs(deviations).max() < 4.5  # beyond in one of 30,000 such tests; the seed is fixed


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_linear_outputs_are_gaussian(temperature: float) -> None:
    drawn = constant("linear", O).generate(N // 1000, prompt=np.zeros((1, 1000, 5)), temperature=temperature, seed=0)
    standard = (drawn.astype(np.float64) - O) / temperature
    assert np.abs(standard.mean(axis=(0, 1))).max() < 4.5 / math.sqrt(N)
    # The variance of a square is 2, of a product 1.
    assert np.abs((standard**2).mean(axis=(0, 1)) - 1).max() < 4.5 * math.sqrt(2 / N)
    assert np.abs((standard[..., 0] * standard[..., 1]).mean()) < 4.5 / math.sqrt(N)


def test_top_k_of_equal_classes() -> None:
    drawn = constant("softmax", np.zeros(5)).generate(50, prompt=np.zeros((1, 20, 5)), top_k=2, seed=0)
    assert len(np.unique(drawn)) == 2


# ---- Errors ----


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_steps": 0}, ValueError, "n_steps: expected at least 1, got 0"),
        ({"n_steps": 2.0}, TypeError, "n_steps: expected an int, got float"),
        ({"temperature": -1}, ValueError, "temperature: expected a finite number of at least 0, got -1"),
        ({"temperature": math.nan}, ValueError, "temperature: expected a finite number of at least 0, got nan"),
        ({"temperature": math.inf}, ValueError, "temperature: expected a finite number of at least 0, got inf"),
        ({"top_k": 0}, ValueError, "top_k: expected at least 1, got 0"),
        ({"top_k": 2.0}, TypeError, "top_k: expected an int, got float"),
        ({"prompt": [1, 2]}, TypeError, "prompt: expected an array, got a list, which is a list of sequences"),
        ({"prompt": [np.array([1])]}, TypeError, "prompt: expected an array, got a list, which is a list of sequences"),
        ({"prompt": np.array([5])}, ValueError, "x: expected tokens in [0, 5), got 5 at step 0 of sequence 0"),
        (
            {"prompt": np.zeros(0, int)},
            ValueError,
            "prompt: expected at least one time step, or None, got an empty array",
        ),
        ({"h0": np.zeros(11)}, ValueError, "h0: expected [12] or [batch, 12], got (11,)"),
        ({"h0": np.zeros((2, 11))}, ValueError, "h0: expected [12] or [batch, 12], got (2, 11)"),
        ({"h0": np.zeros((2, 12)), "prompt": np.array([1])}, ValueError, "h0: expected [12], got (2, 12)"),
        ({"h0": np.zeros((2, 2, 12))}, ValueError, ""),
        ({"h0": np.zeros((0, 12))}, ValueError, ""),
    ],
)
def test_errors(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}{'$' if message else ''}") as raised:
        language().generate(**{"n_steps": 3, **arguments})
    assert raised.type is error


@pytest.mark.parametrize(
    ("rnn", "message"),
    [
        (ElmanRNN(5, 3, 5, readout="last"), "readout: expected 'all' to generate"),
        (ElmanRNN(5, 3, 4), "generate: expected outputs that can be inputs, got ElmanRNN(5, 3, 4, "),
        (ElmanRNN(5, 3, 5, input="token", output="linear"), "generate: expected outputs that can be inputs, got "),
    ],
)
def test_networks_that_cannot_read_what_they_draw(rnn: ElmanRNN, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        rnn.generate(3)


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_top_k_is_for_classes(output: str) -> None:
    with pytest.raises(ValueError, match=f"^top_k: expected None for {output} outputs, got 2$"):
        vectors(output).generate(3, top_k=2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nothing_is_drawn_from_outputs_that_are_not_finite(bad: float) -> None:
    rnn = language()
    rnn.c[1] = bad
    with pytest.raises(ValueError, match=r"^o: expected finite outputs to draw from"):
        rnn.generate(3, seed=0)
