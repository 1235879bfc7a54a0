"""Networks to and fro: a chain of `keras.layers.SimpleRNN` with a `keras.layers.Dense` on it is an `ElmanRNN`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from bptt._arrays import Array
from bptt._checks import choice
from bptt.keras.models import Found, imported_keras, read
from bptt.keras.weights import weights_in_list
from bptt.networks.elman import ElmanRNN
from bptt.networks.parameters import Layer


def from_keras(
    model: Any,
    *,
    activation: Literal["tanh", "relu"] | None = None,
    output: Literal["softmax", "sigmoid", "linear"] | None = None,
    steps: Literal["all", "last"] | None = None,
    input: Literal["real", "token"] | None = None,
    mask: Literal["lengths"] | None = None,
) -> ElmanRNN:
    """Return the network that a model of Keras is. The weights are copied.

    The model is a chain of these layers, of which some may be in models of their own: an ``Embedding`` or
    ``CategoryEncoding``; any number of ``SimpleRNN`` (or ``RNN`` with cells of that kind), or of ``Bidirectional``
    with one; a ``Dense``, which may be in a ``TimeDistributed``; an ``Activation`` or ``Softmax``. Layers such as
    ``Dropout``, which act in training only, are left out. So is the state of a layer with ``stateful=True``: give `h0`.

    Parameters
    ----------
    model : keras.Model, or list of ndarray
        A Sequential or functional model, or what its ``get_weights()`` gives: of float32 or float64, as the network
        then is. b and c are 0 without a bias. An ``Embedding`` and the kernel above it become one U, their product,
        which is computed in float64.
    activation : {"tanh", "relu"}, optional
        That of all layers. A model tells its own. For a list it is tanh by default.
    output : {"softmax", "sigmoid", "linear"}, optional
        The output unit. A model tells its own. Where that is linear because the loss has another inside
        (``from_logits=True``), give the other. For a list it has to be given.
    steps : {"all", "last"}, optional
        Which steps have an output: the `readout` of `ElmanRNN`. A model tells it by ``return_sequences`` of the last
        recurrent layer. For a list it has to be given.
    input : {"real", "token"}, optional
        ``"token"`` for a list that begins with an ``Embedding``, and for layers that read one-hot vectors: the network
        takes their indices. A model with an ``Embedding`` or ``CategoryEncoding`` tells it.
    mask : {"lengths"}, optional
        Has to be given for a model with a mask (``Masking``, or ``Embedding`` with ``mask_zero=True``), since a network
        has none: it takes `lengths`, or a list of sequences. Leave out what the mask would skip.

    Returns
    -------
    ElmanRNN
        It takes x time-major, ``[tau, batch, n_in]``, where the model takes ``[batch, tau, n_in]``.

    Raises
    ------
    TypeError
        If `model` is something else, such as a model with a ``call`` of its own.
    ValueError
        If a layer, or what it is set to, is none that an `ElmanRNN` has; if an array of a list is none that can be in
        its place; if an argument is not as the model has it.
    ImportError
        If `model` is no list, and Keras is not installed.
    """
    for name, value, allowed in (
        ("activation", activation, ("tanh", "relu")),
        ("output", output, ("softmax", "sigmoid", "linear")),
        ("steps", steps, ("all", "last")),
        ("input", input, ("real", "token")),
        ("mask", mask, ("lengths",)),
    ):
        if value is not None:
            choice(name, value, allowed)
    if isinstance(model, list | tuple):
        found = _of_list(model, activation, output, steps, input)
    else:
        found = read(model)
        _check("activation", activation, found.activation)
        _check("steps", steps, found.steps)
        if found.output != "linear":
            _check("output", output, found.output)
        if found.tokens:
            _check("input", input, "token")
    if mask is None and found.mask is not None:
        hint = "the network then needs lengths=, or a list of sequences"
        raise ValueError(f"mask: expected 'lengths' for a model with a mask ({found.mask}): {hint}, got None")
    if mask is not None and found.mask is None:
        raise ValueError(f"mask: expected None for a model without a mask, got {mask!r}")
    return _network(found, output or found.output, input or ("token" if found.tokens else "real"))


def to_keras(rnn: ElmanRNN) -> Any:
    """Return the model of Keras that a network is. The weights are copied.

    `from_keras` gives back the same network to the bit.

    Parameters
    ----------
    rnn : ElmanRNN
        If it reads tokens, an ``Embedding`` has U, and the kernels above it pick from its numbers. They are not
        trained: the model has as many trainable parameters as the network. (A file of the model does not keep that.)

    Returns
    -------
    keras.Sequential
        Of ``SimpleRNN`` (with two directions ``Bidirectional``) and a ``Dense``, for any number of steps and sequences:
        from x ``[batch, tau, n_in]``, or tokens ``[batch, tau]``, to y_hat ``[batch, tau, n_out]``
        (``[batch, n_out]`` for ``readout="last"``).

    Raises
    ------
    TypeError
        If `rnn` is no `ElmanRNN`: a `JordanRNN` has no equal there.
    ValueError
        If it is of float64, and JAX is the backend of Keras: a SimpleRNN of float64 does not run there.
    ImportError
        If Keras is not installed.
    """
    if not isinstance(rnn, ElmanRNN):
        raise TypeError(f"rnn: expected an ElmanRNN, got {type(rnn).__name__}")
    keras = imported_keras()
    for key, plain in rnn.LATER_KEYS.items():
        if key not in ("activation", "bidirectional") and rnn.configuration()[key] != plain:
            raise ValueError(f"rnn: expected {key}={plain!r}, as SimpleRNN has, got {rnn.configuration()[key]!r}")
    dtype = rnn.dtype.name
    if dtype == "float64" and keras.backend.backend() == "jax":
        raise ValueError("rnn: expected float32, without which Keras does not run a SimpleRNN on JAX, got float64")
    weights: list[Array] = []
    if rnn.input == "token":
        tables = [one.U for one in _directions(rnn.layers[0])]
        numbers = sum(map(len, tables))
        weights.append(np.concatenate(tables).T)
        layers = [keras.Input((None,), dtype="int32"), keras.layers.Embedding(rnn.n_in, numbers, dtype=dtype)]
        picking = iter(np.split(np.eye(numbers, dtype=dtype), len(tables), axis=1))
    else:
        layers = [keras.Input((None, rnn.n_in), dtype=dtype)]
        picking = iter(())
    for k, layer in enumerate(rnn.layers):
        sequences = rnn.readout == "all" or k + 1 < len(rnn.layers)
        of = {"activation": rnn.activation, "return_sequences": sequences, "dtype": dtype}
        theirs = keras.layers.SimpleRNN(len(layer.b), **of)
        layers.append(keras.layers.Bidirectional(theirs, dtype=dtype) if rnn.bidirectional else theirs)
        for one in _directions(layer):
            weights += [next(picking, one.U.T), one.W.T, one.b]
    layers.append(keras.layers.Dense(rnn.n_out, activation=rnn.output, dtype=dtype))
    model = keras.Sequential(layers)
    model.set_weights([*weights, rnn.V.T, rnn.c])
    if rnn.input == "token":
        lowest = model.layers[1]
        for one in (lowest.forward_layer, lowest.backward_layer) if rnn.bidirectional else (lowest,):
            one.cell.kernel.trainable = False
    return model


def _check(name: str, given: str | None, found: str) -> None:
    if given not in (None, found):
        raise ValueError(f"{name}: expected {found!r}, as the model has, or None, got {given!r}")


def _of_list(
    arrays: Sequence[Any], activation: str | None, output: str | None, steps: str | None, input: str | None
) -> Found:
    """What a list of weights is, with what its arrays do not tell."""
    tokens = input == "token"
    weights = weights_in_list(arrays, tokens)
    untold = "which a list of weights does not tell, got None"
    if output is None:
        raise ValueError(f"output: expected one of 'softmax', 'sigmoid', 'linear', {untold}")
    if steps is None:
        raise ValueError(f"steps: expected one of 'all', 'last', {untold}")
    return Found(weights, activation or "tanh", output, steps, tokens, None)


def _network(found: Found, output: Any, input: Any) -> ElmanRNN:
    """The network that has these weights."""
    of = found.weights
    kernel = of.layers[0][0].kernel
    n_in = len(kernel if of.embedding is None else of.embedding)
    network = ElmanRNN(
        n_in,
        [len(layer[0].recurrent_kernel) for layer in of.layers],
        of.kernel.shape[1],
        input=input,
        output=output,
        readout=found.steps,  # type: ignore[arg-type]
        activation=found.activation,  # type: ignore[arg-type]
        bidirectional=len(of.layers[0]) == 2,
        dtype=kernel.dtype,
        init=None,
    )
    for k, (layer, directions) in enumerate(zip(network.layers, of.layers, strict=True)):
        for to, direction in zip(_directions(layer), directions, strict=True):
            table = direction.kernel
            if k == 0 and of.embedding is not None:
                table = _product(of.embedding, table)
            to.U, to.W = table.T, direction.recurrent_kernel.T
            if direction.bias is not None:
                to.b = direction.bias
    network.V = of.kernel.T
    if of.bias is not None:
        network.c = of.bias
    return network


def _directions(layer: Layer) -> tuple[Layer, ...]:
    return (layer,) if layer.reverse is None else (layer, layer.reverse)


def _product(embedding: Array, kernel: Array) -> Array:
    """What a kernel makes of each token. One that picks numbers, as `to_keras` makes it, changes no bit of them."""
    place = kernel.argmax(axis=0)
    picks = np.count_nonzero(kernel, axis=0) == 1
    if picks.all() and (np.take_along_axis(kernel, place[None], axis=0) == 1).all():
        return embedding[:, place]
    with np.errstate(all="ignore"):  # what is not finite goes on
        product: Array = np.matmul(embedding, kernel, dtype=np.float64)
    return product
