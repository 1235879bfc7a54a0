"""Interval timing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from bptt._arrays import Array
from bptt._checks import number
from bptt.tasks.epochs import Duration, drawn, durations, in_steps, inside, one_after_the_other
from bptt.tasks.task import FLOAT32, Task, Trials


@dataclass(frozen=True, kw_only=True)
class ReadySetGo(Task):
    """Measure the interval between two pulses, and produce it again: go as long after Set as Set was after Ready.

    The first input is the fixation cue, 1 until Set. The second one is a pulse at Ready, the third one a pulse at Set.
    The targets are classes: 0 (wait) up to the right moment, then 1 (go) for as long again.

    Parameters
    ----------
    dt : float
        ms that a step lasts. All durations are multiples of it.
    gain : float
        The interval to produce is so many times the measured one.
    fixation, measure : float or sequence of float
        ms from the beginning to Ready, and from Ready to Set; of several, each trial has one, all equally likely.
        ``gain * measure`` is a multiple of `dt` too.
    pulse : float
        ms that a pulse lasts, at most the shortest of `measure`.

    Notes
    -----
    Conditions: ``measure``, ``production`` (ms). Score: the root of the mean square, over trials, of the
    relative error of the produced intervals (0 is perfect)::

        sqrt(mean((produced / production - 1)^2))

    An interval ends with the first step from Set on at which go is likelier than to wait, or else with the trials.
    `chance` is the least error of one interval that is produced in all trials.

    Source: Jazayeri and Shadlen, *Temporal context calibrates interval timing* (2010); Remington, Narain, Hosseini,
    Jazayeri, *Flexible sensorimotor computations through rapid reconfiguration of cortical dynamics* (2018). Names and
    intervals are those of NeuroGym, where the target is go at one step alone.
    """

    dt: float = 50.0
    gain: float = 1.0
    fixation: Duration = 100.0
    measure: Duration = (800.0, 900.0, 1000.0, 1100.0, 1200.0, 1300.0, 1400.0, 1500.0)
    pulse: float = 100.0

    output: ClassVar[Literal["softmax"]] = "softmax"
    metric: ClassVar[str] = "relative error of intervals"
    source: ClassVar[str] = "Jazayeri, Shadlen (2010)"

    def __post_init__(self) -> None:
        dt = number("dt", self.dt, 0, math.inf, "()")
        object.__setattr__(self, "dt", dt)
        object.__setattr__(self, "gain", number("gain", self.gain, 0, math.inf, "()"))
        for name, least in (("fixation", 0), ("measure", 1), ("pulse", 1)):
            object.__setattr__(self, name, durations(name, getattr(self, name), dt, least))
        if isinstance(self.pulse, tuple):
            raise TypeError("pulse: expected a number, got several")
        measures = in_steps(self.measure, dt) * dt
        if self.pulse > measures.min():
            raise ValueError(f"pulse: expected at most the shortest measure, {measures.min():g} ms, got {self.pulse:g}")
        durations("gain * measure", (self.gain * measures).tolist(), dt, 1)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What each input is."""
        return ("fixation", "ready", "set")

    @property
    def outputs(self) -> tuple[str, ...]:
        """What each output is."""
        return ("wait", "go")

    @property
    def chance(self) -> float:
        """The least error of one interval for all trials."""
        productions = self._productions(in_steps(self.measure, self.dt))
        intervals = np.arange(2 * productions.max() + 1)[:, None]
        return float(np.sqrt(((intervals / productions - 1) ** 2).mean(1)).min())

    @property
    def best(self) -> float:
        """There is no noise."""
        return 0.0

    def _productions(self, measures: Array) -> Array:
        return np.rint(self.gain * measures).astype(np.int64)

    def _draw(self, rng: np.random.Generator, batch: int) -> Trials:
        fixations, measures = in_steps(self.fixation, self.dt), in_steps(self.measure, self.dt)
        measure = drawn(rng, measures, batch)
        production = self._productions(measure)
        parts = {"fixation": drawn(rng, fixations, batch), "measure": measure, "production": 2 * production}
        epochs = one_after_the_other(parts)
        tau = int(fixations.max() + (measures + 2 * self._productions(measures)).max())
        ready, set_ = epochs["measure"].T
        x = np.zeros((tau, batch, self.n_in), FLOAT32)
        pulse = int(in_steps(self.pulse, self.dt)[0])
        x[..., 0] = np.arange(tau)[:, None] < set_
        x[..., 1] = inside(np.stack([ready, ready + pulse], -1), tau)
        x[..., 2] = inside(np.stack([set_, set_ + pulse], -1), tau)
        end = epochs["production"][:, 1]
        y = inside(np.stack([set_ + production, end], -1), tau).astype(np.int64)
        weight = (np.arange(tau)[:, None] < end).astype(FLOAT32)
        return Trials(x, y, weight, {"measure": measure * self.dt, "production": production * self.dt}, epochs)

    def produced(self, y_hat: Any, trials: Trials) -> Array:
        """Return the interval that each trial has produced.

        Parameters
        ----------
        y_hat, trials
            As for `score`.

        Returns
        -------
        ndarray
            ``[batch]``, float64, in ms. The right ones are ``trials.conditions["production"]``.
        """
        return self._produced(self._checked(y_hat, trials), trials)

    def _produced(self, y_hat: Array, trials: Trials) -> Array:
        tau, set_ = len(y_hat), trials.epochs["production"][:, 0]
        goes = (y_hat[..., 1] > y_hat[..., 0]) & (np.arange(tau)[:, None] >= set_)
        first = np.where(goes.any(0), goes.argmax(0), tau)
        return (first - set_) * self.dt

    def _score(self, y_hat: Array, trials: Trials) -> float:
        error = self._produced(y_hat, trials) / trials.conditions["production"] - 1
        return float(np.sqrt((error**2).mean()))
