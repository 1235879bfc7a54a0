"""Sizes and options: what makes a network that network, checked."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from bptt import _core
from bptt._checks import choice, shown, size, truth
from bptt.networks.leak import read_leak

Sizes = int | Sequence[int]


class Options:
    """What the core is built for. It does not change: the core would not notice."""

    __slots__ = (
        "activation",
        "bidirectional",
        "dtype",
        "input",
        "leak",
        "n_hidden",
        "n_in",
        "n_out",
        "output",
        "readout",
        "recurrence",
    )

    def __init__(
        self,
        n_in: int,
        n_hidden: Sizes,
        n_out: int,
        *,
        input: str,
        output: str,
        readout: str,
        recurrence: str,
        activation: str,
        bidirectional: bool,
        dtype: DTypeLike,
        leak: Any = 1.0,
    ) -> None:
        self.input = choice("input", input, ("real", "token"))
        self.output = choice("output", output, ("softmax", "sigmoid", "linear"))
        self.readout = choice("readout", readout, ("all", "last"))
        self.recurrence = choice("feedback", recurrence, ("h", "y_hat", "o"))
        self.activation = choice("activation", activation, ("tanh", "relu"))
        self.bidirectional = truth("bidirectional", bidirectional)
        self.n_in = size("n_in", n_in, 0 if input == "real" else 1)
        self.n_hidden = _layers(n_hidden)
        self.n_out = size("n_out", n_out, 1)
        self.dtype = np.dtype(choice("dtype", _dtype_name(dtype), ("float32", "float64")))
        self.leak = read_leak(leak, self.n_hidden, self.dtype)

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.bidirectional else 1

    def core(self) -> _core.Network:
        """The network as the core has it."""
        return _core.Network(
            n_in=self.n_in,
            n_hidden=self.n_hidden,
            n_out=self.n_out,
            input=self.input,
            output=self.output,
            readout=self.readout,
            recurrence=self.recurrence,
            activation=self.activation,
            bidirectional=self.bidirectional,
            leak=self.leak,
        )


def _dtype_name(dtype: DTypeLike) -> str:
    """NumPy's name of a dtype, or what came in its place."""
    if dtype is None:
        return "None"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names that NumPy is about to forget
            return str(np.dtype(dtype).name)
    except (TypeError, ValueError, SyntaxError):
        return dtype if isinstance(dtype, str) else shown(dtype)


def _layers(n_hidden: Any) -> tuple[int, ...]:
    """The sizes of the layers from the bottom to the top."""
    if isinstance(n_hidden, int | np.integer) and not isinstance(n_hidden, bool):
        return (size("n_hidden", int(n_hidden), 1),)
    array = isinstance(n_hidden, np.ndarray) and n_hidden.ndim == 1
    if not array and (not isinstance(n_hidden, Sequence) or isinstance(n_hidden, str | bytes | bytearray | memoryview)):
        raise TypeError(f"n_hidden: expected an int or a sequence of ints, got {type(n_hidden).__name__}")
    if len(n_hidden) == 0:
        raise ValueError("n_hidden: expected at least one layer, got none")
    return tuple(size(f"n_hidden[{k}]", n, 1) for k, n in enumerate(n_hidden))
