"""One step at a time, from Python: this package beside its peers, how evenly steps come, and whether targets hold."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

import bptt
from peers import PEAK, fma_peak
from problem import Array, Line, Problem
from report import machine, row
from steps import BLOCK, FRAMEWORKS, HEADER, NUMPY, NUMPY_TOGETHER, OURS, PEERS, Entry, Stepper, generation
from workers import ATTEMPTS, DISTURBED, Clock, Worker, queued, settle

TAU, N_IN, N_OUT, TOGETHER = 200, 16, 16, 64
SAMPLE_RATE, BLOCK_OF_AUDIO = 48_000, 64
TOLERANCE = 5e-5  # of the norm, from NumPy in double precision: ten times the rounding that is seen
STEP_GOALS = {32: 0.6, 64: 0.8, 128: 1.5, 256: 4.0}  # microseconds
CORE_GOALS = {32: 0.25, 64: 0.45, 128: 1.1, 256: 3.5}
FRAMEWORK_GOALS = {32: 10.0, 64: 10.0, 128: 10.0, 256: 4.0}  # how many times the time of a step
NUMPY_GOALS = {32: 4.0, 64: 4.0, 128: 4.0, 256: 1.8}
TAIL_GOAL, TOGETHER_GOAL, ALONE_GOAL, GENERATED_GOAL = 3.0, 15.0, 200_000.0, 10.0
AUDIO = Line(BLOCK_OF_AUDIO, 1, 1, 32, 1)
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PJRT_NPROC", "OMP_NUM_THREADS")


def serve(connection: Connection, entry: Entry, threads: int, dtype: str, least: float) -> None:
    """The loop of a worker, which builds a contender for a line, then tells its outputs and times."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other end stops this process
    stepper: Stepper | None = None
    clock: Clock | None = None
    while True:
        try:
            name, *values = connection.recv()
        except EOFError:
            return
        if name == "build":
            line, quick = values
            stepper, clock = entry.build(Problem(line, dtype), quick), None
            connection.send(stepper.way)
        elif name == "outputs":
            connection.send(stepper.outputs())
        elif name == "seconds":
            clock = clock or Clock(stepper, least)
            connection.send(clock.seconds())
            settle()
        else:
            connection.send(least_disturbed(stepper, *values))
            settle()


def least_disturbed(stepper: Stepper, count: int) -> Array:
    """Nanoseconds of each step, without the clock's own; taken anew if other processes took the processor."""
    tries = []
    while len(tries) < ATTEMPTS:
        stepper()  # fills the caches
        own = stepper.clock()
        before = queued()
        samples = stepper.samples(count)
        share = (queued() - before) / max(samples.sum() * 1e-9, 1e-9)
        tries.append((share, len(tries), np.maximum(samples - own, 0)))
        if share < DISTURBED:
            break
    return min(tries)[2]


class StepWorker(Worker):
    """A process of its own for a contender."""

    def __init__(self, entry: Entry, least: float) -> None:
        super().__init__(entry, 1, "float32", least, serve)

    def build(self, line: Line, quick: bool) -> str:
        return self._ask(("build", line, quick))

    def outputs(self) -> Array:
        return self._ask(("outputs",))

    def seconds(self) -> float:
        """Of all steps in a loop."""
        return self._ask(("seconds",))

    def samples(self, count: int) -> Array:
        return self._ask(("samples", count))

    def stop(self) -> None:
        """Let the process end by itself: what PyTorch's compiler has opened is then closed."""
        self._connection.close()
        self._process.join(5)
        super().stop()


class Round(NamedTuple):
    """Microseconds of a step: in a loop, and of steps timed one by one; the last four NaN where none has its time."""

    loop: float
    median: float
    most_99: float  # of 100 steps, 99 take no longer
    most_999: float
    largest: float


Table = dict[str, list[Round]]  # of each contender


def outputs_in_double(line: Line) -> Array:
    """What all outputs are checked against: ``[tau, batch, n_out]``."""
    exact = Problem(line, "float32").as_float64()
    U, W, b, V, c = (exact[name] for name in "UWbVc")
    h, o = np.zeros((line.batch, line.n_hidden)), []
    for x_t in exact.x:
        h = np.tanh(b + h @ W.T + x_t @ U.T)
        o.append(c + h @ V.T)
    return np.array(o)


