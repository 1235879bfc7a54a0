"""How outputs are drawn: what users ask `generate` for, checked; and where drawing begins."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bptt._arrays import Array
from bptt._checks import generator, number, shown, size, truth

TEMPERATURE = 1.0  # by default


class Drawing(NamedTuple):
    """What the core draws by."""

    temperature: float
    top_k: int
    top_p: float
    seed: int


@dataclass(slots=True)
class Start:
    """Where drawing begins: the state, and what the network reads next."""

    r: list[Array]  # r(0) of each layer, [batch, n]
    single: bool  # whether users see one sequence, without the batch axis
    o: Array | None = None  # [batch, n_out]: the outputs to begin with; None: those of the state, or of x
    x: Array | None = None  # [n_steps, batch, ...]: what an output-recurrent network reads beside its outputs

    @property
    def batch(self) -> int:
        return len(self.r[0])


def drawing(
    output: str,
    n_out: int,
    *,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    greedy: bool,
    seed: int | np.random.Generator | None,
) -> Drawing:
    """Check the arguments of `generate`."""
    if isinstance(temperature, bool) or not isinstance(temperature, int | float | np.integer | np.floating):
        raise TypeError(f"temperature: expected a number, got {type(temperature).__name__}")
    try:
        converted = float(temperature)
    except OverflowError:
        converted = math.inf  # an int that no float can hold
    if not (math.isfinite(converted) and converted >= 0):
        raise ValueError(f"temperature: expected a finite number of at least 0, got {shown(temperature, str)}")
    if truth("greedy", greedy):
        if converted != TEMPERATURE:
            raise ValueError(f"temperature: expected 1, the default, as greedy=True draws nothing, got {converted:g}")
        converted = 0.0
    if top_k is not None:
        top_k = size("top_k", top_k, 1, sys.maxsize**2)
        if output != "softmax":
            raise ValueError(f"top_k: expected None for {output} outputs, got {top_k}")
    if top_p is not None:
        top_p = number("top_p", top_p, 0, 1, "(]")
        if output != "softmax":
            raise ValueError(f"top_p: expected None for {output} outputs, got {top_p:g}")
    bits = int(generator(seed).integers(2**64, dtype=np.uint64))
    return Drawing(converted, n_out if top_k is None else min(top_k, n_out), 1.0 if top_p is None else top_p, bits)


def beam_width(output: str, beam: int, **of_drawing: Any) -> int:
    """Check the arguments of `generate` where it searches: what only draws has its default."""
    beam = size("beam", beam, 1)
    if output != "softmax":
        raise ValueError(f"beam: expected None for {output} outputs, which are no classes, got {beam}")
    for name, value in of_drawing.items():
        default = {"temperature": TEMPERATURE, "greedy": False}.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not default and not (name == "temperature" and is_number and value == default):
            raise ValueError(f"{name}: expected {default}, as a beam search draws nothing, got {shown(value)}")
    return beam


def one_hot(classes: Array, n: int, dtype: np.dtype[Any]) -> Array:
    """Vectors of length `n`, in a last axis more."""
    vectors = np.zeros((*classes.shape, n), dtype)
    np.put_along_axis(vectors, classes[..., None], 1, -1)
    return vectors
