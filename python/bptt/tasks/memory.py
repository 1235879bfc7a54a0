"""Memory over time: flip-flops, copying, adding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from bptt._arrays import Array
from bptt._checks import number, size
from bptt.tasks.task import FLOAT32, Task, Trials


@dataclass(frozen=True, kw_only=True)
class FlipFlop(Task):
    """Remember the latest pulse of each of some inputs.

    Each input is 0, with pulses of +1 or -1 at random. Each output is the latest pulse of its input, for as long as
    there is no other one. Every input begins with a pulse::

        y_k(t) = x_k(t) if there is a pulse, else y_k(t-1)

    Parameters
    ----------
    n_bits : int
        How many inputs and outputs.
    steps : int
        Steps of a trial.
    p_flip : float
        The probability of a pulse at each step, in (0, 1]. Half of the pulses change their output.
    sigma : float
        The standard deviation of noise that is added to each input at each step.

    Notes
    -----
    Score: the share of outputs of the right sign, over all steps and bits.

    Any constant has half of them right: `chance`. Who tells the pulse of the moment, and forgets it, has
    ``(1 + p_flip) / 2`` right, or more by the first step.

    Source: Sussillo, Barak, *Opening the black box* (2013). Names and defaults are those of FixedPointFinder (Golub,
    Sussillo, 2018). Networks that solve it have ``2 ** n_bits`` stable fixed points, as a rule.

    Examples
    --------
    >>> import numpy as np
    >>> import bptt
    >>> from bptt.tasks import FlipFlop
    >>> task = FlipFlop(n_bits=3)
    >>> rnn = task.network(32, seed=0)
    >>> held_out = task.trials(np.random.default_rng(1), 128)
    >>> history = rnn.fit(
    ...     task.batches(steps=100), optimizer=bptt.Adam(1e-2), epochs=2, validation=held_out, seed=0, progress=False
    ... )
    >>> task.score(rnn.forward(held_out.x).y_hat, held_out) > 0.9
    True
    """

    n_bits: int = 3
    steps: int = 64
    p_flip: float = 0.5
    sigma: float = 0.0

    output: ClassVar[Literal["linear"]] = "linear"
    metric: ClassVar[str] = "bits right"
    source: ClassVar[str] = "Sussillo, Barak (2013)"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_bits", size("n_bits", self.n_bits, 1))
        object.__setattr__(self, "steps", size("steps", self.steps, 1))
        object.__setattr__(self, "p_flip", number("p_flip", self.p_flip, 0, 1, "(]"))
        object.__setattr__(self, "sigma", number("sigma", self.sigma, 0, math.inf))

    @property
    def inputs(self) -> tuple[str, ...]:
        """What each input is."""
        return tuple(f"bit {k + 1}" for k in range(self.n_bits))

    @property
    def outputs(self) -> tuple[str, ...]:
        """What each output is."""
        return self.inputs

    @property
    def chance(self) -> float:
        """That of a constant."""
        return 0.5

    @property
    def best(self) -> float | None:
        """1 without noise; with it there is no formula."""
        return 1.0 if self.sigma == 0 else None

    def _draw(self, rng: np.random.Generator, batch: int) -> Trials:
        shape = (self.steps, batch, self.n_bits)
        pulses = rng.random(shape, FLOAT32) < self.p_flip
        pulses[0] = True
        signs = rng.integers(2, size=shape, dtype=np.int8) * np.int8(2) - np.int8(1)
        latest = np.maximum.accumulate(np.where(pulses, np.arange(self.steps)[:, None, None], 0), 0)
        y = np.take_along_axis(signs, latest, 0).astype(FLOAT32)
        x = np.where(pulses, signs, 0).astype(FLOAT32)
        if self.sigma:
            x += rng.standard_normal(shape, FLOAT32) * FLOAT32.type(self.sigma)
        return Trials(x, y, np.ones(shape[:2], FLOAT32))

    def _score(self, y_hat: Array, trials: Trials) -> float:
        return float((np.where(y_hat > 0, 1, -1) == trials.y).mean())


@dataclass(frozen=True, kw_only=True)
class CopyMemory(Task):
    """Tell, after a delay, the symbols at the beginning of the sequence.

    A trial has `length` symbols, then ``delay - 1`` blanks, a marker, and `length` blanks. The targets are
    ``delay + length`` blanks, and then the symbols in their order. Inputs are tokens: the symbols 0 to
    ``n_symbols - 1``, the blank, the marker.

    Parameters
    ----------
    n_symbols : int
        How many symbols there are.
    length : int
        How many are to be copied.
    delay : int
        Steps from the last symbol to the marker, at least 1.

    Notes
    -----
    Score: the share of symbols that are told right.

    `chance` is ``1 / n_symbols``. The mean loss of the best predictor without a memory is `memoryless_loss`. Who solves
    the task has less.

    Source: Hochreiter, Schmidhuber, *Long short-term memory* (1997); as here in Arjovsky, Shah, Bengio, *Unitary
    evolution recurrent neural networks* (2016).
    """

    n_symbols: int = 8
    length: int = 10
    delay: int = 100

    input: ClassVar[Literal["token"]] = "token"
    output: ClassVar[Literal["softmax"]] = "softmax"
    metric: ClassVar[str] = "symbols right"
    source: ClassVar[str] = "Hochreiter, Schmidhuber (1997); Arjovsky, Shah, Bengio (2016)"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_symbols", size("n_symbols", self.n_symbols, 2))
        object.__setattr__(self, "length", size("length", self.length, 1))
        object.__setattr__(self, "delay", size("delay", self.delay, 1))

    @property
    def inputs(self) -> tuple[str, ...]:
        """What each token is."""
        return (*self.outputs, "marker")

    @property
    def outputs(self) -> tuple[str, ...]:
        """What each class is."""
        return (*(f"symbol {k + 1}" for k in range(self.n_symbols)), "blank")

    @property
    def chance(self) -> float:
        """One in `n_symbols`."""
        return 1 / self.n_symbols

    @property
    def best(self) -> float:
        """All that is to be told was shown."""
        return 1.0

    @property
    def memoryless_loss(self) -> float:
        """The mean loss per step, in nats, of who knows when to tell symbols, but not which.

        ``length log(n_symbols) / (delay + 2 length)``.
        """
        return self.length * math.log(self.n_symbols) / (self.delay + 2 * self.length)

    def _draw(self, rng: np.random.Generator, batch: int) -> Trials:
        tau, blank, marker = self.delay + 2 * self.length, self.n_symbols, self.n_symbols + 1
        symbols = rng.integers(self.n_symbols, size=(self.length, batch))
        x, y = np.full((2, tau, batch), blank)
        x[: self.length] = y[-self.length :] = symbols
        x[self.length + self.delay - 1] = marker
        return Trials(x, y, np.ones((tau, batch), FLOAT32))

    def _score(self, y_hat: Array, trials: Trials) -> float:
        return float((y_hat[-self.length :].argmax(-1) == trials.y[-self.length :]).mean())


@dataclass(frozen=True, kw_only=True)
class AddingProblem(Task):
    """Add the two numbers that are marked.

    The first input is a number from [0, 1) at each step. The second one is 0, and 1 at two steps: one of the first half
    of the steps, and one of the second half. The target is the sum of the numbers at these steps. There is one output,
    at the end.

    Parameters
    ----------
    steps : int
        Steps of a trial, at least 2.

    Notes
    -----
    Conditions: ``first``, ``second`` (the steps that are marked). Score: the mean squared error, 0 at best.

    Who always says 1 has the variance of the sum, 1/6 = 0.167: `chance`.

    Source: Hochreiter, Schmidhuber, *Long short-term memory* (1997); as here in Arjovsky, Shah, Bengio, *Unitary
    evolution recurrent neural networks* (2016).
    """

    steps: int = 100

    output: ClassVar[Literal["linear"]] = "linear"
    readout: ClassVar[Literal["last"]] = "last"
    metric: ClassVar[str] = "mean squared error"
    source: ClassVar[str] = "Hochreiter, Schmidhuber (1997); Arjovsky, Shah, Bengio (2016)"

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", size("steps", self.steps, 2))

    @property
    def inputs(self) -> tuple[str, ...]:
        """What each input is."""
        return ("number", "mark")

    @property
    def outputs(self) -> tuple[str, ...]:
        """What each output is."""
        return ("sum",)

    @property
    def chance(self) -> float:
        """The variance of the sum of two numbers."""
        return 1 / 6

    @property
    def best(self) -> float:
        """All that is to be added was shown."""
        return 0.0

    def _draw(self, rng: np.random.Generator, batch: int) -> Trials:
        half, trial = self.steps // 2, np.arange(batch)
        first, second = rng.integers(half, size=batch), rng.integers(half, self.steps, size=batch)
        x = np.zeros((self.steps, batch, 2), FLOAT32)
        x[..., 0] = rng.random((self.steps, batch), FLOAT32)
        x[first, trial, 1] = x[second, trial, 1] = 1
        y = x[first, trial, :1] + x[second, trial, :1]
        return Trials(x, y, np.ones(batch, FLOAT32), {"first": first, "second": second})

    def _score(self, y_hat: Array, trials: Trials) -> float:
        return float(((y_hat - trials.y) ** 2).mean())
