"""How outputs are drawn: what users ask `generate` for, checked."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bptt._checks import generator


class Drawing(NamedTuple):
    """What the core draws by."""

    temperature: float
    top_k: int
    seed: int


def drawing(
    output: str, n_out: int, temperature: float, top_k: int | None, seed: int | np.random.Generator | None
) -> Drawing:
    """Check the arguments of `generate`."""
    if isinstance(temperature, bool) or not isinstance(temperature, int | float | np.number):
        raise TypeError(f"temperature: expected a number, got {type(temperature).__name__}")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature: expected a finite number of at least 0, got {temperature}")
    if top_k is not None:
        if isinstance(top_k, bool) or not isinstance(top_k, int | np.integer):
            raise TypeError(f"top_k: expected an int, got {type(top_k).__name__}")
        if output != "softmax":
            raise ValueError(f"top_k: expected None for {output} outputs, got {top_k}")
        if top_k < 1:
            raise ValueError(f"top_k: expected at least 1, got {top_k}")
    bits = int(generator(seed).integers(2**64, dtype=np.uint64))
    return Drawing(float(temperature), n_out if top_k is None else min(int(top_k), n_out), bits)
