"""Looking inside networks: gradients through time, spectra, fixed points. `import bptt` does not import it.

NumPy alone, in float64. `dynamics` has the step map of each network and its Jacobian; the others use it.
"""

from __future__ import annotations

from bptt.analysis.backward import BackwardSteps, LayerSteps, backward_steps
from bptt.analysis.components import PCA, pca
from bptt.analysis.exponents import Lyapunov, lyapunov
from bptt.analysis.points import FixedPoints, fixed_points
from bptt.analysis.tangents import jacobian_norms, jacobian_spectrum, jacobians, spectrum

__all__ = [
    "PCA",
    "BackwardSteps",
    "FixedPoints",
    "LayerSteps",
    "Lyapunov",
    "backward_steps",
    "fixed_points",
    "jacobian_norms",
    "jacobian_spectrum",
    "jacobians",
    "lyapunov",
    "pca",
    "spectrum",
]
