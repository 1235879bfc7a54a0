"""Back-propagation through time with every step kept: a(t), h(t), do(t), dh(t), da(t), which the gradients are sums of.

As inside `loss_and_gradients` and `jordan_loss_and_gradients`, for ONE sequence. Lists run over t = 1 ... tau in the
order of time, those of a second direction too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .feedback import Feedback, feedback_pass
from .layer import Activation, Input, below_gradients, layer_backward, preactivation, reset_flags
from .leak import Leak, leaky_backward
from .parameters import Layer, Stack
from .readout import Output, Target, Weight, output_gradient, state_gradients
from .stack import (
    Readout,
    State,
    alphas,
    by_direction,
    directions,
    in_order,
    outputs,
    resets_in_order,
    side_by_side,
    targets,
    unfold,
)
from .vectors import Vector, masked, matvec, transpose, vector_sum, zeros


@dataclass
class LayerSteps:
    """``a``, ``h``, ``dh`` and ``da`` of a layer in one direction, ``[tau, n]`` each, and those of the second one."""

    a: list[Vector]
    h: list[Vector]
    dh: list[Vector]
    da: list[Vector]
    reverse: LayerSteps | None = None


@dataclass
class BackwardSteps:
    """``do [tau, n_out]``, one entry for the readout "last"; and the layers from the bottom to the top."""

    do: list[Vector]
    layers: list[LayerSteps]


def steps_of_direction(
    layer: Layer,
    below: Sequence[Any],
    h: list[Vector],
    from_above: list[Vector],
    reset: list[bool],
    input: Input,
    activation: Activation,
    alpha: Vector | None,
) -> LayerSteps:
    """All in the order in which the direction goes; ``h`` over t = 0 ... tau."""
    r = [masked(h_t, reset_t) for h_t, reset_t in zip(h[:-1], reset, strict=True)]
    a = [preactivation(layer, below_t, r_t, input) for below_t, r_t in zip(below, r, strict=True)]  # 10.8
    if alpha is None:
        da, _ = layer_backward(layer, h, from_above, reset, activation)  # 10.19-10.21
    else:
        da, _ = leaky_backward(layer, h, from_above, reset, activation, alpha)
    W_transposed = transpose(layer.W)
    from_next = [masked(matvec(W_transposed, da_t), reset_t) for da_t, reset_t in zip(da[1:], reset[1:], strict=True)]
    dh = [vector_sum(*parts) for parts in zip([*from_next, zeros(len(layer.b))], from_above, strict=True)]
    return LayerSteps(a, h[1:], dh, da)


def in_time(steps: LayerSteps) -> LayerSteps:
    """The steps of a second direction in the order of time."""
    return LayerSteps(steps.a[::-1], steps.h[::-1], steps.dh[::-1], steps.da[::-1])


def backward_steps(
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
    leak: Leak = 1.0,
    v0: State | None = None,
    reset: Sequence[bool] | None = None,
) -> BackwardSteps:
    """What is computed of every step on the way back, equations 10.18-10.21; the arguments are those of `loss`."""
    reset = reset_flags(reset, len(x))
    alpha, initial = alphas(parameters.layers, leak, h0, v0)
    _, h = unfold(parameters.layers, x, initial, reset, input, activation, alpha)
    _, o = outputs(parameters, h[-1], readout)
    y, weight = targets(y, weight, len(x), output, readout)
    do = [output_gradient(o_t, y_t, w_t, output) for o_t, y_t, w_t in zip(o, y, weight, strict=True)]  # 10.18
    dh = state_gradients(parameters.V, do)
    layers: list[LayerSteps] = []
    for k in reversed(range(len(h))):
        below, input_k = (x, input) if k == 0 else (side_by_side(h[k - 1]), "real")
        letters = directions(parameters.layers[k])
        from_above = by_direction(parameters.layers[k], dh, len(x))
        found = []
        for d, letters_d in enumerate(letters):
            steps, reset_d = in_order(below, d), resets_in_order(reset, d)
            given = (letters_d, steps, h[k][d], from_above[d], reset_d)
            found.append(steps_of_direction(*given, input_k, activation, alpha[k]))
        dbelow = [in_order(below_gradients(letters_d, found[d].da), d) for d, letters_d in enumerate(letters)]
        dh = [vector_sum(*parts) for parts in zip(*dbelow, strict=True)]
        if len(found) == 2:
            found[0].reverse = in_time(found[1])
        layers.insert(0, found[0])
    return BackwardSteps(do, layers)


def jordan_backward_steps(
    parameters: Stack,
    x: Sequence[Vector] | Sequence[int],
    y: Sequence[Target],
    r0: Vector | None = None,
    weight: Sequence[Weight] | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    feedback: Feedback = "y_hat",
    activation: Activation = "tanh",
    forced: Sequence[bool] | float = 1.0,
    reset: Sequence[bool] | None = None,
) -> BackwardSteps:
    """What is computed of every step on the way back; the arguments are those of `jordan_loss`.

    ``do(t)`` has what comes back through r(t) too.
    """
    layer = parameters.only_layer
    way = feedback_pass(parameters, x, y, r0, weight, input, output, feedback, activation, forced, reset)
    a = [preactivation(layer, x_t, r_t, input) for x_t, r_t in zip(x, way.r, strict=True)]  # 10.8
    return BackwardSteps(way.do, [LayerSteps(a, way.h, way.dh, way.da)])
