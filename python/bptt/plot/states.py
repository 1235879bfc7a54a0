"""States in the plane, or space, of their principal components: trajectories and fixed points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bptt._arrays import Array
from bptt.analysis import PCA, FixedPoints, pca
from bptt.plot.axes import BLACK, BLUE, COLOURS, GREEN, ORANGE, VERMILION, axes_or_new, colour, legend

_MODE = 0.08  # half the length of the line of a mode, as a fraction of the picture's diagonal


def trajectories(
    states: Any,
    ax: Any = None,
    *,
    components: PCA | None = None,
    points: FixedPoints | None = None,
    groups: ArrayLike | None = None,
    group_label: str = "group",
    lengths: ArrayLike | None = None,
) -> Any:
    """Draw trajectories of the state in the plane of its principal components, each from a small circle on.

    Parameters
    ----------
    states : array_like, or list of array_like
        ``[tau, batch, n]``, ``[tau, n]`` or a list of the latter, such as ``run.h``.
    ax : matplotlib.axes.Axes, optional
        Where; by default on a new figure. On axes with ``projection="3d"`` three components are drawn.
    components : PCA, optional
        Which plane; by default that of these states.
    points : FixedPoints, optional
        Points to mark, save for outliers: fixed ones that are stable, fixed ones that are not, and slow ones.
    groups : array_like, optional
        A name or number for each sequence: each group has a colour. More than seven have to be numbers, whose colours
        go from dark to light.
    group_label : str
        What these numbers are, and their unit, for the scale beside the picture.
    lengths : array_like of int, optional
        Of a padded batch.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If a shape does not fit, or there are less than two components to draw.
    """
    sequences = _sequences(states, lengths)
    if points is not None and not isinstance(points, FixedPoints):
        raise TypeError(f"points: expected what fixed_points gives back, got {type(points).__name__}")
    ax = axes_or_new(ax)
    dimensions = 3 if getattr(ax, "name", "") == "3d" else 2
    components = _components(components, sequences, dimensions)
    coordinates = [components.transform(one)[:, :dimensions] for one in sequences]
    many = sum(map(len, coordinates)) > 20000
    opacity = float(np.clip(4.0 / np.sqrt(len(coordinates)), 0.1, 0.9))
    for i, (label, line_colour) in enumerate(_colours(ax, groups, group_label, len(coordinates))):
        options = {"color": line_colour, "alpha": opacity, "linewidth": 1.0, "rasterized": many}
        ax.plot(*coordinates[i].T, label=label, **options)
    starts = np.array([one[0] for one in coordinates])
    dot = 3.0 if len(starts) <= 50 else 1.5
    ax.plot(
        *starts.T, "o", markersize=dot, color="white", markeredgecolor=BLACK, markeredgewidth=dot / 4, label="start"
    )
    if points is not None:
        _mark(ax, points[~points.is_outlier], components, dimensions)
    _labels(ax, components, dimensions, "Trajectories")
    legend(ax)
    return ax


def fixed_points(points: FixedPoints, ax: Any = None, *, components: PCA | None = None) -> Any:
    """Draw fixed and slow points in the plane of principal components, and the ways out of the unstable ones.

    The colour and the mark say in how many directions a point is unstable. A line through a point is such a direction:
    an eigenvector of the Jacobian whose eigenvalue is 1 or more in magnitude. It tells no speed.

    Parameters
    ----------
    points : FixedPoints
        What `bptt.analysis.fixed_points` gives back. Outliers are left out: draw ``points`` of your choice otherwise.
    ax : matplotlib.axes.Axes, optional
        Where; by default on a new figure. On axes with ``projection="3d"`` three components are drawn.
    components : PCA, optional
        Which plane; by default that of the points.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If there are less than two points and no components, or less than two components to draw.
    """
    if not isinstance(points, FixedPoints):
        raise TypeError(f"points: expected what fixed_points gives back, got {type(points).__name__}")
    ax = axes_or_new(ax)
    dimensions = 3 if getattr(ax, "name", "") == "3d" else 2
    points = points[~points.is_outlier]
    if components is None and len(points) < 2:
        raise ValueError(f"points: expected at least two, or components, got {len(points)}")
    components = _components(components, [points.state], dimensions)
    coordinates = components.transform(points.state)[:, :dimensions]
    kinds = [
        ("stable", points.is_fixed & points.is_stable, BLACK, "o"),
        ("unstable in 1 direction", points.is_fixed & (points.n_unstable == 1), BLUE, "s"),
        ("unstable in 2 directions", points.is_fixed & (points.n_unstable == 2), ORANGE, "^"),
        ("unstable in 3 or more", points.is_fixed & (points.n_unstable > 2), VERMILION, "D"),
        ("slow", ~points.is_fixed, GREEN, "x"),
    ]
    half = _MODE * float(np.linalg.norm(np.ptp(coordinates, axis=0)) if len(coordinates) > 1 else 1.0)
    for name, chosen, mark_colour, mark in kinds:
        if not chosen.any():
            continue
        for line in _modes(points[chosen], components, dimensions, half):
            ax.plot(*line.T, color=mark_colour, linewidth=1.0, alpha=0.6, zorder=1.5)
        label = f"{name} ({int(chosen.sum())})"
        edge = {} if mark == "x" else {"markeredgecolor": "white", "markeredgewidth": 0.6}
        ax.plot(*coordinates[chosen].T, mark, color=mark_colour, markersize=6, label=label, zorder=3, **edge)
    _labels(ax, components, dimensions, "Fixed points and the ways out of them")
    legend(ax)
    return ax


def _modes(points: FixedPoints, components: PCA, dimensions: int, half: float) -> list[Array]:
    """A line of two ends for each unstable direction that can be seen in the picture; of a complex pair, two."""
    middles = components.transform(points.state)[:, :dimensions]
    lines = []
    for middle, jacobian in zip(middles, points.jacobians(), strict=True):
        values, vectors = np.linalg.eig(jacobian)
        for value, vector in zip(values, vectors.T, strict=True):
            if np.abs(value) >= 1.0:
                direction = vector.real if value.imag >= 0.0 else vector.imag
                projected = (components.components @ direction)[:dimensions] / np.linalg.norm(direction)
                lines.append(np.array([middle - half * projected, middle + half * projected]))
    return lines


def _mark(ax: Any, points: FixedPoints, components: PCA, dimensions: int) -> None:
    coordinates = components.transform(points.state)[:, :dimensions]
    for name, chosen, mark, options in (
        ("stable", points.is_fixed & points.is_stable, "o", {"color": BLACK, "markeredgecolor": "white"}),
        ("unstable", points.is_fixed & ~points.is_stable, "X", {"color": VERMILION, "markeredgecolor": "white"}),
        ("slow", ~points.is_fixed, "^", {"color": ORANGE, "markeredgecolor": BLACK}),
    ):
        if chosen.any():
            ax.plot(*coordinates[chosen].T, mark, markersize=7, markeredgewidth=0.7, zorder=3, label=name, **options)


# ---- What is drawn, and in which plane ----


def _sequences(states: Any, lengths: ArrayLike | None) -> list[Array]:
    """Each sequence alone, ``[tau, n]``."""
    if isinstance(states, list | tuple):
        if lengths is not None:
            raise ValueError("lengths: expected None, as each sequence of a list has its own length")
        arrays = [np.asarray(one) for one in states]
        for i, one in enumerate(arrays):
            if one.ndim != 2 or len(one) == 0:
                raise ValueError(f"states[{i}]: expected [tau, n], got {one.shape}")
        if not arrays:
            raise ValueError("states: expected at least one sequence, got an empty list")
        return arrays
    array = np.asarray(states)
    if array.ndim == 2:
        array = array[:, None]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"states: expected [tau, batch, n] or [tau, n], got {np.shape(states)}")
    counts = np.full(array.shape[1], len(array)) if lengths is None else np.asarray(lengths)
    if counts.shape != (array.shape[1],) or not ((counts >= 1) & (counts <= len(array))).all():
        raise ValueError(f"lengths: expected {array.shape[1]} values from 1 to {len(array)}, got {counts.tolist()}")
    return [array[:count, i] for i, count in enumerate(counts)]


def _components(components: PCA | None, sequences: list[Array], dimensions: int) -> PCA:
    if components is None:
        components = pca(sequences)
    elif not isinstance(components, PCA):
        raise TypeError(f"components: expected what pca gives back, got {type(components).__name__}")
    if len(components.components) < dimensions:
        raise ValueError(f"components: expected at least {dimensions} to draw, got {len(components.components)}")
    return components


def _colours(ax: Any, groups: ArrayLike | None, label: str, count: int) -> list[tuple[str | None, Any]]:
    """For each sequence its label, which the first of a group has, and its colour."""
    if groups is None:
        return [(None, BLUE)] * count
    names = np.asarray(groups)
    if names.shape != (count,):
        raise ValueError(f"groups: expected one for each of {count} sequences, got {names.shape}")
    distinct, index = np.unique(names, return_inverse=True)
    if len(distinct) <= len(COLOURS):
        of_group: list[Any] = [colour(k) for k in range(len(distinct))]
    elif names.dtype.kind not in "iuf":
        raise ValueError(f"groups: expected at most {len(COLOURS)} names, or numbers, got {len(distinct)}")
    else:
        from matplotlib import cm, colors

        scale = cm.ScalarMappable(colors.Normalize(distinct[0], distinct[-1]), "viridis")
        ax.figure.colorbar(scale, ax=ax, label=label)
        return [(None, scale.to_rgba(number)) for number in names]
    told: set[int] = set()
    labelled = []
    for k in index.tolist():
        labelled.append((None if k in told else str(distinct[k]), of_group[k]))
        told.add(k)
    return labelled


def _labels(ax: Any, components: PCA, dimensions: int, title: str) -> None:
    ax.set_title(title)
    if dimensions == 3:
        ax.locator_params(nbins=5)  # where more lie over the names of the axes
    for k, axis in enumerate("xyz"[:dimensions]):
        percent = 100.0 * components.explained_variance_ratio[k]
        part = "" if dimensions == 3 else " of the variance"  # for which there is no room beside an axis in space
        getattr(ax, f"set_{axis}label")(f"PC {k + 1} ({percent:.0f} %{part})")
