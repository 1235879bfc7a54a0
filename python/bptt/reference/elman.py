"""Figures 10.3 and 10.5, where a step sees h(t-1), the state before it; it must not know the other network.

Inside, ``h`` runs over t = 0 ... tau.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .shared import (
    OUTPUT_UNIT,
    Input,
    Output,
    Parameters,
    Run,
    Target,
    Vector,
    add,
    check_steps,
    cut,
    for_each,
    matvec,
    number_of_sequences,
    output_gradient,
    reset_flags,
    step,
    step_weights,
    sums_over_sequences,
    sums_over_steps,
    through_tanh,
    total_loss,
    transpose,
)

Readout = Literal["all", "last"]


@dataclass
class Gradients(Parameters):
    """dL/dU ... dL/dc, shaped like the parameters, ``h0 [n_hidden]``, and ``x [tau, n_in]`` (None for tokens)."""

    h0: Vector
    x: list[Vector] | None


@dataclass
class BatchGradients(Parameters):
    """dL/dU ... dL/dc summed over the sequences; ``h0`` and ``x`` hold one entry a sequence (``x`` None for tokens)."""

    h0: list[Vector]
    x: list[list[Vector]] | None


# --- Forward


def unfold(
    parameters: Parameters, x: Sequence[Any], h0: Vector | None, reset: list[bool], input: Input
) -> tuple[list[Vector], list[Vector]]:
    """h(0) ... h(tau), and o(1) ... o(tau)."""
    check_steps(x)
    h = [[0.0] * len(parameters.b) if h0 is None else h0]
    o = []
    for x_t, reset_t in zip(x, reset, strict=True):
        h_t, o_t = step(parameters, cut(h[-1], reset_t), x_t, input)  # 10.8-10.10
        h.append(h_t)
        o.append(o_t)
    return h, o


def check_readout(readout: str) -> None:
    if readout not in ("all", "last"):
        raise ValueError(f'readout: expected "all" or "last", got {readout!r}')


def targets(y: Any, weight: Any, tau: int, output: Output, readout: Readout) -> tuple[Sequence[Any], list[float]]:
    """y(t) and the weight of L(t) at every step; the weight is 0 where there is no target."""
    check_readout(readout)
    if readout == "last":  # figure 10.5 is figure 10.3 with no loss before the last step
        y = [None] * (tau - 1) + [y]
        weight = [0.0] * (tau - 1) + [1.0 if weight is None else weight]
    return y, step_weights(y, weight, tau, output)


def forward(
    parameters: Parameters,
    x: Sequence[Vector] | Sequence[int],
    h0: Vector | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
    reset: Sequence[bool] | None = None,
) -> Run:
    """Run the network over one sequence, equations 10.8-10.11.

    Parameters
    ----------
    parameters
        U, W, b, V, c.
    x
        Real vectors ``[tau, n_in]``, or tokens ``[tau]`` in ``[0, n_in)``.
    h0
        h(0), ``[n_hidden]``; 0 by default.
    input, output, readout
        What x(t) is, the output unit, and whether every step has an output or only the last.
    reset
        True where a new sequence starts, ``[tau]``: such a step sees 0 in place of h(t-1). Nowhere by default.
    """
    h, o = unfold(parameters, x, h0, reset_flags(reset, len(x)), input)
    y_hat = [OUTPUT_UNIT[output](o_t) for o_t in o]  # 10.11
    check_readout(readout)
    return Run(h[1:], o[-1], y_hat[-1]) if readout == "last" else Run(h[1:], o, y_hat)


def loss(
    parameters: Parameters,
    x: Sequence[Vector] | Sequence[int],
    y: Sequence[Target] | Target,
    h0: Vector | None = None,
    weight: Sequence[float] | float | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
    reset: Sequence[bool] | None = None,
) -> float:
    """The total loss of one sequence: the weighted sum of L(t) over its steps, equations 10.12-10.14.

    Parameters
    ----------
    parameters, x, h0, input, output, readout, reset
        As in `forward`.
    y
        softmax: classes ``[tau]`` in ``[0, n_out)``, or -1 where there is no target; sigmoid (between 0 and 1) and
        linear: ``[tau, n_out]``. Without the axis tau if the readout is "last".
    weight
        What L(t) is multiplied by, ``[tau]``, or one float if the readout is "last"; 1 by default. Where it is 0, y is
        not read.
    """
    _, o = unfold(parameters, x, h0, reset_flags(reset, len(x)), input)
    y, weight = targets(y, weight, len(x), output, readout)
    return total_loss(o, y, weight, output)


# --- Back-propagation through time


def loss_and_gradients(
    parameters: Parameters,
    x: Sequence[Vector] | Sequence[int],
    y: Sequence[Target] | Target,
    h0: Vector | None = None,
    weight: Sequence[float] | float | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
    reset: Sequence[bool] | None = None,
) -> tuple[float, Gradients]:
    """The loss of one sequence and its exact gradients, equations 10.17-10.28; the arguments are those of `loss`."""
    W, V = parameters.W, parameters.V
    reset = reset_flags(reset, len(x))
    h, o = unfold(parameters, x, h0, reset, input)
    y, weight = targets(y, weight, len(x), output, readout)
    do = [output_gradient(o_t, y_t, w_t, output) for o_t, y_t, w_t in zip(o, y, weight, strict=True)]  # 10.18

    da: list[Vector] = []
    from_next = [0.0] * len(W)  # W^T da(t+1), the first term of 10.21; nothing follows h(tau), which makes it 10.19
    for h_t, do_t, reset_t in zip(reversed(h[1:]), reversed(do), reversed(reset), strict=True):
        dh_t = add(from_next, matvec(transpose(V), do_t))  # 10.19-10.21
        da_t = through_tanh(h_t, dh_t)
        from_next = cut(matvec(transpose(W), da_t), reset_t)
        da.insert(0, da_t)

    seen = [cut(h_t, reset_t) for h_t, reset_t in zip(h[:-1], reset, strict=True)]
    gradients = Gradients(
        **sums_over_steps(parameters, x, seen, h[1:], do, da, input),  # 10.22-10.28
        h0=from_next,  # 10.21 at t = 0, where there is no output
    )
    return total_loss(o, y, weight, output), gradients


def batch_loss_and_gradients(
    parameters: Parameters,
    xs: Sequence[Sequence[Vector] | Sequence[int]],
    ys: Sequence[Sequence[Target] | Target],
    h0s: Sequence[Vector | None] | None = None,
    weights: Sequence[Sequence[float] | float | None] | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
    resets: Sequence[Sequence[bool] | None] | None = None,
) -> tuple[float, BatchGradients]:
    """`loss_and_gradients` of sequences of any lengths: a loop, and the sum of what the sequences share."""
    n = number_of_sequences(xs)
    sequences = zip(xs, ys, for_each(h0s, n), for_each(weights, n), for_each(resets, n), strict=True)
    runs = [
        loss_and_gradients(parameters, x, y, h0, weight, input=input, output=output, readout=readout, reset=reset)
        for x, y, h0, weight, reset in sequences
    ]
    gradients = [g for _, g in runs]
    return math.fsum(L for L, _ in runs), BatchGradients(
        **sums_over_sequences(gradients),
        h0=[g.h0 for g in gradients],
        x=[g.x for g in gradients if g.x is not None] or None,
    )
