"""h(0) as a parameter: what no other test says of it. All laws of networks hold for it too, see `cases.py`."""

from __future__ import annotations

import copy
import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import SGD, Adam, ElmanRNN, JordanRNN
from core import DTYPES, ISAS
from problems import letters
from refusals import refuses
from results import differing, everything, same_bits

X = np.random.default_rng(0).standard_normal((12, 5, 3)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 4, (12, 5))
RESET = np.random.default_rng(2).random((12, 5)) < 0.25
RESET[0, :2] = True, False
KINDS: list[dict[str, Any]] = [
    {},
    {"activation": "relu", "leak": 0.3},
    {"leak": [0.2, 1.0, 0.5, 0.7, 0.9, 0.1]},
    {"n_hidden": (6, 5), "activation": "relu"},
    {"n_hidden": (6, 5), "leak": 0.4, "bidirectional": True},
    {"n_hidden": 6, "bidirectional": True, "readout": "last"},
]
each_kind = pytest.mark.parametrize("options", KINDS, ids=str)


def network(options: dict[str, Any], learn_h0: bool = True, **more: Any) -> Any:
    """A network of a kind; what it begins with, if it is learned, is not 0."""
    given: dict[str, Any] = {"n_hidden": 6, "seed": 0, "learn_h0": learn_h0, **options, **more}
    rnn = ElmanRNN(3, given.pop("n_hidden"), 4, **given)
    random = np.random.default_rng(7)
    for values in learned(rnn):
        values[...] = random.uniform(-0.9, 0.9, values.shape)
    return rnn


def learned(rnn: Any) -> list[Any]:
    return [values for name, values in rnn.by_name().items() if name[:2] in ("h0", "v0")]


def plain_of(rnn: Any) -> Any:
    """The network with the same weights that begins with 0."""
    plain: Any = ElmanRNN(**{**rnn.configuration(), "learn_h0": False}, init=None)
    for name, values in plain.by_name().items():
        values[...] = rnn.by_name()[name]
    return plain


def rows_of(rnn: Any, batch: int) -> dict[str, Any]:
    """What it begins with, as the argument of a plain network."""
    return {rnn._states.name: rnn._states.nested([np.tile(values, (batch, 1)) for values in learned(rnn)])}


def arguments_of(rnn: Any) -> dict[str, Any]:
    return {"x": X, "y": Y[-1] if rnn.readout == "last" else Y}


# ---- Beside a network that is given the same state ----


@pytest.mark.parametrize("isa", ISAS, indirect=True)
@pytest.mark.parametrize("dtype", DTYPES)
@each_kind
def test_it_is_the_plain_network_that_is_given_the_same_rows(options: dict[str, Any], dtype: str, isa: str) -> None:
    rnn = network(options, dtype=dtype)
    plain, arguments = plain_of(rnn), arguments_of(rnn)
    found, expected = everything(rnn, arguments), everything(plain, arguments | rows_of(rnn, 5))
    assert differing({name: found[name] for name in expected}, expected) == []
    names = sorted(set(found) - set(expected))
    assert len(names) == len(learned(rnn)) > 0
    _, gradients = rnn.loss_and_gradients(**arguments)
    of_each = [name for name in expected if "_each" in name]
    for letter, each in zip([name for name in letters(rnn) if name in names], of_each, strict=True):
        # Summed in double precision and rounded once.
        assert same_bits(gradients.by_name()[letter], found[each].astype(np.float64).sum(axis=0).astype(dtype)), letter


@each_kind
def test_of_0_it_is_the_plain_network(options: dict[str, Any]) -> None:
    """With resets too."""
    rnn = network(options)
    plain = plain_of(rnn)
    for values in learned(rnn):
        values[...] = 0
    for more in ({}, {"reset": RESET}):
        found, expected = (everything(one, arguments_of(rnn) | more) for one in (rnn, plain))
        assert differing({name: found[name] for name in expected}, expected) == []
        assert any(found[name].any() for name in set(found) - set(expected))


@pytest.mark.parametrize("init", ["orthogonal", "uniform", "identity", None])
def test_initial_weights_are_those_of_the_plain_network(init: Any) -> None:
    for options in ({}, {"leak": 0.5}, {"bidirectional": True}):
        rnn, plain = (ElmanRNN(3, (6, 5), 4, learn_h0=on, seed=3, init=init, **options) for on in (True, False))
        assert not any(values.any() for values in learned(rnn))
        assert plain.parameters.size + sum(values.size for values in learned(rnn)) == rnn.parameters.size
        assert all(same_bits(rnn.by_name()[name], values) for name, values in plain.by_name().items())


