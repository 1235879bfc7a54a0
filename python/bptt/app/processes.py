"""`mpiexec -n 4 bptt train`: the processes that were started together, of which the first leads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bptt.app.errors import INTERRUPTED, UserError
from bptt.networks.distributed import threads_shared
from bptt.training.processes import ProcessError, Processes

_LESSONS = "lessons"  # what the first process announces before it sends them

_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")  # what mpiexec or srun tells each process
_STARTED = (*_SIZES, "PMIX_RANK", "PMI_RANK")


def communicator() -> Any:
    """Return that of all processes which `mpiexec` or `srun` has started; None without it.

    Raises
    ------
    UserError
        There is no mpi4py, or none that belongs to this `mpiexec`.
    """
    if not any(name in os.environ for name in _STARTED):
        return None
    told = next((int(os.environ[name]) for name in _SIZES if os.environ.get(name, "").isdigit()), None)
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the latter where it finds no MPI library
        if told == 1:
            return None
        raise UserError(f'mpiexec: expected mpi4py with an MPI library, pip install "bptt[mpi]": {error}') from error
    comm = MPI.COMM_WORLD
    if told is not None and comm.Get_size() != told:
        library = MPI.Get_library_version().split(",")[0].strip()
        raise UserError(
            f"mpiexec: expected {told} processes, as it has started, but mpi4py's MPI library sees {comm.Get_size()}: "
            f"mpiexec is not that of {library}"
        )
    return comm


class Crew:
    """The processes behind the first, which wait for what it gives them to do. Without any, nothing happens."""

    def __init__(self, comm: Any) -> None:
        self.comm, self._waits = comm, comm is not None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        if self._waits:
            self.comm.bcast(None)

    def train(self, rnn: Any, how: dict[str, Any]) -> dict[str, Any]:
        """Let them train a network beside the first; what that gives its own `fit` for it."""
        if not self._waits:
            return how
        self._waits = False
        self.comm.bcast((rnn, how))
        return {**how, "comm": self.comm}

    @contextmanager
    def teaching(self) -> Iterator[None]:
        """Inside, all processes train the networks of forecasts, each some of them."""
        if not self._waits:
            yield
            return
        from bptt.forecast.network import trained_by

        def teach(lessons: Sequence[Any]) -> list[Any]:
            self.comm.bcast(_LESSONS)
            self._waits = False  # if it fails it fails in all, and nobody waits any more
            done = _taught(self.comm, lessons)
            self._waits = True
            return done

        with trained_by(teach):
            yield


def _taught(comm: Any, lessons: Sequence[Any] | None) -> list[Any]:
    """What comes of the lessons that the first process has, in their order; each process does some of them."""
    from bptt.forecast.network import side_by_side

    processes = Processes(comm)
    mine = comm.scatter(
        None if lessons is None else [lessons[rank :: processes.size] for rank in range(processes.size)]
    )
    with threads_shared(processes):
        parts = comm.allgather(processes.everyone(lambda: side_by_side(mine)))
    return [parts[i % len(parts)][i // len(parts)] for i in range(sum(map(len, parts)))]


def follow(comm: Any) -> int:
    """Do what the first process says, which alone speaks to the user; the exit code."""
    try:
        while (told := comm.bcast(None)) == _LESSONS:
            _taught(comm, None)
        if told is None:
            return 0
        rnn, how = told
        history = rnn.fit(None, comm=comm, progress=False, **how)
    except (FloatingPointError, ProcessError, ValueError):  # so it is in the first, or there it is told
        return 2
    return INTERRUPTED if history.stopped == "interrupted" else 0
