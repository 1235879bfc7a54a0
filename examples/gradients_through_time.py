"""Why long memories are hard to learn (sections 8.2.5 and 10.7), and what clipping gradients does (section 10.11.1).

    python examples/gradients_through_time.py [-o gradients_through_time.png]

On its way back a gradient is multiplied by W^T diag(f'(a(t))) at every step. So it vanishes or explodes, as the
spectral radius of W is below or above 1. Where it explodes, one step of gradient descent throws the parameters far
away, unless the gradient is clipped. Prints two tables and draws a picture; needs matplotlib.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bptt
from bptt.analysis import backward_steps
from bptt.tasks import AddingProblem

RADII = (0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5)
TAU, BATCH, N_HIDDEN = 50, 16, 100


# ---- What comes back ----


def norms_of_gradients(sigma: float) -> dict[float, NDArray[Any]]:
    """|dL/dh(t)| for a loss of h(tau) alone, of norm 1 there: the median of the sequences, for each spectral radius.

    Without input (sigma = 0) h(t) stays 0, where f' = 1, and a step back is W^T alone: section 10.7's W^t. With input
    f' = 1 - h(t)^2 is below 1, the more so the larger the weights are.
    """
    random = np.random.default_rng(0)
    W = random.standard_normal((N_HIDDEN, N_HIDDEN))
    W /= np.abs(np.linalg.eigvals(W)).max()
    x = sigma * random.standard_normal((TAU, BATCH, 1))
    d_h = np.zeros((TAU, BATCH, N_HIDDEN))
    d_h[-1] = random.standard_normal((BATCH, N_HIDDEN))
    d_h[-1] /= np.linalg.norm(d_h[-1], axis=-1, keepdims=True)

    norms = {}
    for radius in RADII:
        rnn = bptt.ElmanRNN(1, N_HIDDEN, 1, dtype="float64", seed=0)
        rnn.W, rnn.b[:] = radius * W, 0
        norms[radius] = np.median(backward_steps(rnn, x, d_h=d_h).d_h_norm, axis=1)
    return norms


# ---- What clipping does ----


def trainings() -> dict[str, bptt.History]:
    """The adding problem by gradient descent with momentum, without clipping and with it; all else is the same.

    The network begins with W = I and relu, which forgets nothing (Le and others, 2015), and explodes easily.
    """
    task = AddingProblem(steps=30)
    histories = {}
    for name, clip_norm in (("not clipped", None), ("clipped to norm 1", 1.0)):
        rnn = task.network(32, activation="relu", seed=0)
        rnn.W = np.eye(32)
        histories[name] = rnn.fit(
            task.batches(64, steps=100),
            optimizer=bptt.SGD(0.01, momentum=0.9),
            epochs=15,
            clip_norm=clip_norm,
            seed=0,
            progress=False,
        )
    return histories


# ---- The picture ----


def picture(norms: dict[float, dict[float, NDArray[Any]]], histories: dict[str, bptt.History]) -> Any:
    """Return a figure: the norms by sigma above, the trainings below."""
    from matplotlib import colormaps, pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(9, 7), layout="constrained")
    colours = colormaps["viridis"](np.linspace(0, 0.92, len(RADII)))
    t = np.arange(1, TAU + 1)
    for ax, (sigma, by_radius) in zip(axes[0], norms.items(), strict=True):
        for colour, (radius, norm) in zip(colours, by_radius.items(), strict=True):
            ax.semilogy(t, norm, color=colour, label=f"{radius:g}")
        ax.set_title("No input: $W^\\top$ at every step" if sigma == 0 else "With input: tanh$'$ below 1 dampens it")
        ax.set(xlabel="time step $t$", ylabel="norm of $\\partial L/\\partial h(t)$ (1 at $t = \\tau$)")
        ax.set_ylim(1e-18, 1e9)
    handles, labels = axes[0, 0].get_legend_handles_labels()  # the upper lines first, as they lie
    beside = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0, "frameon": False}
    axes[0, 1].legend(handles[::-1], labels[::-1], title="spectral\nradius of $W$", **beside)

    for (name, history), colour, style in zip(histories.items(), ("#D55E00", "#0072B2"), ("--", "-"), strict=True):
        update = np.arange(1, len(history.updates) + 1)
        for ax, values in zip(axes[1], (history.updates.loss, history.updates.gradient_norm), strict=True):
            ax.semilogy(update, values, style, color=colour, linewidth=0.9, label=name)
    axes[1, 0].axhline(1 / 12, color="#777777", linewidth=1, linestyle=":", label="always says 1")
    axes[1, 0].set(title="The adding problem: the loss", xlabel="update", ylabel="loss (nats per target)")
    axes[1, 1].set(
        title="Its gradient, before clipping", xlabel="update", ylabel="norm of the gradient (nats per unit)"
    )
    axes[1, 0].set_ylim(1e-3, 10)
    handles, labels = axes[1, 0].get_legend_handles_labels()
    axes[1, 1].legend(handles, labels, **beside)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", metavar="FILE", default="gradients_through_time.png", help="where the picture goes")
    options = parser.parse_args()

    norms = {sigma: norms_of_gradients(sigma) for sigma in (0.0, 0.5)}
    print(f"The norm of dL/dh(1), where that of dL/dh({TAU}) is 1\n")
    print(f"{'spectral radius':>15}  {'no input':>8}  {'with input':>10}")
    for radius in RADII:
        print(f"{'radius':>10} {radius:.2f}  {norms[0.0][radius][0]:8.1e}  {norms[0.5][radius][0]:10.1e}")

    histories = trainings()
    print("\nThe adding problem by gradient descent; who always says 1 has a loss of 0.083\n")
    print(f"{'gradients':>17}  {'largest norm':>12}  {'last loss':>9}")
    for name, history in histories.items():
        print(f"{name:>17}  {history.updates.gradient_norm.max():12.1e}  {history.loss[-1]:9.4f}")

    picture(norms, histories).savefig(options.o, dpi=120)
    print(f"\n{options.o}")


if __name__ == "__main__":
    main()