# ---- Gradients ----


@each_kind
@pytest.mark.parametrize("given", [False, True], ids=["learned", "given"])
@pytest.mark.parametrize("reset", [None, RESET], ids=["", "reset"])
def test_every_gradient_is_a_central_difference(options: dict[str, Any], given: bool, reset: Any) -> None:
    rnn = network(options, dtype="float64")
    states = rows_of(rnn, 5) if given else {}
    found = bptt.gradcheck(rnn, **arguments_of(rnn), reset=reset, **states, tolerance=1e-7)
    assert set(found) == set(rnn.by_name())
    _, gradients = rnn.loss_and_gradients(**arguments_of(rnn), reset=reset, **states)
    if given and reset is None:  # every sequence begins with what is given
        assert not any(values.any() for name, values in gradients.by_name().items() if name[:2] in ("h0", "v0"))


def test_by_hand() -> None:
    """One unit, no input, o = h: h(1) = h(2) = tanh(w h0), as the second step begins anew; L = sum of o(t)."""
    rnn = ElmanRNN(0, 1, 1, output="linear", learn_h0=True, dtype="float64", init=None)
    rnn.W, rnn.V, rnn.h0 = [[0.8]], [[1.0]], [0.6]
    run = rnn.forward(np.zeros((2, 0)), reset=[False, True], gradient=True)
    h = np.tanh(0.8 * 0.6)
    assert run.h[:, 0] == pytest.approx([h, h], rel=1e-15)
    gradients = run.backward(d_o=np.ones((2, 1)))
    assert gradients.h0[0] == pytest.approx(2 * (1 - h**2) * 0.8, rel=1e-14)
    assert gradients.W[0, 0] == pytest.approx(2 * (1 - h**2) * 0.6, rel=1e-14)
    assert gradients.h0_each[0] == pytest.approx((1 - h**2) * 0.8, rel=1e-14)
    given = rnn.forward(np.zeros((2, 0)), h0=[0.3], reset=[False, True], gradient=True).backward(d_o=np.ones((2, 1)))
    assert given.h0[0] == pytest.approx((1 - h**2) * 0.8, rel=1e-14), "of the step that begins anew alone"
    assert given.h0_each[0] == pytest.approx((1 - np.tanh(0.24) ** 2) * 0.8, rel=1e-14)


@pytest.mark.torch
@pytest.mark.parametrize("leak", [1.0, 0.3])
@pytest.mark.parametrize("reset", [None, RESET], ids=["", "reset"])
def test_the_gradients_are_those_of_autograd(leak: float, reset: Any) -> None:
    torch = pytest.importorskip("torch")
    rnn = network({"leak": leak}, dtype="float64")
    places = {name: torch.tensor(values, requires_grad=True) for name, values in rnn.by_name().items()}
    U, W, b, first, V, c = places.values()
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y)
    v, loss = first.expand(5, 6), torch.zeros((), dtype=torch.float64)
    for t in range(len(x)):
        if reset is not None:
            v = torch.where(torch.tensor(reset[t])[:, None], first, v)
        h = v if leak == 1.0 else torch.tanh(v)
        a = b + h @ W.T + x[t] @ U.T
        v = torch.tanh(a) if leak == 1.0 else (1 - leak) * v + leak * a
        h = v if leak == 1.0 else torch.tanh(v)
        loss = loss + torch.nn.functional.cross_entropy(h @ V.T + c, y[t], reduction="sum")
    loss.backward()
    ours, gradients = rnn.loss_and_gradients(X, Y, reset=reset)
    assert ours == pytest.approx(loss.item(), rel=1e-12)
    for name, place in places.items():
        expected = place.grad.numpy()
        assert np.abs(gradients.by_name()[name] - expected).max() <= 1e-12 * np.abs(expected).max(), name


@each_kind
@pytest.mark.usefixtures("threads")
def test_the_bits_depend_on_neither_threads_nor_memory(options: dict[str, Any]) -> None:
    rnn = network(options)
    random = np.random.default_rng(0)
    x, reset = random.standard_normal((700, 9, 3)), random.random((700, 9)) < 0.05
    y = random.integers(0, 4, (700, 9)[rnn.readout == "last" :])
    arguments = {"x": x, "y": y, "reset": reset}
    bptt.set_num_threads(1)
    _, expected = rnn.loss_and_gradients(**arguments)
    assert all(expected.by_name()[name].any() for name in rnn.by_name())
    for threads in (1, 2, 3):
        bptt.set_num_threads(threads)
        for limit in (None,) if rnn.bidirectional else (None, 30_000, 100_000):
            _, found = rnn.loss_and_gradients(**arguments, memory_limit=limit)
            assert same_bits(found.flat, expected.flat), (threads, limit)


