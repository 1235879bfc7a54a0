"""How forecasts are combined: shares, none negative, whose sum is 1."""

from __future__ import annotations

import numpy as np

from bptt._arrays import Array

_UPDATES = 2000
_LEAST = 0.02  # a smaller share is none


def shares(errors: Array) -> Array:
    """Find the shares w that minimise the squared error of the combined forecast, ``sum (w'e)^2``.

    The sum of all w is 1 and none is negative, so the combination's error is ``w'e``. This is projected gradient
    descent with momentum (Nesterov), on a problem with as many unknowns as forecasts.

    Parameters
    ----------
    errors : float64 array [k, n]
        Of each forecast.

    Returns
    -------
    float64 array [k]
    """
    k, n = errors.shape
    products = errors @ errors.T / n
    rate = 0.5 / max(float(np.linalg.eigvalsh(products)[-1]), 1e-300)
    w = ahead = np.full(k, 1.0 / k)
    step = 1.0
    for _ in range(_UPDATES):
        new = _nearest(ahead - 2 * rate * (products @ ahead))
        next_step = (1 + np.sqrt(1 + 4 * step * step)) / 2
        ahead = new + (step - 1) / next_step * (new - w)
        w, step = new, next_step
    w = np.where(w < _LEAST, 0.0, w)
    return np.asarray(w / w.sum())


def _nearest(v: Array) -> Array:
    """The shares nearest to v."""
    falling = np.sort(v)[::-1]
    beyond = (np.cumsum(falling) - 1) / np.arange(1, len(v) + 1)
    return np.asarray(np.maximum(v - beyond[np.flatnonzero(falling > beyond)[-1]], 0.0))


def trust(errors: Array, naive: Array, block: int) -> float:
    """How much of a combination is to be used, in [0, 1], the rest being a naive forecast.

    Its gain, the mean of ``naive^2 - errors^2``, is known with a standard error, which comes from blocks of origins, as
    forecasts from neighbouring ones are alike. With t the gain over that, the share is ``1 - 1 / t^2``, as of James and
    Stein's estimator; 0 if t is below 1. So what looks better by chance, as on a random walk, is not taken for better.

    Parameters
    ----------
    errors, naive : float64 array [n, steps]
        Of the combination and of the naive forecast, from each origin in order of time; NaN where unknown.
    block : int
        Origins that are alike.
    """
    gains = np.nanmean(naive**2 - errors**2, axis=1)
    gains = gains[np.isfinite(gains)]
    blocks = np.array_split(gains, max(2, len(gains) // max(1, block)))
    means = np.array([each.mean() for each in blocks if len(each)])
    if len(means) < 2:
        return 0.0
    gain, error = float(means.mean()), float(means.std(ddof=1)) / np.sqrt(len(means))
    return max(0.0, 1.0 - (error / gain) ** 2) if gain > 0 else 0.0
