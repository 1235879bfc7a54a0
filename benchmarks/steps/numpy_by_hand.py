"""NumPy by hand, nothing allocated: as the equations stand, or with U, W, b side by side in one product."""

from __future__ import annotations

import numpy as np

from peers.fastest import fastest
from problem import Array, Problem
from steps import Stepper
from steps.stream import inputs


def as_it_stands(problem: Problem) -> Stepper:
    x = inputs(problem)
    rows = x.shape[1:-1]
    U, W, b, V, c = (problem[name] for name in "UWbVc")
    U, W, V = U.T, W.T, V.T
    h, o = np.zeros((*rows, problem.line.n_hidden), np.float32), np.empty((*rows, problem.line.n_out), np.float32)
    a, product, dot, add, tanh = np.empty_like(h), np.empty_like(h), np.dot, np.add, np.tanh

    def step(x_t: Array) -> Array:
        add(add(dot(x_t, U, a), b, a), dot(h, W, product), a)
        tanh(a, h)
        dot(h, V, o)
        return add(o, c, o)

    return Stepper("as the equations stand", step, list(x), lambda: h.fill(0))


def side_by_side(problem: Problem) -> Stepper:
    """``[U W b]`` times the vector x(t), h(t-1), 1, and ``[V c]`` times its end."""
    x, n_in, n_hidden = inputs(problem), problem.line.n_in, problem.line.n_hidden
    rows = x.shape[1:-1]
    UWb = np.concatenate([problem["U"], problem["W"], problem["b"][:, None]], axis=1).T
    Vc = np.concatenate([problem["V"], problem["c"][:, None]], axis=1).T
    z = np.zeros((*rows, n_in + n_hidden + 1), np.float32)
    z[..., -1] = 1
    z_x, z_h, z_h1 = z[..., :n_in], z[..., n_in:-1], z[..., n_in:]
    a, o = np.empty((*rows, n_hidden), np.float32), np.empty((*rows, problem.line.n_out), np.float32)
    dot, tanh = np.dot, np.tanh

    def step(x_t: Array) -> Array:
        z_x[...] = x_t
        dot(z, UWb, a)
        tanh(a, z_h)
        return dot(z_h1, Vc, o)

    return Stepper("U, W, b side by side", step, list(x), lambda: z_h.fill(0))


def build(problem: Problem, quick: bool) -> Stepper:
    """The number of threads is the BLAS library's, set in the environment before NumPy is imported."""
    return fastest([as_it_stands(problem), side_by_side(problem)])
