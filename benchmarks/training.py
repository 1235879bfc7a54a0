"""Training to the same validation loss, here and in PyTorch: one model, one text, one table. Times whole trainings."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, product
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

import bptt
from bptt import Adam, ElmanRNN
from peers import PEERS
from report import machine, row
from workers import Worker

HIDDEN, STREAMS, TAU, RATE, MAX_NORM = 128, 32, 100, 2e-3, 1.0
TARGET = 1.772  # nats per character of Tiny Shakespeare: 9 to 11 epochs, and well between the losses of two epochs
CHECKED, TOLERANCE = 5, 1e-4  # updates whose losses have to agree, and the relative difference that rounding may make
WAYS = ("nn.RNN", "loop")  # how PyTorch may go over the steps: on one-hot vectors, or by hand on an embedding
TRIED, TRIES = 100, 3  # updates by which its fastest way and number of threads are found, and how often they are timed
PYTORCH = next(entry for entry in PEERS if entry.name == "PyTorch")
SOURCE = "Tiny Shakespeare is https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"

Tokens = NDArray[np.int64]
Streams = tuple[Tokens, Tokens]  # ``[time, stream]``: x, and the tokens that follow, y


@dataclass(frozen=True)
class Task:
    """What is trained, on what, and until when."""

    training: Streams
    held_out: Streams
    n: int  # characters in the vocabulary
    target: float  # validation loss, nats per character
    epochs: int  # at most
    threads: int
    seed: int = 0  # of the initial weights
    way: str = "fit"  # what goes over the steps; of PyTorch one of WAYS

    def first(self, updates: int) -> Task:
        """The beginning of the first epoch, with as little validation as there can be."""
        (x, y), (x_valid, y_valid), steps = self.training, self.held_out, updates * TAU
        return replace(self, training=(x[:steps], y[:steps]), held_out=(x_valid[:1], y_valid[:1]), epochs=1)


@dataclass(frozen=True)
class Outcome:
    """Seconds of a training, the loss of each update, the validation loss of each epoch."""

    seconds: float
    losses: list[float]
    validation: list[float]

    def missed(self, target: float) -> bool:
        return not self.validation[-1] <= target  # which NaN misses


def train_bptt(task: Task) -> Outcome:
    """As a user would write it."""
    bptt.set_num_threads(task.threads)
    rnn = ElmanRNN(task.n, HIDDEN, task.n, input="token", seed=task.seed)
    start = time.perf_counter()
    history = rnn.fit(
        *task.training,
        optimizer=Adam(RATE),
        epochs=task.epochs,
        truncate=TAU,
        clip_norm=MAX_NORM,
        validation=task.held_out,
        progress=False,
        callbacks=[lambda history: bool(history.validation[-1] <= task.target)],
    )
    seconds = time.perf_counter() - start
    return Outcome(seconds, history.updates.loss.tolist(), history.validation.tolist())


def train_pytorch(task: Task) -> Outcome:
    """Eager and time-major; validation goes window by window too, which is faster than all steps at once."""
    import torch
    from torch import Tensor, nn
    from torch.nn.functional import cross_entropy, embedding, one_hot

    torch.set_num_threads(task.threads)
    rnn, readout = nn.RNN(task.n, HIDDEN), nn.Linear(HIDDEN, task.n)
    initial = ElmanRNN(task.n, HIDDEN, task.n, input="token", seed=task.seed)
    parameters = [rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, readout.weight, readout.bias]
    with torch.no_grad():
        for parameter, letter in zip(parameters, "UWbVc", strict=True):
            parameter.copy_(torch.from_numpy(getattr(initial, letter)))
        rnn.bias_hh_l0.zero_().requires_grad_(False)  # the model has one bias
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def loop(x: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        h = torch.zeros(x.shape[1], HIDDEN) if h is None else h
        W, states = rnn.weight_hh_l0.t(), []
        for a in (embedding(x, rnn.weight_ih_l0.t()) + rnn.bias_ih_l0).unbind():
            h = torch.addmm(a, h, W).tanh()
            states.append(h)
        return torch.stack(states), h

    def mean_loss(x: Tensor, y: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        states, h = loop(x, h) if task.way == "loop" else rnn(one_hot(x, task.n).float(), h)
        return cross_entropy(readout(states.flatten(0, 1)), y.flatten()), h.detach()

    losses, validation = [], []
    start = time.perf_counter()
    training, held_out = (
        list(zip(*(torch.from_numpy(part).split(TAU) for part in streams), strict=True))
        for streams in (task.training, task.held_out)
    )
    for _ in range(task.epochs):
        h = None
        for x, y in training:
            loss, h = mean_loss(x, y, h)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, MAX_NORM)
            optimizer.step()
            losses.append(loss.item())
        h, total = None, 0.0
        with torch.inference_mode():
            for x, y in held_out:
                loss, h = mean_loss(x, y, h)
                total += loss.item() * y.numel()
        validation.append(total / task.held_out[1].size)
        if validation[-1] <= task.target:
            break
    return Outcome(time.perf_counter() - start, losses, validation)


CONTENDERS = {"bptt": train_bptt, "PyTorch": train_pytorch}


def apart(train: Callable[[Task], Outcome], task: Task) -> Outcome:
    """Train in a process of its own; a first window, which loads the kernels and starts the threads, goes ahead."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(train, task.first(1)).result()
        return pool.submit(train, task).result()


