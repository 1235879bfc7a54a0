"""Numbers that change over training: factors of a learning rate, shares of forced steps.

A schedule is anything that maps the number of an update, from 0, to a number; those here can be compared, printed and
pickled:

>>> schedule = Warmup(100, Cosine(9900, final=0.1))
>>> norm = optimizer.step(rnn, gradients, lr=optimizer.lr * schedule(i))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bptt._checks import number, size


def _keep(schedule: object, name: str, value: float) -> None:
    """Keep a number of NumPy's as Python's, which does not overflow; Python's own stay as they are."""
    if isinstance(getattr(schedule, name), np.generic):
        object.__setattr__(schedule, name, value)  # schedules are frozen


@dataclass(frozen=True)
class Constant:
    """The base rate throughout."""

    def __call__(self, update: int) -> float:
        """Return the factor 1."""
        return 1.0


@dataclass(frozen=True)
class Step:
    """The rate times `gamma` after every so many updates.

    Parameters
    ----------
    every : int
        How many updates a rate lasts.
    gamma : float
        In ``(0, 1]``.
    """

    every: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _keep(self, "every", size("every", self.every, 1))
        _keep(self, "gamma", number("gamma", self.gamma, 0.0, 1.0, "(]"))

    def __call__(self, update: int) -> float:
        """Return the factor ``gamma ** (update // every)``."""
        return float(self.gamma ** (update // self.every))


@dataclass(frozen=True)
class Cosine:
    """Half a period of a cosine, from the base rate to a last one, which then stays.

    Parameters
    ----------
    updates : int
        How many updates it takes.
    final : float
        The last factor, in ``[0, 1]``.
    """

    updates: int
    final: float = 0.0

    def __post_init__(self) -> None:
        _keep(self, "updates", size("updates", self.updates, 1))
        _keep(self, "final", number("final", self.final, 0.0, 1.0, "[]"))

    def __call__(self, update: int) -> float:
        """Return the factor ``final + (1 - final) (1 + cos(pi update / updates)) / 2``."""
        progress = min(update, self.updates) / self.updates
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class Warmup:
    """A rate that rises linearly to where another schedule begins, which then follows.

    Parameters
    ----------
    updates : int
        How many updates rise: the factors of the first ones are ``1 / updates``, ``2 / updates``, ... of ``then(0)``.
    then : callable
        The schedule that follows, counted from its own beginning.
    """

    updates: int
    then: Callable[[int], float] = field(default_factory=Constant)

    def __post_init__(self) -> None:
        _keep(self, "updates", size("updates", self.updates, 0))
        if not callable(self.then):
            raise TypeError(f"then: expected a schedule, got {type(self.then).__name__}")

    def __call__(self, update: int) -> float:
        """Return the factor of the update of this number, from 0."""
        if update < self.updates:
            return (update + 1) / self.updates * self.then(0)
        return self.then(update - self.updates)


@dataclass(frozen=True)
class Linear:
    """From one number to another in equal steps; then the last one stays.

    Parameters
    ----------
    updates : int
        How many updates it takes.
    start, end : float
        The numbers: for teacher forcing in ``[0, 1]``, from 1 to 0 by default.
    """

    updates: int
    start: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        _keep(self, "updates", size("updates", self.updates, 1))
        _keep(self, "start", number("start", self.start, 0.0, math.inf))
        _keep(self, "end", number("end", self.end, 0.0, math.inf))

    def __call__(self, update: int) -> float:
        """Return ``start + (end - start) min(update / updates, 1)``."""
        return self.start + (self.end - self.start) * (min(update, self.updates) / self.updates)


@dataclass(frozen=True)
class InverseSigmoid:
    """From near 1 to 0, slowly at both ends, as scheduled sampling has it (Bengio, Vinyals, Jaitly, Shazeer, 2015).

    Parameters
    ----------
    k : float
        At least 1: the larger, the later; 1/2 is reached after ``k log(k)`` updates.
    """

    k: float

    def __post_init__(self) -> None:
        _keep(self, "k", number("k", self.k, 1.0, math.inf))

    def __call__(self, update: int) -> float:
        """Return ``k / (k + exp(update / k))``."""
        return self.k / (self.k + math.exp(min(update / self.k, 700.0)))
