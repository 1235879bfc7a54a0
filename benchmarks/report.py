"""Times to Markdown: medians, ratios, operations per second. Measures nothing."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import bptt
from peers import COMPANION, OURS, PEAK, PEERS, Entry, fma_peak
from problem import LINES, MODES, SIZES, Line, Mode, Problem

Key = tuple[str, int]  # a contender's name and its number of threads
Times = dict[Key, list[float]]
Results = dict[Line, dict[Mode, Times]]

TITLES: dict[Mode, str] = {
    "gradient": "Training gradient: the loss and its gradients with respect to U, W, b, V, c",
    "forward": "Forward: h and o",
}
GOALS: dict[str, dict[Mode, tuple[float, ...]]] = {  # times as fast as the fastest peer, for the lines in their order
    "float32": {"gradient": (9, 2.4, 2.8, 4, 4, 2.2, 1.6, 1.3), "forward": (5, 2, 1.8, 3, 2, 1.4, 1.25, 1.15)},
    "float64": {"gradient": (1.3,) * 8, "forward": ()},
}
# Of the output-recurrent network, in either dtype: at most so many times as long as the Elman network beside it, and at
# least so much of the peak.
OUTPUT_RECURRENT_GOALS: dict[Line, tuple[float, float | None]] = {
    Line(2000, 1, 16, 128, 64, network="forced"): (0.4, 0.6),
    Line(2000, 1, 16, 128, 64, network="free"): (1.3, None),
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


def gigaflops(line: Line, mode: Mode, dtype: str, seconds: float) -> float:
    return Problem(line, dtype).operations(mode) / seconds / 1e9


def peak(results: Results, line: Line, dtype: str, threads: int) -> float | None:
    """The measured peak in GFLOP/s, in the same rounds as the line."""
    rounds = results[line]["gradient"].get((PEAK.name, threads))
    return fma_peak.operations(dtype, threads) / median(rounds) / 1e9 if rounds else None


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def of_mode(results: Results, mode: Mode) -> dict[Line, Times]:
    """The lines that have the mode."""
    return {line: modes[mode] for line, modes in results.items() if mode in modes}


def ratios(results: Results, mode: Mode, dtype: str, threads: int, goals: bool) -> list[str]:
    """The table that matters: ours, each peer, the ratio to the fastest, the share of the peak."""
    measured = of_mode(results, mode)
    names = [entry.name for entry in PEERS if any(best(times, entry.name) for times in measured.values())]
    head = [SIZES, f"bptt ({threads} threads)", *names, "ratio to the fastest peer"]
    head += ["goal"] * goals + ["GFLOP/s, 1 thread", "of the peak", f"{threads} threads : 1"]
    lines = [row(head), row(["---", *["--:"] * (len(head) - 1)])]
    for line, times in measured.items():
        ours, one = median(times[OURS.name, threads]), median(times[OURS.name, 1])
        rate, ceiling = gigaflops(line, mode, dtype, one), peak(results, line, dtype, 1)
        cells = [str(line), f"**{milliseconds(ours)}**"]
        for name in names:
            found = best(times, name)
            cells.append(f"{milliseconds(found[0])} ({found[1]})" if found else "")
        fastest = fastest_peer(times)
        cells.append(f"**{fastest[0] / ours:.2f}**" if fastest else "")
        if goals:
            aims = GOALS[dtype][mode]
            cells.append(f"{aims[LINES.index(line)]:g}" if line in LINES[: len(aims)] else "")
        cells += [f"{rate:.3g}", f"{rate / ceiling:.0%}" if ceiling else "", f"{one / ours:.2f}"]
        lines.append(row(cells))
    return lines


def beside_elman(results: Results, dtype: str, threads: int, goals: bool) -> list[str]:
    """The output-recurrent network beside its companion; empty without one."""
    head = [SIZES, "mode", "time", "Elman network", "its time", "time : its time", *["goal"] * goals]
    head += [f"of the peak, {threads} threads", *["goal"] * goals]
    lines = [row(head), row(["---", "---", "--:", "---", *["--:"] * (len(head) - 4)])]
    for line, modes in results.items():
        most, least = OUTPUT_RECURRENT_GOALS.get(line, (None, None))
        for mode, times in modes.items():
            if (COMPANION.name, threads) not in times:
                continue
            ours, its = median(times[OURS.name, threads]), median(times[COMPANION.name, threads])
            ceiling = peak(results, line, dtype, threads)
            share = f"{gigaflops(line, mode, dtype, ours) / ceiling:.0%}" if ceiling else ""
            cells = [str(line), mode, f"**{milliseconds(ours)}**", str(line.companion), milliseconds(its)]
            cells += [f"**{ours / its:.2f}**", *[f"at most {most:g}" if most else ""] * goals]
            cells += [share, *[f"at least {least:.0%}" if least else ""] * goals]
            lines.append(row(cells))
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


def markdown(results: Results, dtype: str, threads: int, goals: bool, headline: str, notes: list[str]) -> str:
    """The whole report."""
    counts = sorted({1, threads})
    ceilings = []
    for count in counts:
        values = [value for line in results if (value := peak(results, line, dtype, count))]
        if values:
            ceilings.append(f"{median(values):.0f} GFLOP/s with {count} thread{'s' * (count > 1)}")
    text = [
        f"# bptt and its peers, {dtype}, softmax",
        "",
        machine(),
        f"{headline}; in brackets: at how many threads a peer was faster.",
        "A measurement during which other processes took the processor is repeated, up to three times.",
        "Before the clock starts, every contender's results are checked against NumPy in float64.",
    ]
    if ceilings:
        text.append(f"Measured peak of fused multiply-adds in registers: {', '.join(ceilings)}.")
    if any(line.ragged for line in results):
        text.append("Ragged: lengths uniform from 1 to tau. bptt takes `lengths`, PyTorch packs, ONNX Runtime takes")
        text.append("`sequence_lens`; JAX and NumPy compute the padding and mask it out of the loss.")
    if any(line.companion for line in results):
        text.append(
            "Forced and free: the output-recurrent network, which sees its targets (teacher forcing) or its own"
        )
        text.append(
            "softmax; fetching a target's column of W counts as no operation. ONNX Runtime has no such network."
        )
    text += notes
    for mode in modes_of(results):
        text += ["", f"## {TITLES[mode]}", "", *ratios(results, mode, dtype, threads, goals)]
    if lines := beside_elman(results, dtype, threads, goals):
        text += ["", "## The output-recurrent network beside bptt's Elman network", ""]
        text += ["Forced: beside one of the same sizes. Free: beside one of the same arithmetic.", "", *lines]
    for mode in modes_of(results):
        text += ["", f"## All times, {mode}: median (fastest round)", "", *all_times(results, mode)]
    return "\n".join(text) + "\n"
