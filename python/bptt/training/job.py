"""What `fit` knows of the job of `fit_many` that it runs in: whether it shall stop, and whom to tell how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Job:
    """One job, in a thread of its own. The caller of `fit_many` reads it in another."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self.stopped = stopped  # whether all jobs shall stop
        self.begun = threading.Event()
        self.done = 0.0  # the part of it that is done, as far as its first run of `fit` tells


_here = threading.local()


def job_here() -> Job | None:
    """The job that runs in this thread; None in others."""
    return getattr(_here, "job", None)


@contextmanager
def in_job(job: Job) -> Iterator[None]:
    """All that is called inside, in this thread, belongs to the job."""
    before, _here.job = job_here(), job
    try:
        yield
    finally:
        _here.job = before
