"""Leaky units: what no other test says of them. All laws of networks hold for them too, see `cases.py`."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Adam, ElmanRNN, JordanRNN, reference
from core import DTYPES, ISAS
from interpreter import run_python
from laws import check_memory_limit, check_threads, least_memory
from problems import Case, problem
from refusals import refuses
from results import everything, same_bits

X = np.random.default_rng(0).standard_normal((12, 5, 3)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 4, (12, 5))


# ---- 1 is no leak ----


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("leak", [1, 1.0, np.ones(6), [1, [1.0] * 5], [np.float32(1), 1]], ids=str)
def test_a_leak_of_1_is_the_network_without_one(leak: Any, activation: Any, tmp_path: Path) -> None:
    n_hidden = (6, 5) if isinstance(leak, list) else 6
    plain = ElmanRNN(3, n_hidden, 4, activation=activation, seed=0)
    other = ElmanRNN(3, n_hidden, 4, activation=activation, leak=leak, seed=0)
    assert other.leak == 1.0
    assert repr(other) == repr(plain)
    assert same_bits(everything(other, {"x": X, "y": Y}), everything(plain, {"x": X, "y": Y}))
    for name, rnn in (("plain", plain), ("other", other)):
        rnn.save(tmp_path / name)
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "other").read_bytes()
    assert b"leak" not in (tmp_path / "plain").read_bytes(), "as earlier versions wrote it, which can read it"


@pytest.mark.parametrize("isa", ISAS, indirect=True)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_units_of_1_beside_others_have_the_bits_of_plain_ones(activation: Any, dtype: str, isa: str) -> None:
    """One unit leaks, and nothing reads it."""
    rnn, plain = (
        ElmanRNN(3, 20, 4, activation=activation, leak=leak, dtype=dtype, seed=0)
        for leak in ([1.0] * 13 + [0.3] + [1.0] * 6, 1.0)
    )
    rnn.W[:, 13] = rnn.V[:, 13] = 0
    plain.parameters = rnn.parameters
    found, expected = (everything(one, {"x": X, "y": Y}) for one in (rnn, plain))
    others = np.arange(20) != 13
    assert not same_bits(found["h"], expected["h"])
    assert same_bits(found["h"][..., others], expected["h"][..., others])
    for name in ("loss", "o", "U", "W", "b", "V", "c", "x"):
        rows = others if name in ("U", "W", "b") else ...
        ours, theirs = np.asarray(found[name])[rows], np.asarray(expected[name])[rows]
        if name in ("W", "V"):
            ours, theirs = ours[:, others], theirs[:, others]
        assert same_bits(ours, theirs), name


# ---- The equation ----


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_unit_by_itself_goes_to_what_drives_it_as_an_exponential(dtype: Any) -> None:
    """W = 0 and a constant input: v(t) = a + (1 - alpha)^t (v(0) - a)."""
    alpha = np.array([0.01, 0.2, 0.5, 1.0])
    rnn = ElmanRNN(1, 4, 1, leak=alpha, dtype=dtype, init=None)
    rnn.U, rnn.b = np.array([[1.0], [2.0], [-3.0], [0.5]]), np.array([0.5, 0, 1, 0])
    a, v0 = (rnn.U[:, 0] + rnn.b).astype(np.float64), np.array([-4.0, 3.0, 0.0, 1.0])
    run = rnn.forward(np.ones((600, 1)), v0=v0, v=True)
    t = np.arange(1, 601)[:, None]
    exact = a + (1 - alpha) ** t * (v0 - a)
    # Each step rounds once, and forgets a part alpha of what was rounded before: 1 / (2 alpha) roundings at most, and
    # as much because alpha itself was rounded.
    np.testing.assert_allclose(run.v, exact, rtol=0, atol=4 * 100 * np.finfo(dtype).eps)
    assert same_bits(run.v[:, 3].copy(), np.broadcast_to(run.v[0, 3], 600).copy()), "which forgets all at once"
    np.testing.assert_allclose(run.h, np.tanh(run.v.astype(np.float64)), rtol=4 * np.finfo(dtype).eps, atol=0)


def test_states_that_saturate_are_carried_on(dtype: str) -> None:
    """Where h = 1 in every digit, v is not known from it: the way back and windows keep v itself."""
    p = problem(Case(3, (9, 7), 4, (900, 900), leak=0.0625), seed=1)
    for x in p.x:
        x.flags.writeable = True
        x *= 30_000
        x.flags.writeable = False
    rnn, arguments = p.network(dtype), p.arguments()
    run = rnn.forward(**p.inputs(), v=True, all_layers=True)
    assert (np.abs(run.layers[0]) == 1).mean() > 0.5
    assert np.abs(run.v_layers[0]).max() > 50
    least = least_memory(rnn, arguments)
    check_memory_limit(p, dtype, [least, 2 * least])
    check_threads(p, dtype)
    parts = [rnn.forward(arguments["x"][:450], v0=arguments["v0"], v=True)]
    parts.append(rnn.forward(arguments["x"][450:], v0=parts[0].v_last, v=True))
    whole = rnn.forward(arguments["x"], v0=arguments["v0"], v=True)
    assert same_bits(np.concatenate([part.v for part in parts]), whole.v)
    assert same_bits(parts[1].v_last, whole.v_last)


def test_the_least_memory_holds_v_too(dtype: str) -> None:
    """Before each segment that is computed twice h and v are kept, else h alone."""
    arguments = {"x": np.zeros((4000, 3)), "y": np.zeros(4000, int)}
    plain, leaky = (ElmanRNN(3, 5, 2, leak=leak, dtype=dtype, seed=0) for leak in (1.0, 0.5))
    of_h, of_both = least_memory(plain, arguments), least_memory(leaky, arguments)
    row = 5 * np.dtype(dtype).itemsize
    assert (of_h, of_both) == ((400 + 10) * row, (400 + 19) * row), "10 windows, of which the last is computed once"


# ---- States ----


def test_names_of_states() -> None:
    plain, leaky = ElmanRNN(3, 6, 4, seed=0), ElmanRNN(3, 6, 4, leak=0.5, seed=0)
    zeros = np.zeros((5, 6), np.float32)
    assert same_bits(leaky.forward(X, v0=zeros).o, leaky.forward(X).o)
    of_h = "h0: expected None, as the state of leaky units is v: pass it as v0"
    of_v = "v0: expected None, as the state of units without a leak is h: pass it as h0"
    tokens, leaky_tokens = (ElmanRNN(4, 6, 4, input="token", leak=leak) for leak in (1.0, 0.5))
    calls: dict[str, Callable[..., Any]] = {
        "forward": lambda rnn, _, **given: rnn.forward(X, **given),
        "loss": lambda rnn, _, **given: rnn.loss(X, Y, **given),
        "loss_and_gradients": lambda rnn, _, **given: rnn.loss_and_gradients(X, Y, **given),
        "log_prob": lambda rnn, _, **given: rnn.log_prob(X, Y, **given),
        "stream": lambda rnn, _, **given: rnn.stream(**given),
        "gradcheck": lambda rnn, _, **given: bptt.gradcheck(rnn, X, Y, **given),
        "generate": lambda _, letters, **given: letters.generate(3, **given),
        "generate_in_parts": lambda _, letters, **given: letters.generate_in_parts(3, 1, **given),
    }
    for rnn, letters, name, message in ((plain, tokens, "v0", of_v), (leaky, leaky_tokens, "h0", of_h)):
        for call in calls.values():
            refuses(partial(call, rnn, letters, **{name: zeros}), ValueError, message)
    refuses(
        lambda: plain.forward(X, v=True), ValueError, "v: expected False, as the state of units without a leak is h"
    )
    refuses(lambda: leaky.forward(X, v=1), TypeError, "v: expected True or False, got 1")  # type: ignore[arg-type]
    refuses(lambda: leaky.forward(X, v0=zeros[:4]), ValueError, "v0: expected [5, 6], got (4, 6)")
    refuses(lambda: leaky.stream(v0=zeros[:, :5]), ValueError, "v0: expected [6] or [batch, 6], got (5, 5)")


def test_names_of_results() -> None:
    plain, leaky = ElmanRNN(3, 6, 4, seed=0), ElmanRNN(3, 6, 4, leak=0.5, seed=0)
    of_v = "expected {}, as the network has units without a leak, whose state is h"
    of_h = "expected {}, as the network has leaky units, whose state is v"
    for rnn, there, missing, reason in (
        (plain, ("h0", "h_last"), {"v0": "h0", "v_last": "h_last"}, of_v),
        (leaky, ("v0", "v_last"), {"h0": "v0", "h_last": "v_last"}, of_h),
    ):
        _, gradients = rnn.loss_and_gradients(X, Y)
        run = rnn.forward(X)
        for result, names in ((gradients, there), (run, there[1:])):
            for name in names:
                assert getattr(result, name).shape == (5, 6)
            for name, other in missing.items():
                if name in ("v0", "h0") and result is run:
                    continue
                refuses(partial(getattr, result, name), AttributeError, f"{name}: {reason.format(other)}")
        assert same_bits(pickle.loads(pickle.dumps(gradients)).flat, gradients.flat)
        assert f"c, {there[0]}: norm" in repr(gradients)
    refuses(lambda: plain.forward(X).v, AttributeError, f"v: {of_v.format('h')}")
    assert leaky.forward(X).v is None
    run = leaky.forward(X, v=True)
    assert run.v.shape == (12, 5, 6)
    assert run.v_layers is None
    both = ElmanRNN(3, (6, 5), 4, leak=0.5, bidirectional=True, seed=0).forward(X, v=True, all_layers=True)
    assert [v.shape for v in both.v_layers] == [(12, 5, 12), (12, 5, 10)]
    assert both.v is both.v_layers[-1]
    assert [[v.shape for v in pair] for pair in both.v_last] == [[(5, 6)] * 2, [(5, 5)] * 2]


def test_a_stream_has_v_as_its_state() -> None:
    rnn = ElmanRNN(3, 6, 4, leak=0.3, seed=0)
    v0 = np.linspace(-3, 3, 6, dtype=np.float32)
    stream = rnn.stream(v0=v0)
    assert same_bits(stream.state, v0)
    run = rnn.forward(X[:, 0], v0=v0, v=True)
    assert same_bits(stream.run(X[:6, 0]), run.o[:6])
    assert same_bits(stream.state, run.v[5])
    state = stream.state
    assert same_bits(stream.run(X[6:, 0]), run.o[6:])
    stream.state = state
    assert same_bits(stream.run(X[6:, 0]), run.o[6:])
    stream.reset()
    assert same_bits(stream.run(X[:, 0]), run.o)


# ---- Continuing sequences ----


@pytest.mark.parametrize("n_hidden", [8, (8, 6)])
def test_what_is_drawn_goes_on_from_v(n_hidden: Any) -> None:
    rnn = ElmanRNN(5, n_hidden, 5, input="token", leak=0.4, init="uniform", seed=0)
    prompt = np.array([1, 4, 2, 0])
    drawn = rnn.generate(9, prompt=prompt, greedy=True)
    stream, by_hand = rnn.stream(), []
    o = stream.run(prompt)[-1]
    for _ in range(9):
        by_hand.append(int(np.argmax(o)))
        o = stream.step(by_hand[-1])
    assert drawn.tolist() == by_hand
    after = rnn.forward(prompt).v_last
    assert rnn.generate(9, v0=after, seed=3).tolist() == rnn.generate(9, prompt=prompt, seed=3).tolist()
    parts = rnn.generate_in_parts(9, 2, v0=after, seed=3)
    assert np.concatenate([*parts]).tolist() == rnn.generate(9, v0=after, seed=3).tolist()
    for given in ({"prompt": prompt}, {"v0": after}):
        assert rnn.generate(6, beam=1, **given).y[:, 0].tolist() == rnn.generate(6, greedy=True, **given).tolist()


# ---- Training, files and copies ----


@pytest.mark.parametrize("truncate", [None, 4])
def test_training_is_resumed_to_the_bit(truncate: int | None, tmp_path: Path) -> None:
    def rnn() -> ElmanRNN:
        return ElmanRNN(3, (6, 5), 4, leak=[0.3, [0.5, 1, 0.2, 0.1, 0.9]], seed=0)

    how: dict[str, Any] = {"truncate": truncate, "seed": 0, "progress": False}
    how |= {} if truncate else {"batch_size": 2}
    whole, parts = rnn(), rnn()
    history = whole.fit(X, Y, optimizer=Adam(1e-2), epochs=4, **how)
    parts.fit(X, Y, optimizer=Adam(1e-2), epochs=2, checkpoint=tmp_path / "run", **how)
    resumed = rnn()
    resumed.fit(X, Y, optimizer=Adam(1e-2), epochs=4, checkpoint=tmp_path / "run", resume=True, **how)
    assert same_bits(resumed.parameters, whole.parameters)
    assert history.loss[-1] < history.loss[0]
    other = ElmanRNN(3, (6, 5), 4, leak=0.3, seed=0)
    with pytest.raises(ValueError, match=r"^resume: expected network.leak as in the checkpoint, \[0.3, .*, got 0.3$"):
        other.fit(X, Y, optimizer=Adam(1e-2), epochs=4, checkpoint=tmp_path / "run", resume=True, **how)
    plain = ElmanRNN(3, (6, 5), 4, seed=0)
    with pytest.raises(ValueError, match=r"^resume: expected network.leak as in the checkpoint, \[0.3, .*, got 1.0$"):
        plain.fit(X, Y, optimizer=Adam(1e-2), epochs=4, checkpoint=tmp_path / "run", resume=True, **how)


def test_windows_of_fit_carry_v() -> None:
    """Two updates with a rate of almost 0 see what one call sees of the second window, begun with the first one's v."""
    rnn = ElmanRNN(3, 6, 4, leak=0.2, dtype="float64", seed=0)
    first, _ = rnn.loss_and_gradients(X[:6], Y[:6])
    carried = rnn.loss(X[6:], Y[6:], v0=rnn.forward(X[:6]).v_last)
    forgotten = rnn.loss(X[6:], Y[6:])
    history = rnn.fit(X, Y, optimizer=bptt.SGD(1e-300), epochs=1, truncate=6, shuffle=False, progress=False)
    assert history.updates.loss == pytest.approx([first / 30, carried / 30], rel=1e-12)
    assert abs(forgotten - carried) > 1e-3


