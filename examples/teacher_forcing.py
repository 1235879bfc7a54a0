"""What the book says of output recurrence (section 10.2.1), shown: what it costs, cannot do, and what forcing hides.

    python examples/teacher_forcing.py [--quick] [--plot FILE]

Prints three tables; with matplotlib, --plot draws them.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bptt
from bptt import Adam, ElmanRNN, JordanRNN

Array = NDArray[Any]


def train(
    rnn: Any, batches: Callable[[], tuple[Array, Array]], updates: int, rate: float, p: Callable[[float], float]
) -> None:
    """Adam on the mean loss per target, the rate falling to 0; p(progress from 0 to 1) is the share of forced steps."""
    optimizer = Adam(rate, betas=(0.9, 0.99))
    for i in range(updates):
        x, y = batches()
        forcing = {"teacher_forcing": p(i / updates), "seed": i} if isinstance(rnn, JordanRNN) else {}
        _, gradients = rnn.loss_and_gradients(x, y, **forcing)
        optimizer.step(rnn, gradients, scale=y.shape[0] * y.shape[1], clip_norm=1.0, lr=rate * (1 - i / updates))


# ---- (a) Time: with teacher forcing no step waits for another ----


def microseconds_per_step(quick: bool) -> dict[int, dict[str, float]]:
    """Of a training gradient at batch 1, for some lengths."""
    random, n_in, n_hidden, n_out = np.random.default_rng(0), 16, 128, 64
    elman, jordan = ElmanRNN(n_in, n_hidden, n_out, seed=0), JordanRNN(n_in, n_hidden, n_out, seed=0)
    calls: dict[str, Callable[[Array, Array], Any]] = {
        "Elman": elman.loss_and_gradients,
        "output-recurrent, free": lambda x, y: jordan.loss_and_gradients(x, y, teacher_forcing=0.0),
        "output-recurrent, forced": jordan.loss_and_gradients,
    }
    result: dict[int, dict[str, float]] = {}
    for tau in (10, 100, 1000) if quick else (10, 100, 1000, 10_000, 100_000):
        x = random.standard_normal((tau, 1, n_in)).astype(np.float32)
        y = random.integers(0, n_out, (tau, 1))
        result[tau] = {}
        for name, call in calls.items():
            seconds = []
            for _ in range(3 if quick else max(5, 20_000 // tau)):
                start = time.perf_counter()
                call(x, y)
                seconds.append(time.perf_counter() - start)
            result[tau][name] = float(np.median(seconds)) / tau * 1e6
    return result


# ---- (b) Memory: what an output-recurrent network knows of the past is what its outputs say ----


def losses_of_tasks(quick: bool) -> dict[str, dict[str, float]]:
    """Mean negative log-likelihood per step, in nats, of two tasks on random bits x(t).

    Delay, y(t) = x(t-1): y(t-1) = x(t-2) says nothing of it, so that no forced network can do better than ln 2. Parity,
    y(t) = x(1) + ... + x(t) mod 2 = y(t-1) + x(t) mod 2: the last output is all that needs to be known.
    """
    random = np.random.default_rng(0)

    def task(parity: bool) -> Callable[[], tuple[Array, Array]]:
        def batch() -> tuple[Array, Array]:
            bits = random.integers(0, 2, (25, 64))
            y = bits.cumsum(axis=0) % 2 if parity else np.concatenate([np.full((1, 64), -1), bits[:-1]])
            return 2.0 * bits[..., None].astype(np.float32) - 1, y

        return batch

    def mean_loss(rnn: Any, batches: Callable[[], tuple[Array, Array]]) -> float:
        x, y = batches()
        return float(rnn.loss(x, y)) / int((y >= 0).sum())

    result: dict[str, dict[str, float]] = {}
    for name, parity in (("delay", False), ("parity", True)):
        result[name] = {}
        for kind in (ElmanRNN, JordanRNN):
            rnn = kind(1, 24, 2, seed=1)
            train(rnn, task(parity), 150 if quick else 1500, 0.02, lambda _: 1.0)
            result[name][kind.__name__] = mean_loss(rnn, task(parity))
    return result


# ---- (c) Exposure: trained on targets, run on its own outputs ----


def errors_of_training(quick: bool) -> dict[str, tuple[float, float]]:
    """Mean squared error on new sequences, fed with targets and running free, after three ways of training.

    z(t) turns and decays slowly, driven by x(t); y(t) is z(t) with noise. Who always sees y(t-1) learns to trust it
    less than the motion deserves, as part of it is noise, and so forgets too fast what it has said itself.
    """
    random = np.random.default_rng(0)
    angle, noise, tau, batch = 0.4, 0.5, 60, 32
    motion = 0.97 * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def batches() -> tuple[Array, Array]:
        x = 0.25 * random.standard_normal((tau, batch, 2))
        z = np.zeros((tau + 1, batch, 2))
        for t in range(tau):
            z[t + 1] = z[t] @ motion.T + x[t]
        return x.astype(np.float32), (z[1:] + noise * random.standard_normal(z[1:].shape)).astype(np.float32)

    ways: dict[str, Callable[[float], float]] = {
        "teacher forcing": lambda progress: 1.0,
        "scheduled sampling": lambda progress: max(0.0, 1 - 1.5 * progress),
        "free-running": lambda progress: 0.0,
    }
    test = [batches() for _ in range(20)]
    result: dict[str, tuple[float, float]] = {}
    for name, way in ways.items():
        rnn = JordanRNN(2, 32, 2, output="linear", seed=0)
        train(rnn, batches, 100 if quick else 1500, 0.01, way)
        targets = sum(y.size for _, y in test)
        forced, free = (sum(rnn.loss(x, y, teacher_forcing=p) for x, y in test) for p in (1.0, 0.0))
        result[name] = (2 * forced / targets, 2 * free / targets)
    return result


def plot(path: str, times: dict[int, dict[str, float]], tasks: dict[str, Any], errors: dict[str, Any]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (a, b, c) = pyplot.subplots(1, 3, figsize=(14, 4), layout="constrained")
    for name in next(iter(times.values())):
        a.loglog(list(times), [row[name] for row in times.values()], marker="o", label=name)
    a.set(title="(a) a gradient at batch 1", xlabel="steps", ylabel="microseconds a step")
    a.legend()
    for i, kind in enumerate(("ElmanRNN", "JordanRNN")):
        b.bar([j + 0.4 * i - 0.2 for j in range(len(tasks))], [row[kind] for row in tasks.values()], 0.4, label=kind)
    b.axhline(math.log(2), color="grey", linestyle="--", label="ln 2: a guess")
    b.set(title="(b) loss after training", xticks=range(len(tasks)), xticklabels=list(tasks), ylabel="nats a step")
    b.legend()
    for i, name in enumerate(("fed with targets", "running free")):
        c.bar([j + 0.4 * i - 0.2 for j in range(len(errors))], [row[i] for row in errors.values()], 0.4, label=name)
    c.set(
        title="(c) error on new sequences",
        xticks=range(len(errors)),
        xticklabels=[name.replace(" ", "\n") for name in errors],
        ylabel="mean square",
    )
    c.legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds: shorter sequences, less training")
    parser.add_argument("--plot", metavar="FILE", help="draw the tables (.png, .svg or .pdf); needs matplotlib")
    options = parser.parse_args()

    print(f"(a) Microseconds a step of a training gradient, batch 1, {bptt.get_num_threads()} threads\n")
    times = microseconds_per_step(options.quick)
    names = list(next(iter(times.values())))
    print(f"{'steps':>8}  " + "  ".join(names))
    for tau, row in times.items():
        print(f"{tau:8}  " + "  ".join(f"{row[name]:{len(name)}.2f}" for name in names))

    print(f"\n(b) Nats a step after training; a guess costs ln 2 = {math.log(2):.4f}\n")
    tasks = losses_of_tasks(options.quick)
    print(f"{'task':>8}  {'ElmanRNN':>9}  {'JordanRNN, forced':>17}")
    for task, row in tasks.items():
        print(f"{task:>8}  {row['ElmanRNN']:9.4f}  {row['JordanRNN']:17.4f}")

    print("\n(c) Mean squared error on new sequences, by training\n")
    errors = errors_of_training(options.quick)
    print(f"{'training':>20}  {'fed with targets':>16}  {'running free':>12}  {'gap':>7}")
    for name, (forced, free) in errors.items():
        print(f"{name:>20}  {forced:16.4f}  {free:12.4f}  {free - forced:7.4f}")

    if options.plot:
        plot(options.plot, times, tasks, errors)


if __name__ == "__main__":
    main()
