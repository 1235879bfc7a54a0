"""What a forecast has to beat: the last value, the season before, the drift; and the unit of MASE."""

from __future__ import annotations

import numpy as np

from bptt._arrays import Array

LAST, DRIFT = "last value", "drift"


def seasonal(season: int) -> str:
    """The name of the seasonal naive forecast."""
    return f"season {season}"


def naive(name: str, z: Array, origins: Array, steps: int, first: int = 0) -> Array:
    """Forecast the `steps` rows after each origin.

    ``last value``: z(t); ``season s``: ``z(t + h - k s)``, with the least k that makes it known; ``drift``:
    ``z(t) + h (z(t) - z(first)) / (t - first)``.

    Parameters
    ----------
    name : str
        Which of them.
    z : float64 array [rows]
        Without gaps.
    origins : int array [n]
        The last row that each forecast knows.
    steps : int
        How many rows each forecast has.
    first : int
        The first row that is known.

    Returns
    -------
    float64 array [n, steps]
    """
    h = np.arange(1, steps + 1)
    last = np.repeat(z[origins][:, None], steps, axis=1)
    if name == LAST:
        return last
    if name == DRIFT:
        slope = (z[origins] - z[first]) / np.maximum(1, origins - first)
        return np.asarray(last + slope[:, None] * h)
    season = int(name.split()[1])
    return np.asarray(z[origins[:, None] + h - -(-h // season) * season])


def rows_needed(name: str) -> int:
    """How many rows a forecast reads."""
    return {LAST: 1, DRIFT: 2}.get(name) or int(name.split()[1])


def mase_unit(y: Array, season: int) -> float:
    """The mean of ``|y(t) - y(t - season)|`` over the rows where both are known; NaN where there are none, or all 0."""
    if len(y) <= season:
        season = 1
    differences = np.abs(y[season:] - y[:-season])
    differences = differences[np.isfinite(differences)]
    unit = float(differences.mean()) if differences.size else 0.0
    return unit if unit > 0 else float("nan")


def found_season(y: Array, most: int = 400) -> int:
    """The length of a season that the numbers themselves show, in rows; 1 if none.

    It is the lag of the first hill of the autocorrelation, without the trend, after its first valley. It counts if the
    autocorrelation there is at least 0.3; in random walks that is rare.
    """
    z = y[np.isfinite(y)]
    n = len(z)
    most = min(most, n // 4)
    if most < 4 or np.ptp(z) == 0:
        return 1
    t = np.arange(n) - (n - 1) / 2
    z = z - z.mean() - t * ((t @ z) / (t @ t))
    power = np.abs(np.fft.rfft(z, 2 * n)) ** 2
    correlation = np.fft.irfft(power)[: most + 2]
    if not correlation[0] > 0:
        return 1
    correlation = correlation / correlation[0]
    valleys = np.flatnonzero((np.diff(correlation)[:-1] < 0) & (np.diff(correlation)[1:] >= 0)) + 1
    low = next((int(k) for k in valleys if correlation[k] < 0.1), most)
    hill = correlation[low : most + 1]
    rises = np.diff(hill) > 0
    tops = np.flatnonzero(rises[:-1] & ~rises[1:]) + 1
    high = [int(k) for k in tops if hill[k] >= 0.9 * hill.max()]
    season = low + high[0] if high else 0
    if low >= most or not 3 <= season <= most or correlation[season] < 0.3:
        return 1
    return season