# ---- Names ----


def test_names_and_places() -> None:
    def names(**options: Any) -> str:
        return " ".join(ElmanRNN(3, options.pop("n_hidden", 6), 4, learn_h0=True, **options).by_name())

    assert names() == "U W b h0 V c"
    assert names(leak=0.5) == "U W b v0 V c"
    assert names(bidirectional=True) == "U W b h0 U_reverse W_reverse b_reverse h0_reverse V c"
    assert names(n_hidden=(6, 5)) == "U1 W1 b1 h0_1 U2 W2 b2 h0_2 V c"
    assert names(n_hidden=(6, 5), bidirectional=True, leak=0.5).split()[4:8] == [
        f"{name}_reverse" for name in ("U1", "W1", "b1", "v0_1")
    ]
    rnn = network({})
    assert rnn.learn_h0
    assert "learn_h0=True" in repr(rnn)
    assert same_bits(rnn.h0, rnn.layers[0].h0)
    assert same_bits(rnn.parameters[18 + 36 + 6 : 18 + 36 + 12], rnn.h0)
    rnn.h0 = np.arange(6)
    assert rnn.parameters[18 + 36 + 6 : 18 + 36 + 12].tolist() == [*range(6)]
    leaky = network({"leak": 0.5})
    leaky.v0 = leaky.layers[0].v0 = [0.5] * 6
    assert leaky.parameters[18 + 36 + 6 : 18 + 36 + 12].tolist() == [0.5] * 6
    stack = network({"n_hidden": (6, 5), "bidirectional": True})
    stack.layers[1].reverse.h0 = [1, 2, 3, 4, 5]
    assert stack.by_name()["h0_2_reverse"].tolist() == [1, 2, 3, 4, 5]
    assert "h0 [5]" in repr(stack.layers[1])


def test_names_of_gradients() -> None:
    for options, name in (({}, "h0"), ({"leak": 0.5}, "v0")):
        rnn = network(options)
        _, gradients = rnn.loss_and_gradients(X, Y)
        assert getattr(gradients, name).shape == (6,)
        assert getattr(gradients, f"{name}_each").shape == (5, 6)
        assert repr(gradients).startswith(f"Gradients(U, W, b, {name}, V, c, {name}_each: norm ")
        again = pickle.loads(pickle.dumps(gradients))
        assert same_bits(getattr(again, name), getattr(gradients, name))
        assert same_bits(getattr(again, f"{name}_each"), getattr(gradients, f"{name}_each"))
        _, of_plain = plain_of(rnn).loss_and_gradients(X, Y)
        assert getattr(of_plain, f"{name}_each") is getattr(of_plain, name)
    stack = network({"n_hidden": (6, 5), "bidirectional": True})
    _, gradients = stack.loss_and_gradients(X, Y)
    assert [layer.h0.shape for layer in gradients.layers] == [(6,), (5,)]
    assert [[one.shape for one in pair] for pair in gradients.h0_each] == [[(5, 6)] * 2, [(5, 5)] * 2]


def test_what_is_refused() -> None:
    plain, rnn, leaky = ElmanRNN(3, 6, 4), network({}), network({"leak": 0.5})
    stack = network({"n_hidden": (6, 5)})
    _, of_stack = stack.loss_and_gradients(X, Y)
    none = "{}: expected a network with learn_h0=True, of which it is a parameter"
    several = "h0: expected one layer in one direction, got 2 layers: use layers[k].h0"
    for of, name, message in (
        (plain, "h0", none.format("h0")),
        (plain, "v0", none.format("v0")),
        (plain.layers[0], "h0", none.format("h0")),
        (rnn, "v0", "v0: expected h0, as the network has units without a leak, whose state is h"),
        (leaky, "h0", "h0: expected v0, as the network has leaky units, whose state is v"),
        (stack, "h0", several),
        (of_stack, "h0", several),
        (of_stack, "v0_each", "v0_each: expected h0_each, as the network has units without a leak, whose state is h"),
    ):
        refuses(partial(getattr, of, name), AttributeError, message)
    refuses(lambda: setattr(rnn, "h0", np.zeros(5)), ValueError, "h0: expected [6], got (5,)")
    refuses(lambda: setattr(rnn, "h0", np.zeros((5, 6))), ValueError, "h0: expected [6], got (5, 6)")
    for value in (1, "yes", None, [True]):
        with pytest.raises(TypeError, match=r"^learn_h0: expected True or False, got "):
            ElmanRNN(3, 6, 4, learn_h0=value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="learn_h0"):
        JordanRNN(3, 4, 2, learn_h0=True)  # type: ignore[call-arg]


