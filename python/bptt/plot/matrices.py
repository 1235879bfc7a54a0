"""Eigenvalues in the complex plane, and matrices as coloured squares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bptt._arrays import Array
from bptt.plot.axes import GREY, axes_or_new, colour, legend, whole_numbers

_MARKS = "osD^vP*"


def spectrum(eigenvalues: ArrayLike | Mapping[str, ArrayLike], ax: Any = None) -> Any:
    """Draw eigenvalues in the complex plane, with the unit circle: inside it, differences of states shrink.

    Parameters
    ----------
    eigenvalues : array_like, or dict of str to array_like
        Complex numbers of any shape, such as `bptt.analysis.jacobian_spectrum` gives back or ``points.eigenvalues``; or
        several with a name each, such as `bptt.analysis.spectrum` gives back.
    ax : matplotlib.axes.Axes, optional
        Where; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If there are no numbers, or one is not finite.
    """
    named = dict(eigenvalues) if isinstance(eigenvalues, Mapping) else {"": eigenvalues}
    values = {name: _complex("eigenvalues" + (name and f"[{name!r}]"), value) for name, value in named.items()}
    if not values:
        raise ValueError("eigenvalues: expected at least one array, got none")
    ax = axes_or_new(ax, 7.0)
    angle = np.linspace(0.0, 2.0 * np.pi, 361)
    ax.plot(np.cos(angle), np.sin(angle), "--", color=GREY, linewidth=1, label="unit circle")
    ax.axhline(0.0, color=GREY, linewidth=0.5)
    ax.axvline(0.0, color=GREY, linewidth=0.5)
    for k, (name, numbers) in enumerate(values.items()):
        radius = np.abs(numbers).max()
        opacity = float(np.clip(8.0 / np.sqrt(len(numbers)), 0.15, 0.9))
        ax.plot(
            numbers.real,
            numbers.imag,
            _MARKS[k % len(_MARKS)],
            color=colour(k),
            alpha=opacity,
            markersize=4,
            markeredgewidth=0,
            rasterized=len(numbers) > 5000,
            label=f"{name or 'eigenvalues'}: radius {radius:.3g}",
        )
    ax.set_aspect("equal", adjustable="datalim")
    ax.set(title="Eigenvalues", xlabel="real part (per step)", ylabel="imaginary part (per step)")
    legend(ax)
    return ax


def _complex(name: str, value: ArrayLike) -> Array:
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "iufc":
        raise TypeError(f"{name}: expected numbers, got {numbers.dtype}")
    numbers = numbers.astype(complex).ravel()
    if not numbers.size:
        raise ValueError(f"{name}: expected at least one number, got none")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: expected finite numbers, got some that are not")
    return numbers


def weights(matrix: ArrayLike, ax: Any = None, *, name: str = "W") -> Any:
    """Draw a matrix of weights: a coloured square for each, white for 0.

    Parameters
    ----------
    matrix : array_like
        ``[to, from]``, such as ``rnn.W``.
    ax : matplotlib.axes.Axes, optional
        Where; by default on a new figure.
    name : str
        Of the matrix, for the title.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If it is no matrix of finite numbers.
    """
    values = _matrix("matrix", matrix)
    ax = axes_or_new(ax, 5.4)
    most = float(np.abs(values).max()) or 1.0
    aspect = "equal" if max(values.shape) <= 2 * min(values.shape) else "auto"
    image = ax.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest", aspect=aspect)
    ax.figure.colorbar(image, ax=ax, label="weight")
    ax.set(title=f"Weights {name}", xlabel="from unit", ylabel="to unit")
    whole_numbers(ax.xaxis, ax.yaxis)
    return ax


def jacobian_norms(norms: ArrayLike, ax: Any = None) -> Any:
    """Draw the norms of ds(t)/ds(s): a coloured square for each pair of times, on a logarithmic scale.

    Parameters
    ----------
    norms : array_like
        ``[tau + 1, tau + 1]``, or ``[tau + 1, tau + 1, batch]``, of which the geometric mean over the sequences is
        drawn: what `bptt.analysis.jacobian_norms` gives back.
    ax : matplotlib.axes.Axes, optional
        Where; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If the shape is another, or a number is negative or not finite.
    """
    values = np.asarray(norms)
    if values.dtype.kind not in "iuf":
        raise TypeError(f"norms: expected real numbers, got {values.dtype}")
    if values.ndim not in (2, 3) or values.shape[0] != values.shape[1] or not values.size:
        raise ValueError(f"norms: expected [tau + 1, tau + 1] or [tau + 1, tau + 1, batch], got {values.shape}")
    if not (np.isfinite(values) & (values >= 0.0)).all():
        raise ValueError("norms: expected finite numbers of at least 0, got others")
    ax = axes_or_new(ax, 5.8)
    with np.errstate(divide="ignore"):
        logarithms = np.log10(values)
    if values.ndim == 3:
        logarithms = logarithms.mean(axis=2)  # -inf where one is 0
    shown = np.ma.masked_invalid(logarithms)
    image = ax.imshow(shown, origin="lower", cmap="viridis", interpolation="nearest", aspect="equal")
    ax.figure.colorbar(image, ax=ax, label="$\\log_{10}$")
    ax.set(title="Norm of $\\partial s(t)/\\partial s(s)$", xlabel="time step $s$", ylabel="time step $t$")
    whole_numbers(ax.xaxis, ax.yaxis)
    return ax


def _matrix(name: str, value: ArrayLike) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name}: expected real numbers, got {array.dtype}")
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name}: expected [to, from], got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got some that are not")
    return array
