"""A controller at 1 kHz: a network balances a pole from what it sees, then runs as C without Python.

    python examples/balance_pole.py [--quick]

The teacher is the linear-quadratic regulator, which is told positions and speeds. The network sees the position of the
cart and the angle of the pole alone, with noise: speeds it has to keep in mind. It learns in rounds. In each of them it
drives more of the time, and the teacher says what would have been better. Of each round the readout is solved. At last
all parameters follow the gradient.

Measured: the error against the teacher falls from 1.24 to 0.79 N by the gradient. Pushed every second, 20 of 20 poles
stay up for 30 seconds with the teacher, with the network as a stream and with the network in C (0.8 s with nobody). On
the same inputs stream and C are 0.00004 N apart. All of it takes 45 s.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bptt

Array = NDArray[Any]
Controller = Callable[[Array, Array], Array]  # the force [carts, 1] / STRONG, from state and sight at this millisecond
DT, GRAVITY, CART, POLE, HALF = 1e-3, 9.81, 1.0, 0.1, 0.5  # s, m/s^2, kg, kg, m
SEEN = np.array([1.0, 0.2])  # metres and radians that the network sees as 1
STRONG, NOISE = 10.0, 1e-3  # newtons that it puts out as 1; of what is seen

LOOP = """
#include "pole.h"
static pole_state states[CARTS];
void reset(void) { for (int i = 0; i < CARTS; ++i) pole_init(&states[i]); }
void act(const float* x, float* o) { for (int i = 0; i < CARTS; ++i) pole_step(&states[i], x + 2 * i, o + i); }
"""


# ---- The cart, and a teacher that sees all of it ----


def accelerations(state: Array, force: Array) -> tuple[Array, Array]:
    """Of a cart with a pole on it: of position and angle, from ``[carts, 4]``: position, speed, angle, its speed."""
    _, _, angle, turning = state.T
    sine, cosine, mass = np.sin(angle), np.cos(angle), CART + POLE
    pushed = (force + POLE * HALF * turning**2 * sine) / mass
    turned = (GRAVITY * sine - cosine * pushed) / (HALF * (4 / 3 - POLE * cosine**2 / mass))
    return pushed - POLE * HALF * turned * cosine / mass, turned


def moved(state: Array, force: Array) -> Array:
    """The state a millisecond later."""
    of_position, of_angle = accelerations(state, force)
    position, speed, angle, turning = state.T
    speed, turning = speed + DT * of_position, turning + DT * of_angle
    return np.stack([position + DT * speed, speed, angle + DT * turning, turning], axis=1)


def best_gains() -> Array:
    """The linear-quadratic regulator: gains on the state, from the Riccati equation of the linearised cart."""
    small = 1e-5
    A = np.stack([moved(row[None], np.zeros(1))[0] / small for row in small * np.eye(4)], axis=1)
    B = moved(np.zeros((1, 4)), np.array([small]))[0][:, None] / small
    Q, R = np.diag([1.0, 0.1, 10.0, 0.1]), np.array([[0.1]])
    P, gains = Q, np.zeros((1, 4))
    for _ in range(20_000):
        gains = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
        P = Q + A.T @ P @ (A - B @ gains)
    best: Array = gains[0]
    return best


GAINS = best_gains()


def teacher(state: Array) -> Array:
    """The force ``[carts, 1]`` that would be best, in units of STRONG."""
    force: Array = np.clip(-state @ GAINS / STRONG, -1, 1)
    return force[:, None]


def simulate(control: Controller, carts: int, steps: int, seed: int) -> tuple[Array, Array, Array]:
    """What was seen ``[steps, carts, 2]``, the teacher's forces beside it, and for how many steps each pole stayed up.

    A cart begins tilted, and is pushed every second. A pole that has fallen, or a cart that has left, begins anew.
    """
    random = np.random.default_rng(seed)

    def start(count: int) -> Array:
        return random.uniform(-1, 1, (count, 4)) * [0.5, 0.3, 0.1, 0.3]

    state, up, fallen = start(carts), np.full(carts, steps), np.zeros(carts, bool)
    x, y = np.empty((steps, carts, 2), np.float32), np.empty((steps, carts, 1), np.float32)
    for t in range(steps):
        x[t] = state[:, [0, 2]] / SEEN + NOISE * random.standard_normal((carts, 2))
        y[t] = teacher(state)
        force = STRONG * np.clip(control(state, x[t]), -1, 1)[:, 0]
        state = moved(state, force)
        if t % 1000 == 999:
            state[:, [1, 3]] += random.uniform(-0.5, 0.5, (carts, 2))
        now = (np.abs(state[:, 0]) > 2) | (np.abs(state[:, 2]) > 0.5)
        up[now & ~fallen] = t
        fallen |= now
        state[now] = start(int(now.sum()))
    return x, y, up


# ---- Learning: the network drives, and the teacher says what would have been better ----


def beginner(n_hidden: int) -> bptt.ElmanRNN:
    """Units that begin as averages over 2 to 300 ms: a millisecond changes little, and speed takes many to be seen."""
    rnn = bptt.ElmanRNN(2, n_hidden, 1, output="linear", seed=0)
    kept = np.exp(-1 / np.geomspace(2, 300, n_hidden))
    rnn.W[:] = np.diag(kept)
    rnn.U[:] = (1 - kept)[:, None] * np.random.default_rng(0).standard_normal((n_hidden, 2))
    return rnn


def solve_readout(rnn: bptt.ElmanRNN, x: Array, y: Array) -> None:
    """Set V and c to the least squares of the states that there are: a start, from which the gradient goes on."""
    h = rnn.forward(x).h.reshape(-1, rnn.n_hidden).astype(np.float64)
    h = np.concatenate([h, np.ones((len(h), 1))], axis=1)
    products = h.T @ h
    solved = np.linalg.solve(products + 1e-7 * np.trace(products) * np.eye(len(products)), h.T @ y.reshape(-1, 1))
    rnn.V[:], rnn.c[:] = solved[:-1].T, solved[-1]


def error(rnn: bptt.ElmanRNN, x: Array, y: Array) -> float:
    """In newtons, once the network has looked on for half a second."""
    return STRONG * float(np.sqrt(np.mean((rnn.forward(x).o - y)[500:] ** 2)))


def drives(rnn: bptt.ElmanRNN, share: float, carts: int, steps: int, seed: int) -> tuple[Array, Array]:
    """What is seen, and what the teacher would do, while it drives with a share and the network with the rest."""
    stream, random = rnn.stream(batch=carts), np.random.default_rng(seed)

    def control(state: Array, x: Array) -> Array:
        shaken = 0.2 * share * random.standard_normal((carts, 1))
        return share * teacher(state) + (1 - share) * stream.step(x) + shaken

    return simulate(control, carts, steps, seed)[:2]


def learned(quick: bool) -> bptt.ElmanRNN:
    rnn = beginner(32)
    carts, steps, epochs = (16, 1500, 30) if quick else (32, 3000, 300)
    seen: list[Array] = []
    best: list[Array] = []
    print(f"{'learning':>20}  {'teacher drives':>14}  {'error, N':>8}")
    for number, share in enumerate((1.0, 0.5, 0.0, 0.0)):
        for known, new in zip((seen, best), drives(rnn, share, carts, steps, number), strict=True):
            known.append(new)
        x, y = np.concatenate(seen, axis=1), np.concatenate(best, axis=1)
        solve_readout(rnn, x, y)
        print(f"{f'readout, round {number + 1}':>20}  {share:14.0%}  {error(rnn, x, y):8.2f}", flush=True)
    rnn.fit(
        x,
        y,
        optimizer=bptt.Adam(2e-4),
        schedule=bptt.schedules.Cosine(epochs * steps // 500),
        epochs=epochs,
        truncate=500,
        clip_norm=0.02,
        seed=0,
    )
    print(f"{'all, by gradient':>20}  {'':>14}  {error(rnn, x, y):8.2f}", flush=True)
    return rnn


# ---- Driving ----


def in_c(rnn: bptt.ElmanRNN, carts: int, folder: str) -> tuple[Callable[[], None], Controller] | None:
    """The network as C, for some carts at once: how it begins anew, and a step; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    bptt.export_c(rnn, Path(folder, "pole.h"), prefix="pole")
    source, target = Path(folder, "pole.c"), Path(folder, "pole.so")
    source.write_text(LOOP)
    command = [compiler, "-std=c99", "-O2", "-shared", "-fPIC", f"-DCARTS={carts}", str(source), "-o", str(target)]
    subprocess.run(command, check=True)
    library, o = ctypes.CDLL(str(target)), np.empty((carts, 1), np.float32)

    def step(state: Array, x: Array) -> Array:
        library.act(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(o.ctypes.data))
        return o

    return library.reset, step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds: less training, shorter drives")
    options = parser.parse_args()

    rnn = learned(options.quick)
    carts, steps = 20, 3000 if options.quick else 30_000
    stream = rnn.stream(batch=carts)
    controllers: dict[str, tuple[Callable[[], None], Controller]] = {
        "nobody": (lambda: None, lambda state, x: np.zeros((carts, 1))),
        "teacher, sees all": (lambda: None, lambda state, x: teacher(state)),
        "network, by stream": (stream.reset, lambda state, x: stream.step(x)),
    }
    with tempfile.TemporaryDirectory() as folder:
        found = in_c(rnn, carts, folder)
        if found is None:
            print("no C compiler was found: the stream drives alone")
        else:
            controllers["network, in C"] = found
        print(f"\nseconds up, of {steps * DT:.0f}, {carts} carts that are pushed every second:")
        print(f"{'':>20}  {'mean':>6}  {'shortest':>8}")
        for name, (reset, control) in controllers.items():
            reset()
            x, _, up = simulate(control, carts, steps, seed=1000)
            print(f"{name:>20}  {up.mean() * DT:6.1f}  {up.min() * DT:8.1f}")
        if found is not None:
            reset, control = found
            reset()
            stream.reset()
            apart = max(float(np.abs(stream.step(x_t) - control(x_t, x_t)).max()) for x_t in x)
            print(f"\nstream and C, on what the carts saw: at most {STRONG * apart:.1g} N apart")


if __name__ == "__main__":
    main()