def prepared(line: Line, workers: list[StepWorker], quick: bool) -> dict[str, str]:
    """Build all contenders and check their outputs; return the way that each has chosen."""
    ways, exact = {}, outputs_in_double(line)
    for worker in workers:
        ways[worker.entry.name] = worker.build(line, quick)
        error = float(np.linalg.norm(worker.outputs().reshape(exact.shape) - exact) / np.linalg.norm(exact))
        if not error <= TOLERANCE:
            raise SystemExit(f"{worker.entry.name} is off, line {line}: relative error {error:.1e}")
    return ways


def measure(line: Line, workers: list[StepWorker], options: argparse.Namespace, one_by_one: bool = True) -> Table:
    """In rounds: each contender once a round, in a new order."""
    table: Table = {worker.entry.name: [] for worker in workers}
    order, turns = random.Random(0), list(workers)
    for _ in range(options.rounds):
        order.shuffle(turns)
        for worker in turns:
            loop = worker.seconds() / line.tau
            spread = [float("nan")] * 4
            if one_by_one:
                count = 1000 if options.quick else int(np.clip(0.3 / loop, 2000, 20_000))
                samples = worker.samples(count) * 1e-3
                if samples.size:
                    spread = [*np.percentile(samples, [50, 99, 99.9]), samples.max()]
            table[worker.entry.name].append(Round(loop * 1e6, *map(float, spread)))
    return table


def typical(rounds: list[Round], best: bool) -> Round:
    """The median of the rounds, or the best of each number."""
    return Round(*map(min if best else median, zip(*rounds, strict=True)))


def peak(options: argparse.Namespace) -> float:
    """Operations in a second that one thread can do; NaN where nobody can compile the loop that tells."""
    if not fma_peak.compiler():
        return float("nan")
    worker = Worker(PEAK, 1, "float32", 0.002 if options.quick else 0.02)
    worker.prepare(Line(1, 1, 1, 1, 1))
    seconds = min(worker.seconds("gradient") for _ in range(options.rounds))
    worker.stop()
    return fma_peak.operations(bptt.config()["isa"], "float32", 1) / seconds


# ---- Generation ----


def characters_per_second(name: str, batch: int, quick: bool) -> tuple[Array, float]:
    """In a process of its own: the likeliest symbols, for the check, and how many are drawn in a second in total."""
    draw, steps = generation.CONTENDERS[name][0](batch), 200 if quick else 5000 if batch == 1 else 1000
    likeliest = draw(50, True)
    draw(steps, False)
    clock = Clock(lambda: draw(steps, False), 0.05)
    return likeliest, steps * batch / median(clock.seconds() for _ in range(2 if quick else 7))


def generated(options: argparse.Namespace) -> dict[str, dict[int, float]]:
    result: dict[str, dict[int, float]] = {}
    expected: dict[int, Array] = {}
    for name, (_, needed) in generation.CONTENDERS.items():
        if find_spec(needed) is None or needed in options.without:
            continue
        result[name] = {}
        for batch in (1, TOGETHER):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                tokens, rate = pool.submit(characters_per_second, name, batch, options.quick).result()
            if not np.array_equal(expected.setdefault(batch, tokens), tokens):
                raise SystemExit(f"{name} does not draw the likeliest symbols that bptt draws")
            result[name][batch] = rate
    return result


# ---- The report ----


class Target(NamedTuple):
    """A goal, and what was measured beside it."""

    text: str
    goal: float
    measured: float
    at_most: bool

    @property
    def holds(self) -> bool:
        return self.measured <= self.goal if self.at_most else self.measured >= self.goal


def number(value: float) -> str:
    """Three digits, and none for what has no value."""
    if value != value:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.1 else f"{value:.2f}"


