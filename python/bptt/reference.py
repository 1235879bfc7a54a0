"""The chapter in pure Python, one equation a line; it must not know the rest of the package, nor NumPy.

The recurrent network of *Deep Learning* (Goodfellow, Bengio, Courville, 2016), figures 10.3 and 10.5, for ONE sequence;
the numbers beside the lines are its equations. A ``d`` before a letter makes a gradient: ``do_t`` is dL/do(t), ``do``
the list of all. Lists run over t = 1 ... tau, and ``h`` inside over t = 0 ... tau. Nothing given is ever changed.
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
Readout = Literal["all", "last"]


@dataclass
class Parameters:
    """``U [n_hidden, n_in]``, ``W [n_hidden, n_hidden]``, ``b [n_hidden]``, ``V [n_out, n_hidden]``, ``c [n_out]``."""

    U: Matrix
    W: Matrix
    b: Vector
    V: Matrix
    c: Vector


@dataclass
class Gradients(Parameters):
    """dL/dU ... dL/dc, shaped like the parameters, ``h0 [n_hidden]``, and ``x [tau, n_in]`` (None for tokens)."""

    h0: Vector
    x: list[Vector] | None


@dataclass
class BatchGradients(Parameters):
    """dL/dU ... dL/dc summed over the sequences; ``h0`` and ``x`` hold one entry a sequence (``x`` None for tokens)."""

    h0: list[Vector]
    x: list[list[Vector]] | None


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


def output_gradient(o: Vector, y: Any, weight: float, output: Output) -> Vector:
    """dL/do(t). 10.18 states it for softmax, and the other two have the same; the weight is the dL/dL(t) of 10.17."""
    if weight == 0.0:
        return [0.0] * len(o)
    y_hat = OUTPUT_UNIT[output](o)
    y = [float(i == y) for i in range(len(o))] if output == "softmax" else y
    return [weight * (y_hat_i - y_i) for y_hat_i, y_i in zip(y_hat, y, strict=True)]  # 10.18


# --- The network: forward


def unfold(
    parameters: Parameters, x: Sequence[Any], h0: Vector | None, input: Input
) -> tuple[list[Vector], list[Vector]]:
    """h(0) ... h(tau), and o(1) ... o(tau)."""
    if len(x) == 0:
        raise ValueError("x: expected at least one step")
    U, W, b, V, c = parameters.U, parameters.W, parameters.b, parameters.V, parameters.c
    h = [[0.0] * len(b) if h0 is None else h0]
    o = []
    for x_t in x:
        a_t = add(b, matvec(W, h[-1]), INPUT_PRODUCT[input](U, x_t))  # 10.8
        h.append([math.tanh(a_i) for a_i in a_t])  # 10.9
        o.append(add(c, matvec(V, h[-1])))  # 10.10
    return h, o


def check_readout(readout: str) -> None:
    if readout not in ("all", "last"):
        raise ValueError(f'readout: expected "all" or "last", got {readout!r}')


def targets(y: Any, weight: Any, tau: int, output: Output, readout: Readout) -> tuple[list[Any], list[float]]:
    """y(t) and the weight of L(t) at every step; the weight is 0 where there is no target."""
    check_readout(readout)
    if readout == "last":  # figure 10.5 is figure 10.3 with no loss before the last step
        y = [None] * (tau - 1) + [y]
        weight = [0.0] * (tau - 1) + [1.0 if weight is None else weight]
    weight = [1.0] * tau if weight is None else weight
    return y, [0.0 if output == "softmax" and y_t == -1 else w_t for y_t, w_t in zip(y, weight, strict=True)]


def total_loss(o: list[Vector], y: list[Any], weight: list[float], output: Output) -> float:
    steps = zip(o, y, weight, strict=True)
    return math.fsum(w_t * STEP_LOSS[output](o_t, y_t) for o_t, y_t, w_t in steps if w_t != 0.0)  # 10.12-10.14


def forward(
    parameters: Parameters,
    x: Sequence[Vector] | Sequence[int],
    h0: Vector | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
) -> Run:
    """Run the network over one sequence, equations 10.8-10.11.

    Parameters
    ----------
    parameters
        U, W, b, V, c.
    x
        Real vectors ``[tau, n_in]``, or tokens ``[tau]`` in ``[0, n_in)``.
    h0
        h(0), ``[n_hidden]``; 0 by default.
    input, output, readout
        What x(t) is, the output unit, and whether every step has an output or only the last.
    """
    h, o = unfold(parameters, x, h0, input)
    y_hat = [OUTPUT_UNIT[output](o_t) for o_t in o]  # 10.11
    check_readout(readout)
    return Run(h[1:], o[-1], y_hat[-1]) if readout == "last" else Run(h[1:], o, y_hat)


def loss(
    parameters: Parameters,
    x: Sequence[Vector] | Sequence[int],
    y: Sequence[Target] | Target,
    h0: Vector | None = None,
    weight: Sequence[float] | float | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
) -> float:
    """The total loss of one sequence: the weighted sum of L(t) over its steps, equations 10.12-10.14.

    Parameters
    ----------
    parameters, x, h0, input, output, readout
        As in `forward`.
    y
        softmax: classes ``[tau]`` in ``[0, n_out)``, or -1 where there is no target; sigmoid (between 0 and 1) and
        linear: ``[tau, n_out]``. Without the axis tau if the readout is "last".
    weight
        What L(t) is multiplied by, ``[tau]``, or one float if the readout is "last"; 1 by default. Where it is 0, y is
        not read.
    """
    _, o = unfold(parameters, x, h0, input)
    y, weight = targets(y, weight, len(x), output, readout)
    return total_loss(o, y, weight, output)


# --- The network: back-propagation through time


def input_gradients(U: Matrix, x: Sequence[Any], da: list[Vector], input: Input) -> tuple[Matrix, list[Vector] | None]:
    """dL/dU, and dL/dx(t) where x(t) is real: U^T dL/da(t), as follows from 10.8."""
    if input == "token":
        return sum_into_columns(da, x, len(U[0])), None  # 10.28
    return sum_of_outer(da, x), [matvec(transpose(U), da_t) for da_t in da]  # 10.28


def loss_and_gradients(
    parameters: Parameters,
    x: Sequence[Vector] | Sequence[int],
    y: Sequence[Target] | Target,
    h0: Vector | None = None,
    weight: Sequence[float] | float | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
) -> tuple[float, Gradients]:
    """The loss of one sequence and its exact gradients, equations 10.17-10.28; the arguments are those of `loss`."""
    W, V = parameters.W, parameters.V
    h, o = unfold(parameters, x, h0, input)
    y, weight = targets(y, weight, len(x), output, readout)
    do = [output_gradient(o_t, y_t, w_t, output) for o_t, y_t, w_t in zip(o, y, weight, strict=True)]  # 10.18

    da: list[Vector] = []
    from_next = [0.0] * len(W)  # W^T da(t+1), the first term of 10.21; nothing follows h(tau), which makes it 10.19
    for h_t, do_t in zip(reversed(h[1:]), reversed(do), strict=True):
        dh_t = add(from_next, matvec(transpose(V), do_t))  # 10.19-10.21
        da_t = [(1.0 - h_i**2) * dh_i for h_i, dh_i in zip(h_t, dh_t, strict=True)]  # diag(1 - h(t)^2) dh(t)
        from_next = matvec(transpose(W), da_t)
        da.insert(0, da_t)

    dU, dx = input_gradients(parameters.U, x, da, input)  # 10.28
    gradients = Gradients(
        c=add(*do),  # 10.22
        b=add(*da),  # 10.23
        V=sum_of_outer(do, h[1:]),  # 10.24
        W=sum_of_outer(da, h[:-1]),  # 10.26
        U=dU,
        h0=from_next,  # 10.21 at t = 0, where there is no output
        x=dx,
    )
    return total_loss(o, y, weight, output), gradients


def batch_loss_and_gradients(
    parameters: Parameters,
    xs: Sequence[Sequence[Vector] | Sequence[int]],
    ys: Sequence[Sequence[Target] | Target],
    h0s: Sequence[Vector | None] | None = None,
    weights: Sequence[Sequence[float] | float | None] | None = None,
    *,
    input: Input = "real",
    output: Output = "softmax",
    readout: Readout = "all",
) -> tuple[float, BatchGradients]:
    """`loss_and_gradients` of sequences of any lengths: a loop, and the sum of what the sequences share."""
    if not xs:
        raise ValueError("xs: expected at least one sequence")
    h0s = [None] * len(xs) if h0s is None else h0s
    weights = [None] * len(xs) if weights is None else weights
    runs = [
        loss_and_gradients(parameters, x, y, h0, weight, input=input, output=output, readout=readout)
        for x, y, h0, weight in zip(xs, ys, h0s, weights, strict=True)
    ]
    gradients = [g for _, g in runs]
    return math.fsum(L for L, _ in runs), BatchGradients(
        U=add_matrices(*(g.U for g in gradients)),
        W=add_matrices(*(g.W for g in gradients)),
        b=add(*(g.b for g in gradients)),
        V=add_matrices(*(g.V for g in gradients)),
        c=add(*(g.c for g in gradients)),
        h0=[g.h0 for g in gradients],
        x=[g.x for g in gradients if g.x is not None] or None,
    )
