"""A decision network with leaky units, noise and Dale's law, trained here and beside packages of neuroscience.

All train the same network on the same trials, which `bptt.tasks` makes within the time of an update: here by `fit`;
in PyTorch by a loop in the form of nn4n's, and by one that hoists what it can; in nn4n and in PsychRNN where they are
installed. Before the clock starts, losses without noise have to agree, and those with much noise nearly. Each
contender has a process of its own for each number of threads; they take turns, and the better number counts, for all.
The exit code is 1 if an update takes the loop in nn4n's form, or nn4n, less than 5 times as long as `fit`, or if a
training misses the accuracy.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import bptt
from bptt import Adam
from decision import (
    BATCH,
    CONTENDERS,
    ENTRIES,
    EXCITATORY,
    HOISTED,
    LEAK,
    LOOP,
    NN4N,
    OURS,
    PSYCHRNN,
    RATE,
    SIGMA,
    TASK,
    UNITS,
    Build,
    Contender,
    Fit,
    magnitudes_of_U,
    network,
    stream,
)
from peers import Entry
from report import machine, milliseconds, row
from workers import Clock, Worker, settle

HELD_OUT, EVERY = 1024, 25  # trials without noise, by which the accuracy is told; after every so many updates
TARGET, MOST = 0.86, 1500  # an ideal observer is right in 0.893 of all trials; updates at most
CHECKED, TOLERANCE = 5, 1e-4  # updates whose losses have to agree, and the relative difference that rounding may make
LOUD, LOUD_TOLERANCE = 30.0, 0.15  # noise, and how far losses may be apart: draws have a standard deviation of 4 %
TIMED = 5  # updates in a call that is timed: what a call of `fit` costs by itself is part of it
GOAL = 5.0
TRAINED = (OURS, LOOP, HOISTED, NN4N)  # PsychRNN's network is another one: its U has one sign
COMPARED = (LOOP, NN4N)  # what the goal is about


@dataclass(frozen=True)
class Train:
    """Until which accuracy, and for how many updates at most."""

    target: float
    most: int


@dataclass(frozen=True)
class Outcome:
    """A training: its seconds, validation included, and the accuracy after every EVERY updates."""

    seconds: float
    accuracy: list[float]
    target: float

    @property
    def updates(self) -> int:
        return EVERY * len(self.accuracy)

    @property
    def missed(self) -> bool:
        return self.accuracy[-1] < self.target


def train(contender: Contender, task: Train) -> Outcome:
    """Until the accuracy is reached."""
    held_out, accuracy, begin = TASK.trials(np.random.default_rng(0), HELD_OUT), [], time.perf_counter()
    while len(accuracy) * EVERY < task.most and not (accuracy and accuracy[-1] >= task.target):
        contender.update(EVERY)
        accuracy.append(TASK.score(contender.y_hat(held_out.x), held_out))
    return Outcome(time.perf_counter() - begin, accuracy, task.target)


def parts(threads: int) -> dict[str, float]:
    """Where the time of an update goes here: the seconds of each part by itself."""
    bptt.set_num_threads(threads)
    rnn, trials, optimizer = network(0), next(stream(0)), Adam(RATE)
    free = network(0)
    free.constraints = None
    rng = np.random.default_rng(0)
    x, y, weight = trials
    _, gradients = rnn.loss_and_gradients(x, y, weight=weight)
    scale = float(weight.sum())
    fit = Fit(Build(0, SIGMA))
    calls: dict[str, Callable[[], Any]] = {
        "all of it": lambda: fit.update(EVERY),
        "trials": lambda: TASK.trials(rng, BATCH),
        "loss and gradients": lambda: rnn.loss_and_gradients(x, y, weight=weight),
        "with noise": lambda: rnn.loss_and_gradients(x, y, weight=weight, noise=SIGMA, seed=0),
        "Adam": lambda: optimizer.step(free, gradients, scale=scale),
        "within constraints": lambda: optimizer.step(rnn, gradients, scale=scale),
    }
    clocks = {name: Clock(call, 0.02) for name, call in calls.items()}
    rounds = [{name: clock.seconds() for name, clock in clocks.items()} for _ in range(7)]
    of = {name: median(seconds[name] for seconds in rounds) for name in calls}
    whole = of["all of it"] / EVERY
    told = {
        "trials, made by NumPy": of["trials"],
        "loss and gradients without noise": of["loss and gradients"],
        "noise": of["with noise"] - of["loss and gradients"],
        "Adam": of["Adam"],
        "Dale's law": of["within constraints"] - of["Adam"],
    }
    return {**told, "the rest: checks, history": whole - sum(told.values()), "all of it": whole}


def serve(connection: Connection, entry: Entry, threads: int, dtype: str, least: float) -> None:
    """The loop of a worker: a contender is built, trained, or makes so many updates; "seconds" asks for an update's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other end stops this process
    bptt.set_num_threads(threads)
    if "torch" in entry.needs:
        import torch

        torch.set_num_threads(threads)
    contender: Any = None
    clock: Clock | None = None
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        answer: Any
        if isinstance(message, Build):
            contender = clock = None  # frees the last one's memory
            contender = CONTENDERS[entry.name](message)
            answer = None
        elif isinstance(message, Train):
            answer = train(contender, message)
        elif isinstance(message, int):
            answer = contender.update(message)
        elif message == "parts":
            answer = parts(threads)
        else:
            clock = clock or Clock(partial(contender.update, TIMED), least)
            answer = clock.seconds() / TIMED
        settle()
        connection.send(answer)