@pytest.mark.torch
def test_pytorch_has_no_place_for_it() -> None:
    pytest.importorskip("torch")
    from bptt.torch import to_torch

    message = "rnn: expected learn_h0=False, as h(0) is no weight of an nn.RNN but an argument of its calls, got True"
    refuses(lambda: to_torch(network({})), ValueError, message)


# ---- Streams, and sequences that are drawn ----


@pytest.mark.parametrize("options", [options for options in KINDS if "bidirectional" not in options], ids=str)
@pytest.mark.parametrize("batch", [None, 5])
def test_streams_begin_with_it(options: dict[str, Any], batch: int | None) -> None:
    rnn = network(options)
    x = X if batch else X[:, 0]
    o, stream = rnn.forward(x).o, rnn.stream(batch=batch)
    assert not same_bits(o, plain_of(rnn).forward(x).o)
    assert same_bits(stream.run(x), o)
    stream.reset()
    assert same_bits(stream.run(x), o)
    if batch:
        stream.reset(np.arange(5) == 2)
        assert same_bits(stream.run(x)[:, 2], o[:, 2])
    for values in learned(rnn):
        values[...] += 0.25
    stream.reset()
    assert same_bits(stream.run(x), o), "as when the stream was made"
    stream.refresh()
    stream.reset()
    assert same_bits(stream.run(x), rnn.forward(x).o)
    given = rnn.stream(**{rnn._states.name: stream.state})
    first = given.state
    given.run(x)
    given.refresh()
    given.reset()
    assert same_bits(given.state, first), "which the user gave"


def test_a_stream_that_has_settled_begins_there() -> None:
    rnn = network({})
    rnn.W *= 0.5
    stream = rnn.stream()
    stream.settle(X[0, 0])
    settled = stream.state
    stream.refresh()
    stream.reset()
    assert same_bits(stream.state, settled)


@pytest.mark.parametrize("leak", [1.0, 0.4])
def test_what_is_drawn_without_a_prompt_begins_with_it(leak: float) -> None:
    rnn: Any = ElmanRNN(4, 6, 4, input="token", leak=leak, learn_h0=True, init="uniform", seed=0)
    first = np.linspace(-2, 2, 6).astype(np.float32)
    learned(rnn)[0][...] = first
    rnn.V *= 5
    drawn = rnn.generate(9, seed=3)
    plain = plain_of(rnn)
    name = rnn._states.name
    assert drawn.tolist() == plain.generate(9, seed=3, **{name: first}).tolist()
    assert drawn.tolist() != plain.generate(9, seed=3).tolist()
    assert np.concatenate([*rnn.generate_in_parts(9, 2, seed=3)]).tolist() == drawn.tolist()
    assert rnn.generate(6, beam=2).y.tolist() == plain.generate(6, beam=2, **{name: first}).y.tolist()
    prompt = np.array([1, 3, 0])
    assert rnn.generate(9, prompt=prompt, seed=3).tolist() == plain.generate(
        9, prompt=prompt, seed=3, **{name: first}
    ).tolist()  # fmt: skip


# ---- Training, files and copies ----


def test_training_finds_where_sequences_begin() -> None:
    """What another network puts out, which begins elsewhere: its weights are right from the beginning."""
    teacher = network({"output": "linear"})
    y = teacher.forward(X).o
    losses = []
    for rnn in (plain_of(teacher), copy.copy(teacher)):
        if rnn.learn_h0:
            rnn.h0 = np.zeros(6)
        rnn.fit(X, y, optimizer=SGD(0.5), epochs=200, batch_size=5, seed=0, progress=False)
        losses.append(rnn.loss(X, y))
    assert losses[1] < 0.1 * losses[0]


