"""RNN nodes of ONNX as networks."""

from __future__ import annotations

import os
from typing import Any, Literal, NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import load_external_data_for_model, uses_external_data

from bptt._arrays import Array, need_memory
from bptt._checks import a_path, choice, shown
from bptt._whole_file import read_json
from bptt.networks.elman import ElmanRNN
from bptt.onnx.arithmetic import through, times
from bptt.onnx.exporting import PROPERTY
from bptt.onnx.node import Layer
from bptt.onnx.trace import Trace
from bptt.onnx.values import Affine, Content, Given, Hidden, Tensor, Tokens, Unit

_UNITS = ("softmax", "sigmoid", "linear")


def load(
    model: str | os.PathLike[str] | bytes | Any, *, output: Literal["softmax", "sigmoid", "linear"] | None = None
) -> ElmanRNN:
    """Return the network that the RNN nodes of an ONNX model are, with the readout on them.

    It reads what `export` writes, what PyTorch writes of an `nn.RNN` and an `nn.Linear`
    (``torch.onnx.export(..., dynamo=False)``; the newer exporter leaves no RNN nodes), and what others write alike: a
    stack of RNN nodes of tanh or relu, in one direction or two, in either ``layout``; a readout of ``MatMul``, ``Add``
    or ``Gemm`` on h(t) or on the last states; ``Softmax`` or ``Sigmoid``; tokens through ``Gather`` or ``OneHot``; and
    what turns, joins and parts axes between them. A scaling or a matrix before a layer becomes part of its U and b, and
    so does a table that tokens are looked up in.

    Whatever the order of the model's axes is, the network's is ``[tau, batch, n]``. An input with states before the
    first step is the network's ``h0``, one with lengths its ``lengths``.

    Parameters
    ----------
    model : path-like, bytes or onnx.ModelProto
        A file, the bytes of one, or a model.
    output : {"softmax", "sigmoid", "linear"}, optional
        The output unit of a model that ends with logits, as PyTorch's mostly do. By default the one that the model has,
        or that `export` has noted, else ``"linear"``.

    Returns
    -------
    ElmanRNN
        Of the model's dtype. Where nothing reads the states, they are its outputs: V is the identity, and c is 0. Where
        nothing but last states comes out, or is read, its `readout` is ``"last"``.

    Raises
    ------
    ValueError
        If the model is damaged or no model of ONNX; or if it has what an `ElmanRNN` cannot be. The message names the
        node and its attribute or input (clip, another activation, direction ``"reverse"``, ``initial_h`` of other
        constants than 0), or the operator.
    TypeError
        If `model` is something else.
    OSError
        What the system says (no such file, no permission).

    Examples
    --------
    >>> import bptt.onnx
    >>> bptt.onnx.load(bptt.onnx.to_onnx(rnn))
    ElmanRNN(3, 8, 2, input='real', output='softmax', readout='all', dtype='float32')
    """
    if output is not None:
        choice("output", output, _UNITS)
    if isinstance(model, onnx.ModelProto):
        return _named("model", model, output)
    if isinstance(model, bytes):
        return _named("model", _parsed("model", model), output)
    try:
        name = a_path("model", model)
    except TypeError:
        raise TypeError(f"model: expected a path, bytes or an onnx.ModelProto, got {type(model).__name__}") from None
    with open(name, "rb") as file:
        data = file.read()
    need_memory(len(data))
    proto = _parsed(name, data)
    if any(map(uses_external_data, proto.graph.initializer)):
        try:
            load_external_data_for_model(proto, os.path.dirname(os.path.abspath(name)))
        except (ValueError, onnx.checker.ValidationError) as error:
            raise ValueError(f"{name}: {error}") from None
    return _named(name, proto, output)


def _parsed(name: str, data: bytes) -> Any:
    try:
        return onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ValueError(f"{name}: expected a model of ONNX: {error}") from None


def _named(name: str, model: Any, output: str | None) -> ElmanRNN:
    """The network of a model; errors begin with this name."""
    try:
        noted = _noted(model)
        trace = Trace(model)
        readout = _readout(trace)
        layers, x = _stack(trace.layers, readout.top)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if output is not None and readout.unit not in (None, output):
        raise ValueError(f"output: expected {readout.unit!r}, as the model has, or None, got {output!r}")
    try:
        unit = readout.unit or output or ("linear" if readout.V is None else noted["output"])
        network = _network(layers, x, readout, unit)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    network.metadata = noted["metadata"]
    return network


def _noted(model: Any) -> dict[str, Any]:
    """What `export` has noted in a model; else what is so of any."""
    noted: dict[str, Any] = {"output": "linear", "metadata": {}}
    for one in model.metadata_props:
        if one.key == PROPERTY:
            try:
                found = read_json(one.value)
            except ValueError as error:
                raise ValueError(f"metadata {PROPERTY!r}: {error}") from None
            keys = found.keys() if isinstance(found, dict) else ()
            if keys != noted.keys() or found["output"] not in _UNITS or not isinstance(found["metadata"], dict):
                raise ValueError(f"metadata {PROPERTY!r}: expected an output unit and metadata, got {shown(found)}")
            noted = found
    return noted


class _Readout(NamedTuple):
    """What a model makes of the states of a layer."""

    top: int
    last: bool
    V: Array | None
    c: Array | None
    unit: str | None


