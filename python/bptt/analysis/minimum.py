"""The minimisation of q(s) = 1/2 |F(s) - s|^2 from many starts at once: Levenberg and Marquardt's method.

A step d solves ``(G^T G + mu |g| I) d = -G^T g``, where ``g = F(s) - s`` and G is its Jacobian. A damping that goes to
0 with |g| makes the convergence to fixed points quadratic, also where they lie on a line or a plane (Fan and Yuan,
2005). mu follows from the ratio of what a step gains to what it promised (Nielsen, 1999).
"""

from __future__ import annotations

import numpy as np

from bptt._arrays import Array
from bptt.analysis.dynamics import FLOAT64, Dynamics

_EPS = float(np.finfo(FLOAT64).eps)
_PROMISE = 1e-10  # of q: a step that promises less starts at a minimum


class _Starts:
    """The starts that are still under way: state s, g, q, and of the model of q its gradient and G^T G."""

    def __init__(self, dynamics: Dynamics, s: Array, drive: Array) -> None:
        m, n = s.shape
        self.dynamics, self.drive = dynamics, drive
        self.index = np.arange(m)
        self.s, self.g = s.copy(), np.empty((m, n))
        self.q, self.gradient = np.empty(m), np.empty((m, n))
        self.normal, self.diagonal = np.empty((m, n, n)), np.empty((m, n))
        self.mu, self.rise = np.ones(m), np.full(m, 2.0)
        self.move(np.ones(m, bool), self.s)

    def move(self, which: Array, s: Array) -> None:
        """Put those of a mask to the states ``s [number of them, n]``."""
        after, slopes = self.dynamics.linearise(s, self.drive[which])
        G_transposed = self.dynamics.push(slopes) - np.eye(s.shape[1])
        normal = G_transposed @ G_transposed.swapaxes(1, 2)
        g = after - s
        self.s[which], self.g[which], self.q[which] = s, g, half_square(g)
        self.gradient[which] = (G_transposed @ g[..., None])[..., 0]
        self.normal[which], self.diagonal[which] = normal, np.diagonal(normal, axis1=1, axis2=2)

    def step(self) -> tuple[Array, Array]:
        """d of each, and how much less q is after it if it is as the model says."""
        diagonal = np.arange(self.s.shape[1])
        least = _EPS * self.diagonal.max(axis=1) + np.finfo(FLOAT64).tiny
        damping = np.maximum(self.mu * np.linalg.norm(self.g, axis=1), least)
        self.normal[:, diagonal, diagonal] = self.diagonal + damping[:, None]
        d = np.linalg.solve(self.normal, -self.gradient[..., None])[..., 0]
        promise = 0.5 * (damping * (d * d).sum(axis=1) - (self.gradient * d).sum(axis=1))
        return d, promise

    def keep(self, which: Array) -> None:
        """Go on with those of a mask."""
        for name in ("index", "s", "g", "q", "gradient", "normal", "diagonal", "mu", "rise", "drive"):
            setattr(self, name, getattr(self, name)[which])


def minimise(dynamics: Dynamics, starts: Array, drive: Array, max_iterations: int) -> tuple[Array, Array, Array]:
    """For ``starts [m, n]`` and U x ``[m, n_1]``: where q has come to, q there, and whether that is a minimum."""
    state, q, is_minimum = starts.copy(), np.empty(len(starts)), np.zeros(len(starts), bool)
    way = _Starts(dynamics, starts, drive)
    for _ in range(max_iterations):
        d, promise = way.step()
        size = np.linalg.norm(way.s, axis=1)
        at_end = np.abs(way.g).max(axis=1) <= 4 * _EPS * np.maximum(1.0, np.abs(way.s).max(axis=1))
        at_end |= (promise <= _PROMISE * way.q) | (np.linalg.norm(d, axis=1) <= _EPS * (size + _EPS))
        if at_end.any():
            ended = way.index[at_end]
            state[ended], q[ended], is_minimum[ended] = way.s[at_end], way.q[at_end], True
            way.keep(~at_end)
            d, promise = d[~at_end], promise[~at_end]
            if not len(way.index):
                break
        there = way.s + d
        after, _ = dynamics.linearise(there, way.drive)
        gain = way.q - half_square(after - there)
        ratio = np.where(np.isfinite(gain), gain / promise, -1.0)
        is_better = ratio > 0.0
        way.mu *= np.where(is_better, np.maximum(1.0 / 3.0, 1.0 - (2.0 * ratio - 1.0) ** 3), way.rise)
        way.rise = np.where(is_better, 2.0, 2.0 * way.rise)
        if is_better.any():
            way.move(is_better, there[is_better])
    state[way.index], q[way.index] = way.s, way.q
    return state, q, is_minimum


def half_square(g: Array) -> Array:
    squares: Array = 0.5 * (g * g).sum(axis=-1)
    return squares