def targets(
    tables: dict[int, Table],
    together: dict[int, tuple[float, float]],
    characters: dict[str, dict[int, float]],
    best: bool,
) -> list[Target]:
    found = []
    for n, table in tables.items():
        of = {name: typical(rounds, best) for name, rounds in table.items()}
        ours = of[OURS.name]
        found.append(Target(f"median step, {n} units, µs", STEP_GOALS[n], ours.median, True))
        for entry in (BLOCK, HEADER):
            if entry.name in of:
                found.append(Target(f"{entry.name} a step, {n} units, µs", CORE_GOALS[n], of[entry.name].loop, True))
        frameworks = [(of[entry.name].median, entry.name) for entry in FRAMEWORKS if entry.name in of]
        if frameworks:
            seconds, name = min(frameworks)
            found.append(Target(f"{name} : bptt, {n} units", FRAMEWORK_GOALS[n], seconds / ours.median, False))
        for entry in (NUMPY, NUMPY_TOGETHER):
            ratio = of[entry.name].median / ours.median
            found.append(Target(f"{entry.name} : bptt, {n} units", NUMPY_GOALS[n], ratio, False))
        found.append(Target(f"99.9 % : median, {n} units", TAIL_GOAL, ours.most_999 / ours.median, True))
    for n, (alone, each) in together.items():
        found.append(Target(f"alone : each of {TOGETHER} at once, {n} units", TOGETHER_GOAL, alone / each, False))
    ours_by_batch = next(iter(characters.values()))
    alone, total = ours_by_batch[1], ours_by_batch[TOGETHER]
    found.append(Target("characters a second, batch 1", ALONE_GOAL, alone, False))
    found.append(Target(f"characters a second, batch {TOGETHER} : batch 1", GENERATED_GOAL, total / alone, False))
    return found


def table_of(head: list[str], rows: list[list[str]], words: int = 1, way: bool = False) -> list[str]:
    """Markdown; the first columns hold words, the others numbers, the last one of ways words again."""
    rule = ["---"] * words + ["--:"] * (len(head) - words - way) + ["---"] * way
    return [row(head), row(rule), *map(row, rows)]


def markdown(
    tables: dict[int, Table],
    ways: dict[int, dict[str, str]],
    together: dict[int, tuple[float, float]],
    characters: dict[str, dict[int, float]],
    audio: Table,
    peak: float,
    notes: list[str],
    options: argparse.Namespace,
) -> tuple[str, list[Target]]:
    best = options.best
    steps = []
    for n, table in tables.items():
        for name, rounds in table.items():
            t = typical(rounds, best)
            loop = f"{number(t.loop)} ({number(min(r.loop for r in rounds))})"
            fastest = min(r.median for r in rounds)
            middle = f"{number(t.median)} ({number(fastest)})" if fastest == fastest else ""
            spread = (middle, *map(number, (t.most_99, t.most_999, t.largest)))
            steps.append([str(n), name, *spread, loop, ways[n][name]])
    drawing = 2.0 * generation.HIDDEN * (generation.HIDDEN + generation.N)  # operations of a character
    found = targets(tables, together, characters, best)
    kind = "Fastest" if best else "Medians"
    of_audio = {name: SAMPLE_RATE**-1 / (typical(rounds, best).loop * 1e-6) for name, rounds in audio.items()}
    text = [
        f"float32, one thread, n_in = {N_IN}, n_out = {N_OUT}. {machine((*FRAMEWORKS, NUMPY))}",
        f"{kind} of {options.rounds} interleaved rounds, each contender in a process of its own. Of a step timed alone",
        "the clock's own time is taken off. Before the clock starts, all outputs are checked against NumPy in float64.",
        "The peers' inputs are in their own form, and their outputs stay in it.",
        *notes,
        "",
        "## One step of one sequence, in microseconds",
        "",
        *table_of(
            [
                "n_hidden",
                "",
                "median (fastest round)",
                "99 %",
                "99.9 %",
                "largest",
                "in a loop (fastest round)",
                "the fastest way",
            ],
            steps,
            words=2,
            way=True,
        ),
        "",
        f"## {TOGETHER} streams at once, microseconds of a stream's step",
        "",
        *table_of(
            ["n_hidden", "alone", f"each of {TOGETHER}", "ratio", "its arithmetic at the peak", "ratio at the peak"],
            [
                [str(n), number(alone), f"{each:.3f}", number(alone / each), f"{least:.3f}", number(alone / least)]
                for n, (alone, each) in together.items()
                for least in [Line(1, 1, N_IN, n, N_OUT).operations("forward") / peak * 1e6]
            ],
        ),
        "",
        f"The peak of one thread, measured beside them: {peak / 1e9:.0f} GFLOP/s.",
        "",
        f"## Characters a second in total, {generation.HIDDEN} units, {generation.N} symbols",
        "",
        *table_of(
            ["", "batch 1", f"batch {TOGETHER}"],
            [[name, *(f"{of_batch[batch]:,.0f}" for batch in (1, TOGETHER))] for name, of_batch in characters.items()],
        ),
        "",
        f"Their arithmetic alone allows {peak / drawing:,.0f} a second at that peak.",
        "",
        f"## Seconds of sound in a second: {SAMPLE_RATE:,} Hz, blocks of {BLOCK_OF_AUDIO}, {AUDIO.n_hidden} units",
        "",
        *table_of(["", "times real time"], [[name, number(factor)] for name, factor in of_audio.items()]),
        "",
        "## Targets",
        "",
        *table_of(
            ["", "goal", "measured", "holds"],
            [
                [
                    t.text,
                    f"{'at most' if t.at_most else 'at least'} {number(t.goal)}",
                    number(t.measured),
                    "yes" if t.holds else "**no**",
                ]
                for t in found
            ],
        ),
    ]
    return "\n".join(text) + "\n", found


