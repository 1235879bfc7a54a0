"""Vectors and matrices as nested lists; every sum is rounded once."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = list[float]
Matrix = list[Vector]  # a list of rows


def dot(u: Sequence[float], v: Sequence[float]) -> float:
    return math.fsum([u_i * v_i for u_i, v_i in zip(u, v, strict=True)])


def vector_sum(*vectors: Vector) -> Vector:
    return [math.fsum(entries) for entries in zip(*vectors, strict=True)]


def matrix_sum(*matrices: Matrix) -> Matrix:
    return [vector_sum(*rows) for rows in zip(*matrices, strict=True)]


def zeros(n: int) -> Vector:
    return [0.0] * n


def masked(v: Vector, mask: bool, other: Vector | None = None) -> Vector:
    """Another vector, by default 0, in place of ``v`` where the mask is True: no number passes, NaN included."""
    if not mask:
        return v
    return zeros(len(v)) if other is None else other


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
    columns = transpose(vs)
    return [[dot(u_i, v_j) for v_j in columns] for u_i in transpose(us)]


def sum_into_columns(us: Sequence[Vector], tokens: Sequence[int], n: int) -> Matrix:
    """The same where v(t) is the one-hot vector of a token, of length ``n``."""
    return [
        [math.fsum(u for u, k in zip(u_i, tokens, strict=True) if k == j) for j in range(n)] for u_i in transpose(us)
    ]
