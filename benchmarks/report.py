"""Times to Markdown: medians, ratios, operations per second. Measures nothing."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import bptt
from peers import COMPANION, OURS, PEAK, PEERS, Entry, fma_peak
from problem import MODES, SIZES, Line, Mode, Problem

Key = tuple[str, int]  # a contender's name and its number of threads
Times = dict[Key, list[float]]
Results = dict[Line, dict[Mode, Times]]

TITLES: dict[Mode, str] = {
    "gradient": "Training gradient: the loss and its gradients with respect to all parameters",
    "forward": "Forward: h and o",
}


def milliseconds(seconds: float) -> str:
    """Three digits, and a unit that suits all sizes."""
    value = seconds * 1e3
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f} ms"


def best(times: Times, name: str) -> tuple[float, int] | None:
    """The median of a contender at its better number of threads, and that number."""
    return min(((median(rounds), key[1]) for key, rounds in times.items() if key[0] == name), default=None)


def fastest_peer(times: Times) -> tuple[float, str] | None:
    """The best median of all peers, and whose it is."""
    medians = ((found[0], entry.name) for entry in PEERS if (found := best(times, entry.name)))
    return min(medians, default=None)


def modes_of(results: Results) -> list[Mode]:
    """Those that at least one line has."""
    return [mode for mode in MODES if any(mode in modes for modes in results.values())]


def summary(times: dict[Mode, Times], threads: int) -> str:
    """One line for who waits: ours and the fastest peer."""
    parts = []
    for mode, of_mode in times.items():
        fastest = fastest_peer(of_mode)
        peer = f", {fastest[1]} {milliseconds(fastest[0])}" if fastest else ""
        parts.append(f"{mode} {milliseconds(median(of_mode[OURS.name, threads]))}{peer}")
    return "; ".join(parts)


@dataclass(frozen=True)
class Report:
    """The times, and where and how they were taken."""

    results: Results
    dtype: str
    threads: int
    isa: str
    machine: str
    headline: str
    notes: list[str]

    @property
    def counts(self) -> list[int]:
        """The numbers of threads."""
        return sorted({1, self.threads})

    def to_json(self) -> str:
        """All of it, for `from_json`."""
        lines = []
        for line, modes in self.results.items():
            times = [[mode, *key, rounds] for mode, of_mode in modes.items() for key, rounds in of_mode.items()]
            lines.append({"line": line._asdict(), "times": times})
        return json.dumps({**vars(self), "results": lines}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        kept = json.loads(text)
        results: Results = {}
        for entry in kept.pop("results"):
            modes = results.setdefault(Line(**entry["line"]), {})
            for mode, name, threads, rounds in entry["times"]:
                modes.setdefault(mode, {})[name, threads] = rounds
        return cls(results, **kept)

    def peak(self, line: Line, threads: int) -> float | None:
        """The measured peak in GFLOP/s, in the same rounds as the line."""
        rounds = self.results[line]["gradient"].get((PEAK.name, threads))
        return fma_peak.operations(self.isa, self.dtype, threads) / median(rounds) / 1e9 if rounds else None

    def gigaflops(self, line: Line, mode: Mode, seconds: float) -> float:
        return Problem(line, self.dtype).operations(mode) / seconds / 1e9


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def of_mode(results: Results, mode: Mode) -> dict[Line, Times]:
    """The lines that have the mode."""
    return {line: modes[mode] for line, modes in results.items() if mode in modes}


def ratios(report: Report, mode: Mode) -> list[str]:
    """The table that matters: ours, each peer, the ratio to the fastest, the share of the peak."""
    measured, threads = of_mode(report.results, mode), report.threads
    names = [entry.name for entry in PEERS if any(best(times, entry.name) for times in measured.values())]
    head = [SIZES, f"bptt ({threads} threads)", *names, "ratio to the fastest peer"]
    head += ["GFLOP/s, 1 thread", "of the peak", f"{threads} threads : 1"]
    lines = [row(head), row(["---", *["--:"] * (len(head) - 1)])]
    for line, times in measured.items():
        ours, one = median(times[OURS.name, threads]), median(times[OURS.name, 1])
        rate, ceiling = report.gigaflops(line, mode, one), report.peak(line, 1)
        cells = [str(line), f"**{milliseconds(ours)}**"]
        for name in names:
            found = best(times, name)
            cells.append(f"{milliseconds(found[0])} ({found[1]})" if found else "")
        fastest = fastest_peer(times)
        cells.append(f"**{fastest[0] / ours:.2f}**" if fastest else "")
        cells += [f"{rate:.3g}", f"{rate / ceiling:.0%}" if ceiling else "", f"{one / ours:.2f}"]
        lines.append(row(cells))
    return lines


def beside_companions(report: Report) -> list[str]:
    """Two directions, and the output-recurrent network, beside their companions; empty without one.

    A companion's time counts once for each direction of the line beside it.
    """
    head = [SIZES, "mode", "threads", "time", "beside", "its time", "time : its time", "of the peak"]
    lines = [row(head), row(["---", "---", "--:", "--:", "---", "--:", "--:", "--:"])]
    for line, modes in report.results.items():
        for mode, times in modes.items():
            for threads in report.counts:
                if (COMPANION.name, threads) not in times:
                    continue
                ours, its = median(times[OURS.name, threads]), median(times[COMPANION.name, threads]) * line.directions
                ceiling = report.peak(line, threads)
                share = f"{report.gigaflops(line, mode, ours) / ceiling:.0%}" if ceiling else ""
                beside = f"{'twice ' if line.both else ''}{line.companion}"
                cells = [str(line), mode, str(threads), f"**{milliseconds(ours)}**", beside, milliseconds(its)]
                lines.append(row([*cells, f"**{ours / its:.2f}**", share]))
    return lines if len(lines) > 2 else []


def all_times(results: Results, mode: Mode) -> list[str]:
    """Every contender at every number of threads: the median, and the fastest round."""
    measured = of_mode(results, mode)
    found = {key for times in measured.values() for key in times}
    keys = [key for entry in (OURS, *PEERS) for key in sorted(found) if key[0] == entry.name]
    head = [SIZES, *(f"{name}, {threads} thr." for name, threads in keys)]
    lines = [row(head), row(["---", *["--:"] * (len(head) - 1)])]
    for line, times in measured.items():
        rounds = [times.get(key) for key in keys]
        cells = [f"{milliseconds(median(r))} ({milliseconds(min(r)).split()[0]})" if r else "" for r in rounds]
        lines.append(row([str(line), *cells]))
    return lines


def processor() -> str:
    """Its name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine(peers: Sequence[Entry] = PEERS) -> str:
    """Where the times were taken: the processor, the instruction set in use, the versions of all that is compared."""
    found = []
    for entry in peers:
        try:
            found.append(f"{entry.name} {version(entry.needs[0])}")
        except PackageNotFoundError:
            continue
    versions = ", ".join([f"bptt {bptt.__version__}", *found, f"Python {platform.python_version()}"])
    return f"{processor()}, instruction set {bptt.config()['isa']}. {versions}."


