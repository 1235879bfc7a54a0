"""A network that remembers three bits, and how: by eight stable fixed points (Sussillo and Barak, 2013).

    python examples/flip_flop.py [-o flip_flop.png]

Each input brings pulses of +1 or -1 at random, and its output tells the latest one. Trains a network, finds all fixed
points of its step map, and draws them between its trajectories; needs matplotlib.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import bptt
import bptt.plot
from bptt.analysis import FixedPoints, fixed_points, pca
from bptt.tasks import FlipFlop
from bptt.tasks.task import Trials

TASK = FlipFlop(n_bits=3, steps=48, p_flip=0.15)


def trained() -> bptt.ElmanRNN:
    """A network of 24 units that has learnt the task."""
    rnn = TASK.network(24, seed=0)
    rnn.fit(TASK.batches(64, steps=100), optimizer=bptt.Adam(1e-2), epochs=5, clip_norm=1.0, seed=0, progress=False)
    return rnn


def bits(rnn: bptt.ElmanRNN, points: FixedPoints) -> list[str]:
    """What the network says at each point: + or - for each bit."""
    return ["".join("+" if o > 0 else "-" for o in outputs) for outputs in points.state @ rnn.V.T + rnn.c]


def picture(rnn: bptt.ElmanRNN, trials: Trials, points: FixedPoints) -> Any:
    """Return a figure: a trial on the left; states in the space of three principal components on the right."""
    from matplotlib import pyplot

    run = rnn.forward(trials.x)
    figure = pyplot.figure(figsize=(10, 5.2), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(1.0, 1.3))
    t = np.arange(1, len(trials.x) + 1)
    ax: Any = None
    for k, name in enumerate(TASK.outputs):
        ax = figure.add_subplot(grid[k, 0], sharex=ax)
        ax.vlines(t, 0, trials.x[:, 0, k], color="#777777", linewidth=2.5, label="input")
        ax.step(t, trials.y[:, 0, k], "--", where="mid", color="#D55E00", label="target")
        ax.plot(t, run.o[:, 0, k], color="#0072B2", label="output")
        ax.set(ylabel=name, ylim=(-1.5, 1.5), yticks=(-1, 0, 1))
        ax.tick_params(labelbottom=k == TASK.n_bits - 1)
        if k == 0:
            ax.set_title("A trial")
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.22), ncols=3, frameon=False)
    ax.set_xlabel("time step $t$")

    space = figure.add_subplot(grid[:, 1], projection="3d")
    components = pca(run.h, 3)
    for i in range(40):
        space.plot(*components.transform(run.h[:, i]).T, color="#BBBBBB", linewidth=0.7, zorder=1)
    bptt.plot.fixed_points(points, space, components=components)
    near = points[points.is_fixed & points.is_stable]
    for word, place in zip(bits(rnn, near), components.transform(near.state), strict=True):
        place[2] += np.copysign(0.5, place[2])  # above the points in the upper half, below the others
        label = space.text(*place, word.replace("-", "\N{MINUS SIGN}"), ha="center", va="center", fontsize=9, zorder=4)
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.3})
    space.view_init(elev=18, azim=-70)
    space.yaxis.labelpad = 9
    space.set_title("Fixed points and trajectories of $h(t)$")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", metavar="FILE", default="flip_flop.png", help="where the picture goes")
    options = parser.parse_args()

    rnn = trained()
    trials = TASK.trials(np.random.default_rng(1), 200)
    run = rnn.forward(trials.x)
    print(f"bits right  {TASK.score(run.y_hat, trials):.4f}")

    points = fixed_points(rnn, run.h, n_starts=2000, noise=0.5)
    points = points[points.is_fixed & ~points.is_outlier]
    print("\nFixed points without input, by the number of directions in which they are unstable\n")
    print(f"{'points':>15}  {'number':>6}  {'largest |eigenvalue|':>20}")
    for n in np.unique(points.n_unstable):
        some, name = points[points.n_unstable == n], f"unstable in {n}" if n else "stable"
        print(f"{name:>15}  {len(some):6}  {np.abs(some.eigenvalues).max():20.3f}")
    print("\nwhat the stable ones say:", *sorted(bits(rnn, points[points.is_stable])))

    picture(rnn, trials, points).savefig(options.o, dpi=120)
    print(f"\n{options.o}")


if __name__ == "__main__":
    main()
