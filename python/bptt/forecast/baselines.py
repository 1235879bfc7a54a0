"""What a forecast has to beat: the last value, the season before, the drift; and the unit of MASE."""

from __future__ import annotations

import numpy as np

from bptt._arrays import Array

LAST, DRIFT = "last value", "drift"
_PROFILE_SEASONS = 10  # of which a profile is the median


def seasonal(season: int) -> str:
    """The name of the seasonal naive forecast."""
    return f"season {season}"


def profile(season: int) -> str:
    """The name of the forecast from the level of late and the profile of a season."""
    return f"profile {season}"


def naive(name: str, z: Array, origins: Array, steps: int, first: int = 0) -> Array:
    """Forecast the `steps` rows after each origin.

    ``last value``: z(t); ``season s``: ``z(t + h - k s)``, with the least k that makes it known; ``drift``:
    ``z(t) + h (z(t) - z(first)) / (t - first)``; ``profile s``: the mean level of late, and what rows of this phase
    were off from the level.

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
    if name.startswith("profile"):
        return _from_profile(season, z, origins, steps, first)
    return np.asarray(z[origins[:, None] + h - -(-h // season) * season])


def _from_profile(season: int, z: Array, origins: Array, steps: int, first: int) -> Array:
    """Forecast ``P(t + h) + mean of z - P`` over the last eighth of a season.

    P of a phase is the median, over the last 10 seasons, of what z is off from its moving mean over a season, of which
    half lies before a row and half after it. So a shift of the level changes P little, and is gone with.
    """
    sums = np.concatenate([[0.0], np.cumsum(z)])
    half = season // 2
    off = np.full(len(z), np.nan)
    off[half : half + len(z) - season + 1] = (
        z[half : half + len(z) - season + 1] - (sums[season:] - sums[:-season]) / season
    )
    off[: first + half] = np.nan
    level = max(1, season // 8)
    phases = origins[:, None] + np.arange(1 - level, steps + 1)  # rows whose P is asked for
    known = origins[:, None] - (season - 1 - half)  # the last row whose moving mean ends by the origin
    last = phases - np.maximum(0, -(-(phases - known) // season)) * season
    rows = last[:, :, None] - season * np.arange(_PROFILE_SEASONS)
    P = np.nanmedian(np.where(rows >= 0, off[np.maximum(rows, 0)], np.nan), axis=2)
    mean = (z[phases[:, :level]] - P[:, :level]).mean(axis=1)
    return np.asarray(P[:, level:] + mean[:, None])


def rows_needed(name: str) -> int:
    """How many rows a forecast reads."""
    if name in (LAST, DRIFT):
        return 1 + (name == DRIFT)
    return int(name.split()[1]) * (3 if name.startswith("profile") else 1)


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
