"""Layers under a readout: figures 10.3 and 10.5; in two directions figure 10.11; several of them figure 10.13 (a).

One layer in one direction is the book's network, equations 10.8-10.14 and 10.17-10.28. In a stack each layer reads h(t)
of the layer below it in place of x(t). A second direction is a layer of its own letters that goes through the same
steps from t = tau to 1; what is above reads h(t) of both side by side, forward first.

Inside, ``h[layer][direction]`` is h(0) ... h(tau) in the order in which the direction goes: of the second direction
h(0) is the state before its first step, which is that of t = tau.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from .batches import for_each, number_of_sequences
from .layer import (
    Activation,
    Input,
    below_gradients,
    check_steps,
    layer_backward,
    layer_forward,
    parameter_gradients,
    reset_flags,
)
from .parameters import Layer, Stack, sum_of_stacks
from .readout import (
    OUTPUT_UNIT,
    Output,
    Target,
    Weight,
    output_gradient,
    output_of,
    readout_gradients,
    state_gradients,
    step_weights,
    total_loss,
)
from .vectors import Vector, masked, vector_sum, zeros

Readout = Literal["all", "last"]
State = Any
"""h(0) or h(tau) of a network: a vector ``[n_hidden]`` for one layer in one direction; otherwise a list with one entry
a layer, which is a vector, or with two directions a pair of vectors (forward, reverse)."""


@dataclass
class Run:
    """The states and outputs of a sequence.

    ``h [tau, n]`` is h(1) ... h(tau) of the top layer, and ``layers`` of each, with two directions side by side. ``o``
    and ``y_hat`` are ``[tau, n_out]``, or ``[n_out]`` for the readout "last". ``h_last`` is what each direction ends
    with, in the form of h0.
    """

    h: list[Vector]
    o: list[Vector] | Vector
    y_hat: list[Vector] | Vector
    layers: list[list[Vector]]
    h_last: State


@dataclass
class Gradients(Stack):
    """dL/dU ... dL/dc where the parameters are, ``h0`` in the form of h0, ``x [tau, n_in]`` (None for tokens)."""

    h0: State
    x: list[Vector] | None


@dataclass
class BatchGradients(Stack):
    """dL/dU ... dL/dc summed over the sequences; ``h0`` and ``x`` hold one entry a sequence (``x`` None for tokens)."""

    h0: list[State]
    x: list[list[Vector]] | None


# --- Two directions, figure 10.11


def directions(layer: Layer) -> list[Layer]:
    return [layer] if layer.reverse is None else [layer, layer.reverse]


def in_order(steps: Sequence[Any], direction: int) -> Sequence[Any]:
    """From the order of time to that of a direction, and back."""
    return steps[::-1] if direction == 1 else steps


def resets_in_order(reset: list[bool], direction: int) -> list[bool]:
    """A new sequence that starts at t ends another at t - 1: there the second direction starts anew."""
    return [False, *reset[:0:-1]] if direction == 1 else reset


def concatenate(vectors: Sequence[Vector]) -> Vector:
    return [entry for vector in vectors for entry in vector]


def side_by_side(h: list[list[Vector]]) -> list[Vector]:
    """h(1) ... h(tau) of a layer, of all its directions."""
    in_time = [in_order(h_d[1:], d) for d, h_d in enumerate(h)]
    return [concatenate(states) for states in zip(*in_time, strict=True)]


def by_direction(layer: Layer, dh: list[Vector], tau: int) -> list[list[Vector]]:
    """The gradients of what `side_by_side` gives, back to where they belong.

    Where only the last states are read (figure 10.5), ``dh`` is theirs, and that of the other steps is 0.
    """
    n = len(layer.b)
    parts = [dh] if layer.reverse is None else [[dh_t[:n] for dh_t in dh], [dh_t[n:] for dh_t in dh][::-1]]
    return [[zeros(len(part[0]))] * (tau - len(part)) + part for part in parts]


# --- h(0) and h(tau), as they are given and as they are used inside


def state_list(layers: list[Layer], state: State | None) -> list[list[Vector]]:
    """One list a layer with one vector a direction."""
    if state is None:
        return [[zeros(len(letters.b)) for letters in directions(layer)] for layer in layers]
    if layers[0].reverse is not None:
        return [list(pair) for pair in state]
    return [[state]] if len(layers) == 1 else [[vector] for vector in state]


def as_state(states: list[list[Vector]]) -> State:
    if len(states[0]) == 2:
        return [(forward, reverse) for forward, reverse in states]
    return states[0][0] if len(states) == 1 else [forward for (forward,) in states]


# --- Forward, layer by layer


def unfold(
    layers: list[Layer], x: Sequence[Any], h0: State | None, reset: list[bool], input: Input, activation: Activation
) -> list[list[list[Vector]]]:
    """h(0) ... h(tau) of every layer and direction."""
    check_steps(x)
    h: list[list[list[Vector]]] = []
    below = x  # h^0(t) = x(t)
    for layer, h0_l in zip(layers, state_list(layers, h0), strict=True):
        h_l = [
            layer_forward(letters, in_order(below, d), h0_d, resets_in_order(reset, d), input, activation)  # 10.8-10.9
            for d, (letters, h0_d) in enumerate(zip(directions(layer), h0_l, strict=True))
        ]
        h.append(h_l)
        below, input = side_by_side(h_l), "real"
    return h


def outputs(parameters: Stack, h: list[list[Vector]], readout: Readout) -> tuple[list[Vector], list[Vector]]:
    """The states that are read of the top layer's, and their outputs: of every step, or one of each (figure 10.5)."""
    if readout not in ("all", "last"):
        raise ValueError(f'readout: expected "all" or "last", got {readout!r}')
    read = side_by_side(h) if readout == "all" else [concatenate([h_d[-1] for h_d in h])]
    return read, [output_of(parameters.V, parameters.c, h_t) for h_t in read]  # 10.10


