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
Network = Literal["elman", "forced", "free"]
NETWORKS: tuple[Network, ...] = ("elman", "forced", "free")
PARAMETERS = ("U", "W", "b", "V", "c")


class Line(NamedTuple):
    """The sizes of one line of the table, and what else tells it from others.

    `ragged`: the lengths are uniform from 1 to tau (of the Elman network alone). `network`: "elman" (figure 10.3), or
    the output-recurrent one with softmax output, whose hidden units see y(t-1) if "forced" (teacher forcing, figure
    10.6) and the network's own y_hat(t-1) if "free" (figure 10.4).
    """

    tau: int
    batch: int
    n_in: int
    n_hidden: int
    n_out: int
    ragged: bool = False
    network: Network = "elman"

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        return self[:5]

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Teacher forcing is a way to train: a forward pass without targets runs free."""
        return ("gradient",) if self.network == "forced" else MODES

    def operations(self, mode: Mode) -> int:
        """The arithmetic of one step of one sequence as it must be done: no gradient of x, no product for a gather."""
        U, V = self.n_in * self.n_hidden, self.n_hidden * self.n_out
        W = {"elman": self.n_hidden**2, "forced": 0, "free": V}[self.network]
        return 2 * (2 * U + 3 * W + 3 * V if mode == "gradient" else U + W + V)

    @property
    def companion(self) -> Line | None:
        """The Elman network beside an output-recurrent one: if that is forced of the same sizes, if free of the same
        arithmetic, as near as n_hidden allows (counted in a training gradient).
        """
        if self.network == "elman":
            return None
        same = self._replace(network="elman")
        if self.network == "forced":
            return same
        candidates = [same._replace(n_hidden=n_hidden) for n_hidden in range(1, 2 * self.n_hidden + 1)]
        return min(candidates, key=lambda line: abs(line.operations("gradient") - self.operations("gradient")))

    def __str__(self) -> str:
        parts = [*map(str, self.sizes), "ragged" * self.ragged, self.network if self.network != "elman" else ""]
        return ", ".join(filter(None, parts))


SIZES = ", ".join(Line._fields[:5])

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
    Line(2000, 1, 16, 128, 64, network="forced"),
    Line(2000, 1, 16, 128, 64, network="free"),
    Line(100, 32, 64, 128, 64, network="forced"),
    Line(100, 32, 64, 128, 64, network="free"),
)


class Problem:
    """The data of a line: the same in every process, because it follows from the sizes alone."""

    def __init__(self, line: Line, dtype: str) -> None:
        random = np.random.default_rng(0)

        def scaled(*shape: int) -> Array:
            return (random.standard_normal(shape) / np.sqrt(max(shape[-1], 1))).astype(dtype)

        self.line, self.dtype = line, np.dtype(dtype)
        tau, batch, n_in, n_hidden, n_out = line.sizes
        n_recurrent = n_hidden if line.network == "elman" else n_out
        self.U, self.W, self.b = scaled(n_hidden, n_in), scaled(n_hidden, n_recurrent), scaled(n_hidden)
        self.V, self.c = scaled(n_out, n_hidden), scaled(n_out)
        self.x = random.standard_normal((tau, batch, n_in), np.float32).astype(dtype)
        self.y = random.integers(0, n_out, (tau, batch))
        self.lengths = random.integers(1, tau, batch, endpoint=True) if line.ragged else np.full(batch, tau)
        self.y[~self.valid] = -1  # no target beyond a length

    @property
    def valid(self) -> Array:
        """Which steps count, ``[tau, batch]``."""
        return np.arange(self.line.tau)[:, None] < self.lengths

    @property
    def y_before(self) -> Array:
        """y(t-1), ``[tau, batch]``; n_out, which is no class, where there is none."""
        return np.concatenate([np.full((1, self.line.batch), self.line.n_out), self.y[:-1]])

    def as_float64(self) -> Problem:
        """The same numbers in double precision, for the answer that all are checked against."""
        exact = Problem(self.line, str(self.dtype))
        exact.dtype = np.dtype(np.float64)
        for name in (*PARAMETERS, "x"):
            setattr(exact, name, getattr(exact, name).astype(np.float64))
        return exact

    def operations(self, mode: Mode) -> int:
        """The arithmetic of one call, nothing computed twice or beyond a length."""
        return int(self.lengths.sum()) * self.line.operations(mode)


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
