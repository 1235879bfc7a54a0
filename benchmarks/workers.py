"""A process for each contender and number of threads, told by messages what to build, to answer and to time."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from peers import Entry
from problem import MODES, Answer, Contender, Line, Mode, Problem

LONGEST_WAIT = 0.5  # seconds
DISTURBED = 0.05  # a measurement is repeated if for this share of it a thread stood in the queue for a processor,
ATTEMPTS = 4  # at most so often, while all attempts together take less than
PATIENCE = 0.5  # seconds; the least disturbed one counts


def queued() -> float:
    """For how many seconds the threads of this process have been ready to run and not run (0 if nobody tells)."""
    total = 0
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread may end at any time
            total += int(path.read_text().split()[1])
    return total * 1e-9


def settle() -> None:
    """Wait until no thread of this process spins any more: else it would slow the next contender."""
    end = time.perf_counter() + LONGEST_WAIT
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(0.002)
        if time.process_time() - before < 0.0005:
            return


class Clock:
    """Times a call; a measurement takes at least `least` seconds, so a short call is repeated."""

    def __init__(self, call: Callable[[], Any], least: float) -> None:
        self.call, self.least = call, least
        self.last = self._block(1)

    def seconds(self) -> float:
        """Of one call, undisturbed if the machine allows."""
        measurements: list[tuple[float, float]] = []
        end = time.perf_counter() + PATIENCE
        while len(measurements) < ATTEMPTS and (not measurements or time.perf_counter() < end):
            if self.last < self.least:
                self.call()  # wakes the threads and fills the caches
            repetitions = math.ceil(self.least / self.last)
            before = queued()
            self.last = self._block(repetitions)
            share = (queued() - before) / (self.last * repetitions)
            measurements.append((share, self.last))
            if share < DISTURBED:
                break
        return min(measurements)[1]

    def _block(self, repetitions: int) -> float:
        start = time.perf_counter()
        for _ in range(repetitions):
            self.call()
        return (time.perf_counter() - start) / repetitions


def serve(connection: Connection, entry: Entry, threads: int, dtype: str, least: float) -> None:
    """The loop of a worker: a message is a method's name with its arguments, and is answered by its result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other end stops this process
    clocks: dict[Mode, Clock] = {}
    contender: Contender | None = None
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        if isinstance(message, Line):
            clocks.clear()
            contender = None  # frees the last line's memory
            contender = entry.build(Problem(message, dtype), threads)
            connection.send([mode for mode in MODES if contender.call(mode)])
        elif message == "answers":
            connection.send({mode: contender.answer(mode) for mode in MODES})
        else:
            if message not in clocks:
                clocks[message] = Clock(contender.call(message), least)
            seconds = clocks[message].seconds()
            settle()
            connection.send(seconds)


class Worker:
    """The other end of a worker's messages."""

    def __init__(
        self, entry: Entry, threads: int, dtype: str, least: float, serve: Callable[..., None] = serve
    ) -> None:
        self.entry, self.threads = entry, threads
        self.task: Line | None = None
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        saved = dict(os.environ)
        os.environ.update({variable: str(threads) for variable in entry.environment})
        self._process = context.Process(target=serve, args=(other, entry, threads, dtype, least), daemon=True)
        self._process.start()
        os.environ.clear()
        os.environ.update(saved)
        other.close()

    @property
    def key(self) -> tuple[str, int]:
        return self.entry.name, self.threads

    @staticmethod
    def missing(entry: Entry) -> list[str]:
        return [name for name in entry.needs if find_spec(name) is None]

    def prepare(self, line: Line) -> list[Mode]:
        """Build what the contender measures for a line of the table, which is its task; tell which modes there are."""
        self.task = self.entry.task(line)
        if self.task is None:
            return []
        return [mode for mode in self._ask(self.task) if mode in line.modes]

    def answers(self) -> dict[Mode, Answer]:
        return self._ask("answers")

    def seconds(self, mode: Mode) -> float:
        return self._ask(mode)

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()

    def _ask(self, message: Line | str) -> Any:
        self._connection.send(message)
        try:
            return self._connection.recv()
        except EOFError:
            raise SystemExit(f"{self.entry.name} failed; its message stands above") from None
