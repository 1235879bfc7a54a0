"""The networks: an ensemble that learns what the linear part leaves, for all steps ahead at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from bptt._arrays import Array
from bptt.forecast.linear import Linear
from bptt.forecast.tracks import Track
from bptt.networks.elman import ElmanRNN
from bptt.training.history import History
from bptt.training.many import FitManyError, fit_many
from bptt.training.optimizers import AdamW
from bptt.training.schedules import Cosine

_RATE, _DECAY, _DROPOUT, _CLIP = 2e-3, 0.01, 0.1, 1.0
_UPDATES_AN_EPOCH, _EPOCHS, _PATIENCE = 10, 120, 15
_BATCH = 32
_WINDOWS_MOST = 6000
_ORIGINS_MOST = 2000  # that tell when to stop
AHEAD_MOST = 256  # inputs that tell what is known in advance


@dataclass(frozen=True)
class Reading:
    """What the networks read at row t, of which they forecast what ``base`` leaves of the next rows.

    z(t), ``z(t) - z(t - 1)`` and the differences to the seasons before, all in the units of the base; the inputs of the
    track; what is known of row t + 1 and, of what is no calendar, of all rows up to t + steps.
    """

    base: Linear
    seasons: list[int]
    window: int  # rows read before each forecast, the first of which are only read
    ahead: list[int]  # columns known in advance that are no calendar
    scale: Array = field(default_factory=lambda: np.empty(0))  # [steps]: of what is left

    @property
    def steps(self) -> int:
        """How many rows ahead."""
        return len(self.base.c)

    @property
    def rows(self) -> int:
        """How many rows a forecast reads at least."""
        return max([self.base.form.rows, 2, *(s + 1 for s in self.seasons)])

    def inputs(self, track: Track, t: Array) -> Array:
        """``[n, n_in]``, float32."""
        z = track.values(self.base.form.log)
        columns = [z[t]] + [z[t] - z[t - k] for k in (1, *self.seasons)]
        parts = [np.stack(columns, axis=1), track.inputs[t], track.future[t + 1]]
        if self.ahead:
            known = track.future[:, self.ahead][t[:, None] + np.arange(1, self.steps + 1)]
            parts.append(known.reshape(len(t), -1))
        parts.append(np.repeat(track.static[None], len(t), axis=0))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def left(self, track: Track, t: Array, end: int) -> Array:
        """What the base leaves of the rows after t and before `end`: ``[n, steps]``, NaN where unknown."""
        z = np.concatenate([track.values(self.base.form.log), np.full(self.steps, np.nan)])
        z[: track.rows][~np.isfinite(track.y)] = np.nan
        z[end:] = np.nan
        return np.asarray(z[t[:, None] + np.arange(1, self.steps + 1)] - self.base(track, t))


def calendar_columns(future: Array) -> set[int]:
    """Which columns are sines and cosines, side by side: ``x^2 + y^2 = 1`` in every row."""
    found = set()
    for j in range(future.shape[1] - 1):
        pair = future[:, j : j + 2]
        if j not in found and len(pair) > 1 and np.allclose((pair**2).sum(axis=1), 1.0, atol=1e-6):
            found |= {j, j + 1}
    return found


@dataclass(frozen=True)
class Lesson:
    """The training of one network: it can be sent to another process."""

    data: dict[str, Any]  # of `fit`
    hidden: int
    seed: int
    epochs: int | None  # None: until the validation data say that it is enough
    start: ElmanRNN | None

    def __call__(self) -> tuple[ElmanRNN, History]:
        """The trained network, and its history."""
        x, steps = self.data["x"], self.data["y"].shape[2]
        if self.start is None:
            net = ElmanRNN(x.shape[2], self.hidden, steps, output="linear", seed=self.seed)
            net.V *= 0.1  # it begins near what the linear part says
        else:
            net = copy(self.start)
        history = net.fit(
            **self.data,
            optimizer=AdamW(_RATE, weight_decay=_DECAY),
            schedule=Cosine(_EPOCHS * _UPDATES_AN_EPOCH),
            epochs=self.epochs or _EPOCHS,
            updates_per_epoch=_UPDATES_AN_EPOCH,
            batch_size=_BATCH,
            clip_norm=_CLIP,
            dropout=_DROPOUT,
            patience=None if self.data["validation"] is None else _PATIENCE,
            seed=self.seed,
            progress=False,
        )
        return net, history


Taught: TypeAlias = list[tuple[ElmanRNN, History]]


def side_by_side(lessons: Sequence[Lesson]) -> Taught:
    """What comes of lessons, in their order; in threads."""
    try:
        done = fit_many(lessons, progress=False)
    except FitManyError as error:
        raise error.failures[min(error.failures)] from None
    if len(done) < len(lessons) or any(history.stopped == "interrupted" for _, history in done):
        raise KeyboardInterrupt
    return done


_trained_by: ContextVar[Callable[[Sequence[Lesson]], Taught]] = ContextVar("trained_by", default=side_by_side)


@contextmanager
def trained_by(teach: Callable[[Sequence[Lesson]], Taught]) -> Iterator[None]:
    """Inside, `teach` trains the networks of ensembles in place of `side_by_side`."""
    token = _trained_by.set(teach)
    try:
        yield
    finally:
        _trained_by.reset(token)


@dataclass(frozen=True)
class Ensemble:
    """Networks from several seeds, whose outputs are averaged."""

    reading: Reading
    networks: list[ElmanRNN]
    epochs: list[int]  # of each, until it was best

    def __call__(self, track: Track, t: Array) -> Array:
        """What is to be added to the base after each origin, ``[n, steps]``, in its units."""
        reading = self.reading
        window = reading.window
        # Each forecast has a run of its own over the rows before it, so that it depends on nothing else.
        rows = t[None] - np.arange(window - 1, -1, -1)[:, None]
        start = track.first + reading.rows - 1
        reset = rows == np.maximum(start, t - window + 1)
        x = reading.inputs(track, np.maximum(rows, start).ravel()).reshape(window, len(t), -1)
        o = np.mean([net.forward(x, reset=reset).o[-1].astype(np.float64) for net in self.networks], axis=0)
        return np.asarray(o * reading.scale)


def trained(
    reading: Reading,
    tracks: Sequence[Track],
    ends: Sequence[int],
    validation: Sequence[Array] | None,
    hidden: int,
    seeds: Sequence[int],
    epochs: Sequence[int] | None = None,
    start: Ensemble | None = None,
) -> Ensemble | None:
    """Train the networks on the rows before `ends`.

    Parameters
    ----------
    reading : Reading
        What they read; its base is fitted to these rows.
    tracks, ends : sequence
        The tracks, and of each the first row that is not to be read.
    validation : sequence of int array, or None
        Of each track the origins whose forecasts tell when to stop.
    hidden : int
        Hidden units, without `start`.
    seeds : sequence of int
        One a network.
    epochs : sequence of int, optional
        How long each network is trained, without validation.
    start : Ensemble, optional
        Networks whose parameters, and scale of what is left, it begins with.

    Returns
    -------
    Ensemble or None
        None if there are too few rows.
    """
    found = _windows(reading, tracks, ends)
    if found is None:
        return None
    x, left, weight = found
    with np.errstate(invalid="ignore"):
        known = np.isfinite(left)
        count = known.sum(axis=(0, 1))
        scale = np.sqrt(np.where(known, left, 0.0).__pow__(2).sum(axis=(0, 1)) / np.maximum(count, 1))
    scale = np.where(scale > 1e-9, scale, 1.0) if start is None else start.reading.scale
    reading = Reading(reading.base, reading.seasons, reading.window, reading.ahead, scale)
    y = _targets(left / scale, weight)
    held_out = None if validation is None else _validation(reading, tracks, validation)
    if validation is not None and held_out is None:
        return None

    data = {"x": x, "y": y, "weight": weight, "validation": held_out}
    starts = [None] * len(seeds) if start is None else start.networks
    lasts = [None] * len(seeds) if epochs is None else epochs
    each = zip(seeds, lasts, starts, strict=True)
    done = _trained_by.get()([Lesson(data, hidden, seed, last, network) for seed, last, network in each])
    best = [(history.best_epoch or 0) + 1 for _, history in done] if epochs is None else list(epochs)
    return Ensemble(reading, [net for net, _ in done], best)


def _windows(reading: Reading, tracks: Sequence[Track], ends: Sequence[int]) -> tuple[Array, Array, Array] | None:
    """Windows that overlap by half, side by side: ``[window, n, n_in]``, what is left, and weights of the steps."""
    window = reading.window
    begins = []
    for track, end in zip(tracks, ends, strict=True):
        first, last = track.first + reading.rows - 1, end - 1 - window
        some = np.arange(last, first - 1, -max(1, window // 2)) if last >= first else np.empty(0, np.int64)
        begins.append(some)
    total = sum(map(len, begins))
    if total < 2:
        return None
    stride = -(-total // _WINDOWS_MOST)
    xs, lefts = [], []
    for track, end, some in zip(tracks, ends, begins, strict=True):
        if len(some) == 0:
            continue
        rows = some[::stride] + np.arange(window)[:, None]
        distinct, where = np.unique(rows, return_inverse=True)
        where = where.reshape(rows.shape)
        xs.append(reading.inputs(track, distinct)[where])
        lefts.append(reading.left(track, distinct, end)[where])
    x, left = np.concatenate(xs, axis=1), np.concatenate(lefts, axis=1)
    weight = np.isfinite(left).any(axis=2).astype(np.float32)
    weight[: window // 4] = 0.0  # the state comes into being there
    return (x, left, weight) if weight.any() else None


def _targets(left: Array, weight: Array) -> Array:
    """As `fit` takes them: a step of weight 0 is not read."""
    return np.where(weight[..., None] > 0, left, 0.0).astype(np.float32)


def _validation(
    reading: Reading, tracks: Sequence[Track], validation: Sequence[Array]
) -> tuple[list[Array], list[Array], list[Array]] | None:
    """Runs over the rows of the origins, and some before them of weight 0."""
    stride = -(-sum(map(len, validation)) // _ORIGINS_MOST) or 1
    xs, ys, weights = [], [], []
    for track, origins in zip(tracks, validation, strict=True):
        origins = origins[origins >= track.first + reading.rows - 1][::stride]
        if len(origins) == 0:
            continue
        begin = max(track.first + reading.rows - 1, int(origins[0]) - reading.window + 1)
        rows = np.arange(begin, int(origins[-1]) + 1)
        left = reading.left(track, rows, track.rows) / reading.scale
        weight = (np.isin(rows, origins) & np.isfinite(left).any(axis=1)).astype(np.float32)
        if weight.any():
            xs.append(reading.inputs(track, rows))
            ys.append(_targets(left, weight))
            weights.append(weight)
    return (xs, ys, weights) if xs else None
