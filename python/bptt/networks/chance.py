"""What of a call is left to chance."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bptt._checks import number, seed_of_draws


class Chance(NamedTuple):
    """How likely a step sees its target, how much noise and dropout there is, and the seed of the draws."""

    teacher_forcing: float
    noise: float
    dropout: float
    seed: int


CALM = Chance(0.0, 0.0, 0.0, 0)


def disturbed(noise: float, dropout: float, seed: int | np.random.Generator | None) -> Chance:
    """Check what a user gives of noise and dropout."""
    if seed is None and noise.__class__ is dropout.__class__ is float and noise == dropout == 0.0:
        return CALM
    sigma = number("noise", noise, 0, math.inf)
    p = number("dropout", dropout, 0, 1)
    return Chance(0.0, sigma, p, seed_of_draws(seed, sigma > 0 or p > 0))
