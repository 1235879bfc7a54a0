"""The functions that the kernels compute themselves, tanh and exp, to the last place, in every instruction set."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN
from core import tanh
from problems import Array
from results import same_bits


def steps_apart(a: Array, b: Array) -> int:
    """The largest distance of two arrays' elements in representable numbers (ulp)."""
    integer = np.dtype(f"int{8 * a.itemsize}")
    places = [v.view(integer).astype(object) for v in (a, b)]
    lowest = int(np.iinfo(integer).min)
    ordered = [np.where(place < 0, lowest - place, place) for place in places]  # -0 and 0 are the same place
    return int(np.abs(ordered[0] - ordered[1]).max())


def exact_tanh(x: float) -> float:
    """Tanh, rounded once: in 60 digits, of which the subtraction takes 2 log10(1/x)."""
    d = Decimal(x)
    if abs(x) < 1e-12:
        return float(d - d**3 / 3)  # the next term is below 1e-48 of it
    with localcontext() as context:
        context.prec = 60
        e = (2 * d).exp()
        return float((e - 1) / (e + 1))


def points(dtype: str, count: int) -> Array:
    """Both signs of magnitudes from the smallest to where tanh is 1: evenly in logarithm, and evenly in number."""
    random = np.random.default_rng(0)
    tiny = np.log10(float(np.finfo(dtype).smallest_subnormal))
    some = [
        10 ** random.uniform(tiny, 2, count),
        random.uniform(0, 1, count),
        random.uniform(1, 25, count),
        # Where the reduction of the exponential's argument turns from one power of 2 to the next: 2x = (k + 1/2) ln 2
        np.concatenate(
            [(k + 0.5) * math.log(2) / 2 * (1 + random.uniform(-1e-6, 1e-6, count // 20)) for k in range(20)]
        ),
    ]
    x = np.concatenate(some)
    return np.concatenate([x, -x]).astype(dtype)


def test_tanh_in_float32(isa: str) -> None:
    x = points("float32", 40_000)
    # math.tanh is within some 1e-16, so that its rounding to float32 is the correct one save in one of 1e8 cases.
    expected = np.array([*map(math.tanh, x.tolist())]).astype(np.float32)
    assert steps_apart(tanh(x), expected) <= 2


def test_tanh_in_float64(isa: str) -> None:
    x = points("float64", 1000)
    expected = np.array([*map(exact_tanh, x.tolist())])
    assert steps_apart(tanh(x), expected) <= 2


def test_tanh_of_special_values(dtype: str, isa: str) -> None:
    huge, small = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, math.inf, -math.inf, huge, -huge, 30.0, -30.0, small, -small], dtype)
    expected = np.array([0.0, -0.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, small, -small], dtype)
    assert same_bits(tanh(x), expected)
    for n in range(1, 40):  # a NaN in whole vectors and in the rest
        x = np.ones(n, dtype)
        x[n // 2] = math.nan
        assert np.isnan(tanh(x)).tolist() == [i == n // 2 for i in range(n)]
    assert tanh(np.empty(0, dtype)).size == 0


def test_relu(dtype: Any, isa: str) -> None:
    """In whole vectors and in the rest: exact, 0 for both zeros, and NaN stays NaN."""
    limits = np.finfo(dtype)
    special = [0.0, -0.0, math.inf, -math.inf, limits.max, -limits.max, limits.tiny, -limits.tiny, 1.5, -1.5, math.nan]
    for n in range(1, 40):
        a = np.resize(np.array(special, dtype), n)
        rnn = ElmanRNN(0, n, 1, activation="relu", dtype=dtype, init=None)
        rnn.b = a
        h = rnn.forward(np.empty((1, 0))).h[0]
        expected = np.where(np.isnan(a), a, np.maximum(a, 0))
        assert np.array_equal(h, expected, equal_nan=True), n


def outputs(o: Array, output: Any) -> Array:
    """y_hat of given o: the parameter c, as all other parameters are 0."""
    rnn = ElmanRNN(0, 1, o.size, output=output, dtype=o.dtype, init=None)
    rnn.c = o
    y_hat: Array = rnn.forward(np.empty((1, 0))).y_hat[0]
    return y_hat


def test_sigmoid(dtype: str, isa: str) -> None:
    # Where the exponential is below the smallest normal number it is 0, and its parts below it may be 0 before.
    o = np.linspace(-90.0 if dtype == "float32" else -710.0, 100, 9001).astype(dtype)
    expected = np.array([math.exp(v) / (1 + math.exp(v)) if v < 0 else 1 / (1 + math.exp(-v)) for v in o.tolist()])
    y_hat = outputs(o, "sigmoid").astype(np.float64)
    # exp within 2 ulp, an addition and a division within half an ulp each; an ulp is at most one eps.
    limits = np.finfo(dtype)
    assert (np.abs(y_hat - expected) <= 3 * float(limits.eps) * expected + 1.1 * float(limits.tiny)).all()
    special = outputs(np.array([0.0, -0.0, math.inf, -math.inf, 1e4, -1e4, math.nan], dtype), "sigmoid")
    assert same_bits(special[:6], np.array([0.5, 0.5, 1, 0, 1, 0], dtype))
    assert np.isnan(special[6])


@pytest.mark.parametrize("n_out", [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100])
def test_softmax(n_out: int, dtype: str, isa: str) -> None:
    o = np.random.default_rng(n_out).uniform(-20, 20, n_out).astype(dtype)
    exact = [math.exp(v - float(o.max())) for v in o.tolist()]
    y_hat = outputs(o, "softmax")
    # exp within 2 ulp (of the rounded difference, which is off by eps/2 of at most 40), the sum (of which few terms are
    # large) 2 ulp, a division and a product.
    relative = np.abs(y_hat - np.array(exact) / math.fsum(exact)) / (np.array(exact) / math.fsum(exact))
    assert relative.max() <= (20 + 6) * np.finfo(dtype).eps
    assert abs(math.fsum(y_hat.tolist()) - 1) <= 4 * np.finfo(dtype).eps
    shifted = outputs(o + np.asarray(2.0**10, dtype), "softmax")  # the same differences, rounded to eps of 1024
    assert np.abs(shifted - y_hat).max() <= 1024 * np.finfo(dtype).eps
    one = outputs(np.where(np.arange(n_out) == n_out // 2, 1e4, -1e4).astype(dtype), "softmax")
    assert one.tolist() == [float(i == n_out // 2) for i in range(n_out)]
    o[n_out // 2] = math.nan
    assert np.isnan(outputs(o, "softmax")).all()
