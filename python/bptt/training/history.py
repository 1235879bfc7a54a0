"""What happened during training: numbers per update and per epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from bptt._arrays import Array

_UPDATE = ("loss", "gradient_norm", "learning_rate", "targets", "seconds")
_EPOCH = ("loss", "validation", "updates", "seconds")
STOPPED = ("", "epochs", "patience", "callback", "interrupted")


class Record:
    """Columns of numbers that grow row by row."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._columns: dict[str, list[float]] = {name: [] for name in names}

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_") or name not in self._names:
            raise AttributeError(f"expected one of {', '.join(self._names)}, got {name!r}")
        return np.array(self._columns[name])

    def __len__(self) -> int:
        return len(self._columns[self._names[0]])

    def __repr__(self) -> str:
        return f"Record({len(self)} rows of {', '.join(self._names)})"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._names]

    def latest(self, name: str, n: int) -> list[float]:
        """The last `n` numbers of a column, or all where there are fewer."""
        return self._columns[name][-n:]

    def append(self, **row: float) -> None:
        for name in self._names:
            self._columns[name].append(float(row[name]))

    def arrays(self) -> dict[str, Array]:
        return {name: np.array(column, np.float64) for name, column in self._columns.items()}

    def load(self, arrays: dict[str, Array]) -> None:
        self._columns = {name: arrays[name].tolist() for name in self._names}


class History:
    """What `fit` gives back. All losses are means per target, in nats.

    Attributes
    ----------
    updates : Record
        A number per update: ``loss`` (before the update), ``gradient_norm`` (of the mean loss, before clipping),
        ``learning_rate``, ``targets`` (the sum of weights that the loss was divided by), ``seconds``; each an ndarray.
    epochs : Record
        A number per epoch that was completed: ``loss`` (over its updates), ``validation`` (after it; NaN without
        validation data), ``updates`` (how many had been made by its end), ``seconds``.
    best_epoch : int or None
        The epoch with the lowest validation loss, counted from 0.
    best_parameters : ndarray or None
        The network's parameters after that epoch, if `fit` was given `patience`.
    loss, validation : ndarray
        ``epochs.loss`` and ``epochs.validation``.
    stopped : str
        Why training ended: ``"epochs"`` (all were made), ``"patience"``, ``"callback"`` or ``"interrupted"``.
    """

    def __init__(self) -> None:
        self.updates, self.epochs = Record(_UPDATE), Record(_EPOCH)
        self.best_parameters: Array | None = None
        self.stopped = ""

    @property
    def loss(self) -> Array:
        """The training loss of every epoch, the mean over its updates' targets: ``[epochs]``, in nats per target."""
        return self.epochs.loss

    @property
    def validation(self) -> Array:
        """The validation loss after every epoch: ``[epochs]``, in nats per target; NaN without validation data."""
        return self.epochs.validation

    @property
    def best_epoch(self) -> int | None:
        validation = self.epochs.validation
        return None if validation.size == 0 or np.isnan(validation).all() else int(np.nanargmin(validation))

    def __repr__(self) -> str:
        if not len(self.epochs):
            return f"History({len(self.updates)} updates{self.stopped and f', {self.stopped}'})"
        best = self.best_epoch
        validation = "" if best is None else f", validation {self.validation[best]:.4f} at best, after {best + 1}"
        epochs = f"{len(self.epochs)} epochs, {len(self.updates)} updates"
        return f"History({epochs}, {self.stopped}: loss {self.loss[-1]:.4f}{validation})"

    def plot(self, axes: Any = None) -> Any:
        """Draw the losses against the updates.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Where; by default on a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            Without matplotlib (``pip install "bptt[plot]"``).
        """
        if axes is None:
            try:
                from matplotlib import pyplot
            except ImportError as error:
                raise ImportError(
                    f'plot: expected matplotlib, as pip install "bptt[plot]" brings it: {error}'
                ) from None

            axes = pyplot.subplots(layout="constrained")[1]
        updates, epochs = self.updates, self.epochs
        axes.plot(np.arange(1, len(updates) + 1), updates.loss, color="C0", alpha=0.3, linewidth=0.8)
        axes.plot(epochs.updates, epochs.loss, color="C0", marker=".", label="training")
        if self.best_epoch is not None:
            axes.plot(epochs.updates, epochs.validation, color="C1", marker=".", label="validation")
        axes.set(xlabel="updates", ylabel="nats per target")
        axes.legend()
        return axes
