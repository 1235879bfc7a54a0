"""Fixed and slow points of the step map, and their stability (Sussillo and Barak, 2013)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bptt._arrays import Array
from bptt._checks import generator, number, size
from bptt.analysis.dynamics import Dynamics, constant_inputs, dynamics_of, eigenvalues, in_float64, states_of
from bptt.analysis.minimum import minimise

_MOST = 1000  # starts, where no number is given
_NUMBERS = 1 << 22  # of matrices that are held at a time, about


@dataclass(frozen=True, repr=False, eq=False)
class FixedPoints:
    """What `fixed_points` gives back: m points, fixed ones before slow ones, and the most stable first.

    An index, a slice or a mask chooses some: ``points[points.is_stable]``.

    Attributes
    ----------
    state : ndarray
        ``[m, n]``: h of all layers side by side, from the bottom to the top; v of leaky units; of a `JordanRNN` r.
    x : ndarray
        The input at which each point is one, ``[m, n_in]`` (tokens ``[m]``).
    q : ndarray
        ``1/2 |F(s) - s|^2``, half the squared way that one step goes, ``[m]``.
    is_fixed : ndarray of bool
        Whether q is at most the tolerance. The others are slow points, local minima of q.
    eigenvalues : ndarray
        Of the Jacobian of F, complex ``[m, n]``, the largest magnitude first.
    is_stable : ndarray of bool
        Whether all magnitudes are below 1.
    n_unstable : ndarray of int
        How many magnitudes are 1 or more: the dimension of the way out.
    starts : ndarray of int
        From how many starts the point was found, ``[m]``. It is not the size of a basin of attraction: minimisation
        goes other ways than the network.
    distance : ndarray
        To the nearest of the states that were given, Euclidean, ``[m]``.
    is_outlier : ndarray of bool
        Whether that is far, see `fixed_points`: the network may never come there.
    point_of_start : ndarray of int
        For each start the index of its point in the whole list, or -1: there q came to no minimum, or to one that is
        too large.
    """

    state: Array
    x: Array
    q: Array
    is_fixed: Array
    eigenvalues: Array
    starts: Array
    distance: Array
    is_outlier: Array
    point_of_start: Array
    _dynamics: Dynamics

    @property
    def is_stable(self) -> Array:
        is_stable: Array = self.n_unstable == 0
        return is_stable

    @property
    def n_unstable(self) -> Array:
        counts: Array = (np.abs(self.eigenvalues) >= 1.0).sum(axis=1)
        return counts

    @property
    def h0(self) -> Any:
        """The states as ``rnn.forward`` takes them (as v0 or r0 too), ``[m, n_hidden]``; of several layers a list."""
        parts = np.split(self.state, np.cumsum(self._dynamics.sizes)[:-1], axis=1)
        return parts[0] if len(parts) == 1 else parts

    def jacobians(self) -> Array:
        """Return the Jacobian of F at each point, ``[m, n, n]``."""
        dynamics = self._dynamics
        _, slopes = dynamics.linearise(self.state, dynamics.drive(self.x))
        jacobians: Array = dynamics.push(slopes).swapaxes(1, 2)
        return jacobians

    def __len__(self) -> int:
        return len(self.state)

    def __getitem__(self, chosen: Any) -> FixedPoints:
        index = np.atleast_1d(np.arange(len(self))[chosen])
        per_point = (field.name for field in fields(self) if field.name not in ("point_of_start", "_dynamics"))
        return replace(self, **{name: getattr(self, name)[index] for name in per_point})

    def __repr__(self) -> str:
        stable = int((self.is_fixed & self.is_stable).sum())
        failed = int((self.point_of_start < 0).sum())
        fixed = int(self.is_fixed.sum())
        return (
            f"FixedPoints({fixed} fixed, {stable} of them stable, {len(self) - fixed} slow; "
            f"{int(self.is_outlier.sum())} outliers; {len(self.point_of_start)} starts, {failed} without a point)"
        )


def fixed_points(
    rnn: Any,
    states: Any,
    *,
    x: ArrayLike | None = None,
    n_starts: int | None = None,
    noise: float = 0.0,
    seed: int | np.random.Generator | None = 0,
    tolerance: float = 1e-20,
    slow: float = 1e-4,
    unique: float = 1e-3,
    outlier: float = 2.0,
    max_iterations: int = 500,
) -> FixedPoints:
    """Find the fixed and slow points of a network under a constant input (Sussillo and Barak, 2013).

    From many starts at once, ``q(s) = 1/2 |F(s) - s|^2`` is minimised, where ``F`` is a step of the network: by the
    method of Levenberg and Marquardt, with the Jacobian of F in closed form. It finds points of all kinds, saddles too.

    Parameters
    ----------
    rnn : ElmanRNN or JordanRNN
        The network, in one direction.
    states : array_like, or list
        States near which to look, ``[..., n]``, such as ``run.h`` of some trajectories; of several layers a list with
        an array a layer, such as ``run.layers``. Of leaky units v, such as ``run.v`` or ``run.v_layers``. Of a
        `JordanRNN`, what it feeds back.
    x : array_like, optional
        The input: ``[n_in]``, or one for each state, ``[..., n_in]``, such as what the trajectories have read; a token,
        or one for each state. 0 by default, save for tokens.
    n_starts : int, optional
        From how many of the states to start, chosen at random without repetition. By default from all, or from 1000
        where there are more.
    noise : float
        The standard deviation of the normal numbers that are added to each start.
    seed : int or numpy.random.Generator, optional
        Of both.
    tolerance : float
        A point with q up to this is a fixed point.
    slow : float
        A local minimum with q up to this is a slow point. One with more is left out.
    unique : float
        Of points at the same input whose Euclidean distance is at most this, the one with the lowest q is kept.
    outlier : float
        A point is an outlier if its distance to the nearest of the states is more than so many times the root mean
        square distance of the states to their mean.
    max_iterations : int
        For each start.

    Returns
    -------
    FixedPoints
        With ``state``, ``q``, ``eigenvalues``, ``is_stable``, ``is_fixed``, ``is_outlier``, ...

    Raises
    ------
    TypeError, ValueError
        If an argument has another type, shape or range, or a number is not finite; if the network has two directions.

    Examples
    --------
    >>> from bptt.analysis import fixed_points
    >>> points = fixed_points(rnn, rnn.forward(x).h)
    >>> after = rnn.forward(np.zeros((1, len(points), 3)), h0=points.h0).h_last
    >>> bool(np.abs(after - points.h0).max() < 1e-6)
    True
    """
    rnn = in_float64(rnn)
    dynamics = dynamics_of(rnn)
    given = states_of("states", states, dynamics.sizes)
    noise = number("noise", noise, 0.0, math.inf)
    tolerance, slow = number("tolerance", tolerance, 0.0, math.inf), number("slow", slow, 0.0, math.inf)
    unique, outlier = number("unique", unique, 0.0, math.inf), number("outlier", outlier, 0.0, math.inf, "(]")
    max_iterations = size("max_iterations", max_iterations, 1)
    random = generator(seed)
    inputs = constant_inputs(rnn, x, len(given))
    starts = given
    count = min(len(given), _MOST) if n_starts is None else size("n_starts", n_starts, 1, len(given))
    if count < len(given):
        drawn = random.choice(len(given), count, replace=False)
        starts, inputs = given[drawn], inputs[drawn]
    if noise > 0.0:
        starts = starts + noise * random.standard_normal(starts.shape)
    at_once = max(1, _NUMBERS // given.shape[1] ** 2)
    found = [
        minimise(dynamics, starts[i : i + at_once], dynamics.drive(inputs[i : i + at_once]), max_iterations)
        for i in range(0, count, at_once)
    ]
    state, q, is_minimum = (np.concatenate(part) for part in zip(*found, strict=True))
    is_point = (is_minimum & (q <= slow)) | (q <= tolerance)
    return _points(dynamics, given, inputs, state, q, is_point, tolerance, unique, outlier)


def _points(
    dynamics: Dynamics,
    given: Array,
    inputs: Array,
    state: Array,
    q: Array,
    is_point: Array,
    tolerance: float,
    unique: float,
    outlier: float,
) -> FixedPoints:
    """What the starts have come to: each point once, with what is known of it."""
    point_of_start, chosen = _groups(state, inputs, q, is_point, unique)
    starts = np.bincount(point_of_start[point_of_start >= 0], minlength=len(chosen))
    distance, spread = _nearest(state[chosen], given)
    points = FixedPoints(
        state=state[chosen],
        x=inputs[chosen],
        q=q[chosen],
        is_fixed=q[chosen] <= tolerance,
        eigenvalues=np.zeros((len(chosen), state.shape[1]), complex),
        starts=starts,
        distance=distance,
        is_outlier=distance > outlier * spread,
        point_of_start=point_of_start,
        _dynamics=dynamics,
    )
    at_once = max(1, _NUMBERS // state.shape[1] ** 2)
    for i in range(0, len(points), at_once):
        some = slice(i, i + at_once)
        points.eigenvalues[some] = eigenvalues(points[some].jacobians(), dynamics.sizes)
    order = np.lexsort((-starts, points.n_unstable, ~points.is_fixed))
    place = np.empty(len(order) + 1, int)
    place[order], place[-1] = np.arange(len(order)), -1  # and -1 stays -1
    return replace(points[order], point_of_start=place[point_of_start])


def _groups(state: Array, inputs: Array, q: Array, is_point: Array, unique: float) -> tuple[Array, Array]:
    """For each start the index of its point, or -1; and for each point the start that has it with the lowest q."""
    group = np.full(len(state), -1)
    chosen: list[int] = []
    open_ = np.flatnonzero(is_point)
    open_ = open_[np.argsort(q[open_], kind="stable")]
    while len(open_):
        first = open_[0]
        near = np.linalg.norm(state[open_] - state[first], axis=1) <= unique
        near &= (inputs[open_] == inputs[first]).reshape(len(open_), -1).all(axis=1)
        near[0] = True
        group[open_[near]] = len(chosen)
        chosen.append(int(first))
        open_ = open_[~near]
    return group, np.array(chosen, int)


def _nearest(points: Array, given: Array) -> tuple[Array, float]:
    """The distance of each point to the nearest state, and the states' root mean square distance to their mean."""
    mean = given.mean(axis=0)
    centred = given - mean
    spread = float(np.sqrt((centred**2).sum(axis=1).mean()))
    distance = np.array([np.linalg.norm(given - point, axis=1).min() for point in points]).reshape(len(points))
    return distance, spread
