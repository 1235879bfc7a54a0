"""How many threads of this process and of those that it has started want a processor, as another process sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

# Of the moments at which threads are counted: a call that begins finds another one in the midst of a window, and a
# worker that has nothing to do goes to sleep after some 0.3 ms. Seen on busy machines: 0 to 0.1, and 0.26 to 0.82 where
# calls do not share the threads.
MOST_ABOVE = 0.18

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="this system does not list the states of a process's threads"
)

# A thread that runs, or waits for a processor, is in state R. Those that wait for a lock, Python's too, are not.
WATCH = """
import os, sys, time

def fields(path):
    with open(path) as file:
        return file.read().rpartition(")")[2].split()  # of "pid (name) state parent ..."

def tree(top):
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(pid)] = int(fields(f"/proc/{pid}/stat")[1])
        except OSError:
            pass
    found = {top}
    while more := {pid for pid, parent in parents.items() if parent in found and pid != os.getpid()} - found:
        found |= more
    return found

def busy(pids):
    n = 0
    for pid in pids:
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                n += fields(f"/proc/{pid}/task/{task}/stat")[0] == "R"
            except OSError:
                pass
    return n

pids = tree(int(sys.argv[1]))
print("begun", flush=True)
os.set_blocking(0, False)
while sys.stdin.buffer.raw.read(1) is None:
    print(busy(pids))
    time.sleep(0.002)
"""


@contextmanager
def watched() -> Iterator[list[int]]:
    """The list has, afterwards, the number of busy threads at many moments: of all processes that existed before."""
    counts: list[int] = []
    command = [sys.executable, "-c", WATCH, str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            yield counts
        finally:
            printed, _ = process.communicate()
            counts += map(int, printed.split())


def share_above(counts: list[int], allowed: int) -> float:
    """The part of the moments at which more threads were busy than allowed."""
    assert len(counts) >= 20, "moments enough"
    return sum(count > allowed for count in counts) / len(counts)


def _fields(path: Path) -> list[str]:
    return path.read_text().rpartition(")")[2].split()  # of "pid (name) state parent ..."


def seconds_of_threads() -> dict[str, float]:
    """The processor time that each thread of this process, and of those that it has started, has taken so far."""
    found, parents = {}, {os.getpid()}
    processes = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            processes[int(folder.name)] = int(_fields(folder / "stat")[1])
    while more := {process for process, parent in processes.items() if parent in parents} - parents:
        parents |= more
    for process in parents:
        with suppress(OSError):
            for task in Path(f"/proc/{process}/task").iterdir():
                ticks = _fields(task / "stat")[11:13]  # in the program, in the system
                found[task.name] = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return found
