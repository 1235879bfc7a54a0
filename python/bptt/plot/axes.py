"""Axes, colours and legends that all pictures share."""

from __future__ import annotations

from typing import Any

# Okabe and Ito's colours without their yellow, which is faint on white: readers of all kinds tell them apart.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK = "#56B4E9", "#CC79A7", "#000000"
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
GREY = "#777777"

_FEW = 20000  # vertices


def axes_or_new(ax: Any, width: float = 6.4, height: float = 4.4) -> Any:
    """The axes given, or those of a new figure of so many inches."""
    if ax is not None:
        if not hasattr(ax, "plot") or not hasattr(ax, "set_title"):
            raise TypeError(f"ax: expected axes of matplotlib, or None, got {type(ax).__name__}")
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def legend(ax: Any) -> None:
    """A legend of what has labels: beside the axes where the figure makes room for it, else inside."""
    if not ax.get_legend_handles_labels()[1]:
        return
    if ax.figure.get_layout_engine() is not None:
        if getattr(ax, "name", "") == "3d":
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.04), ncols=2, borderaxespad=0.0, frameon=False)
        else:
            ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False)
        return
    vertices = sum(len(line.get_xdata()) for line in ax.get_lines())
    ax.legend(loc="best" if vertices < _FEW else "upper right")  # to look for the best place takes long where many are


def whole_numbers(*axes: Any) -> None:
    """No marks between units, or between steps, of such an x or y axis."""
    for axis in axes:
        axis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def colour(k: int) -> str:
    """The colour of the curve with index k."""
    return COLOURS[k % len(COLOURS)]
