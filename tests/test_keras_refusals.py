"""`bptt.keras`: models, layers and lists of weights that no network is are refused, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN, JordanRNN
from bptt.keras import from_keras, to_keras
from keras_models import N_IN, N_OUT, TAU, N, chain, keras
from refusals import refuses

layers = keras.layers


def recurrent(**options: Any) -> Any:
    return layers.SimpleRNN(N, name="rnn", **options)


def dense(**options: Any) -> Any:
    return layers.Dense(N_OUT, name="dense", **options)


def two(**options: Any) -> Any:
    return layers.Bidirectional(recurrent(**options.pop("of", {})), name="both", **options)


class Doubled(keras.layers.SimpleRNN):  # type: ignore[misc]
    """A layer that may compute anything; as is one of the same name."""


SimpleRNN = type("SimpleRNN", (Doubled,), {})


BETWEEN = layers.RNN([layers.SimpleRNNCell(4), layers.SimpleRNNCell(5)], name="rnn")
BACKWARD = {"go_backwards": True, "name": "back"}
IN_A_NETWORK = "SimpleRNN, Bidirectional, Dense and what an ElmanRNN has beside them"
REFUSED: dict[str, tuple[Any, str]] = {
    "another kind": (lambda: [layers.GRU(N, name="gru"), dense()], f"{IN_A_NETWORK}, got GRU 'gru'"),
    "a subclass": (lambda: [Doubled(N, name="twice"), dense()], f"{IN_A_NETWORK}, got Doubled 'twice'"),
    "a namesake": (lambda: [SimpleRNN(N, name="own"), dense()], f"{IN_A_NETWORK}, got SimpleRNN 'own'"),
    "normalization": (
        lambda: [layers.BatchNormalization(name="norm"), recurrent(), dense()],
        f"{IN_A_NETWORK}, got BatchNormalization 'norm'",
    ),
    "pooling": (
        lambda: [recurrent(return_sequences=True), layers.GlobalAveragePooling1D(name="mean"), dense()],
        f"{IN_A_NETWORK}, got GlobalAveragePooling1D 'mean'",
    ),
    "activation": (
        lambda: [recurrent(activation="sigmoid"), dense()],
        "the activation 'tanh' or 'relu', got 'sigmoid' of SimpleRNN 'rnn'",
    ),
    "another activation": (
        lambda: [recurrent(return_sequences=True), layers.SimpleRNN(3, activation="relu", name="top"), dense()],
        "one activation for all layers, 'tanh', got 'relu' of SimpleRNN 'top'",
    ),
    "backwards": (
        lambda: [recurrent(go_backwards=True), dense()],
        "go_backwards=False (instead, reverse x), got True of SimpleRNN 'rnn'",
    ),
    "both backwards": (
        lambda: [
            layers.Bidirectional(
                recurrent(go_backwards=True), backward_layer=layers.SimpleRNN(N, name="back"), name="both"
            ),
            dense(),
        ],
        "go_backwards=False, got True of SimpleRNN 'forward_rnn'",
    ),
    "sum": (
        lambda: [two(merge_mode="sum"), dense()],
        "merge_mode='concat', as h(t) has both directions side by side, got 'sum' of Bidirectional 'both'",
    ),
    "units": (
        lambda: [two(backward_layer=layers.SimpleRNN(4, **BACKWARD)), dense()],
        "as many units in both directions, 6, got 4 of SimpleRNN 'back'",
    ),
    "activations of both": (
        lambda: [two(backward_layer=layers.SimpleRNN(N, activation="relu", **BACKWARD)), dense()],
        "one activation for all layers, 'tanh', got 'relu' of SimpleRNN 'back'",
    ),
    "two of LSTM": (
        lambda: [layers.Bidirectional(layers.LSTM(N, name="of")), dense()],
        "a SimpleRNN in each direction, got LSTM 'forward_of'",
    ),
    "two of stacks": (
        lambda: [layers.Bidirectional(BETWEEN), dense()],
        "a SimpleRNN in each direction, got RNN 'forward_rnn'",
    ),
    "cells": (
        lambda: [layers.RNN(layers.GRUCell(N, name="cell"), name="rnn"), dense()],
        "a SimpleRNNCell in RNN 'rnn', got GRUCell 'cell'",
    ),
    "mixed directions": (
        lambda: [two(of={"return_sequences": True}), layers.SimpleRNN(3, name="top"), dense()],
        "as many directions in each layer, 2, got 1 of SimpleRNN 'top'",
    ),
    "no dense": (lambda: [recurrent()], "a Dense after the last SimpleRNN, got none"),
    "no RNN": (lambda: [layers.Dropout(0.5)], "a SimpleRNN, got none"),
    "a dense before": (
        lambda: [dense(), recurrent()],
        "one Dense, after the last SimpleRNN, got another place of Dense 'dense'",
    ),
    "a second dense": (
        lambda: [recurrent(), dense(), layers.Dense(2, name="more")],
        "one Dense, after the last SimpleRNN, got another place of Dense 'more'",
    ),
    "an RNN after": (
        lambda: [recurrent(return_sequences=True), dense(), layers.SimpleRNN(2, name="more")],
        "no recurrent layer after the Dense, got SimpleRNN 'more'",
    ),
    "unit": (
        lambda: [recurrent(), dense(activation="tanh")],
        "the activation 'softmax', 'sigmoid' or 'linear', got 'tanh' of Dense 'dense'",
    ),
    "two units": (
        lambda: [recurrent(), dense(activation="softmax"), layers.Softmax(name="again")],
        "one activation, after the Dense, got another place of Softmax 'again'",
    ),
    "a unit too early": (
        lambda: [recurrent(), layers.Activation("sigmoid", name="early"), dense()],
        "one activation, after the Dense, got another place of Activation 'early'",
    ),
    "softmax over steps": (
        lambda: [recurrent(return_sequences=True), dense(), layers.Softmax(axis=1, name="over")],
        "the last axis, got axis=1 of Softmax 'over'",
    ),
    "a late mask": (
        lambda: [recurrent(return_sequences=True), layers.Masking(name="mask"), layers.SimpleRNN(3), dense()],
        "a mask before the first SimpleRNN, got Masking 'mask'",
    ),
    "half": (
        lambda: [recurrent(dtype="mixed_float16"), dense()],
        "the dtype policy float32 or float64, got mixed_float16 of SimpleRNN 'rnn'",
    ),
    "two dtypes": (
        lambda: [recurrent(), dense(dtype="float64")],
        "float32, as of SimpleRNN 'rnn', got float64 of Dense 'dense'",
    ),
    "two dtypes in one": (
        lambda: [two(of={"dtype": "float64"}), dense()],
        "float32, as of Bidirectional 'both', got float64 of SimpleRNN 'forward_rnn'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_is_none_of_a_network_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    model = keras.Sequential([keras.Input((TAU, N_IN)), *make()])
    refuses(lambda: from_keras(model), ValueError, f"model: expected {message}")


def test_a_recurrent_layer_for_each_step_is_refused() -> None:
    each = layers.TimeDistributed(recurrent(), name="each")
    model = keras.Sequential([keras.Input((3, TAU, N_IN)), each, dense()])
    refuses(lambda: from_keras(model), ValueError, f"model: expected {IN_A_NETWORK}, got TimeDistributed 'each'")


def test_refused_layers_of_tokens() -> None:
    tokens = keras.Input((None,), dtype="int32")
    count = layers.CategoryEncoding(N_IN, output_mode="count", name="count")
    counted = keras.Sequential([keras.Input((None, 2)), count, recurrent(), dense()])
    refuses(
        lambda: from_keras(counted),
        ValueError,
        "model: expected output_mode='one_hot', got 'count' of CategoryEncoding 'count'",
    )
    model = keras.Sequential([tokens, layers.Embedding(4, 3), recurrent(), dense()])
    for argument, value, found in (
        ("input", "real", "token"),
        ("steps", "all", "last"),
        ("activation", "relu", "tanh"),
    ):
        options: Any = {argument: value}
        message = f"{argument}: expected {found!r}, as the model has, or None, got {value!r}"
        refuses(lambda options=options: from_keras(model, **options), ValueError, message)  # type: ignore[misc]


def test_refused_calls() -> None:
    x, state = keras.Input((None, N_IN), name="x"), keras.Input((N,), name="state")
    alone = "layers that are called with the output of the layer below alone, got another call of"
    h = recurrent(return_sequences=True)(x)
    shared = layers.SimpleRNN(N_IN, name="shared", return_sequences=True)
    _, last = layers.SimpleRNN(N, name="told", return_state=True)(x)
    for model, message in (
        (
            keras.Model([x, state], dense()(recurrent()(x, initial_state=state))),
            "one input and one output, got 2 and 1",
        ),
        (keras.Model(x, [h, dense()(h)]), "one input and one output, got 1 and 2"),
        (keras.Model(x, dense()(layers.Add(name="add")([h, h]))), f"{IN_A_NETWORK}, got Add 'add'"),
        (
            keras.Model(x, dense()(recurrent()(x, initial_state=x[:, 0, :1] + keras.ops.zeros((1, N))))),
            f"{alone} SimpleRNN 'rnn'",
        ),
        (
            keras.Model(x, dense()(last)),
            "a layer's output alone (return_state=False), got the state of SimpleRNN 'told'",
        ),
        (
            keras.Model(x, dense()(layers.Dropout(0.5, name="drop")(h, training=True))),
            "layers that are called as at inference, got training=True of Dropout 'drop'",
        ),
        (keras.Model(x, dense()(shared(shared(x)))), "each layer once, got a second call of SimpleRNN 'shared'"),
    ):
        refuses(lambda model=model: from_keras(model), ValueError, f"model: expected {message}")  # type: ignore[misc]
    item = keras.Model(x, dense()(h[:, -1]))
    with pytest.raises(ValueError, match=r"^model: expected SimpleRNN, .* beside them, got GetItem 'get_item"):
        from_keras(item)
    masked = keras.Model(x, dense()(recurrent()(x, mask=keras.ops.any(x != 0, axis=-1))))
    with pytest.raises(ValueError, match=r"^mask: expected 'lengths' for a model with a mask \(SimpleRNN 'rnn'\)"):
        from_keras(masked)
    assert from_keras(masked, mask="lengths").readout == "last"


def test_refused_models_and_arguments() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    arrays = "expected a keras.Model, or a list of arrays as get_weights gives, got"
    for value, got in (("model.keras", "builtins.str"), (recurrent(), "keras.src.layers.rnn.simple_rnn.SimpleRNN")):
        refuses(lambda value=value: from_keras(value), TypeError, f"model: {arrays} {got}")  # type: ignore[misc]
    chains = "expected a Sequential or a functional model, or get_weights() of another, got"
    refuses(lambda: from_keras(Own()), TypeError, f"model: {chains} Own, which has a call of its own")
    unbuilt = keras.Sequential([recurrent(), dense()])
    refuses(
        lambda: from_keras(unbuilt),
        ValueError,
        "model: expected layers with weights (call the model once, or build it), got none of SimpleRNN 'rnn'",
    )
    model = chain(recurrent(), dense(activation="softmax"))
    for argument, value, expected in (
        ("output", "linear", "'softmax', as the model has, or None"),
        ("output", "relu", "one of 'softmax', 'sigmoid', 'linear'"),
        ("activation", "gelu", "one of 'tanh', 'relu'"),
        ("steps", "first", "one of 'all', 'last'"),
        ("input", "text", "one of 'real', 'token'"),
        ("mask", "yes", "one of 'lengths'"),
        ("mask", "lengths", "None for a model without a mask"),
    ):
        options: Any = {argument: value}
        refuses(
            lambda options=options: from_keras(model, **options),  # type: ignore[misc]
            ValueError,
            f"{argument}: expected {expected}, got {value!r}",
        )


def zeros(*shapes: Any, dtype: Any = np.float32) -> list[Any]:
    return [np.zeros(shape, dtype) for shape in shapes]


ONE, TWO = ((5, 6), (6, 6), (6,)), ((5, 6), (6, 6), (6,), (5, 6), (6, 6), (6,))
COUNT = "model: expected two matrices for each SimpleRNN and one for the Dense (an Embedding before them needs "
LEAST = (
    "model: expected at least the kernel and recurrent_kernel of a SimpleRNN and the kernel of a Dense, got the shapes"
)
ONE_MORE = "a SimpleRNN's second direction, [5, 6]"
LISTS: dict[str, tuple[Any, str]] = {
    "nothing": ([], f"{COUNT}input='token'), got 0, of the shapes []"),
    "no dense": (zeros(*ONE), f"{COUNT}input='token'), got 2, of the shapes [(5, 6), (6, 6), (6,)]"),
    "a dense alone": (zeros((6, 3), (3,)), f"{LEAST} [(6, 3), (3,)]"),
    "LSTM": (
        zeros((5, 24), (6, 24), (24,), (6, 3)),
        "model[1]: expected the recurrent_kernel of a SimpleRNN, [24, 24], got [6, 24]",
    ),
    "as in PyTorch": (
        zeros((6, 5), (6, 6), (6,), (3, 6), (3,)),
        "model[1]: expected the recurrent_kernel of a SimpleRNN, [5, 5], got [6, 6]",
    ),
    "bias": (zeros((5, 6), (6, 6), (5,), (6, 3)), "model[2]: expected the bias of a SimpleRNN, [6], got [5]"),
    "layers": (
        zeros(*ONE, (5, 4), (4, 4), (4,), (4, 3)),
        "model[3]: expected the kernel of a SimpleRNN, [6, 'any'], got [5, 4]",
    ),
    "dense": (zeros(*ONE, (7, 3), (3,)), "model[3]: expected the kernel of the Dense, [6, 'any'], got [7, 3]"),
    "dense of two": (
        zeros(*TWO, (13, 3)),
        "model[3]: expected the kernel of a SimpleRNN, [6, 'any'], got [5, 6]",
    ),
    "one direction": (
        zeros(*ONE, (12, 3)),
        f"model[3]: expected the kernel of {ONE_MORE}, got the kernel of the Dense",
    ),
    "second direction": (
        zeros(*ONE, (6, 6), (6, 6), (6,), (12, 3)),
        f"model[3]: expected the kernel of {ONE_MORE}, got [6, 6]",
    ),
    "bias of the dense": (zeros(*ONE, (6, 3), (2,)), "model[4]: expected the bias of the Dense, [3], got [2]"),
    "more": (zeros(*ONE, (6, 3), (3,), (3,)), "model: expected the end after the bias of the Dense, got 1 more"),
    "cube": (zeros((5, 6, 1)), "model[0]: expected a matrix or a bias, got [5, 6, 1]"),
    "half": (zeros((5, 6), dtype=np.float16), "model[0]: expected float32 or float64, got float16"),
    "dtypes": (
        [*zeros((5, 6)), *zeros((6, 6), dtype=np.float64)],
        "model[1]: expected float32, as model[0] is, got float64",
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_none_of_a_network_is_refused(name: str) -> None:
    arrays, message = LISTS[name]
    refuses(lambda: from_keras(arrays, output="linear", steps="all"), ValueError, message)


def test_a_list_does_not_tell_everything() -> None:
    arrays = zeros(*ONE, (6, 3))
    refuses(
        lambda: from_keras(arrays, steps="all"),
        ValueError,
        "output: expected one of 'softmax', 'sigmoid', 'linear', which a list of weights does not tell, got None",
    )
    refuses(
        lambda: from_keras(arrays, output="linear"),
        ValueError,
        "steps: expected one of 'all', 'last', which a list of weights does not tell, got None",
    )
    message = "model[1]: expected an array, as get_weights gives, got list"
    refuses(lambda: from_keras([arrays[0], [[1.0]]], output="linear", steps="all"), TypeError, message)
    rnn = from_keras(tuple(arrays), output="linear", steps="all")
    assert (rnn.activation, rnn.input) == ("tanh", "real")


def test_refused_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    jordan: Any = JordanRNN(3, 4, 2)
    refuses(lambda: to_keras(jordan), TypeError, "rnn: expected an ElmanRNN, got JordanRNN")
    rnn = ElmanRNN(3, 4, 2)
    told = rnn.configuration()
    monkeypatch.setattr(ElmanRNN, "LATER_KEYS", {**ElmanRNN.LATER_KEYS, "later": 1.0})
    monkeypatch.setattr(ElmanRNN, "configuration", lambda _: {**told, "later": 0.5})
    refuses(lambda: to_keras(rnn), ValueError, "rnn: expected later=1.0, as SimpleRNN has, got 0.5")