class NeuronsWorker(Worker):
    """A process for a contender and a number of threads."""

    def __init__(self, entry: Entry, threads: int, least: float) -> None:
        super().__init__(entry, threads, "float32", least, serve)

    def ask(self, message: Build | Train | int | str) -> Any:
        return self._ask(message)


def check(workers: list[NeuronsWorker]) -> None:
    """The first losses without noise agree (of PsychRNN the first alone, as its W is trained by its magnitudes).

    With noise that drowns all else, the first loss grows with its standard deviation. So it tells a wrong one.
    """
    x, y, weight = next(stream(0))
    for sigma, updates, tolerance in ((0.0, CHECKED, TOLERANCE), (LOUD, 1, LOUD_TOLERANCE)):
        rnn = magnitudes_of_U(0)
        other = [rnn.loss(x, y, weight=weight, noise=sigma, seed=0) / float(weight.sum())]
        expected: list[float] = []
        for worker in workers:  # the first is ours
            worker.ask(Build(0, sigma))
            found = worker.ask(updates)
            expected = expected or found
            compared, right = (found[:1], other) if worker.entry == PSYCHRNN else (found, expected)
            if not np.allclose(compared, right, rtol=tolerance, atol=0):
                raise SystemExit(f"noise {sigma:g}: the losses of {worker.key} disagree: {compared}, not {right}")


def measure(
    workers: list[NeuronsWorker], rounds: int, of_rounds: Callable[[list[float]], float]
) -> dict[str, tuple[float, int]]:
    """The time of an update of each contender at its better number of threads, and that number."""
    for worker in workers:
        worker.ask(Build(0, SIGMA))
    times: dict[tuple[str, int], list[float]] = {worker.key: [] for worker in workers}
    order, turns = random.Random(0), list(workers)
    for _ in range(rounds):
        order.shuffle(turns)
        for worker in turns:
            times[worker.key].append(worker.ask("seconds"))
    for (name, threads), found in times.items():
        print(f"{name}, threads: {threads}: {' '.join(map(milliseconds, found))}", file=sys.stderr)
    return {
        name: min((of_rounds(found), threads) for (whose, threads), found in times.items() if whose == name)
        for name, _ in times
    }


def train_all(
    workers: list[NeuronsWorker], updates: dict[str, tuple[float, int]], target: float, rounds: int
) -> dict[str, list[Outcome]]:
    """Whole trainings, each with its better number of threads, from new weights and trials in each round."""
    turns = [
        worker for worker in workers if worker.entry in TRAINED and updates[worker.entry.name][1] == worker.threads
    ]
    outcomes: dict[str, list[Outcome]] = {worker.entry.name: [] for worker in turns}
    for seed in range(rounds):
        for worker in turns[:: -1 if seed % 2 else 1]:
            worker.ask(Build(seed, SIGMA))
            outcome = worker.ask(Train(target, MOST))
            outcomes[worker.entry.name].append(outcome)
            curve = " ".join(f"{value:.3f}" for value in outcome.accuracy)
            print(f"round {seed + 1}, {worker.entry.name}: {outcome.seconds:.2f} s, {curve}", file=sys.stderr)
    return outcomes


