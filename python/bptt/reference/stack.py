"""Layers under a readout: figures 10.3 and 10.5; in two directions figure 10.11; several of them figure 10.13 (a).

One layer in one direction is the book's network, equations 10.8-10.14 and 10.17-10.28. In a stack each layer reads h(t)
of the layer below it in place of x(t). A second direction is a layer of its own letters that goes through the same
steps from t = tau to 1; what is above reads h(t) of both side by side, forward first.

Inside, ``h[layer][direction]`` is h(0) ... h(tau) in the order in which the direction goes: of the second direction
h(0) is the state before its first step, which is that of t = tau. ``v`` is the same of leaky units, else empty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from .activity import activity_gradient, activity_loss
from .batches import for_each, number_of_sequences
from .disturbance import Numbers, added, dropped, dropped_last
from .layer import (
    ACTIVATION,
    ACTIVATION_GRADIENT,
    Activation,
    Input,
    below_gradients,
    check_steps,
    layer_backward,
    layer_forward,
    parameter_gradients,
    reset_flags,
)
from .leak import Leak, by_layer, leaky_backward, leaky_forward
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
from .vectors import Vector, masked, matvec, transpose, vector_sum, zeros

Readout = Literal["all", "last"]
State = Any
"""h(0) or h(tau) of a network (of leaky units v(0) or v(tau)): a vector ``[n_hidden]`` for one layer in one direction;
otherwise a list with one entry a layer, which is a vector, or with two directions a pair of them (forward, reverse)."""


@dataclass
class Run:
    """The states and outputs of a sequence.

    ``h [tau, n]`` is h(1) ... h(tau) of the top layer, and ``layers`` of each, with two directions side by side. ``o``
    and ``y_hat`` are ``[tau, n_out]``, or ``[n_out]`` for the readout "last". ``h_last`` is what each direction ends
    with, in the form of h0. Of leaky units it is None, and ``v_last`` stands in its place; ``v`` and ``v_layers`` are
    v(1) ... v(tau), as ``h`` and ``layers``.
    """

    h: list[Vector]
    o: list[Vector] | Vector
    y_hat: list[Vector] | Vector
    layers: list[list[Vector]]
    h_last: State | None
    v: list[Vector] | None = None
    v_layers: list[list[Vector]] | None = None
    v_last: State | None = None


@dataclass
class Gradients(Stack):
    """dL/dU ... dL/dc where the parameters are, ``h0`` in the form of h0, ``x [tau, n_in]`` (None for tokens).

    Where h(0) is learned, ``layers[k].h0`` is the parameter's, and ``h0`` that of the state before the first step.

    Of leaky units ``h0`` is None, and ``v0`` stands in its place.
    """

    h0: State | None
    x: list[Vector] | None
    v0: State | None = None


@dataclass
class BatchGradients(Stack):
    """dL/dU ... dL/dc summed over the sequences; ``h0`` and ``x`` hold one entry a sequence (``x`` None for tokens).

    Of leaky units the entries of ``h0`` are None, and ``v0`` stands in its place.
    """

    h0: list[State | None]
    x: list[list[Vector]] | None
    v0: list[State | None]


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
    """One list a layer with one vector a direction: as given, else as learned, else 0."""
    if state is None:
        return [[letters.h0 or zeros(len(letters.b)) for letters in directions(layer)] for layer in layers]
    if layers[0].reverse is not None:
        return [list(pair) for pair in state]
    return [[state]] if len(layers) == 1 else [[vector] for vector in state]


def as_state(states: list[list[Vector]]) -> State:
    if len(states[0]) == 2:
        return [(forward, reverse) for forward, reverse in states]
    return states[0][0] if len(states) == 1 else [forward for (forward,) in states]


# --- Forward, layer by layer


def alphas(layers: list[Layer], leak: Leak, h0: State | None, v0: State | None) -> tuple[list[Any], State | None]:
    """alpha of every layer, None without a leak; and the state, of which only the one that the units have is given."""
    each = by_layer(leak, [len(layer.b) for layer in layers])
    name, other = ("v0", h0) if each is not None else ("h0", v0)
    if other is not None:
        raise ValueError(f"{name}: expected the state under this name for leak {leak}")
    return ([None] * len(layers), h0) if each is None else (each, v0)


def unfold(
    layers: list[Layer],
    x: Sequence[Any],
    initial: State | None,
    reset: list[bool],
    input: Input,
    activation: Activation,
    alpha: list[Any],
    noise: Numbers | None = None,
    sigma: float = 1.0,
    dropout: Numbers | None = None,
) -> tuple[list[list[list[Vector]]], list[list[list[Vector]]]]:
    """v(0) ... v(tau) of every layer and direction, none without a leak; and h(0) ... h(tau)."""
    check_steps(x)
    v: list[list[list[Vector]]] = []
    h: list[list[list[Vector]]] = []
    below = x  # h^0(t) = x(t)
    for k, (layer, initial_l, alpha_l) in enumerate(zip(layers, state_list(layers, initial), alpha, strict=True)):
        v_l, h_l = [], []
        for d, (letters, initial_d) in enumerate(zip(directions(layer), initial_l, strict=True)):
            steps, reset_d = in_order(below, d), resets_in_order(reset, d)
            noise_d = in_order(added(noise, sigma, k, d, len(x), alpha_l), d)
            if alpha_l is None:
                h_d = layer_forward(letters, steps, initial_d, reset_d, input, activation, noise_d)  # 10.8-10.9
            else:
                v_d, h_d = leaky_forward(letters, steps, initial_d, reset_d, input, activation, alpha_l, noise_d)
                v_l.append(v_d)
            h_l.append(h_d)
        v.append(v_l)
        h.append(h_l)
        below, input = dropped(dropout, k, side_by_side(h_l)), "real"
    return v, h


def outputs(
    parameters: Stack, h: list[list[Vector]], readout: Readout, dropout: Numbers | None = None
) -> tuple[list[Vector], list[Vector]]:
    """The states that are read of the top layer's, and their outputs: of every step, or one of each (figure 10.5)."""
    if readout not in ("all", "last"):
        raise ValueError(f'readout: expected "all" or "last", got {readout!r}')
    top = len(parameters.layers) - 1
    if readout == "all":
        read = dropped(dropout, top, side_by_side(h))
    else:
        read = [dropped_last(dropout, top, concatenate([h_d[-1] for h_d in h]))]
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
    leak: Leak = 1.0,
    v0: State | None = None,
    reset: Sequence[bool] | None = None,
    noise: Numbers | None = None,
    sigma: float = 1.0,
    dropout: Numbers | None = None,
) -> Run:
    """Run the network over one sequence, equations 10.8-10.11.

    Parameters
    ----------
    parameters
        U, W, b of every layer and direction, V, c.
    x
        Real vectors ``[tau, n_in]``, or tokens ``[tau]`` in ``[0, n_in)``.
    h0
        h(0), by default 0, or ``h0`` of the layers: ``[n_hidden]`` for one layer in one direction; otherwise a list
        with one entry a layer, which is ``[n]``, or with two directions a pair (forward, reverse) of them. The reverse
        one enters at t = tau.
    input, output, readout
        What x(t) is, the output unit, and whether every step has an output or only the last. The last step of the
        second direction is that of t = 1.
    activation
        f of all layers.
    leak
        alpha of the units, in (0, 1]: a number, or one a unit; of several layers also a list with one of these a layer.
    v0
        Of leaky units, in place of h0 and in its form: v(0).
    reset
        True where a new sequence starts, ``[tau]``: such a step sees 0, or ``h0`` of the layers, in place of h(t-1)
        (and v(t-1)), and so does the second direction's step t-1 in place of its state of t. Nowhere by default.
    noise, sigma, dropout
        Numbers ``[layer][direction][t][unit]``, see ``disturbance.py``: z of the noise, which is multiplied by sigma,
        and the factors of what goes up from a layer. None by default.
    """
    alpha, initial = alphas(parameters.layers, leak, h0, v0)
    how = (noise, sigma, dropout)
    v, h = unfold(parameters.layers, x, initial, reset_flags(reset, len(x)), input, activation, alpha, *how)
    _, o = outputs(parameters, h[-1], readout, dropout)
    y_hat = [OUTPUT_UNIT[output](o_t) for o_t in o]  # 10.11
    layers = [side_by_side(h_l) for h_l in h]
    last = as_state([[steps[-1] for steps in of_layer] for of_layer in (h if alpha[0] is None else v)])
    run = Run(layers[-1], o, y_hat, layers, last)
    if alpha[0] is not None:
        v_layers = [side_by_side(v_l) for v_l in v]
        run = replace(run, h_last=None, v=v_layers[-1], v_layers=v_layers, v_last=last)
    return replace(run, o=o[0], y_hat=y_hat[0]) if readout == "last" else run


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
    leak: Leak = 1.0,
    v0: State | None = None,
    reset: Sequence[bool] | None = None,
    noise: Numbers | None = None,
    sigma: float = 1.0,
    dropout: Numbers | None = None,
    kappa: float = 0.0,
) -> float:
    """The total loss of one sequence: the weighted sum of L(t) over its steps, equations 10.12-10.14.

    Parameters
    ----------
    parameters, x, h0, input, output, readout, activation, leak, v0, reset, noise, sigma, dropout
        As in `forward`.
    y
        softmax: classes ``[tau]`` in ``[0, n_out)``, or -1 where there is no target; sigmoid (between 0 and 1) and
        linear: ``[tau, n_out]``, NaN where there is none. Without the axis tau if the readout is "last".
    weight
        What L(t) is multiplied by, ``[tau]``, or one float if the readout is "last"; 1 by default. For sigmoid and
        linear it may be ``[tau, n_out]``, one for each output. Where it is 0, y is not read.
    kappa
        The loss has so many times h(t)^2 of every step and hidden unit more, of all layers and directions.
    """
    alpha, initial = alphas(parameters.layers, leak, h0, v0)
    how = (noise, sigma, dropout)
    _, h = unfold(parameters.layers, x, initial, reset_flags(reset, len(x)), input, activation, alpha, *how)
    _, o = outputs(parameters, h[-1], readout, dropout)
    y, weight = targets(y, weight, len(x), output, readout)
    return total_loss(o, y, weight, output) + activity_loss(kappa, [h_d[1:] for h_l in h for h_d in h_l])


