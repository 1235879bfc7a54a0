"""The step map of a network, s(t) = F(s(t-1), x(t)), and its Jacobian: the one place here that knows what a unit does.

The state s is what a step hands to the next: h of all layers side by side, from the bottom to the top (v of leaky
units); of a `JordanRNN` r, its output. All is float64. Tangent vectors are rows, so that those of many states are one
product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from bptt._arrays import INT64, Array, as_array, as_indices
from bptt.networks.elman import ElmanRNN
from bptt.networks.jordan import JordanRNN

FLOAT64 = np.dtype(np.float64)

# ---- f(a), its derivative by h = f(a), and the derivative of an output unit by its value, applied to rows ----


def relu(a: Array) -> Array:
    return np.maximum(a, 0.0)


def tanh_slope(h: Array) -> Array:
    slope: Array = (1.0 - h) * (1.0 + h)  # 1 - h^2, whose digits would be lost where h is near 1
    return slope


def relu_slope(h: Array) -> Array:
    return (h > 0.0).astype(FLOAT64)


ACTIVATION: dict[str, Callable[[Array], Array]] = {"tanh": np.tanh, "relu": relu}
SLOPE: dict[str, Callable[[Array], Array]] = {"tanh": tanh_slope, "relu": relu_slope}


def softmax(o: Array) -> Array:
    exp_o = np.exp(o - o.max(axis=-1, keepdims=True))
    y_hat: Array = exp_o / exp_o.sum(axis=-1, keepdims=True)
    return y_hat


def sigmoid(o: Array) -> Array:
    y_hat: Array = np.exp(np.minimum(o, 0.0)) / (1.0 + np.exp(-np.abs(o)))  # without overflow
    return y_hat


def softmax_tangent(y_hat: Array, rows: Array) -> Array:
    tangent: Array = y_hat * (rows - (y_hat * rows).sum(axis=-1, keepdims=True))
    return tangent


def sigmoid_tangent(y_hat: Array, rows: Array) -> Array:
    tangent: Array = y_hat * (1.0 - y_hat) * rows
    return tangent


def same(o: Array) -> Array:
    return o


def same_tangent(y_hat: Array, rows: Array) -> Array:
    return rows


OUTPUT_UNIT: dict[str, Callable[[Array], Array]] = {"softmax": softmax, "sigmoid": sigmoid, "linear": same}
# Each of these matrices is symmetric: what takes a tangent forward takes a gradient back.
UNIT_TANGENT: dict[str, Callable[[Array, Array], Array]] = {
    "softmax": softmax_tangent,
    "sigmoid": sigmoid_tangent,
    "linear": same_tangent,
}


# ---- Networks ----


def in_float64(rnn: Any) -> Any:
    """A copy of the network that computes in float64, and that later updates do not change."""
    if not isinstance(rnn, ElmanRNN | JordanRNN):
        raise TypeError(f"rnn: expected an ElmanRNN or a JordanRNN, got {type(rnn).__name__}")
    copy = type(rnn)(**{**rnn.configuration(), "dtype": "float64"}, init=None)
    copy.parameters = rnn.parameters
    return copy


def fed_back_unit(rnn: Any) -> str:
    """The unit between o(t) and what a `JordanRNN` feeds back."""
    unit: str = rnn.output if rnn.feedback == "y_hat" else "linear"
    return unit


class Dynamics(Protocol):
    """The step map of a network."""

    sizes: tuple[int, ...]
    """How many numbers of the state each layer has."""

    def drive(self, x: Array) -> Array:
        """U x of the lowest layer, ``[..., n_1]``: ``x [..., n_in]``, or tokens ``[...]``."""
        ...

    def linearise(self, state: Array, drive: Array) -> tuple[Array, list[Array]]:
        """F(s), and what `push` needs of its derivative there: ``state [..., n]``, ``drive [..., n_1]``."""
        ...

    def push(self, slopes: Sequence[Array], rows: Array | None = None) -> Array:
        """J v of tangent vectors v, which are ``rows [..., k, n]``; without any, J^T, the rows J e_1 ... J e_n."""
        ...


def alphas(rnn: Any) -> list[Array] | None:
    """alpha of every unit of every layer of leaky units; None without a leak."""
    told, count = rnn.leak, len(rnn.layers)
    if told == 1.0:
        return None
    each = [told] * count if isinstance(told, float) or count == 1 else told
    return [np.broadcast_to(np.array(alpha), len(layer.b)) for alpha, layer in zip(each, rnn.layers, strict=True)]


class StackDynamics:
    """Layers in one direction: h^l(t) = f(a^l(t)) with a^l(t) = b^l + W^l h^l(t-1) + U^l h^(l-1)(t).

    Of leaky units the state is v^l(t) = (1 - alpha) v^l(t-1) + alpha a^l(t), and h^l(t) = f(v^l(t)).
    """

    def __init__(self, rnn: Any) -> None:
        self.f, self.slope = ACTIVATION[rnn.activation], SLOPE[rnn.activation]
        self.U = [layer.U for layer in rnn.layers]
        self.W = [layer.W for layer in rnn.layers]
        self.b = [layer.b for layer in rnn.layers]
        self.alpha = alphas(rnn)
        self.sizes = tuple(len(b) for b in self.b)
        self.tokens = rnn.input == "token"
        self.ends = np.cumsum(self.sizes)[:-1]
        self.units = np.split(np.eye(sum(self.sizes)), self.ends, axis=1)  # of each layer, as rows
        self.W_columns = [units @ W.T for units, W in zip(self.units, self.W, strict=True)]

    def drive(self, x: Array) -> Array:
        return product(self.U[0], x, self.tokens)

    def linearise(self, state: Array, drive: Array) -> tuple[Array, list[Array]]:
        after, slopes, slopes_before, from_below = [], [], [], drive
        for k, s in enumerate(np.split(state, self.ends, axis=-1)):
            h = s if self.alpha is None else self.f(s)
            slopes_before.append(self.slope(h))
            a = self.b[k] + rows_times(h, self.W[k]) + from_below
            v = a if self.alpha is None else (1.0 - self.alpha[k]) * s + self.alpha[k] * a
            h = self.f(v)
            after.append(h if self.alpha is None else v)
            slopes.append(self.slope(h))
            if k + 1 < len(self.U):
                from_below = rows_times(h, self.U[k + 1])
        return np.concatenate(after, axis=-1), slopes if self.alpha is None else [*slopes, *slopes_before]

    def push(self, slopes: Sequence[Array], rows: Array | None = None) -> Array:
        after: list[Array] = []
        dh_below: Array | None = None
        before = self.units if rows is None else np.split(rows, self.ends, axis=-1)
        layers = len(self.U)
        for k, slope in enumerate(slopes[:layers]):
            if rows is not None:
                dh = before[k] if self.alpha is None else slopes[layers + k][..., None, :] * before[k]
                da = rows_times(dh, self.W[k])
            elif self.alpha is None:
                da = self.W_columns[k]
            else:
                da = np.concatenate(slopes[layers:], axis=-1)[..., :, None] * self.W_columns[k]
            if dh_below is not None:
                da = da + rows_times(dh_below, self.U[k])
            dv = da if self.alpha is None else (1.0 - self.alpha[k]) * before[k] + self.alpha[k] * da
            dh_below = slope[..., None, :] * dv
            after.append(dh_below if self.alpha is None else dv)
        return after[0] if len(after) == 1 else np.concatenate(after, axis=-1)


class FeedbackDynamics:
    """The output-recurrent network: r(t) = unit(c + V f(b + W r(t-1) + U x(t)))."""

    def __init__(self, rnn: Any) -> None:
        self.f, self.slope = ACTIVATION[rnn.activation], SLOPE[rnn.activation]
        unit = fed_back_unit(rnn)
        self.unit, self.unit_tangent = OUTPUT_UNIT[unit], UNIT_TANGENT[unit]
        self.U, self.W, self.b, self.V, self.c = rnn.U, rnn.W, rnn.b, rnn.V, rnn.c
        self.sizes: tuple[int, ...] = (rnn.n_out,)
        self.tokens = rnn.input == "token"

    def drive(self, x: Array) -> Array:
        return product(self.U, x, self.tokens)

    def linearise(self, state: Array, drive: Array) -> tuple[Array, list[Array]]:
        h = self.f(self.b + rows_times(state, self.W) + drive)
        r = self.unit(self.c + rows_times(h, self.V))
        return r, [self.slope(h), r]

    def push(self, slopes: Sequence[Array], rows: Array | None = None) -> Array:
        slope, r = slopes
        da = self.W.T if rows is None else rows_times(rows, self.W)
        return self.unit_tangent(r[..., None, :], rows_times(slope[..., None, :] * da, self.V))


def dynamics_of(rnn: Any) -> Dynamics:
    """The step map of a network that `in_float64` gave."""
    if not np.isfinite(rnn.parameters).all():
        raise ValueError("rnn: expected finite parameters, got some that are not")
    if isinstance(rnn, JordanRNN):
        return FeedbackDynamics(rnn)
    if rnn.bidirectional:
        raise ValueError("rnn: expected one direction, as a step of two has no state before it, got two")
    return StackDynamics(rnn)


def rows_times(rows: Array, A: Array) -> Array:
    """A v of vectors v that are ``rows [..., n]``, as one product."""
    before = rows.shape[:-1]
    product: Array = (rows.reshape(math.prod(before), rows.shape[-1]) @ A.T).reshape(*before, len(A))
    return product


def product(U: Array, x: Array, tokens: bool) -> Array:
    """U x, where x may be tokens: one-hot vectors that are never built."""
    if not tokens:
        return rows_times(x, U)
    columns: Array = U.T[x]
    return columns


def constant_inputs(rnn: Any, x: Any, count: int) -> Array:
    """An input that stays the same, of each of so many states: ``[count, n_in]``, or tokens ``[count]``."""
    if rnn.input == "token":
        if x is None:
            raise ValueError("x: expected a token, as the network reads tokens, got None")
        tokens = as_indices("x", x).astype(INT64)
        if tokens.ndim > 0 and tokens.size != count:
            raise ValueError(f"x: expected one token, or one for each of {count} states, got {tokens.shape}")
        if tokens.size and not (tokens.min() >= 0 and tokens.max() < rnn.n_in):
            wrong = tokens.min() if tokens.min() < 0 else tokens.max()
            raise ValueError(f"x: expected tokens from 0 to {rnn.n_in - 1}, got {wrong}")
        return np.broadcast_to(tokens.ravel(), (count,))
    n_in = rnn.n_in
    values = as_array("x", np.zeros(n_in) if x is None else x, FLOAT64)
    shape = values.shape
    if shape != (n_in,) and (not shape or shape[-1] != n_in or math.prod(shape[:-1]) != count):
        raise ValueError(f"x: expected [{n_in}], or [..., {n_in}] with one for each of {count} states, got {shape}")
    if not np.isfinite(values).all():
        raise ValueError("x: expected finite numbers, got some that are not")
    return np.broadcast_to(values.reshape(math.prod(shape[:-1]), n_in), (count, n_in))


def states_of(name: str, value: Any, sizes: Sequence[int]) -> Array:
    """States as users have them, side by side ``[m, n]``: an array ``[..., n]``, of several layers a list of them."""
    given = [(name, value)]
    if len(sizes) > 1:
        if not isinstance(value, list | tuple) or len(value) != len(sizes):
            got = f"{len(value)} entries" if isinstance(value, list | tuple) else type(value).__name__
            raise TypeError(f"{name}: expected a list with an array a layer, {len(sizes)}, got {got}")
        given = [(f"{name}[{k}]", one) for k, one in enumerate(value)]
    arrays: list[Array] = []
    for (entry, one), n in zip(given, sizes, strict=True):
        array = as_array(entry, one, FLOAT64)
        if array.ndim == 0 or array.shape[-1] != n or array.size == 0:
            raise ValueError(f"{entry}: expected [..., {n}], got {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{entry}: expected finite numbers, got some that are not")
        arrays.append(array.reshape(-1, n))
        count, expected = len(arrays[-1]), len(arrays[0])
        if count != expected:
            raise ValueError(f"{entry}: expected as many states as {name}[0] has, {expected}, got {count}")
    return np.concatenate(arrays, axis=1)


# ---- Eigenvalues ----


def eigenvalues(jacobian: Array, sizes: Sequence[int]) -> Array:
    """Of Jacobians ``[..., n, n]``, the largest magnitude first. Above the blocks of the layers they are 0."""
    found, end = [], 0
    for size in sizes:
        block = jacobian[..., end : end + size, end : end + size]
        found.append(np.linalg.eigvals(block).astype(np.complex128))
        end += size
    return by_magnitude(np.concatenate(found, axis=-1))


def by_magnitude(values: Array) -> Array:
    """The largest first; of a conjugate pair, the one with the positive imaginary part first."""
    order = np.lexsort((-values.imag, -values.real, -np.abs(values)), axis=-1)
    return np.take_along_axis(values, order, axis=-1)