def targets(y: Any, weight: Any, tau: int, output: Output, readout: Readout) -> tuple[Sequence[Any], list[Weight]]:
    """y(t) and the weight of L(t) for every output; the weight is 0 where there is no target."""
    if readout == "last":
        y, weight, tau = [y], [1.0 if weight is None else weight], 1
    return y, step_weights(y, weight, tau, output)


def forward(
    parameters: Stack,
    x: Sequence[Vector] | Sequence[int],
    h0: State | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
    activation: Activation = "tanh",
    reset: Sequence[bool] | None = None,
) -> Run:
    """Run the network over one sequence, equations 10.8-10.11.

    Parameters
    ----------
    parameters
        U, W, b of every layer and direction, V, c.
    x
        Real vectors ``[tau, n_in]``, or tokens ``[tau]`` in ``[0, n_in)``.
    h0
        h(0), 0 by default: ``[n_hidden]`` for one layer in one direction; otherwise a list with one entry a layer,
        which is ``[n]``, or with two directions a pair (forward, reverse) of them. The reverse one enters at t = tau.
    input, output, readout
        What x(t) is, the output unit, and whether every step has an output or only the last. The last step of the
        second direction is that of t = 1.
    activation
        f of all layers.
    reset
        True where a new sequence starts, ``[tau]``: such a step sees 0 in place of h(t-1), and the second direction's
        step t-1 sees 0 in place of its state of t. Nowhere by default.
    """
    h = unfold(parameters.layers, x, h0, reset_flags(reset, len(x)), input, activation)
    _, o = outputs(parameters, h[-1], readout)
    y_hat = [OUTPUT_UNIT[output](o_t) for o_t in o]  # 10.11
    layers = [side_by_side(h_l) for h_l in h]
    h_last = as_state([[h_d[-1] for h_d in h_l] for h_l in h])
    if readout == "last":
        return Run(layers[-1], o[0], y_hat[0], layers, h_last)
    return Run(layers[-1], o, y_hat, layers, h_last)


def loss(
    parameters: Stack,
    x: Sequence[Vector] | Sequence[int],
    y: Sequence[Target] | Target,
    h0: State | None = None,
    weight: Sequence[Weight] | Weight | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
    activation: Activation = "tanh",
    reset: Sequence[bool] | None = None,
) -> float:
    """The total loss of one sequence: the weighted sum of L(t) over its steps, equations 10.12-10.14.

    Parameters
    ----------
    parameters, x, h0, input, output, readout, activation, reset
        As in `forward`.
    y
        softmax: classes ``[tau]`` in ``[0, n_out)``, or -1 where there is no target; sigmoid (between 0 and 1) and
        linear: ``[tau, n_out]``, NaN where there is none. Without the axis tau if the readout is "last".
    weight
        What L(t) is multiplied by, ``[tau]``, or one float if the readout is "last"; 1 by default. For sigmoid and
        linear it may be ``[tau, n_out]``, one for each output. Where it is 0, y is not read.
    """
    h = unfold(parameters.layers, x, h0, reset_flags(reset, len(x)), input, activation)
    _, o = outputs(parameters, h[-1], readout)
    y, weight = targets(y, weight, len(x), output, readout)
    return total_loss(o, y, weight, output)


