"""Small networks and what they refuse: what the tests of errors share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN, JordanRNN

TAU, BATCH, N_IN, N_HIDDEN, N_OUT = 5, 4, 3, 6, 2
X = np.zeros((TAU, BATCH, N_IN), np.float32)
TOKENS = np.zeros((TAU, BATCH), np.int64)
CLASSES = np.zeros((TAU, BATCH), np.int64)
VALUES = np.zeros((TAU, BATCH, N_OUT), np.float32)
LIST = [X[:, 0], X[:2, 0]]

kinds = pytest.mark.parametrize("kind", [ElmanRNN, JordanRNN])
# A network, and the arguments of a loss beside x and y: each way through the core has its own checks.
passes = pytest.mark.parametrize(
    ("kind", "more"),
    [(ElmanRNN, {}), *((JordanRNN, {"teacher_forcing": p, "seed": 1}) for p in (0.0, 0.5, 1.0))],
    ids=["elman", "free", "mixed", "forced"],
)


def network(kind: Any = ElmanRNN, **options: Any) -> Any:
    return kind(N_IN, N_HIDDEN, N_OUT, **{"seed": 0, **options})


def refuses(call: Callable[[], object], error: type[Exception], message: str) -> None:
    """The call raises exactly this error, with exactly this message."""
    with pytest.raises(error, match=f"^{re.escape(message)}$") as raised:
        call()
    assert raised.type is error


def targets_of(x: Any, values: Any) -> Any:
    """Targets that fit a batch, a single sequence, or a list of sequences."""
    if isinstance(x, list):
        return [values[: len(one), 0] for one in x]
    return values[:, 0] if x.ndim == 2 else values
