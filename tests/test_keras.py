"""`bptt.keras`: networks from and to Keras have the outputs of its layers; what has no equal is refused by name."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN
from bptt.keras import from_keras, to_keras
from interpreter import run_python
from keras_models import BATCH, N_IN, N_OUT, TAU, N, chain, drawn, keras, numpy_of, weights_of
from problems import Array

layers = keras.layers

# Both sides are rounded some ten times on the way to an output; the largest errors seen are a tenth of these.
TOLERANCE = {"float32": 3e-6, "float64": 1e-14}


@pytest.fixture(autouse=True)
def float64_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With this table Keras computes products of float64 in float32, unless its backend is TensorFlow."""
    monkeypatch.setattr("keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE", {})


def sequences(kind: str = "real", dtype: str = "float32") -> Array:
    """Batch-first, as Keras reads them."""
    generator = np.random.default_rng(3)
    if kind == "token":
        return generator.integers(0, N_IN, (BATCH, TAU))
    return generator.standard_normal((BATCH, TAU, N_IN)).astype(dtype)


def check(model: Any, rnn: ElmanRNN, x: Array, ours: Array | None = None) -> None:
    """The network gives what the model gives; `ours` is what the network reads in place of `x`."""
    expected = numpy_of(model(x))
    run = rnn.forward((x if ours is None else ours).swapaxes(0, 1))
    found = run.y_hat.swapaxes(0, 1) if rnn.readout == "all" else run.y_hat
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert np.abs(found - expected).max() <= TOLERANCE[rnn.dtype.name] * np.abs(expected).max()


def same(one: ElmanRNN, other: ElmanRNN) -> None:
    assert one.configuration() == other.configuration()
    assert one.parameters.tobytes() == other.parameters.tobytes()


# ---- From Keras ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("activation", "sizes"), [("tanh", (6,)), ("relu", (6, 4, 5))])
def test_a_model_and_its_list_of_weights_give_the_network(activation: Any, sizes: Any, both: bool, dtype: str) -> None:
    for steps, use_bias, output in zip(("all", "last") * 3, (True, False, False) * 2, OUTPUTS * 2, strict=True):
        parts = []
        for k, n in enumerate(sizes):
            more = steps == "all" or k + 1 < len(sizes)
            one = layers.SimpleRNN(n, activation=activation, use_bias=use_bias, return_sequences=more, dtype=dtype)
            parts.append(layers.Bidirectional(one, dtype=dtype) if both else one)
        dense = layers.Dense(N_OUT, activation=output, use_bias=use_bias, dtype=dtype)
        model = chain(*parts, dense, x=keras.Input((None, N_IN), dtype=dtype))
        rnn = from_keras(model)
        check(model, rnn, sequences(dtype=dtype))
        assert (rnn.output, rnn.readout, rnn.activation) == (output, steps, activation)
        told: Any = {"activation": activation, "output": output, "steps": steps}
        same(from_keras(weights_of(model), **told), rnn)


OUTPUTS = ("softmax", "sigmoid", "linear")


def test_layers_that_change_nothing() -> None:
    plain = chain(layers.SimpleRNN(N, return_sequences=True), layers.Dense(N_OUT, activation="softmax"))
    expected = from_keras(plain)
    inactive = [
        layers.Dropout(0.5),
        layers.SpatialDropout1D(0.5),
        layers.GaussianNoise(1.0),
        layers.Activation("linear"),
    ]
    first = [keras.Input((None, N_IN)), *inactive]
    rnn = layers.SimpleRNN(N, return_sequences=True, dropout=0.3, recurrent_dropout=0.3)
    inner = keras.Sequential([keras.Input((None, N)), layers.TimeDistributed(layers.Dropout(0.5))])
    for end in ([layers.Softmax()], [layers.Activation("softmax"), layers.Identity()], [layers.Softmax(axis=2)]):
        parts = [*first, rnn, inner, layers.TimeDistributed(layers.Dense(N_OUT)), *end]
        model = keras.Sequential(parts)
        model.set_weights(weights_of(plain))
        same(from_keras(model), expected)
        check(model, expected, sequences())


def test_a_functional_model_with_models_in_it() -> None:
    x = keras.Input((TAU, N_IN))
    lower = drawn(keras.Sequential([keras.Input((TAU, N_IN)), layers.SimpleRNN(N, return_sequences=True)]))
    h, _ = layers.SimpleRNN(N, return_state=True)(lower(x))
    model = drawn(keras.Model(x, layers.Dense(N_OUT)(h)))
    check(model, from_keras(model), sequences())
    outer = keras.Sequential([model, layers.Softmax()])
    check(outer, from_keras(outer), sequences())

    class WithItsOwnTraining(keras.Model):  # type: ignore[misc]
        pass

    check(model, from_keras(WithItsOwnTraining(model.inputs, model.outputs)), sequences())


