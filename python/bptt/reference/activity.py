"""A cost of activity: the loss has kappa times h(t)^2 more, of every step and every hidden unit.

In `fit`, lambda times the mean of h(t)^2 is added to the mean loss per target: kappa is then lambda times the number of
targets, over the number of all h(t).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .vectors import Vector


def activity_loss(kappa: float, states: Sequence[Sequence[Vector]]) -> float:
    """What the states of all layers and directions add to the loss."""
    if kappa == 0.0:
        return 0.0
    return kappa * math.fsum(h_i**2 for steps in states for h_t in steps for h_i in h_t)  # N.7


def activity_gradient(kappa: float, h: Sequence[Vector], dh: Sequence[Vector]) -> list[Vector]:
    """dh(1) ... dh(tau) of a layer in one direction, and what comes to it from its own activity."""
    if kappa == 0.0:
        return list(dh)
    steps = zip(h, dh, strict=True)
    return [[dh_i + 2.0 * kappa * h_i for h_i, dh_i in zip(h_t, dh_t, strict=True)] for h_t, dh_t in steps]  # N.8
