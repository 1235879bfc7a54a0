"""Noise and dropout of a call, checked."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bptt._checks import number, seed_of_draws


class Disturbed(NamedTuple):
    """How much noise, how much dropout, and the seed of their draws."""

    noise: float
    dropout: float
    seed: int


CALM = Disturbed(0.0, 0.0, 0)


def disturbed(noise: float, dropout: float, seed: int | np.random.Generator | None) -> Disturbed:
    """Check what a user gives."""
    if seed is None and noise.__class__ is dropout.__class__ is float and noise == dropout == 0.0:
        return CALM
    sigma = number("noise", noise, 0, math.inf)
    p = number("dropout", dropout, 0, 1)
    return Disturbed(sigma, p, seed_of_draws(seed, sigma > 0 or p > 0))