def test_cells_of_a_stack() -> None:
    cells = [layers.SimpleRNNCell(N), layers.SimpleRNNCell(4, use_bias=False)]
    model = chain(layers.RNN(cells, return_sequences=True), layers.Dense(N_OUT))
    check(model, from_keras(model), sequences())
    model = chain(layers.Bidirectional(layers.RNN(layers.SimpleRNNCell(N))), layers.Dense(N_OUT))
    check(model, from_keras(model), sequences())


def test_a_backward_layer_of_its_own() -> None:
    backward = layers.SimpleRNN(N, go_backwards=True, use_bias=False)
    model = chain(layers.Bidirectional(layers.SimpleRNN(N), backward_layer=backward), layers.Dense(N_OUT))
    rnn = from_keras(model)
    check(model, rnn, sequences())
    same(from_keras(weights_of(model), output="linear", steps="last"), rnn)


def test_the_state_of_a_stateful_layer_is_h0() -> None:
    rnn = layers.SimpleRNN(N, return_sequences=True, stateful=True)
    model = chain(rnn, layers.Dense(N_OUT), x=keras.Input(batch_shape=(BATCH, TAU, N_IN)))
    x = sequences()
    ours = from_keras(model)
    check(model, ours, x)
    run = ours.forward(x.swapaxes(0, 1))
    o = ours.forward(x.swapaxes(0, 1), h0=run.h_last).o
    assert np.abs(numpy_of(model(x)) - o.swapaxes(0, 1)).max() <= TOLERANCE["float32"]


def test_an_output_unit_that_the_loss_has_inside() -> None:
    model = chain(layers.SimpleRNN(N), layers.Dense(N_OUT))
    x = sequences()
    for output in ("softmax", "sigmoid"):
        rnn = from_keras(model, output=output)
        assert rnn.output == output
        assert np.abs(rnn.forward(x.swapaxes(0, 1)).o - numpy_of(model(x))).max() <= TOLERANCE["float32"]


# ---- Tokens ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("both", [False, True])
def test_an_embedding_is_part_of_the_weights_of_a_token(both: bool, dtype: str) -> None:
    rnn = layers.SimpleRNN(N, return_sequences=True, dtype=dtype)
    parts = [layers.Embedding(N_IN, 7, dtype=dtype), layers.Dropout(0.5, dtype=dtype)]
    parts += [layers.Bidirectional(rnn, dtype=dtype) if both else rnn, layers.Dense(N_OUT, dtype=dtype)]
    model = chain(*parts, x=keras.Input((None,), dtype="int32"))
    ours = from_keras(model)
    assert (ours.input, ours.n_in) == ("token", N_IN)
    check(model, ours, sequences("token"))
    same(from_keras(weights_of(model), output="linear", steps="all", input="token"), ours)


def test_a_kernel_that_scales_what_it_picks() -> None:
    model = chain(layers.Embedding(N_IN, N), layers.SimpleRNN(N), layers.Dense(N_OUT), x=keras.Input((None,)))
    model.layers[1].cell.kernel.assign(0.5 * np.eye(N))
    check(model, from_keras(model), sequences("token"))


def test_one_hot_vectors_become_tokens() -> None:
    parts = layers.SimpleRNN(N, return_sequences=True), layers.Dense(N_OUT)
    encoded = chain(layers.CategoryEncoding(N_IN, output_mode="one_hot"), *parts, x=keras.Input((None,), dtype="int32"))
    ours = from_keras(encoded)
    assert ours.input == "token"
    tokens = sequences("token")
    check(encoded, ours, tokens)
    same(from_keras(weights_of(encoded), output="linear", steps="all", input="token"), ours)
    plain = chain(*parts)
    ours = from_keras(plain, input="token")
    check(plain, ours, np.eye(N_IN, dtype=np.float32)[tokens], tokens)


# ---- Masks ----


@pytest.mark.parametrize("both", [False, True])
def test_a_mask_is_what_lengths_leave_out(both: bool) -> None:
    """Padding at the end as `lengths`; padding at the beginning, as Keras does by default, as a list of sequences."""
    for tokens in (False, True):
        rnn, top = layers.SimpleRNN(N, return_sequences=True), layers.SimpleRNN(N)
        first = [layers.Embedding(N_IN, 7, mask_zero=True)] if tokens else [layers.Masking()]
        stack = [layers.Bidirectional(one) for one in (rnn, top)] if both else [rnn, top]
        x = keras.Input((None,), dtype="int32") if tokens else None
        model = chain(*first, *stack, layers.Dense(N_OUT), x=x)
        ours = from_keras(model, mask="lengths")
        with pytest.raises(
            ValueError, match=r"^mask: expected 'lengths' for a model with a mask \((Emb|Mask).*, got None$"
        ):
            from_keras(model)
        lengths = [9, 4, 1, 6]
        x = 1 + sequences("token") % (N_IN - 1) if tokens else sequences()
        as_list = [row[:length].copy() for row, length in zip(x, lengths, strict=True)]
        for i, length in enumerate(lengths):
            x[i, length:] = 0
        limit = TOLERANCE["float32"]
        assert np.abs(ours.forward(x.swapaxes(0, 1), lengths=lengths).o - numpy_of(model(x))).max() <= limit
        for i, length in enumerate(lengths):
            x[i] = np.roll(x[i], TAU - length, axis=0)
        o = np.stack(ours.forward(as_list).o)
        assert np.abs(o - numpy_of(model(x))).max() <= limit


