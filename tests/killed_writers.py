"""A program: writers that are killed, or that meet. The file is whole at every moment, and nothing is left beside it.

`python tests/killed_writers.py save` or `checkpoint`: a hundred kills of each, or as many as a second argument says; or
`together`: two processes write one file so often, and a third reads it.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import bptt
import bptt.training.fit
from bptt import ElmanRNN
from bptt.training.checkpoint import Checkpoint

TIMES = int(sys.argv[2]) if len(sys.argv) > 2 else 100
NETWORKS = [ElmanRNN(8, 300, 8, seed=seed) for seed in (0, 1)]


def fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def others(path: Path) -> set[str]:
    """What lies beside the file."""
    return set(os.listdir(path.parent)) - {path.name}


def is_whole(path: Path) -> bool:
    found = bptt.load(path).parameters
    return any(np.array_equal(found, rnn.parameters) for rnn in NETWORKS)


def save_for_ever(path: Path) -> None:
    while True:
        for rnn in NETWORKS:
            rnn.save(path)


def train_for_ever(path: Path) -> None:
    bptt.training.fit._CHECKPOINT_SECONDS = 0.0  # after every update
    x, y = np.ones((10, 1, 8)), np.ones((10, 1), int)
    options = {"epochs": 10**6, "truncate": 5, "seed": 0, "progress": False, "checkpoint": path, "resume": True}
    NETWORKS[0].fit(x, y, optimizer=bptt.Adam(1e-3), **options)  # type: ignore[arg-type]


def killed(work: Callable[[Path], None], check: Callable[[Path], bool], write: Callable[[Path], object]) -> str:
    draw, left = random.Random(0), 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        for _ in range(TIMES):
            before = others(path)
            child = fork(lambda: work(path))
            while others(path) <= before:  # until it writes
                time.sleep(0.0002)
            time.sleep(draw.uniform(0, 0.003))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            assert check(path)
            assert len(others(path)) <= 1, "what an earlier one has left, the next one has removed"
            left += len(others(path))
        write(path)
        assert not others(path)
    assert left > 0, "no kill met a write"
    return f"{TIMES} kills, {left} of them within a write"


def together() -> str:
    def work(rnn: ElmanRNN) -> None:
        for _ in range(TIMES):
            rnn.save(path)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        NETWORKS[0].save(path)
        children = {fork(lambda rnn=rnn: work(rnn)) for rnn in NETWORKS}  # type: ignore[misc]
        loads = 0
        while children:
            assert is_whole(path)
            loads += 1
            child, status = os.waitpid(-1, os.WNOHANG)
            if child:
                assert status == 0
                children.remove(child)
        assert not others(path)
    return f"2 times {TIMES} saves, {loads} loads meanwhile"


def checkpoint(path: Path) -> object:
    options = {"epochs": 1, "truncate": 5, "seed": 0, "progress": False, "checkpoint": path}
    x, y = np.ones((10, 1, 8)), np.ones((10, 1), int)
    return ElmanRNN(8, 300, 8, seed=0).fit(x, y, optimizer=bptt.Adam(1e-3), **options)  # type: ignore[arg-type]


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
    if sys.argv[1] == "save":
        print(killed(save_for_ever, is_whole, NETWORKS[0].save))
    elif sys.argv[1] == "checkpoint":
        print(killed(train_for_ever, lambda path: Checkpoint.read(path) is not None, checkpoint))
    else:
        print(together())


if __name__ == "__main__":
    main()
