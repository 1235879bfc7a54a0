"""NumPy by hand, the output-recurrent network: no loop where it sees the targets, and a careful one where it runs free.

Forced, W y(t-1) is a gather of W's columns, and dL/dW a sum over the steps in the order of the classes that they see;
that order belongs to the data and is found before the clock starts, and so is the memory for all that is large, whose
first touch would cost as much as the arithmetic. Free, all that does not wait for another step is one product for all
steps, and inside the loops nothing is copied or allocated.
"""

from __future__ import annotations

import numpy as np

from peers.numpy_by_hand import read_gradient, slope_of_tanh, softmax_loss, target_rows, weight_gradients
from problem import Answer, Array, Contender, Problem


def forced(problem: Problem) -> Contender:
    tau, batch, n_in, n_hidden, n_out = problem.line.sizes
    U, b, V, c = problem["U"], problem["b"], problem["V"], problem["c"]
    W_T = np.ascontiguousarray(problem["W"].T)
    x_rows, targets = problem.x.reshape(tau * batch, n_in), target_rows(problem)
    seen = targets[1][:-batch]  # by the rows after the first step
    order = np.argsort(seen, kind="stable")
    classes, starts = np.unique(seen[order], return_index=True)
    h, da, slope = (np.empty((tau * batch, n_hidden), problem.dtype) for _ in range(3))
    o, picked = np.empty((tau * batch, n_out), problem.dtype), np.empty((len(seen), n_hidden), problem.dtype)

    def gradient() -> tuple[float, Answer]:
        np.matmul(x_rows, U.T, out=h)  # becomes a, then h
        np.add(h, b, out=h)
        np.take(W_T, seen, axis=0, out=picked, mode="clip")  # "raise" would go through a buffer
        h[batch:] += picked
        np.tanh(h, out=h)
        np.matmul(h, V.T, out=o)
        np.add(o, c, out=o)
        loss, do = softmax_loss(o, targets, ragged=False)
        np.matmul(do, V, out=da)
        np.multiply(da, slope_of_tanh(h, slope), out=da)
        np.take(da[batch:], order, axis=0, out=picked, mode="clip")
        dW_T = np.zeros((n_out, n_hidden), problem.dtype)
        dW_T[classes] = np.add.reduceat(picked, starts, axis=0)
        return loss, {"U": da.T @ x_rows, "W": dW_T.T, "b": da.sum(axis=0), "V": do.T @ h, "c": do.sum(axis=0)}

    return Contender(gradient, None, read_gradient)


def free(problem: Problem) -> Contender:
    tau, batch, n_in, n_hidden, n_out = problem.line.sizes
    U, W, b, V, c = problem["U"], problem["W"], problem["b"], problem["V"], problem["c"]
    W_T, V_T = np.ascontiguousarray(W.T), np.ascontiguousarray(V.T)
    x_rows, targets = problem.x.reshape(tau * batch, n_in), target_rows(problem)

    def forward() -> tuple[Array, Array, Array]:
        """h(1..tau), o(1..tau) and r(0..tau)."""
        h = np.empty((tau, batch, n_hidden), problem.dtype)
        o = np.empty((tau, batch, n_out), problem.dtype)
        r = np.empty((tau + 1, batch, n_out), problem.dtype)
        r[0] = 0
        a = x_rows @ U.T
        a += b
        product, column = np.empty((batch, n_hidden), problem.dtype), np.empty((batch, 1), problem.dtype)
        for a_t, before, h_t, o_t, after in zip(a.reshape(h.shape), r, h, o, r[1:], strict=False):
            np.dot(before, W_T, out=product)
            np.add(a_t, product, out=product)
            np.tanh(product, out=h_t)
            np.dot(h_t, V_T, out=o_t)
            np.add(o_t, c, out=o_t)
            np.maximum.reduce(o_t, axis=1, keepdims=True, out=column)
            np.subtract(o_t, column, out=after)
            np.exp(after, out=after)
            np.add.reduce(after, axis=1, keepdims=True, out=column)
            np.divide(after, column, out=after)
        return h, o, r

    def gradient() -> tuple[float, Answer]:
        h, o, r = forward()
        loss, do_rows = softmax_loss(o.reshape(-1, n_out), targets, ragged=False)
        do, da, slope = do_rows.reshape(o.shape), np.empty_like(h), slope_of_tanh(h)
        dr = np.zeros((batch, n_out), problem.dtype)  # dL/dr(t), then in place what it adds to do(t)
        product, column = np.empty_like(dr), np.empty((batch, 1), problem.dtype)
        for do_t, r_t, da_t, slope_t in zip(do[::-1], r[:0:-1], da[::-1], slope[::-1], strict=True):
            np.multiply(r_t, dr, out=product)
            np.add.reduce(product, axis=1, keepdims=True, out=column)
            np.subtract(dr, column, out=dr)
            np.multiply(r_t, dr, out=dr)
            np.add(do_t, dr, out=do_t)
            np.dot(do_t, V, out=da_t)
            np.multiply(da_t, slope_t, out=da_t)
            np.dot(da_t, W, out=dr)
        before, h_rows, da_rows = r[:-1].reshape(-1, n_out), h.reshape(-1, n_hidden), da.reshape(-1, n_hidden)
        return loss, weight_gradients(x_rows, before, h_rows, da_rows, do_rows)

    def read_forward(result: tuple[Array, Array, Array]) -> Answer:
        return {"h": result[0], "o": result[1]}

    return Contender(gradient, forward, read_gradient, read_forward)


def build(problem: Problem, threads: int) -> Contender:
    """The number of threads is the BLAS library's, set in the environment before NumPy is imported."""
    return (forced if problem.line.network == "forced" else free)(problem)
