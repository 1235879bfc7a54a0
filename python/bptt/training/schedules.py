"""Numbers that change over training: factors of a learning rate, shares of forced steps.

A schedule is anything that maps the number of an update, from 0, to a number, or has a method `follow`, which gives for
each run something that does so and is told losses: `ReduceOnPlateau`. Those here can be compared, printed and pickled:

>>> schedule = Warmup(100, Cosine(9900, final=0.1))
>>> norm = optimizer.step(rnn, gradients, lr=optimizer.lr * schedule(i))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import numpy as np

from bptt._checks import choice, number, size


class Follower(Protocol):
    """A schedule in one run of training, which is told the loss of each epoch."""

    def __call__(self, update: int) -> float:
        """Return the factor of the update of this number, from 0."""

    def end_epoch(self, loss: float) -> None:
        """Take note of an epoch's loss: of validation, or of training where nothing is validated."""


class FollowsLosses(Protocol):
    """A schedule whose numbers depend on losses."""

    def follow(self) -> Follower:
        """Return the schedule of a new run. All that it knows is what it is told."""


Schedule: TypeAlias = Callable[[int], float] | FollowsLosses


def follows_losses(schedule: object) -> bool:
    """Whether a schedule, or the one that follows a warm-up, depends on losses."""
    return follows_losses(schedule.then) if isinstance(schedule, Warmup) else hasattr(schedule, "follow")


def of_a_run(schedule: Schedule, losses: Iterable[float]) -> Callable[[int], float]:
    """Return a schedule as a run has it whose epochs had these losses."""
    if not follows_losses(schedule):
        return schedule  # type: ignore[return-value]
    follower: Follower = schedule.follow()  # type: ignore[union-attr]
    for loss in losses:
        follower.end_epoch(loss)
    return follower


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
    then : callable or ReduceOnPlateau
        The schedule that follows, counted from its own beginning.
    """

    updates: int
    then: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        _keep(self, "updates", size("updates", self.updates, 0))
        if not (callable(self.then) or follows_losses(self.then)):
            raise TypeError(f"then: expected a schedule, got {type(self.then).__name__}")

    def __call__(self, update: int) -> float:
        """Return the factor of the update of this number, from 0."""
        if follows_losses(self):
            raise TypeError("then: expected a schedule of the update alone, as no losses are told here: see `follow`")
        return self._factor(update, self.then)  # type: ignore[arg-type]

    def _factor(self, update: int, then: Callable[[int], float]) -> float:
        if update < self.updates:
            return (update + 1) / self.updates * then(0)
        return then(update - self.updates)

    def follow(self) -> Follower:
        """Return the schedule of a new run, which tells `then` the losses.

        Raises
        ------
        TypeError
            If `then` depends on none.
        """
        if not follows_losses(self):
            raise TypeError(f"then: expected a schedule that depends on losses, got {type(self.then).__name__}")
        return _WarmupInRun(self, self.then.follow())  # type: ignore[union-attr]


class _WarmupInRun:
    """A warm-up to a schedule that follows losses."""

    def __init__(self, warmup: Warmup, then: Follower) -> None:
        self._warmup, self._then = warmup, then

    def __call__(self, update: int) -> float:
        return self._warmup._factor(update, self._then)

    def end_epoch(self, loss: float) -> None:
        self._then.end_epoch(loss)


@dataclass(frozen=True)
class ReduceOnPlateau:
    """The rate times `factor` whenever the loss has not become better for more than `patience` epochs.

    The loss is that of validation or, without validation data, that of training. The rule and the defaults are those of
    PyTorch's ``ReduceLROnPlateau``.

    Parameters
    ----------
    factor : float
        In ``(0, 1)``.
    patience : int
        How many epochs without a better loss change nothing: the one after them reduces the rate.
    threshold : float
        How much better than the best a loss has to be, at least 0.
    threshold_mode : {"rel", "abs"}
        A loss is better below ``best * (1 - threshold)``, or below ``best - threshold``.
    cooldown : int
        How many epochs after a reduction are not counted.
    min_factor : float
        The least factor of the base rate, in ``[0, 1]``.

    Examples
    --------
    In `fit` it is passed as any other schedule, also behind a `Warmup`. By hand, it is told the loss of each epoch:

    >>> from bptt.schedules import ReduceOnPlateau
    >>> follower = ReduceOnPlateau(factor=0.5, patience=1).follow()
    >>> for loss in (1.0, 0.9, 0.9, 0.9):
    ...     follower.end_epoch(loss)
    >>> follower(0)  # the factor now, whichever update it is
    0.5
    """

    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: int = 0
    min_factor: float = 0.0

    def __post_init__(self) -> None:
        _keep(self, "factor", number("factor", self.factor, 0.0, 1.0, "()"))
        _keep(self, "patience", size("patience", self.patience, 0))
        _keep(self, "threshold", number("threshold", self.threshold, 0.0, math.inf))
        choice("threshold_mode", self.threshold_mode, ("rel", "abs"))
        _keep(self, "cooldown", size("cooldown", self.cooldown, 0))
        _keep(self, "min_factor", number("min_factor", self.min_factor, 0.0, 1.0, "[]"))

    def follow(self) -> Follower:
        """Return the schedule of a new run, which knows no loss yet: its factor is 1.

        Returns
        -------
        callable
            ``follower.end_epoch(loss)`` tells it a loss, and ``follower(update)`` is the factor of now.
        """
        return _PlateauInRun(self)


class _PlateauInRun:
    """What a `ReduceOnPlateau` knows of a run."""

    def __init__(self, options: ReduceOnPlateau) -> None:
        self._options = options
        self._factor, self._best = 1.0, math.inf
        self._bad_epochs = self._cooldown = 0

    def __call__(self, update: int) -> float:
        return self._factor

    def end_epoch(self, loss: float) -> None:
        o = self._options
        if loss < (self._best * (1.0 - o.threshold) if o.threshold_mode == "rel" else self._best - o.threshold):
            self._best, self._bad_epochs = float(loss), 0
        else:
            self._bad_epochs += 1  # NaN too
        if self._cooldown > 0:
            self._cooldown, self._bad_epochs = self._cooldown - 1, 0
        if self._bad_epochs > o.patience:
            self._factor = max(self._factor * o.factor, o.min_factor)
            self._cooldown, self._bad_epochs = o.cooldown, 0


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
