"""A training script in PyTorch with `nn.RNN`, and the same script with `bptt.torch.RNN`: the time of an update.

An update is forward, cross_entropy of a Linear on every state, backward, and PyTorch's Adam. Each script runs in a
process of its own for each number of threads, and they take turns. The better number counts, for both. The exit code is
1 if the module here is slower at a size, or less than 2.5 times as fast in the geometric mean.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import geometric_mean, median

import numpy as np

from peers import Entry
from report import machine, milliseconds, row
from workers import Clock, Worker, settle

TAU, N_IN, N_OUT = 100, 32, 32
HIDDEN, BATCHES, LAYERS = (32, 128, 512), (1, 32), (1, 2)
CHECKED, TOLERANCE = 5, 1e-4  # updates whose losses have to agree, and the relative difference that rounding may make
GOAL = 2.5
THEIRS, OURS = Entry("nn.RNN", "", None, ("torch",)), Entry("bptt.torch.RNN", "", None, ("bptt",))


@dataclass(frozen=True)
class Size:
    """What is trained."""

    n_hidden: int
    batch: int
    layers: int

    def __str__(self) -> str:
        return f"{self.n_hidden}{f'x{self.layers}' * (self.layers > 1)}, batch {self.batch}"


def script(name: str, size: Size) -> Callable[[], float]:
    """An update, which gives the loss."""
    import torch
    from torch import nn

    import bptt.torch

    torch.manual_seed(0)
    rnn = (nn.RNN if name == THEIRS.name else bptt.torch.RNN)(N_IN, size.n_hidden, size.layers)
    readout = nn.Linear(size.n_hidden, N_OUT)
    optimizer = torch.optim.Adam([*rnn.parameters(), *readout.parameters()])
    x, y = torch.randn(TAU, size.batch, N_IN), torch.randint(N_OUT, (TAU * size.batch,))

    def update() -> float:
        optimizer.zero_grad()
        output, _ = rnn(x)
        loss = nn.functional.cross_entropy(readout(output).flatten(0, 1), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return update


def serve(connection: Connection, entry: Entry, threads: int, dtype: str, least: float) -> None:
    """The loop of a worker: a size is built and answered by its first losses; what else comes asks for the time."""
    import torch

    import bptt

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other end stops this process
    torch.set_num_threads(threads)
    bptt.set_num_threads(threads)
    update: Callable[[], float] = float
    clock: Clock | None = None
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        if isinstance(message, Size):
            update, clock = script(entry.name, message), None
            connection.send([update() for _ in range(CHECKED)])
        else:
            clock = clock or Clock(update, least)
            seconds = clock.seconds()
            settle()
            connection.send(seconds)


class ScriptWorker(Worker):
    """A process for a script and a number of threads."""

    def __init__(self, entry: Entry, threads: int, least: float) -> None:
        super().__init__(entry, threads, "float32", least, serve)

    def build(self, size: Size) -> list[float]:
        return self._ask(size)

    def update(self) -> float:
        return self._ask("seconds")


def measure(size: Size, workers: list[ScriptWorker], rounds: int) -> dict[str, tuple[float, int]]:
    """The median time of each script at its better number of threads, and that number; its losses checked before."""
    losses = {worker.key: worker.build(size) for worker in workers}
    expected = losses[THEIRS.name, 1]
    for key, found in losses.items():
        if not np.allclose(found, expected, rtol=TOLERANCE, atol=0):
            raise SystemExit(f"{size}: the losses of {key} disagree: {found}, not {expected}")
    times: dict[tuple[str, int], list[float]] = {worker.key: [] for worker in workers}
    order, turns = random.Random(0), list(workers)
    for _ in range(rounds):
        order.shuffle(turns)
        for worker in turns:
            times[worker.key].append(worker.update())
    return {
        name: min((median(found), threads) for (whose, threads), found in times.items() if whose == name)
        for name in (THEIRS.name, OURS.name)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="each script is timed once a round (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="or 1, where that is faster (default 2)")
    parser.add_argument("--quick", action="store_true", help="3 short rounds")
    parser.add_argument("--output", type=Path, help="write the table into this file (Markdown)")
    options = parser.parse_args()
    if Worker.missing(THEIRS):
        parser.exit(2, "PyTorch is not installed\n")
    rounds, least = (3, 0.02) if options.quick else (options.rounds, 0.1)
    workers = [
        ScriptWorker(entry, threads, least) for entry, threads in product((THEIRS, OURS), sorted({1, options.threads}))
    ]
    head = ["n_hidden", f"{THEIRS.name} (threads)", f"{OURS.name} (threads)", "ratio"]
    lines, ratios = [row(head), row(["---", "--:", "--:", "--:"])], []
    for n_hidden, batch, layers in product(HIDDEN, BATCHES, LAYERS):
        size = Size(n_hidden, batch, layers)
        (theirs, its), (ours, own) = measure(size, workers, rounds).values()
        ratios.append(theirs / ours)
        cells = [f"{milliseconds(theirs)} ({its})", f"**{milliseconds(ours)}** ({own})", f"**{ratios[-1]:.2f}**"]
        lines.append(row([str(size), *cells]))
        print(lines[-1], file=sys.stderr)
    for worker in workers:
        worker.stop()
    mean, least_ratio = geometric_mean(ratios), min(ratios)
    report = [
        f"float32, {TAU} steps, {N_IN} inputs, {N_OUT} outputs. {machine([Entry('PyTorch', '', None, ('torch',))])}",
        f"An update of a script in PyTorch (Adam), the median of {rounds} rounds; in brackets: at how many threads.",
        "",
        *lines,
        "",
        f"Geometric mean of the ratios: {mean:.2f}; the least: {least_ratio:.2f}.",
    ]
    print("\n".join(report))
    if options.output:
        options.output.write_text("\n".join(report) + "\n")
    sys.exit(int(mean < GOAL or least_ratio < 1))


if __name__ == "__main__":
    main()
