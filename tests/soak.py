"""A program: random training, drawing, saving and loading for minutes, after which the process is as it was.

`python tests/soak.py --minutes 10`. Networks of every kind are made, used and given up, by one thread or several, with
errors in between. After a warm-up, resident memory stays within 1 %, and threads and open files are as many as before.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bptt
from bptt import ElmanRNN, JordanRNN

WARM_UP = 0.2  # of the time
ROUNDS = 40  # different ones, which come again and again in any order: so memory has a height to stay at
PAGE = os.sysconf("SC_PAGE_SIZE")


class Round:
    """One network, and what is done with it."""

    def __init__(self, draw: random.Random, folder: Path) -> None:
        self.draw, self.folder = draw, folder
        self.array = np.random.default_rng(draw.getrandbits(32))
        self.n_in = draw.randint(1, 40)
        self.n_out = self.n_in if draw.random() < 0.5 else draw.randint(1, 40)
        common: dict[str, Any] = {
            "input": draw.choice(("real", "token")),
            "output": draw.choice(("softmax", "sigmoid", "linear")),
            "dtype": draw.choice(("float32", "float64")),
            "activation": draw.choice(("tanh", "relu")),
            "seed": draw.getrandbits(32),
        }
        if draw.random() < 0.3:
            self.rnn: Any = JordanRNN(self.n_in, draw.randint(1, 90), self.n_out, **common)
        else:
            n_hidden = tuple(draw.randint(1, 90) for _ in range(draw.choice((1, 1, 2, 3))))
            more: dict[str, Any] = {
                "bidirectional": draw.random() < 0.3,
                "readout": draw.choice(("all", "all", "last")),
            }
            self.rnn = ElmanRNN(self.n_in, n_hidden, self.n_out, **common, **more)
        self.last = getattr(self.rnn, "readout", "all") == "last"
        self.batch = draw.randint(1, 24)
        self.lengths = [draw.randint(1, 400) for _ in range(self.batch)]

    def inputs(self, shape: tuple[int, ...]) -> Any:
        if self.rnn.input == "token":
            return self.array.integers(0, self.n_in, shape)
        return self.array.standard_normal((*shape, self.n_in)).astype(self.rnn.dtype)

    def targets(self, shape: tuple[int, ...]) -> Any:
        if self.rnn.output == "softmax":
            y = np.asarray(self.array.integers(-1, self.n_out, shape))
            y.flat[0] = 0  # one target at least
            return y
        return self.array.random((*shape, self.n_out)).astype(self.rnn.dtype)

    def data(self) -> tuple[Any, Any, dict[str, Any]]:
        """x, y, and what tells their form."""
        tau = max(self.lengths)
        form = self.draw.choice(("single", "batch", "padded", "list"))
        if form == "single":
            return self.inputs((tau,)), self.targets(() if self.last else (tau,)), {}
        if form == "list":
            x = [self.inputs((n,)) for n in self.lengths]
            return x, self.targets((self.batch,)) if self.last else [self.targets((n,)) for n in self.lengths], {}
        y = self.targets((self.batch,) if self.last else (tau, self.batch))
        return self.inputs((tau, self.batch)), y, {"lengths": self.lengths} if form == "padded" else {}

    def forward(self) -> None:
        x, _, form = self.data()
        if isinstance(self.rnn, ElmanRNN):
            form["all_layers"] = self.draw.random() < 0.5
        run = self.rnn.forward(x, **form)
        assert len(run.y_hat) == len(run.o)

    def gradients(self) -> None:
        x, y, form = self.data()
        if self.rnn.input == "real":
            form["wrt_x"] = self.draw.random() < 0.5
        loss, gradients = self.rnn.loss_and_gradients(x, y, **form)
        assert np.isfinite(loss)
        assert gradients.layers[0].W.shape == self.rnn.layers[0].W.shape

    def generate(self) -> None:
        """Draw, or be refused."""
        prompt = self.inputs((self.draw.randint(1, 20), self.batch))
        try:
            if isinstance(self.rnn, JordanRNN):
                self.rnn.generate(50, x=self.inputs((50,)))
            else:
                self.rnn.generate(50, prompt=prompt)
        except ValueError:  # two directions, readout of the last step, an input that is no output
            assert self.rnn.n_in != self.n_out or isinstance(self.rnn, ElmanRNN)

    def fit(self) -> None:
        x, y, form = self.data()
        checkpoint = self.folder / f"checkpoint{threading.get_ident()}" if self.draw.random() < 0.3 else None
        optimizers = (bptt.Adam, bptt.AdamW, bptt.SGD, bptt.RMSProp, bptt.Adagrad)
        self.rnn.fit(
            x, y, optimizer=self.draw.choice(optimizers)(1e-4), epochs=2, checkpoint=checkpoint, progress=False, **form
        )

    def file(self) -> None:
        path = self.folder / f"model{threading.get_ident()}"
        self.rnn.metadata = {"numbers": list(range(self.draw.randint(0, 1000)))}
        self.rnn.save(path)
        again = bptt.load(path)
        assert again.parameters.tobytes() == self.rnn.parameters.tobytes()
        path.write_bytes(path.read_bytes()[: self.draw.randint(0, 200)])
        try:
            bptt.load(path)
        except ValueError:
            return
        raise AssertionError("a part of a file was read as a whole one")

    def refused(self) -> None:
        x, _, form = self.data()
        for wrong in ({"x": np.zeros((2, 3, 4, 5))}, {**form, "x": x, "lengths": [0]}):
            try:
                self.rnn.forward(**wrong)
            except (TypeError, ValueError):
                continue
            raise AssertionError("was not refused")

    def some(self, done: Counter[str]) -> None:
        calls: list[Callable[[], None]] = [
            self.forward,
            self.gradients,
            self.generate,
            self.fit,
            self.file,
            self.refused,
        ]
        for call in self.draw.sample(calls, 3):
            call()
            done[call.__name__] += 1


class Process(tuple[int, int, int]):
    """Resident bytes, threads, open files."""

    @classmethod
    def now(cls, most_threads: int) -> Process:
        """If there are more threads than that, once those have gone that ended a moment ago."""
        gc.collect()
        for _ in range(100):
            if len(os.listdir("/proc/self/task")) <= most_threads:
                break
            time.sleep(0.01)
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * PAGE
        return cls((resident, len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))))


def side_by_side(draw: random.Random, folder: Path, done: Counter[str]) -> None:
    """Some threads at once, which then end."""
    wrong: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            Round(random.Random(seed), folder).some(done)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(draw.randrange(ROUNDS),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in folder.iterdir():  # named by their threads
        path.unlink()
    if wrong:
        raise wrong[0]


def fill_what_is_kept() -> None:
    """A call with so many large arrays that the core keeps as much memory for the next call as it ever does."""
    rnn = ElmanRNN(8, (32,) * 20, 8, bidirectional=True, seed=0)
    rnn.loss_and_gradients(np.zeros((1000, 32, 8)), np.zeros((1000, 32), int))


def main() -> int:
    parser = argparse.ArgumentParser(description="A long use of everything.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument(
        "--growth",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="of resident memory: the median of the last third above that of the first one after the warm-up; "
        "a run of a minute has not seen all that comes together by chance (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("error")
    draw, done = random.Random(options.seed), Counter[str]()
    seen: list[tuple[float, Process]] = []
    begin, seconds, told = time.monotonic(), 60 * options.minutes, 0.0
    fill_what_is_kept()
    with tempfile.TemporaryDirectory() as name:
        while (passed := time.monotonic() - begin) < seconds:
            bptt.set_num_threads(draw.choice((1, 2, 2, 3)))
            if draw.random() < 0.1:
                side_by_side(draw, Path(name), done)
            else:
                Round(random.Random(draw.randrange(ROUNDS)), Path(name)).some(done)
            now = Process.now(seen[-1][1][1] if seen else 0)
            seen.append((passed / seconds, now))
            if passed - told > 30:
                told = passed
                print(f"{passed:.0f} s: {now[0] / 2**20:.1f} MiB, {now[1]} threads, {now[2]} files", flush=True)
    after = [process for share, process in seen if share > WARM_UP]
    third = len(after) // 3
    first, last = (statistics.median(p[0] for p in part) for part in (after[:third], after[-third:]))
    grown = last / first - 1
    threads, files = ({p[i] for p in after} for i in (1, 2))
    print(f"{dict(done)} calls in {len(seen)} rounds and {options.minutes:g} minutes")
    print(f"resident memory {first / 2**20:.2f} MiB, then {last / 2**20:.2f} MiB: {grown:+.2%}")
    print(f"threads {sorted(threads)}, open files {sorted(files)}")
    good = grown <= options.growth and len(threads) == len(files) == 1
    print("as it was" if good else "NOT as it was")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
