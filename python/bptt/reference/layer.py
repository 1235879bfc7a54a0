"""A layer in one direction: a^l(t) = b^l + W^l r^l(t-1) + U^l h^(l-1)(t), h^l(t) = f(a^l(t)), and the way back.

``below`` is what the layer reads, h^(l-1): x in the lowest layer. ``r(t-1)`` is what a step sees of the step before it:
h(t-1) in figure 10.3, the output in figure 10.4, 0 where a new sequence starts. Lists run over t = 1 ... tau, but ``h``
in `layer_forward` and `layer_backward` over t = 0 ... tau.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from .parameters import Layer
from .vectors import (
    Matrix,
    Vector,
    column,
    masked,
    matvec,
    sum_into_columns,
    sum_of_outer,
    transpose,
    vector_sum,
    zeros,
)

Input = Literal["real", "token"]
Activation = Literal["tanh", "relu"]


# --- Activations, f(a(t)), and dL/da(t) from dL/dh(t): the diag(f'(a)) dh that stands in 10.23-10.28


def tanh(a: Vector) -> Vector:
    return [math.tanh(a_i) for a_i in a]


def relu(a: Vector) -> Vector:
    return [max(a_i, 0.0) for a_i in a]  # section 6.3.1; NaN stays NaN


def tanh_gradient(h: Vector, dh: Vector) -> Vector:
    return [(1.0 - h_i**2) * dh_i for h_i, dh_i in zip(h, dh, strict=True)]


def relu_gradient(h: Vector, dh: Vector) -> Vector:
    return [dh_i if h_i > 0.0 else 0.0 for h_i, dh_i in zip(h, dh, strict=True)]


ACTIVATION: dict[str, Callable[[Vector], Vector]] = {"tanh": tanh, "relu": relu}
ACTIVATION_GRADIENT: dict[str, Callable[[Vector, Vector], Vector]] = {"tanh": tanh_gradient, "relu": relu_gradient}
INPUT_PRODUCT: dict[str, Callable[[Matrix, Any], Vector]] = {"real": matvec, "token": column}


# --- Forward


def check_steps(x: Sequence[Any]) -> None:
    if len(x) == 0:
        raise ValueError("x: expected at least one step")


def reset_flags(reset: Sequence[bool] | None, tau: int) -> list[bool]:
    """Whether a new sequence starts, at every step."""
    return [False] * tau if reset is None else list(reset)


def preactivation(layer: Layer, below: Any, r_before: Vector, input: Input, noise: Vector | None = None) -> Vector:
    """a(t) of one step, which sees r(t-1), and what noise adds to it."""
    a = vector_sum(layer.b, matvec(layer.W, r_before), INPUT_PRODUCT[input](layer.U, below))  # 10.8
    return a if noise is None else vector_sum(a, noise)


def step(
    layer: Layer, below: Any, r_before: Vector, input: Input, activation: Activation, noise: Vector | None = None
) -> Vector:
    """h(t) of one step, which sees r(t-1)."""
    return ACTIVATION[activation](preactivation(layer, below, r_before, input, noise))  # 10.9


def layer_forward(
    layer: Layer,
    below: Sequence[Any],
    h0: Vector,
    reset: list[bool],
    input: Input,
    activation: Activation,
    noise: Sequence[Vector | None],
) -> list[Vector]:
    """h(0) ... h(tau)."""
    h = [h0]
    for below_t, reset_t, noise_t in zip(below, reset, noise, strict=True):
        before = masked(h[-1], reset_t, layer.h0)
        h.append(step(layer, below_t, before, input, activation, noise_t))  # 10.8-10.9
    return h


# --- Back-propagation through time


def layer_backward(
    layer: Layer, h: list[Vector], from_above: list[Vector], reset: list[bool], activation: Activation
) -> tuple[list[Vector], Vector]:
    """da(1) ... da(tau), and dh(0), where ``from_above`` is the part of dh(t) that comes through what is above.

    That is V^T do(t) in the top layer, and in the others (U^(l+1))^T da^(l+1)(t).
    """
    W_transposed = transpose(layer.W)
    da: list[Vector] = []
    from_next = zeros(len(layer.b))  # W^T da(t+1); no step follows the last, which makes 10.21 the 10.19 of t = tau
    for h_t, from_above_t, reset_t in zip(reversed(h[1:]), reversed(from_above), reversed(reset), strict=True):
        dh_t = vector_sum(from_next, from_above_t)  # 10.19-10.21
        da_t = ACTIVATION_GRADIENT[activation](h_t, dh_t)
        from_next = masked(matvec(W_transposed, da_t), reset_t)
        da.append(da_t)
    return da[::-1], from_next  # 10.21 at t = 0, which is read by nothing above


def parameter_gradients(layer: Layer, below: Sequence[Any], r: list[Vector], da: list[Vector], input: Input) -> Layer:
    """dL/dU, dL/dW and dL/db from what every step read, saw, and got back."""
    return Layer(
        U=sum_into_columns(da, below, len(layer.U[0])) if input == "token" else sum_of_outer(da, below),  # 10.28
        W=sum_of_outer(da, r),  # 10.26
        b=vector_sum(*da),  # 10.23
    )


def below_gradients(layer: Layer, da: list[Vector]) -> list[Vector]:
    """The part of dL/dh^(l-1)(t) that comes through this layer, as follows from 10.8."""
    U_transposed = transpose(layer.U)
    return [matvec(U_transposed, da_t) for da_t in da]
