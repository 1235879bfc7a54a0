"""How outputs are drawn: what users ask `generate` for, checked."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import numpy as np

from bptt._checks import generator, shown, size


class Drawing(NamedTuple):
    """What the core draws by."""

    temperature: float
    top_k: int
    seed: int


def drawing(
    output: str, n_out: int, temperature: float, top_k: int | None, seed: int | np.random.Generator | None
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
    if top_k is not None:
        top_k = size("top_k", top_k, 1, sys.maxsize**2)
        if output != "softmax":
            raise ValueError(f"top_k: expected None for {output} outputs, got {top_k}")
    bits = int(generator(seed).integers(2**64, dtype=np.uint64))
    return Drawing(converted, n_out if top_k is None else min(top_k, n_out), bits)
