"""A program: calls that get less memory than they need, under many limits: each allocation is once the one that fails.

`python tests/memory_limits.py` runs all; with `--quick` a part of it, as `test_sizes.py` does. Every call runs in a
child process under a limit of its address space, a little higher each time, until it has what it needs. It may raise
MemoryError and nothing else, and a small call after it gives the bits that it gave before. Then each call fails fifty
times in one process, whose memory must stay what it was.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

import bptt
from bptt import ElmanRNN, JordanRNN

PAGE = resource.getpagesize()
MOST = resource.RLIM_INFINITY
RANDOM = np.random.default_rng(0)
WARM_UP, FAILURES = 5, 50  # of each call, one after the other
GROWTH = (
    2 << 20
)  # bytes of resident memory that the fifty may leave: the allocator's and Python's own, and no block of a call

NETWORKS: dict[str, tuple[Any, int, int]] = {  # tau, batch
    "one layer": (ElmanRNN(16, 64, 8, seed=0), 2000, 16),
    "columns shared": (ElmanRNN(16, 256, 8, seed=0), 4000, 2),
    "layers": (ElmanRNN(16, (48, 32, 40), 8, seed=0), 2000, 12),
    "layers side by side": (ElmanRNN(16, (64, 64), 8, seed=0), 8000, 1),
    "two directions": (ElmanRNN(16, (32, 24), 8, bidirectional=True, seed=0), 2000, 12),
    "last": (ElmanRNN(16, 64, 8, readout="last", seed=0), 2000, 16),
    "float64": (ElmanRNN(16, 64, 8, dtype="float64", seed=0), 2000, 16),
    "tokens": (ElmanRNN(40, 64, 40, input="token", seed=0), 2000, 16),
    "output recurrence": (JordanRNN(16, 64, 8, seed=0), 2000, 16),
}


def data(rnn: Any, tau: int, batch: int) -> tuple[Any, Any]:
    if rnn.input == "token":
        x: Any = RANDOM.integers(0, rnn.n_in, (tau, batch))
    else:
        x = RANDOM.standard_normal((tau, batch, rnn.n_in)).astype(rnn.dtype)
    return x, RANDOM.integers(0, rnn.n_out, (batch,) if getattr(rnn, "readout", "all") == "last" else (tau, batch))


def calls(folder: str) -> dict[str, Callable[[], object]]:
    """Everything that takes memory, by name."""
    found: dict[str, Callable[[], object]] = {}

    def add(name: str, rnn: Any, x: Any, y: Any) -> None:
        found[f"{name}: forward"] = lambda: rnn.forward(x)
        found[f"{name}: loss"] = lambda: rnn.loss(x, y)
        found[f"{name}: gradients"] = lambda: rnn.loss_and_gradients(x, y)
        if rnn.input == "real":
            found[f"{name}: wrt_x"] = lambda: rnn.loss_and_gradients(x, y, wrt_x=True)
        if name != "two directions":
            found[f"{name}: memory_limit"] = lambda: rnn.loss_and_gradients(x, y, memory_limit=3_000_000)
        windows = {"truncate": 200} if name not in ("two directions", "last") else {}
        found[f"{name}: fit"] = lambda: rnn.fit(
            x,
            y,
            optimizer=bptt.Adam(1e-3),
            epochs=2,
            validation=(x, y),
            checkpoint=f"{folder}/checkpoint",
            seed=0,
            progress=False,
            **windows,
        )

    for name, (rnn, tau, batch) in NETWORKS.items():
        add(name, rnn, *data(rnn, tau, batch))
    large, tokens, jordan = ElmanRNN(64, 700, 64, seed=0), NETWORKS["tokens"][0], NETWORKS["output recurrence"][0]
    large.save(f"{folder}/model")
    found["generate"] = lambda: tokens.generate(20_000, h0=np.zeros((40, 64)), seed=0)
    found["generate: output recurrence"] = lambda: jordan.generate(4000, x=np.zeros((4000, 40, 16)), seed=0)
    found["construct"] = lambda: ElmanRNN(64, 700, 64, seed=0)
    found["save"] = lambda: large.save(f"{folder}/again")
    found["load"] = lambda: bptt.load(f"{folder}/model")
    return found


QUICK = (
    "layers: gradients",
    "two directions: forward",
    "output recurrence: fit",
    "generate",
    "construct",
    "save",
    "load",
)


def pages(place: int) -> int:
    """Bytes of address space (0), or that are resident (1)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[place]) * PAGE


