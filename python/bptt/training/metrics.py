"""Metrics of an epoch: what users want to know of predictions beside the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from bptt._arrays import Array
from bptt._checks import shown
from bptt.training.history import EPOCH

Metric: TypeAlias = Callable[[Any, Any], Any]  # of y and y_hat; what it returns is checked


def checked_metrics(metrics: Mapping[str, Metric] | None) -> dict[str, Metric]:
    """Return functions by their names, or raise TypeError or ValueError."""
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping):
        raise TypeError(f"metrics: expected a dict of functions by name, got {type(metrics).__name__}")
    for name, metric in metrics.items():
        if not isinstance(name, str):
            raise TypeError(f"metrics: expected names that are texts, got {shown(name)}")
        if not (name and name.isprintable()):  # it stands in files, and is shown
            raise ValueError(f"metrics: expected names of printable characters, got {shown(name)}")
        if name in EPOCH:
            raise ValueError(f"metrics: expected names other than {', '.join(EPOCH)}, got {name!r}")
        if not callable(metric):
            raise TypeError(f"metrics[{shown(name)}]: expected a function of y and y_hat, got {type(metric).__name__}")
    return dict(metrics)


def computed_metrics(metrics: Mapping[str, Metric], y: Array, y_hat: Array, epoch: int) -> dict[str, float]:
    """Return the value of each metric. Each sees arrays of its own.

    Raises
    ------
    RuntimeError
        If a metric raises; its error is the cause.
    TypeError
        If a metric returns no number.
    """
    values = {}
    for name, metric in metrics.items():
        where = f"epoch {epoch}: metrics[{shown(name)}]"
        try:
            value = metric(y.copy(), y_hat.copy())
        except Exception as error:
            raise RuntimeError(
                f"{where}: expected a number, got {type(error).__name__}: {shown(error, str)}"
            ) from error
        if isinstance(value, np.ndarray) and value.shape == ():
            value = value[()]
        if isinstance(value, bool) or not isinstance(value, float | int | np.floating | np.integer):
            raise TypeError(f"{where}: expected a number, got {type(value).__name__}")
        try:
            values[name] = float(value)
        except OverflowError:
            raise TypeError(f"{where}: expected a number that a float can be, got {shown(value)}") from None
    return values
