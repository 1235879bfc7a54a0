"""Communicators without MPI: the processes are threads of this one, and what they send is pickled all the same."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import bptt


class _Shared:
    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=60)
        self.slots: list[Any] = [None] * size


class Communicator:
    """One process's view: the methods of mpi4py's communicators that `bptt` calls, and no others."""

    def __init__(self, shared: _Shared, rank: int) -> None:
        self._shared, self._rank, self.calls = shared, rank, 0

    def Get_rank(self) -> int:
        return self._rank

    def Get_size(self) -> int:
        return len(self._shared.slots)

    def allgather(self, value: Any) -> list[Any]:
        self.calls += 1
        self._shared.slots[self._rank] = pickle.dumps(value)
        self._shared.barrier.wait()
        values = [pickle.loads(slot) for slot in self._shared.slots]
        self._shared.barrier.wait()
        return values

    def bcast(self, value: Any, root: int = 0) -> Any:
        return self.allgather(value)[root]

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        values = self.allgather(value)
        return values if self._rank == root else None

    def scatter(self, values: list[Any] | None, root: int = 0) -> Any:
        return self.allgather(values)[root][self._rank]

    def Allgatherv(self, sent: Any, received: Any) -> None:
        into, counts = received
        parts = self.allgather(np.ravel(sent))
        assert [len(part) for part in parts] == list(counts)
        into.reshape(-1)[:] = np.concatenate(parts)

    def Alltoallv(self, sent: Any, received: Any) -> None:
        (out, to), (into, of) = sent, received
        parts = [np.split(out, np.cumsum(to)[:-1]) for out, to in self.allgather((np.asarray(out), to))]
        mine = [part[self._rank] for part in parts]
        assert [len(part) for part in mine] == list(of)
        into[:] = np.concatenate(mine)

    def Allreduce(self, sent: Any, received: Any) -> None:
        received[:] = np.sum(self.allgather(sent), axis=0)


def together(n: int, work: Callable[[Communicator], Any], threads: int = 1) -> list[Any]:
    """What `work(comm)` returns in each of `n` processes, or the exception that it raises there."""
    shared, before = _Shared(n), bptt.get_num_threads()

    def one(rank: int) -> Any:
        try:
            return work(Communicator(shared, rank))
        except Exception as error:
            return error

    bptt.set_num_threads(threads)
    try:
        with ThreadPoolExecutor(n) as pool:
            return list(pool.map(one, range(n)))
    finally:
        bptt.set_num_threads(before)