def fill(total: int) -> list[bytearray]:
    """Take what is left up to a limit of the address space, which stays. It is free again with the result."""
    taken: list[bytearray] = []
    resource.setrlimit(resource.RLIMIT_AS, (total, MOST))
    for size in (1 << 20, 1 << 16, 1 << 12):
        with suppress(MemoryError):
            while True:
                taken.append(bytearray(size))
    del taken[-1]  # for Python itself
    return taken


def outcome(call: Callable[[], object], total: int) -> str:
    """How a call ends that gets no more than so many bytes of address space."""
    resource.setrlimit(resource.RLIMIT_AS, (total, MOST))
    try:
        call()
    except MemoryError:
        return "MemoryError"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    return "done"


def in_child(work: Callable[[], str], seconds: float = 60) -> str:
    """What `work` returns in a process of its own, or how that process ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, work().encode())
        finally:
            os._exit(0)
    os.close(writing)
    begin = time.monotonic()
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() - begin < seconds:
        time.sleep(0.002)
    with os.fdopen(reading) as file:
        if ended[0] == 0:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return "hangs"
        code = os.waitstatus_to_exitcode(ended[1])
        return file.read() if code == 0 else f"exit code {code}"


def small() -> bytes:
    """The bits of a small call."""
    rnn = ElmanRNN(16, (12, 9), 8, seed=0)
    x = np.ones((5, 2, 16), np.float32)
    _, gradients = rnn.loss_and_gradients(x, np.ones((5, 2), int))
    return b"".join(view.tobytes() for view in gradients.by_name().values())


def under_many_limits(call: Callable[[], object], step: float, factor: float) -> tuple[Counter[str], int]:
    """How the call ended under each limit, from no more memory to enough; and that, in bytes."""
    bits = small()

    def once() -> str:
        before = pages(0)
        taken = fill(before)
        ended = outcome(call, before + int(more))
        del taken
        return ended if small() == bits else f"{ended}, then other bits"

    found: Counter[str] = Counter()
    more, enough = 0.0, 0
    while not found["done"] and more < 1 << 30:
        found[in_child(once)] += 1
        enough, more = int(more), more + max(step, more * factor)
    return found, enough


def growth_of_failures(call: Callable[[], object], more: int) -> str:
    """Resident memory after many failures, above that after the first few, in bytes; or another end."""
    total = pages(0) + more  # the same for all: what one call leaves is not there for the next
    taken = fill(total - more)
    for i in range(-WARM_UP, FAILURES):
        if i == 0:
            gc.collect()
            before = pages(1)
        if (ended := outcome(call, total)) != "MemoryError":
            return ended
    gc.collect()
    left = pages(1) - before
    del taken
    return str(left)


def warm_up() -> None:
    """What is imported when it is first needed is imported now."""
    with tempfile.TemporaryDirectory() as folder:
        rnn = ElmanRNN(3, 4, 2, seed=0)
        x, y = np.ones((6, 2, 3)), np.ones((6, 2), int)
        rnn.fit(x, y, optimizer=bptt.Adam(1e-3), epochs=1, validation=(x, y), checkpoint=f"{folder}/c", progress=False)
        rnn.save(f"{folder}/m")
        bptt.load(f"{folder}/m")


def main() -> int:
    parser = argparse.ArgumentParser(description="Calls under limits of memory.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("names", nargs="*", help="calls, by their beginnings (default: all)")
    options = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
    wrong, limits, failures = 0, 0, 0
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        for name, call in calls(folder).items():
            if (options.quick and name not in QUICK) or not name.startswith(tuple(options.names) or ""):
                continue
            for threads in options.threads:
                bptt.set_num_threads(threads)
                begin = time.monotonic()
                step, factor = (1 << 20, 0.5) if options.quick else (1 << 17, 0.02)
                found, enough = under_many_limits(call, step, factor)
                grown = in_child(partial(growth_of_failures, call, enough // 2))
                good = set(found) == {"MemoryError", "done"} and grown.lstrip("-").isdecimal() and int(grown) <= GROWTH
                limits, failures, wrong = limits + found.total(), failures + found["MemoryError"], wrong + (not good)
                seconds = time.monotonic() - begin
                ends = f"{dict(found)}; fifty failures left {grown} bytes; {seconds:.1f} s"
                print(f"{'ok' if good else 'WRONG'}: {name}, {threads} threads: {ends}", flush=True)
    print(f"{limits} limits, {failures} failures for want of memory, {wrong} calls with other ends")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
