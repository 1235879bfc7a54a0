"""A trial that ends with a choice: fixation, stimuli, delays, and the decision when the fixation cue goes off."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from bptt._arrays import Array
from bptt._checks import number
from bptt.tasks.epochs import drawn, durations, in_steps, inside, one_after_the_other
from bptt.tasks.task import FLOAT32, Task, Trials

Stimuli = Mapping[str, tuple[int, Array]]  # by epoch: the first of its inputs, and what it shows there, [batch, n]


@dataclass(frozen=True, kw_only=True)
class Decision(Task):
    """A task in which each trial ends with a choice: a base, not a task itself.

    The docstring of `PerceptualDecisionMaking` tells what users see of it.
    """

    dt: float = 100.0
    sigma: float = 1.0

    output: ClassVar[Literal["softmax"]] = "softmax"
    metric: ClassVar[str] = "accuracy of choices"
    _EPOCHS: ClassVar[tuple[str, ...]]  # in their order
    _SHOWN: ClassVar[tuple[str, ...]] = ("stimulus",)  # those with a stimulus; they and the decision take time

    def __post_init__(self) -> None:
        object.__setattr__(self, "dt", number("dt", self.dt, 0, math.inf, "()"))
        object.__setattr__(self, "sigma", number("sigma", self.sigma, 0, math.inf))
        for name in self._EPOCHS:
            least = 1 if name in self._SHOWN or name == "decision" else 0
            object.__setattr__(self, name, durations(name, getattr(self, name), self.dt, least))

    @property
    def _noise(self) -> float:
        """The standard deviation of a step."""
        return self.sigma / math.sqrt(self.dt)

    def _steps(self, epoch: str) -> Array:
        """How many steps an epoch lasts, one or several."""
        return in_steps(getattr(self, epoch), self.dt)

    @abstractmethod
    def _conditions(self, rng: np.random.Generator, batch: int) -> dict[str, Array]:
        """What the trials are about; ``"choice"`` is the class of the right choice."""

    @abstractmethod
    def _stimuli(self, conditions: dict[str, Array]) -> Stimuli:
        """What is shown."""

    def _draw(self, rng: np.random.Generator, batch: int) -> Trials:
        conditions = self._conditions(rng, batch)
        epochs = one_after_the_other({name: drawn(rng, self._steps(name), batch) for name in self._EPOCHS})
        tau = sum(int(self._steps(name).max()) for name in self._EPOCHS)
        x = np.zeros((tau, batch, self.n_in), FLOAT32)
        for name, (first, pattern) in self._stimuli(conditions).items():
            shown = rng.standard_normal((tau, *pattern.shape), FLOAT32) * FLOAT32.type(self._noise)
            shown += pattern.astype(FLOAT32)
            x[..., first : first + pattern.shape[1]] += shown * inside(epochs[name], tau)[..., None]
        decides = inside(epochs["decision"], tau)
        before = np.arange(tau)[:, None] < epochs["decision"][:, 0]
        x[..., 0] = before
        self._add_cues(x, before, conditions)
        steps = decides.sum(0)
        weight = np.where(before, steps / before.sum(0), decides).astype(FLOAT32)
        return Trials(x, decides * conditions["choice"], weight, conditions, epochs)

    def _add_cues(self, x: Array, before: Array, conditions: dict[str, Array]) -> None:
        """Write what is told beside stimuli into x."""

    def choice(self, y_hat: Any, trials: Trials) -> Array:
        """Return the choice in each trial: the class that has the largest mean of y_hat over the decision.

        Parameters
        ----------
        y_hat, trials
            As for `score`.

        Returns
        -------
        ndarray
            ``[batch]``, 0 where it goes on fixating. The right ones are ``trials.conditions["choice"]``.
        """
        return self._choice(self._checked(y_hat, trials), trials)

    def _choice(self, y_hat: Array, trials: Trials) -> Array:
        decides = inside(trials.epochs["decision"], len(y_hat))
        chosen: Array = (y_hat * decides[..., None]).sum(0).argmax(-1)
        return chosen

    def _score(self, y_hat: Array, trials: Trials) -> float:
        return float((self._choice(y_hat, trials) == trials.conditions["choice"]).mean())