def comparison(updates: dict[str, tuple[float, int]], outcomes: dict[str, list[Outcome]]) -> list[str]:
    """The table: an update, and a training, of each beside `fit`."""
    head = ["", "an update (threads)", "times `fit`'s", "to the accuracy", "its updates", "times `fit`'s"]
    lines = [row(head), row(["---", *["--:"] * (len(head) - 1)])]
    ours = updates[OURS.name][0]
    for name, (seconds, threads) in updates.items():
        of = outcomes.get(name, [])
        cells = [name, f"{milliseconds(seconds)} ({threads})", "" if name == OURS.name else f"**{seconds / ours:.1f}**"]
        if missed := sum(outcome.missed for outcome in of):
            cells += [f"not reached in {missed} of {len(of)}", "", ""]
        elif of:
            pairs = zip(of, outcomes[OURS.name], strict=True)
            ratio = median(its.seconds / fit.seconds for its, fit in pairs)
            cells += [f"{median(o.seconds for o in of):.1f} s", f"{median(o.updates for o in of):.0f}"]
            cells += ["" if name == OURS.name else f"**{ratio:.1f}**"]
        else:
            cells += ["", "", ""]
        lines.append(row(cells))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="each contender is timed once a round (default 11)")
    parser.add_argument("--trainings", type=int, default=7, help="whole trainings of each (default 7)")
    parser.add_argument("--target", type=float, default=TARGET, help=f"accuracy to reach (default {TARGET})")
    parser.add_argument("--threads", type=int, default=2, help="or 1, where that is faster (default 2)")
    parser.add_argument("--quick", action="store_true", help="3 short rounds, and 1 training of each")
    parser.add_argument("--best", action="store_true", help="fastest rounds instead of medians, on a machine in use")
    parser.add_argument("--output", type=Path, help="write the tables into this folder (Markdown)")
    options = parser.parse_args()
    rounds, trainings, least = (3, 1, 0.05) if options.quick else (options.rounds, options.trainings, 0.2)
    present = [entry for entry in ENTRIES if not Worker.missing(entry)]
    absent = [
        f"{e.name} is left out: {', '.join(Worker.missing(e))} not installed." for e in ENTRIES if e not in present
    ]
    if LOOP not in present:
        parser.exit(2, "PyTorch is not installed\n")
    counts = sorted({1, options.threads})
    workers = [NeuronsWorker(entry, threads, least) for entry, threads in product(present, counts)]
    try:
        check(workers)
        updates = measure(workers, rounds, min if options.best else median)
        fastest = next(w for w in workers if w.key == (OURS.name, updates[OURS.name][1]))
        of_update = fastest.ask("parts")
        outcomes = train_all(workers, updates, options.target, trainings)
    finally:
        for worker in workers:
            worker.stop()
    whole = of_update["all of it"]
    named = [Entry("PyTorch", "", None, ("torch",)), *(entry for entry in present if entry in (NN4N, PSYCHRNN))]
    report = [
        f"float32. {machine(named)}",
        f"Perceptual decisions: {UNITS} leaky relu units, dt / tau = {LEAK:g}, noise {SIGMA:g}, Dale's law",
        f"({EXCITATORY:.0%} excitatory), 100 steps, {BATCH} trials an update, Adam at {RATE:g}. Within each update",
        "`bptt.tasks` makes the trials, the same ones for all. Without noise the first losses of all agree.",
        f"An update: {'fastest' if options.best else 'median'} of {rounds} interleaved rounds; in brackets:",
        f"at how many threads. A training: until the network is right in {options.target:.0%} of {HELD_OUT} trials (an",
        f"ideal observer: {TASK.best:.1%}), told after every {EVERY} updates; medians, number of rounds: {trainings}.",
        *absent,
        "",
        *comparison(updates, outcomes),
        "",
        f"Where the time of an update of `fit` goes, {fastest.threads} thread{'s' * (fastest.threads > 1)}:",
        "",
        row(["", "time", "share"]),
        row(["---", "--:", "--:"]),
        *(row([name, milliseconds(seconds), f"{seconds / whole:.0%}"]) for name, seconds in of_update.items()),
    ]
    print("\n".join(report))
    if options.output:
        (options.output / "benchmark_neurons.md").write_text("\n".join(report) + "\n")
    slow = any(updates[e.name][0] < GOAL * updates[OURS.name][0] for e in COMPARED if e.name in updates)
    sys.exit(int(slow or any(outcome.missed for of in outcomes.values() for outcome in of)))


if __name__ == "__main__":
    main()
