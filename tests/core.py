"""The one place where the tests reach behind the public names of `bptt`: instruction sets, the kernels' tanh, and the
core's version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from bptt import _core
from problems import Array

DTYPES = ("float32", "float64")
ISAS = _core.supported_isas()
CORE_VERSION = _core.__version__


@contextmanager
def instruction_set(name: str) -> Iterator[None]:
    """Use one that this machine runs; the one in use before is in use afterwards."""
    before = _core.isa()
    _core.set_isa(name)
    try:
        yield
    finally:
        _core.set_isa(before)


def tanh(x: Array) -> Array:
    """The kernels' own tanh."""
    y = np.empty_like(x)
    _core.tanh(x, y)
    return y
