"""Lyapunov exponents: the mean rates at which small differences of the state grow along long trajectories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt._arrays import Array
from bptt._checks import generator, size
from bptt.analysis.dynamics import FLOAT64, dynamics_of, in_float64
from bptt.analysis.tangents import Linearised
from bptt.networks.sequences import sequences

_WINDOW = 1 << 16  # rows of states that are held at a time, about
_BLOCKS = 10  # of which the spread tells the error


@dataclass(frozen=True, repr=False, eq=False)
class Lyapunov:
    """What `lyapunov` gives back.

    Attributes
    ----------
    exponents : ndarray
        In nats per step, the largest first: ``[batch, k]``, or ``[k]`` for a single sequence.
    error : ndarray
        The standard error of each, from the spread of ten parts of the trajectory, of the same shape; NaN where there
        are less than ten orthonormalisations, or an exponent is -inf.
    steps : int
        Over how many steps the mean goes.
    """

    exponents: Array
    error: Array
    steps: int

    @property
    def largest(self) -> Any:
        """The largest exponent, ``[batch]``, or a number for a single sequence: above 0 in chaos."""
        return self.exponents[..., 0]

    def __repr__(self) -> str:
        text = np.array2string(self.largest, precision=4, threshold=4)
        return f"Lyapunov(largest {text} nats per step, over {self.steps} steps)"


def lyapunov(
    rnn: Any,
    x: Any,
    *,
    n_exponents: int = 1,
    skip: int | None = None,
    every: int = 1,
    seed: int | np.random.Generator | None = 0,
    **arguments: Any,
) -> Lyapunov:
    """Estimate the largest Lyapunov exponents along a trajectory, by the method of Benettin et al. (1980).

    ``n_exponents`` tangent vectors go along with the state, as the Jacobians of the steps take them. They are made
    orthonormal again and again (QR), and the logarithms of what that divides them by are averaged. The sum of the first
    k exponents is the rate at which volumes of dimension k grow.

    Parameters
    ----------
    rnn : ElmanRNN or JordanRNN
        The network, in one direction. A `JordanRNN` runs free.
    x : array_like
        The inputs, ``[tau, batch, n_in]`` or ``[tau, n_in]`` (tokens: without the last axis). For a network without
        input, or with a constant one, ``np.broadcast_to(x_t, (tau, n_in))`` takes no memory.
    n_exponents : int
        How many, k: at most the size of the state.
    skip : int, optional
        So many steps at the beginning are not averaged: the state goes to its attractor, and the tangent vectors to
        their directions. By default a tenth of tau.
    every : int
        The vectors are made orthonormal after so many steps. More than 1 saves time where k is large. An exponent is
        -inf if what it measures is lost in rounding: if in so many steps a vector shrinks by 1e15 beside the others.
    seed : int or numpy.random.Generator, optional
        Of the first tangent vectors.
    **arguments
        ``h0`` (``v0``, ``r0``), as for ``rnn.forward``.

    Returns
    -------
    Lyapunov
        With ``exponents`` and their ``error``, in nats per step.

    Raises
    ------
    TypeError, ValueError
        As from ``rnn.forward``; if the network has two directions, or a state is not finite.

    Examples
    --------
    >>> from bptt.analysis import lyapunov
    >>> found = lyapunov(rnn, np.zeros((1000, 3)))
    >>> bool(abs(found.largest) < 1e-6)  # the state rests at 0, where the Jacobian is W, orthogonal at first
    True
    """
    rnn = in_float64(rnn)
    n = sum(dynamics_of(rnn).sizes)
    k = size("n_exponents", n_exponents, 1, n)
    every = size("every", every, 1)
    random = generator(seed)
    name = "r0" if rnn.feeds_outputs_back else "h0" if rnn.leak == 1.0 else "v0"
    for other in arguments:
        if other != name:
            raise TypeError(f"{other}: expected no argument beside x but {name}")
    s = sequences(x, None, *((None, None) if rnn.input == "token" else (rnn.n_in, FLOAT64)))
    if s.form == "list":
        raise TypeError("x: expected one array of trajectories, got a list")
    skip = s.tau // 10 if skip is None else size("skip", skip, 0, s.tau - 1)
    first, _ = np.linalg.qr(random.standard_normal((s.batch, n, k)))
    growth = _Growth(first.swapaxes(1, 2), s.tau, skip, every)
    x = np.asarray(x)
    window = max(1, _WINDOW // s.batch)
    for begin in range(0, s.tau, window):
        along = Linearised(rnn, x[begin : begin + window], arguments)
        along.check_finite(begin)
        for t in range(along.trajectory.tau):
            growth.advance(along.push(t, growth.rows))
        arguments = along.trajectory.last
    exponents, error = growth.means()
    single = s.form == "single"
    return Lyapunov(exponents[0] if single else exponents, error[0] if single else error, s.tau - skip)


class _Growth:
    """Tangent vectors, ``rows [batch, k, n]``, and by how much they have grown."""

    def __init__(self, rows: Array, tau: int, skip: int, every: int) -> None:
        self.rows = rows
        self._tau, self._skip, self._every = tau, skip, every
        self._t = self._since = 0  # steps made, in all and since the vectors were orthonormal
        self._logarithms = np.zeros((_BLOCKS, *rows.shape[:2]))
        self._steps = np.zeros(_BLOCKS)

    def advance(self, rows: Array) -> None:
        """One step, which has taken the vectors to `rows`."""
        self.rows = rows
        self._t += 1
        self._since += 1
        if self._since == self._every or self._t in (self._skip, self._tau):
            self._orthonormalise()

    def _orthonormalise(self) -> None:
        rows = self.rows
        longest = np.sqrt((rows * rows).sum(axis=2))
        if not np.isfinite(longest).all():
            raise ValueError(f"every: expected tangent vectors that stay finite, got others at t = {self._t}")
        q, r = np.linalg.qr(rows.swapaxes(1, 2))
        factors = np.abs(np.diagonal(r, axis1=1, axis2=2))
        factors = np.where(factors > rows.shape[2] * np.finfo(FLOAT64).eps * longest, factors, 0.0)
        self.rows = np.ascontiguousarray(q.swapaxes(1, 2))
        if self._t > self._skip:
            block = (self._t - self._skip - 1) * _BLOCKS // (self._tau - self._skip)
            with np.errstate(divide="ignore"):
                self._logarithms[block] += np.log(factors)
            self._steps[block] += self._since
        self._since = 0

    def means(self) -> tuple[Array, Array]:
        """The exponents and their standard errors, ``[batch, k]``."""
        exponents: Array = self._logarithms.sum(axis=0) / self._steps.sum()
        with np.errstate(all="ignore"):
            rates = self._logarithms / self._steps[:, None, None]
            error: Array = rates.std(axis=0, ddof=1) / np.sqrt(_BLOCKS)
        return exponents, error