# --- Back-propagation through time, from the top layer to the lowest


def first_gradient(layer: Layer, first: Vector, da: Vector, activation: Activation, alpha: Vector | None) -> Vector:
    """dL/dh(0), of leaky units dL/dv(0), by a step that begins with the h(0) ``first``, which is learned."""
    dh = matvec(transpose(layer.W), da)  # 10.21 at t = 0
    if alpha is None:
        return dh
    leaked = [(1.0 - alpha_i) * (da_i / alpha_i) for alpha_i, da_i in zip(alpha, da, strict=True)]
    return vector_sum(ACTIVATION_GRADIENT[activation](first, dh), leaked)  # N.3, N.4


def through_layer(
    layer: Layer,
    below: Sequence[Any],
    h: list[list[Vector]],
    from_above: list[list[Vector]],
    reset: list[bool],
    input: Input,
    activation: Activation,
    alpha: Vector | None,
    given: bool,
) -> tuple[Layer, list[Vector], list[Vector]]:
    """The gradients of a layer, of h(0) of its directions, and the part of dL/dh^(l-1)(t) that comes through it.

    Of leaky units, of v(0). ``given`` tells that the sequence begins with a state of its own, and not with a parameter.
    """
    gradients, dh0, dbelow = [], [], []
    for d, letters in enumerate(directions(layer)):
        reset_d = resets_in_order(reset, d)
        if alpha is None:
            da, dh0_d = layer_backward(letters, h[d], from_above[d], reset_d, activation)  # 10.19-10.21
        else:
            da, dh0_d = leaky_backward(letters, h[d], from_above[d], reset_d, activation, alpha)
        first = letters.h0 if letters.h0 is None or alpha is None else ACTIVATION[activation](letters.h0)
        r = [masked(h_t, reset_t, first) for h_t, reset_t in zip(h[d][:-1], reset_d, strict=True)]
        gradient_d = parameter_gradients(letters, in_order(below, d), r, da, input)  # 10.23, 10.26, 10.28
        if first is not None:
            begun = [da_t for da_t, reset_t in zip(da, reset_d, strict=True) if reset_t]
            terms = [first_gradient(letters, first, da_t, activation, alpha) for da_t in begun]
            gradient_d.h0 = vector_sum(zeros(len(first)), *terms, *([] if given else [dh0_d]))
        gradients.append(gradient_d)
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
    leak: Leak = 1.0,
    v0: State | None = None,
    reset: Sequence[bool] | None = None,
    noise: Numbers | None = None,
    sigma: float = 1.0,
    dropout: Numbers | None = None,
    kappa: float = 0.0,
) -> tuple[float, Gradients]:
    """The loss of one sequence and its exact gradients, equations 10.17-10.28; the arguments are those of `loss`."""
    layers = parameters.layers
    reset = reset_flags(reset, len(x))
    alpha, initial = alphas(layers, leak, h0, v0)
    _, h = unfold(layers, x, initial, reset, input, activation, alpha, noise, sigma, dropout)
    h_read, o = outputs(parameters, h[-1], readout, dropout)
    y, weight = targets(y, weight, len(x), output, readout)

    do = [output_gradient(o_t, y_t, w_t, output) for o_t, y_t, w_t in zip(o, y, weight, strict=True)]  # 10.18
    dV, dc = readout_gradients(do, h_read)  # 10.24, 10.22
    top, dh = len(layers) - 1, state_gradients(parameters.V, do)  # V^T do(t)
    dh = dropped(dropout, top, dh) if readout == "all" else [dropped_last(dropout, top, dh[0])]
    gradients: list[Layer] = []
    d_initial: list[list[Vector]] = []
    for k in reversed(range(len(layers))):
        below, input_k = (x, input) if k == 0 else (dropped(dropout, k - 1, side_by_side(h[k - 1])), "real")
        from_above = [
            activity_gradient(kappa, h_d[1:], dh_d)
            for h_d, dh_d in zip(h[k], by_direction(layers[k], dh, len(x)), strict=True)
        ]
        gradient, d_initial_k, dh = through_layer(
            layers[k], below, h[k], from_above, reset, input_k, activation, alpha[k], initial is not None
        )
        if k > 0:
            dh = dropped(dropout, k - 1, dh)
        gradients.insert(0, gradient)
        d_initial.insert(0, d_initial_k)
    state, plain = as_state(d_initial), alpha[0] is None
    activity = activity_loss(kappa, [h_d[1:] for h_l in h for h_d in h_l])
    return total_loss(o, y, weight, output) + activity, Gradients(
        layers=gradients,
        V=dV,
        c=dc,
        h0=state if plain else None,
        x=dh if input == "real" else None,
        v0=None if plain else state,
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
    leak: Leak = 1.0,
    v0s: Sequence[State | None] | None = None,
    resets: Sequence[Sequence[bool] | None] | None = None,
) -> tuple[float, BatchGradients]:
    """`loss_and_gradients` of sequences of any lengths: a loop, and the sum of what the sequences share."""
    n = number_of_sequences(xs)
    given = (h0s, weights, v0s, resets)
    sequences = zip(xs, ys, *(for_each(values, n) for values in given), strict=True)
    options: dict[str, Any] = {"input": input, "output": output, "readout": readout, "activation": activation}
    results = [
        loss_and_gradients(parameters, x, y, h0, weight, **options, leak=leak, v0=v0, reset=reset)
        for x, y, h0, weight, v0, reset in sequences
    ]
    gradients = [g for _, g in results]
    return math.fsum(L for L, _ in results), BatchGradients(
        **vars(sum_of_stacks(gradients)),
        h0=[g.h0 for g in gradients],
        x=[g.x for g in gradients if g.x is not None] or None,
        v0=[g.v0 for g in gradients],
    )
