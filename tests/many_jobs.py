"""Jobs that tests give to other processes, which import this module; and the large network that fills a processor."""

from __future__ import annotations

import os
import time

import numpy as np

import bptt
from problems import Array

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.standard_normal((12, 20, 3)), RANDOM.integers(0, 4, (12, 20))
# Its call takes some milliseconds, and repays many threads.
LARGE_X, LARGE_Y = RANDOM.standard_normal((40, 64, 32)).astype(np.float32), RANDOM.integers(0, 8, (40, 64))


def losses(seed: int) -> Array:
    """Of the updates of a small training."""
    rnn = bptt.ElmanRNN(3, 8, 4, seed=seed)
    history = rnn.fit(X, Y, optimizer=bptt.Adam(0.01), epochs=3, batch_size=5, seed=seed, progress=False)
    return history.updates.loss


def large(seconds: float) -> int:
    """Train a large network for so long; how many updates that were. NumPy's BLAS, which has threads, takes no part."""
    end = time.monotonic() + seconds
    rnn = bptt.ElmanRNN(32, 96, 8, seed=0, init="uniform")
    history = rnn.fit(
        LARGE_X,
        LARGE_Y,
        optimizer=bptt.Adam(1e-3),
        epochs=10**6,
        batch_size=64,
        callbacks=[lambda _: time.monotonic() > end],
        progress=False,
    )
    return len(history.updates)


def long_calls(seconds: float) -> None:
    """Call the core for so long: what is between two calls takes no time beside them."""
    end = time.monotonic() + seconds
    rnn = bptt.ElmanRNN(32, 96, 8, seed=0, init="uniform")
    x, y = np.tile(LARGE_X, (30, 1, 1)), np.tile(LARGE_Y, (30, 1))
    while time.monotonic() < end:
        rnn.loss_and_gradients(x, y)


def several(seconds: float) -> list[int]:
    """Networks side by side, wherever this is."""
    return bptt.fit_many([lambda: large(seconds)] * 2, progress=False)


def where() -> tuple[int, int]:
    """The process, and how many threads a call may use there."""
    return os.getpid(), bptt.get_num_threads()
