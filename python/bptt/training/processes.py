"""Processes that train one network together: what they tell each other, by MPI. Knows mpi4py by its methods alone."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from bptt._arrays import Array
from bptt._checks import choice
from bptt._threads import available_threads
from bptt.training.blocks import PairwiseSum, Range, blocks_of, evenly, nodes

Result = TypeVar("Result")

REDUCTIONS = ("exact", "fast")
_METHODS = ("Get_rank", "Get_size", "allgather", "bcast", "gather", "scatter", "Allgatherv", "Allreduce", "Alltoallv")
_GATHERED_MOST = 1 << 16  # bytes of a process: shorter ones are sent to everybody, of longer ones everybody adds a part


class ProcessError(RuntimeError):
    """Another process has failed; the message begins with ``comm: ``."""


class Alone:
    """A process by itself, as `Processes` are."""

    rank = 0

    def everyone(self, call: Callable[[], Result]) -> Result:
        """What `call` returns."""
        return call()

    def first(self, call: Callable[[], Result]) -> Result:
        """What `call` returns."""
        return call()

    def any(self, value: bool) -> bool:
        """`value`."""
        return value


ALONE = Alone()


class Processes:
    """The processes of a communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Or what has its methods.
    reduction : {"exact", "fast"}
        Whether sums have the same bits for any number of processes.
    """

    def __init__(self, comm: Any, reduction: str = "exact") -> None:
        if missing := [name for name in _METHODS if not callable(getattr(comm, name, None))]:
            got = f"{type(comm).__name__} without {', '.join(missing)}"
            raise TypeError(f"comm: expected a communicator of mpi4py, such as MPI.COMM_WORLD, got {got}")
        self.comm, self.rank, self.size = comm, int(comm.Get_rank()), int(comm.Get_size())
        self.exact = self.everyone(lambda: choice("reduction", reduction, REDUCTIONS)) == "exact"
        self._sent = self._received = np.empty(0, np.uint8)

    # ---- What each of them does, or the first alone ----

    def everyone(self, call: Callable[[], Result]) -> Result:
        """What `call` returns here. If it raises anywhere it raises everywhere: nobody is left waiting."""
        error: BaseException | None = None
        value: Any = None
        try:
            value = call()
        except BaseException as raised:
            error = raised
        self.raise_any(self.comm.allgather(None if error is None else told(error)), error)
        result: Result = value
        return result

    def first(self, call: Callable[[], Result]) -> Result:
        """What `call` returns in process 0, told to all. If it raises there it raises everywhere."""
        value: tuple[Any, str | None] = None, None
        error: BaseException | None = None
        if self.rank == 0:
            try:
                value = call(), None
            except BaseException as raised:
                error, value = raised, (None, told(raised))
        result, text = self.comm.bcast(value)
        self.raise_any([text], error)
        return result  # type: ignore[no-any-return]

    def any(self, value: bool) -> bool:
        """Whether `value` is true anywhere."""
        return any(self.comm.allgather(value))

    def raise_any(self, texts: Sequence[str | None], own: BaseException | None) -> None:
        """Raise this process's own error, or tell that of another."""
        if own is not None:
            raise own
        for rank, text in enumerate(texts):
            if text is not None:
                raise ProcessError(f"comm: process {rank} of {self.size} has failed: {text}")

    def alike(self, name: str, value: Any, what: str) -> None:
        """Raise ValueError, everywhere, unless all have the same value."""
        values = self.comm.allgather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise ValueError(f"{name}: expected {values[0]} {what} in every process, got {other} in process {rank}")

    # ---- Who has what ----

    def blocks(self, n: int) -> Sequence[Range]:
        """Cut `n` sequences of a batch into blocks."""
        return blocks_of(n) if self.exact else evenly(n, min(n, self.size))

    def share(self, n: int, rank: int | None = None) -> Range:
        """Which of `n` blocks, or of other things in a row, a process has."""
        return evenly(n, self.size)[self.rank if rank is None else rank]

    def threads(self, most: int) -> int:
        """How many threads this process may use so that those of one machine together do not use more than it has."""
        mine = (os.uname().nodename if hasattr(os, "uname") else "", _processors())
        all_of_them = self.comm.allgather(mine)
        if (quota := available_threads()) < len(mine[1]):  # that of a control group, which those of this machine share
            most = min(most, quota // sum(host == mine[0] for host, _ in all_of_them))
        users = Counter(cpu for host, cpus in all_of_them if host == mine[0] for cpu in cpus)
        return max(1, min(most, math.floor(sum(1 / users[cpu] for cpu in mine[1]) + 1e-9)))

    # ---- Sums over blocks ----

    def sum(
        self, blocks: int, numbers: Array, own: PairwiseSum, n: int, dtype: Any
    ) -> tuple[list[Array], Array | None]:
        """Add the vectors of all blocks.

        Parameters
        ----------
        blocks : int
            How many there are.
        numbers : float64 array
            What this process tells all others beside: as many from each.
        own : PairwiseSum
            The vectors ``[n]`` of this process's blocks; nothing at all where it has failed.
        n, dtype
            Their length and kind.

        Returns
        -------
        numbers : list of float64 array
            Of each process.
        total : array [n] or None
            None if the first number of any process is not 0.
        """
        if self.size == 1:
            return [numbers], own.total() if numbers[0] == 0 else None
        dtype = np.dtype(dtype)
        shares = nodes(blocks, self.size)
        if not self.exact or max(map(len, shares)) * n * dtype.itemsize > _GATHERED_MOST:
            every = self._gathered(numbers)
            if any(each[0] != 0 for each in every):
                return every, None
            return every, (self._added_in_parts(shares, own, n, dtype) if self.exact else self._reduced(own, n, dtype))
        # All in one message: the numbers, then the vectors.
        head = numbers.nbytes
        counts = [head + -(-len(of_process) * n * dtype.itemsize // 8) * 8 for of_process in shares]
        sent, received = self._memory(counts[self.rank], sum(counts))
        sent[:head] = numbers.view(np.uint8)
        vectors = sent[head : head + len(own.nodes) * n * dtype.itemsize].view(dtype).reshape(-1, n)
        for vector, (_, _, node) in zip(vectors, own.nodes, strict=True):
            vector[:] = node
        self.comm.Allgatherv(sent, [received, counts])
        every, total, at = [], PairwiseSum(), 0
        for count, of_process in zip(counts, shares, strict=True):
            every.append(received[at : at + head].view(np.float64).copy())
            rows = received[at + head : at + head + len(of_process) * n * dtype.itemsize].view(dtype).reshape(-1, n)
            for (begin, size), row in zip(of_process, rows, strict=True):
                total.add(begin, size, row)
            at += count
        if any(each[0] != 0 for each in every):
            return every, None
        return every, total.total().copy()

    def _gathered(self, numbers: Array) -> list[Array]:
        received = np.empty((self.size, len(numbers)))
        self.comm.Allgatherv(numbers, [received, [len(numbers)] * self.size])
        return list(received)

    def _added_in_parts(
        self, shares: Sequence[Sequence[Range]], own: PairwiseSum, n: int, dtype: np.dtype[Any]
    ) -> Array:
        """Each process adds a part of the vectors, in the same order as it would all, and tells the others."""
        parts = evenly(n, self.size)
        begin, end = parts[self.rank]
        width = end - begin
        outgoing = [len(own.nodes) * (b - a) for a, b in parts]
        incoming = [len(of_process) * width for of_process in shares]
        sent, received = self._memory(sum(outgoing) * dtype.itemsize, sum(incoming) * dtype.itemsize)
        sent, received = sent.view(dtype), received.view(dtype)
        at = 0
        for (a, b), count in zip(parts, outgoing, strict=True):
            for row, (_, _, node) in zip(sent[at : at + count].reshape(len(own.nodes), b - a), own.nodes, strict=True):
                row[:] = node[a:b]
            at += count
        self.comm.Alltoallv([sent, outgoing], [received, incoming])
        total, at = PairwiseSum(), 0
        for of_process, count in zip(shares, incoming, strict=True):
            rows = received[at : at + count].reshape(len(of_process), width)
            for (first, size), row in zip(of_process, rows, strict=True):
                total.add(first, size, row)
            at += count
        whole = np.empty(n, dtype)
        self.comm.Allgatherv(np.ascontiguousarray(total.total()), [whole, [b - a for a, b in parts]])
        return whole

    def _reduced(self, own: PairwiseSum, n: int, dtype: np.dtype[Any]) -> Array:
        whole = np.empty(n, dtype)
        self.comm.Allreduce(own.total() if own.nodes else np.zeros(n, dtype), whole)
        return whole

    def _memory(self, sent: int, received: int) -> tuple[Array, Array]:
        """Bytes to send and to receive, kept from call to call."""
        if len(self._sent) < sent:
            self._sent = np.empty(sent, np.uint8)
        if len(self._received) < received:
            self._received = np.empty(received, np.uint8)
        return self._sent[:sent], self._received[:received]


def told(error: BaseException) -> str:
    """An error in a message of another process."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _processors() -> tuple[int, ...]:
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))
