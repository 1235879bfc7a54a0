"""Networks to and fro: `torch.nn.RNN` with a `torch.nn.Linear` on it is an `ElmanRNN`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from bptt._arrays import Array
from bptt._checks import shown
from bptt.networks.elman import ElmanRNN
from bptt.networks.parameters import Layer

_DTYPES = {torch.float32: "float32", torch.float64: "float64"}


def from_torch(
    rnn: nn.RNN | Mapping[str, Tensor],
    readout: nn.Linear | Mapping[str, Tensor],
    *,
    output: Literal["softmax", "sigmoid", "linear"] = "softmax",
    steps: Literal["all", "last"] = "all",
    input: Literal["real", "token"] = "real",
    nonlinearity: Literal["tanh", "relu"] | None = None,
) -> ElmanRNN:
    """Return the network that an `nn.RNN` with an `nn.Linear` on it is. The weights are copied.

    Parameters
    ----------
    rnn : torch.nn.RNN, or its state_dict
        Of float32 or float64; the network has the same dtype. b is ``bias_ih + bias_hh``, 0 without biases. Dropout
        is left out, as in ``rnn.eval()``.
    readout : torch.nn.Linear, or its state_dict
        V and c: from ``[hidden_size]`` (with two directions ``[2 * hidden_size]``) to the outputs. c is 0 without a
        bias.
    output : {"softmax", "sigmoid", "linear"}
        The output unit, which in PyTorch is part of the loss: softmax for ``cross_entropy``, sigmoid for
        ``binary_cross_entropy_with_logits``, linear for ``mse_loss``.
    steps : {"all", "last"}
        Which steps have an output: the `readout` of `ElmanRNN`. ``"last"`` is a Linear on ``h_n`` of the top layer.
    input : {"real", "token"}
        ``"token"`` for an `nn.RNN` that reads one-hot vectors: the network takes their indices.
    nonlinearity : {"tanh", "relu"}, optional
        That of a state_dict, which does not tell it: tanh by default. A module tells its own.

    Returns
    -------
    ElmanRNN
        Of as many layers and directions.

    Raises
    ------
    TypeError
        If `rnn` or `readout` is something else, such as an `nn.LSTM`.
    ValueError
        If a weight is missing, unknown, of another shape or dtype, or if `nonlinearity` is not that of the module.
    """
    if isinstance(rnn, nn.RNN):
        if nonlinearity not in (None, rnn.nonlinearity):
            raise ValueError(f"nonlinearity: expected {rnn.nonlinearity!r}, as rnn has, or None, got {nonlinearity!r}")
        nonlinearity = rnn.nonlinearity
    weights = _weights("rnn", rnn, nn.RNN)
    linear = _weights("readout", readout, nn.Linear)
    dtype, n_hidden, n_in = _sizes(weights)
    bidirectional = "weight_ih_l0_reverse" in weights
    n_layers = sum(name.startswith("weight_hh") for name in weights) // (2 if bidirectional else 1)
    has_bias = any(name.startswith("bias") for name in weights)
    n_out = len(_take("readout", linear, "weight", (None, n_hidden * (2 if bidirectional else 1)), dtype, keep=True))
    network = ElmanRNN(
        n_in,
        (n_hidden,) * n_layers,
        n_out,
        input=input,
        output=output,
        readout=steps,
        activation=nonlinearity or "tanh",
        bidirectional=bidirectional,
        dtype=dtype,
        init=None,
    )
    for ending, layer in _layers(network):
        layer.U = _take("rnn", weights, f"weight_ih_{ending}", layer.U.shape, dtype)
        layer.W = _take("rnn", weights, f"weight_hh_{ending}", layer.W.shape, dtype)
        if has_bias:
            biases = (_take("rnn", weights, f"bias_{of}_{ending}", layer.b.shape, dtype) for of in ("ih", "hh"))
            layer.b = np.add(*biases)
    network.V = _take("readout", linear, "weight", network.V.shape, dtype)
    if "bias" in linear:
        network.c = _take("readout", linear, "bias", network.c.shape, dtype)
    for name, kind, rest in (("rnn", "RNN", weights), ("readout", "Linear", linear)):
        if rest:
            raise ValueError(f"{name}: expected the weights of one nn.{kind} alone, got {shown([*rest])} too")
    return network


def to_torch(rnn: ElmanRNN) -> tuple[nn.RNN, nn.Linear]:
    """Return the `nn.RNN` and the `nn.Linear` that together are a network. The weights are copied.

    The first bias is b and the second one 0, so `from_torch` gives back the same network to the bit. Whoever trains
    them further may want ``requires_grad_(False)`` for the second one: else b takes steps twice as large.

    Parameters
    ----------
    rnn : ElmanRNN
        Its layers have one size, as those of an `nn.RNN` do. If it reads tokens, the `nn.RNN` reads one-hot vectors.

    Returns
    -------
    rnn : torch.nn.RNN
        Time-major (``batch_first=False``), of the network's dtype.
    readout : torch.nn.Linear
        From h(t) of the top layer to o(t). For ``readout="last"`` it reads the last state of each direction.

    Raises
    ------
    TypeError
        If `rnn` is no `ElmanRNN`: a `JordanRNN` has no equal there.
    ValueError
        If its layers have different sizes, if it has no inputs, or if its units are leaky: an `nn.RNN` has no leak.
    """
    if not isinstance(rnn, ElmanRNN):
        raise TypeError(f"rnn: expected an ElmanRNN, got {type(rnn).__name__}")
    sizes = [len(layer.b) for layer in rnn.layers]
    if len(set(sizes)) > 1:
        raise ValueError(f"rnn: expected layers of one size, as nn.RNN has, got {tuple(sizes)}")
    if rnn.leak != 1.0:
        raise ValueError(f"rnn: expected units without a leak, as those of nn.RNN are, got leak={shown(rnn.leak)}")
    if rnn.n_in == 0:
        raise ValueError("rnn: expected at least one input, as nn.RNN has, got 0")
    dtype = next(theirs for theirs, name in _DTYPES.items() if name == rnn.dtype.name)
    module = nn.RNN(
        rnn.n_in, sizes[0], len(sizes), nonlinearity=rnn.activation, bidirectional=rnn.bidirectional, dtype=dtype
    )
    linear = nn.Linear(rnn.V.shape[1], rnn.n_out, dtype=dtype)
    with torch.no_grad():
        for ending, layer in _layers(rnn):
            for name, array in (("weight_ih", layer.U), ("weight_hh", layer.W), ("bias_ih", layer.b)):
                module.get_parameter(f"{name}_{ending}").copy_(torch.from_numpy(array))
            module.get_parameter(f"bias_hh_{ending}").zero_()
        linear.weight.copy_(torch.from_numpy(rnn.V))
        linear.bias.copy_(torch.from_numpy(rnn.c))
    return module, linear


def _layers(network: ElmanRNN) -> list[tuple[str, Layer]]:
    """Each layer and direction, with how the names of its weights end in PyTorch."""
    found = []
    for k, layer in enumerate(network.layers):
        found.append((f"l{k}", layer))
        if layer.reverse is not None:
            found.append((f"l{k}_reverse", layer.reverse))
    return found


def _weights(name: str, value: Any, kind: type[nn.Module]) -> dict[str, Any]:
    """The weights of a module of this kind, or of its state_dict."""
    if isinstance(value, kind):
        value = value.state_dict()
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: expected a torch.nn.{kind.__name__} or its state_dict, got {type(value).__name__}")
    return dict(value)


def _sizes(weights: dict[str, Any]) -> tuple[str, int, int]:
    """The dtype, n_hidden and n_in that the first layer has."""
    for name in ("weight_ih_l0", "weight_hh_l0"):
        if not isinstance(weights.get(name), Tensor):
            raise ValueError(f"rnn: expected a tensor {name!r}, got {shown([*weights])}")
    first = weights["weight_ih_l0"]
    if first.dtype not in _DTYPES:
        raise ValueError(f"rnn: expected torch.float32 or torch.float64, got {first.dtype}")
    if first.dim() != 2:
        raise ValueError(f"rnn: expected weight_ih_l0 of shape [hidden_size, input_size], got {tuple(first.shape)}")
    return _DTYPES[first.dtype], int(first.shape[0]), int(first.shape[1])


def _take(
    name: str, weights: dict[str, Any], key: str, shape: tuple[int | None, ...], dtype: str, keep: bool = False
) -> Array:
    """One weight as an array, in which None stands for any size; it is taken out of `weights`, unless kept."""
    tensor = weights.get(key)
    if not isinstance(tensor, Tensor):
        got = "none" if tensor is None else type(tensor).__name__
        raise ValueError(f"{name}: expected a tensor {key!r}, got {got}")
    found = tuple(tensor.shape)
    if len(found) != len(shape) or any(n not in (None, m) for n, m in zip(shape, found, strict=True)):
        expected = ["n_out" if n is None else n for n in shape]
        raise ValueError(f"{name}: expected {key} of shape {expected}, got {found}")
    if _DTYPES.get(tensor.dtype) != dtype:
        raise ValueError(f"{name}: expected {key} of {dtype}, as weight_ih_l0 is, got {tensor.dtype}")
    if not keep:
        del weights[key]
    array: Array = tensor.detach().cpu().numpy()
    return array
