"""How time and memory of a training gradient grow with tau, batch, n_hidden and threads; a process for each point."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import bptt
from bptt import ElmanRNN
from problem import SIZES, Line, Problem
from report import milliseconds, row
from workers import Clock


@dataclass(frozen=True)
class Point:
    """One measurement. `radius` scales W, whose spectral radius is near 1; `kept` is the share of the states that the
    memory limit allows.
    """

    line: Line
    threads: int
    dtype: str
    setting: str = ""
    readout: Literal["all", "last"] = "all"
    radius: float = 1.0
    kept: float | None = None

    @property
    def states(self) -> int:
        """The bytes of h(0), ..., h(tau)."""
        return (self.line.tau + 1) * self.line.batch * self.line.n_hidden * (8 if self.dtype == "float64" else 4)


class Measured(NamedTuple):
    """Seconds of a call, and the memory in bytes by which its first one raised the process's peak."""

    seconds: float
    memory: int


def peak_memory() -> int:
    """The most memory this process ever held, in bytes."""
    with suppress(OSError):
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(point: Point) -> Measured:
    """In a process of its own: the data is in memory and the package has run before the peak is looked at."""
    bptt.set_num_threads(point.threads)
    problem = Problem(point.line, point.dtype)
    rnn = ElmanRNN(*point.line.sizes[2:], readout=point.readout, dtype=point.dtype, init=None)
    rnn.parameters = problem.flat
    rnn.W *= point.radius
    x, y = problem.x, problem.y if point.readout == "all" else problem.y[-1]
    limit = None if point.kept is None else int(point.kept * point.states)

    def call() -> object:
        return rnn.loss_and_gradients(x, y, memory_limit=limit)

    rnn.loss_and_gradients(x[:2], y[:2] if point.readout == "all" else y)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is held now
    before = peak_memory()
    call()
    memory = peak_memory() - before
    clock = Clock(call, 0.05)
    return Measured(median(clock.seconds() for _ in range(5)), memory)


def sweeps(threads: int, dtype: str, quick: bool) -> dict[str, list[Point]]:
    """The points of each table."""

    def points(lines: list[Line]) -> list[Point]:
        return [Point(line, threads, dtype) for line in lines]

    threaded, limited, ended = Line(200, 64, 64, 256, 64), Line(10_000, 8, 32, 128, 32), Line(2000, 8, 32, 64, 32)
    return {
        "tau": points([Line(10**k, 1, 16, 64, 16) for k in range(2, 5 if quick else 7)]),
        "batch": points([Line(200, 4**k, 64, 128, 64) for k in range(3 if quick else 6)]),
        "n_hidden": points([Line(100, 32, 64, 2**k, 64) for k in range(3, 8 if quick else 12)]),
        "threads": [Point(threaded, n, dtype, f"{n} thread{'s' * (n > 1)}") for n in range(1, threads + 1)],
        "memory_limit": [
            Point(limited, threads, dtype, f"{kept:.0%} of the states" if kept else "no limit", kept=kept)
            for kept in (None, 0.5, 0.1, 0.03)
        ],
        "the spectral radius of W, with one readout at the end: gradients live or vanish": [
            Point(ended, threads, dtype, f"radius {radius:g}", "last", radius) for radius in (1.0, 0.1)
        ],
    }


def table(points: list[Point], measured: list[Measured]) -> list[str]:
    """Markdown; the states are (tau + 1) batch n_hidden numbers."""
    head = [SIZES, "setting", "time", "per step and sequence", "GFLOP/s", "memory"]
    lines = [row([*head, "of the states"]), row(["---", "---", *["--:"] * 5])]
    for point, result in zip(points, measured, strict=True):
        rate = Problem(point.line, point.dtype).operations("gradient") / result.seconds / 1e9
        cells = [
            str(point.line),
            point.setting,
            milliseconds(result.seconds),
            f"{result.seconds / (point.line.tau * point.line.batch) * 1e6:.3g} µs",
            f"{rate:.3g}" if point.readout == "all" else "",
            f"{result.memory / 1e6:.3g} MB",
            f"{result.memory / point.states:.2f}",
        ]
        lines.append(row(cells))
    return lines


def main() -> None:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", nargs="+", default=[""], help="those whose names begin so; all by default")
    parser.add_argument("--threads", type=int, default=min(2, available), help="at most so many (default 2)")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--rounds", type=int, default=3, help="each point's fastest of so many processes (default 3)")
    parser.add_argument("--quick", action="store_true", help="small points only")
    parser.add_argument("--output", type=Path, help="write the tables here too")
    options = parser.parse_args()
    text = [f"# Scaling of a training gradient, {options.dtype}, softmax, instruction set {bptt.config()['isa']}"]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name, points in sweeps(options.threads, options.dtype, options.quick).items():
            if name.startswith(tuple(options.sweeps)):
                rounds = [pool.map(measure, points, chunksize=1) for _ in range(options.rounds)]
                fastest = [min(of_point) for of_point in zip(*rounds, strict=True)]
                text += ["", f"## Against {name}", "", *table(points, fastest)]
    print("\n".join(text))
    if options.output:
        options.output.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