LEAKS: list[Any] = [0.25, [0.5, 0.25], [0.5, [0.1, 1.0, 0.3, 0.3, 0.2]], [[0.7] * 5 + [0.6], 1.0]]


@pytest.mark.parametrize("leak", LEAKS, ids=str)
def test_files_copies_and_configurations(leak: Any, tmp_path: Path) -> None:
    rnn = ElmanRNN(3, (6, 5), 4, leak=leak, seed=0)
    assert rnn.leak == leak == rnn.configuration()["leak"]
    assert f"leak={leak!r}" in repr(rnn)
    assert json.loads(json.dumps(rnn.configuration())) == {**rnn.configuration(), "n_hidden": [6, 5]}
    rnn.save(tmp_path / "model")
    again = [bptt.load(tmp_path / "model"), pickle.loads(pickle.dumps(rnn)), copy.copy(rnn), copy.deepcopy(rnn)]
    again.append(eval(repr(rnn), {"ElmanRNN": ElmanRNN}))
    again[-1].parameters = rnn.parameters
    for other in again:
        assert other.leak == leak
        assert same_bits(other.forward(X).o, rnn.forward(X).o)


def test_equal_numbers_are_told_as_one() -> None:
    assert ElmanRNN(3, 4, 2, leak=np.full(4, 0.5)).leak == 0.5
    assert ElmanRNN(3, (4, 2), 2, leak=[[0.5] * 4, 0.5]).leak == 0.5
    assert ElmanRNN(3, 4, 2, leak=np.array([0.5, 1, 1, 1], np.float32)).leak == [0.5, 1.0, 1.0, 1.0]