def for_pytorch(task: Task) -> Task:
    """The task in the way and with the threads that are PyTorch's fastest here, after its losses are seen to agree."""
    first = task.first(TRIED)
    expected = apart(train_bptt, first).losses[:CHECKED]
    times: dict[tuple[str, int], list[float]] = {}
    for _, way, threads in product(range(TRIES), WAYS, sorted({1, task.threads})):
        outcome = apart(train_pytorch, replace(first, way=way, threads=threads))
        if not np.allclose(outcome.losses[:CHECKED], expected, rtol=TOLERANCE, atol=0):
            raise SystemExit(f"the first losses disagree: {expected} in bptt, {outcome.losses[:CHECKED]} in PyTorch")
        times.setdefault((way, threads), []).append(outcome.seconds / len(outcome.losses))
    for (way, threads), seconds in times.items():
        print(f"PyTorch, {way}, threads: {threads}: {median(seconds) * 1e3:.1f} ms an update", file=sys.stderr)
    way, threads = min(times, key=lambda key: median(times[key]))
    return replace(task, way=way, threads=threads)


def streams(tokens: Tokens) -> Streams:
    """A text cut into parallel streams of equal length."""
    steps = (len(tokens) - 1) // STREAMS
    if steps < 1:
        raise SystemExit(f"the text is too short: a tenth of it has to have more than {STREAMS} characters")
    x, y = (tokens[i : i + steps * STREAMS].reshape(STREAMS, steps).T for i in (0, 1))
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def markdown(text: str, tasks: dict[str, Task], outcomes: dict[str, list[Outcome]]) -> str:
    """The report: medians of the rounds, and the median of their ratios if all reached the target."""
    task = tasks["bptt"]
    missed = {name: sum(o.missed(task.target) for o in rounds) for name, rounds in outcomes.items()}
    ratio = median(its.seconds / ours.seconds for ours, its in zip(*outcomes.values(), strict=True))
    comparison = {"bptt": "" if any(missed.values()) else f"**{ratio:.2f}**", "PyTorch": ""}
    head = ["", "time to the target", "updates", "validation loss", "updates per second", "PyTorch : bptt"]
    lines = [
        f"float32. {machine([PYTORCH])}",
        f"A language model of {text}: {task.n} characters, {HIDDEN} hidden units; {STREAMS} streams, windows of",
        f"{TAU} steps, Adam at {RATE:g}, gradients clipped to norm {MAX_NORM:g}; the last tenth is held out.",
        "Both begin with the same weights, new ones in each round, and see the same windows; their first losses agree.",
        f"The clock runs from arrays of tokens to a validation loss of {task.target:g} nats per character, in a",
        "process for each training. PyTorch is eager, its Adam fused; it goes over the steps in the faster of two ways",
        "(nn.RNN on one-hot vectors; a loop of addmm and tanh on an embedding), with the faster number of threads.",
        f"Medians; number of rounds: {len(outcomes['bptt'])}.",
        "",
        row(head),
        row(["---", *["--:"] * (len(head) - 1)]),
    ]
    for name, rounds in outcomes.items():
        threads, misses = tasks[name].threads, f"not reached in {missed[name]} of {len(rounds)}"
        cells = [
            f"{name}, {tasks[name].way}, {threads} thread{'s' * (threads > 1)}",
            misses if missed[name] else f"{median(o.seconds for o in rounds):.2f} s",
            f"{median(len(o.losses) for o in rounds):.0f}",
            f"{median(o.validation[-1] for o in rounds):.4f}",
            f"{median(len(o.losses) / o.seconds for o in rounds):.1f}",
        ]
        lines.append(row([*cells, comparison[name]]))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(os.environ.get("BPTT_DATA", ""), "tinyshakespeare.txt")
    parser.add_argument("file", nargs="?", type=Path, default=default, help="default $BPTT_DATA/tinyshakespeare.txt")
    parser.add_argument("--rounds", type=int, default=3, help="each trains once a round (default 3)")
    parser.add_argument("--target", type=float, default=TARGET, help=f"validation loss to reach (default {TARGET})")
    parser.add_argument("--epochs", type=int, default=30, help="at most (default 30)")
    parser.add_argument("--threads", type=int, default=2, help="PyTorch: 1, if that is faster (default 2)")
    parser.add_argument("--output", type=Path, help="write the table into this folder (Markdown)")
    options = parser.parse_args()
    if Worker.missing(PYTORCH):
        parser.exit(2, "PyTorch is not installed\n")
    if not options.file.is_file():
        parser.exit(2, f"{options.file}: no such file; {SOURCE}\n")
    characters, tokens = np.unique(list(options.file.read_text(encoding="utf-8")), return_inverse=True)
    end = len(tokens) - len(tokens) // 10
    data = streams(tokens[:end]), streams(tokens[end:])
    task = Task(*data, len(characters), options.target, options.epochs, options.threads)
    tasks = {"bptt": task, "PyTorch": for_pytorch(task)}
    outcomes: dict[str, list[Outcome]] = {name: [] for name in tasks}
    for seed in range(options.rounds):
        for name in list(tasks)[:: -1 if seed % 2 else 1]:  # they take turns in going first
            outcome = apart(CONTENDERS[name], replace(tasks[name], seed=seed))
            outcomes[name].append(outcome)
            losses = " ".join(f"{loss:.4f}" for loss in outcome.validation)
            print(f"round {seed + 1}, {name}: {outcome.seconds:.2f} s, validation {losses}", file=sys.stderr)
    report = markdown(options.file.name, tasks, outcomes)
    print(report)
    if options.output:
        (options.output / "benchmark_training.md").write_text(report)
    sys.exit(any(outcome.missed(options.target) for outcome in chain(*outcomes.values())))


if __name__ == "__main__":
    main()
