"""Noise, added to a(t), and dropout of what goes up from a layer: what given numbers do, and how they are drawn.

``noise`` and ``dropout`` are lists ``[layer][direction][t][unit]``, in the order of time in both directions: of normal
numbers z, and of factors, 0 or 1 / (1 - p).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .philox import MASK, Words, low_and_high, philox4x32
from .vectors import Vector

Numbers = Sequence[Sequence[Sequence[Vector]]]
"""``[layer][direction][t][unit]``."""


def added(noise: Numbers | None, sigma: float, layer: int, direction: int, tau: int, alpha: Vector | None) -> list[Any]:
    """What noise adds to a(t) of each step, so that v(t) has sqrt(2 alpha) sigma z more; None without noise."""
    if noise is None:
        return [None] * tau
    z = noise[layer][direction]
    scale = [sigma * math.sqrt(2.0 / alpha_j) for alpha_j in alpha or [1.0] * len(z[0])]  # N.5
    return [[scale_j * z_j for scale_j, z_j in zip(scale, z_t, strict=True)] for z_t in z]


def times(factors: Vector, values: Vector) -> Vector:
    return [k * value for k, value in zip(factors, values, strict=True)]  # N.6


def dropped(dropout: Numbers | None, layer: int, steps: Sequence[Vector]) -> list[Vector]:
    """What goes up from a layer, both directions side by side, or its gradient."""
    if dropout is None:
        return list(steps)
    factors = [[k for of_direction in dropout[layer] for k in of_direction[t]] for t in range(len(steps))]
    return [times(k_t, step_t) for k_t, step_t in zip(factors, steps, strict=True)]


def dropped_last(dropout: Numbers | None, layer: int, last: Vector) -> Vector:
    """The same of the last state of each direction: that of t = tau, and that of t = 1."""
    if dropout is None:
        return last
    return times([k for d, of_direction in enumerate(dropout[layer]) for k in of_direction[-1 if d == 0 else 0]], last)


# --- The draws: four words for a place (t, sequence, q, kind and chain), t from 0. A step has m places for n units,
# m = n / 4 rounded up; place q has the words of the units q, q + m, q + 2 m, q + 3 m.


def words(seed: int, sequence: int, t: int, n: int, what: int) -> list[Words]:
    """The four words of all places of a step."""
    key = low_and_high("seed", seed)
    return [philox4x32((t & MASK, sequence & MASK, q, what), key) for q in range((n + 3) // 4)]


def by_unit(places: Sequence[Sequence[float]], n: int) -> Vector:
    """The numbers of all units, of those of all places."""
    return [place[k] for k in range(4) for place in places][:n]


def normal_pair(word_0: int, word_1: int) -> list[float]:
    """Two normal numbers, by the method of Box and Muller."""
    radius = math.sqrt(-2.0 * math.log(((word_0 >> 1) + 0.5) / 2**31))
    angle = 2.0 * math.pi * word_1 / 2**32
    return [radius * math.cos(angle), radius * math.sin(angle)]


def noise_draws(seed: int, sequence: int, tau: int, n: int, chain: int = 0) -> list[Vector]:
    """Normal numbers z ``[tau, n]`` of a sequence, by its place in the batch.

    Chains count layer by layer, the forward direction first.
    """
    steps = [words(seed, sequence, t, n, 2 * chain) for t in range(tau)]
    return [by_unit([normal_pair(*w[:2]) + normal_pair(*w[2:]) for w in places], n) for places in steps]


def dropout_draws(seed: int, sequence: int, tau: int, n: int, p: float, chain: int = 0) -> list[Vector]:
    """The factors of dropout ``[tau, n]`` of a sequence, in the same way."""
    least, kept = int(p * 2**32), 1.0 / (1.0 - p)
    steps = [words(seed, sequence, t, n, 2 * chain + 1) for t in range(tau)]
    return [by_unit([[kept if word >= least else 0.0 for word in w] for w in places], n) for places in steps]
