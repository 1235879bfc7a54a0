"""Drawing outputs from what a network says of them. Knows no recurrence."""

from __future__ import annotations

import math

import numpy as np

from bptt._inputs import Array, generator


class Sampler:
    """Draws y from the distribution that o parametrises, row by row."""

    def __init__(
        self, output: str, temperature: float, top_k: int | None, seed: int | np.random.Generator | None
    ) -> None:
        if isinstance(temperature, bool) or not isinstance(temperature, int | float | np.number):
            raise TypeError(f"temperature: expected a number, got {type(temperature).__name__}")
        if not (math.isfinite(temperature) and temperature >= 0):
            raise ValueError(f"temperature: expected a finite number of at least 0, got {temperature}")
        if top_k is not None:
            if isinstance(top_k, bool) or not isinstance(top_k, int | np.integer):
                raise TypeError(f"top_k: expected an int, got {type(top_k).__name__}")
            if output != "softmax":
                raise ValueError(f"top_k: expected None for {output} outputs, got {top_k}")
            if top_k < 1:
                raise ValueError(f"top_k: expected at least 1, got {top_k}")
        self._output = output
        self._temperature = float(temperature)
        self._top_k = top_k
        self._random = generator(seed)

    def __call__(self, o: Array) -> Array:
        """Return y for o of shape [batch, n_out]: classes [batch] for softmax, else [batch, n_out]."""
        if not np.isfinite(o).all():
            raise ValueError("o: expected finite outputs to draw from, got NaN or infinity; are the parameters finite?")
        if self._output == "linear":
            noise = self._random.standard_normal(o.shape)
            return (o + self._temperature * noise).astype(o.dtype)
        cold = self._temperature == 0  # what is most likely
        with np.errstate(over="ignore"):
            logits = o.astype(np.float64) / (1.0 if cold else self._temperature)
        if self._output == "sigmoid":
            logistic = self._random.logistic(size=o.shape)  # y = 1 with probability sigma(o / temperature)
            return (logits > (0.0 if cold else logistic)).astype(o.dtype)
        if self._top_k is not None and self._top_k < o.shape[1]:
            kept = np.argpartition(-logits, self._top_k - 1, axis=1)[:, : self._top_k]
            mask = np.full_like(logits, -np.inf)
            np.put_along_axis(mask, kept, 0.0, axis=1)
            logits += mask
        gumbel = self._random.gumbel(size=o.shape)  # argmax(o / T + Gumbel) is a draw from softmax(o / T)
        drawn: Array = np.argmax(logits if cold else logits + gumbel, axis=1)
        return drawn
