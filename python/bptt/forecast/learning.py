"""How the model of one target is learnt: parts fitted to the first rows, chosen by the next, fitted again to all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bptt._arrays import Array
from bptt.forecast.baselines import DRIFT, LAST, profile, rows_needed, seasonal
from bptt.forecast.combination import shares, trust
from bptt.forecast.linear import PENALTIES, Form, Given, Linear, Solver, forms
from bptt.forecast.model import NEAR, NEAR_MOST, NETWORK, TargetModel
from bptt.forecast.network import AHEAD_MOST, Reading, calendar_columns, trained
from bptt.forecast.tracks import Track

_MANY_ROWS = 1000  # from so many on, one fold chooses; below, four
_FOLD, _FOLDS = 0.8, (0.5, 0.625, 0.75, 0.875)
_ORIGINS_MOST = 2000
_NETWORK_ROWS = 200  # fewer teach a network nothing that the linear part does not know
_WINDOW_LEAST, _WINDOW_MOST = 32, 96  # rows that networks read before a forecast
_SHARE_LEAST = 0.005
_UNREST_ROWS_MOST = 20_000  # whose errors tell how restless the series was; with more rows, fewer origins


@dataclass(frozen=True)
class Fold:
    """Rows to learn from, and origins after them that choose."""

    ends: list[int]  # of each track
    origins: list[Array]  # of each track


def folds(tracks: Sequence[Track], steps: int) -> list[Fold]:
    """Cut each track into rows to learn from and origins that choose: once, or four times where rows are few."""
    total = sum(track.rows - track.first for track in tracks)
    parts = (_FOLD,) if total >= _MANY_ROWS else _FOLDS
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


class _Search:
    """What held-out origins say of each forecast."""

    def __init__(self, tracks: Sequence[Track], steps: int, kept: list[Fold], model: TargetModel) -> None:
        self.tracks, self.steps, self.kept, self.model = tracks, steps, kept, model
        self.y = self._all([track.targets(t, steps) for fold in kept for track, t in self._of(fold)])
        self.known = np.isfinite(self.y)
        self.forecasts: dict[str, Array] = {}  # of each its name, [n, steps] from the same origins

    def _of(self, fold: Fold) -> list[tuple[Track, Array]]:
        return list(zip(self.tracks, fold.origins, strict=True))

    def _all(self, parts: list[Array]) -> Array:
        return np.concatenate(parts) if parts else np.empty((0, self.steps))

    def at_origins(self, name: str, fold: Fold) -> list[Array]:
        """What a part of the model as it is forecasts from a fold's origins."""
        return [self.model.part(name, track, t) for track, t in self._of(fold)]

    def error(self, name: str) -> float:
        """The mean squared error of a forecast."""
        return self._squares(self.forecasts[name])

    def _squares(self, z: Array) -> float:
        return float(np.mean((z - self.y)[self.known] ** 2))

    def try_naive(self, names: Sequence[str]) -> None:
        """Take up forecasts that have nothing to fit."""
        for name in names:
            self.forecasts[name] = self._all([z for fold in self.kept for z in self.at_origins(name, fold)])

    def try_linear(self, form: Form, solvers: Sequence[Solver]) -> float:
        """Take up a linear part, fitted to each fold, with the penalty that is best; return that."""
        read = [
            (solver, track, t, Given.at(form, track, t, self.steps))
            for fold, solver in zip(self.kept, solvers, strict=True)
            for track, t in self._of(fold)
            if len(t)
        ]
        best: tuple[float, float, Array] | None = None
        for penalty in PENALTIES:
            linear = {solver: solver(penalty) for solver in solvers}
            z = self._all([track.forward(t, linear[solver].of(given), form.log) for solver, track, t, given in read])
            if best is None or self._squares(z) < best[0]:
                best = (self._squares(z), float(penalty), z)
        assert best is not None
        self.forecasts[form.name] = best[2]
        return best[1]

    def try_networks(self, readings: Sequence[Reading], hidden: int, seeds: Sequence[int]) -> list[int] | None:
        """Take up the networks, trained on each fold; return for how many epochs each was, None with too few rows."""
        parts: list[Array] = []
        epochs = []
        for fold, reading in zip(self.kept, readings, strict=True):
            self.model.ensemble = trained(reading, self.tracks, fold.ends, fold.origins, hidden, seeds)
            if self.model.ensemble is None:
                return None
            parts += self.at_origins(NETWORK, fold)
            epochs.append(self.model.ensemble.epochs)
        self.model.ensemble = None
        self.forecasts[NETWORK] = self._all(parts)
        return [int(np.median(each)) for each in zip(*epochs, strict=True)]

    def found_shares(self, simple: Sequence[str]) -> dict[str, float]:
        """The share of each forecast in the combination.

        Where no seasonal forecast is better than the last value, the series may be a random walk, on which much looks
        better by chance. Then a part goes to the last value: see `trust`.
        """
        names, z = list(self.forecasts), np.stack(list(self.forecasts.values()))
        w = shares(np.where(self.known, z - self.y, 0.0).reshape(len(names), -1))
        if min(simple, key=self.error) == LAST:
            rows = self.known.any(axis=1)
            combined = np.tensordot(w, z, axes=1)
            off = [np.where(self.known, each - self.y, np.nan)[rows] for each in (combined, self.forecasts[LAST])]
            part = trust(off[0], off[1], max(1, self.steps // self._stride()))
            w = w * part + (1 - part) * np.array([name == LAST for name in names])
        w = np.where(w > _SHARE_LEAST, w, 0.0)
        return {name: float(share) for name, share in zip(names, w / w.sum(), strict=True) if share > 0}

    def _stride(self) -> int:
        """How many rows lie between two origins, at least."""
        return min((int(np.diff(t).min()) for fold in self.kept for t in fold.origins if len(t) > 1), default=1)

    def set_errors(self) -> None:
        """Set how far the combination is off at each step ahead, and what its unrest is measured by.

        The errors are those from held-out origins, or from origins in all rows where these are more: the held-out ones
        may be of a quiet time.
        """
        model, z = self.model, np.zeros_like(self.y)
        for name, share in model.shares.items():
            z += share * self.forecasts[name]
        held_out, at = [], 0
        for fold in self.kept:
            for track, t in self._of(fold):
                some = slice(at, at := at + len(t))
                held_out.append((track, t, model.off(track, z[some], self.y[some])))
        needed = max(map(model.needs, model.shares))
        total = sum(track.rows for track in self.tracks)
        few = total <= _UNREST_ROWS_MOST
        stride = -(-total // (_ORIGINS_MOST if few else _UNREST_ROWS_MOST // NEAR))
        everywhere = []
        for track in self.tracks:
            t = np.arange(track.first + needed - 1, track.rows - 1, stride)
            everywhere.append((track, t, model.off(track, model.forecast(track, t), track.targets(t, model.steps))))
        one_step = np.concatenate([off[:, 0] for _, _, off in everywhere])
        one_step = one_step[np.isfinite(one_step)]
        model.typical = float(one_step.mean()) if one_step.size else 0.0
        model.near = int(np.clip(min(model.seasons, default=1), NEAR, NEAR_MOST)) if model.typical > 0 else 0
        skip = 1 if few else -(-sum(len(t) for _, t, _ in held_out) * model.near // _UNREST_ROWS_MOST)
        if skip > 1:
            held_out = [(track, t[::skip], off[::skip]) for track, t, off in held_out]
        errors, of_all = (
            _sorted(np.concatenate([off / model.unrest(track, t)[:, None] for track, t, off in some]))
            for some in (held_out, everywhere)
        )
        if len(of_all) >= 2 and len(errors):
            at_all, at_errors = np.linspace(0, 1, len(of_all)), np.linspace(0, 1, len(errors))
            of_all = np.stack([np.interp(at_errors, at_all, column) for column in of_all.T], axis=1)
            errors = np.maximum(errors, of_all)
        model.errors = errors


def learned(
    tracks: Sequence[Track], steps: int, seasons: Sequence[int], *, ensemble: int, hidden: int, seed: int
) -> TargetModel:
    """Fit the model of one target.

    Every part is fitted to the first rows of each track, and forecasts from the origins that follow. There its penalty,
    the number of its updates and all shares are chosen. Then every part is fitted to all rows.
    """
    rows = [track.rows - track.first for track in tracks]
    seasons = [s for s in seasons if s > 1 and 2 * s <= max(rows)]
    long = [s for s in seasons if 3 * s <= max(rows)]  # that can be learnt from
    cut = folds(tracks, steps)
    least = max(0, int(max(rows) * (_FOLDS[0] if len(cut) > 1 else _FOLD)) - steps)
    log = all(_may_be_log(track) for track in tracks)
    inputs = bool(tracks[0].inputs.shape[1] + tracks[0].future.shape[1] + tracks[0].static.size)
    solvers: dict[Form, list[Solver]] = {}
    for form in forms(long, log, inputs, least):
        of_folds = [Solver.of(form, tracks, fold.ends, steps) for fold in cut]
        if all(of_folds):
            solvers[form] = [solver for solver in of_folds if solver is not None]

    # All forecasts are compared from the origins from which each can be made.
    simple = [LAST, *(seasonal(s) for s in seasons)]
    tried = [*simple, DRIFT, *(profile(s) for s in long if rows_needed(profile(s)) <= least)]
    needed = max([form.rows for form in solvers] + [rows_needed(name) for name in tried])
    kept = [
        Fold(fold.ends, [t[t >= track.first + needed - 1] for track, t in zip(tracks, fold.origins, strict=True)])
        for fold in cut
    ]
    model = TargetModel(steps, seasons, {}, {}, None, None, False)
    search = _Search(tracks, steps, kept, model)
    if search.known.sum() < 2 * steps:
        model.shares = {simple[min(1, len(simple) - 1)]: 1.0}
        return model
    search.try_naive(tried)
    penalties = {form: search.try_linear(form, of_folds) for form, of_folds in solvers.items()}
    base = min(solvers, key=lambda form: search.error(form.name), default=None)
    epochs, seeds = None, [seed + i for i in range(ensemble)]
    ahead = _columns_ahead(tracks[0].future, steps)
    window = min(max(2 * max(long, default=1), _WINDOW_LEAST), _WINDOW_MOST, max(8, least // 4))
    if base is not None and ensemble > 0 and sum(rows) >= _NETWORK_ROWS:
        readings = [Reading(solver(penalties[base]), long, window, ahead) for solver in solvers[base]]
        epochs = search.try_networks(readings, hidden, seeds)
    model.shares = search.found_shares(simple)
    model.log = sum(model.shares.get(form.name, 0.0) for form in solvers if form.log) > 0.5

    # All rows, with what has been chosen.
    ends = [track.rows for track in tracks]
    plain = [form for form in solvers if not form.log and not form.inputs and form.difference == 0]
    for form in solvers:
        is_base = form == base and NETWORK in model.shares
        if not (form.name in model.shares or is_base or form in plain[-1:]):
            continue
        solver = Solver.of(form, tracks, ends, steps)
        assert solver is not None
        whole = solver(penalties[form])
        if form.name in model.shares:
            model.linear[form.name] = whole
        if form in plain[-1:]:
            model.ridge = solver(1.0 / solver.rows)  # the penalty 1 that is usual: nothing of it is chosen
        if is_base and epochs is not None:
            model.ensemble = trained(Reading(whole, long, window, ahead), tracks, ends, None, hidden, seeds, epochs)
    search.set_errors()
    return model


def _columns_ahead(future: Array, steps: int) -> list[int]:
    """Which columns known in advance the networks read up to the last step: those of no calendar, if not too many."""
    calendar = calendar_columns(future)
    ahead = [j for j in range(future.shape[1]) if j not in calendar]
    return ahead if len(ahead) * steps <= AHEAD_MOST else []


def _may_be_log(track: Track) -> bool:
    """Whether all values are positive, and the greatest is more than twice the least."""
    known = track.y[np.isfinite(track.y)]
    return bool(known.size == 0 or (known.min() > 0 and known.max() > 2 * known.min()))


def _sorted(errors: Array) -> Array:
    """The errors at each step ahead in order of size: ``[n, steps]``."""
    errors = errors[np.isfinite(errors).any(axis=1)]
    # A step that is missing here and there counts as that origin's mean, so that all steps have as many errors.
    errors = np.where(np.isfinite(errors), errors, np.nanmean(errors, axis=1, keepdims=True)) if len(errors) else errors
    return np.sort(errors, axis=0)


def learned_again(model: TargetModel, tracks: Sequence[Track], before: Sequence[int], seed: int) -> TargetModel:
    """Fit the parts of a model anew to tracks that have become longer; what was chosen stays.

    Networks begin with the parameters that they have, and train for as many epochs again. How far the model as it was
    is off, from origins after the rows `before` (the first so many of each track), joins the errors of which intervals
    are made.

    Raises
    ------
    ValueError
        If the penalties are not known.
    """
    ends = [track.rows for track in tracks]

    def again(linear: Linear, penalty: float | None) -> Linear:
        if penalty is None:
            raise ValueError("expected a model that tells its penalties, got one of an earlier version: fit it anew")
        solver = Solver.of(linear.form, tracks, ends, model.steps)
        return linear if solver is None else solver(penalty)

    now = replace(model, linear={name: again(each, each.penalty) for name, each in model.linear.items()})
    if model.ridge is not None:
        solver = Solver.of(model.ridge.form, tracks, ends, model.steps)
        now.ridge = model.ridge if solver is None else solver(1.0 / solver.rows)
    if (old := model.ensemble) is not None:
        reading = replace(old.reading, base=again(old.reading.base, old.reading.base.penalty))
        seeds = [seed + i for i in range(len(old.networks))]
        now.ensemble = trained(reading, tracks, ends, None, 0, seeds, old.epochs, old) or old
    now.errors = np.sort(np.concatenate([model.errors, *_errors_after(model, tracks, before)]), axis=0)
    return now


def _errors_after(model: TargetModel, tracks: Sequence[Track], before: Sequence[int]) -> list[Array]:
    """The errors of forecasts of rows that come after those trained on, from origins with all steps before the end."""
    if len(model.errors) == 0:
        return []
    needed = max(model.needs(name) for name in model.shares)
    found = []
    for track, rows in zip(tracks, before, strict=True):
        t = np.arange(max(rows, track.first + needed) - 1, track.rows - model.steps)
        t = t[:: -(-len(t) // _ORIGINS_MOST) or 1]
        if rows > 0 and len(t):
            z, y = model.forecast(track, t), track.targets(t, model.steps)
            found.append(_sorted(model.off(track, z, y) / model.unrest(track, t)[:, None]))
    return found
