"""NumPy by hand, with care: one product for all steps wherever the recurrence allows, no copies inside the loops.

With different lengths the padding is computed and masked out of the loss.
"""

from __future__ import annotations

import numpy as np

from problem import Answer, Array, Contender, Names, Problem

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


def scan(problem: Problem, names: Names, below: Array, h: Array, reverse: bool) -> None:
    """One layer in one direction: h(1..tau), `below` in rows; h(0) and h(tau+1) are 0 and what the first step sees."""
    U, W, b = (problem[name] for name in names)
    tau, batch, n_hidden = problem.line.tau, problem.line.batch, problem.line.n_hidden
    a = below @ U.T
    a += b
    W_T = np.ascontiguousarray(W.T)
    product = np.empty((batch, n_hidden), problem.dtype)
    a_steps, order = a.reshape(tau, batch, n_hidden), -1 if reverse else 1
    for a_t, before, after in zip(a_steps[::order], h[::order], h[::order][1:-1], strict=False):
        np.dot(before, W_T, out=product)
        np.add(a_t, product, out=product)
        np.tanh(product, out=after)


def scan_back(problem: Problem, names: Names, da: Array, slope: Array, reverse: bool) -> None:
    """Turn V^T do(t), or what the layer above gives in its place, into da(t); all ``[tau, batch, n_hidden]``."""
    W, order = problem[names[1]], 1 if reverse else -1
    product = np.zeros(da.shape[1:], problem.dtype)
    for da_t, slope_t in zip(da[::order], slope[::order], strict=True):
        da_t += product
        da_t *= slope_t
        np.dot(da_t, W, out=product)


def build(problem: Problem, threads: int) -> Contender:
    """The number of threads is the BLAS library's, set in the environment before NumPy is imported."""
    line = problem.line
    tau, batch, n_in, n_hidden, n_out = line.sizes
    V, c = problem["V"], problem["c"]
    x_rows, targets = problem.x.reshape(tau * batch, n_in), target_rows(problem)
    parts = [slice(i * n_hidden, (i + 1) * n_hidden) for i in range(line.directions)]  # of a layer's numbers

    def forward() -> tuple[list[Array], Array]:
        """Of each layer h(0..tau+1), all directions side by side; o(1..tau) in rows."""
        states, below = [], x_rows
        for layer in line.names:
            h = np.empty((tau + 2, batch, line.n_top), problem.dtype)
            h[0] = h[-1] = 0
            for number, (names, part) in enumerate(zip(layer, parts, strict=True)):
                scan(problem, names, below, h[:, :, part], number == 1)
            states.append(h)
            below = h[1:-1].reshape(-1, line.n_top)
        o = below @ V.T
        o += c
        return states, o

    def gradient() -> tuple[float, Answer]:
        states, o = forward()
        loss, do = softmax_loss(o, targets, line.ragged)
        answer = {"V": do.T @ states[-1][1:-1].reshape(-1, line.n_top), "c": do.sum(axis=0)}
        da = do @ V  # first V^T do(t), then in place da(t)
        for number in range(line.layers - 1, -1, -1):
            h = states[number]
            slope = slope_of_tanh(h[1:-1])
            below = states[number - 1][1:-1].reshape(-1, line.n_top) if number else x_rows
            from_above, steps = None, da.reshape(tau, batch, line.n_top)
            for direction, (names, part) in enumerate(zip(line.names[number], parts, strict=True)):
                scan_back(problem, names, steps[:, :, part], slope[:, :, part], direction == 1)
                before = (h[2:] if direction else h[:-2])[:, :, part].reshape(-1, n_hidden)
                da_rows = da[:, part]
                answer |= zip(names, (da_rows.T @ below, da_rows.T @ before, da_rows.sum(axis=0)), strict=True)
                if number:
                    product = da_rows @ problem[names[0]]
                    from_above = product if from_above is None else np.add(from_above, product, out=product)
            if from_above is not None:
                da = from_above
        return loss, answer

    def read_forward(result: tuple[list[Array], Array]) -> Answer:
        return {"h": result[0][-1][1:-1], "o": result[1].reshape(tau, batch, n_out)}

    return Contender(gradient, forward, read_gradient, read_forward)
