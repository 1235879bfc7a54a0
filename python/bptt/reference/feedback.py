"""Figures 10.4 and 10.6: one layer, whose step sees r(t-1), the output before it, in place of h(t-1).

In a step that is forced (teacher forcing, section 10.2.1) r(t-1) is the target y(t-1), in a free one the network's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .activity import activity_gradient, activity_loss
from .batches import for_each, number_of_sequences
from .layer import (
    ACTIVATION_GRADIENT,
    Activation,
    Input,
    below_gradients,
    check_steps,
    parameter_gradients,
    reset_flags,
    step,
)
from .parameters import Stack, sum_of_stacks
from .philox import draws
from .readout import (
    OUTPUT_UNIT,
    Output,
    Target,
    Weight,
    as_vector,
    output_gradient,
    output_of,
    readout_gradients,
    step_weights,
    total_loss,
)
from .vectors import Vector, dot, masked, matvec, transpose, vector_sum, zeros

Feedback = Literal["y_hat", "o"]


@dataclass
class JordanRun:
    """``h [tau, n_hidden]``: h(1) ... h(tau); ``o`` and ``y_hat [tau, n_out]``; ``r_last [n_out]``: r(tau)."""

    h: list[Vector]
    o: list[Vector]
    y_hat: list[Vector]
    r_last: Vector


@dataclass
class JordanGradients(Stack):
    """dL/dU ... dL/dc where the parameters are, ``r0 [n_out]``, and ``x [tau, n_in]`` (None for tokens)."""

    r0: Vector
    x: list[Vector] | None


@dataclass
class JordanBatchGradients(Stack):
    """dL/dU ... dL/dc summed over the sequences; ``r0`` and ``x`` hold one entry a sequence (``x`` None for tokens)."""

    r0: list[Vector]
    x: list[list[Vector]] | None


# --- Teacher forcing, figure 10.6


def forced_steps(p: float, seed: int, sequence: int, tau: int) -> list[bool]:
    """Which steps of a sequence are forced if each is with probability ``p``: those with a draw below it."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"teacher_forcing: expected a number from 0 to 1, got {p}")
    return [u < p for u in draws(seed, sequence, tau)]


def forced_flags(forced: Sequence[bool] | float, tau: int) -> list[bool]:
    """Whether a step is forced, at every step."""
    if not isinstance(forced, int | float):
        return list(forced)
    if forced not in (0, 1):
        raise ValueError(f"forced: expected 0 or 1 for all steps, or a list with one of them a step, got {forced}")
    return [forced == 1] * tau


def fed_targets(
    y: Sequence[Any], weight: list[Weight], forced: Sequence[bool] | float, n_out: int, output: Output
) -> list[Vector | None]:
    """For each step the r(t-1) that it is forced to see: y(t-1), or 0 where there is none; None where it is free."""
    vectors = [as_vector(y_t, w_t, n_out, output) for y_t, w_t in zip(y, weight, strict=True)]
    before = [None, *vectors][:-1]  # the first step sees r(0), forced or not
    steps = zip(before, forced_flags(forced, len(y)), strict=True)
    return [y_before if forced_t else None for y_before, forced_t in steps]


# --- The network's own output, fed back


def softmax_gradient(y_hat: Vector, dy_hat: Vector) -> Vector:
    mean = dot(y_hat, dy_hat)
    return [y_hat_i * (dy_hat_i - mean) for y_hat_i, dy_hat_i in zip(y_hat, dy_hat, strict=True)]


def sigmoid_gradient(y_hat: Vector, dy_hat: Vector) -> Vector:
    return [y_hat_i * (1.0 - y_hat_i) * dy_hat_i for y_hat_i, dy_hat_i in zip(y_hat, dy_hat, strict=True)]


def linear_gradient(y_hat: Vector, dy_hat: Vector) -> Vector:
    return dy_hat


# From y_hat(t) and a gradient with respect to it, the gradient with respect to o(t): the unit's Jacobian, transposed.
UNIT_GRADIENT: dict[str, Callable[[Vector, Vector], Vector]] = {
    "softmax": softmax_gradient,
    "sigmoid": sigmoid_gradient,
    "linear": linear_gradient,
}


def unit_before_feedback(output: Output, feedback: Feedback) -> Output:
    """The unit between o(t) and r(t): that of the output, or none (which is the linear one) as in figure 10.4."""
    if feedback not in ("y_hat", "o"):
        raise ValueError(f'feedback: expected "y_hat" or "o", got {feedback!r}')
    return output if feedback == "y_hat" else "linear"


