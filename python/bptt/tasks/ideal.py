"""Ideal observers: how often a decision can be right that makes the best of noisy stimuli."""

from __future__ import annotations

import math

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)
_NEVER = 9.0  # standard deviations: beyond them is 1e-19, below the last digit of a probability near 1


def normal_cdf(z: float) -> float:
    """The probability that a standard normal number is below z."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def ring_accuracy(n: int, r: float) -> float:
    """How often the most likely of n directions is the right one.

    On a ring of n channels direction k is the pattern ``cos(theta - theta_k)``. All that noise leaves to know is the
    part of x along the patterns. For two directions it is a number, else a point in a plane. In standard deviations of
    the noise the right pattern is at the distance r from the origin. The observer is right if the point is nearer to
    this pattern than to the others: beyond 0, or in a sector of half-angle ``pi / n``::

        P = Phi(r)                                                                  (n = 2)
        P = integral over phi from -pi/n to pi/n of
            exp(-r^2/2) / (2 pi) + r cos(phi) exp(-(r sin(phi))^2 / 2) Phi(r cos(phi)) / sqrt(2 pi)
    """
    if n == 2:
        return normal_cdf(r)
    half = math.pi / n
    if r * math.sin(half) > _NEVER:
        return 1.0
    along, across = r * np.cos(half * _NODES), r * np.sin(half * _NODES)
    cdf = np.array([normal_cdf(z) for z in along])
    density = math.exp(-(r**2) / 2) / (2 * math.pi) + along * np.exp(-(across**2) / 2) * cdf / math.sqrt(2 * math.pi)
    return half * float(_WEIGHTS @ density)