# --- Back-propagation through time, from the top layer to the lowest


def through_layer(
    layer: Layer,
    below: Sequence[Any],
    h: list[list[Vector]],
    from_above: list[list[Vector]],
    reset: list[bool],
    input: Input,
    activation: Activation,
) -> tuple[Layer, list[Vector], list[Vector]]:
    """The gradients of a layer, of h(0) of its directions, and the part of dL/dh^(l-1)(t) that comes through it."""
    gradients, dh0, dbelow = [], [], []
    for d, letters in enumerate(directions(layer)):
        reset_d = resets_in_order(reset, d)
        da, dh0_d = layer_backward(letters, h[d], from_above[d], reset_d, activation)  # 10.19-10.21
        r = [masked(h_t, reset_t) for h_t, reset_t in zip(h[d][:-1], reset_d, strict=True)]
        gradients.append(parameter_gradients(letters, in_order(below, d), r, da, input))  # 10.23, 10.26, 10.28
        dh0.append(dh0_d)
        dbelow.append(in_order(below_gradients(letters, da), d))
    gradient = gradients[0] if layer.reverse is None else replace(gradients[0], reverse=gradients[1])
    return gradient, dh0, [vector_sum(*parts) for parts in zip(*dbelow, strict=True)]


def loss_and_gradients(
    parameters: Stack,
    x: Sequence[Vector] | Sequence[int],
    y: Sequence[Target] | Target,
    h0: State | None = None,
    weight: Sequence[Weight] | Weight | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
    activation: Activation = "tanh",
    reset: Sequence[bool] | None = None,
) -> tuple[float, Gradients]:
    """The loss of one sequence and its exact gradients, equations 10.17-10.28; the arguments are those of `loss`."""
    layers = parameters.layers
    reset = reset_flags(reset, len(x))
    h = unfold(layers, x, h0, reset, input, activation)
    h_read, o = outputs(parameters, h[-1], readout)
    y, weight = targets(y, weight, len(x), output, readout)

    do = [output_gradient(o_t, y_t, w_t, output) for o_t, y_t, w_t in zip(o, y, weight, strict=True)]  # 10.18
    dV, dc = readout_gradients(do, h_read)  # 10.24, 10.22
    dh = state_gradients(parameters.V, do)  # V^T do(t)
    gradients: list[Layer] = []
    dh0: list[list[Vector]] = []
    for k in reversed(range(len(layers))):
        below, input_k = (x, input) if k == 0 else (side_by_side(h[k - 1]), "real")
        from_above = by_direction(layers[k], dh, len(x))
        gradient, dh0_k, dh = through_layer(layers[k], below, h[k], from_above, reset, input_k, activation)
        gradients.insert(0, gradient)
        dh0.insert(0, dh0_k)
    return total_loss(o, y, weight, output), Gradients(
        layers=gradients, V=dV, c=dc, h0=as_state(dh0), x=dh if input == "real" else None
    )


def batch_loss_and_gradients(
    parameters: Stack,
    xs: Sequence[Sequence[Vector] | Sequence[int]],
    ys: Sequence[Sequence[Target] | Target],
    h0s: Sequence[State | None] | None = None,
    weights: Sequence[Sequence[Weight] | Weight | None] | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
    activation: Activation = "tanh",
    resets: Sequence[Sequence[bool] | None] | None = None,
) -> tuple[float, BatchGradients]:
    """`loss_and_gradients` of sequences of any lengths: a loop, and the sum of what the sequences share."""
    n = number_of_sequences(xs)
    sequences = zip(xs, ys, for_each(h0s, n), for_each(weights, n), for_each(resets, n), strict=True)
    options: dict[str, Any] = {"input": input, "output": output, "readout": readout, "activation": activation}
    results = [
        loss_and_gradients(parameters, x, y, h0, weight, **options, reset=reset)
        for x, y, h0, weight, reset in sequences
    ]
    gradients = [g for _, g in results]
    return math.fsum(L for L, _ in results), BatchGradients(
        **vars(sum_of_stacks(gradients)),
        h0=[g.h0 for g in gradients],
        x=[g.x for g in gradients if g.x is not None] or None,
    )
