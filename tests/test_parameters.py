"""Parameters, gradients and states of layers and directions, as users see them."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN, JordanRNN
from problems import Array
from results import same_bits

KINDS = [((5,), True), ((5, 4), False), ((5, 4, 6), True)]
of_every_kind = pytest.mark.parametrize(("n_hidden", "bidirectional"), KINDS)


def network(n_hidden: Any, bidirectional: bool = False, **options: Any) -> ElmanRNN:
    return ElmanRNN(3, n_hidden, 2, bidirectional=bidirectional, **{"seed": 0, **options})


def refuses(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$") as raised:
        call()
    assert raised.type is error


# ---- Letters ----


@of_every_kind
def test_layers_are_views_of_one_vector(n_hidden: tuple[int, ...], bidirectional: bool) -> None:
    rnn = network(n_hidden, bidirectional)
    gradients = rnn.loss_and_gradients(np.ones((4, 3)), [0, 1, 1, -1])[1]
    directions = 2 if bidirectional else 1
    for vector, letters in ((rnn.parameters, rnn), (gradients.flat, gradients)):
        vector[:] = np.arange(vector.size)
        end, below = 0, 3
        for n, both in zip(n_hidden, letters.layers, strict=True):
            assert (both.reverse is not None) is bidirectional
            for layer in (both, both.reverse)[:directions]:
                assert layer is not None
                for view, shape in ((layer.U, (n, below)), (layer.W, (n, n)), (layer.b, (n,))):
                    assert view.shape == shape
                    begin, end = end, end + view.size
                    assert same_bits(view.ravel(), vector[begin:end].copy())
                    view[...] += 1
                    assert vector[begin] == begin + 1
            below = directions * n
        assert letters.V.shape == (2, below)
        assert letters.c.shape == (2,)
        assert same_bits(np.concatenate([letters.V.ravel(), letters.c]), vector[end:].copy())
        assert same_bits(np.concatenate([view.ravel() for view in letters.by_name().values()]), vector.copy())


def test_assigning_copies_in() -> None:
    rnn = network((5, 4), bidirectional=True)
    values = np.arange(16.0).reshape(4, 4)
    assert rnn.layers[1].reverse is not None
    rnn.layers[1].reverse.W = values
    values[0, 0] = 9
    assert rnn.by_name()["W2_reverse"].tolist() == np.arange(16.0).reshape(4, 4).tolist()
    refuses(lambda: setattr(rnn.layers[0], "b", np.zeros(4)), ValueError, "b: expected [5], got (4,)")
    refuses(
        lambda: setattr(rnn.layers[0], "U", "x"),
        TypeError,
        "U: expected float32 or what converts to it safely, got <U1",
    )
    one = ElmanRNN(3, 5, 2, seed=0)
    one.layers[0].U *= 2
    one.W *= 2
    assert same_bits(one.layers[0].W, one.W)
    assert same_bits(one.U, 2 * ElmanRNN(3, 5, 2, seed=0).U)
    assert one.layers[0].reverse is None


@pytest.mark.parametrize("letter", ["U", "W", "b"])
def test_one_letter_of_several_layers_is_an_error_that_says_where_to_look(letter: str) -> None:
    for rnn, got, where in (
        (network((5, 4)), "2 layers", f"layers[k].{letter}"),
        (network(5, bidirectional=True), "two directions", f"layers[k].{letter} and layers[k].reverse.{letter}"),
        (network((5, 4, 3), True), "3 layers", f"layers[k].{letter} and layers[k].reverse.{letter}"),
    ):
        message = f"{letter}: expected one layer in one direction, got {got}: use {where}"
        gradients = rnn.loss_and_gradients(np.ones((4, 3)), [0, 1, 1, -1])[1]
        for letters in (rnn, gradients):
            assert not hasattr(letters, letter)
            refuses(lambda letters=letters: getattr(letters, letter), AttributeError, message)  # type: ignore[misc]
            refuses(lambda letters=letters: setattr(letters, letter, 0), AttributeError, message)  # type: ignore[misc]


@of_every_kind
def test_copies(n_hidden: Any, bidirectional: bool) -> None:
    rnn = network(n_hidden, bidirectional, activation="relu", dtype="float64")
    rnn.metadata["a"] = [1]
    for other in (copy.copy(rnn), copy.deepcopy(rnn), pickle.loads(pickle.dumps(rnn))):
        assert repr(other) == repr(rnn)
        assert same_bits(other.parameters, rnn.parameters)
        assert other.metadata == rnn.metadata
        other.layers[0].b += 1
        assert not same_bits(other.parameters, rnn.parameters)
    gradients = rnn.loss_and_gradients(np.ones((4, 3)), [0, 1, 1, -1], wrt_x=True)[1]
    other = pickle.loads(pickle.dumps(gradients))
    assert same_bits(other.flat, gradients.flat)
    assert same_bits(other.h0, gradients.h0)
    other.layers[0].U[...] = 7
    assert other.flat[0] == 7, "still views of the one vector"


# ---- Sizes, options, initial values ----


def test_sizes() -> None:
    assert network(5).n_hidden == network((5,)).n_hidden == network([5]).n_hidden == 5
    assert network((5, 4)).n_hidden == network(np.array([5, 4])).n_hidden == (5, 4)
    assert repr(network((5, 4), activation="relu")) == (
        "ElmanRNN(3, (5, 4), 2, input='real', output='softmax', readout='all', activation='relu', dtype='float32')"
    )
    assert repr(network(5)) == "ElmanRNN(3, 5, 2, input='real', output='softmax', readout='all', dtype='float32')"
    for n_hidden, error, message in (
        ((), ValueError, "n_hidden: expected at least one layer, got none"),
        ((5, 0), ValueError, "n_hidden[1]: expected at least 1, got 0"),
        ((5.0, 4), TypeError, "n_hidden[0]: expected an int, got float"),
        ("54", TypeError, "n_hidden: expected an int or a sequence of ints, got str"),
        (5.0, TypeError, "n_hidden: expected an int or a sequence of ints, got float"),
        ({5, 4}, TypeError, "n_hidden: expected an int or a sequence of ints, got set"),
        (np.array(3), TypeError, "n_hidden: expected an int or a sequence of ints, got ndarray"),
        (np.ones((2, 2), int), TypeError, "n_hidden: expected an int or a sequence of ints, got ndarray"),
        (np.ones(2), TypeError, "n_hidden[0]: expected an int, got float64"),
        (True, TypeError, "n_hidden: expected an int or a sequence of ints, got bool"),
        (None, TypeError, "n_hidden: expected an int or a sequence of ints, got NoneType"),
        (b"54", TypeError, "n_hidden: expected an int or a sequence of ints, got bytes"),
    ):
        refuses(lambda n=n_hidden: network(n), error, message)  # type: ignore[misc]
    refuses(lambda: JordanRNN(3, (5, 4), 2), TypeError, "n_hidden: expected an int, got tuple")  # type: ignore[arg-type]
    refuses(lambda: network(5, 1), TypeError, "bidirectional: expected True or False, got 1")  # type: ignore[arg-type]
    message = "activation: expected one of 'tanh', 'relu', got 'gelu'"
    refuses(lambda: network(5, activation="gelu"), ValueError, message)
    refuses(lambda: JordanRNN(3, 5, 2, activation="gelu"), ValueError, message)  # type: ignore[arg-type]


@of_every_kind
@pytest.mark.parametrize("init", ["orthogonal", "identity", "uniform"])
@pytest.mark.parametrize("input", ["real", "token"])
def test_initial_values(n_hidden: Any, bidirectional: bool, init: Any, input: Any) -> None:
    rnn = network(n_hidden, bidirectional, init=init, input=input, dtype="float64")
    assert same_bits(
        rnn.parameters, network(n_hidden, bidirectional, init=init, input=input, dtype="float64").parameters
    )
    rounded = network(n_hidden, bidirectional, init=init, input=input)
    assert same_bits(rounded.parameters, rnn.parameters.astype(np.float32))
    layers = [layer for both in rnn.layers for layer in (both, both.reverse) if layer is not None]
    for k, layer in enumerate(layers):
        n = len(layer.b)
        lowest = k < (2 if bidirectional else 1)
        fan_in = n if init == "uniform" else 1 if lowest and input == "token" else layer.U.shape[1]
        # That the largest of 15 uniform numbers is below half the bound has a chance of 2^-15; the seed is fixed.
        assert 0.5 < np.abs(layer.U).max() * np.sqrt(fan_in) <= 1
        if init == "uniform":
            assert 0 < np.abs(layer.b).max() * np.sqrt(n) <= 1
            continue
        assert not layer.b.any()
        # A product of n numbers each: rounding of some eps.
        assert np.abs(layer.W @ layer.W.T - np.eye(n)).max() < 20 * np.finfo(np.float64).eps
        assert same_bits(layer.W.copy(), np.eye(n)) == (init == "identity")
    assert 0 < np.abs(rnn.V).max() * np.sqrt(rnn.V.shape[1]) <= 1
    assert len({view.ravel()[0] for name, view in rnn.by_name().items() if name[0] == "U"}) == len(layers), (
        "none is another"
    )


# ---- States ----


def states(rnn: ElmanRNN, rows: tuple[int, ...], seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    n_hidden = rnn.n_hidden if isinstance(rnn.n_hidden, tuple) else (rnn.n_hidden,)
    if rnn.bidirectional:
        return [tuple(random.uniform(-1, 1, (*rows, n)).astype(rnn.dtype) for _ in range(2)) for n in n_hidden]
    return [random.uniform(-1, 1, (*rows, n)).astype(rnn.dtype) for n in n_hidden]


def row(value: Any, i: int) -> Any:
    """The states of one sequence."""
    if isinstance(value, list | tuple):
        return type(value)(row(entry, i) for entry in value)
    return np.ascontiguousarray(value[i])


@of_every_kind
def test_states_have_the_form_of_the_sequences(n_hidden: Any, bidirectional: bool, dtype: Any) -> None:
    rnn = network(n_hidden, bidirectional, dtype=dtype)
    random = np.random.default_rng(1)
    x: list[Array] = [random.standard_normal((n, 3)).astype(dtype) for n in (4, 2, 6)]
    y = [random.integers(0, 2, len(part)) for part in x]
    h0 = states(rnn, (3,))
    run, gradients = rnn.forward(x, h0=h0, all_layers=True), rnn.loss_and_gradients(x, y, h0=h0)[1]
    for result in (run.h_last, gradients.h0, gradients.h_last):
        assert type(result) is list
        shapes = [[part.shape for part in entry] if bidirectional else entry.shape for entry in result]
        assert shapes == [[(3, n)] * 2 if bidirectional else (3, n) for n in n_hidden]
    assert same_bits(run.h_last, gradients.h_last)
    assert run.layers is not None
    assert same_bits(run.layers[-1], run.h)
    assert [part.shape for part in run.layers[0]] == [(n, n_hidden[0] * (1 + bidirectional)) for n in (4, 2, 6)]
    assert rnn.forward(x, h0=h0).layers is None
    for i in range(3):
        alone = rnn.forward(x[i], h0=row(h0, i), all_layers=True)
        assert same_bits(alone.h_last, row(run.h_last, i))
        assert same_bits(np.ascontiguousarray(alone.h), run.h[i])
        assert alone.layers is not None
        assert same_bits([np.ascontiguousarray(h) for h in alone.layers], [layer[i] for layer in run.layers])
        one = rnn.loss_and_gradients(x[i], y[i], h0=row(h0, i))[1]
        assert same_bits(one.h_last, row(run.h_last, i))
        for ours, theirs in zip(np.ravel(flattened(one.h0)), np.ravel(flattened(row(gradients.h0, i))), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6), "the batch has another order of sums"
    padded = np.zeros((6, 3, 3), dtype)
    for i, part in enumerate(x):
        padded[: len(part), i] = part
    batch = rnn.forward(padded, h0=h0, lengths=[4, 2, 6], all_layers=True)
    assert same_bits(batch.h_last, run.h_last)
    assert batch.layers is not None
    for i, n in enumerate((4, 2, 6)):
        assert same_bits(np.ascontiguousarray(batch.layers[0][:n, i]), run.layers[0][i])
    assert not batch.layers[0][2:, 1].any(), "0 beyond a length"


def flattened(value: Any) -> Array:
    return np.concatenate([flattened(entry) for entry in value]) if isinstance(value, list | tuple) else value.ravel()


def test_states_may_be_lists_or_tuples_of_what_converts() -> None:
    rnn, x = network((5, 4), True), np.ones((4, 2, 3))
    h0 = states(rnn, (2,))
    expected = rnn.forward(x, h0=h0)
    assert not same_bits(expected.h, rnn.forward(x).h)
    for same in (
        tuple(h0),
        [list(pair) for pair in h0],
        [tuple(a.astype(float).tolist() for a in pair) for pair in h0],
    ):
        assert same_bits(rnn.forward(x, h0=same).h, expected.h)


def test_wrong_states() -> None:
    x = np.zeros((4, 2, 3), np.float32)
    stack, both, one = network((5, 4)), network((5, 4), True), network(5, True)
    five, four = np.zeros((2, 5)), np.zeros((2, 4))
    for rnn, h0, error, message in (
        (stack, five, TypeError, "h0: expected a list with an entry a layer, got ndarray"),
        (stack, [five], ValueError, "h0: expected a list with an entry a layer, 2, got 1"),
        (stack, [five, four, four], ValueError, "h0: expected a list with an entry a layer, 2, got 3"),
        (stack, [five, five], ValueError, "h0[1]: expected [2, 4], got (2, 5)"),
        (stack, [five, four * 1j], TypeError, "h0[1]: expected float32 or what converts to it safely, got complex128"),
        (one, five, TypeError, "h0: expected a list with an entry a layer, got ndarray"),
        (one, [five], TypeError, "h0[0]: expected a pair (forward, reverse), got ndarray"),
        (one, [(five,)], ValueError, "h0[0]: expected a pair (forward, reverse), got 1 entries"),
        (both, [(five, five), (four, five)], ValueError, "h0[1].reverse: expected [2, 4], got (2, 5)"),
        (both, [(five, five[0]), (four, four)], ValueError, "h0[0].reverse: expected [2, 5], got (5,)"),
        (network(5), [five, four], ValueError, "h0: expected [2, 5], got a list of 2"),
        (network(5), (five, five), ValueError, "h0: expected [2, 5], got (2, 2, 5)"),
    ):
        calls: list[Callable[[], object]] = [
            lambda rnn=rnn, h0=h0: rnn.forward(x, h0=h0),  # type: ignore[misc]
            lambda rnn=rnn, h0=h0: rnn.loss(x, np.zeros((4, 2), int), h0=h0),  # type: ignore[misc]
            lambda rnn=rnn, h0=h0: rnn.loss_and_gradients(x, np.zeros((4, 2), int), h0=h0),  # type: ignore[misc]
        ]
        for call in calls:
            refuses(call, error, message)


def test_a_list_of_states_is_none_of_one_layer() -> None:
    uneven = [np.zeros(5), np.zeros(4)]
    reader = ElmanRNN(3, 5, 3, seed=0)
    refuses(lambda: reader.generate(3, h0=uneven), ValueError, "h0: expected [5] or [batch, 5], got a list of 2")
    for rnn, name in ((reader, "h0"), (JordanRNN(3, 4, 5, seed=0), "r0")):
        given: dict[str, Any] = {name: uneven}
        refuses(
            lambda rnn=rnn, given=given: rnn.forward(np.zeros((4, 3)), **given),  # type: ignore[misc]
            ValueError,
            f"{name}: expected [5], got a list of 2",
        )


@of_every_kind
def test_the_second_direction_of_a_layer_cannot_be_replaced(n_hidden: Any, bidirectional: bool) -> None:
    rnn = network(n_hidden, bidirectional)
    layer: Any = rnn.layers[0]
    for value in (None, layer):
        with pytest.raises(AttributeError):
            layer.reverse = value
    assert (layer.reverse is not None) == bidirectional


def test_generate_goes_on_from_the_states_of_all_layers() -> None:
    rnn = ElmanRNN(4, (6, 5), 4, input="token", seed=0)
    rnn.parameters *= 3
    prompt = np.array([[1, 0], [2, 3], [0, 1]])
    after = rnn.forward(prompt).h_last
    drawn = rnn.generate(20, h0=after, seed=4)
    assert same_bits(drawn, rnn.generate(20, prompt=prompt, seed=4))
    assert not same_bits(drawn, rnn.generate(20, h0=[after[0], np.zeros_like(after[1])], seed=4))
    likeliest = rnn.generate(20, h0=after, temperature=0)
    for i in range(2):
        assert same_bits(rnn.generate(20, h0=row(after, i), temperature=0), np.ascontiguousarray(likeliest[:, i]))
    message = "h0[1]: expected [5], got (2, 5)"
    refuses(lambda: rnn.generate(3, h0=[after[0][0], after[1]]), ValueError, message)
    refuses(
        lambda: rnn.generate(3, h0=after[0]),
        TypeError,
        "h0: expected a list with an entry a layer, got ndarray",
    )
