"""The chapter in pure Python, one equation a line; it imports neither the rest of the package nor NumPy.

The recurrent networks of *Deep Learning* (Goodfellow, Bengio, Courville, 2016) for ONE sequence; the numbers beside the
lines are its equations. ``layer.py`` is a layer, ``leak.py`` one of leaky units, ``readout.py`` what makes outputs and
losses of its states. ``stack.py`` puts one under the other: figures 10.3 and 10.5, several layers (figure 10.13 (a))
and two directions (figure 10.11), by `forward`, `loss`, `loss_and_gradients`. ``feedback.py`` is figures 10.4 and 10.6,
by `jordan_forward`, `jordan_loss`, `jordan_loss_and_gradients`. ``disturbance.py`` is noise and dropout, whose numbers
are given: `noise_draws` and `dropout_draws` draw them. ``activity.py`` is the cost of activity. ``drawing.py`` is what
is made of o(t) where a sequence is continued: `draw_class`, `beam_search`. ``steps.py`` gives every step of the way
back, by `backward_steps` and `jordan_backward_steps`. Nothing given is ever changed.
"""

from __future__ import annotations

from .disturbance import dropout_draws, noise_draws
from .drawing import beam_search, draw_class
from .feedback import (
    Feedback,
    JordanBatchGradients,
    JordanGradients,
    JordanRun,
    forced_steps,
    jordan_batch_loss_and_gradients,
    jordan_forward,
    jordan_loss,
    jordan_loss_and_gradients,
)
from .layer import Activation, Input
from .leak import Leak
from .parameters import Layer, Parameters, Stack
from .philox import draws, philox4x32
from .readout import Output, Target, linear_loss, sigmoid, sigmoid_loss, softmax, softmax_loss
from .stack import (
    BatchGradients,
    Gradients,
    Readout,
    Run,
    State,
    batch_loss_and_gradients,
    forward,
    loss,
    loss_and_gradients,
)
from .steps import BackwardSteps, LayerSteps, backward_steps, jordan_backward_steps
from .vectors import Matrix, Vector

__all__ = [
    "Activation",
    "BackwardSteps",
    "BatchGradients",
    "Feedback",
    "Gradients",
    "Input",
    "JordanBatchGradients",
    "JordanGradients",
    "JordanRun",
    "Layer",
    "LayerSteps",
    "Leak",
    "Matrix",
    "Output",
    "Parameters",
    "Readout",
    "Run",
    "Stack",
    "State",
    "Target",
    "Vector",
    "backward_steps",
    "batch_loss_and_gradients",
    "beam_search",
    "draw_class",
    "draws",
    "dropout_draws",
    "forced_steps",
    "forward",
    "jordan_backward_steps",
    "jordan_batch_loss_and_gradients",
    "jordan_forward",
    "jordan_loss",
    "jordan_loss_and_gradients",
    "linear_loss",
    "loss",
    "loss_and_gradients",
    "noise_draws",
    "philox4x32",
    "sigmoid",
    "sigmoid_loss",
    "softmax",
    "softmax_loss",
]
