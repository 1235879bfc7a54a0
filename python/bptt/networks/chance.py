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

    @property
    def draws(self) -> bool:
        """Whether anything is drawn."""
        return self.noise > 0 or self.dropout > 0 or 0 < self.teacher_forcing < 1

    def of_block(self, k: int) -> Chance:
        """The same with draws of its own, for a block of a batch."""
        if not self.draws:
            return self
        return self._replace(seed=int(np.random.default_rng([self.seed, k]).integers(2**64, dtype=np.uint64)))


CALM = Chance(0.0, 0.0, 0.0, 0)


def disturbed(noise: float, dropout: float, seed: int | np.random.Generator | None) -> Chance:
    """Check what a user gives of noise and dropout."""
    if seed is None and noise.__class__ is dropout.__class__ is float and noise == dropout == 0.0:
        return CALM
    sigma = number("noise", noise, 0, math.inf)
    p = number("dropout", dropout, 0, 1)
    return Chance(0.0, sigma, p, seed_of_draws(seed, sigma > 0 or p > 0))
