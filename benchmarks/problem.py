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
PARAMETERS = ("U", "W", "b", "V", "c")  # of one layer in one direction
Names = tuple[str, str, str]  # of a layer's U, W, b in one direction


class Line(NamedTuple):
    """The sizes of one line of the table, and what else tells it from others.

    `layers`: how many hidden layers, each of n_hidden units. `both`: whether each layer has a second direction, from
    tau to 1. `ragged`: the lengths are uniform from 1 to tau (of the Elman network in one direction). `network`:
    "elman" (figure 10.3), or the output-recurrent one with softmax output and one layer, whose hidden units see y(t-1)
    if "forced" (teacher forcing, figure 10.6) and the network's own y_hat(t-1) if "free" (figure 10.4).
    """

    tau: int
    batch: int
    n_in: int
    n_hidden: int
    n_out: int
    layers: int = 1
    both: bool = False
    ragged: bool = False
    network: Network = "elman"

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        return self[:5]

    @property
    def directions(self) -> int:
        return 2 if self.both else 1

    @property
    def n_top(self) -> int:
        """How many numbers the outputs see."""
        return self.n_hidden * self.directions

    @property
    def names(self) -> list[list[Names]]:
        """The names of U, W and b of each layer from bottom to top, in each direction, as in a model file."""
        numbers = [str(number) for number in range(1, self.layers + 1)] if self.layers > 1 else [""]
        ends = ("", "_reverse")[: self.directions]
        return [[(f"U{number}{end}", f"W{number}{end}", f"b{number}{end}") for end in ends] for number in numbers]

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Teacher forcing is a way to train: a forward pass without targets runs free."""
        return ("gradient",) if self.network == "forced" else MODES

    def operations(self, mode: Mode) -> int:
        """The arithmetic of one step of one sequence as it must be done: no gradient of x, no product for a gather.

        A product of the forward pass has two beside it on the way back: for the weights, and for what they were
        multiplied with, save for x.
        """
        first = self.directions * self.n_in * self.n_hidden
        upper = (self.layers - 1) * self.directions * self.n_top * self.n_hidden
        V = self.n_top * self.n_out
        W = {"elman": self.layers * self.directions * self.n_hidden**2, "forced": 0, "free": V}[self.network]
        return 2 * (2 * first + 3 * (upper + W + V) if mode == "gradient" else first + upper + W + V)

    @property
    def companion(self) -> Line | None:
        """The Elman network beside which a line stands, if any.

        Beside two directions the network in one direction. Beside an output-recurrent network: if it is forced, one of
        the same sizes; if it is free, one of the same arithmetic, as near as n_hidden allows (counted in a training
        gradient).
        """
        if self.both:
            return self._replace(both=False)
        if self.network == "elman":
            return None
        same = self._replace(network="elman")
        if self.network == "forced":
            return same
        candidates = [same._replace(n_hidden=n_hidden) for n_hidden in range(1, 2 * self.n_hidden + 1)]
        return min(candidates, key=lambda line: abs(line.operations("gradient") - self.operations("gradient")))

    def __str__(self) -> str:
        layers = f"x{self.layers}" if self.layers > 1 else ""
        hidden = f"{self.n_hidden}{layers}{' both directions' * self.both}"
        parts = [str(self.tau), str(self.batch), str(self.n_in), hidden, str(self.n_out), "ragged" * self.ragged]
        return ", ".join(filter(None, [*parts, self.network if self.network != "elman" else ""]))


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
    Line(100, 32, 64, 128, 64, layers=2),
    Line(100, 1, 64, 128, 64, layers=2),
    Line(100, 32, 64, 128, 64, both=True),
)


class Problem:
    """The data of a line: the same in every process, because it follows from the sizes and the seed alone.

    `parameters` has the arrays by the names of a model file, in the order of ``rnn.parameters``.
    """

    def __init__(self, line: Line, dtype: str, seed: int = 0) -> None:
        random = np.random.default_rng(seed)

        def scaled(*shape: int) -> Array:
            return (random.standard_normal(shape) / np.sqrt(max(shape[-1], 1))).astype(dtype)

        self.line, self.dtype, self.seed = line, np.dtype(dtype), seed
        tau, batch, n_in, n_hidden, n_out = line.sizes
        n_recurrent = n_hidden if line.network == "elman" else n_out
        self.parameters: dict[str, Array] = {}
        below = n_in
        for layer in line.names:
            for U, W, b in layer:
                self.parameters[U] = scaled(n_hidden, below)
                self.parameters[W] = scaled(n_hidden, n_recurrent)
                self.parameters[b] = scaled(n_hidden)
            below = line.n_top
        self.parameters["V"], self.parameters["c"] = scaled(n_out, line.n_top), scaled(n_out)
        self.x = random.standard_normal((tau, batch, n_in), np.float32).astype(dtype)
        self.y = random.integers(0, n_out, (tau, batch))
        self.lengths = random.integers(1, tau, batch, endpoint=True) if line.ragged else np.full(batch, tau)
        self.y[~self.valid] = -1  # no target beyond a length

    def __getitem__(self, name: str) -> Array:
        return self.parameters[name]

    @property
    def flat(self) -> Array:
        """All parameters in one vector."""
        return np.concatenate([array.ravel() for array in self.parameters.values()])

    def named(self, flat: Array) -> dict[str, Array]:
        """A vector laid out like `flat`, as arrays by name."""
        ends = np.cumsum([array.size for array in self.parameters.values()])
        parts = zip(self.parameters.items(), np.split(flat, ends[:-1]), strict=True)
        return {name: part.reshape(array.shape) for (name, array), part in parts}

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
        exact = Problem(self.line, str(self.dtype), self.seed)
        exact.dtype = np.dtype(np.float64)
        exact.parameters = {name: array.astype(np.float64) for name, array in exact.parameters.items()}
        exact.x = exact.x.astype(np.float64)
        return exact

    def operations(self, mode: Mode) -> int:
        """The arithmetic of one call, nothing computed twice or beyond a length."""
        return int(self.lengths.sum()) * self.line.operations(mode)


Answer = dict[str, Array]


@dataclass
class Contender:
    """What is timed, and how its answer reads by the names of a model file: dL/dU, ..., and ``loss``; ``h``, ``o``.

    ``h`` are the states of the top layer, of both directions side by side where there are two.
    """

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
    """The norm of each difference over the norm of what is exact; states and outputs within the lengths alone.

    Raises ValueError where an answer has not the names and shapes of the exact one.
    """
    if answer and set(answer) != set(exact):
        raise ValueError(f"expected {', '.join(exact)}, got {', '.join(answer)}")
    result = {}
    for name, value in answer.items():
        a, b = np.asarray(value, np.float64), np.asarray(exact[name], np.float64)
        if a.shape != b.shape:
            raise ValueError(f"{name}: expected the shape {b.shape}, got {a.shape}")
        if name in ("h", "o"):
            a, b = a[valid], b[valid]
        result[name] = float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1))
    return result
