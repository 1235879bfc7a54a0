"""Adam and clipping by the global norm, in place on one flat vector. Knows no network and no loss."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.floating[Any]]


class Adam:
    """Adam (Kingma and Ba, 2015) with both moments corrected for their start at zero.

    Parameters
    ----------
    parameters : float array [n]
        The parameters that `update` changes in place.
    beta1, beta2 : float
        How much of the gradient's and the squared gradient's running mean a step keeps.
    epsilon : float
        Added to the root of the second moment, against division by zero.
    """

    def __init__(self, parameters: Vector, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        self.parameters = parameters
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.updates = 0
        self._first, self._second = np.zeros_like(parameters), np.zeros_like(parameters)
        self._scratch = np.empty_like(parameters)

    def update(self, gradient: Vector, rate: float) -> None:
        """Take one step of learning rate `rate` against `gradient` (float array [n], left as it is)."""
        self.updates += 1
        first, second, scratch = self._first, self._second, self._scratch
        np.multiply(gradient, 1 - self.beta1, out=scratch)
        first *= self.beta1
        first += scratch
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1 - self.beta2
        second *= self.beta2
        second += scratch
        np.sqrt(second, out=scratch)
        scratch /= (1 - self.beta2**self.updates) ** 0.5
        scratch += self.epsilon
        np.divide(first, scratch, out=scratch)
        scratch *= rate / (1 - self.beta1**self.updates)
        self.parameters -= scratch


def clip_norm(gradient: Vector, max_norm: float) -> float:
    """Scale `gradient` (float array [n]) in place so that its 2-norm is at most `max_norm`; return the norm before.

    The factor is ``max_norm / (norm + 1e-6)`` where that is below 1. The norm is summed in double precision.
    """
    # No BLAS here: its threads would spin on for a while, on the cores that the next update needs.
    norm = float(np.sqrt(np.square(gradient, dtype=np.float64).sum()))
    if (factor := max_norm / (norm + 1e-6)) < 1:
        gradient *= factor
    return norm
