"""The decisions of the field: random dots, with and without a context, match to sample, go or no go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bptt._arrays import Array
from bptt._checks import number, size
from bptt.tasks.decision import Decision, Stimuli
from bptt.tasks.epochs import Duration, drawn
from bptt.tasks.ideal import normal_cdf, ring_accuracy

_MOST_CHANNELS = 2**16


def _ring(n: int, direction: Array) -> Array:
    """``cos(theta_k - direction)`` for each of n channels, ``[batch, n]``."""
    return np.cos(2 * np.pi * np.arange(n) / n - direction[:, None])


def _ring_norm(n: int) -> float:
    """The Euclidean norm of such a pattern."""
    return math.sqrt(n if n == 2 else n / 2)


def _coherences(value: Any) -> tuple[float, ...]:
    """Return coherences (percent) as a tuple of floats, else raise."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        raise TypeError(f"coherences: expected a sequence of numbers, got {type(value).__name__}")
    if len(value) == 0:
        raise ValueError("coherences: expected at least one number, got none")
    return tuple(number("coherences", one, 0, 100, "[]") for one in value)


@dataclass(frozen=True, kw_only=True)
class _RandomDots(Decision):
    """Random dots that move, more or less coherently, in one of some directions."""

    dim_ring: int = 2
    coherences: Sequence[float] = (0.0, 6.4, 12.8, 25.6, 51.2)
    fixation: Duration = 100.0
    stimulus: Duration = 2000.0
    delay: Duration = 0.0
    decision: Duration = 100.0

    _EPOCHS: ClassVar[tuple[str, ...]] = ("fixation", "stimulus", "delay", "decision")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "dim_ring", size("dim_ring", self.dim_ring, 2, _MOST_CHANNELS))
        object.__setattr__(self, "coherences", _coherences(self.coherences))

    @property
    def outputs(self) -> tuple[str, ...]:
        """What each output is."""
        return ("fixate", *(f"choice {k + 1}" for k in range(self.dim_ring)))

    @property
    def chance(self) -> float:
        """One in `dim_ring`."""
        return 1 / self.dim_ring

    @property
    def best(self) -> float:
        """The mean over coherences and durations of how often the most likely direction is the right one."""
        return float(np.mean([self._accuracy(c, n) for c in self.coherences for n in self._steps("stimulus").tolist()]))

    def _accuracy(self, coherence: float, steps: int) -> float:
        if coherence == 0:
            return self.chance
        if self.sigma == 0:
            return 1.0
        return ring_accuracy(
            self.dim_ring, coherence / 200 * _ring_norm(self.dim_ring) * math.sqrt(steps) / self._noise
        )

    def _choices(self, rng: np.random.Generator, batch: int) -> Array:
        return rng.integers(1, self.dim_ring + 1, size=batch)

    def _dots(self, choice: Array, coherence: Array) -> Array:
        return 0.5 + coherence[:, None] / 200 * _ring(self.dim_ring, 2 * np.pi * (choice - 1) / self.dim_ring)


@dataclass(frozen=True, kw_only=True)
class PerceptualDecisionMaking(_RandomDots):
    """In which direction do the noisy dots move?

    The channels k = 1, ..., `dim_ring` prefer the directions ``theta_k = 2 pi (k - 1) / dim_ring``. During the stimulus
    they see the direction theta at a coherence c (percent)::

        x_k(t) = 1/2 + c/200 cos(theta_k - theta) + sigma / sqrt(dt) N(0, 1)

    The first input is the fixation cue: 1 until the decision, where it goes off. The targets are classes: 0 (fixate)
    until the decision, then the direction. Of the loss of a trial, the steps until the decision have one half of the
    weight, the steps of the decision the other one. After a trial that is shorter than others x and weight are 0.

    Parameters
    ----------
    dt : float
        ms that a step lasts. All durations are multiples of it.
    sigma : float
        The noise, times the square root of a ms: so what a stimulus tells does not depend on `dt`.
    dim_ring : int
        How many directions and channels, at least 2.
    coherences : sequence of float
        In percent, 0 to 100. Each trial has one of them, all equally likely.
    fixation, stimulus, delay, decision : float or sequence of float
        ms that each part of a trial lasts; of several, each trial has one, all equally likely.

    Notes
    -----
    Conditions: ``choice`` (1 to `dim_ring`), ``coherence`` (percent). Score: the share of right choices.

    An ideal observer adds up what each channel sees. For two directions it is right with the probability
    ``Phi(c/200 sqrt(2 n) sqrt(dt) / sigma)``, where n is how many steps the stimulus has: `best` is its mean over
    coherences and durations.

    Source: Britten, Shadlen, Newsome, Movshon, *The analysis of visual motion* (1992). Names and defaults are those of
    NeuroGym.

    Examples
    --------
    >>> import numpy as np
    >>> from bptt.tasks import PerceptualDecisionMaking
    >>> task = PerceptualDecisionMaking()
    >>> trials = task.trials(np.random.default_rng(0), 500)
    >>> trials.x.shape, task.chance, round(task.best, 3)
    ((22, 500, 3), 0.5, 0.896)
    """

    source: ClassVar[str] = "Britten, Shadlen, Newsome, Movshon (1992)"

    @property
    def inputs(self) -> tuple[str, ...]:
        """What each input is."""
        return ("fixation", *(f"stimulus {k + 1}" for k in range(self.dim_ring)))

    def _conditions(self, rng: np.random.Generator, batch: int) -> dict[str, Array]:
        choice = self._choices(rng, batch)
        return {"choice": choice, "coherence": drawn(rng, np.array(self.coherences), batch)}

    def _stimuli(self, conditions: dict[str, Array]) -> Stimuli:
        return {"stimulus": (1, self._dots(conditions["choice"], conditions["coherence"]))}