def _readout(trace: Trace) -> _Readout:
    """The one readout that all outputs of a model belong to."""
    if not trace.layers:
        raise ValueError(
            "expected RNN nodes, got none (PyTorch's exporter writes them with dynamo=False; "
            "bptt.torch.from_torch takes the module itself)"
        )
    units, readouts = set(), {}
    states: list[Hidden] = []
    for name, value in trace.outputs.items():
        holds: Any = value.holds if isinstance(value, Tensor) else None
        if has_unit := isinstance(holds, Unit):
            units.add(holds.name)
            holds = holds.of
        base, key = holds, []
        while isinstance(base, Affine):
            key += [id(base.matrix), id(base.vector)]
            base = base.of
        if not isinstance(value, Tensor) or not isinstance(base, Hidden):
            raise ValueError(f"output {name!r}: expected states, or a readout of them, got others")
        if has_unit or base is not holds:
            assert value.width is not None
            readouts[tuple(key), base.states, base.last] = (name, holds, value.width)
        elif _apart(value):
            raise ValueError(f"output {name!r}: expected the units of a state side by side, got them apart")
        else:
            states.append(base)
    if len(readouts) > 1 or len(units) > 1:
        names = ", ".join(repr(name) for name, _, _ in readouts.values())
        raise ValueError(f"expected one readout and one output unit, got those of the outputs {names}")
    unit = units.pop() if units else None
    for _, holds, width in readouts.values():
        dtype = trace.layers[0].node.U.dtype
        V, c, base = through(np.eye(width, dtype=dtype), np.zeros(width, dtype), holds)
        top = base.states[0][0]
        if base.states != _all_directions(trace.layers, top):
            raise ValueError("expected a readout of all directions of one layer, the forward one first, got others")
        if V.dtype != dtype or c.dtype != dtype:
            raise ValueError(f"expected a readout of {dtype}, as the RNN nodes are, got {V.dtype}")
        return _Readout(top, base.last, V, c, unit)
    top = max(layer for one in states for layer, _ in one.states)
    last = all(one.last for one in states if top in dict(one.states))
    return _Readout(top, last, None, None, None)


def _apart(states: Tensor) -> bool:
    """Whether the units of a state are neither an axis nor side by side with those of other states."""
    unit = states.feature[-1:]
    return any(unit[0] in axis and axis not in (states.feature, unit) for axis in states.axes if unit)


def _all_directions(layers: list[Layer], k: int) -> tuple[tuple[int, int], ...]:
    """The states of a layer, the forward one first."""
    return tuple((k, direction) for direction in range(layers[k].node.directions))


def _stack(found: list[Layer], top: int) -> tuple[list[Layer], Given | Tokens]:
    """The layers from the bottom to the top, and what the lowest one reads."""
    layers, k = [found[top]], top
    while True:
        layer = layers[0]
        below: Content = layer.below
        while isinstance(below, Affine):
            below = below.of
        if isinstance(below, Given | Tokens):
            break
        where = f"RNN {layer.name!r}: X: expected"
        if not isinstance(below, Hidden) or below.last:
            raise ValueError(f"{where} an input of the model, or h(t) of the layer below, got others")
        k = below.states[0][0]
        if below.states != _all_directions(found, k):
            raise ValueError(f"{where} all directions of one layer, the forward one first, got others")
        layers.insert(0, found[k])
    if len(layers) < len(found):
        others = ", ".join(repr(one.name) for one in found if all(one is not layer for layer in layers))
        raise ValueError(f"expected RNN nodes that stand upon one another, got {others} beside them")
    first = layers[0]
    for layer in layers[1:]:
        where = f"RNN {layer.name!r}: expected"
        if layer.node.activation != first.node.activation or layer.node.directions != first.node.directions:
            raise ValueError(f"{where} the activation and the direction of {first.name!r}, got others")
        if (layer.time, layer.batch, layer.has_lengths) != (first.time, first.batch, first.has_lengths):
            raise ValueError(f"{where} the steps, the batch and the lengths of {first.name!r}, got others")
        if layer.node.U.dtype != first.node.U.dtype:
            raise ValueError(f"{where} {first.node.U.dtype}, as {first.name!r} is, got {layer.node.U.dtype}")
    return layers, below


def _network(layers: list[Layer], x: Given | Tokens, readout: _Readout, output: str) -> ElmanRNN:
    weights = [[_weights(layer, direction) for direction in range(layer.node.directions)] for layer in layers]
    top, first = layers[-1].node, layers[0].node
    width = top.directions * top.U.shape[1]
    network = ElmanRNN(
        weights[0][0][0].shape[1],
        tuple(layer.node.U.shape[1] for layer in layers),
        width if readout.V is None else len(readout.V),
        input="token" if isinstance(x, Tokens) else "real",
        output=output,  # type: ignore[arg-type]
        readout="last" if readout.last else "all",
        activation=first.activation,  # type: ignore[arg-type]
        bidirectional=first.directions == 2,
        dtype=first.U.dtype,
        init=None,
    )
    for to, of in zip(network.layers, weights, strict=True):
        for one, (U, W, b) in zip((to, to.reverse), of, strict=False):
            assert one is not None
            one.U, one.W, one.b = U, W, b
    network.V = np.eye(width) if readout.V is None else readout.V
    if readout.c is not None:
        network.c = readout.c
    return network


def _weights(layer: Layer, direction: int) -> tuple[Array, Array, Array]:
    """U, W and b of a layer in a direction, with what is between it and the layer below, or the tokens."""
    node = layer.node
    U, b, below = through(node.U[direction], node.b[direction], layer.below)
    if isinstance(below, Tokens) and below.table is not None:
        U = times(U, below.table.T)
    if U.dtype != node.U.dtype or b.dtype != node.U.dtype:
        raise ValueError(f"RNN {layer.name!r}: X: expected {node.U.dtype}, as W is, got {U.dtype}")
    return U, node.W[direction], b
