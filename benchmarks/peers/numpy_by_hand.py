"""NumPy by hand, with care: one product for all steps wherever the recurrence allows, no copies inside the loops.

With different lengths the padding is computed and masked out of the loss.
"""

from __future__ import annotations

import numpy as np

from problem import Answer, Array, Contender, Problem

Targets = tuple[Array, Array]  # the numbers of the rows, and the class of each (-1: none)


def target_rows(problem: Problem) -> Targets:
    return np.arange(problem.y.size), problem.y.reshape(-1)


def softmax_loss(o: Array, targets: Targets, ragged: bool) -> tuple[float, Array]:
    """The loss, and in the place of o its gradient with respect to o."""
    o -= o.max(axis=1, keepdims=True)
    of_target = o[targets]
    do = np.exp(o, out=o)
    total = do.sum(axis=1)
    nll = np.log(total) - of_target
    do /= total[:, None]
    do[targets] -= 1
    if ragged:
        none = targets[1] < 0
        nll[none] = 0
        do[none] = 0
    return float(nll.sum(dtype=np.float64)), do


def slope_of_tanh(h: Array, out: Array | None = None) -> Array:
    slope = np.multiply(h, h, out=out)
    return np.subtract(1, slope, out=slope)


def weight_gradients(x: Array, before: Array, h: Array, da: Array, do: Array) -> Answer:
    """From rows for all steps; W was multiplied with `before`."""
    return {"U": da.T @ x, "W": da.T @ before, "b": da.sum(axis=0), "V": do.T @ h, "c": do.sum(axis=0)}


def read_gradient(result: tuple[float, Answer]) -> Answer:
    return {"loss": np.asarray(result[0]), **result[1]}


def build(problem: Problem, threads: int) -> Contender:
    """The number of threads is the BLAS library's, set in the environment before NumPy is imported."""
    tau, batch, n_in, n_hidden, n_out = problem.line.sizes
    U, W, b, V, c = problem.U, problem.W, problem.b, problem.V, problem.c
    W_T = np.ascontiguousarray(W.T)
    x_rows, targets = problem.x.reshape(tau * batch, n_in), target_rows(problem)

    def forward() -> tuple[Array, Array]:
        """h(0..tau) and o(1..tau), which are [tau * batch, n_out]."""
        h = np.empty((tau + 1, batch, n_hidden), problem.dtype)
        h[0] = 0
        a = x_rows @ U.T
        a += b
        product = np.empty((batch, n_hidden), problem.dtype)
        for a_t, before, after in zip(a.reshape(tau, batch, n_hidden), h, h[1:], strict=False):
            np.dot(before, W_T, out=product)
            np.add(a_t, product, out=product)
            np.tanh(product, out=after)
        o = h[1:].reshape(-1, n_hidden) @ V.T
        o += c
        return h, o

    def gradient() -> tuple[float, Answer]:
        h, o = forward()
        h_rows, h_rows_before = h[1:].reshape(-1, n_hidden), h[:-1].reshape(-1, n_hidden)
        loss, do = softmax_loss(o, targets, problem.line.ragged)
        da = do @ V  # first V^T do(t), then in place da(t)
        slope = slope_of_tanh(h_rows)
        product = np.zeros((batch, n_hidden), problem.dtype)
        steps = zip(da.reshape(tau, batch, n_hidden)[::-1], slope.reshape(tau, batch, n_hidden)[::-1], strict=True)
        for da_t, slope_t in steps:
            da_t += product
            da_t *= slope_t
            np.dot(da_t, W, out=product)
        return loss, weight_gradients(x_rows, h_rows_before, h_rows, da, do)

    def read_forward(result: tuple[Array, Array]) -> Answer:
        return {"h": result[0][1:], "o": result[1].reshape(tau, batch, n_out)}

    return Contender(gradient, forward, read_gradient, read_forward)
