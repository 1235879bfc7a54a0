"""Beam search: the likeliest sequences of classes that can be found with some of them at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bptt import _core
from bptt._arrays import INT64, Array

NOT_FINITE = "o: expected finite outputs to draw from, got NaN or infinity; are the parameters finite?"
Step = Callable[[int, Array, Array], Array]


class Beams(NamedTuple):
    """What `generate` finds with ``beam=k``: the sequences, the likeliest first.

    Attributes
    ----------
    y : ndarray
        ``[n_steps, k]`` or ``[n_steps, batch, k]``, int64: the classes. There are fewer than k sequences only where
        ``n_out ** n_steps`` is less.
    log_prob : ndarray
        ``[k]`` or ``[batch, k]``, float64, nats: the logarithm of each sequence's probability given what came before
        it, the sum over its steps of log y_hat(t)[y(t)].
    """

    y: Array
    log_prob: Array


def search(n_steps: int, k: int, first: Array, step: Step) -> Beams:
    """Search from the outputs `first` on.

    At every step the k likeliest of all sequences that are one class longer than those before are kept, of equal ones
    those whose classes come first.

    Parameters
    ----------
    n_steps, k : int
        How long the sequences are, and how many are kept.
    first : ndarray
        o(1), ``[batch, n_out]``.
    step : callable
        ``step(t, parents, classes)``, both ``[batch, kept]``: o(t + 1), ``[batch, kept, n_out]``, of the sequences
        `parents` of those kept before with the class y(t) added, where t counts from 1.

    Returns
    -------
    Beams
        ``[n_steps, batch, kept]`` and ``[batch, kept]``.
    """
    interruptions = _core.interruptions()
    batch = len(first)
    o = first[:, None]
    sums = np.zeros((batch, 1))
    kept: list[tuple[Array, Array]] = []
    for t in range(1, n_steps + 1):
        if _core.interruptions() != interruptions:
            raise KeyboardInterrupt
        # The sequences are in the order of their classes, not of their probabilities; so are those one class longer.
        longer = (sums[..., None] + log_softmax(o)).reshape(batch, -1)
        chosen = likeliest(longer, min(k, longer.shape[1]))
        sums = np.take_along_axis(longer, chosen, 1)
        parents, classes = np.divmod(chosen, o.shape[2])
        kept.append((parents, classes))
        if t < n_steps:
            o = step(t, parents, classes)
    places = np.argsort(-sums, axis=1, kind="stable")
    log_prob = np.take_along_axis(sums, places, 1)
    y = np.empty((n_steps, *places.shape), INT64)
    for t, (parents, classes) in zip(reversed(range(n_steps)), reversed(kept), strict=True):
        y[t] = np.take_along_axis(classes, places, 1)
        places = np.take_along_axis(parents, places, 1)
    return Beams(y, log_prob)


def log_softmax(o: Array) -> Array:
    """log y_hat, in float64 (equation 10.11)."""
    o = o.astype(np.float64)
    if not np.isfinite(o).all():
        raise ValueError(NOT_FINITE)
    o -= o.max(axis=-1, keepdims=True)
    log_y_hat: Array = o - np.log(np.exp(o).sum(axis=-1, keepdims=True))
    return log_y_hat


def likeliest(values: Array, k: int) -> Array:
    """The places of the k largest of each row, in ascending order; of equal values the first ones."""
    least = -np.partition(-values, k - 1, axis=1)[:, k - 1 : k]
    larger, equal = values > least, values == least
    room = k - larger.sum(axis=1, keepdims=True)
    chosen = larger | (equal & (equal.cumsum(axis=1) <= room))
    places: Array = np.nonzero(chosen)[1].reshape(len(values), k)
    return places
