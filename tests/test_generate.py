"""Drawing sequences: from which distribution, on what a draw depends, and what the network reads again."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN, reference
from cases import FEEDBACKS, OUTPUTS, cycled
from core import DTYPES, ISAS
from problems import Array
from results import same_bits

VOCABULARY = 5
# Networks that read what they draw: of tokens, or of real vectors with any output
KINDS = ("token", *OUTPUTS)
STACKS: list[dict[str, Any]] = [{}, {"n_hidden": (12, 9)}, {"activation": "relu"}]


def reader(kind: str = "token", n_hidden: Any = 12, **options: Any) -> ElmanRNN:
    """A network that can read what it draws, with outputs that differ enough to tell greedy from random."""
    what: dict[str, Any] = {"input": "token"} if kind == "token" else {"output": kind}
    rnn = ElmanRNN(VOCABULARY, n_hidden, VOCABULARY, **({"seed": 9} | what | options))
    rnn.V *= 3
    rnn.c = np.linspace(-0.5, 0.5, VOCABULARY)
    return rnn


def feeder(n_in: int = 0, output: Any = "softmax", **options: Any) -> JordanRNN:
    """The output-recurrent network, likewise."""
    rnn = JordanRNN(n_in, 12, 5, output=output, seed=3, **options)
    rnn.V *= 3
    rnn.c = np.linspace(-0.5, 0.5, 5)
    return rnn


# ---- On what a draw depends ----


@pytest.mark.parametrize(
    "rnn", [*map(reader, KINDS), *(feeder(output=output) for output in OUTPUTS)], ids=lambda rnn: repr(rnn)
)
def test_equal_seeds_draw_equal_sequences(rnn: Any) -> None:
    before = rnn.parameters.copy()
    first = rnn.generate(30, seed=1)
    assert same_bits(rnn.generate(30, seed=1), first)
    assert same_bits(rnn.generate(30, seed=np.random.default_rng(1)), first)
    assert not same_bits(rnn.generate(30, seed=2), first)
    assert not same_bits(rnn.generate(30), rnn.generate(30))
    assert same_bits(rnn.parameters, before)


@pytest.mark.parametrize("make", [ElmanRNN, JordanRNN])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.usefixtures("threads")
def test_same_bits_for_any_number_of_threads(make: Any, output: str) -> None:
    rnn = make(5, 200, 5, output=output, seed=0)
    steps, batch = 60, 9
    random = np.random.default_rng(0)
    if make is ElmanRNN:
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


@pytest.mark.parametrize("make", [ElmanRNN, JordanRNN])
@cycled(output=OUTPUTS, batch=[None, 1, 3], dtype=DTYPES)
def test_shapes_and_dtypes(make: Any, output: str, batch: int | None, dtype: Any) -> None:
    rnn: Any = reader(output, dtype=dtype) if make is ElmanRNN else feeder(5, output, dtype=dtype)
    given = np.zeros((4, VOCABULARY) if batch is None else (4, batch, VOCABULARY))
    y = rnn.generate(4, seed=0, **{"prompt" if make is ElmanRNN else "x": given})
    assert y.shape == (4,) + (() if batch is None else (batch,)) + (() if output == "softmax" else (VOCABULARY,))
    assert y.dtype == (np.int64 if output == "softmax" else np.dtype(dtype))
    if output == "sigmoid":
        assert set(np.unique(y)) == {0, 1}


def test_the_global_state_is_left_alone() -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()  # type: ignore[index]
    ElmanRNN(3, 3, 3, input="token").generate(4)
    ElmanRNN(3, 3, 3, input="token", seed=3).generate(4, seed=3)
    JordanRNN(0, 3, 3).generate(4)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]


# ---- What a network reads again ----


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


@cycled(kind=KINDS, batch=[(), (1,), (4,)], dtype=DTYPES, options=STACKS, isa=ISAS)
def test_temperature_0_takes_the_likeliest(
    kind: str, batch: tuple[int, ...], dtype: Any, options: dict[str, Any], isa: str
) -> None:
    random = np.random.default_rng(0)
    rnn = reader(kind, dtype=dtype, **options)
    prompt: Array = random.integers(0, VOCABULARY, (3, *batch))
    if kind != "token":
        prompt = random.standard_normal((3, *batch, VOCABULARY)).astype(dtype)
    drawn = rnn.generate(12, prompt=prompt, temperature=0, seed=None)
    expected = by_hand(rnn, 12, prompt)
    if kind == "linear":  # rounded in another order, and fed back a dozen times
        assert np.abs(drawn - expected).max() <= 1000 * np.finfo(dtype).eps * np.abs(expected).max()
    else:
        assert drawn.tolist() == expected.tolist()
        assert drawn.tolist() == rnn.generate(12, prompt=prompt, temperature=1e-9, seed=5).tolist()
    assert len(np.unique(drawn)) > 1, "or the test could not tell what is fed back"


def test_a_prompt_is_read_and_not_repeated() -> None:
    rnn = reader()
    drawn = rnn.generate(8, prompt=np.array([1, 4, 2]), temperature=0)
    longer = rnn.generate(6, prompt=np.array([1, 4, 2, *drawn[:2]]), temperature=0)
    assert longer.tolist() == drawn[2:].tolist()
    others = [rnn.generate(8, prompt=np.array([1, 4, k]), temperature=0).tolist() for k in range(VOCABULARY)]
    assert len({*map(tuple, others)}) > 1


def test_real_input_reads_one_hot_vectors() -> None:
    tokens, real = reader(), reader("softmax")
    real.parameters = tokens.parameters
    prompt = np.array([[1, 2], [3, 0]])
    for seed in range(3):
        expected = tokens.generate(20, prompt=prompt, seed=seed)
        assert real.generate(20, prompt=np.eye(VOCABULARY)[prompt], seed=seed).tolist() == expected.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_h0_is_the_state_before(kind: str) -> None:
    rnn = reader(kind)
    h0 = np.random.default_rng(0).uniform(-1, 1, (3, 12)).astype(np.float32)
    for prompt in (None, np.zeros((1, 3), int) if kind == "token" else np.ones((1, 3, VOCABULARY))):
        together = rnn.generate(5, prompt=prompt, temperature=0, h0=h0)
        for i in range(3):
            one = None if prompt is None else prompt[:, i]
            alone = rnn.generate(5, prompt=one, temperature=0, h0=h0[i])
            assert same_bits(alone, np.ascontiguousarray(together[:, i]))


@pytest.mark.parametrize("options", STACKS)
def test_reading_a_prompt_is_going_on_from_its_last_state(options: dict[str, Any]) -> None:
    rnn, prompt = reader(**options), np.array([1, 2, 3])
    after = rnn.forward(prompt).h_last
    assert rnn.generate(9, h0=after, seed=4).tolist() == rnn.generate(9, prompt=prompt, seed=4).tolist()
    batch = np.array([[1, 2], [2, 0], [3, 3]])
    after = rnn.forward(batch).h_last
    assert rnn.generate(9, h0=after, seed=4).tolist() == rnn.generate(9, prompt=batch, seed=4).tolist()


def test_without_prompt_the_first_output_is_of_the_state_0() -> None:
    rnn = reader()
    rnn.c = [0, 0, 50, 0, 0]
    rnn.V[...] = 0
    assert rnn.generate(1, seed=0).tolist() == [2]
    assert reader("linear").generate(1, temperature=0)[0] == pytest.approx(np.linspace(-0.5, 0.5, VOCABULARY))


# ---- What the output-recurrent network feeds back ----


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


@cycled(n_in=[0, 3], feedback=FEEDBACKS, temperature=[0.7, 1.0], activation=["tanh", "relu"])
def test_each_draw_is_what_the_next_step_sees(
    n_in: int, feedback: str, temperature: float, activation: str, isa: str
) -> None:
    rnn = feeder(n_in, feedback=feedback, dtype="float64", activation=activation)
    x = np.random.default_rng(0).standard_normal((40, 3, n_in))
    drawn = rnn.generate(40, x=x, seed=7, temperature=temperature)
    for i in range(3):
        assert drawn[:, i].tolist() == classes_by_hand(rnn, x[:, i], i, 7, temperature)
    assert len({*map(tuple, drawn.T.tolist())}) == 3
    if n_in == 0:
        assert rnn.generate(40, seed=7, temperature=temperature).tolist() == drawn[:, 0].tolist()


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_numbers_are_fed_back(output: str, dtype: Any) -> None:
    rnn = feeder(2, output, dtype=dtype)
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
    tokens, one_hot = feeder(4, input="token"), feeder(4)
    one_hot.parameters = tokens.parameters
    x = np.random.default_rng(0).integers(0, 4, (30, 2))
    drawn = tokens.generate(30, x=x, seed=5)
    assert drawn.tolist() == one_hot.generate(30, x=np.eye(4)[x], seed=5).tolist()
    assert drawn.tolist() != tokens.generate(30, x=(x + 1) % 4, seed=5).tolist()


def test_of_a_prompt_the_last_output_counts() -> None:
    rnn = feeder()
    for last in range(5):
        expected = rnn.generate(8, r0=np.eye(5)[last], seed=2)
        assert same_bits(rnn.generate(8, prompt=np.array([3, last]), seed=2), expected)
    batch = rnn.generate(8, prompt=np.array([[1, 1], [4, 2]]), temperature=0)
    assert batch[:, 0].tolist() == rnn.generate(8, prompt=np.array([4]), temperature=0).tolist()
    assert batch[:, 1].tolist() == rnn.generate(8, prompt=np.array([2]), temperature=0).tolist()
    linear = feeder(output="linear")
    y = np.arange(10.0).reshape(2, 5)
    assert same_bits(linear.generate(3, prompt=y, temperature=0), linear.generate(3, r0=y[1], temperature=0))


def test_top_k_and_the_likeliest() -> None:
    rnn = feeder()
    likeliest = rnn.generate(20, temperature=0)
    assert rnn.generate(20, top_k=1, seed=9).tolist() == likeliest.tolist()
    assert rnn.generate(20, temperature=1e-9, seed=9).tolist() == likeliest.tolist()
    assert rnn.generate(20, top_k=99, seed=9).tolist() == rnn.generate(20, seed=9).tolist()


# ---- The distribution ----


def constant(output: Any, o: Array) -> ElmanRNN:
    """A network whose outputs are always o."""
    rnn = ElmanRNN(o.size, 1, o.size, output=output, init=None)
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
        ({"temperature": 1 + 0j}, TypeError, "temperature: expected a number, got complex"),
        ({"temperature": np.complex64(1)}, TypeError, "temperature: expected a number, got complex64"),
        (
            {"temperature": 10**400},
            ValueError,
            "temperature: expected a finite number of at least 0, got 1" + 199 * "0" + "...",
        ),
        ({"prompt": np.zeros((1, 1, 1), int)}, ValueError, "prompt: expected [tau, batch] or [tau], got (1, 1, 1)"),
        ({"prompt": np.zeros(2)}, TypeError, "prompt: expected integers, got float64"),
        ({"top_k": 0}, ValueError, "top_k: expected at least 1, got 0"),
        ({"top_k": 2.0}, TypeError, "top_k: expected an int, got float"),
        (
            {"prompt": [1, 2]},
            ValueError,
            "prompt[0]: expected [tau], got (); a list is a list of sequences: pass one sequence as an array",
        ),
        (
            {"prompt": [np.array([1]), np.array([1, 5])]},
            ValueError,
            "prompt: expected tokens in [0, 5), got 5 at step 1 of sequence 1",
        ),
        ({"prompt": np.array([5])}, ValueError, "prompt: expected tokens in [0, 5), got 5 at step 0 of sequence 0"),
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
def test_errors_of_a_reader(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}{'$' if message else ''}") as raised:
        reader().generate(**{"n_steps": 3, **arguments})
    assert raised.type is error


@pytest.mark.parametrize(
    ("rnn", "message"),
    [
        (ElmanRNN(5, 3, 5, readout="last"), "readout: expected 'all' to generate"),
        (ElmanRNN(5, 3, 4), "n_in: expected n_out, 4, to generate, as each output is the next input, got 5"),
        (ElmanRNN(5, 3, 5, input="token", output="linear"), "output: expected 'softmax' to generate, "),
        (ElmanRNN(5, 3, 4, bidirectional=True), "bidirectional: expected False to generate, "),
        (ElmanRNN(5, 3, 5, bidirectional=True, readout="last"), "bidirectional: expected False to generate, "),
    ],
)
def test_networks_that_cannot_read_what_they_draw(rnn: ElmanRNN, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        rnn.generate(3)


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_top_k_is_for_classes(output: str) -> None:
    with pytest.raises(ValueError, match=f"^top_k: expected None for {output} outputs, got 2$"):
        reader(output).generate(3, top_k=2)


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
        (
            0,
            {"prompt": [1, 2]},
            ValueError,
            "prompt[0]: expected [steps], got (); a list is a list of sequences: pass one sequence as an array",
        ),
        (0, {"prompt": [np.array([1]), np.array([5])]}, ValueError, "prompt[1]: expected classes in [0, 5), got 5"),
        (0, {"prompt": []}, ValueError, "prompt: expected at least one sequence, got an empty list"),
        (0, {"prompt": np.array([1, 5])}, ValueError, "prompt: expected classes in [0, 5), got 5"),
        (0, {"prompt": np.array([-1])}, ValueError, "prompt: expected classes in [0, 5), got -1"),
        (0, {"prompt": np.zeros(0, int)}, ValueError, "prompt: expected [steps, batch] or [steps], got (0,)"),
        (0, {"prompt": np.zeros(3)}, TypeError, "prompt: expected integers, got float64"),
        (0, {"temperature": -1}, ValueError, "temperature: expected a finite number of at least 0, got -1"),
        (0, {"top_k": 0}, ValueError, "top_k: expected at least 1, got 0"),
    ],
)
def test_errors_of_a_feeder(n_in: int, arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        feeder(n_in).generate(**{"n_steps": 3, **arguments})


@pytest.mark.parametrize("make", [reader, feeder])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nothing_is_drawn_from_outputs_that_are_not_finite(make: Any, bad: float) -> None:
    rnn = make()
    rnn.c[1] = bad
    with pytest.raises(ValueError, match=r"^o: expected finite outputs to draw from"):
        rnn.generate(3, seed=0)


def test_nothing_is_drawn_of_what_must_know_the_end() -> None:
    with pytest.raises(ValueError, match=r"^bidirectional: expected False to generate, "):
        reader(bidirectional=True).generate(3)