@each_kind
def test_weight_decay_may_be_its_own(options: dict[str, Any]) -> None:
    """theta - lr (g + decay theta), where g is 0: (1 - 0.1 0.5) theta, of what is learned alone."""
    rnn, letter = network(options), "v0" if "leak" in options else "h0"
    before = {name: values.copy() for name, values in rnn.by_name().items()}
    SGD(0.1, weight_decay={letter: 0.5}).step(rnn, np.zeros(rnn.parameters.size))
    for name, values in rnn.by_name().items():
        factor = 1 - 0.1 * 0.5 if name.startswith(letter) else 1
        assert np.allclose(values, factor * before[name], rtol=1e-6, atol=0), name
        assert name.startswith(letter) or same_bits(values, before[name])


def test_weight_decay_of_a_letter_that_there_is_not_is_refused() -> None:
    for rnn, letter in ((network({}), "v0"), (network({"leak": 0.5}), "h0"), (network({}, learn_h0=False), "h0")):
        there, before = ", ".join(map(repr, dict.fromkeys(name for name in rnn.by_name()))), rnn.parameters.copy()
        message = f"weight_decay: letter: expected one of {there}, as the network has, got {letter!r}"
        optimizer = SGD(0.1, weight_decay={"W": 0.1, letter: 0.5})
        refuses(partial(optimizer.step, rnn, np.ones(rnn.parameters.size)), ValueError, message)
        refuses(partial(rnn.fit, X, Y, optimizer=optimizer, epochs=1, progress=False), ValueError, message)
        assert same_bits(rnn.parameters, before)
        assert optimizer.updates == 0


@each_kind
def test_constraints_reach_it(options: dict[str, Any]) -> None:
    """Frozen it stays what it is; a bound on its norm, signs and zeros are kept by every update."""
    letter = "v0" if "leak" in options else "h0"
    how: dict[str, Any] = {"epochs": 5, "seed": 0, "progress": False}
    frozen = network(options)
    before = [values.copy() for values in learned(frozen)]
    frozen.fit(
        X, Y[-1] if "readout" in options else Y, optimizer=Adam(0.1), constraints=bptt.constraints.frozen(letter), **how
    )
    assert all(same_bits(now, then) for now, then in zip(learned(frozen), before, strict=True))

    rnn, n = network(options), 5 if isinstance(options.get("n_hidden"), tuple) else 6
    at: dict[str, Any] = {"layer": 1} if n == 5 else {}  # the upper one
    rnn.constraints = [
        bptt.constraints.max_norm(letter, 0.4),
        bptt.constraints.mask(letter, np.arange(n) != 2, **at),
        bptt.constraints.signs(letter, np.where(np.arange(n) < 2, 1, -1), **at),
    ]
    before = [values.copy() for values in learned(rnn)]
    rnn.fit(X, Y[-1] if "readout" in options else Y, optimizer=Adam(0.1), **how)
    for now, then in zip(learned(rnn), before, strict=True):
        assert np.linalg.norm(now.astype(np.float64)) <= 0.4
        assert not same_bits(now, then)
    for values in learned(rnn)[-2 if options.get("bidirectional") else -1 :]:
        assert values[2] == 0
        assert (values[:2] >= 0).all()
        assert (values[2:] <= 0).all()
    with pytest.raises(
        ValueError, match=rf"letters: expected .*'{letter}'.*, got '{'h0' if letter == 'v0' else 'v0'}'"
    ):
        rnn.constraints = bptt.constraints.frozen("h0" if letter == "v0" else "v0")


@pytest.mark.parametrize("truncate", [None, 4])
@pytest.mark.parametrize("options", [{"leak": 0.5}, {"n_hidden": (6, 5)}], ids=str)
def test_training_is_resumed_to_the_bit(truncate: int | None, options: dict[str, Any], tmp_path: Path) -> None:
    how: dict[str, Any] = {"truncate": truncate, "seed": 0, "progress": False, "reset": RESET}
    how |= {} if truncate else {"batch_size": 2}
    whole, parts, resumed = network(options), network(options), network(options)
    before = [values.copy() for values in learned(whole)]
    whole.fit(X, Y, optimizer=Adam(1e-2), epochs=4, **how)
    parts.fit(X, Y, optimizer=Adam(1e-2), epochs=2, checkpoint=tmp_path / "run", **how)
    resumed.fit(X, Y, optimizer=Adam(1e-2), epochs=4, checkpoint=tmp_path / "run", resume=True, **how)
    assert same_bits(resumed.parameters, whole.parameters)
    assert all((now != then).all() for now, then in zip(learned(whole), before, strict=True))
    plain = plain_of(whole)
    with pytest.raises(ValueError, match=r"^resume: expected network.learn_h0 as in the checkpoint, True, got False$"):
        plain.fit(X, Y, optimizer=Adam(1e-2), epochs=4, checkpoint=tmp_path / "run", resume=True, **how)


