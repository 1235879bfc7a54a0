"""One training by several processes: what their messages cost here, and from which sizes several machines repay.

Starts `mpiexec` itself, the one beside this Python: ``pip install ".[mpi]"``. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from exchange import FORMULA, NETWORKS, REPAYS, Costs, Network, Times, exact, gathered, in_parts, reduced, update
from ranks import STEPS, VOCABULARY, Run
from report import machine, row

HERE = Path(__file__).parent
SIZES = {64: (32, 200), 384: (32, 20), 1024: (128, 3)}  # units of a layer: sequences, updates of a measurement
UNITS = (32, 64, 128, 256, 512, 1024)  # of the model
BATCHES = (32, 128)
PROCESSES = (1, 2, 4)
BLOCK = 8  # sequences, of a batch of up to 128
MESSAGES = [1 << i for i in (4, 10, 14, 16, 18, 20, 22)]  # bytes
GRADIENTS = [1 << i for i in range(11, 24)]  # bytes
ENVIRONMENT = {  # of Open MPI: root as well as everybody, and more processes than processors
    **dict.fromkeys((f"{kind}_ALLOW_RUN_AS_ROOT{more}" for kind in ("OMPI", "PRTE") for more in ("", "_CONFIRM")), "1"),
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
}


def work(processes: int | None, threads: int = 1, **task: Any) -> dict[str, Any]:
    """What so many processes have measured; None: one without MPI."""
    task = {"threads": threads, "mpi": processes is not None, "runs": [], **task}
    task |= {name: task.get(name, []) for name in ("communicator", "sums", "adding")}
    command = [sys.executable, str(HERE / "ranks.py"), json.dumps(task)]
    environment = os.environ | ENVIRONMENT
    if processes is not None:
        command = [MPIEXEC, "-n", str(processes), sys.executable, "-m", "mpi4py", *command[1:]]
        if processes > cores():
            environment["OMPI_MCA_mpi_yield_when_idle"] = "1"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec") or ""


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Measurements:
    """Of each training the best or the median round."""

    def __init__(self, best: bool) -> None:
        self.best = best
        self.rounds: dict[Any, list[dict[str, Any]]] = {}
        self.bits: dict[Run, set[str]] = {}

    def take(self, where: Any, result: dict[str, Any]) -> None:
        """Keep what one start has measured."""
        for told in result["runs"]:
            run = Run(*told["run"])
            self.rounds.setdefault((where, run), []).append(told)
            if run.mode == "exact":
                self.bits.setdefault(run, set()).add(told["bits"])

    def __call__(self, where: Any, run: Run, what: str = "update") -> float:
        told = self.rounds[where, run]
        if self.best and what == "update":
            what = "fastest"
        return (min if self.best else median)(each[what] for each in told)


def runs_of(quick: bool) -> tuple[list[Run], list[Run]]:
    """What is measured with every number of processes, and what with one: for the model."""
    sizes = list(SIZES.items())[: 1 if quick else None]
    several = [Run(n, b, 60 if quick else k, mode) for n, (b, k) in sizes for mode in ("exact", "fast")]
    alone = []
    for n in UNITS[:2] if quick else UNITS:
        for batch in (BLOCK, *BATCHES):
            updates = 8 if quick else max(3, min(200, 4_000_000 // (n * (n + 130) * batch // 8)))
            alone += [Run(n, batch, updates, mode) for mode in ("exact", "plain") if (batch, mode) != (BLOCK, "plain")]
    return several, alone


def milliseconds(value: float) -> str:
    return f"{value * 1e3:.3g}" if value < 0.1 else f"{value * 1e3:.0f}"


def microseconds(value: float) -> str:
    return f"{value * 1e6:.3g}" if value < 1e-4 else f"{value * 1e6:,.0f}"


def bytes_of(size: float) -> str:
    if not 0 < size < math.inf:
        return "never" if size == 0 else "always"
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} B"


def table(head: list[str], rows: list[list[str]], words: int = 1) -> list[str]:
    return [row(head), row(["---"] * words + ["--:"] * (len(head) - words)), *map(row, rows), ""]


def parameters(units: int) -> int:
    return units * (VOCABULARY + units + 1) + VOCABULARY * (units + 1)


class Report:
    """The text of all that was measured."""

    def __init__(
        self, found: Measurements, several: list[Run], alone: list[Run], sums: Any, messages: Any, rounds: int
    ) -> None:
        self.rounds, self.found, self.several, self.alone, self.messages = rounds, found, several, alone, messages
        self.sums: dict[int, dict[int, dict[str, float]]] = sums
        self.by_units = {(r.units, r.batch, r.mode): r for r in alone}
        self.processes = [p for p in PROCESSES if p > 1]

    # ---- What the model is made of ----

    def times(self, units: int) -> Times:
        """Of one process: the block, and what is done once in an update."""
        one, several = (self.found(1, self.by_units[units, batch, "exact"]) for batch in (BLOCK, max(BATCHES)))
        block = (several - one) / (max(BATCHES) // BLOCK - 1)
        optimizer = self.found(1, self.by_units[units, BLOCK, "exact"], "optimizer")
        return Times(block, max(one - block, optimizer))

    def costs(self) -> Costs:
        size, least = 1 << 20, self.sums[2]
        return Costs(self.messages["adding"][size][""] / size, least[min(least)]["gathered"])

    def here(self) -> Network:
        """This machine's MPI as a network: between two processes."""
        of = {size: costs["message"] for size, costs in self.messages[2].items()}
        latency, large = min(of.values()), max(of)
        return Network("this machine's MPI", latency, large / (of[large] - latency))

    # ---- The sections ----

    def one_process(self) -> list[str]:
        rows = []
        for units in sorted({run.units for run in self.alone}):
            for batch in BATCHES:
                plain, exact = (self.found(w, self.by_units[units, batch, m]) for w, m in ((0, "plain"), (1, "exact")))
                rows.append([str(units), str(batch), milliseconds(plain), milliseconds(exact), f"{exact / plain:.2f}"])
        head = ["units", "sequences", "`fit`, ms", '"exact", ms', "ratio"]
        return ["### One process: what the promise of the same bits costs", "", *table(head, rows, 0)]

    def several_processes(self) -> list[str]:
        rows = []
        for run in self.several:
            for p in PROCESSES:
                plain = self.found(-min(p, cores()), run._replace(mode="plain"))
                mine = self.found(p, run)
                parts = [self.found(p, run, what) for what in ("waiting", "exchange")] if p > 1 else [0.0, 0.0]
                cells = [str(run.units), str(run.batch), run.mode, str(p), *map(milliseconds, (plain, mine))]
                rows.append([*cells, f"{plain / mine:.2f}", *map(milliseconds, (max(mine - sum(parts), 0), *parts))])
        head = [
            "units",
            "sequences",
            "reduction",
            "processes",
            "`fit` with as many threads, ms",
            "processes, ms",
            "ratio",
        ]
        head += ["of it computing", "waiting", "exchange"]
        same = all(len(bits) == 1 for bits in self.found.bits.values())
        if not same:
            raise SystemExit(f"the bits differ: {self.found.bits}")
        text = [
            f"### Here, {cores()} processors",
            "",
            "An update in milliseconds. A process has one thread; `fit` alone has as many as there are processes, at",
            "most one for each processor. Waiting is the time before a message until all processes are there: measured",
            'in a training of its own, with a barrier before each message. The parameters after "exact" have the same',
            "bits for every number of processes.",
            "",
        ]
        return [*text, *table(head, rows, 0)]

    def communicator(self) -> list[str]:
        rows = []
        for p in self.processes:
            for size, costs in self.messages[p].items():
                cells = [microseconds(costs[name]) for name in ("message", "Allgatherv", "Alltoallv", "Allreduce")]
                rows.append([str(p), bytes_of(size), *cells])
        head = ["processes", "bytes of a process", "one message", "Allgatherv", "Alltoallv", "Allreduce"]
        here = self.here()
        text = [
            "### The communicator, in microseconds",
            "",
            f"From one process to another: {here.latency * 1e6:.2g} µs, and {here.bandwidth / 1e9:.2g} GB/s.",
            "",
        ]
        return [*text, *table(head, rows, 0)]

    def two_ways(self) -> list[str]:
        rows, here, costs = [], self.here(), self.costs()
        for p in self.processes:
            for size, ways in self.sums[p].items():
                told = (
                    gathered(size, 1, p, here, costs),
                    in_parts(size, 1, p, here, costs),
                    reduced(size, p, here, costs),
                )
                pairs = zip(ways.values(), told, strict=True)
                cells = [f"{microseconds(mine)} ({microseconds(costs.call + model)})" for mine, model in pairs]
                faster = min(("gathered", "in parts"), key=ways.__getitem__)
                rows.append([str(p), bytes_of(size), *cells, faster])
        head = [
            "processes",
            "bytes of a gradient",
            "exact, gathered",
            "exact, in parts",
            "fast",
            "the faster exact one",
        ]
        text = [
            "### Gradients added over all processes, in microseconds",
            "",
            "Gathered: each process sends its sums to all others, in one message. In parts: each process adds a part",
            "of all sums, and sends it to all others. In brackets: by the formula below.",
            "",
            *table(head, rows, 0),
            "Up to this size of a gradient the model below has gathering the faster way:",
            "",
        ]
        networks, counts = [here, *NETWORKS], (2, 4, 8, 16)
        head = ["network", *(f"{p} processes" for p in counts)]
        limits = [[net.name, *(bytes_of(net.gathered_most(p, costs)) for p in counts)] for net in networks]
        text += [
            *table(head, limits),
            "Exact beside fast, as the model has them, for a gradient of 1 MiB, in milliseconds:",
            "",
        ]
        beside = []
        for net in networks:
            pairs = [(exact(1 << 20, 1, p, net, costs), reduced(1 << 20, p, net, costs)) for p in counts]
            beside.append([net.name, *(f"{milliseconds(a)} : {milliseconds(b)}" for a, b in pairs)])
        return [*text, *table(head, beside)]

    def check(self) -> list[str]:
        """The formula beside the measurements from which it was not made."""
        rows = []
        here, costs = self.here(), self.costs()
        for run in self.several:
            if run.mode != "exact" or (run.units, BLOCK, "exact") not in self.by_units:
                continue
            t = self.times(run.units)
            for p in self.processes:
                told = update(t, run.batch // BLOCK, 4 * parameters(run.units), p, here, costs, cores())
                mine = self.found(p, run)
                cells = [str(run.units), str(run.batch), str(p), *map(milliseconds, (t.block, t.rest, told, mine))]
                rows.append([*cells, f"{told / mine:.2f}"])
        head = ["units", "sequences", "processes", "T block", "T rest", "T(P) by the formula", "measured", "ratio"]
        return [*FORMULA, "Milliseconds, of this machine:", "", *table(head, rows, 0)]

    def repays(self) -> list[str]:
        text, costs = ["### From which sizes several machines repay", "", *REPAYS], self.costs()
        units = sorted({run.units for run in self.alone})
        for batch in BATCHES:
            counts = [p for p in (2, 4, 8, 16) if p <= batch // BLOCK]
            rows = []
            for net in (self.here(), *NETWORKS):
                for n in units:
                    plain = self.found(0, self.by_units[n, batch, "plain"])
                    told = [update(self.times(n), batch // BLOCK, 4 * parameters(n), p, net, costs) for p in counts]
                    rows.append([net.name, str(n), milliseconds(plain), *(f"{plain / each:.2f}" for each in told)])
            head = ["network", "units", "`fit` alone, ms", *(f"{p} processes" for p in counts)]
            text += [f"{batch} sequences, {batch // BLOCK} blocks:", "", *table(head, rows)]
        return text

    def __str__(self) -> str:
        head = [
            f"Texts of {VOCABULARY} characters, {STEPS} steps an update, float32, Adam. {machine(())}",
            f"{'Fastest updates' if self.found.best else 'Medians'} of {self.rounds} rounds in turns. "
            f"MPI: {self.messages['library']}.",
            "",
        ]
        sections = (self.one_process, self.several_processes, self.communicator, self.two_ways, self.check, self.repays)
        return "\n".join([*head, *(line for section in sections for line in section())]).rstrip() + "\n"


def smallest(kept: dict[int, Any] | None, found: dict[str, Any]) -> dict[int, Any]:
    """Of each time of the communicator, the best of all rounds."""
    told = {int(size): times for size, times in found.items()}
    if kept is None:
        return told
    return {size: {name: min(times[name], told[size][name]) for name in times} for size, times in kept.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="everything runs once a round (default 5)")
    parser.add_argument("--best", action="store_true", help="fastest updates instead of medians, on a machine in use")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one round, few sizes")
    parser.add_argument("--output", type=Path, help="write benchmark_machines.md into this folder (Markdown)")
    options = parser.parse_args()
    if not MPIEXEC:
        raise SystemExit("expected mpiexec beside Python: pip install '.[mpi]'")
    several, alone = runs_of(options.quick)
    gradients, messages = (each[:: 4 if options.quick else 1] for each in (GRADIENTS, MESSAGES))
    plain = list(dict.fromkeys(run._replace(mode="plain") for run in several))
    found = Measurements(options.best)
    sums: dict[int, Any] = {}
    of_messages: dict[Any, Any] = {}
    begin = time.perf_counter()
    for number in range(1 if options.quick else options.rounds):
        for threads in sorted({min(p, cores()) for p in PROCESSES}):
            found.take(-threads, work(None, threads, runs=plain))
        of_alone = work(None, runs=[run for run in alone if run.mode == "plain"], adding=[1 << 20])
        found.take(0, of_alone)
        of_messages["adding"] = smallest(of_messages.get("adding"), {k: {"": v} for k, v in of_alone["adding"].items()})
        for p in PROCESSES:
            task = {"communicator": messages, "sums": gradients} if p > 1 else {}
            mine = work(p, runs=several + [run for run in alone if run.mode == "exact" and p == 1], **task)
            found.take(p, mine)
            if p > 1:
                sums[p] = smallest(sums.get(p), mine["sums"])
                of_messages[p] = smallest(of_messages.get(p), mine["communicator"])
            of_messages["library"] = mine["library"]
        print(f"round {number + 1}: done after {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
        text = str(Report(found, several, alone, sums, of_messages, number + 1))
        if options.output:
            (options.output / "benchmark_machines.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
