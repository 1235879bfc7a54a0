"""Beam search: with enough sequences it finds the likeliest of all, with fewer what the search by hand finds."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Beams, ElmanRNN, JordanRNN, reference
from cases import FEEDBACKS, cycled
from core import DTYPES, ISAS
from problems import Array
from results import same_bits

KINDS = ("token", "one-hot", "two layers", "relu", "jordan")


def network(kind: str, n: int, dtype: str, seed: int = 0, feedback: Any = "y_hat") -> Any:
    """A network of n classes whose outputs differ clearly."""
    if kind == "jordan":
        rnn: Any = JordanRNN(2, 7, n, feedback=feedback, dtype=dtype, seed=seed)
    else:
        more: dict[str, Any] = {} if kind == "one-hot" else {"input": "token"}
        n_hidden: Any = (6, 5) if kind == "two layers" else 8
        rnn = ElmanRNN(n, n_hidden, n, dtype=dtype, seed=seed, activation="relu" if kind == "relu" else "tanh", **more)
    rnn.V *= 4
    rnn.c = np.random.default_rng(seed).uniform(-1, 1, n)
    return rnn


def given_to(kind: str, n: int, n_steps: int, axes: tuple[int, ...] = ()) -> dict[str, Any]:
    """What the network reads: a prompt, or x."""
    random = np.random.default_rng(3)
    if kind == "jordan":
        return {"x": random.standard_normal((n_steps, *axes, 2)), "prompt": random.integers(0, n, (2, *axes))}
    tokens = random.integers(0, n, (3, *axes))
    return {"prompt": np.eye(n)[tokens] if kind == "one-hot" else tokens}


def log_prob_of(rnn: Any, kind: str, given: dict[str, Any], y: Array) -> float:
    """By the network's own `log_prob`, of one sequence after a single prompt."""
    n = rnn.n_out
    if kind == "jordan":
        return float(rnn.log_prob(given["x"], y, r0=np.eye(n)[given["prompt"][-1]]).sum())
    prompt = given["prompt"]
    read = np.eye(n)[y[:-1]] if kind == "one-hot" else y[:-1]
    targets = np.concatenate([np.full(len(prompt) - 1, -1), y])
    return float(rnn.log_prob(np.concatenate([prompt, read]), targets).sum())


def tolerance(dtype: str, n_steps: int) -> float:
    """Sums of n_steps logarithms of some units, of outputs that are rounded in another order."""
    return 100 * n_steps * float(np.finfo(dtype).eps)


@cycled(kind=KINDS, sizes=[(2, 5), (3, 4), (4, 3), (5, 1)], dtype=DTYPES, isa=ISAS, feedback=FEEDBACKS)
def test_enough_beams_find_the_likeliest_of_all(
    kind: str, sizes: tuple[int, int], dtype: str, isa: str, feedback: str
) -> None:
    n, n_steps = sizes
    for seed in range(4):
        rnn, given = network(kind, n, dtype, seed, feedback), given_to(kind, n, n_steps)
        every = [np.array(y) for y in itertools.product(range(n), repeat=n_steps)]
        log_probs = np.array([log_prob_of(rnn, kind, given, y) for y in every])
        assert np.exp(log_probs).sum() == pytest.approx(1, abs=tolerance(dtype, n_steps) * n)
        best = np.argsort(-log_probs, kind="stable")
        found = rnn.generate(n_steps, beam=n ** (n_steps - 1), **given)
        assert found.y[:, 0].tolist() == every[best[0]].tolist()
        # With as many as there are, all are found, in order, however many more are asked for.
        found = rnn.generate(n_steps, beam=n**n_steps + 7, **given)
        assert isinstance(found, Beams)
        assert found.y.shape == (n_steps, n**n_steps)
        assert found.y.dtype == np.int64
        assert found.log_prob.dtype == np.float64
        assert np.abs(found.log_prob - log_probs[best]).max() <= tolerance(dtype, n_steps)
        assert sorted(found.y.T.tolist()) == [y.tolist() for y in every]
        assert (np.diff(found.log_prob) <= 0).all()


@cycled(kind=KINDS, beam=[1, 2, 3, 7], dtype=DTYPES, isa=ISAS)
def test_fewer_beams_find_what_the_search_by_hand_finds(kind: str, beam: int, dtype: str, isa: str) -> None:
    n, n_steps = 5, 7
    rnn = network(kind, n, dtype)
    given = given_to(kind, n, n_steps)

    def outputs(y: Any) -> list[float]:
        """o after the prompt and these classes, of a pass over all of them."""
        if kind == "jordan":
            before = [given["prompt"][-1], *y][-1]
            o: Array = rnn.forward(given["x"][len(y) : len(y) + 1], r0=np.eye(n)[before]).o
        else:
            read = np.array(y, int)
            o = rnn.forward(np.concatenate([given["prompt"], np.eye(n)[read] if kind == "one-hot" else read])).o
        last: list[float] = o[-1].astype(np.float64).tolist()
        return last

    y, log_prob = reference.beam_search(outputs, n_steps, beam)
    found = rnn.generate(n_steps, beam=beam, **given)
    assert found.y.T.tolist() == y
    assert np.abs(found.log_prob - log_prob).max() <= tolerance(dtype, n_steps)
    if beam == 1:
        assert found.y[:, 0].tolist() == rnn.generate(n_steps, greedy=True, **given).tolist()