def test_a_file_with_a_wrong_leak_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import load, save

    rnn = ElmanRNN(3, 4, 2, leak=0.25, seed=0)
    rnn.save(tmp_path / "model")
    data = (tmp_path / "model").read_bytes()
    told = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["bptt"])
    for leak, message in (
        (0, "leak: expected a number in (0, 1], got 0.0"),
        ([0.5], "leak: expected a number or [4], got (1,)"),
        ("0.5", "leak: expected a number, or one a unit, got str"),
        (None, "leak: expected a number, or one a unit, got NoneType"),
    ):
        (tmp_path / "wrong").write_bytes(save(load(data), {"bptt": json.dumps({**told, "leak": leak})}))
        refuses(
            lambda: bptt.load(tmp_path / "wrong"), ValueError, f"{tmp_path / 'wrong'}: bad configuration: {message}"
        )


# ---- What is refused ----


@pytest.mark.parametrize(
    ("n_hidden", "leak", "kind", "message"),
    [
        (4, 0, ValueError, "leak: expected a number in (0, 1], got 0.0"),
        (4, -0.5, ValueError, "leak: expected a number in (0, 1], got -0.5"),
        (4, 1.5, ValueError, "leak: expected a number in (0, 1], got 1.5"),
        (4, np.nan, ValueError, "leak: expected a number in (0, 1], got nan"),
        (4, np.inf, ValueError, "leak: expected a number in (0, 1], got inf"),
        (4, 1e-40, ValueError, "leak: expected at least 1.17549e-38 in float32, got 1e-40"),
        (4, True, TypeError, "leak: expected a number, or one a unit, got bool"),
        (4, "fast", TypeError, "leak: expected a number, or one a unit, got str"),
        (4, None, TypeError, "leak: expected a number, or one a unit, got NoneType"),
        (4, 0.5j, TypeError, "leak: expected float64 or what converts to it safely, got complex128"),
        (4, [0.5, 0.5, 2, 0.5], ValueError, "leak: expected a number in (0, 1], got 2.0 at unit 2"),
        (4, [0.5] * 3, ValueError, "leak: expected a number or [4], got (3,)"),
        (4, np.full((4, 1), 0.5), ValueError, "leak: expected a number or [4], got (4, 1)"),
        ((4, 2), [0.5] * 3, ValueError, "leak: expected a list with an entry a layer, 2, got 3"),
        ((4, 2), [0.5, [0.5] * 3], ValueError, "leak[1]: expected a number or [2], got (3,)"),
        ((4, 2), [0.5, [0.5, 0]], ValueError, "leak[1]: expected a number in (0, 1], got 0.0 at unit 1"),
        ((4, 2), [True, 0.5], TypeError, "leak[0]: expected a number, or one a unit, got bool"),
        ((4, 2), {0.5}, TypeError, "leak: expected a number, or a list with an entry a layer, got set"),
    ],
)
def test_a_leak_that_is_none_is_refused(n_hidden: Any, leak: Any, kind: type[Exception], message: str) -> None:
    refuses(lambda: ElmanRNN(3, n_hidden, 2, leak=leak), kind, message)


