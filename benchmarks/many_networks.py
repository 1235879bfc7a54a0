"""Many small networks: `fit_many` beside one after another, and beside PyTorch with joblib. Times whole trainings.

    python benchmarks/many_networks.py                # 64 networks, 5 rounds: some minutes, on a quiet machine
    python benchmarks/many_networks.py --quick        # a few networks, to see that all of it runs

Needs PyTorch and joblib. The processes of joblib are started, and have trained a little, before the clock starts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import joblib
import numpy as np
from numpy.typing import NDArray

import bptt
from peers import PEERS
from report import machine, row

N_IN, N_HIDDEN, N_OUT, TAU, BATCH, BATCHES, RATE = 8, 64, 8, 50, 32, 10, 1e-3
CHECKED, TOLERANCE = 5, 1e-4  # updates whose losses have to agree, and the relative difference that rounding may make
PYTORCH = next(entry for entry in PEERS if entry.name == "PyTorch")

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Task:
    """What each network learns: the class at every step of sequences that all networks share."""

    x: Array  # [tau, sequences, n_in]
    y: Array  # [tau, sequences]
    epochs: int


def task_of(epochs: int) -> Task:
    """The sign pattern of three inputs two steps ago."""
    random = np.random.default_rng(0)
    x = random.standard_normal((TAU, BATCH * BATCHES, N_IN)).astype(np.float32)
    y = np.roll((x[..., :3] > 0) @ [1, 2, 4], 2, axis=0)
    y[:2] = -1  # no target yet
    return Task(x, y, epochs)


def network_of(seed: int) -> bptt.ElmanRNN:
    return bptt.ElmanRNN(N_IN, N_HIDDEN, N_OUT, seed=seed)


def train_bptt(task: Task, seed: int) -> Array:
    """The loss of each update."""
    history = network_of(seed).fit(
        task.x,
        task.y,
        optimizer=bptt.Adam(RATE),
        epochs=task.epochs,
        batch_size=BATCH,
        shuffle=False,
        seed=seed,
        progress=False,
    )
    return history.updates.loss


def train_pytorch(task: Task, seed: int) -> Array:
    """The same from the same weights, eager and with a fused Adam, as its users would write it."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    own = network_of(seed)
    rnn, readout = nn.RNN(N_IN, N_HIDDEN), nn.Linear(N_HIDDEN, N_OUT)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.from_numpy(own.U))
        rnn.weight_hh_l0.copy_(torch.from_numpy(own.W))
        rnn.bias_ih_l0.copy_(torch.from_numpy(own.b))
        rnn.bias_hh_l0.zero_()
        readout.weight.copy_(torch.from_numpy(own.V))
        readout.bias.copy_(torch.from_numpy(own.c))
    rnn.bias_hh_l0.requires_grad_(False)  # bptt has one bias
    parameters = [p for p in (*rnn.parameters(), *readout.parameters()) if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, RATE, fused=True)
    cross_entropy = nn.CrossEntropyLoss(ignore_index=-1)
    batches = [
        (torch.from_numpy(task.x[:, i : i + BATCH]), torch.from_numpy(task.y[:, i : i + BATCH]).flatten())
        for i in range(0, task.x.shape[1], BATCH)
    ]
    losses = []
    for _ in range(task.epochs):
        for x, y in batches:
            loss = cross_entropy(readout(rnn(x)[0]).flatten(0, 1), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return np.array(losses)


# ---- The contenders: all networks, one way or another ----


@contextmanager
def threads(n: int) -> Iterator[None]:
    before = bptt.get_num_threads()
    bptt.set_num_threads(n)
    try:
        yield
    finally:
        bptt.set_num_threads(before)


def one_after_another(task: Task, seeds: range, n: int) -> list[Array]:
    with threads(n):
        return [train_bptt(task, seed) for seed in seeds]


def side_by_side(task: Task, seeds: range, n: int) -> list[Array]:
    with threads(n):
        return bptt.fit_many([partial(train_bptt, task, seed) for seed in seeds], progress=False)


def by_joblib(train: Callable[[Task, int], Array], backend: str, task: Task, seeds: range, n: int) -> list[Array]:
    with threads(n):
        found: list[Array] = joblib.Parallel(n, backend=backend)(joblib.delayed(train)(task, seed) for seed in seeds)
    return found


def contenders(n: int) -> dict[str, Callable[[Task, range], list[Array]]]:
    """By name, ours first, each with this number of threads or processes."""
    return {
        "bptt, `fit_many`": partial(side_by_side, n=n),
        "bptt, one after another, 1 thread": partial(one_after_another, n=1),
        f"bptt, one after another, {n} threads": partial(one_after_another, n=n),
        f"bptt, joblib, {n} threads": partial(by_joblib, train_bptt, "threading", n=n),
        f"bptt, joblib, {n} processes": partial(by_joblib, train_bptt, "loky", n=n),
        f"PyTorch, joblib, {n} processes of 1 thread": partial(by_joblib, train_pytorch, "loky", n=n),
    }


def check(found: dict[str, list[Array]], names: list[str]) -> None:
    """Ours have the same bits; those of PyTorch begin alike."""
    ours = found[names[0]]
    for name in names[1:]:
        for own, other in zip(ours, found[name], strict=True):
            if name.startswith("bptt"):
                np.testing.assert_array_equal(own, other, name)
            else:
                np.testing.assert_allclose(other[:CHECKED], own[:CHECKED], rtol=TOLERANCE, err_msg=name)


def markdown(times: dict[str, list[float]], networks: int, task: Task) -> str:
    ours = next(iter(times))
    head = ["", "median", "fastest", "a network", "time : `fit_many`, median (lowest to highest of the rounds)"]
    updates = task.epochs * BATCHES
    lines = [
        f"float32. {machine([PYTORCH])} joblib {joblib.__version__}.",
        f"{networks} networks of {N_HIDDEN} units, {N_IN} inputs and {N_OUT} classes; each makes {updates} updates",
        f"on {BATCH} sequences of {TAU} steps by Adam, on the same data. PyTorch begins with the same weights, and its",
        "first losses agree; those of bptt have the same bits in every way. Processes run before the clock starts.",
        f"Rounds, in turns: {len(times[ours])}.",
        "",
        row(head),
        row(["---", *["--:"] * (len(head) - 1)]),
    ]
    for name, rounds in times.items():
        ratios = [other / own for other, own in zip(rounds, times[ours], strict=True)]
        compared = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        of_one = f"{median(rounds) / networks * 1e3:.0f} ms"
        lines.append(row([name, f"{median(rounds):.2f} s", f"{min(rounds):.2f} s", of_one, compared]))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=64, help="how many (default 64)")
    parser.add_argument("--updates", type=int, default=200, help="of each, a multiple of 10 (default 200)")
    parser.add_argument("--rounds", type=int, default=5, help="each trains them all once a round (default 5)")
    parser.add_argument(
        "--threads", type=int, default=bptt.get_num_threads(), help="or processes (default %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="4 networks, 20 updates, 2 rounds")
    parser.add_argument("--output", type=Path, help="write the table into this folder (Markdown)")
    options = parser.parse_args()
    if options.quick:
        options.networks, options.updates, options.rounds = 4, 20, 2
    task, seeds = task_of(options.updates // BATCHES), range(options.networks)
    ways = contenders(options.threads)
    for way in ways.values():  # starts threads and processes, and loads kernels
        way(task_of(1), range(2 * options.threads))
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds):
        found = {}
        for name in list(ways)[:: -1 if number % 2 else 1]:  # they take turns in going first
            begin = time.perf_counter()
            found[name] = ways[name](task, seeds)
            times[name].append(time.perf_counter() - begin)
            print(f"round {number + 1}, {name}: {times[name][-1]:.2f} s", file=sys.stderr)
        check(found, list(ways))
    report = markdown(times, options.networks, task)
    print(report)
    if options.output:
        (options.output / "benchmark_many.md").write_text(report)


if __name__ == "__main__":
    main()
