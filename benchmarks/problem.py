"""What is measured: sizes, data, operations, the form of an answer. Knows no contender and no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Mode = Literal["gradient", "forward"]
MODES: tuple[Mode, ...] = ("gradient", "forward")
PARAMETERS = ("U", "W", "b", "V", "c")


class Line(NamedTuple):
    """The sizes of one line of the table; `ragged`: the lengths are uniform from 1 to tau."""

    tau: int
    batch: int
    n_in: int
    n_hidden: int
    n_out: int
    ragged: bool = False

    def __str__(self) -> str:
        return ", ".join(map(str, self[:5])) + (", ragged" if self.ragged else "")


LINES = (
    Line(100, 1, 16, 32, 16),
    Line(100, 1, 64, 128, 64),
    Line(100, 32, 64, 128, 64),
    Line(784, 64, 1, 128, 10),
    Line(2000, 8, 32, 64, 32),
    Line(100, 32, 256, 256, 256),
    Line(100, 64, 512, 512, 1000),
    Line(50, 32, 1024, 1024, 1024),
    Line(200, 64, 64, 128, 64, ragged=True),
)


class Problem:
    """The data of a line: the same in every process, because it follows from the sizes alone."""

    def __init__(self, line: Line, dtype: str) -> None:
        random = np.random.default_rng(0)

        def scaled(*shape: int) -> Array:
            return (random.standard_normal(shape) / np.sqrt(max(shape[-1], 1))).astype(dtype)

        self.line, self.dtype = line, np.dtype(dtype)
        tau, batch, n_in, n_hidden, n_out, ragged = line
        self.U, self.W, self.b = scaled(n_hidden, n_in), scaled(n_hidden, n_hidden), scaled(n_hidden)
        self.V, self.c = scaled(n_out, n_hidden), scaled(n_out)
        self.x = random.standard_normal((tau, batch, n_in), np.float32).astype(dtype)
        self.y = random.integers(0, n_out, (tau, batch))
        self.lengths = random.integers(1, tau, batch, endpoint=True) if ragged else np.full(batch, tau)
        self.y[~self.valid] = -1  # no target beyond a length

    @property
    def valid(self) -> Array:
        """Which steps count, ``[tau, batch]``."""
        return np.arange(self.line.tau)[:, None] < self.lengths

    def as_float64(self) -> Problem:
        """The same numbers in double precision, for the answer that all are checked against."""
        exact = Problem(self.line, str(self.dtype))
        exact.dtype = np.dtype(np.float64)
        for name in (*PARAMETERS, "x"):
            setattr(exact, name, getattr(exact, name).astype(np.float64))
        return exact

    def operations(self, mode: Mode) -> int:
        """The arithmetic as it must be done: no gradient of x, nothing computed twice or beyond a length."""
        _, _, n_in, n_hidden, n_out, _ = self.line
        if mode == "gradient":
            per_step = 2 * n_in * n_hidden + 3 * n_hidden**2 + 3 * n_hidden * n_out
        else:
            per_step = n_in * n_hidden + n_hidden**2 + n_hidden * n_out
        return 2 * int(self.lengths.sum()) * per_step


Answer = dict[str, Array]


@dataclass
class Contender:
    """What is timed, and how its answer reads in the letters of the package: dL/dU, ..., and ``loss``; ``h``, ``o``."""

    gradient: Callable[[], Any] | None
    forward: Callable[[], Any] | None
    read_gradient: Callable[[Any], Answer] | None = None
    read_forward: Callable[[Any], Answer] | None = None

    def call(self, mode: Mode) -> Callable[[], Any] | None:
        """What is timed; None without the mode."""
        return self.gradient if mode == "gradient" else self.forward

    def answer(self, mode: Mode) -> Answer:
        """What the call returns, as NumPy arrays; empty without the mode."""
        call, read = (self.gradient, self.read_gradient) if mode == "gradient" else (self.forward, self.read_forward)
        return {name: np.asarray(value) for name, value in read(call()).items()} if call and read else {}


def errors(answer: Answer, exact: Answer, valid: Array) -> dict[str, float]:
    """The norm of each difference over the norm of what is exact; states and outputs within the lengths alone."""
    result = {}
    for name, value in answer.items():
        a, b = np.asarray(value, np.float64), np.asarray(exact[name], np.float64)
        if name in ("h", "o"):
            a, b = a[valid], b[valid]
        result[name] = float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1))
    return result
