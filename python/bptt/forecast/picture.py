"""The picture of a forecast, with matplotlib: the last rows, the forecast with its interval, simple forecasts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt.forecast.baselines import LAST, naive, rows_needed, seasonal
from bptt.forecast.learnt import Learnt
from bptt.forecast.panel import Sequence_

_BLUE, _BLACK, _GREY, _ORANGE = "#0072B2", "#000000", "#777777", "#E69F00"


def draw(
    learnt: Learnt,
    one: Sequence_,
    k: int,
    times: pd.Index,
    forecast: tuple[Array, Array, Array],
    level: float,
    ax: Any,
) -> Any:
    """Draw the forecast of target k of a sequence, and return the axes."""
    if ax is None:
        try:
            from matplotlib import pyplot
        except ModuleNotFoundError as error:
            if error.name != "matplotlib":
                raise
            raise ImportError('plot: expected matplotlib to be installed: pip install "bptt[plot]"') from None
        ax = pyplot.subplots(figsize=(8.0, 4.0), layout="constrained")[1]
    elif not hasattr(ax, "fill_between"):
        raise TypeError(f"ax: expected axes of matplotlib, or None, got {type(ax).__name__}")
    model, steps = learnt.models[k], len(times)
    y_hat, lower, upper = (each[:, k] for each in forecast)
    before = min(len(one.y), max(3 * steps, 2 * max(model.seasons, default=1)))
    y = np.where(one.filled[:, k], np.nan, one.y[:, k])
    ax.plot(one.times[-before:], y[-before:], color=_BLACK, linewidth=1.0, label="known")
    track = learnt.track(one, k, one.future, 1)
    simple = seasonal(model.seasons[-1]) if model.seasons else LAST
    if track.rows - track.first >= rows_needed(simple):
        line = track.units.back(naive(simple, track.z, np.array([track.rows - 1]), steps, track.first)[0])
        ax.plot(times, line, color=_ORANGE, linewidth=1.0, linestyle="--", label=simple)
    ax.plot(times, y_hat, color=_BLUE, linewidth=1.5, label="forecast")
    if np.isfinite(lower).any():
        ax.fill_between(times, lower, upper, color=_BLUE, alpha=0.2, linewidth=0, label=f"{level:.0%} interval")
    ax.axvline(one.times[-1], color=_GREY, linewidth=0.8)
    ax.set_title(", ".join([learnt.panel.targets[k], *one.id]))
    ax.set_xlabel(learnt.panel.time_name or "row")
    ax.legend(loc="upper left", frameon=False)
    if isinstance(times, pd.DatetimeIndex):
        ax.tick_params(axis="x", labelrotation=20)
    return ax