@dataclass(frozen=True, kw_only=True)
class ContextDecisionMaking(_RandomDots):
    """In which direction do the dots move, or which colour have they? A context tells what is asked.

    Each of two modalities is a stimulus as that of `PerceptualDecisionMaking`, with its own direction and coherence.
    One of two context inputs is 1 until the decision: it tells which modality counts. The other one is to be ignored.
    The fixation cue, the targets and their weights are those of `PerceptualDecisionMaking`.

    Parameters
    ----------
    dt, sigma, dim_ring, fixation, stimulus, delay, decision
        As for `PerceptualDecisionMaking`.
    coherences : sequence of float
        In percent, 0 to 100. Each modality of each trial has one of them, all equally likely.

    Notes
    -----
    Conditions: ``choice`` (1 to `dim_ring`), ``context`` (1 or 2, the modality that counts), ``direction_1``,
    ``direction_2`` (1 to `dim_ring`), ``coherence_1``, ``coherence_2`` (percent). Score: the share of right choices.

    `best` is that of `PerceptualDecisionMaking`. Who follows the same modality in both contexts scores
    ``(best + chance) / 2``.

    Source: Mante, Sussillo, Shenoy, Newsome, *Context-dependent computation by recurrent dynamics in prefrontal cortex*
    (2013). Names and coherences are those of NeuroGym, with the context told.
    """

    coherences: Sequence[float] = (5.0, 15.0, 50.0)
    fixation: Duration = 300.0
    stimulus: Duration = 800.0
    delay: Duration = (300.0, 600.0, 900.0)
    decision: Duration = 100.0

    source: ClassVar[str] = "Mante, Sussillo, Shenoy, Newsome (2013)"

    @property
    def inputs(self) -> tuple[str, ...]:
        """What each input is."""
        stimuli = (f"modality {m}, stimulus {k + 1}" for m in (1, 2) for k in range(self.dim_ring))
        return ("fixation", *stimuli, "context 1", "context 2")

    def _conditions(self, rng: np.random.Generator, batch: int) -> dict[str, Array]:
        conditions = {"context": rng.integers(1, 3, size=batch)}
        for m in (1, 2):
            conditions[f"direction_{m}"] = self._choices(rng, batch)
            conditions[f"coherence_{m}"] = drawn(rng, np.array(self.coherences), batch)
        first = conditions["context"] == 1
        return {"choice": np.where(first, conditions["direction_1"], conditions["direction_2"]), **conditions}

    def _stimuli(self, conditions: dict[str, Array]) -> Stimuli:
        both = [self._dots(conditions[f"direction_{m}"], conditions[f"coherence_{m}"]) for m in (1, 2)]
        return {"stimulus": (1, np.concatenate(both, -1))}

    def _add_cues(self, x: Array, before: Array, conditions: dict[str, Array]) -> None:
        x[..., -2] = before & (conditions["context"] == 1)
        x[..., -1] = before & (conditions["context"] == 2)


