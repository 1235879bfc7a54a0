"""What every task has: sizes of a network, trials, batches of them for `fit`, and a score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from bptt._arrays import Array, as_array, check_shape
from bptt._checks import size
from bptt.networks.elman import ElmanRNN
from bptt.training.batches import Batches

FLOAT32 = np.dtype(np.float32)


class _Arrays(NamedTuple):
    x: Any
    y: Any
    weight: Any


class Trials(_Arrays):
    """Trials of a task: the tuple ``(x, y, weight)`` that `Batches` and ``validation=`` of `fit` take.

    Attributes
    ----------
    x, y, weight : ndarray, or list of ndarray
        As a network's `loss` takes them, time-major.
    conditions : dict of str to ndarray
        What a trial is about, ``[batch]`` each. The docstring of the task names them.
    epochs : dict of str to ndarray
        When the parts of a trial are, ``[batch, 2]`` each: their first step, and the one after their last.
    task : Task
        Whose trials they are.
    """

    conditions: dict[str, Array]
    epochs: dict[str, Array]
    task: Task | None = None

    def __new__(
        cls,
        x: Any,
        y: Any,
        weight: Any,
        conditions: dict[str, Array] | None = None,
        epochs: dict[str, Array] | None = None,
    ) -> Trials:
        trials = super().__new__(cls, x, y, weight)
        trials.conditions, trials.epochs = conditions or {}, epochs or {}
        return trials

    def __repr__(self) -> str:
        count = len(self.x) if isinstance(self.x, list) else self.x.shape[1]
        return f"Trials({count} of {self.task!r})"


class Task(ABC):
    """A task that a network learns from trials: a base, not a task itself."""

    input: ClassVar[Literal["real", "token"]] = "real"
    output: ClassVar[Literal["softmax", "sigmoid", "linear"]]
    readout: ClassVar[Literal["all", "last"]] = "all"
    metric: ClassVar[str]  # what `score` returns
    source: ClassVar[str]

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """What each input is."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """What each output is."""

    @property
    @abstractmethod
    def chance(self) -> float:
        """The score of who has not solved the task: what it takes to score more, the docstring of the task says."""

    @property
    @abstractmethod
    def best(self) -> float | None:
        """The expected score of an ideal observer, who knows the task and reads x; None where no formula is known."""

    @abstractmethod
    def _draw(self, rng: np.random.Generator, batch: int) -> Trials:
        """Trials, of checked arguments; `trials` adds whose they are."""

    @abstractmethod
    def _score(self, y_hat: Any, trials: Trials) -> float:
        """The score of checked outputs."""

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return len(self.inputs)

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return len(self.outputs)

    def network(self, n_hidden: int | Sequence[int], **options: Any) -> ElmanRNN:
        """Return an `ElmanRNN` with the inputs and outputs of this task.

        Parameters
        ----------
        n_hidden : int or sequence of int
            Number of hidden units.
        **options
            Others of `ElmanRNN`, such as `activation` and `seed`.
        """
        for name in ("input", "output", "readout"):
            if name in options:
                raise TypeError(f"{name}: expected none, as the task has {getattr(self, name)!r}")
        return ElmanRNN(
            self.n_in, n_hidden, self.n_out, input=self.input, output=self.output, readout=self.readout, **options
        )

    def trials(self, rng: np.random.Generator, batch: int) -> Trials:
        """Return trials, drawn independently of one another.

        Parameters
        ----------
        rng : numpy.random.Generator
            All that is random is drawn from it: the same generator gives the same bits.
        batch : int
            How many trials, at least 1.

        Returns
        -------
        Trials
            A tuple of x, y and weight, with the attributes `conditions`, `epochs` and `task`.
        """
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng: expected a numpy.random.Generator, got {type(rng).__name__}")
        trials = self._draw(rng, size("batch", batch, 1))
        trials.task = self
        return trials

    def batches(self, batch: int = 64, *, steps: int) -> Batches:
        """Return batches for `fit`, of fresh trials at each update: ``rnn.fit(task.batches(steps=100), ...)``.

        A checkpoint has the task with all of its parameters. So a run can only be resumed with the same ones.

        Parameters
        ----------
        batch : int
            How many trials an update sees.
        steps : int
            How many updates an epoch has.
        """
        return Batches(partial(self.trials, batch=size("batch", batch, 1)), steps)

    def score(self, y_hat: Any, trials: Trials) -> float:
        """Return how well outputs solve trials, in the task's own `metric`.

        Parameters
        ----------
        y_hat : array_like, or list of array_like where x is a list
            ``rnn.forward(trials.x).y_hat``.
        trials : Trials
            Of this task, or of one with the same parameters.

        Raises
        ------
        TypeError
            If `trials` are none, or `y_hat` no numbers.
        ValueError
            If they are those of another task, or if `y_hat` has another shape or numbers that are not finite.
        """
        return float(self._score(self._checked(y_hat, trials), trials))

    def _checked(self, y_hat: Any, trials: Trials) -> Any:
        if not isinstance(trials, Trials):
            raise TypeError(f"trials: expected Trials, got {type(trials).__name__}")
        if trials.task != self:
            raise ValueError(f"trials: expected those of {self}, got those of {trials.task}")
        if not isinstance(trials.x, list):
            of_a_trial = trials.x.shape[1:2] if self.readout == "last" else trials.x.shape[:2]
            return _outputs("y_hat", y_hat, (*of_a_trial, self.n_out))
        if not isinstance(y_hat, list) or len(y_hat) != len(trials.x):
            got = f"{len(y_hat)} arrays" if isinstance(y_hat, list) else type(y_hat).__name__
            raise ValueError(f"y_hat: expected a list of {len(trials.x)} arrays, as x is, got {got}")
        return [
            _outputs(f"y_hat[{i}]", rows, (len(x), self.n_out))
            for i, (rows, x) in enumerate(zip(y_hat, trials.x, strict=True))
        ]


def _outputs(name: str, value: Any, shape: tuple[int, ...]) -> Array:
    array = as_array(name, value, np.dtype(np.float64))
    check_shape(name, array, shape)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got {array[~np.isfinite(array)][0]}")
    return array
