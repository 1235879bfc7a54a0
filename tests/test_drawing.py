"""How outputs are drawn: among which classes, from prompts of which forms, in how many parts."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN, reference
from cases import OUTPUTS, cycled
from core import DTYPES, ISAS
from problems import Array
from results import same_bits

O = np.array([0.3, -1.2, 1.1, 0.0, -0.4])  # noqa: E741


def constant(o: Array, **options: Any) -> ElmanRNN:
    """A network whose outputs are always o."""
    rnn = ElmanRNN(o.size, 1, o.size, init=None, **options)
    rnn.c = o
    return rnn


def reader(**options: Any) -> ElmanRNN:
    what: dict[str, Any] = {"input": "token", "n_hidden": 12, "seed": 9} | options
    rnn = ElmanRNN(5, n_out=5, **what)
    rnn.V *= 3
    return rnn


def feeder(n_in: int = 0, output: Any = "softmax", **options: Any) -> JordanRNN:
    rnn = JordanRNN(n_in, 12, 5, output=output, seed=3, **options)
    rnn.V *= 3
    rnn.c = np.linspace(-0.5, 0.5, 5)
    return rnn


def bits(seed: int) -> int:
    """The 64 bits that `generate` draws from."""
    return int(np.random.default_rng(seed).integers(2**64, dtype=np.uint64))


# ---- Which class ----


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "323323224312020422202234202203223042222302320423320222233242"),
        ({"top_p": 1}, "323323224312020422202234202203223042222302320423320222233242"),
        ({"temperature": 0.7}, "323223223322021422202224202203222042222302220422320222233232"),
        ({"top_k": 3}, "323223223302020322202223202203222032222302220322320222233232"),
        ({"temperature": 3.0, "top_k": 4}, "424324324403020433202234202204223042233402330423420322244243"),
    ],
)
def test_a_seed_draws_what_it_always_has(options: dict[str, Any], expected: str, isa: str) -> None:
    assert "".join(map(str, constant(O).generate(60, seed=12, **options))) == expected
    assert "".join(map(str, constant(O, dtype="float64").generate(60, seed=12, **options))) == expected


def test_numbers_that_a_seed_has_always_drawn(isa: str) -> None:
    drawn = constant(O, output="linear", dtype="float64").generate(1, seed=12)[0]
    expected = [-1.749431550421978, -1.2677609278870023, 1.655998116242606, -0.36520083754135146, -0.7379452829936399]
    assert drawn == pytest.approx(expected, rel=1e-14)
    assert constant(O, output="sigmoid").generate(2, seed=12).tolist() == [[0, 1, 1, 0, 0], [1, 0, 1, 1, 0]]


def drawn_by_numpy(o: Array, u: Array, temperature: float, top_k: int | None, top_p: float | None) -> Array:
    """The classes of numbers u, in float64."""
    order = np.argsort(-o, kind="stable")
    p = np.exp((o - o.max()) / temperature)
    p[order[top_k:] if top_k is not None else []] = 0
    p /= p.sum()
    if top_p is not None:
        p[order[1 + (p[order].cumsum() < top_p).sum() :]] = 0
    shares = p.cumsum()
    drawn: Array = np.searchsorted(shares, u * shares[-1], side="right")
    return drawn


SEEDS = range(40)


@cycled(n=[2, 5, 17, 65, 1000], spread=[0.1, 1.0, 4.0], dtype=DTYPES, isa=ISAS)
def test_draws_are_those_of_numpy_and_of_the_reference(n: int, spread: float, dtype: str, isa: str) -> None:
    random = np.random.default_rng(n)
    for seed in SEEDS:
        o = (random.standard_normal(n) * spread).round(1 if seed % 2 else 9).astype(dtype)  # rounded, some are equal
        temperature = [1.0, 0.5, 2.0][seed % 3]
        top_k = [None, 1, 3, 30, 2000][seed % 5]
        top_p = [None, 0.9, 0.5, 0.001, 0.999, 1.0, 1 - 1e-12][seed % 7]
        how: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        drawn = constant(o, dtype=dtype).generate(12, prompt=np.zeros((1, 2, n)), seed=seed, **how)
        for i in range(2):
            u = reference.draws(bits(seed), i, 12)
            exact = o.astype(np.float64)
            assert drawn[:, i].tolist() == drawn_by_numpy(exact, np.array(u), **how).tolist()
            if n < 100:
                assert drawn[:, i].tolist() == [reference.draw_class(exact.tolist(), u_t, **how) for u_t in u]


def test_of_equal_classes_top_p_keeps_the_first() -> None:
    kept: int
    top_p: Any
    for top_p, kept in [(0.25, 1), (0.26, 2), (0.5, 2), (0.7, 3), (0.76, 4), (1e-300, 1), (np.float32(0.5), 2)]:
        drawn = constant(np.zeros(4)).generate(50, prompt=np.zeros((1, 20, 4)), top_p=top_p, seed=0)
        assert np.unique(drawn).tolist() == list(range(kept))


def test_top_p_is_of_the_classes_that_top_k_leaves() -> None:
    o = np.log([0.4, 0.3, 0.2, 0.1])  # of the first three: 0.444, 0.333, 0.222
    for top_k, top_p, kept in [(3, 0.7, 2), (3, 0.78, 3), (None, 0.78, 3), (2, 0.5, 1), (None, 0.5, 2)]:
        drawn = constant(o).generate(50, prompt=np.zeros((1, 40, 4)), top_k=top_k, top_p=top_p, seed=0)
        assert np.unique(drawn).tolist() == list(range(kept))


def test_top_p_draws_in_the_proportions_of_the_softmax() -> None:
    drawn = constant(O).generate(40, prompt=np.zeros((1, 1000, 5)), top_p=0.6, seed=0)
    p = np.exp(O[[0, 2]])
    counts = np.bincount(drawn.ravel(), minlength=5)
    assert counts.tolist() == [counts[0], 0, counts[2], 0, 0]
    # Beyond 4.5 standard deviations in one of 100,000 such tests; the seed is fixed.
    share = p[0] / p.sum()
    assert abs(counts[0] - 40_000 * share) < 4.5 * np.sqrt(40_000 * share * (1 - share))


# ---- Greedy ----


@pytest.mark.parametrize("output", OUTPUTS)
def test_greedy_is_temperature_0(output: Any) -> None:
    rnn: Any
    for rnn in (reader(input="real", output=output), feeder(output=output)):
        expected = rnn.generate(20, temperature=0)
        assert same_bits(rnn.generate(20, greedy=True), expected)
        assert same_bits(rnn.generate(20, greedy=np.True_, temperature=1, seed=4), expected)
        assert not same_bits(rnn.generate(20, greedy=False, seed=4), expected)
    if output == "softmax":
        assert same_bits(rnn.generate(20, greedy=True, top_k=3, top_p=0.5), expected)


# ---- Prompts of different lengths ----


@cycled(kind=["token", *OUTPUTS], layers=[12, (7, 5)], draws=[{"seed": 4}, {"greedy": True}, {"seed": 2, "top_p": 0.8}])
def test_a_list_of_prompts_draws_what_each_draws_in_its_place(kind: str, layers: Any, draws: dict[str, Any]) -> None:
    if kind not in ("token", "softmax"):
        draws = {name: value for name, value in draws.items() if name != "top_p"}
    rnn = reader(n_hidden=layers, **({} if kind == "token" else {"input": "real", "output": kind}))
    random = np.random.default_rng(0)
    lengths = (3, 1, 6)
    prompts = [random.integers(0, 5, n) if kind == "token" else random.standard_normal((n, 5)) for n in lengths]
    states = [random.uniform(-1, 1, (3, n)) for n in np.atleast_1d(layers)]
    h0: Any = states[0] if layers == 12 else states
    given: Any
    for given in ({}, {"h0": h0}):
        drawn = rnn.generate(9, prompt=prompts, **given, **draws)
        for i, prompt in enumerate(prompts):  # a batch of three times the same: of each place one is compared
            batch = np.stack([prompt] * 3, axis=1)
            alone = rnn.generate(9, prompt=batch, **given, **draws)
            assert same_bits(np.ascontiguousarray(drawn[:, i]), np.ascontiguousarray(alone[:, i]))
    assert same_bits(rnn.generate(9, prompt=tuple(prompts), **draws), rnn.generate(9, prompt=prompts, **draws))
    assert rnn.generate(9, prompt=prompts[:1], **draws).shape[:2] == (9, 1)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_list_of_earlier_outputs(output: Any) -> None:
    rnn = feeder(2, output)
    random = np.random.default_rng(0)
    x = random.standard_normal((8, 3, 2))
    y = [random.integers(0, 5, n) if output == "softmax" else random.standard_normal((n, 5)) for n in (4, 1, 2)]
    last = np.stack([one[-1] for one in y])
    assert same_bits(rnn.generate(8, x=x, prompt=y, seed=1), rnn.generate(8, x=x, prompt=last[None], seed=1))


# ---- In parts ----


@cycled(kind=["token", *OUTPUTS], batch=[None, 1, 3], per_part=[1, 4, 5, 20, 100], dtype=DTYPES, isa=ISAS)
def test_parts_are_the_whole(kind: str, batch: int | None, per_part: int, dtype: str, isa: str) -> None:
    random = np.random.default_rng(0)
    axes = () if batch is None else (batch,)
    rnn = reader(dtype=dtype, **({} if kind == "token" else {"input": "real", "output": kind}))
    prompt = random.integers(0, 5, (3, *axes)) if kind == "token" else random.standard_normal((3, *axes, 5))
    jordan = feeder(2, "softmax" if kind == "token" else kind, dtype=dtype)
    x = random.standard_normal((20, *axes, 2))
    calls: list[tuple[Any, dict[str, Any]]] = [(rnn, {"prompt": prompt}), (jordan, {"x": x})]
    if batch is None:
        calls.append((rnn, {}))
    for network, given in calls:
        for how in ({"seed": 5}, {"greedy": True}):
            parts = [*network.generate_in_parts(20, per_part, **given, **how)]
            assert [len(part) for part in parts] == [min(per_part, 20 - n) for n in range(0, 20, per_part)]
            assert same_bits(np.concatenate(parts), np.ascontiguousarray(network.generate(20, **given, **how)))


def test_parts_are_drawn_when_they_are_asked_for() -> None:
    rnn = constant(O)
    parts = rnn.generate_in_parts(10, 5, seed=0)
    next(parts)
    rnn.c[0] = np.nan
    with pytest.raises(ValueError, match=r"^o: expected finite outputs"):
        next(parts)
    with pytest.raises(ValueError, match=r"^steps_per_part: expected at least 1, got 0$"):
        rnn.generate_in_parts(10, 0)
    with pytest.raises(ValueError, match=r"^temperature: "):
        feeder().generate_in_parts(10, 2, temperature=-1)
    assert next(iter(reader().generate_in_parts(10**9, 2))).shape == (2,)


def test_an_interrupt_between_two_parts_is_heard() -> None:
    bptt.interrupt()
    parts = reader().generate_in_parts(10, 5)
    next(parts)
    bptt.interrupt()
    with pytest.raises(KeyboardInterrupt):
        next(parts)


def test_sequences_in_blocks_are_those_side_by_side() -> None:
    # So many units that not all sequences are drawn side by side
    rnn = ElmanRNN(3, 3000, 3, input="token", seed=0, init="uniform")
    prompt = np.arange(300)[None] % 3
    drawn = rnn.generate(3, prompt=prompt, seed=1)
    assert same_bits(np.ascontiguousarray(drawn[:, :5]), rnn.generate(3, prompt=prompt[:, :5], seed=1))
    shifted = rnn.generate(3, prompt=np.roll(prompt, 1, axis=1), seed=1)
    assert not same_bits(drawn, shifted)
    greedy = rnn.generate(3, prompt=prompt, greedy=True)
    for i in range(3):
        assert (greedy[:, i::3] == greedy[:, i : i + 1]).all()


# ---- Errors ----


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"top_p": 0}, ValueError, "top_p: expected a number in (0, 1], got 0"),
        ({"top_p": 1.5}, ValueError, "top_p: expected a number in (0, 1], got 1.5"),
        ({"top_p": np.nan}, ValueError, "top_p: expected a number in (0, 1], got nan"),
        ({"top_p": True}, TypeError, "top_p: expected a number, got bool"),
        ({"top_p": "0.5"}, TypeError, "top_p: expected a number, got str"),
        ({"greedy": 1}, TypeError, "greedy: expected True or False, got 1"),
        (
            {"greedy": True, "temperature": 0.5},
            ValueError,
            "temperature: expected 1, the default, as greedy=True draws nothing, got 0.5",
        ),
        ({"greedy": True, "temperature": 0}, ValueError, "temperature: expected 1, the default, "),
        ({"greedy": True, "top_p": 2}, ValueError, "top_p: expected a number in (0, 1], got 2"),
        ({"prompt": []}, ValueError, "prompt: expected at least one sequence, got an empty list"),
        ({"prompt": [np.array([1]), np.array([7])]}, ValueError, "prompt"),
        ({"prompt": [np.array([1]), np.zeros(0, int)]}, ValueError, "prompt[1]: expected "),
        ({"prompt": [1, 2]}, ValueError, "prompt[0]: expected ["),
    ],
)
def test_errors(arguments: Any, error: type[Exception], message: str) -> None:
    for make, generate in itertools.product((reader, feeder), ("generate", "generate_in_parts")):
        more = (3,) if generate == "generate" else (3, 1)
        with pytest.raises(error, match=f"^{re.escape(message)}") as raised:
            getattr(make(), generate)(*more, **arguments)
        assert raised.type is error


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_top_p_is_for_classes(output: Any) -> None:
    with pytest.raises(ValueError, match=f"^top_p: expected None for {output} outputs, got 0.5$"):
        feeder(output=output).generate(3, top_p=0.5)