# --- Forward


def unfold(
    parameters: Stack,
    x: Sequence[Any],
    r0: Vector | None,
    fed: list[Vector | None],
    reset: list[bool],
    input: Input,
    unit: Output,
    activation: Activation = "tanh",
) -> tuple[list[Vector], list[Vector], list[Vector]]:
    """r(0) ... r(tau-1) as the steps see them, h(1) ... h(tau), and o(1) ... o(tau)."""
    check_steps(x)
    own = zeros(len(parameters.c)) if r0 is None else r0
    r, h, o = [], [], []
    for x_t, fed_t, reset_t in zip(x, fed, reset, strict=True):
        r.append(masked(own if fed_t is None else fed_t, reset_t))
        h.append(step(parameters.only_layer, x_t, r[-1], input, activation))  # 10.8-10.9, with r(t-1) for h(t-1)
        o.append(output_of(parameters.V, parameters.c, h[-1]))  # 10.10
        own = OUTPUT_UNIT[unit](o[-1])  # 10.11
    return r, h, o


def jordan_forward(
    parameters: Stack,
    x: Sequence[Vector] | Sequence[int],
    r0: Vector | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    feedback: Feedback = "y_hat",
    activation: Activation = "tanh",
    reset: Sequence[bool] | None = None,
) -> JordanRun:
    """Run the network over one sequence, free: figure 10.4, equations 10.8-10.11 with r(t-1) for h(t-1).

    Parameters
    ----------
    parameters
        U, W, b, V, c, with W ``[n_hidden, n_out]``.
    x
        Real vectors ``[tau, n_in]``, or tokens ``[tau]`` in ``[0, n_in)``.
    r0
        r(0), ``[n_out]``; 0 by default.
    input, output
        What x(t) is, and the output unit.
    feedback
        What of its own a step feeds back as r(t): y_hat(t), or the figure's o(t).
    activation
        f of the layer.
    reset
        True where a new sequence starts, ``[tau]``: such a step sees 0 in place of r(t-1). Nowhere by default.
    """
    unit = unit_before_feedback(output, feedback)
    _, h, o = unfold(parameters, x, r0, [None] * len(x), reset_flags(reset, len(x)), input, unit, activation)
    return JordanRun(h, o, [OUTPUT_UNIT[output](o_t) for o_t in o], r_last=OUTPUT_UNIT[unit](o[-1]))


def jordan_loss(
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
    kappa: float = 0.0,
) -> float:
    """The total loss of one sequence: the weighted sum of L(t) over its steps, equations 10.12-10.14.

    Parameters
    ----------
    parameters, x, r0, input, output, feedback, activation, reset
        As in `jordan_forward`.
    y
        softmax: classes ``[tau]`` in ``[0, n_out)``, or -1 where there is no target; sigmoid (between 0 and 1) and
        linear: ``[tau, n_out]``.
    weight
        What L(t) is multiplied by, ``[tau]``, or for sigmoid and linear ``[tau, n_out]``; 1 by default. Where it is 0,
        y is not read.
    forced
        Which steps see the target y(t-1) in place of the network's own output, ``[tau]``; or 1.0 for all, 0.0 for none.
        A class is seen as its one-hot vector, and where there is no target or it is not read, 0 is seen. The first step
        sees r(0), and a step that starts a new sequence 0, whatever is said here.
    kappa
        The loss has so many times h(t)^2 of every step and hidden unit more.
    """
    weight = step_weights(y, weight, len(x), output)
    fed = fed_targets(y, weight, forced, len(parameters.c), output)
    unit = unit_before_feedback(output, feedback)
    _, h, o = unfold(parameters, x, r0, fed, reset_flags(reset, len(x)), input, unit, activation)
    return total_loss(o, y, weight, output) + activity_loss(kappa, [h])


# --- Back-propagation through time


@dataclass
class FeedbackPass:
    """What is computed of every step: ``r`` is what it sees, r(t-1), and ``dr0`` dL/dr(0)."""

    r: list[Vector]
    h: list[Vector]
    o: list[Vector]
    do: list[Vector]
    dh: list[Vector]
    da: list[Vector]
    dr0: Vector


