"""What both networks are made of: vectors, output units, losses, a step; it must not know what a step sees.

A ``d`` before a letter makes a gradient: ``do_t`` is dL/do(t), ``do`` the list of all. Lists run over t = 1 ... tau.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Vector = list[float]
Matrix = list[Vector]  # a list of rows
Target = Vector | int | None  # y(t): a class for softmax, a vector for sigmoid and linear; None is never read
Input = Literal["real", "token"]
Output = Literal["softmax", "sigmoid", "linear"]


@dataclass
class Parameters:
    """``U [n_hidden, n_in]``, ``W``, ``b [n_hidden]``, ``V [n_out, n_hidden]``, ``c [n_out]``.

    ``W`` is ``[n_hidden, n_hidden]`` in figure 10.3 and ``[n_hidden, n_out]`` in figure 10.4.
    """

    U: Matrix
    W: Matrix
    b: Vector
    V: Matrix
    c: Vector


class Run(NamedTuple):
    """``h [tau, n_hidden]``: h(1) ... h(tau); ``o``, ``y_hat [tau, n_out]``, or ``[n_out]`` for the readout "last"."""

    h: list[Vector]
    o: list[Vector] | Vector
    y_hat: list[Vector] | Vector


# --- Vectors and matrices


def dot(u: Sequence[float], v: Sequence[float]) -> float:
    return math.fsum(u_i * v_i for u_i, v_i in zip(u, v, strict=True))


def add(*vectors: Vector) -> Vector:
    return [math.fsum(entries) for entries in zip(*vectors, strict=True)]


def add_matrices(*matrices: Matrix) -> Matrix:
    return [add(*rows) for rows in zip(*matrices, strict=True)]


def transpose(A: Sequence[Vector]) -> Matrix:
    return [list(column) for column in zip(*A, strict=True)]


def matvec(A: Matrix, v: Vector) -> Vector:
    return [dot(A_i, v) for A_i in A]


def entry(v: Vector, i: int) -> float:
    """``v[i]``, but never counted from the end."""
    if i < 0:
        raise IndexError(f"expected an index of at least 0, got {i}")
    return v[i]


def one_hot(k: int, n: int) -> Vector:
    return [float(i == k) for i in range(n)]


def column(A: Matrix, k: int) -> Vector:
    """``A`` times the one-hot vector of the token ``k``."""
    return [entry(A_i, k) for A_i in A]


def sum_of_outer(us: Sequence[Vector], vs: Sequence[Vector]) -> Matrix:
    """The sum over t of u(t) v(t)^T."""
    return [[dot(u_i, v_j) for v_j in transpose(vs)] for u_i in transpose(us)]


def sum_into_columns(us: Sequence[Vector], tokens: Sequence[int], n: int) -> Matrix:
    """The same where v(t) is the one-hot vector of a token, of length ``n``."""
    return [
        [math.fsum(u for u, k in zip(u_i, tokens, strict=True) if k == j) for j in range(n)] for u_i in transpose(us)
    ]


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


def sigmoid_loss(o: Vector, y: Vector) -> float:
    terms = [y_i * softplus(-o_i) + (1.0 - y_i) * softplus(o_i) for o_i, y_i in zip(o, y, strict=True)]
    return math.fsum(terms)  # 6.26 at y = 1 and y = 0, mixed in proportion between them


def linear_loss(o: Vector, y: Vector) -> float:
    return math.fsum((o_i - y_i) ** 2 for o_i, y_i in zip(o, y, strict=True)) / 2.0  # 6.17 without its constant


OUTPUT_UNIT: dict[str, Callable[[Vector], Vector]] = {"softmax": softmax, "sigmoid": sigmoid, "linear": list}
STEP_LOSS: dict[str, Callable[[Vector, Any], float]] = {
    "softmax": softmax_loss,
    "sigmoid": sigmoid_loss,
    "linear": linear_loss,
}
INPUT_PRODUCT: dict[str, Callable[[Matrix, Any], Vector]] = {"real": matvec, "token": column}


def as_vector(y: Any, n_out: int, output: Output) -> Vector:
    """A target as a vector that y_hat(t) may be compared with: the one-hot vector of a class."""
    return one_hot(y, n_out) if output == "softmax" else y


def output_gradient(o: Vector, y: Any, weight: float, output: Output) -> Vector:
    """dL/do(t). 10.18 states it for softmax, and the other two have the same; the weight is the dL/dL(t) of 10.17."""
    if weight == 0.0:
        return [0.0] * len(o)
    y_hat = OUTPUT_UNIT[output](o)
    y = as_vector(y, len(o), output)
    return [weight * (y_hat_i - y_i) for y_hat_i, y_i in zip(y_hat, y, strict=True)]  # 10.18


def step_weights(y: Sequence[Any], weight: Sequence[float] | None, tau: int, output: Output) -> list[float]:
    """The weight of L(t) at every step: 0 where there is no target."""
    weight = [1.0] * tau if weight is None else weight
    return [0.0 if output == "softmax" and y_t == -1 else w_t for y_t, w_t in zip(y, weight, strict=True)]


def total_loss(o: list[Vector], y: Sequence[Any], weight: list[float], output: Output) -> float:
    steps = zip(o, y, weight, strict=True)
    return math.fsum(w_t * STEP_LOSS[output](o_t, y_t) for o_t, y_t, w_t in steps if w_t != 0.0)  # 10.12-10.14


# --- A step, whatever it sees of the steps before, and the way back through it


def check_steps(x: Sequence[Any]) -> None:
    if len(x) == 0:
        raise ValueError("x: expected at least one step")


def reset_flags(reset: Sequence[bool] | None, tau: int) -> list[bool]:
    """Whether a new sequence starts, at every step."""
    return [False] * tau if reset is None else list(reset)


def cut(v: Vector, here: bool) -> Vector:
    """0 in place of ``v`` where a connection is cut: of what a step sees, and of the gradient that it sends back."""
    return [0.0] * len(v) if here else v


def step(parameters: Parameters, seen: Vector, x_t: Any, input: Input) -> tuple[Vector, Vector]:
    """h(t) and o(t) of a step that sees h(t-1) as in figure 10.3, or r(t-1) as in figure 10.4."""
    U, W, b, V, c = parameters.U, parameters.W, parameters.b, parameters.V, parameters.c
    a_t = add(b, matvec(W, seen), INPUT_PRODUCT[input](U, x_t))  # 10.8
    h_t = [math.tanh(a_i) for a_i in a_t]  # 10.9
    o_t = add(c, matvec(V, h_t))  # 10.10
    return h_t, o_t


def through_tanh(h_t: Vector, dh_t: Vector) -> Vector:
    """dL/da(t), the ``diag(1 - h(t)^2) dh(t)`` of 10.23-10.28."""
    return [(1.0 - h_i**2) * dh_i for h_i, dh_i in zip(h_t, dh_t, strict=True)]


def input_gradients(U: Matrix, x: Sequence[Any], da: list[Vector], input: Input) -> tuple[Matrix, list[Vector] | None]:
    """dL/dU, and dL/dx(t) where x(t) is real: U^T dL/da(t), as follows from 10.8."""
    if input == "token":
        return sum_into_columns(da, x, len(U[0])), None  # 10.28
    return sum_of_outer(da, x), [matvec(transpose(U), da_t) for da_t in da]  # 10.28


def sums_over_steps(
    parameters: Parameters,
    x: Sequence[Any],
    seen: list[Vector],
    h: list[Vector],
    do: list[Vector],
    da: list[Vector],
    input: Input,
) -> dict[str, Any]:
    """dL/dU ... dL/dc, and dL/dx, from what every step saw, gave and got back; under their letters."""
    dU, dx = input_gradients(parameters.U, x, da, input)  # 10.28
    return {
        "c": add(*do),  # 10.22
        "b": add(*da),  # 10.23
        "V": sum_of_outer(do, h),  # 10.24
        "W": sum_of_outer(da, seen),  # 10.26
        "U": dU,
        "x": dx,
    }


# --- Batches


def number_of_sequences(xs: Sequence[Any]) -> int:
    if not xs:
        raise ValueError("xs: expected at least one sequence")
    return len(xs)


def for_each(values: Sequence[Any] | None, n: int) -> Sequence[Any]:
    """One value a sequence: None for the default of all."""
    return [None] * n if values is None else values


def sums_over_sequences(gradients: Sequence[Parameters]) -> dict[str, Any]:
    """dL/dU ... dL/dc, which the sequences share; under their letters."""
    return {
        "U": add_matrices(*(g.U for g in gradients)),
        "W": add_matrices(*(g.W for g in gradients)),
        "b": add(*(g.b for g in gradients)),
        "V": add_matrices(*(g.V for g in gradients)),
        "c": add(*(g.c for g in gradients)),
    }