@cycled(kind=KINDS, dtype=DTYPES)
def test_each_of_a_batch_and_of_a_list_is_searched_by_itself(kind: str, dtype: str) -> None:
    rnn, given = network(kind, 4, dtype), given_to(kind, 4, 6, (3,))
    y, log_prob = rnn.generate(6, beam=5, **given)
    assert (y.shape, log_prob.shape) == ((6, 3, 5), (3, 5))
    for i in range(3):
        alone = rnn.generate(6, beam=5, **{name: value[:, i] for name, value in given.items()})
        assert same_bits(alone.y, np.ascontiguousarray(y[:, i]))
        assert same_bits(alone.log_prob, np.ascontiguousarray(log_prob[i]))
    prompts = [given["prompt"][k % 2 :, k] for k in range(3)]
    listed = rnn.generate(6, beam=5, **{**given, "prompt": prompts})
    for i, prompt in enumerate(prompts):
        own = {"prompt": prompt} if kind != "jordan" else {"prompt": prompt, "x": given["x"][:, i]}
        assert rnn.generate(6, beam=5, **own).y.tolist() == listed.y[:, i].tolist()


@pytest.mark.parametrize("options", [{"n_hidden": 8}, {"n_hidden": (6, 5)}])
def test_without_prompt_the_search_begins_at_the_state(options: dict[str, Any]) -> None:
    rnn = ElmanRNN(4, n_out=4, input="token", seed=0, **options)
    rnn.V *= 4
    h0 = rnn.forward(np.array([[1, 2], [3, 0]])).h_last
    expected = rnn.generate(5, beam=4, prompt=np.array([[1, 2], [3, 0]]))
    found = rnn.generate(5, beam=4, h0=h0)
    assert same_bits(found.y, expected.y)
    assert np.abs(found.log_prob - expected.log_prob).max() <= tolerance("float32", 5)
    assert rnn.generate(3, beam=2).y.shape == (3, 2)
    assert JordanRNN(0, 3, 4).generate(3, beam=2).y.shape == (3, 2)
    assert JordanRNN(0, 3, 4).generate(3, beam=2, r0=np.zeros((5, 4))).y.shape == (3, 5, 2)


def test_of_equally_likely_sequences_the_first_come_first() -> None:
    rnn = ElmanRNN(3, 2, 3, input="token", init=None)
    assert rnn.generate(3, beam=5).y.T.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0], [0, 1, 1]]
    rnn.c = [0, 1, 0]
    assert rnn.generate(2, beam=5).y.T.tolist() == [[1, 1], [0, 1], [1, 0], [1, 2], [2, 1]]


@pytest.mark.usefixtures("threads")
def test_same_bits_for_any_number_of_threads() -> None:
    rnn = ElmanRNN(20, 200, 20, input="token", seed=0)
    results = []
    for n in (1, 2, 3):
        bptt.set_num_threads(n)
        results.append(tuple(rnn.generate(10, beam=50, prompt=np.array([[1, 2, 3]]))))
    assert all(same_bits(result, results[0]) for result in results)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"beam": 0}, ValueError, "beam: expected at least 1, got 0"),
        ({"beam": 2.0}, TypeError, "beam: expected an int, got float"),
        ({"temperature": 0.5}, ValueError, "temperature: expected 1.0, as a beam search draws nothing, got 0.5"),
        ({"top_k": 2}, ValueError, "top_k: expected None, as a beam search draws nothing, got 2"),
        ({"top_p": 0.5}, ValueError, "top_p: expected None, as a beam search draws nothing, got 0.5"),
        ({"greedy": True}, ValueError, "greedy: expected False, as a beam search draws nothing, got True"),
        ({"seed": 0}, ValueError, "seed: expected None, as a beam search draws nothing, got 0"),
        ({"n_steps": 0}, ValueError, "n_steps: expected at least 1, got 0"),
    ],
)
def test_errors(arguments: Any, error: type[Exception], message: str) -> None:
    networks: list[Any] = [ElmanRNN(3, 2, 3, input="token"), JordanRNN(0, 2, 3)]
    for rnn in networks:
        with pytest.raises(error, match=f"^{re.escape(message)}$"):
            rnn.generate(**{"n_steps": 3, "beam": 2, **arguments})


def test_networks_that_have_no_classes_or_no_finite_outputs() -> None:
    linear: list[Any] = [ElmanRNN(3, 2, 3, output="linear"), JordanRNN(0, 2, 3, output="linear")]
    for rnn in linear:
        with pytest.raises(ValueError, match=r"^beam: expected None for linear outputs, which are no classes, got 2$"):
            rnn.generate(3, beam=2)
    with pytest.raises(ValueError, match=r"^bidirectional: "):
        ElmanRNN(3, 2, 3, bidirectional=True).generate(3, beam=2)
    broken: list[Any] = [ElmanRNN(3, 2, 3, input="token"), JordanRNN(0, 2, 3)]
    for rnn in broken:
        rnn.c[1] = np.inf
        with pytest.raises(ValueError, match=r"^o: expected finite outputs to draw from"):
            rnn.generate(3, beam=2)
