"""Models of Keras, with PyTorch as its backend. A test module that imports this is skipped where they are missing."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from problems import Array

os.environ.setdefault("KERAS_BACKEND", "torch")  # decided when Keras is imported
keras: Any = pytest.importorskip("keras", reason="Keras is not installed, or not its backend")

TAU, BATCH, N_IN, N, N_OUT = 9, 4, 5, 6, 3


def drawn(model: Any) -> Any:
    """The model, with random weights, biases included."""
    generator = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(generator.uniform(-0.6, 0.6, variable.shape))
    return model


def chain(*layers: Any, x: Any = None) -> Any:
    """A Sequential of these layers with random weights."""
    return drawn(keras.Sequential([keras.Input((None, N_IN)) if x is None else x, *layers]))


def numpy_of(tensor: Any) -> Array:
    array: Array = tensor.detach().numpy()
    return array


def weights_of(model: Any) -> list[Array]:
    """What `get_weights` gives. That itself warns where PyTorch is older than NumPy."""
    return [numpy_of(variable.value) for variable in model.weights]
