"""Pictures of what `bptt.analysis` finds, drawn with matplotlib. `import bptt` does not import it.

Every function draws on ``ax``, or on a figure of its own, and returns the axes. A legend stands beside the axes where
the figure makes room for it: make yours with ``layout="constrained"``.
"""

from __future__ import annotations

try:
    import matplotlib as _matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "matplotlib":
        raise
    raise ImportError('bptt.plot: expected matplotlib to be installed: pip install "bptt[plot]"') from None

from bptt.plot.curves import explained_variance, gradient_through_time, history
from bptt.plot.matrices import jacobian_norms, spectrum, weights
from bptt.plot.states import fixed_points, trajectories

__all__ = [
    "explained_variance",
    "fixed_points",
    "gradient_through_time",
    "history",
    "jacobian_norms",
    "spectrum",
    "trajectories",
    "weights",
]
