"""A layer of leaky units in one direction (section 10.9.2): v(t) = (1 - alpha) v(t-1) + alpha a(t), h(t) = f(v(t)).

The state is v. Everything else is as in `layer`, which this file stands beside: alpha = 1 is that layer. Lists run over
t = 1 ... tau, but ``v`` and ``h`` over t = 0 ... tau, with h(0) = f(v(0)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .layer import ACTIVATION, ACTIVATION_GRADIENT, Activation, Input, preactivation
from .parameters import Layer
from .vectors import Vector, masked, matvec, transpose, vector_sum, zeros

Leak = Any
"""alpha, in (0, 1]: a number for all units, or a vector ``[n_hidden]``; of several layers also a list with one of these
a layer, from the bottom to the top. Both directions of a layer have the same."""


def by_layer(leak: Leak, n_hidden: Sequence[int]) -> list[Vector] | None:
    """alpha of every unit of every layer; None where all are 1: the network without a leak."""
    each = [leak] * len(n_hidden) if isinstance(leak, int | float) or len(n_hidden) == 1 else list(leak)
    vectors = [
        [float(alpha)] * n if isinstance(alpha, int | float) else [float(alpha_i) for alpha_i in alpha]
        for alpha, n in zip(each, n_hidden, strict=True)
    ]
    for alpha, n in zip(vectors, n_hidden, strict=True):
        if len(alpha) != n or not all(0.0 < alpha_i <= 1.0 for alpha_i in alpha):
            raise ValueError(f"leak: expected {n} numbers in (0, 1], got {alpha}")
    return None if all(alpha_i == 1.0 for alpha in vectors for alpha_i in alpha) else vectors


def mix(alpha: Vector, old: Vector, new: Vector) -> Vector:
    """(1 - alpha) old + alpha new, entry by entry."""
    return [(1.0 - alpha_i) * o_i + alpha_i * n_i for alpha_i, o_i, n_i in zip(alpha, old, new, strict=True)]


def leaky_forward(
    layer: Layer,
    below: Sequence[Any],
    v0: Vector,
    reset: list[bool],
    input: Input,
    activation: Activation,
    alpha: Vector,
    noise: Sequence[Vector | None],
) -> tuple[list[Vector], list[Vector]]:
    """v(0) ... v(tau), and h(0) ... h(tau)."""
    v, h = [v0], [ACTIVATION[activation](v0)]
    first = None if layer.h0 is None else ACTIVATION[activation](layer.h0)
    for below_t, reset_t, noise_t in zip(below, reset, noise, strict=True):
        a_t = preactivation(layer, below_t, masked(h[-1], reset_t, first), input, noise_t)  # 10.8
        v.append(mix(alpha, masked(v[-1], reset_t, layer.h0), a_t))  # N.1
        h.append(ACTIVATION[activation](v[-1]))  # N.2
    return v, h


def leaky_backward(
    layer: Layer, h: list[Vector], from_above: list[Vector], reset: list[bool], activation: Activation, alpha: Vector
) -> tuple[list[Vector], Vector]:
    """da(1) ... da(tau), and dv(0), where ``from_above`` is the part of dh(t) that comes through what is above."""
    W_transposed = transpose(layer.W)
    da: list[Vector] = []
    from_next = zeros(len(layer.b))  # W^T da(t+1); no step follows the last
    leaked = zeros(len(layer.b))  # (1 - alpha) dv(t+1)
    for h_t, from_above_t, reset_t in zip(reversed(h[1:]), reversed(from_above), reversed(reset), strict=True):
        dh_t = vector_sum(from_next, from_above_t)  # 10.19-10.21
        dv_t = vector_sum(ACTIVATION_GRADIENT[activation](h_t, dh_t), leaked)  # N.3
        da_t = [alpha_i * dv_i for alpha_i, dv_i in zip(alpha, dv_t, strict=True)]  # N.4
        from_next = masked(matvec(W_transposed, da_t), reset_t)
        leaked = masked([(1.0 - alpha_i) * dv_i for alpha_i, dv_i in zip(alpha, dv_t, strict=True)], reset_t)
        da.append(da_t)
    return da[::-1], vector_sum(ACTIVATION_GRADIENT[activation](h[0], from_next), leaked)
