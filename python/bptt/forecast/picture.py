"""The picture of a forecast, with matplotlib: the last rows, the forecast with its interval, simple forecasts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt.forecast.baselines import LAST, naive, rows_needed, seasonal
from bptt.forecast.errors import plural
from bptt.forecast.learnt import Learnt
from bptt.forecast.panel import SequenceRows

_BLUE, _BLACK, _GREY, _ORANGE = "#0072B2", "#000000", "#777777", "#E69F00"
_STYLES = (":", "--", "-.", (0, (1, 4)))  # of simple forecasts
_SEASONS_MOST = 10  # times the steps ahead: what is drawn before them


def draw(
    learnt: Learnt,
    one: SequenceRows,
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
        ax = pyplot.subplots(figsize=(8.0, 3.6), layout="constrained")[1]
    elif not hasattr(ax, "fill_between"):
        raise TypeError(f"ax: expected axes of matplotlib, or None, got {type(ax).__name__}")
    legend: dict[str, Any] = {"loc": "best"}
    if ax.figure.get_layout_engine() is not None:  # which makes room beside the lines
        legend = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "frameon": False}
    model, steps = learnt.models[k], len(times)
    y_hat, lower, upper = (each[:, k] for each in forecast)
    seasons = [n for n in model.seasons if n <= _SEASONS_MOST * steps]  # a longer one would leave no room
    before = min(len(one.y), max(4 * steps, max(seasons, default=1)))
    y = np.where(one.filled[:, k], np.nan, one.y[:, k])
    ax.plot(one.times[-before:], y[-before:], color=_BLACK, linewidth=1.0, label="known")
    track = learnt.track(one, k, one.future, 1)
    for simple, style in zip([LAST, *map(seasonal, seasons)], _STYLES, strict=False):
        if track.rows - track.first >= rows_needed(simple):
            line = track.units.back(naive(simple, track.z, np.array([track.rows - 1]), steps, track.first)[0])
            ax.plot(times, line, color=_ORANGE, linewidth=1.0, linestyle=style, label=simple)
    if np.isfinite(lower).any():
        ax.fill_between(times, lower, upper, color=_BLUE, alpha=0.2, linewidth=0, label=f"{level:.0%} interval")
    ax.plot(times, y_hat, color=_BLUE, linewidth=1.5, label="forecast")
    ax.axvline(one.times[-1], color=_GREY, linewidth=0.8)
    name = learnt.panel.targets[k]
    ax.set_title(f"{name}, {plural(steps, 'row')} ahead" + (f": {', '.join(one.id)}" if one.id else ""))
    ax.set_xlabel(learnt.panel.time_name or "row")
    ax.set_ylabel(name)
    ax.legend(**legend)
    if isinstance(times, pd.DatetimeIndex):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        ax.xaxis.set_major_locator(dates := AutoDateLocator())
        ax.xaxis.set_major_formatter(ConciseDateFormatter(dates))
    return ax
