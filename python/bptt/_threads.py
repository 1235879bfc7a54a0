"""How many threads a call may use, and how calls under way are stopped."""

from __future__ import annotations

import math
import os

from bptt import _core
from bptt._checks import size


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _cgroup_quota(root: str = "/sys/fs/cgroup") -> float:
    """The CPUs that this process's control group may use (Linux, version 2 or 1); infinite without a limit."""
    try:
        quota, period = _read(f"{root}/cpu.max").split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota_us = int(_read(f"{root}/cpu/cpu.cfs_quota_us"))
        return quota_us / int(_read(f"{root}/cpu/cpu.cfs_period_us")) if quota_us > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def available_threads() -> int:
    """What the process may use: its CPU affinity, and the quota of its control group rounded up."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, math.ceil(min(_cgroup_quota(), cpus))))


def set_num_threads(n: int) -> None:
    """Set how many threads a call may use; small calls use fewer. Results have the same bits for every number.

    Parameters
    ----------
    n : int
        1 or more.
    """
    _core.set_num_threads(size("n", n, 1, 1024))


def get_num_threads() -> int:
    """Return how many threads a call may use: by default what the process may use, or ``BPTT_NUM_THREADS``."""
    return _core.num_threads()


def set_from_environment() -> None:
    """Set the number of threads at import."""
    wanted = os.environ.get("BPTT_NUM_THREADS")
    if not wanted:
        return set_num_threads(available_threads())
    if not wanted.strip().isdecimal() or not 1 <= int(wanted) <= 1024:
        raise ValueError(f"BPTT_NUM_THREADS: expected a number of threads from 1 to 1024, got {wanted!r}")
    set_num_threads(int(wanted))


def interrupt() -> None:
    """Stop every call under way, in whatever thread: each raises KeyboardInterrupt within about a tenth of a second.

    For programs whose calls run in other threads than the main one, such as a window with a button: there Ctrl-C is not
    heard. Results that were not returned yet are lost. Parameters are as they were: `fit` ends before the update under
    way, as after Ctrl-C. Calls that begin later are not affected.
    """
    _core.interrupt()
