"""The model of one target: a combination of simple forecasts, linear parts and networks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bptt._arrays import Array
from bptt.forecast.baselines import LAST, naive, rows_needed, seasonal
from bptt.forecast.linear import Linear
from bptt.forecast.network import Ensemble
from bptt.forecast.tracks import Track

NETWORK = "network"
NEAR, NEAR_MOST = 50, 200  # rows, a season if it lies between: their errors tell how restless a series is
_TYPICAL_ROWS = 5  # as many rows with the typical error are counted with them
_MOST_TYPICAL = 10.0  # times the typical error: one is counted as no more
_AT_ONCE = 1024


@dataclass
class TargetModel:
    """The forecast of one target: a combination of naive forecasts, linear parts and networks.

    ``y_hat(t + h) = sum_k w_k y_hat_k(t + h)``, with shares w that are not negative and whose sum is 1.
    """

    steps: int
    seasons: list[int]
    shares: dict[str, float]
    linear: dict[str, Linear]
    ensemble: Ensemble | None
    ridge: Linear | None  # the baseline: level, no logarithm, no inputs
    log: bool  # whether errors are told as ratios
    errors: Array = field(default_factory=lambda: np.empty((0, 0)))  # [n, steps], sorted, absolute, over the unrest
    near: int = 0  # rows whose errors tell the unrest; 0: it is 1, and errors are in standard units
    typical: float = 0.0  # the mean absolute error one step ahead

    @property
    def rows(self) -> int:
        """How many rows a full forecast reads."""
        needs = [self.needs(name) for name in self.shares]
        if self.ensemble is not None:
            needs.append(self.ensemble.reading.rows + self.ensemble.reading.window)
        if self.ridge is not None:
            needs.append(self.ridge.form.rows)
        return max([2, *needs, *self.seasons])

    def needs(self, name: str) -> int:
        """How many known rows up to the origin a part reads."""
        if name == NETWORK and self.ensemble is not None:
            return self.ensemble.reading.rows
        return self.linear[name].form.rows if name in self.linear else rows_needed(name)

    def part(self, name: str, track: Track, t: Array) -> Array:
        """What one part forecasts after each origin: ``[n, steps]``, in the standard units of y."""
        if len(t) == 0:
            return np.empty((0, self.steps))
        if name == NETWORK:
            assert self.ensemble is not None
            base = self.ensemble.reading.base
            some = [t[i : i + _AT_ONCE] for i in range(0, len(t), _AT_ONCE)]
            left = np.concatenate([self.ensemble(track, each) for each in some])
            return track.forward(t, base(track, t) + left, base.form.log)
        if name in self.linear:
            linear = self.linear[name]
            return track.forward(t, linear(track, t), linear.form.log)
        return naive(name, track.z, t, self.steps, track.first)

    def forecast(self, track: Track, t: Array) -> Array:
        """Forecast the rows after each origin: ``[n, steps]``, in the standard units of y.

        A part that needs more rows than there are leaves its share to the others; where none is left, the forecast is
        the seasonal naive one or, with less than a season, the last value.
        """
        out = np.full((len(t), self.steps), np.nan)
        rows = t - track.first + 1  # that are known
        total = np.zeros(len(t))
        for name, share in self.shares.items():
            can = rows >= self.needs(name)
            if share > 0 and can.any():
                out[can] = np.where(total[can] > 0, out[can].T, 0.0).T + share * self.part(name, track, t[can])
                total[can] += share
        out[total > 0] /= total[total > 0, None]
        for name in [*(seasonal(s) for s in self.seasons), LAST]:
            can = (total == 0) & (rows >= rows_needed(name))
            if can.any():
                out[can] = naive(name, track.z, t[can], self.steps, track.first)
                total[can] = 1.0
        return out

    def off(self, track: Track, z: Array, y: Array) -> Array:
        """How far forecasts are off, both in the standard units of y: absolute, with `log` in those of log y."""
        if self.log:
            z, y = (track.units.standard(track.units.back(each), True) for each in (z, y))
        return np.asarray(np.abs(z - y))

    def unrest(self, track: Track, t: Array) -> Array:
        """How far off forecasts were of late: ``[n]``, the mean absolute error one step ahead of the last `near` rows.

        Some rows with the typical error are counted with them, so that a mean of few rows is near that. A row counts
        as no more than 10 times the typical error, so that one spike does not widen all intervals after it.
        """
        if self.near == 0:
            return np.ones(len(t))
        first = track.first + max(map(self.needs, self.shares))
        rows = np.unique(np.maximum(t[:, None] - np.arange(self.near), first - 1))
        rows = rows[(rows >= first) & np.isfinite(track.y[rows])]
        sums, counts = np.zeros(track.rows + 1), np.zeros(track.rows + 1)
        y = track.units.standard(track.y[rows])
        off = self.off(track, self.forecast(track, rows - 1)[:, 0], y) if len(rows) else y
        sums[rows + 1], counts[rows + 1] = np.minimum(off, _MOST_TYPICAL * self.typical), 1
        sums, counts = np.cumsum(sums), np.cumsum(counts)
        begin = np.maximum(t + 1 - self.near, 0)
        total = sums[t + 1] - sums[begin] + _TYPICAL_ROWS * self.typical
        return np.asarray(total / (counts[t + 1] - counts[begin] + _TYPICAL_ROWS))

    def half_width(self, level: float, steps: int) -> Array:
        """Half the width of the interval over the unrest, ``[steps]``; NaN if unknown.

        It is the conformal quantile of the errors of forecasts from held-out origins, each over the unrest there: of n
        errors at a step, the ``ceil((n + 1) level)``-th, and never less than at the step before. Beyond the steps that
        the model was trained for, it grows with the square root of how often they have been gone through.
        """
        n = len(self.errors)
        if n == 0:
            return np.full(steps, np.nan)
        k = min(int(np.ceil((n + 1) * level)), n) - 1
        width = np.maximum.accumulate(self.errors[k])
        h = np.arange(steps)
        return np.asarray(width[h % self.steps] * np.sqrt(1 + h // self.steps) if steps > self.steps else width[:steps])