# ---- The command line ----


SKIPPED = ("torch", "jax", "onnxruntime")


def contenders(options: argparse.Namespace, notes: list[str]) -> list[Entry]:
    """All that can be measured here; what cannot is noted."""
    entries = [OURS, BLOCK]
    if not hasattr(bptt, "export_c"):
        notes.append("The C header is left out: this release writes none.")
    elif not fma_peak.compiler():
        notes.append("The C header is left out: no C compiler found.")
    else:
        entries.append(HEADER)
    for entry in PEERS:
        if entry.needs[0] in options.without:
            notes.append(f"{entry.name} is left out, as asked.")
        elif missing := Worker.missing(entry):
            notes.append(f"{entry.name} is left out: {', '.join(missing)} not installed.")
        else:
            entries.append(entry)
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, nargs="+", choices=STEP_GOALS, default=list(STEP_GOALS), metavar="N")
    parser.add_argument("--rounds", type=int, default=7, help="each contender runs once a round (default 7)")
    parser.add_argument(
        "--without", nargs="+", choices=SKIPPED, default=[], metavar="PEER", help=f"of {', '.join(SKIPPED)}"
    )
    parser.add_argument("--best", action="store_true", help="fastest rounds instead of medians, on a machine in use")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: 2 short rounds, 32 units, nothing compiled long"
    )
    parser.add_argument("--out", type=Path, help="write the tables into this file too (Markdown)")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.hidden = 2, [32]
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    notes: list[str] = []
    least = 0.002 if options.quick else 0.02
    workers = [StepWorker(entry, least) for entry in contenders(options, notes)]
    by_name = {worker.entry.name: worker for worker in workers}
    tables: dict[int, Table] = {}
    ways: dict[int, dict[str, str]] = {}
    together: dict[int, tuple[float, float]] = {}
    begin = time.perf_counter()
    for n in options.hidden:
        line = Line(TAU, 1, N_IN, n, N_OUT)
        ways[n] = prepared(line, workers, options.quick)
        tables[n] = measure(line, workers, options)
        ours = [by_name[OURS.name]]
        line = line._replace(batch=TOGETHER)
        prepared(line, ours, options.quick)
        loops = measure(line, ours, options, one_by_one=False)[OURS.name]
        together[n] = typical(tables[n][OURS.name], options.best).loop, typical(loops, options.best).loop / TOGETHER
        print(f"{n} units: done after {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    of_audio = [by_name[entry.name] for entry in (BLOCK, HEADER) if entry.name in by_name]
    prepared(AUDIO, of_audio, options.quick)
    audio = measure(AUDIO, of_audio, options, one_by_one=False)
    for worker in workers:
        worker.stop()
    text, found = markdown(tables, ways, together, generated(options), audio, peak(options), notes, options)
    print(text)
    print(f"{sum(target.holds for target in found)} of {len(found)} targets hold.")
    for target in found:
        if not target.holds:
            print(f"  not: {target.text}: {number(target.measured)} instead of {number(target.goal)}")
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