def test_windows_of_fit_go_on_from_the_state_before() -> None:
    """Only the first begins with the parameter: two updates with a rate of almost 0 see what two calls see."""
    rnn = network({}, dtype="float64")
    first, _ = rnn.loss_and_gradients(X[:6], Y[:6])
    carried = rnn.loss(X[6:], Y[6:], h0=rnn.forward(X[:6]).h_last)
    history = rnn.fit(X, Y, optimizer=SGD(1e-300), epochs=1, truncate=6, shuffle=False, progress=False)
    assert history.updates.loss == pytest.approx([first / 30, carried / 30], rel=1e-12)
    assert abs(rnn.loss(X[6:], Y[6:]) - carried) > 1e-3


@each_kind
def test_files_and_copies(options: dict[str, Any], tmp_path: Path) -> None:
    rnn = network(options)
    rnn.save(tmp_path / "model")
    again = [bptt.load(tmp_path / "model"), pickle.loads(pickle.dumps(rnn)), copy.copy(rnn), copy.deepcopy(rnn)]
    again.append(eval(repr(rnn), {"ElmanRNN": ElmanRNN}))
    again[-1].parameters = rnn.parameters
    for other in again:
        assert other.configuration() == rnn.configuration()
        assert other.learn_h0
        assert same_bits(other.parameters, rnn.parameters)
        assert same_bits(other.forward(X).o, rnn.forward(X).o)


def test_files_of_networks_without_it_do_not_tell_of_it(tmp_path: Path) -> None:
    ElmanRNN(3, 6, 4, seed=0).save(tmp_path / "plain")
    assert b"h0" not in (tmp_path / "plain").read_bytes(), "as earlier versions wrote it, which can read it"
    assert not bptt.load(tmp_path / "plain").learn_h0


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import load, save

    network({}).save(tmp_path / "model")
    data = (tmp_path / "model").read_bytes()
    told = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["bptt"])
    assert told["learn_h0"] is True
    tensors = load(data)
    without = {name: values for name, values in tensors.items() if name != "h0"}
    for arrays, value, message in (
        (tensors, False, "expected the tensors U, W, b, V, c, got U, V, W, b, c, h0"),
        (without, True, "expected the tensors U, W, b, h0, V, c, got U, V, W, b, c"),
        ({**tensors, "h0": np.zeros((1, 6), np.float32)}, True, "h0: expected the shape [6], got [1, 6]"),
        (tensors, 1, "bad configuration: learn_h0: expected True or False, got 1"),
    ):
        (tmp_path / "wrong").write_bytes(save(arrays, {"bptt": json.dumps({**told, "learn_h0": value})}))
        refuses(lambda: bptt.load(tmp_path / "wrong"), ValueError, f"{tmp_path / 'wrong'}: {message}")


def test_info_tells_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bptt.app.options import main

    network({"n_hidden": (6, 5)}).save(tmp_path / "model")
    assert main(["info", str(tmp_path / "model")]) == 0
    told = capsys.readouterr().out
    assert "learn_h0=True" in told
    assert "h0_1 6, U2" in told


@pytest.mark.parametrize("options", [{}, {"n_hidden": (6, 5), "bidirectional": True, "activation": "relu"}], ids=str)
def test_analysis_begins_with_it(options: dict[str, Any]) -> None:
    """Of every step h(t) = f(a(t)), and the sum of dL/da(t) is the gradient of b."""
    from bptt.analysis import backward_steps

    rnn = network(options, dtype="float64")
    _, gradients = rnn.loss_and_gradients(X, Y, reset=RESET)
    steps = backward_steps(rnn, X, Y, reset=RESET)
    f = np.tanh if rnn.activation == "tanh" else partial(np.maximum, 0.0)
    for of_layer, layer in zip(steps.layers, gradients.layers, strict=True):
        for one, gradient in ((of_layer, layer), (of_layer.reverse, layer.reverse)):
            if one is None or gradient is None:
                continue
            # Float64 sums of some tens of terms.
            np.testing.assert_allclose(f(one.a), one.h, rtol=0, atol=1e-13)
            np.testing.assert_allclose(one.d_a.sum(axis=(0, 1)), gradient.b, rtol=0, atol=1e-12)
