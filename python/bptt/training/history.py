"""What happened during training: numbers per update and per epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from bptt._arrays import Array

_UPDATE = ("loss", "gradient_norm", "learning_rate", "targets", "seconds")
EPOCH = ("loss", "validation", "updates", "seconds")
STOPPED = ("", "epochs", "patience", "callback", "interrupted")


class Record:
    """Columns of numbers that grow row by row.

    A column is an ndarray, as an attribute (``history.epochs.loss``) or by its name (``history.epochs["loss"]``).
    ``len`` counts the rows, and iteration gives the names, so ``dict(history.epochs)`` has all columns.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._columns: dict[str, list[float]] = {name: [] for name in names}

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):  # a copy asks for some before it has any columns
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(*error.args) from None

    def __getitem__(self, name: str) -> Array:
        if name not in self._columns:
            raise KeyError(f"expected one of {', '.join(self._columns)}, got {name!r}")
        return np.array(self._columns[name], np.float64)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __repr__(self) -> str:
        return f"Record({len(self)} rows of {', '.join(self)})"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def keys(self) -> KeysView[str]:
        """Return the names of the columns."""
        return self._columns.keys()

    def to_frame(self) -> Any:
        """Return the columns as a table of pandas.

        Returns
        -------
        pandas.DataFrame
            With a row for each update or epoch, counted from 0, and numbers of its own.

        Raises
        ------
        ImportError
            Without pandas (``pip install pandas``).
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise ImportError(f"to_frame: expected pandas, as pip install pandas brings it: {error}") from None
        return pandas.DataFrame(self.arrays())

    def latest(self, name: str, n: int) -> list[float]:
        """Return the last `n` numbers of a column, or all where there are fewer."""
        return self._columns[name][-n:]

    def append(self, row: Mapping[str, float]) -> None:
        """Append a row, which has a number for each column."""
        numbers = [float(row[name]) for name in self._columns]
        for column, value in zip(self._columns.values(), numbers, strict=True):
            column.append(value)

    def arrays(self) -> dict[str, Array]:
        """Return each column under its name."""
        return {name: self[name] for name in self}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take the numbers of each column from an array under its name."""
        self._columns = {name: arrays[name].tolist() for name in self}


class History:
    """What `fit` gives back. All losses are means per target, in nats.

    Attributes
    ----------
    updates : Record
        A number per update: ``loss`` (before the update), ``gradient_norm`` (of the mean loss, before clipping),
        ``learning_rate``, ``targets`` (the sum of weights that the loss was divided by), ``seconds``; each an ndarray.
    epochs : Record
        A number per epoch that was completed: ``loss`` (over its updates), ``validation`` (after it; NaN without
        validation data), ``updates`` (how many had been made by its end), ``seconds``; and each metric, by its name.
    best_epoch : int or None
        The epoch with the lowest validation loss, counted from 0.
    best_parameters : ndarray or None
        The network's parameters after that epoch, if `fit` was given `patience`.
    loss, validation : ndarray
        ``epochs.loss`` and ``epochs.validation``.
    stopped : str
        Why training ended: ``"epochs"`` (all were made), ``"patience"``, ``"callback"`` or ``"interrupted"``.
    """

    def __init__(self, metrics: Iterable[str] = ()) -> None:
        self.updates, self.epochs = Record(_UPDATE), Record((*EPOCH, *metrics))
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

    def to_frame(self) -> Any:
        """Return the epochs as a table of pandas: ``epochs.to_frame()``; ``updates.to_frame()`` is that of the updates.

        Returns
        -------
        pandas.DataFrame
            With a row for each epoch, counted from 0.

        Raises
        ------
        ImportError
            Without pandas (``pip install pandas``).
        """
        return self.epochs.to_frame()

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
