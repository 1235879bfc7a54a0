"""From h(t) to o(t), y_hat(t) and the loss, and from the loss back to dL/do(t).

A ``d`` before a letter makes a gradient: ``do_t`` is dL/do(t), ``do`` the list of all. Lists run over t = 1 ... tau.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from .vectors import Matrix, Vector, entry, matvec, one_hot, sum_of_outer, transpose, vector_sum, zeros

Target = Vector | int | None  # y(t): a class for softmax, a vector for sigmoid and linear; None is never read
Weight = float | Vector  # of L(t); for sigmoid and linear also one for each output. 0: takes no part, and is not read
Output = Literal["softmax", "sigmoid", "linear"]


# --- Output units and what they cost: the negative log-likelihood of y(t) as a function of o(t), section 6.2.2


def minus_max(o: Vector) -> Vector:
    largest = max(o)
    return [o_i - largest for o_i in o]  # 6.33: the softmax stays the same, and no exp overflows


def softmax(o: Vector) -> Vector:
    exp_o = [math.exp(o_i) for o_i in minus_max(o)]
    total = math.fsum(exp_o)
    return [exp_o_i / total for exp_o_i in exp_o]  # 6.29


def softmax_loss(o: Vector, y: int) -> float:
    o = minus_max(o)
    return math.log(math.fsum(math.exp(o_i) for o_i in o)) - entry(o, y)  # 6.30


def softplus(o_i: float) -> float:
    return max(o_i, 0.0) + math.log1p(math.exp(-abs(o_i)))


def sigmoid(o: Vector) -> Vector:
    return [math.exp(min(o_i, 0.0)) / (1.0 + math.exp(-abs(o_i))) for o_i in o]  # 6.19, without overflow


def sigmoid_term(o_i: float, y_i: float) -> float:
    return y_i * softplus(-o_i) + (1.0 - y_i) * softplus(o_i)  # 6.26 at y = 1 and y = 0, mixed between them


def sigmoid_loss(o: Vector, y: Vector) -> float:
    return math.fsum(map(sigmoid_term, o, y))


def linear_term(o_i: float, y_i: float) -> float:
    return (o_i - y_i) ** 2 / 2.0  # 6.17 without its constant


def linear_loss(o: Vector, y: Vector) -> float:
    return math.fsum(map(linear_term, o, y))


OUTPUT_UNIT: dict[str, Callable[[Vector], Vector]] = {"softmax": softmax, "sigmoid": sigmoid, "linear": list}
LOSS_TERM: dict[str, Callable[[float, float], float]] = {"sigmoid": sigmoid_term, "linear": linear_term}


def step_loss(o: Vector, y: Any, weight: Weight, output: Output) -> float:
    """The weighted L(t)."""
    if weight == 0.0:
        return 0.0
    if output == "softmax":
        assert isinstance(weight, float)
        return weight * softmax_loss(o, y)
    terms = zip(o, y, each_output(weight, len(o)), strict=True)
    return math.fsum(w_i * LOSS_TERM[output](o_i, y_i) for o_i, y_i, w_i in terms if w_i != 0.0)


def each_output(weight: Weight, n_out: int) -> Vector:
    return weight if isinstance(weight, list) else [weight] * n_out


# --- Forward


def output_of(V: Matrix, c: Vector, h_t: Vector) -> Vector:
    """o(t)."""
    return vector_sum(c, matvec(V, h_t))  # 10.10


def step_weights(y: Sequence[Any], weight: Sequence[Weight] | None, tau: int, output: Output) -> list[Weight]:
    """The weight of L(t) at every step: 0 where there is no target, which is a class of -1, or a number that is NaN."""
    weight = [1.0] * tau if weight is None else weight
    return [weight_of(y_t, w_t, output) for y_t, w_t in zip(y, weight, strict=True)]


def weight_of(y_t: Any, weight: Weight, output: Output) -> Weight:
    if output == "softmax":
        return 0.0 if y_t == -1 else weight
    if weight == 0.0 or not (isinstance(weight, list) or any(map(math.isnan, y_t))):
        return weight
    return [0.0 if math.isnan(y_i) else w_i for y_i, w_i in zip(y_t, each_output(weight, len(y_t)), strict=True)]


def total_loss(o: list[Vector], y: Sequence[Any], weight: list[Weight], output: Output) -> float:
    steps = zip(o, y, weight, strict=True)
    return math.fsum(step_loss(o_t, y_t, w_t, output) for o_t, y_t, w_t in steps)  # 10.12-10.14


# --- Back-propagation


def as_vector(y: Any, weight: Weight, n_out: int, output: Output) -> Vector:
    """A target as a vector that y_hat(t) may be compared with: the one-hot vector of a class; 0 where there is none."""
    if weight == 0.0:
        return zeros(n_out)
    if output == "softmax":
        return one_hot(y, n_out)
    return [0.0 if w_i == 0.0 else y_i for y_i, w_i in zip(y, each_output(weight, n_out), strict=True)]


def output_gradient(o_t: Vector, y_t: Any, weight: Weight, output: Output) -> Vector:
    """dL/do(t). 10.18 states it for softmax, and the other two have the same; the weight is the dL/dL(t) of 10.17."""
    if weight == 0.0:
        return zeros(len(o_t))
    y_hat, n_out = OUTPUT_UNIT[output](o_t), len(o_t)
    y, w = as_vector(y_t, weight, n_out, output), each_output(weight, n_out)
    return [w_i * (y_hat_i - y_i) for w_i, y_hat_i, y_i in zip(w, y_hat, y, strict=True)]  # 10.18


def state_gradients(V: Matrix, do: list[Vector]) -> list[Vector]:
    """V^T do(t), the part of dL/dh(t) that comes through o(t)."""
    V_transposed = transpose(V)
    return [matvec(V_transposed, do_t) for do_t in do]  # in 10.19-10.21


def readout_gradients(do: list[Vector], h: list[Vector]) -> tuple[Matrix, Vector]:
    """dL/dV and dL/dc."""
    return sum_of_outer(do, h), vector_sum(*do)  # 10.24, 10.22
