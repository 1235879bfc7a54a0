"""Principal components of states: the plane in which trajectories are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bptt._arrays import INT64, Array, as_array, check_shape
from bptt._checks import size
from bptt.analysis.dynamics import FLOAT64


@dataclass(frozen=True, repr=False, eq=False)
class PCA:
    """What `pca` gives back.

    Attributes
    ----------
    mean : ndarray
        The mean state, ``[n]``.
    components : ndarray
        Orthonormal directions, ``[k, n]``, from the one with the largest variance on. The entry of the largest
        magnitude of each is positive.
    explained_variance : ndarray
        The variance along each, ``[k]``: the sum of squares divided by the number of states minus 1.
    explained_variance_ratio : ndarray
        The same as a fraction of the variance in all directions, ``[k]``.
    """

    mean: Array
    components: Array
    explained_variance: Array
    explained_variance_ratio: Array

    def transform(self, states: Any) -> Any:
        """Return the coordinates of states: ``[..., k]`` of ``[..., n]``; of a list, a list."""
        if isinstance(states, list | tuple):
            return [self.transform(one) for one in states]
        values = _states("states", states, len(self.mean))
        return (values - self.mean) @ self.components.T

    def inverse(self, coordinates: ArrayLike) -> Array:
        """Return the states ``[..., n]`` in the space of the components that have the coordinates ``[..., k]``."""
        values = _states("coordinates", coordinates, len(self.components))
        states: Array = self.mean + values @ self.components
        return states

    def __repr__(self) -> str:
        k, n = self.components.shape
        return f"PCA({k} of {n} components: {100 * self.explained_variance_ratio.sum():.1f} % of the variance)"


def pca(states: Any, n_components: int | None = None, *, lengths: ArrayLike | None = None) -> PCA:
    """Return the principal components of states, such as ``run.h``.

    Parameters
    ----------
    states : array_like, or list of array_like
        ``[..., n]`` with any axes before the last, or a list of such arrays, which are taken together.
    n_components : int, optional
        How many components to keep: at most n, and at most the number of states. All by default.
    lengths : array_like of int, optional
        Of a padded batch ``[tau, batch, n]``: what is beyond a length is left out.

    Returns
    -------
    PCA
        With ``components``, ``explained_variance``, ``transform``.

    Raises
    ------
    TypeError, ValueError
        If there are less than two states, or one is not finite, or a shape is another.

    Examples
    --------
    >>> from bptt.analysis import pca
    >>> h = rnn.forward(x).h
    >>> components = pca(h, 2)
    >>> components.transform(h).shape
    (5, 2)
    """
    if isinstance(states, list | tuple):
        if lengths is not None:
            raise ValueError("lengths: expected None, as each sequence of a list has its own length")
        if not states:
            raise ValueError("states: expected at least one array, got an empty list")
        arrays = [_states(f"states[{i}]", one, None) for i, one in enumerate(states)]
        for i, array in enumerate(arrays):
            check_shape(f"states[{i}]", array, (*("..." for _ in array.shape[1:]), arrays[0].shape[-1]))
        rows = np.concatenate([array.reshape(-1, array.shape[-1]) for array in arrays])
    else:
        array = _states("states", states, None)
        if lengths is not None:
            array = _within(array, lengths)
        rows = array.reshape(-1, array.shape[-1])
    if len(rows) < 2:
        raise ValueError(f"states: expected at least two, got {len(rows)}")
    if not np.isfinite(rows).all():
        raise ValueError("states: expected finite numbers, got some that are not")
    most = min(rows.shape)
    k = most if n_components is None else size("n_components", n_components, 1, most)
    mean = rows.mean(axis=0)
    triangle = np.linalg.qr(rows - mean, mode="r")  # has the singular values and directions of all rows
    _, singular, directions = np.linalg.svd(triangle, full_matrices=False)
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    directions = directions * np.where(largest < 0.0, -1.0, 1.0)
    variance = singular**2 / (len(rows) - 1)
    total = variance.sum()
    ratio = variance / total if total > 0.0 else np.zeros_like(variance)
    return PCA(mean, directions[:k], variance[:k], ratio[:k])


def _states(name: str, value: Any, n: int | None) -> Array:
    array = as_array(name, value, FLOAT64)
    if array.ndim == 0 or array.shape[-1] == 0 or (n is not None and array.shape[-1] != n):
        raise ValueError(f"{name}: expected [..., {'n' if n is None else n}], got {array.shape}")
    return array


def _within(array: Array, lengths: ArrayLike) -> Array:
    if array.ndim != 3:
        raise ValueError(f"states: expected [tau, batch, n], as there are lengths, got {array.shape}")
    counts = as_array("lengths", lengths, INT64)
    check_shape("lengths", counts, (array.shape[1],))
    if not ((counts >= 1) & (counts <= len(array))).all():
        raise ValueError(f"lengths: expected values from 1 to {len(array)}, got {counts.tolist()}")
    within: Array = array[np.arange(len(array))[:, None] < counts]
    return within
