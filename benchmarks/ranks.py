"""What each process of `machines.py` does: ``mpiexec -n 2 python -m mpi4py ranks.py TASK``. Process 0 writes JSON.

A task is JSON: the number of `threads`, `runs` of `fit`, sizes in bytes at which the `communicator` is measured, and
sizes at which the `sums` of gradients are.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import bptt
import bptt.training.processes as exchange
from bptt.training.blocks import PairwiseSum

VOCABULARY, STEPS = 65, 64  # characters of a text, and steps of an update
STRETCH = 10  # updates that are timed together for the fastest: of a single one, one process may have run ahead
SECONDS, ATTEMPTS = 0.002, 30  # of one attempt to measure the communicator, about; the best one counts


class Run(NamedTuple):
    """A training: its sizes, and whether by `fit` alone (`plain`) or with this reduction."""

    units: int
    batch: int
    updates: int
    mode: str


class Clock:
    """When the optimizer's steps begin and end. An optimizer has no other attributes than its options."""

    def __init__(self) -> None:
        self.begins: list[float] = []
        self.ends: list[float] = []
        begins, ends = self.begins, self.ends

        class Adam(bptt.Adam):
            def step(self, *arguments: Any, **options: Any) -> float:
                begins.append(time.perf_counter())
                norm = super().step(*arguments, **options)
                ends.append(time.perf_counter())
                return norm

        self.optimizer = Adam(1e-3)


class Watched:
    """A communicator that notes how long its processes wait for each other before a message, and how long it takes."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self.times: list[tuple[float, float]] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._comm, name)
        if name not in ("Allgatherv", "Alltoallv", "Allreduce"):
            return method

        def watched(*arguments: Any) -> None:
            begin = time.perf_counter()
            self._comm.Barrier()
            ready = time.perf_counter()
            method(*arguments)
            self.times.append((ready - begin, time.perf_counter() - ready))

        return watched

    def of_an_update(self, updates: int) -> Any:
        """The seconds of waiting and of exchange: medians, and their mean over all processes."""
        each = np.median(np.reshape(self.times, (updates, -1, 2)).sum(1), axis=0)
        return np.mean(self._comm.allgather(each), axis=0).tolist()


def trained(run: Run, comm: Any) -> tuple[Clock, str]:
    """A training of streams of characters, as `bptt train` does it; its clock, and a name of the parameters' bits."""
    random, shape = np.random.default_rng(0), (STEPS * run.updates, run.batch)
    x, y = (random.integers(0, VOCABULARY, shape) for _ in "xy")
    rnn = bptt.ElmanRNN(VOCABULARY, run.units, VOCABULARY, input="token", seed=0)
    clock = Clock()
    how: dict[str, Any] = {} if run.mode == "plain" else {"comm": comm, "reduction": run.mode}
    rnn.fit(x, y, truncate=STEPS, optimizer=clock.optimizer, epochs=1, clip_norm=1.0, seed=0, progress=False, **how)
    return clock, hashlib.sha256(rnn.parameters.tobytes()).hexdigest()[:16]


def measured(run: Run, comm: Any) -> dict[str, Any]:
    """Seconds of an update; of several processes, what of it goes to whom."""
    clock, bits = trained(run, comm)
    updates, some = np.diff(clock.ends), min(STRETCH, run.updates // 2)
    fastest = (np.array(clock.ends[some:]) - clock.ends[:-some]).min() / some
    optimizer = np.subtract(clock.ends, clock.begins)
    told: dict[str, Any] = {"run": run, "bits": bits}
    told |= {"update": median(updates), "fastest": fastest, "optimizer": median(optimizer)}
    if run.mode != "plain" and comm.Get_size() > 1:
        watched = Watched(comm)
        trained(run, watched)
        told |= dict(zip(("waiting", "exchange"), watched.of_an_update(run.updates), strict=True))
    return told


def seconds(comm: Any, call: Callable[[], object]) -> float:
    """Of a call that all processes make together: the best of several times, of the slowest process."""
    comm.Barrier()
    count, best = 10, np.inf
    for attempt in range(ATTEMPTS):
        comm.Barrier()
        begin = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, (time.perf_counter() - begin) / count)
        if attempt < 3:  # how many calls fill an attempt
            count = comm.bcast(int(np.clip(SECONDS / best, 3, 1000)))
    return float(max(comm.allgather(best)))


def communicator(comm: Any, size: int) -> dict[str, float]:
    """Seconds of a message of so many bytes from one process to another, and of what all do with as many from each."""
    n, rank = comm.Get_size(), comm.Get_rank()
    each = max(1, size // 4 // n)
    numbers = np.ones(each * n, np.float32)
    other, every = np.empty_like(numbers), np.empty(len(numbers) * n, np.float32)

    def there_and_back() -> None:
        if rank == 0:
            comm.Send(numbers, 1)
            comm.Recv(other, 1)
        elif rank == 1:
            comm.Recv(other, 0)
            comm.Send(numbers, 0)

    return {
        "message": seconds(comm, there_and_back) / 2,
        "Allgatherv": seconds(comm, lambda: comm.Allgatherv(numbers, [every, [len(numbers)] * n])),
        "Alltoallv": seconds(comm, lambda: comm.Alltoallv([numbers, [each] * n], [other, [each] * n])),
        "Allreduce": seconds(comm, lambda: comm.Allreduce(numbers, other)),
    }


def sums(comm: Any, size: int) -> dict[str, float]:
    """Seconds in which a gradient of so many bytes is added over all processes, each way."""
    n, usual, found = size // 4, exchange._GATHERED_MOST, {}
    for name, reduction, most in (("gathered", "exact", 1 << 62), ("in parts", "exact", 0), ("fast", "fast", usual)):
        processes = exchange.Processes(comm, reduction)
        blocks = comm.Get_size() * (4 if reduction == "exact" else 1)
        begin, end = processes.share(blocks)
        numbers = np.zeros(3 * (1 + end - begin))
        own = PairwiseSum()
        own.add(begin, end - begin, np.ones(n, np.float32))

        def add(processes: Any = processes, blocks: int = blocks, numbers: Any = numbers, own: Any = own) -> None:
            processes.sum(blocks, numbers, own, n, np.float32)

        exchange._GATHERED_MOST = most
        found[name] = seconds(comm, add)
    exchange._GATHERED_MOST = usual
    return found


def adding(size: int) -> float:
    """Seconds in which one gradient of so many bytes is added to another."""
    a, b, best = np.ones(size // 4, np.float32), np.ones(size // 4, np.float32), np.inf
    for _ in range(20):
        begin = time.perf_counter()
        a += b
        best = min(best, time.perf_counter() - begin)
    return best


def main() -> None:
    task = json.loads(sys.argv[1])
    bptt.set_num_threads(task["threads"])
    comm: Any = None
    if task["mpi"]:
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
    result: dict[str, Any] = {"runs": [measured(Run(*run), comm) for run in task["runs"]]}
    result["communicator"] = {size: communicator(comm, size) for size in task["communicator"]}
    result["sums"] = {size: sums(comm, size) for size in task["sums"]}
    result["adding"] = {size: adding(size) for size in task["adding"]}
    if comm is None or comm.Get_rank() == 0:
        result["library"] = "" if comm is None else " ".join(re.split(r"[,\n]", MPI.Get_library_version())[0].split())
        print(json.dumps(result))


if __name__ == "__main__":
    main()
