"""How many threads of this process and of those that it has started want a processor, as another process sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task/self/stat").exists() and not Path(f"/proc/self/task/{os.getpid()}/stat").exists(),
    reason="this system does not list the states of a process's threads",
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