def test_one_number_takes_no_memory_for_each_unit() -> None:
    """A damaged file may claim any size: nothing is made for it before its tensors are looked at."""
    assert ElmanRNN.options_of(**{**ElmanRNN(3, 4, 2).configuration(), "n_hidden": 2**31 - 1, "leak": 0.5}).leak == (
        (0.5,),
    )


def test_an_output_recurrent_network_has_no_leak() -> None:
    with pytest.raises(TypeError, match="leak"):
        JordanRNN(3, 4, 2, leak=0.5)  # type: ignore[call-arg]


def test_the_reference_refuses_the_other_state() -> None:
    parameters = reference.Parameters([[0.5]], [[0.9]], [0.0], [[1.0]], [0.0])
    with pytest.raises(ValueError, match=r"^v0: expected the state under this name for leak 0.5$"):
        reference.forward(parameters, [[1.0]], [0.5], leak=0.5)
    with pytest.raises(ValueError, match=r"^h0: expected the state under this name for leak 1.0$"):
        reference.forward(parameters, [[1.0]], v0=[0.5])
    with pytest.raises(ValueError, match=r"^leak: expected 1 numbers in \(0, 1\], got \[1.5\]$"):
        reference.forward(parameters, [[1.0]], leak=1.5)


def test_by_hand() -> None:
    """One unit, two steps, no input: v(1) = 0.75 v(0) + 0.25 (b + W h(0)), and so on; L = o(2)^2 / 2."""
    rnn = ElmanRNN(0, 1, 1, readout="last", output="linear", leak=0.25, dtype="float64", init=None)
    rnn.W, rnn.b, rnn.V = [[0.8]], [0.1], [[2.0]]
    v0 = 0.6
    v1 = 0.75 * v0 + 0.25 * (0.1 + 0.8 * np.tanh(v0))
    v2 = 0.75 * v1 + 0.25 * (0.1 + 0.8 * np.tanh(v1))
    h0, h1, h2 = np.tanh([v0, v1, v2])
    loss, gradients = rnn.loss_and_gradients(np.zeros((2, 0)), [0.0], v0=[v0])
    dv2 = (1 - h2**2) * 2.0 * (2.0 * h2)
    dv1 = 0.75 * dv2 + (1 - h1**2) * 0.8 * 0.25 * dv2
    dv0 = 0.75 * dv1 + (1 - h0**2) * 0.8 * 0.25 * dv1
    assert loss == pytest.approx((2 * h2) ** 2 / 2, rel=1e-15)
    assert gradients.v0[0] == pytest.approx(dv0, rel=1e-14)
    assert gradients.b[0] == pytest.approx(0.25 * (dv1 + dv2), rel=1e-14)
    assert gradients.W[0, 0] == pytest.approx(0.25 * (dv1 * h0 + dv2 * h1), rel=1e-14)
    assert gradients.v_last[0] == pytest.approx(v2, rel=1e-15)


def test_numbers_that_are_too_small_are_0_in_states_as_in_steps() -> None:
    """A stream's own v goes through f as in the steps: what is denormal is 0 there."""
    done = run_python(
        "import numpy as np, bptt\n"
        "rnn = bptt.ElmanRNN(1, 2, 1, output='linear', leak=0.5, seed=0)\n"
        "v0 = np.full(2, 1e-40, np.float32)\n"
        "x = np.ones((3, 1), np.float32)\n"
        "print((rnn.stream(v0=v0).run(x) == rnn.forward(x, v0=v0).o).all())"
    )
    assert done.stdout == "True\n", done
