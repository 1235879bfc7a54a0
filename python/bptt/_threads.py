"""How many threads a call may use, and how calls under way are stopped."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from bptt import _core
from bptt._checks import shown, size

_MOST = 1024
_PROCESS = "/proc/self"
_QUOTA_FILES = {"cgroup2": ("cpu.max",), "cgroup": ("cpu.cfs_quota_us", "cpu.cfs_period_us")}  # of control groups
_USUAL_MOUNTS = [("cgroup2", "/", "/sys/fs/cgroup"), ("cgroup", "/", "/sys/fs/cgroup/cpu")]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _control_groups(process: str) -> Iterator[tuple[str, str]]:
    """Of the process's control group and those above it, the version and the folder, which may not exist."""
    paths = {}
    for line in _read(f"{process}/cgroup").splitlines():  # "3:cpu,cpuacct:/a/b", or "0::/a/b" of version 2
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            paths["cgroup" if controllers else "cgroup2"] = path
    mounts = []
    for line in _read(f"{process}/mountinfo").splitlines():  # "32 31 0:29 /root /mount/point rw - cgroup cgroup rw,cpu"
        before, _, after = line.partition(" - ")
        version, _, options = after.split(" ", 2)
        if version == "cgroup2" or (version == "cgroup" and "cpu" in options.split(",")):
            root, point = (re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), f) for f in before.split(" ")[3:5])
            mounts.append((version, root, point))
    for version, root, folder in mounts or _USUAL_MOUNTS:
        yield version, folder
        path = f"{paths.get(version, '/')}/"
        if not path.startswith(f"{root.rstrip('/')}/") or ".." in path.split("/"):
            continue  # outside what is mounted
        for name in filter(None, path[len(root.rstrip("/")) :].split("/")):
            folder = f"{folder}/{name}"
            yield version, folder


def _quota(process: str = _PROCESS) -> float:
    """The CPUs that the process may use by its control group and all above it (Linux); infinite without a limit."""
    least = math.inf
    for version, folder in _control_groups(process):
        text = " ".join(_read(f"{folder}/{name}") for name in _QUOTA_FILES[version])
        try:
            quota, period = map(int, text.split())
            if quota > 0:
                least = min(least, quota / period)
        except (ValueError, ArithmeticError):
            pass  # "max", or no such file
    return least


def available_threads() -> int:
    """What the process may use: its CPU affinity, and the quota of its control group rounded down, but at least 1."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(_quota(), cpus)))


def _openmp_threads() -> int | None:
    """What ``OMP_NUM_THREADS`` says of the outermost level; None where it says nothing that OpenMP knows."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(int(first), _MOST) or None if re.fullmatch("[0-9]{1,9}", first) else None


def set_num_threads(n: int) -> None:
    """Set how many threads a call may use; small calls use fewer. Results have the same bits for every number.

    Calls at the same time, in several threads of a program, share them; each has at least its own. So do runs of `fit`,
    which count from their begin to their end.

    Parameters
    ----------
    n : int
        1 or more.
    """
    _core.set_num_threads(size("n", n, 1, _MOST))


def get_num_threads() -> int:
    """Return how many threads a call may use.

    By default that is what the environment variable ``BPTT_NUM_THREADS`` says, else ``OMP_NUM_THREADS`` (of a list the
    first number), else what the process may use: its CPU affinity, and the quota of its control group rounded down.
    """
    return _core.num_threads()


@contextmanager
def sharing(shares: bool = True) -> Iterator[None]:
    """This thread computes all the time inside, or not: those that do have equal shares in the threads."""
    before = _core.set_sharing(shares)
    try:
        yield
    finally:
        _core.set_sharing(before)


def set_from_environment() -> None:
    """Set the number of threads at import."""
    if wanted := os.environ.get("BPTT_NUM_THREADS"):
        if not re.fullmatch(r"\s*[0-9]{1,9}\s*", wanted) or not 1 <= int(wanted) <= _MOST:
            raise ValueError(f"BPTT_NUM_THREADS: expected a number of threads from 1 to {_MOST}, got {shown(wanted)}")
        set_num_threads(int(wanted))
    else:
        set_num_threads(_openmp_threads() or available_threads())


def interrupt() -> None:
    """Stop every call under way, in whatever thread: each raises KeyboardInterrupt within about a tenth of a second.

    For programs whose calls run in other threads than the main one, such as a window with a button: there Ctrl-C is not
    heard. Results that were not returned yet are lost. Parameters are as they were: `fit` ends before the update under
    way, as after Ctrl-C. Calls that begin later are not affected.
    """
    _core.interrupt()
