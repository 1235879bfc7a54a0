"""The linear part: ridge regression on lags, in closed form, with weights of its own for each step ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bptt._arrays import Array
from bptt.forecast.tracks import Track

PENALTIES = 10.0 ** np.arange(-6, 3.01, 0.5)  # of standardised inputs, a row
_ROWS_MOST = 16_000  # to fit: a coefficient of a few hundred lags is known well by then
_AT_ONCE = 4096
_LAGS, _LAGS_MOST = 24, 700  # without a season; of two long seasons


@dataclass(frozen=True)
class Form:
    """What a linear part reads and forecasts.

    With z in standard units (of y, or of log y), it forecasts ``z(t + h) - a(t, h)``, where a is 0, z(t), or z at the
    last known row of the same phase of the season. Its inputs are z(t) (where a is 0), ``z(t - k) - z(t)`` for k = 1,
    ..., lags - 1, ``z(t) - z(t - season)`` where the lags do not reach that far and, with `inputs`, what the table has
    beside the target: at row t what is observed, at rows t and t + h what is known in advance.
    """

    log: bool
    difference: int  # 0: none; 1: from the last value; more: from the season before
    lags: int
    inputs: bool

    @property
    def rows(self) -> int:
        """How many rows up to t a forecast reads."""
        return max(self.lags, self.difference + 1)

    @property
    def name(self) -> str:
        """In words."""
        kind = {0: "level", 1: "difference"}.get(self.difference, f"difference to {self.difference} rows before")
        return f"linear: {'log, ' if self.log else ''}{kind}, {self.lags} lags{', inputs' if self.inputs else ''}"

    def design(self, track: Track, t: Array, steps: int) -> tuple[Array, Array]:
        """The inputs but those at t + h, ``[n, n_inputs]``, and a, ``[n, steps]``."""
        z = track.values(self.log)
        last = z[t][:, None]
        columns = [z[t[:, None] - np.arange(1, self.lags)] - last]
        if self.difference == 0:
            columns.append(last)
            a = np.zeros((len(t), steps))
        elif self.difference == 1:
            a = np.repeat(last, steps, axis=1)
        else:
            h = np.arange(1, steps + 1)
            a = z[t[:, None] + h - -(-h // self.difference) * self.difference]
            if self.difference >= self.lags:
                columns.append(last - z[t - self.difference][:, None])
        if self.inputs:
            columns += [track.inputs[t], track.future[t], np.repeat(track.static[None], len(t), axis=0)]
        return np.concatenate(columns, axis=1), a


@dataclass(frozen=True)
class Given:
    """What linear parts of one form read of a track for forecasts from some origins."""

    x: Array  # [n, n_inputs]
    a: Array  # [n, steps]
    future: Array  # [n, steps, n_future]: at t + h; none where the form reads none

    @classmethod
    def at(cls, form: Form, track: Track, t: Array, steps: int) -> Given:
        """Read it."""
        x, a = form.design(track, t, steps)
        future = track.future if form.inputs else track.future[:, :0]
        return cls(x, a, future[t[:, None] + np.arange(1, steps + 1)])


@dataclass(frozen=True)
class Linear:
    """A fitted linear part: ``z(t + h) = a(t, h) + c_h + B_h x(t) + D_h future(t + h)``."""

    form: Form
    B: Array  # [n_inputs, steps]
    D: Array  # [steps, n_future]
    c: Array  # [steps]
    penalty: float | None = None  # that it was fitted with; None where a file does not tell

    def __call__(self, track: Track, t: Array) -> Array:
        """Forecast the rows after each origin, in the units of ``track.values(form.log)``: ``[n, steps]``."""
        out = np.empty((len(t), len(self.c)))
        for begin in range(0, len(t), _AT_ONCE):
            some = slice(begin, begin + _AT_ONCE)
            out[some] = self.of(Given.at(self.form, track, t[some], len(self.c)))
        return out

    def of(self, given: Given) -> Array:
        """Forecast from what has been read."""
        out = given.a + self.c + given.x @ self.B
        if self.D.shape[1]:
            out += np.einsum("nhf,hf->nh", given.future, self.D)
        return np.asarray(out)


@dataclass(frozen=True, eq=False)
class Solver:
    """The normal equations in the basis in which they are diagonal: every penalty is then a division.

    With X = the inputs, standardised, F_h = those at t + h, G = X'X / n = V diag(w) V', the solution for a penalty p is

        D_h = (F_h'F_h / n + p - B'K B)^-1 (F_h'Y_h / n - B'K C_h),   B_h = V K (C_h - B D_h),

    where K = diag(1 / (w + p)), B = V'X'F_h / n, C_h = V'X'Y_h / n.
    """

    form: Form
    rows: int  # fitted to
    mean: Array
    scale: Array
    V: Array
    w: Array
    C: Array  # [n_inputs, steps]
    future: list[tuple[Array, Array, Array, Array]]  # of each step ahead: its mean, B, F'F / n, F'Y / n
    y_mean: Array

    @classmethod
    def of(cls, form: Form, tracks: Sequence[Track], ends: Sequence[int], steps: int) -> Solver | None:
        """Prepare the fit to the rows before `ends`, one a track; None where there are too few."""
        some = [
            (track, t)
            for track, end in zip(tracks, ends, strict=True)
            if len(t := np.arange(track.first + form.rows - 1, end - steps)) > 0
        ]
        total = sum(len(t) for _, t in some)
        stride = -(-total // _ROWS_MOST)
        xs, ys, fs = [], [], []
        for track, t in some:
            t = t[(len(t) - 1) % stride :: stride] if stride > 1 else t
            known = np.isfinite(track.targets(t, steps))
            t = t[known.mean(axis=1) >= 0.5]  # a few gaps are filled, rows that are mostly gaps are left out
            if len(t) == 0:
                continue
            x, a = form.design(track, t, steps)
            xs.append(x)
            ahead = t[:, None] + np.arange(1, steps + 1)
            ys.append(track.values(form.log)[ahead] - a)
            fs.append((track, ahead))
        if sum(map(len, xs)) < 8:
            return None
        x, y = np.concatenate(xs), np.concatenate(ys)
        n = len(x)
        mean, scale = x.mean(axis=0), x.std(axis=0)
        scale = np.where(scale > 1e-9, scale, 1.0)
        x = (x - mean) / scale
        y_mean = y.mean(axis=0)
        y = y - y_mean
        w, V = np.linalg.eigh(x.T @ x / n)
        future = []
        if form.inputs and tracks[0].future.shape[1]:
            for h in range(steps):
                f = np.concatenate([track.future[ahead[:, h]] for track, ahead in fs])
                f_mean = f.mean(axis=0)
                f = f - f_mean
                future.append((f_mean, V.T @ (x.T @ f) / n, f.T @ f / n, f.T @ y[:, h] / n))
        return cls(form, n, mean, scale, V, np.maximum(w, 0.0), V.T @ (x.T @ y) / n, future, y_mean)

    def __call__(self, penalty: float) -> Linear:
        """The linear part for one penalty."""
        K = 1.0 / (self.w + penalty)
        b = K[:, None] * self.C
        c = self.y_mean.copy()
        n_future = len(self.future[0][0]) if self.future else 0
        D = np.zeros((len(c), n_future))
        for h, (f_mean, B, FF, FY) in enumerate(self.future):
            left = FF + penalty * np.eye(n_future) - B.T @ (K[:, None] * B)
            D[h] = np.linalg.lstsq(left, FY - B.T @ b[:, h], rcond=None)[0]
            b[:, h] -= K * (B @ D[h])
            c[h] -= f_mean @ D[h]
        B = (self.V @ b) / self.scale[:, None]
        return Linear(self.form, B, D, c - self.mean @ B, float(penalty))


def forms(seasons: Sequence[int], log: bool, inputs: bool, rows: int) -> Iterator[Form]:
    """Which forms are tried.

    Parameters
    ----------
    seasons : sequence of int
        In rows.
    log, inputs : bool
        Whether y may be taken as its logarithm; whether there is anything beside the target.
    rows : int
        How many the longest track has to learn from.
    """
    most = min(rows // 3, _LAGS_MOST)
    lags = sorted({min(2 * s, most) for s in seasons} or {min(_LAGS, most)})
    for in_log in [False, True][: 1 + log]:
        for difference in [0, 1, *seasons]:
            for n in lags:
                for reads in [False, True][: 1 + inputs]:
                    if n >= 2 and max(n, difference + 1) <= rows // 2:
                        yield Form(in_log, difference, n, reads)