def feedback_pass(
    parameters: Stack,
    x: Sequence[Vector] | Sequence[int],
    y: Sequence[Target],
    r0: Vector | None,
    weight: Sequence[Weight] | None,
    input: Input,
    output: Output,
    feedback: Feedback,
    activation: Activation,
    forced: Sequence[bool] | float,
    reset: Sequence[bool] | None,
    kappa: float = 0.0,
) -> FeedbackPass:
    """Forward, and back through time."""
    weight = step_weights(y, weight, len(x), output)
    fed = fed_targets(y, weight, forced, len(parameters.c), output)
    reset = reset_flags(reset, len(x))
    unit = unit_before_feedback(output, feedback)
    r, h, o = unfold(parameters, x, r0, fed, reset, input, unit, activation)

    V_transposed, W_transposed = transpose(parameters.V), transpose(parameters.only_layer.W)
    do: list[Vector] = []
    dh: list[Vector] = []
    da: list[Vector] = []
    dr_t = zeros(len(o[0]))  # dL/dr(t), of the network's own r(t); nothing follows r(tau)
    for t in reversed(range(len(x))):
        do_t = vector_sum(
            output_gradient(o[t], y[t], weight[t], output),  # 10.18
            UNIT_GRADIENT[unit](OUTPUT_UNIT[unit](o[t]), dr_t),  # and what comes back through r(t)
        )
        (dh_t,) = activity_gradient(kappa, [h[t]], [matvec(V_transposed, do_t)])  # 10.19, N.8
        da_t = ACTIVATION_GRADIENT[activation](h[t], dh_t)
        dr_t = masked(matvec(W_transposed, da_t), reset[t] or fed[t] is not None)  # dL/dr(t-1)
        do.insert(0, do_t)
        dh.insert(0, dh_t)
        da.insert(0, da_t)
    return FeedbackPass(r, h, o, do, dh, da, dr_t)


def jordan_loss_and_gradients(
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
    kappa: float = 0.0,
) -> tuple[float, JordanGradients]:
    """The loss of one sequence and its exact gradients; the arguments are those of `jordan_loss`.

    The equations are 10.17-10.28 with r(t-1) for h(t-1). Back through time goes what reaches the network's own outputs:
    where every step is forced, nothing does.
    """
    layer = parameters.only_layer
    way = feedback_pass(parameters, x, y, r0, weight, input, output, feedback, activation, forced, reset, kappa)
    dV, dc = readout_gradients(way.do, way.h)  # 10.24, 10.22
    loss = total_loss(way.o, y, step_weights(y, weight, len(x), output), output) + activity_loss(kappa, [way.h])
    return loss, JordanGradients(
        layers=[parameter_gradients(layer, x, way.r, way.da, input)],  # 10.23, 10.26, 10.28
        V=dV,
        c=dc,
        r0=way.dr0,
        x=below_gradients(layer, way.da) if input == "real" else None,
    )


def jordan_batch_loss_and_gradients(
    parameters: Stack,
    xs: Sequence[Sequence[Vector] | Sequence[int]],
    ys: Sequence[Sequence[Target]],
    r0s: Sequence[Vector | None] | None = None,
    weights: Sequence[Sequence[Weight] | None] | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    feedback: Feedback = "y_hat",
    activation: Activation = "tanh",
    teacher_forcing: float = 1.0,
    seed: int = 0,
    resets: Sequence[Sequence[bool] | None] | None = None,
) -> tuple[float, JordanBatchGradients]:
    """`jordan_loss_and_gradients` of sequences of any lengths: a loop, and the sum of what the sequences share.

    Each step is forced with the probability ``teacher_forcing``, as `forced_steps` draws with ``seed`` for the place of
    its sequence in ``xs``.
    """
    n = number_of_sequences(xs)
    sequences = zip(xs, ys, for_each(r0s, n), for_each(weights, n), for_each(resets, n), strict=True)
    options: dict[str, Any] = {"input": input, "output": output, "feedback": feedback, "activation": activation}
    results = []
    for i, (x, y, r0, weight, reset) in enumerate(sequences):
        forced = forced_steps(teacher_forcing, seed, i, len(x))
        results.append(jordan_loss_and_gradients(parameters, x, y, r0, weight, **options, forced=forced, reset=reset))
    gradients = [g for _, g in results]
    return math.fsum(L for L, _ in results), JordanBatchGradients(
        **vars(sum_of_stacks(gradients)),
        r0=[g.r0 for g in gradients],
        x=[g.x for g in gradients if g.x is not None] or None,
    )
