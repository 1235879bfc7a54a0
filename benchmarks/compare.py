"""One command, one table, one run: this package beside its peers. Runs the rounds; knows no contender's inside."""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from tqdm import tqdm

import bptt
import chart
import report
from peers import COMPANION, NUMPY, OURS, PEAK, PEERS, fma_peak
from problem import LINES, MODES, NETWORKS, SIZES, Line, Mode, Problem, errors
from report import Results, Times
from workers import Worker

TOLERANCE = {"float32": 5e-5, "float64": 1e-13}  # of the norm: ten times the rounding that is seen
CHARTS: dict[Mode, str] = {"gradient": "benchmarks.svg", "forward": "benchmarks_forward.svg"}
TRIES = 3  # rounds after which a peer's hopeless number of threads is not run again


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, nargs="+", help=f"which lines, 1 to {len(LINES)}; all by default")
    parser.add_argument("--line", nargs=5, action="append", metavar=tuple(SIZES.split(", ")), help="128x2: two layers")
    parser.add_argument("--network", choices=NETWORKS, default="elman", help="of --line (default elman)")
    parser.add_argument("--both", action="store_true", help="give the layers of --line a second direction")
    parser.add_argument("--rounds", type=int, default=11, help="each contender runs once a round (default 11)")
    parser.add_argument("--seconds", type=float, default=60, help="a line starts no round after so long (default 60)")
    parser.add_argument("--threads", type=int, default=2, help="the larger number of threads (default 2)")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--peers", nargs="*", default=None, help="names of peers; all by default")
    parser.add_argument("--quick", action="store_true", help="3 rounds of the small lines")
    parser.add_argument("--best", action="store_true", help="fastest rounds instead of medians, on a machine in use")
    parser.add_argument("--output", type=Path, help="write the tables (Markdown) and the charts (SVG) into this folder")
    parser.add_argument("--times", type=Path, help="keep all times in this file (JSON), for --from")
    parser.add_argument("--from", type=Path, dest="kept", help="measure nothing: report what --times has kept")
    return parser.parse_args()


def line_of(sizes: list[str], options: argparse.Namespace) -> Line:
    """A line from the words of the command line."""
    tau, batch, n_in, hidden, n_out = sizes
    n_hidden, _, layers = hidden.partition("x")
    numbers = map(int, (tau, batch, n_in, n_hidden, n_out, layers or 1))
    return Line(*numbers, both=options.both, network=options.network)


def chosen_lines(options: argparse.Namespace) -> list[Line]:
    if options.line:
        return [line_of(sizes, options) for sizes in options.line]
    numbers = options.lines or (range(1, 6) if options.quick else range(1, len(LINES) + 1))
    return [LINES[number - 1] for number in numbers]


def check(line: Line, dtype: str, workers: list[Worker]) -> float:
    """Compare all answers with NumPy in double precision; return the largest error."""
    problem = Problem(line, dtype).as_float64()
    exact = NUMPY.build(problem, 1)
    largest = 0.0
    truth = {mode: exact.answer(mode) for mode in MODES}
    for worker in workers:
        for mode, answer in worker.answers().items():
            for name, error in errors(answer, truth[mode], problem.valid).items():
                if not error <= TOLERANCE[dtype]:
                    raise SystemExit(f"{worker.entry.name} is off in {name}, line {line}: relative error {error:.1e}")
                largest = max(largest, error)
    return largest


def hopeless(times: Times, worker: Worker) -> bool:
    """Whether a peer is far slower at this number of threads than at another: only its better one is compared."""
    others = [min(rounds) for (name, threads), rounds in times.items() if name == worker.entry.name]
    return worker.entry in PEERS and min(times[worker.key]) > 2 * min(others)


def fastest_rounds(times: Times) -> Times:
    """Of each contender the fastest round alone."""
    return {key: [min(rounds)] for key, rounds in times.items()}


def start_workers(lines: list[Line], options: argparse.Namespace, notes: list[str]) -> list[Worker]:
    """A worker for each contender and number of threads; what cannot be measured here is noted and left out."""
    entries = [OURS]
    for entry in PEERS:
        if options.peers is not None and entry.name not in options.peers:
            continue
        if missing := Worker.missing(entry):
            notes.append(f"{entry.name} is left out: {', '.join(missing)} not installed.")
        elif options.dtype not in entry.dtypes:
            notes.append(f"{entry.name} is left out: its RNN has no {options.dtype}.")
        else:
            entries.append(entry)
    if fma_peak.compiler():
        entries.append(PEAK)
    else:
        notes.append("The peak is not measured: no C compiler found.")
    counts, least = sorted({1, options.threads}), 0.005 if options.quick else 0.02
    contenders = [(entry, threads) for entry in entries for threads in counts]
    if any(map(COMPANION.task, lines)):
        contenders += [(COMPANION, threads) for threads in counts]
    return [Worker(entry, threads, options.dtype, least) for entry, threads in contenders]


def measure(line: Line, workers: list[Worker], options: argparse.Namespace) -> dict[Mode, Times]:
    """Check all contenders, then time them in rounds: each once a round, in a new order."""
    turns = [(worker, mode) for worker in workers for mode in worker.prepare(line)]
    tasks = {worker.task for worker in workers if worker.task}
    error = max(check(task, options.dtype, [worker for worker in workers if worker.task == task]) for task in tasks)
    times: dict[Mode, Times] = {mode: {} for mode in line.modes}
    order = random.Random(0)
    end = time.perf_counter() + options.seconds
    for number in tqdm(range(options.rounds), desc=str(line), unit="round", leave=False, disable=None):
        if number >= TRIES and time.perf_counter() > end:
            break
        order.shuffle(turns)
        for worker, mode in turns:
            if number < TRIES or not hopeless(times[mode], worker):
                times[mode].setdefault(worker.key, []).append(worker.seconds(mode))
    print(f"{line}: {report.summary(times, options.threads)}; largest error {error:.0e}", file=sys.stderr)
    return times


def run(lines: list[Line], options: argparse.Namespace, notes: list[str]) -> Results:
    """Measure line by line; an interruption leaves the lines that are done."""
    results: Results = {}
    workers = start_workers(lines, options, notes)
    try:
        for line in lines:
            results[line] = measure(line, workers, options)
    except KeyboardInterrupt:
        notes.append("Interrupted: not all lines were measured.")
    finally:
        for worker in workers:
            worker.stop()
    return results


def measured(options: argparse.Namespace) -> report.Report:
    """Measure, and tell where and how it was done."""
    notes: list[str] = []
    results = run(chosen_lines(options), options, notes)
    rounds = min((len(times[OURS.name, 1]) for modes in results.values() for times in modes.values()), default=0)
    headline = f"{'Fastest' if options.best else 'Median'} of {rounds} or more interleaved rounds"
    if options.best:
        results = {line: {m: fastest_rounds(times) for m, times in modes.items()} for line, modes in results.items()}
    machine = report.machine()
    return report.Report(results, options.dtype, options.threads, bptt.config()["isa"], machine, headline, notes)


def main() -> None:
    options = arguments()
    if options.quick:
        options.rounds = min(options.rounds, 3)
    found = report.Report.from_json(options.kept.read_text()) if options.kept else measured(options)
    if not found.results:
        return
    text = report.markdown(found)
    print(text)
    if options.times:
        options.times.write_text(found.to_json())
    if options.output:
        (options.output / "benchmark_tables.md").write_text(text)
        for mode, name in CHARTS.items():
            (options.output / name).write_text(chart.svg(found.results, mode, found.threads))


if __name__ == "__main__":
    main()
