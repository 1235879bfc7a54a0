"""The chapter in pure Python, one equation a line; it must not know the rest of the package, nor NumPy.

The recurrent networks of *Deep Learning* (Goodfellow, Bengio, Courville, 2016) for ONE sequence; the numbers beside the
lines are its equations. ``elman.py`` is figures 10.3 and 10.5 (`forward`, `loss`, `loss_and_gradients`), ``jordan.py``
figures 10.4 and 10.6 (`jordan_forward`, `jordan_loss`, `jordan_loss_and_gradients`), ``shared.py`` what both share.
Nothing given is ever changed.
"""

from __future__ import annotations

from .elman import (
    BatchGradients,
    Gradients,
    Readout,
    batch_loss_and_gradients,
    forward,
    loss,
    loss_and_gradients,
)
from .jordan import (
    Feedback,
    JordanBatchGradients,
    JordanGradients,
    forced_steps,
    jordan_batch_loss_and_gradients,
    jordan_forward,
    jordan_loss,
    jordan_loss_and_gradients,
)
from .philox import draws, philox4x32
from .shared import (
    Input,
    Matrix,
    Output,
    Parameters,
    Run,
    Target,
    Vector,
    linear_loss,
    sigmoid,
    sigmoid_loss,
    softmax,
    softmax_loss,
)

__all__ = [
    "BatchGradients",
    "Feedback",
    "Gradients",
    "Input",
    "JordanBatchGradients",
    "JordanGradients",
    "Matrix",
    "Output",
    "Parameters",
    "Readout",
    "Run",
    "Target",
    "Vector",
    "batch_loss_and_gradients",
    "draws",
    "forced_steps",
    "forward",
    "jordan_batch_loss_and_gradients",
    "jordan_forward",
    "jordan_loss",
    "jordan_loss_and_gradients",
    "linear_loss",
    "loss",
    "loss_and_gradients",
    "philox4x32",
    "sigmoid",
    "sigmoid_loss",
    "softmax",
    "softmax_loss",
]