# ---- To Keras ----

ROUND = list(itertools.product(("real", "token"), (False, True), ("float32", "float64")))


@pytest.mark.parametrize(("kind", "both", "dtype"), ROUND)
def test_a_round_trip_is_the_same_network(kind: Any, both: bool, dtype: str) -> None:
    for steps, activation, output in zip(("all", "last", "all"), ("tanh", "relu", "tanh"), OUTPUTS, strict=True):
        options: Any = {"input": kind, "readout": steps, "activation": activation, "output": output, "dtype": dtype}
        rnn = ElmanRNN(N_IN, (N, 4), N_OUT, bidirectional=both, seed=0, init="uniform", **options)
        rnn.layers[0].U[:2] = [[-0.0], [np.inf]]
        model = to_keras(rnn)
        same(from_keras(model), rnn)
        told: Any = {"activation": activation, "output": output, "steps": steps, "input": kind}
        same(from_keras(weights_of(model), **told), rnn)
        rnn.layers[0].U[:2] = 0.25
        model = to_keras(rnn)
        for tau in (1, TAU):
            check(model, rnn, sequences(kind, dtype)[:, :tau])


def test_a_model_of_tokens_has_the_parameters_of_the_network_to_train() -> None:
    for both in (False, True):
        rnn = ElmanRNN(N_IN, (N, 4), N_OUT, input="token", bidirectional=both, seed=0)
        model = to_keras(rnn)
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
        tokens = sequences("token")
        model.fit(tokens, tokens % N_OUT, epochs=1, verbose=0)
        assert sum(int(np.prod(variable.shape)) for variable in model.trainable_weights) == rnn.parameters.size
        trained = from_keras(model)
        assert trained.layers[0].U.tobytes() == weights_of(model)[0].T[:N].tobytes()
        assert not np.array_equal(trained.layers[0].U, rnn.layers[0].U)
        check(model, trained, tokens)


def test_a_network_without_inputs() -> None:
    rnn = ElmanRNN(0, N, N_OUT, seed=0)
    rnn.b = np.linspace(-1, 1, N)
    model = to_keras(rnn)
    same(from_keras(model), rnn)
    check(model, rnn, np.zeros((BATCH, TAU, 0), np.float32))


# ---- What is imported, and another backend ----


def test_keras_is_imported_when_it_is_needed() -> None:
    lines = (
        "import sys, numpy as np, bptt, bptt.keras",
        "arrays = [np.ones(shape, np.float32) for shape in ((2, 3), (3, 3), (3, 1))]",
        "rnn = bptt.keras.from_keras(arrays, output='linear', steps='last')",
        "assert not {'keras', 'torch', 'jax'} & set(sys.modules)",
        "sys.modules['torch'] = None",
        "bptt.keras.to_keras(rnn)",
    )
    done = run_python("\n".join(lines), KERAS_BACKEND="torch")
    expected = "ImportError: bptt.keras: expected a backend of Keras that is installed, got none named 'torch': set "
    assert done.stderr.splitlines()[-1] == expected + "KERAS_BACKEND to 'torch' or 'jax'"


JAX = """
import numpy as np, bptt
from bptt.keras import from_keras, to_keras

tokens = np.arange(36).reshape(4, 9) % 5
rnn = bptt.ElmanRNN(5, (6, 4), 3, input="token", bidirectional=True, seed=0)
model = to_keras(rnn)
back = from_keras(model)
assert back.configuration() == rnn.configuration()
assert back.parameters.tobytes() == rnn.parameters.tobytes()
print(np.abs(np.asarray(model(tokens)) - rnn.forward(tokens.T).y_hat.swapaxes(0, 1)).max())
try:
    to_keras(bptt.ElmanRNN(5, 6, 3, dtype="float64"))
except ValueError as error:
    print(error)
"""


def test_with_jax() -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    done = run_python(JAX, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    error, refused = done.stdout.splitlines()
    assert float(error) <= TOLERANCE["float32"]  # of outputs up to 1
    assert refused == "rnn: expected float32, without which Keras does not run a SimpleRNN on JAX, got float64"
