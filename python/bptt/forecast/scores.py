"""How good forecasts are: errors and coverage from rolling origins, beside simple forecasts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt._checks import size
from bptt.forecast.baselines import DRIFT, LAST, mase_unit, naive, rows_needed, seasonal
from bptt.forecast.errors import plural
from bptt.forecast.learnt import Learnt, cut, history
from bptt.forecast.model import TargetModel
from bptt.forecast.panel import Panel, SequenceRows

MODEL, RIDGE = "model", "ridge on lags"


def table(learnt: Learnt, contests: list[tuple[SequenceRows, Array]], steps: int, level: float) -> pd.DataFrame:
    """Score forecasts of sequences from their origins, as `Forecaster.backtest` says."""
    panel, models = learnt.panel, learnt.models
    ridges = [_ridge(model) for model in models]
    errors: dict[tuple[str, str], list[Array]] = {}
    units_of_mase: dict[str, list[float]] = {name: [] for name in panel.targets}
    covered: dict[str, list[Array]] = {name: [] for name in panel.targets}
    for one, at in contests:
        forecasts = {MODEL: [learnt.ahead(cut(one, t + 1), one.future[: t + 1 + steps], steps, level) for t in at]}
        if any(ridge is not None for ridge in ridges):
            whole = [ridge or model for ridge, model in zip(ridges, models, strict=True)]
            forecasts[RIDGE] = [
                learnt.ahead(cut(one, t + 1), one.future[: t + 1 + steps], steps, level, whole) for t in at
            ]
        ahead = at[:, None] + np.arange(1, steps + 1)
        for k, (name, model) in enumerate(zip(panel.targets, models, strict=True)):
            y = np.where(one.filled[:, k], np.nan, one.y[:, k])[ahead]
            track = learnt.track(one, k, one.future, 1)
            units_of_mase[name].append(mase_unit(track.y[: at[0] + 1], model.seasons[0] if model.seasons else 1))
            by_name = {which: np.stack([y_hat[:, k] for y_hat, _, _ in those]) for which, those in forecasts.items()}
            if ridges[k] is None:
                by_name.pop(RIDGE, None)
            for simple in [LAST, *(seasonal(s) for s in model.seasons), DRIFT]:
                if at[0] - track.first + 1 >= rows_needed(simple):
                    z = naive(simple, track.z, at, steps, track.first)
                    by_name[simple] = track.units.back(z)
            for which, y_hat in by_name.items():
                errors.setdefault((name, which), []).append(y_hat - y)
            low, high = (np.stack([each[i][:, k] for each in forecasts[MODEL]]) for i in (1, 2))
            inside = ((low <= y) & (y <= high)).astype(np.float64)
            covered[name].append(np.where(np.isfinite(y + low), inside, np.nan))
    rows: list[dict[str, Any]] = []
    for (name, which), of_sequences in errors.items():
        every = np.concatenate([each.ravel() for each in of_sequences])
        every = every[np.isfinite(every)]
        if len(of_sequences) < len(contests) or every.size == 0:
            continue  # a forecast that not all sequences have cannot be compared
        scaled = [
            np.nanmean(np.abs(each)) / unit
            for each, unit in zip(of_sequences, units_of_mase[name], strict=True)
            if np.isfinite(unit) and np.isfinite(each).any()
        ]
        inside = np.concatenate([each.ravel() for each in covered[name]])
        rows.append(
            {
                "target": name,
                "forecast": which,
                "MAE": float(np.abs(every).mean()),
                "RMSE": float(np.sqrt((every**2).mean())),
                "MASE": float(np.mean(scaled)) if scaled else np.nan,
                "coverage": float(np.nanmean(inside)) if which == MODEL and np.isfinite(inside).any() else np.nan,
            }
        )
    if not rows:
        raise ValueError("df: expected a row to score in which a target is known, got none")
    order = {name: i for i, name in enumerate(panel.targets)}
    rows.sort(key=lambda row: order[row["target"]])
    return pd.DataFrame(rows).set_index(["target", "forecast"])


def _ridge(model: TargetModel) -> TargetModel | None:
    """A model that is the baseline alone."""
    if model.ridge is None:
        return None
    name = model.ridge.form.name
    return replace(model, shares={name: 1.0}, linear={name: model.ridge}, ensemble=None)


def scored(
    learnt: Learnt, panel: Panel, steps: int | None, origins: int, start: int | None, level: float
) -> pd.DataFrame:
    """Score forecasts from several origins of each sequence, as `Forecaster.backtest` says."""
    steps = learnt.steps if steps is None else size("steps", steps, 1, 100_000)
    origins = size("origins", origins, 1)
    if start is not None:
        start = size("start", start, 1)
    contests = []
    most = 0
    for one in map(history, panel.sequences):
        begin = start or _first_scored(learnt, one, steps)
        most = max(most, len(one.y) - begin)
        if len(one.y) - begin >= steps:
            at = np.unique(np.linspace(begin - 1, len(one.y) - steps - 1, origins).astype(np.int64))
            contests.append((one, at))
    if not contests:
        raise ValueError(
            f"df: expected a sequence with at least {plural(steps, 'row')} to score, which were not trained on, got "
            f"{max(0, most)} at most"
        )
    return table(learnt, contests, steps, level)


def _first_scored(learnt: Learnt, one: SequenceRows, steps: int) -> int:
    """The first row after those trained on; in a sequence that was not, after as many as a forecast reads."""
    trained = next((each for each in learnt.panel.sequences if each.id == one.id), None)
    if trained is not None and learnt.panel.time_name is not None:
        after = int(np.searchsorted(one.times, trained.times[-1], side="right"))
        if after > 0:
            return after
    elif trained is not None and np.array_equal(one.y[: len(trained.y)], trained.y, equal_nan=True):
        return len(trained.y)
    needed = max(model.rows for model in learnt.models)
    return max(1, min(needed, (len(one.y) - steps) // 2))
