"""The model of one target: which parts it has, what share each has, and how far it is off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bptt._arrays import Array
from bptt.forecast.baselines import DRIFT, LAST, naive, rows_needed, seasonal
from bptt.forecast.combination import shares, trust
from bptt.forecast.linear import PENALTIES, Form, Linear, Solver, forms
from bptt.forecast.network import AHEAD_MOST, Ensemble, Reading, calendar_columns, trained
from bptt.forecast.tracks import Track, Units

NETWORK = "network"
_MANY_ROWS = 1000  # from so many on, one fold chooses; below, four
_FOLDS = (0.5, 0.625, 0.75, 0.875)
_ORIGINS_MOST = 2000
_NETWORK_ROWS = 200  # fewer teach a network nothing that the linear part does not know
_WINDOW_MOST = 96


@dataclass(frozen=True)
class Fold:
    """Rows to learn from, and origins after them that choose."""

    ends: list[int]  # of each track
    origins: list[Array]  # of each track


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
    errors: Array = field(default_factory=lambda: np.empty((0, 0)))  # [n, steps], sorted, absolute, in standard units

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
            return track.forward(t, base(track, t) + self.ensemble(track, t), base.form.log)
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

    def half_width(self, level: float, steps: int) -> Array:
        """Half the width of the interval, ``[steps]``, in standard units (of log y with `log`); NaN if unknown.

        It is the conformal quantile of the errors of forecasts from held-out origins: of n errors at a step, the
        ``ceil((n + 1) level)``-th, and never less than at the step before. Beyond the steps that the model was trained
        for, it grows with the square root of how often they have been gone through.
        """
        n = len(self.errors)
        if n == 0:
            return np.full(steps, np.nan)
        k = min(int(np.ceil((n + 1) * level)), n) - 1
        width = np.maximum.accumulate(self.errors[k])
        h = np.arange(steps)
        return np.asarray(width[h % self.steps] * np.sqrt(1 + h // self.steps) if steps > self.steps else width[:steps])


def folds(tracks: Sequence[Track], steps: int) -> list[Fold]:
    """Cut each track into rows to learn from and origins that choose: once, or four times where rows are few."""
    total = sum(track.rows - track.first for track in tracks)
    parts = (0.8,) if total >= _MANY_ROWS else _FOLDS
    cuts = [[track.first + int((track.rows - track.first) * part) for part in parts] for track in tracks]
    found = []
    for i in range(len(parts)):
        origins = []
        for track, cut in zip(tracks, cuts, strict=True):
            end = track.rows - 1 if i + 1 == len(parts) else cut[i + 1] - 1
            some = np.arange(max(cut[i] - 1, track.first), end)
            some = some[some + steps < track.rows] if track.rows - cut[i] > steps else some
            origins.append(some)
        stride = -(-sum(map(len, origins)) * len(parts) // _ORIGINS_MOST) or 1
        found.append(Fold([cut[i] for cut in cuts], [some[::stride] for some in origins]))
    return found


def _concatenated(parts: list[Array], steps: int) -> Array:
    return np.concatenate(parts) if parts else np.empty((0, steps))


def learned(
    tracks: Sequence[Track], steps: int, seasons: Sequence[int], *, ensemble: int, hidden: int, seed: int
) -> TargetModel:
    """Fit the model of one target.

    Every part is fitted to the first rows of each track, and forecasts from the origins that follow. There its penalty,
    the number of its updates and all shares are chosen. Then every part is fitted to all rows.
    """
    rows = max(track.rows - track.first for track in tracks)
    seasons = [s for s in seasons if s > 1 and 2 * s <= rows]
    cut = folds(tracks, steps)
    least = max(int((track.rows - track.first) * (_FOLDS[0] if len(cut) > 1 else 0.8)) for track in tracks) - steps
    log = all(_may_be_log(track) for track in tracks)
    inputs = bool(tracks[0].inputs.shape[1] + tracks[0].future.shape[1] + tracks[0].static.size)
    model = TargetModel(steps, seasons, {}, {}, None, None, False)

    # What is fitted, of each fold; then the origins from which all of it can forecast.
    fits: dict[Form, list[list[Linear]]] = {}
    long = [s for s in seasons if 3 * s <= rows]
    for form in forms(rows, long, log, inputs, max(least, 0)):
        solvers = [Solver.of(form, tracks, fold.ends, steps) for fold in cut]
        if all(solver is not None for solver in solvers):
            fits[form] = [[solver(p) for p in PENALTIES] for solver in solvers if solver is not None]
    names = [LAST, DRIFT, *(seasonal(s) for s in seasons)]
    needed = max([form.rows for form in fits] + [rows_needed(name) for name in names])
    kept = [
        Fold(
            fold.ends,
            [some[some >= track.first + needed - 1] for track, some in zip(tracks, fold.origins, strict=True)],
        )
        for fold in cut
    ]
    y = _concatenated(
        [track.targets(t, steps) for fold in kept for track, t in zip(tracks, fold.origins, strict=True)], steps
    )
    known = np.isfinite(y)
    if known.sum() < 2 * steps:
        model.shares = {seasonal(seasons[0]) if seasons else LAST: 1.0}
        return model

    def at_origins(name: str, fold: Fold) -> list[Array]:
        return [model.part(name, track, t) for track, t in zip(tracks, fold.origins, strict=True)]

    forecasts = {name: _concatenated([z for fold in kept for z in at_origins(name, fold)], steps) for name in names}
    penalties = {}
    for form, of_folds in fits.items():
        best = None
        for i in range(len(PENALTIES)):
            parts = []
            for fold, some in zip(kept, of_folds, strict=True):
                model.linear = {form.name: some[i]}
                parts += at_origins(form.name, fold)
            z = _concatenated(parts, steps)
            error = float(np.mean((z - y)[known] ** 2))
            if best is None or error < best[0]:
                best = (error, i, z)
        assert best is not None
        penalties[form] = best[1]
        forecasts[form.name] = best[2]

    def error(name: str) -> float:
        return float(np.mean((forecasts[name] - y)[known] ** 2))

    base = min(fits, key=lambda form: error(form.name), default=None)
    epochs: list[int] | None = None
    reading = None
    if base is not None and ensemble > 0 and sum(track.rows - track.first for track in tracks) >= _NETWORK_ROWS:
        ahead = [j for j in range(tracks[0].future.shape[1]) if j not in calendar_columns(tracks[0].future)]
        if len(ahead) * steps > AHEAD_MOST:
            ahead = []
        window = min(max(2 * max(long, default=1), 32), _WINDOW_MOST, max(8, least // 4))
        seeds = [seed + i for i in range(ensemble)]
        parts, lengths = [], []
        for fold, some in zip(kept, fits[base], strict=True):
            reading = Reading(some[penalties[base]], long, window, ahead)
            nets = trained(reading, tracks, fold.ends, fold.origins, hidden, seeds)
            if nets is None:
                break
            model.ensemble = nets
            parts += at_origins(NETWORK, fold)
            lengths.append(nets.epochs)
        else:
            forecasts[NETWORK] = _concatenated(parts, steps)
            epochs = [int(np.median(each)) for each in zip(*lengths, strict=True)]
        model.ensemble = None

    w = shares(np.stack([np.where(known, z - y, 0.0).ravel() for z in forecasts.values()]))
    combined = np.tensordot(w, np.stack(list(forecasts.values())), axes=1)
    simple = min([LAST, *(seasonal(s) for s in seasons)], key=error)
    part = 1.0
    if simple == LAST:  # it may be a random walk
        errors = [np.where(known, z - y, np.nan)[known.any(axis=1)] for z in (combined, forecasts[simple])]
        part = trust(errors[0], errors[1], max(1, steps // _stride(kept)))
    w = w * part + (1 - part) * np.array([name == simple for name in forecasts])
    model.shares = {name: float(share) for name, share in zip(forecasts, w, strict=True) if share > 0.005}
    total = sum(model.shares.values())
    model.shares = {name: share / total for name, share in model.shares.items()}

    # All rows, with what has been chosen.
    ends = [track.rows for track in tracks]
    plain = [form for form in fits if not form.log and not form.inputs and form.difference == 0]
    model.linear = {}
    for form in fits:
        is_base = form == base and NETWORK in model.shares
        if form.name in model.shares or is_base or form in plain:
            solver = Solver.of(form, tracks, ends, steps)
            assert solver is not None
            whole = solver(PENALTIES[penalties[form]])
            if form.name in model.shares:
                model.linear[form.name] = whole
            if form == (plain[-1] if plain else None):
                model.ridge = solver(1.0 / solver.rows)  # the penalty 1 that is usual, and nothing is chosen
            if is_base and epochs is not None and reading is not None:
                reading = Reading(whole, reading.seasons, reading.window, reading.ahead)
                model.ensemble = trained(reading, tracks, ends, None, hidden, seeds, epochs)
    _tell_errors(model, tracks, kept, forecasts, y)
    return model


def _stride(kept: Sequence[Fold]) -> int:
    """How many rows lie between two origins, at least."""
    return min((int(np.diff(t).min()) for fold in kept for t in fold.origins if len(t) > 1), default=1)


def _may_be_log(track: Track) -> bool:
    """Whether all values are positive, and the greatest is more than twice the least."""
    known = track.y[np.isfinite(track.y)]
    return bool(known.size == 0 or (known.min() > 0 and known.max() > 2 * known.min()))


def _tell_errors(
    model: TargetModel, tracks: Sequence[Track], kept: list[Fold], forecasts: dict[str, Array], y: Array
) -> None:
    """Note how far the combination is off at each step ahead.

    That is what it was off from held-out origins, or from origins in all rows where that is more: the held-out ones
    may be of a quiet time.
    """
    of_log = [share for name, share in model.shares.items() if name.startswith("linear: log")]
    model.log = sum(of_log) > 0.5
    z = sum((share * forecasts[name] for name, share in model.shares.items()), np.zeros_like(y))
    units = [track.units for fold in kept for track, t in zip(tracks, fold.origins, strict=True) for _ in range(len(t))]
    held_out = _sorted_errors(model, units, z, y)
    zs, ys, units = [], [], []
    needed = max(model.needs(name) for name in model.shares)
    stride = -(-sum(track.rows for track in tracks) // _ORIGINS_MOST)
    for track in tracks:
        t = np.arange(track.first + needed - 1, track.rows - 1, stride)
        zs.append(model.forecast(track, t))
        ys.append(track.targets(t, model.steps))
        units += [track.units] * len(t)
    everywhere = _sorted_errors(model, units, np.concatenate(zs), np.concatenate(ys))
    at = np.linspace(0, 1, len(held_out))
    of_all = [np.interp(at, np.linspace(0, 1, len(everywhere)), column) for column in everywhere.T]
    model.errors = np.maximum(held_out, np.stack(of_all, axis=1)) if len(everywhere) > 1 else held_out


def _sorted_errors(model: TargetModel, units: list[Units], z: Array, y: Array) -> Array:
    """The absolute errors at each step ahead, sorted: ``[n, steps]``."""
    if model.log:
        z, y = (
            np.stack([u.standard(u.back(row), True) for u, row in zip(units, values, strict=True)]) for values in (z, y)
        )
    errors = np.abs(z - y)
    errors = errors[np.isfinite(errors).any(axis=1)]
    # A step that is missing here and there counts as that origin's mean, so that all steps have as many errors.
    errors = np.where(np.isfinite(errors), errors, np.nanmean(errors, axis=1, keepdims=True)) if len(errors) else errors
    return np.sort(errors, axis=0)
