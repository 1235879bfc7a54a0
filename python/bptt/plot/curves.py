"""Curves: gradients through time, losses, explained variance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from bptt._arrays import Array
from bptt.analysis import PCA, BackwardSteps, LayerSteps
from bptt.plot.axes import BLUE, VERMILION, axes_or_new, colour, legend, whole_numbers
from bptt.training.history import History


def gradient_through_time(steps: BackwardSteps, ax: Any = None) -> Any:
    """Draw the norms of dL/dh(t) and dL/da(t) against t, on a logarithmic axis.

    Of several sequences the median is drawn, and a band that leaves out the lowest and the highest tenth. Each layer
    and direction has its colour. Steps without a gradient (of norm 0) are left out.

    Parameters
    ----------
    steps : BackwardSteps
        What `bptt.analysis.backward_steps` gives back.
    ax : matplotlib.axes.Axes, optional
        Where; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If `steps` or `ax` is another thing.
    """
    if not isinstance(steps, BackwardSteps):
        raise TypeError(f"steps: expected what backward_steps gives back, got {type(steps).__name__}")
    ax = axes_or_new(ax)
    band: str | None = "80 % of the sequences"
    for k, (name, layer) in enumerate(_layers(steps)):
        for letter, style in (("h", "-"), ("a", "--")):
            norms = _columns(layer.d_h_norm if letter == "h" else layer.d_a_norm)
            low, middle, high = _tenths(np.where(norms > 0.0, norms, np.nan))
            t = np.arange(1, len(norms) + 1)
            label = f"$\\partial L/\\partial {letter}(t)${name}"
            ax.plot(t, middle, style, color=colour(k), label=label, marker="." if len(t) == 1 else None)
            if norms.shape[1] > 1:
                ax.fill_between(t, low, high, color=colour(k), alpha=0.15, linewidth=0, label=band)
                band = None  # of one is told what it is
            if norms.any():
                ax.set_yscale("log")
    ylabel = f"norm of the gradient ({'loss' if steps.loss is None else 'nats'} per unit)"
    ax.set(title="Gradient through time", xlabel="time step $t$", ylabel=ylabel)
    whole_numbers(ax.xaxis)
    legend(ax)
    return ax


def _layers(steps: BackwardSteps) -> Iterator[tuple[str, LayerSteps]]:
    """Each layer and direction, with what its label says."""
    for k, layer in enumerate(steps.layers):
        name = f", layer {k + 1}" if len(steps.layers) > 1 else ""
        yield f"{name}{'' if layer.reverse is None else ', forward'}", layer
        if layer.reverse is not None:
            yield f"{name}, reverse", layer.reverse


def _tenths(norms: Array) -> Array:
    """Of each row the lowest tenth, the median and the highest tenth of its numbers; NaN of a row without any."""
    found = np.full((3, len(norms)), np.nan)
    some = np.isfinite(norms).any(axis=1)  # NumPy warns of a row without any
    if some.any():
        found[:, some] = np.nanquantile(norms[some], (0.1, 0.5, 0.9), axis=1)
    return found


def _columns(norms: Any) -> Array:
    """``[tau, batch]``, 0 where no step is."""
    if not isinstance(norms, list):
        return cast(Array, norms.reshape(len(norms), -1))
    columns = np.zeros((max(map(len, norms)), len(norms)))
    for i, one in enumerate(norms):
        columns[: len(one), i] = one
    return columns


def history(history: History, ax: Any = None) -> Any:
    """Draw the losses of a training against its updates, and mark the best epoch.

    Parameters
    ----------
    history : History
        What `fit` gives back.
    ax : matplotlib.axes.Axes, optional
        Where; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If `history` or `ax` is another thing.
    """
    if not isinstance(history, History):
        raise TypeError(f"history: expected what fit gives back, got {type(history).__name__}")
    ax = axes_or_new(ax)
    updates, epochs = history.updates, history.epochs
    t = np.arange(1, len(updates) + 1)
    ax.plot(t, updates.loss, color=BLUE, alpha=0.3, linewidth=0.8, label="each update")
    ax.plot(epochs.updates, epochs.loss, color=BLUE, marker=".", label="training")
    best = history.best_epoch
    if best is not None:
        ax.plot(epochs.updates, epochs.validation, "--", color=VERMILION, marker=".", label="validation")
        where = epochs.updates[best], epochs.validation[best]
        label = f"best, {where[1]:.4g}"
        ax.plot(*where, "*", color=VERMILION, markersize=11, markeredgecolor="black", linestyle="none", label=label)
    ax.set(title="Training", xlabel="update", ylabel="loss (nats per target)")
    whole_numbers(ax.xaxis)
    legend(ax)
    return ax


def explained_variance(components: PCA, ax: Any = None) -> Any:
    """Draw what part of the variance each principal component has, and the first ones together.

    Parameters
    ----------
    components : PCA
        What `bptt.analysis.pca` gives back.
    ax : matplotlib.axes.Axes, optional
        Where; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If `components` or `ax` is another thing.
    """
    if not isinstance(components, PCA):
        raise TypeError(f"components: expected what pca gives back, got {type(components).__name__}")
    ax = axes_or_new(ax)
    percent = 100.0 * components.explained_variance_ratio
    number = np.arange(1, len(percent) + 1)
    ax.bar(number, percent, 0.8 if len(number) <= 40 else 1.0, color=BLUE, label="each")
    marker = "." if len(number) <= 50 else None
    ax.plot(number, np.cumsum(percent), "--", color=VERMILION, marker=marker, label="together")
    ax.set(title="Principal components", xlabel="component", ylabel="explained variance (%)", ylim=(0.0, 105.0))
    whole_numbers(ax.xaxis)
    legend(ax)
    return ax
