"""What a forecaster has learnt: the model of each target and the units; forecasts from it. It knows no tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt._arrays import Array
from bptt.forecast.baselines import found_season
from bptt.forecast.frequency import seasons, step_of
from bptt.forecast.learning import learned, learned_again
from bptt.forecast.model import TargetModel
from bptt.forecast.panel import Panel, SequenceRows
from bptt.forecast.tracks import Track, Units, filled, track

_STEPS, _STEPS_MOST = 10, 48  # ahead, where nothing is said: without a season; with a long one


@dataclass(frozen=True)
class Learnt:
    """The models of all targets, and what they stand on."""

    panel: Panel  # the rows trained on
    models: list[TargetModel]
    units: dict[tuple[str, ...], list[Units]]  # of each sequence trained on, one a target
    input_units: tuple[Array, Array, Array, Array]  # mean and scale of past inputs, then of those known in advance

    @classmethod
    def of(
        cls, panel: Panel, *, steps: int | None, season: int | None, ensemble: int, hidden: int, seed: int
    ) -> Learnt:
        """Learn from sequences, as `Forecaster` says."""
        sequences = [one for one in map(history, panel.sequences) if len(one.y)]
        periods, steps = horizon(panel, steps, season)
        past = np.concatenate([one.past for one in sequences])
        future = np.concatenate([one.future for one in sequences])
        units = {one.id: _units_of(one) for one in sequences}
        learnt = cls(replace(panel, sequences=sequences), [], units, (*_standard(past), *_standard(future)))
        for k in range(len(panel.targets)):
            tracks = [learnt.track(one, k, one.future, steps) for one in sequences]
            learnt.models.append(learned(tracks, steps, periods, ensemble=ensemble, hidden=hidden, seed=seed))
        return learnt

    def again(self, panel: Panel, seed: int) -> Learnt:
        """Fit everything anew to the rows of a panel, of which those trained on are the first; what was chosen stays.

        The units of sequences that were trained on, and of inputs, stay too.
        """
        sequences = [one for one in map(history, panel.sequences) if len(one.y)]
        units = {one.id: self.units.get(one.id) or _units_of(one) for one in sequences}
        learnt = replace(self, panel=replace(panel, sequences=sequences), models=[], units=units)
        trained = {one.id: one for one in self.panel.sequences}
        before = [_rows_before(one, trained.get(one.id), panel.time_name is not None) for one in sequences]
        for k, model in enumerate(self.models):
            tracks = [learnt.track(one, k, one.future, model.steps) for one in sequences]
            learnt.models.append(learned_again(model, tracks, before, seed))
        return learnt

    @property
    def steps(self) -> int:
        """How many rows ahead it was trained for."""
        return self.models[0].steps

    def track(self, one: SequenceRows, k: int, future: Array, steps: int, units: list[Units] | None = None) -> Track:
        """The track of one target of a sequence."""
        units = units or self.units.get(one.id) or _units_of(one)
        past_mean, past_scale, future_mean, future_scale = self.input_units
        others = [unit.standard(filled(y)) for j, (unit, y) in enumerate(zip(units, one.y.T, strict=True)) if j != k]
        inputs = np.concatenate([np.stack(others, axis=1)] if others else [np.empty((len(one.y), 0))], axis=1)
        inputs = np.concatenate([inputs, (one.past - past_mean) / past_scale], axis=1)
        known = np.isfinite(one.y[:, k]) & ~one.filled[:, k]
        ahead = (future - future_mean) / future_scale
        return track(one.y[:, k], known, units[k], inputs, ahead, one.static, steps)

    def ahead(
        self, one: SequenceRows, known: Array, steps: int, level: float, models: Sequence[TargetModel] | None = None
    ) -> tuple[Array, Array, Array]:
        """Forecast the rows after a sequence, with the intervals: each ``[steps, n_targets]``.

        Beyond the steps of the models, forecasts read those before them as rows.
        """
        models = models or self.models
        n_targets = one.y.shape[1]
        units = self.units.get(one.id) or _units_of(one)
        y_hat = np.full((steps, n_targets), np.nan)
        if len(one.y):
            now, done = one, 0
            while done < steps:
                some = np.empty((min(models[0].steps, steps - done), n_targets))
                for k, model in enumerate(models):
                    each = self.track(now, k, known, model.steps, units)
                    if each.first < each.rows:
                        z = model.forecast(each, np.array([each.rows - 1]))[0]
                        some[:, k] = units[k].back(z)[: len(some)]
                    else:
                        some[:, k] = np.nan
                y_hat[done : done + len(some)] = some
                done += len(some)
                now = longer(now, some, known)
        bounds = []
        for k, (model, unit) in enumerate(zip(models, units, strict=True)):
            each = self.track(one, k, known, model.steps, units)
            full = each.rows - each.first >= max(map(model.needs, model.shares))  # with fewer, no errors are known
            width = np.full(steps, np.nan)
            if full:
                width = model.half_width(level, steps) * model.unrest(each, np.array([each.rows - 1]))
            z = unit.standard(y_hat[:, k], model.log)
            bounds.append((unit.back(z - width, model.log), unit.back(z + width, model.log)))
        return y_hat, np.stack([low for low, _ in bounds], axis=1), np.stack([high for _, high in bounds], axis=1)


def horizon(panel: Panel, steps: int | None, season: int | None) -> tuple[list[int], int]:
    """After how many rows things come again, and how many rows ahead is learnt, where that is said and where not."""
    sequences = [one for one in map(history, panel.sequences) if len(one.y)]
    if not sequences:
        raise ValueError("df: expected rows in which a target is known, got none")
    longest = max(sequences, key=lambda one: len(one.y))
    periods = _seasons(panel, longest) if season is None else [season] if season > 1 else []
    return periods, steps or (min(periods[0], _STEPS_MOST) if periods else _STEPS)


def cut(one: SequenceRows, rows: int) -> SequenceRows:
    """The first rows of a sequence."""
    return replace(
        one,
        times=one.times[:rows],
        y=one.y[:rows],
        past=one.past[:rows],
        future=one.future[:rows],
        filled=one.filled[:rows],
    )


def history(one: SequenceRows) -> SequenceRows:
    """The rows up to the last one in which a target is known."""
    known = np.flatnonzero((np.isfinite(one.y) & ~one.filled).any(axis=1))
    return cut(one, int(known[-1]) + 1 if known.size else 0)


def _rows_before(one: SequenceRows, trained: SequenceRows | None, dated: bool) -> int:
    """How many rows of a sequence stand before those that were not trained on."""
    if trained is None:
        return 0
    return int(np.searchsorted(one.times, trained.times[-1], side="right")) if dated else len(trained.y)


def longer(one: SequenceRows, y: Array, known: Array) -> SequenceRows:
    """A sequence with forecasts as its next rows; inputs that are not known stay as they are."""
    rows = len(one.y) + len(y)
    return replace(
        one,
        y=np.concatenate([one.y, y]),
        past=np.concatenate([one.past, np.repeat(one.past[-1:], len(y), axis=0)]),
        future=known[:rows],
        filled=np.concatenate([one.filled, np.zeros(y.shape, np.bool_)]),
    )


def _units_of(one: SequenceRows) -> list[Units]:
    return [Units.of(np.where(one.filled[:, k], np.nan, y)) for k, y in enumerate(one.y.T)]


def _standard(columns: Array) -> tuple[Array, Array]:
    """Mean and scale of columns; 0 and 1 of what lies in -1 to 1 already, as a calendar does."""
    mean, scale = columns.mean(axis=0), columns.std(axis=0)
    as_it_is = (np.abs(columns).max(axis=0, initial=0.0) <= 1.0) | (scale <= 1e-12)
    return np.where(as_it_is, 0.0, mean), np.where(as_it_is, 1.0, scale)


def _seasons(panel: Panel, longest: SequenceRows) -> list[int]:
    """Rows after which things come again: the shortest season first."""
    if panel.frequency is not None:
        known = [n for n in seasons(step_of(panel.frequency)) if 2 * n <= len(longest.y)]
        if periods := sorted({*known, panel.season} - {1}):
            return periods
    if panel.time_name is not None and panel.frequency is None:
        return []
    found = [found_season(np.where(longest.filled[:, k], np.nan, y)) for k, y in enumerate(longest.y.T)]
    return [max(found)] if max(found) > 1 else []
