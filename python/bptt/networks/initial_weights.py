"""Initial weights: how parameters begin."""

from __future__ import annotations

import math

import numpy as np

from bptt._arrays import Array
from bptt.networks.options import Options
from bptt.networks.parameters import STATES, Layout, Letters


def orthogonal(rows: int, columns: int, random: np.random.Generator) -> Array:
    """A random matrix whose columns are orthonormal, or its rows where those are fewer; no direction is preferred."""
    q, r = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # the signs make it uniform over all such matrices
    return q if rows >= columns else q.T


def draw(parameters: Letters, layout: Layout, options: Options, init: str, random: np.random.Generator) -> None:
    """Fill the parameters of a network, which are 0, as its docstring says. States that are learned stay 0."""
    if init == "uniform":
        views = parameters.by_name()
        for entry in layout.entries:
            if entry.letter in STATES:
                continue
            units = entry.shape[0] if entry.layer >= 0 else views["V"].shape[1]
            views[entry.name][...] = _uniform(entry.shape, units, random)
        return
    layers = [layer for both in parameters.layers for layer in (both, both.reverse) if layer is not None]
    for layer in layers:
        reads_tokens = options.input == "token" and layer in (parameters.layers[0], parameters.layers[0].reverse)
        layer.U = _uniform(layer.U.shape, 1 if reads_tokens else max(layer.U.shape[1], 1), random)
    parameters.V = _uniform(parameters.V.shape, parameters.V.shape[1], random)
    for layer in layers:
        layer.W = _recurrence(layer.W.shape, options, init, random)


def _recurrence(shape: tuple[int, ...], options: Options, init: str, random: np.random.Generator) -> Array:
    if init == "identity":
        return np.eye(shape[0])
    if options.recurrence == "y_hat" and options.output == "softmax":  # one number in y_hat is on
        return random.uniform(-1, 1, shape)
    return orthogonal(shape[0], shape[1], random)


def _uniform(shape: tuple[int, ...], fan_in: int, random: np.random.Generator) -> Array:
    bound = 1 / math.sqrt(fan_in)
    return random.uniform(-bound, bound, shape)
