"""Initial weights within the constraints of a network."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from bptt._arrays import Array
from bptt._checks import choice, generator, number
from bptt.constraints.held import Constrained, Constraints, Held
from bptt.constraints.rules import Part

_SHAPE = 2.0  # of the gamma distribution
_OFF = 1e-3  # how far from the asked spectral radius is another one


def initialize(
    rnn: Constrained,
    *,
    spectral_radius: float = 1.0,
    distribution: Literal["gamma", "uniform"] = "gamma",
    seed: int | np.random.Generator | None = None,
) -> None:
    """Draw the weights of a network anew, within its constraints; the biases become 0.

    The magnitudes of W are drawn from a distribution. A sign is the one that the constraints give, else random. Where
    all signs of a row are given, and both are among them, what is inhibitory is scaled so that the row adds up to 0:
    the mean excitatory and inhibitory inputs of each unit balance. Then W is scaled as a whole (Song, Yang, Wang, PLoS
    Comput Biol 2016). U of layers above the lowest is balanced alike. U and V are uniform within ``1/sqrt(n)``, with
    the signs that they have to have, where n is how many entries of the row are not masked (for tokens 1 in U of the
    lowest layer). What is frozen stays.

    Parameters
    ----------
    rnn : ElmanRNN
        The network, with the `constraints` that it has.
    spectral_radius : float
        The largest magnitude of an eigenvalue of each W, at least 0. Song, Yang and Wang take 1.5, with relu.
    distribution : {"gamma", "uniform"}
        Of the magnitudes of W: gamma of shape 2, or uniform from 0.
    seed : int or numpy.random.Generator, optional
        By default a new one.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of the above, or no W within the constraints has this spectral radius: where the
        connections that exist have no cycle, where entries that are not 0 are frozen, or where `max_norm` allows less.
        No parameter has changed then.
    """
    network: Any = rnn
    if not isinstance(getattr(network, "constraints", None), Constraints):
        raise TypeError(f"rnn: expected an ElmanRNN, got {type(rnn).__name__}")
    if network.feeds_outputs_back:
        raise ValueError(f"rnn: expected an ElmanRNN, as W is not square here, got a {type(rnn).__name__}")
    radius = number("spectral_radius", spectral_radius, 0.0, math.inf)
    choice("distribution", distribution, ("gamma", "uniform"))
    random = generator(seed)
    held: Held = network._constraints if network._constraints is not None else Held((), network)
    drawn = network.parameters.astype(np.float64)
    for part in held.parts:
        values = part.of(drawn)
        if part.letter == "W":
            new = _recurrence(part, values, radius, distribution, random)
        elif part.letter in ("U", "V"):
            new = _forward(part, network.input == "token" and part.letter == "U" and part.layer == 0, random)
        else:
            new = np.zeros(part.shape)
        values[...] = new if part.frozen is None else np.where(part.frozen, values, new)
    inside: Array = drawn.astype(network.parameters.dtype)
    inside = held.projected(inside)
    for part in held.parts:
        if part.letter == "W" and part.bounds and (part.frozen is None or not part.frozen.all()):
            reached = _radius(part.of(inside))
            if abs(reached - radius) > _OFF * radius:
                raise ValueError(
                    f"spectral_radius: expected about {reached:.3g}, which max_norm leaves {part.name}, got {radius:g}"
                )
    network.parameters[:] = inside


def _recurrence(part: Part, before: Array, radius: float, distribution: str, random: np.random.Generator) -> Array:
    """W of one layer and direction."""
    frozen = part.frozen
    if frozen is not None and frozen.all():
        return before
    magnitudes = random.gamma(_SHAPE, size=part.shape) if distribution == "gamma" else random.random(part.shape)
    drawn = _signed(part, magnitudes, random)
    if frozen is not None:
        if before[frozen].any():
            raise ValueError(
                f"spectral_radius: expected {part.name} to be frozen as a whole, or where it is 0, when it is drawn"
            )
        drawn[frozen] = 0.0
    drawn = _balanced(part, drawn)
    reached = _radius(drawn)
    if radius == 0.0 or not drawn.any():
        return np.zeros(part.shape)
    if reached <= 1e-6 * np.abs(drawn).max():  # of no cycle it is 0, but for rounding
        raise ValueError(
            f"spectral_radius: expected 0, as the connections of {part.name} have no cycle, got {radius:g}"
        )
    return drawn * (radius / reached)


def _forward(part: Part, reads_tokens: bool, random: np.random.Generator) -> Array:
    """U or V."""
    bound = np.full(part.shape[:1], max(part.shape[1], 1)) if part.zero is None else (~part.zero).sum(1).clip(1)
    scale = 1.0 if reads_tokens else 1.0 / np.sqrt(bound)[:, None]
    drawn = _signed(part, random.random(part.shape), random) * scale
    return _balanced(part, drawn) if part.letter == "U" else drawn


def _signed(part: Part, magnitudes: Array, random: np.random.Generator) -> Array:
    """Magnitudes with the signs that the constraints give, random ones where they give none, and 0 where masked."""
    signs = np.where(random.random(part.shape) < 0.5, -1.0, 1.0)
    if part.sign is not None:
        signs = np.where(part.sign == 0, signs, part.sign)
    return signs * magnitudes if part.zero is None else np.where(part.zero, 0.0, signs * magnitudes)


def _balanced(part: Part, drawn: Array) -> Array:
    """The same with inhibitory entries scaled so that each row adds up to 0 whose signs are all given."""
    if part.sign is None:
        return drawn
    excitatory, inhibitory = np.maximum(drawn, 0.0).sum(1), -np.minimum(drawn, 0.0).sum(1)
    given = ((part.sign != 0) | (drawn == 0.0)).all(1) & (excitatory > 0) & (inhibitory > 0)
    factor = np.where(given, excitatory / np.where(inhibitory > 0, inhibitory, 1.0), 1.0)
    return np.where(drawn < 0, drawn * factor[:, None], drawn)


def _radius(matrix: Array) -> float:
    return float(np.abs(np.linalg.eigvals(matrix.astype(np.float64))).max())
