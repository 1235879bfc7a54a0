"""Two processes that compute at once, each with all threads: what each of them keeps of the speed that it has alone.

Half is what the processor leaves to each. Threads that wait for each other may lose more. Run it on a quiet machine.
The best of three rounds counts, and the exit code is 1 if one of the two keeps less than 45 %.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from multiprocessing.synchronize import Barrier

import numpy as np

import bptt

SECONDS, ROUNDS = 1.0, 3
SIZES = {  # tau, batch, n_in, n_hidden, n_out
    "threads share the sequences": (100, 32, 64, 128, 64),
    "threads share the columns of a step": (350, 1, 20, 170, 20),
    "products larger than the cache": (20, 256, 512, 512, 512),
}


def calls_per_second(size: tuple[int, int, int, int, int], begin: Barrier) -> float:
    tau, batch, n_in, n_hidden, n_out = size
    rnn = bptt.ElmanRNN(n_in, n_hidden, n_out, seed=0)
    x, y = np.ones((tau, batch, n_in), np.float32), np.zeros((tau, batch), int)
    for _ in range(3):
        rnn.loss_and_gradients(x, y)
    begin.wait()
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        rnn.loss_and_gradients(x, y)
        calls += 1
    return calls / (time.perf_counter() - start)


def speeds(size: tuple[int, int, int, int, int], processes: int) -> list[float]:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(processes) as pool:
        begin = manager.Barrier(processes)
        return pool.starmap(calls_per_second, [(size, begin)] * processes, chunksize=1)


def main() -> int:
    least = 1.0
    for name, size in SIZES.items():
        rounds = [(speeds(size, 1)[0], min(speeds(size, 2))) for _ in range(ROUNDS)]
        alone, together = (max(of) for of in zip(*rounds, strict=True))
        least = min(least, together / alone)
        print(f"{name}: {alone:.1f} calls/s alone; of two at once each keeps {together / alone:.0%}")
    return int(least < 0.45)


if __name__ == "__main__":
    sys.exit(main())
