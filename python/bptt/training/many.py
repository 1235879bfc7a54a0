"""Many networks at once: jobs side by side in threads, each of which trains one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, Literal, TypeVar, overload

from bptt import _core
from bptt._checks import shown, size, truth
from bptt._threads import get_num_threads, interrupt, sharing
from bptt.training.fit import interruptible
from bptt.training.job import Job, in_job
from bptt.training.progress import JobsBar

Result = TypeVar("Result")

_MOST_JOBS = 1024
_SECONDS = 0.1  # between two looks at the jobs under way
_MOST_SHOWN = 3  # failures in a message

_beginning = threading.Lock()  # of all calls: none begins jobs while another one counts who is there


class FitManyError(RuntimeError):
    """Some jobs of `fit_many` have failed. The first failure is its cause.

    Attributes
    ----------
    results : list
        What the jobs have returned, in their order; of a job that has failed, its exception.
    failures : dict of int to BaseException
        The exceptions alone, by the numbers of their jobs.
    """

    def __init__(self, results: list[Any], failures: dict[int, BaseException]) -> None:
        super().__init__(results, failures)
        self.results, self.failures = results, failures

    def __str__(self) -> str:
        some = [f"jobs[{i}]: {type(e).__name__}: {shown(e, str)}" for i, e in sorted(self.failures.items())]
        more = [f"{len(some) - _MOST_SHOWN} more"] if len(some) > _MOST_SHOWN else []
        told = "; ".join(some[:_MOST_SHOWN] + more)
        return f"{len(some)} of {len(self.results)} jobs failed ({told}); the others' results are in `results`"


@overload
def fit_many(
    jobs: Iterable[Callable[[], Result]],
    *,
    n_jobs: int | None = None,
    progress: bool = True,
    return_exceptions: Literal[False] = False,
) -> list[Result]: ...


@overload
def fit_many(
    jobs: Iterable[Callable[[], Result]],
    *,
    n_jobs: int | None = None,
    progress: bool = True,
    return_exceptions: bool,
) -> list[Result | BaseException]: ...


def fit_many(
    jobs: Iterable[Callable[[], Any]],
    *,
    n_jobs: int | None = None,
    progress: bool = True,
    return_exceptions: bool = False,
) -> list[Any]:
    """Train many networks side by side, each in a thread of its own.

    >>> from functools import partial
    >>> def trained(seed):
    ...     rnn = bptt.ElmanRNN(3, 8, 2, seed=seed)
    ...     history = rnn.fit(x, y, optimizer=bptt.Adam(0.01), epochs=5, seed=seed)
    ...     return rnn, history.loss[-1]
    >>> results = bptt.fit_many([partial(trained, seed) for seed in range(10)])

    A job is any function without arguments: it makes a network and an optimizer of its own, trains, and returns what is
    wanted of it. Data may be shared, since nobody changes them. While there are as many jobs as threads, each computes
    in one thread; the last jobs get the threads of those that are over. Results have the bits that the jobs have one
    after another. Runs of `fit` in a job show no progress of their own.

    Parameters
    ----------
    jobs : iterable of callable
        Taken one by one as threads become free, so that a generator keeps in memory what is under way alone.
    n_jobs : int, optional
        How many run at once; by default as many as calls may use threads (see `set_num_threads`), less those in which
        others train now: within a job it is less, at least 1.
    progress : bool
        Whether to show on standard error how many jobs are done, and how far those under way are.
    return_exceptions : bool
        Whether a job that fails has its exception as its result, as in `asyncio.gather`, and nothing is raised.

    Returns
    -------
    list
        What each job has returned, in the order of `jobs`. After Ctrl-C no job begins any more, and each run of `fit`
        ends after its update under way; the list then has what the jobs that had begun returned, which were the first
        ones. A second Ctrl-C stops at once with a KeyboardInterrupt. `bptt.interrupt` stops the jobs too.

    Raises
    ------
    FitManyError
        If jobs have failed. All others have run to their ends, and their results are in the error.
    TypeError
        If `jobs` is no iterable, or has something that cannot be called.
    RuntimeError
        In a job, if its network or optimizer is in training in another one.
    """
    interruptions = _core.interruptions()
    run = _Run(_checked(jobs), None if n_jobs is None else size("n_jobs", n_jobs, 1, _MOST_JOBS))
    truth("progress", progress)
    truth("return_exceptions", return_exceptions)
    total = len(jobs) if isinstance(jobs, Sized) else None
    with (
        ThreadPoolExecutor(run.most, "fit_many") as pool,
        interruptible(interruptions) as interrupted,
        JobsBar(total, progress) as bar,
    ):
        run.interrupted = interrupted
        try:
            run.begin_some(pool)
            with sharing(False):  # this thread waits: from now on its first job counts in its place
                while run.begin_some(pool):
                    run.wait()
                    bar.show(run.finished, len(run.failures), run.under_way)
        except BaseException:  # a second Ctrl-C
            run.interrupted = lambda: True
            while run.running:
                interrupt()
                run.wait()
            raise
    if run.failures and not return_exceptions:
        raise FitManyError(run.results, run.failures) from run.failures[min(run.failures)]
    return run.results


def _checked(jobs: Iterable[Callable[[], Any]]) -> Iterator[Callable[[], Any]]:
    """The jobs; of a sequence all are looked at before any begins."""
    try:
        source = iter(jobs)
    except TypeError:
        expected = "jobs: expected functions without arguments, in a list or another iterable"
        raise TypeError(f"{expected}, got {type(jobs).__name__}") from None
    for i, job in enumerate(jobs if isinstance(jobs, Sequence) else ()):
        _check(i, job)
    return source


def _check(i: int, job: Any) -> None:
    if not callable(job):
        raise TypeError(f"jobs[{i}]: expected a function without arguments, got {type(job).__name__}")


def _fail(error: Exception) -> None:
    raise error


def _done(task: Callable[[], Any], job: Job) -> Any:
    with sharing(), in_job(job):
        job.begun.set()
        return task()


class _Run:
    """The jobs that have begun, and their results so far."""

    def __init__(self, source: Iterator[Callable[[], Any]], n_jobs: int | None) -> None:
        self.most = n_jobs or get_num_threads()
        self.results: list[Any] = []
        self.failures: dict[int, BaseException] = {}
        self.running: dict[Future[Any], tuple[int, Job]] = {}
        self.interrupted: Callable[[], bool] = lambda: False
        self._next: deque[Callable[[], Any]] = deque()  # taken, but not begun yet
        self._source, self._leaves_room = source, n_jobs is None

    @property
    def finished(self) -> int:
        """How many are over."""
        return len(self.results) - len(self.running)

    @property
    def under_way(self) -> float:
        """How much is done of the others, in jobs."""
        return sum(job.done for _, job in self.running.values())

    def begin_some(self, pool: ThreadPoolExecutor) -> bool:
        """Begin as many as there is room for; whether any is under way."""
        while not self.interrupted() and len(self.running) + len(self._next) < self._room() and self._take():
            pass
        with _beginning:
            while self._next and not self.interrupted() and len(self.running) < self._room():
                job = Job(lambda: self.interrupted())
                self.running[pool.submit(_done, self._next.popleft(), job)] = len(self.results), job
                self.results.append(None)
                job.begun.wait()  # so that it counts where the next one looks for room
        return bool(self.running)

    def _take(self) -> bool:
        """Take a job from the source, if it has any more. In the place of one that cannot be had is one that fails."""
        try:
            task = next(self._source)
        except StopIteration:
            return False
        except Exception as error:
            self._source, task = iter(()), partial(_fail, error)
        i = len(self.results) + len(self._next)
        self._next.append(task if callable(task) else partial(_check, i, task))
        return True

    def _room(self) -> int:
        """How many may run at once."""
        if not self._leaves_room:
            return self.most
        others = max(0, _core.sharing_threads() - len(self.running))
        return max(1, min(self.most, get_num_threads() - others))

    def wait(self) -> None:
        """Until a job is over, but not for long."""
        over, _ = wait(self.running, _SECONDS, FIRST_COMPLETED)
        for future in over:
            i, _ = self.running.pop(future)
            if (error := future.exception()) is None:
                self.results[i] = future.result()
            else:
                self.failures[i] = self.results[i] = error
