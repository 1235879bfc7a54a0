"""One target of one sequence, in standard units and without gaps, as the parts of the model read it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bptt._arrays import Array

_ZEROS = 0.05  # the share of rows that are 0, from which on 0 is a bound and no chance


@dataclass(frozen=True)
class Units:
    """The units of one target of one sequence: ``(y - mean) / scale``, and of log y in the same way."""

    mean: float
    scale: float
    log_mean: float
    log_scale: float
    floor: float  # the least y of which a logarithm is taken
    bounded: bool = False  # whether nothing lies below 0, as with counts: often 0 and never less

    @classmethod
    def of(cls, y: Array) -> Units:
        """Those of the rows to train on: mean and standard deviation, and 1 where nothing varies."""
        y = y[np.isfinite(y)]
        if y.size == 0:
            return cls(0.0, 1.0, 0.0, 1.0, 1.0)
        positive = y[y > 0]
        floor = float(positive.min()) / 2 if positive.size else 1.0
        logs = np.log(np.maximum(y, floor))
        bounded = bool(y.min() == 0 and y.max() > 0 and (y == 0).mean() >= _ZEROS)
        return cls(*_mean_and_scale(y), *_mean_and_scale(logs), floor, bounded)

    def standard(self, y: Array, log: bool = False) -> Array:
        """In standard units."""
        if log:
            return np.asarray((np.log(np.maximum(y, self.floor)) - self.log_mean) / self.log_scale)
        return np.asarray((y - self.mean) / self.scale)

    def back(self, z: Array, log: bool = False) -> Array:
        """In the units of the table."""
        if log:
            return np.asarray(np.exp(np.minimum(z * self.log_scale + self.log_mean, 700.0)))
        y = z * self.scale + self.mean
        return np.asarray(np.maximum(y, 0.0) if self.bounded else y)


def _mean_and_scale(values: Array) -> tuple[float, float]:
    mean, scale = float(values.mean()), float(values.std())
    rounding = 64 * np.finfo(np.float64).eps * float(np.abs(values).max())
    return mean, scale if scale > rounding else 1.0


@dataclass(frozen=True)
class Track:
    """One target of one sequence."""

    y: Array  # float64 [rows], NaN where missing
    z: Array  # float64 [rows]: standard, each gap filled with the value before it
    z_log: Array  # the same of log y
    first: int  # the first row that is known
    inputs: Array  # float64 [rows, n]: other targets and the user's inputs, standard, filled
    future: Array  # float64 [rows + steps, n]: what is known in advance, standard
    static: Array  # float64 [n]
    units: Units

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.y)

    def values(self, log: bool) -> Array:
        """The filled values, of y or of its logarithm."""
        return self.z_log if log else self.z

    def targets(self, origins: Array, steps: int) -> Array:
        """What comes after each origin, in standard units: ``[n, steps]``, NaN where missing or past the end."""
        padded = np.concatenate([self.units.standard(self.y), np.full(steps, np.nan)])
        return np.asarray(padded[origins[:, None] + np.arange(1, steps + 1)])

    def forward(self, origins: Array, z: Array, log: bool) -> Array:
        """Forecasts of `values`, kept near what was there before each origin, in the standard units of y.

        They may leave the range of the rows before by its width, and no more.
        """
        values = self.values(log)
        low, high = np.minimum.accumulate(values)[origins], np.maximum.accumulate(values)[origins]
        width = np.maximum(high - low, 1.0)
        z = np.clip(z, (low - width)[:, None], (high + width)[:, None])
        return self.units.standard(self.units.back(z, True)) if log else z


def filled(values: Array) -> Array:
    """Each gap filled with the value before it, and the first one with that after it; 0 where nothing is known."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros_like(values)
    at = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    return np.asarray(values[np.where(at < 0, int(np.argmax(known)), at)])


def track(y: Array, known: Array, units: Units, inputs: Array, future: Array, static: Array, steps: int) -> Track:
    """Make a track of values, of which those that are not `known` are read but never scored.

    What is known in advance has `steps` rows more; rows that `future` does not reach are as its last one.
    """
    whole = filled(y)
    rows = np.flatnonzero(known)
    first = int(rows[0]) if rows.size else len(y)
    missing = len(y) + steps - len(future)
    if missing > 0:
        last = future[-1:] if len(future) else np.zeros((1, future.shape[1]))
        future = np.concatenate([future, np.repeat(last, missing, axis=0)])
    return Track(
        np.where(known, y, np.nan),
        units.standard(whole),
        units.standard(whole, True),
        first,
        inputs,
        future[: len(y) + steps],
        static,
        units,
    )
