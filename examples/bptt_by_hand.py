"""Back-propagation through time by hand: section 10.2 of *Deep Learning*, an equation a line, in plain NumPy.

    python examples/bptt_by_hand.py [-o bptt_by_hand.png]

A network of 4 units reads a sequence of 12 steps. Compares all that is computed on the way forward and back with
`bptt.loss_and_gradients`, and with `bptt.reference`, and draws a picture of it; the picture needs matplotlib.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bptt

Arrays = dict[str, NDArray[Any]]


def by_hand(rnn: bptt.ElmanRNN, x: NDArray[Any], y: NDArray[Any]) -> tuple[Arrays, Arrays]:
    """What is computed of every step, and the loss and its gradients; x is [tau, n_in], y [tau]."""
    U, W, b, V, c = rnn.U, rnn.W, rnn.b, rnn.V, rnn.c
    tau = len(x)
    a, h, da, dh = (np.zeros((tau + 2, len(b))) for _ in range(4))  # from t = 0 to tau + 1
    o, y_hat, do = (np.zeros((tau + 2, len(c))) for _ in range(3))
    x, y = np.concatenate([x[:1], x]), np.concatenate([y[:1], y])  # so that x[t] is the book's x(t), from t = 1

    # Forwards
    L = 0.0
    for t in range(1, tau + 1):
        a[t] = b + W @ h[t - 1] + U @ x[t]  # 10.8; h(0) = 0
        h[t] = np.tanh(a[t])  # 10.9
        o[t] = c + V @ h[t]  # 10.10
        y_hat[t] = np.exp(o[t]) / np.exp(o[t]).sum()  # 10.11, softmax
        L -= np.log(y_hat[t, y[t]])  # 10.12-10.14

    # Backwards: dL/dL(t) = 1 (10.17)
    for t in range(tau, 0, -1):
        do[t] = y_hat[t] - np.eye(len(c))[y[t]]  # 10.18
        dh[t] = V.T @ do[t]  # 10.19; all there is at t = tau
        if t < tau:
            dh[t] += W.T @ ((1 - h[t + 1] ** 2) * dh[t + 1])  # 10.20, 10.21
        da[t] = (1 - h[t] ** 2) * dh[t]  # the factor of 10.23-10.28

    # The parameters: sums over the steps
    dc, db, dV, dW, dU = (np.zeros_like(array) for array in (c, b, V, W, U))
    for t in range(1, tau + 1):
        dc += do[t]  # 10.22
        db += da[t]  # 10.23
        dV += np.outer(do[t], h[t])  # 10.24
        dW += np.outer(da[t], h[t - 1])  # 10.25, 10.26
        dU += np.outer(da[t], x[t])  # 10.27, 10.28

    steps = {name: array[1:-1] for name, array in {"a": a, "h": h, "do": do, "dh": dh, "da": da}.items()}
    return steps, {"L": np.array(L), "U": dU, "W": dW, "b": db, "V": dV, "c": dc}


def by_bptt(rnn: bptt.ElmanRNN, x: NDArray[Any], y: NDArray[Any]) -> Arrays:
    """The loss and its gradients by the package."""
    loss, gradients = rnn.loss_and_gradients(x, y)
    return {"L": np.array(loss), **{name: getattr(gradients, name) for name in "UWbVc"}}


def by_reference(rnn: bptt.ElmanRNN, x: NDArray[Any], y: NDArray[Any]) -> Arrays:
    """What is computed of every step by the chapter in pure Python, which adds without rounding on the way."""
    parameters = bptt.reference.Parameters(*(getattr(rnn, name).tolist() for name in "UWbVc"))
    steps = bptt.reference.backward_steps(parameters, x.tolist(), y.tolist())
    (layer,) = steps.layers
    rows = {"a": layer.a, "h": layer.h, "do": steps.do, "dh": layer.dh, "da": layer.da}
    return {name: np.array(vectors) for name, vectors in rows.items()}


def difference(array: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference, in units in the last place of the largest number."""
    return float(np.abs(array - other).max() / np.spacing(np.abs(other).max()))


def picture(steps: Arrays, y: NDArray[Any]) -> Any:
    """Return a figure: forwards on the left, backwards on the right; a square is a unit at a step."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, 2, figsize=(9, 6), layout="constrained", sharex=True)
    axes[2, 0].plot(np.arange(1, len(y) + 1), y, "o", color="black")
    axes[2, 0].set(title="Target $y(t)$", xlabel="time step $t$", ylabel="class", yticks=[1, 0], ylim=(1.5, -0.5))
    panels = {
        "a": (axes[0, 0], "$a(t) = b + W h(t-1) + U x(t)$", "value"),
        "h": (axes[1, 0], "$h(t) = \\tanh(a(t))$", "value"),
        "do": (axes[0, 1], "$\\nabla_{o(t)} L$: prediction minus target", "nats per unit"),
        "dh": (axes[1, 1], "$\\nabla_{h(t)} L$: from the output, and from $t+1$", "nats per unit"),
        "da": (axes[2, 1], "$\\nabla_{a(t)} L$: the same times $1 - h(t)^2$", "nats per unit"),
    }
    for name, (ax, title, unit) in panels.items():
        rows = steps[name].T
        most, extent = np.abs(rows).max(), (0.5, rows.shape[1] + 0.5, rows.shape[0] + 0.5, 0.5)
        image = ax.imshow(rows, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto", extent=extent)
        figure.colorbar(image, ax=ax, label=unit)
        ax.set(title=title, ylabel="class" if name == "do" else "unit", yticks=range(1, len(rows) + 1))
        if name == "do":
            ax.set_yticklabels(range(len(rows)))
    axes[2, 1].set_xlabel("time step $t$")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", metavar="FILE", help="draw what is computed of every step; needs matplotlib")
    options = parser.parse_args()

    random = np.random.default_rng(0)
    rnn = bptt.ElmanRNN(2, 4, 2, dtype="float64", seed=0)
    x, y = random.standard_normal((12, 2)), random.integers(0, 2, 12)
    steps, results = by_hand(rnn, x, y)

    print("Largest differences, in units in the last place of the largest number\n")
    package, reference = by_bptt(rnn, x, y), by_reference(rnn, x, y)
    for name in results:
        label = "loss" if name == "L" else f"gradient of {name}"
        print(f"{label:>13}, from bptt       {difference(results[name], package[name]):4.1f}")
    for name in steps:
        print(f"{name + ', all steps':>13}, from reference  {difference(steps[name], reference[name]):4.1f}")

    if options.o:
        picture(steps, y).savefig(options.o, dpi=120)
        print(f"\n{options.o}")


if __name__ == "__main__":
    main()