@dataclass(frozen=True, kw_only=True)
class DelayMatchSample(Decision):
    """Is the test the stimulus that was the sample, before the delay?

    During the sample and the test the channels k = 1, ..., `dim_ring` see a direction::

        x_k(t) = 1/2 + 1/2 cos(theta_k - theta) + sigma / sqrt(dt) N(0, 1),    theta_k = 2 pi (k - 1) / dim_ring

    The test has the direction of the sample in half of the trials, else the opposite one. The fixation cue, the targets
    and their weights are those of `PerceptualDecisionMaking`.

    Parameters
    ----------
    dt, sigma
        As for `PerceptualDecisionMaking`.
    dim_ring : int
        How many directions and channels, at least 2.
    fixation, sample, delay, test, decision : float or sequence of float
        ms that each part of a trial lasts; of several, each trial has one, all equally likely.

    Notes
    -----
    Conditions: ``choice`` (1 for a match, 2 for none), ``sample_theta`` and ``test_theta`` (rad). Score: the share of
    right choices.

    With two directions an ideal observer that tells a stimulus with the probability p(n) in n steps is right with
    ``p(sample) p(test) + (1 - p(sample)) (1 - p(test))``, where ``p(n) = Phi(sqrt(n/2) sqrt(dt) / sigma)``: `best`. For
    more directions there is no formula, unless there is no noise.

    Source: Miller, Erickson, Desimone, *Neural mechanisms of visual working memory in prefrontal cortex of the macaque*
    (1996). Names and defaults are those of NeuroGym.
    """

    dim_ring: int = 2
    fixation: Duration = 300.0
    sample: Duration = 500.0
    delay: Duration = 1000.0
    test: Duration = 500.0
    decision: Duration = 900.0

    source: ClassVar[str] = "Miller, Erickson, Desimone (1996)"
    _EPOCHS: ClassVar[tuple[str, ...]] = ("fixation", "sample", "delay", "test", "decision")
    _SHOWN: ClassVar[tuple[str, ...]] = ("sample", "test")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "dim_ring", size("dim_ring", self.dim_ring, 2, _MOST_CHANNELS))

    @property
    def inputs(self) -> tuple[str, ...]:
        """What each input is."""
        return ("fixation", *(f"stimulus {k + 1}" for k in range(self.dim_ring)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """What each output is."""
        return ("fixate", "match", "non-match")

    @property
    def chance(self) -> float:
        """One in two."""
        return 0.5

    @property
    def best(self) -> float | None:
        """The mean over durations of how often an ideal observer is right; None for more than two noisy directions."""
        if self.sigma == 0:
            return 1.0
        if self.dim_ring > 2:
            return None
        told = {
            name: np.array([normal_cdf(math.sqrt(n / 2) / self._noise) for n in self._steps(name).tolist()])
            for name in self._SHOWN
        }
        sample, test = told["sample"][:, None], told["test"]
        return float((sample * test + (1 - sample) * (1 - test)).mean())

    def _conditions(self, rng: np.random.Generator, batch: int) -> dict[str, Array]:
        choice = rng.integers(1, 3, size=batch)
        sample = 2 * np.pi * rng.integers(self.dim_ring, size=batch) / self.dim_ring
        return {"choice": choice, "sample_theta": sample, "test_theta": (sample + np.pi * (choice - 1)) % (2 * np.pi)}

    def _stimuli(self, conditions: dict[str, Array]) -> Stimuli:
        return {name: (1, 0.5 + 0.5 * _ring(self.dim_ring, conditions[f"{name}_theta"])) for name in ("sample", "test")}


@dataclass(frozen=True, kw_only=True)
class GoNogo(Decision):
    """Go, or go on fixating, as the stimulus before the delay has told.

    During the stimulus one of two inputs is 1: that of "no go", or that of "go". Both have the noise
    ``sigma / sqrt(dt) N(0, 1)`` then. The fixation cue, the targets and their weights are those of
    `PerceptualDecisionMaking`; the target of "no go" is to fixate.

    Parameters
    ----------
    dt, sigma
        As for `PerceptualDecisionMaking`.
    p_go : float
        The probability of "go", in (0, 1).
    fixation, stimulus, delay, decision : float or sequence of float
        ms that each part of a trial lasts; of several, each trial has one, all equally likely.

    Notes
    -----
    Conditions: ``choice`` (1 for go, 0 for none). Score: the share of right choices, where fixating is one.

    Who ignores the stimulus does the more likely: `chance` is ``max(p_go, 1 - p_go)``. Between the two
    stimuli an ideal observer sees a distance of ``d = sqrt(2 n) sqrt(dt) / sigma`` standard deviations in n steps. With
    ``l = log(p_go / (1 - p_go))`` it is right with the probability
    ``p_go Phi(d/2 + l/d) + (1 - p_go) Phi(d/2 - l/d)``: `best`.

    Source: Donders, *On the speed of mental processes* (1868); with a delay, Zhang and others, *Active information
    maintenance in working memory by a sensory cortex* (2019). Names and durations are those of NeuroGym, which has no
    noise here.
    """

    p_go: float = 0.5
    fixation: Duration = 0.0
    stimulus: Duration = 500.0
    delay: Duration = 500.0
    decision: Duration = 500.0

    source: ClassVar[str] = "Donders (1868)"
    _EPOCHS: ClassVar[tuple[str, ...]] = ("fixation", "stimulus", "delay", "decision")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "p_go", number("p_go", self.p_go, 0, 1, "()"))

    @property
    def inputs(self) -> tuple[str, ...]:
        """What each input is."""
        return ("fixation", "no go", "go")

    @property
    def outputs(self) -> tuple[str, ...]:
        """What each output is."""
        return ("fixate", "go")

    @property
    def chance(self) -> float:
        """That of the more likely stimulus."""
        return max(self.p_go, 1 - self.p_go)

    @property
    def best(self) -> float:
        """The mean over durations of how often an ideal observer is right."""
        if self.sigma == 0:
            return 1.0
        d = np.sqrt(2 * self._steps("stimulus")) / self._noise
        prior = math.log(self.p_go / (1 - self.p_go))
        go, no_go = ([normal_cdf(z) for z in d / 2 + sign * prior / d] for sign in (1, -1))
        return float(np.mean(self.p_go * np.array(go) + (1 - self.p_go) * np.array(no_go)))

    def _conditions(self, rng: np.random.Generator, batch: int) -> dict[str, Array]:
        return {"choice": (rng.random(batch) < self.p_go).astype(np.int64)}

    def _stimuli(self, conditions: dict[str, Array]) -> Stimuli:
        return {"stimulus": (1, np.eye(2)[conditions["choice"]])}