def markdown(report: Report) -> str:
    """The tables, under headings of the second rank: a page has its title already."""
    results = report.results
    ceilings = []
    for count in report.counts:
        values = [value for line in results if (value := report.peak(line, count))]
        if values:
            ceilings.append(f"{median(values):.0f} GFLOP/s with {count} thread{'s' * (count > 1)}")
    text = [
        f"{report.dtype}, softmax. {report.machine}",
        f"{report.headline}; in brackets: at how many threads a peer was faster.",
        "A measurement during which other processes took the processor is repeated, up to three times.",
        "Before the clock starts, every contender's results are checked against NumPy in float64.",
    ]
    if ceilings:
        text.append(f"Measured peak of fused multiply-adds in registers: {', '.join(ceilings)}.")
        text.append("Operations are counted as they must be done, none twice; the share of the peak follows from them.")
    if any(line.layers > 1 for line in results):
        text.append("128x2: two layers of 128 hidden units.")
    if any(line.both for line in results):
        text.append("Both directions: a second state of as many units runs from tau to 1.")
    if any(line.ragged for line in results):
        text.append("Ragged: lengths uniform from 1 to tau. bptt takes `lengths`, PyTorch packs, ONNX Runtime takes")
        text.append("`sequence_lens`; JAX and NumPy compute the padding and mask it out of the loss.")
    if any(line.network != "elman" for line in results):
        text.append("Forced and free: the output-recurrent network, which sees its targets (teacher forcing) or its")
        text.append("own softmax; fetching a target's column of W counts as no operation. ONNX Runtime has no such")
        text.append("network.")
    text += report.notes
    for mode in modes_of(results):
        text += ["", f"## {TITLES[mode]}", "", *ratios(report, mode)]
    if lines := beside_companions(report):
        text += ["", "## Beside bptt's Elman network", ""]
        text += ["Two directions: beside twice the network in one direction. Forced: beside the Elman network of the"]
        text += ["same sizes. Free: beside one of the same arithmetic.", "", *lines]
    for mode in modes_of(results):
        text += ["", f"## All times, {mode}: median (fastest round)", "", *all_times(results, mode)]
    return "\n".join(text) + "\n"
