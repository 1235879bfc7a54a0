"""Gradients against central differences of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bptt.networks.base import RecurrentNetwork


def gradcheck(
    rnn: RecurrentNetwork,
    x: Any,
    y: Any,
    *,
    h0: Any = None,
    lengths: ArrayLike | None = None,
    weight: Any = None,
    r0: ArrayLike | None = None,
    teacher_forcing: float | None = None,
    reset: Any = None,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    most: int = 200,
    seed: int = 0,
) -> dict[str, float]:
    """Compare the gradients of the parameters with central differences (L(p + step) - L(p - step)) / (2 step).

    The comparison runs in float64, on a copy: `rnn` is left as it is, and float32 networks are checked for their
    mathematics, not for their rounding. Where relu has its kink (a = 0) within a step, it is the differences that are
    wrong: a smaller `step` tells.

    Parameters
    ----------
    rnn : ElmanRNN or JordanRNN
        The network.
    x, y, lengths, weight, reset
        As for ``rnn.loss``.
    h0 : array_like, optional
        As for ``ElmanRNN.loss``.
    r0, teacher_forcing : optional
        As for ``JordanRNN.loss``.
    step : float
        Of the differences.
    tolerance : float
        The largest deviation allowed, relative to the largest gradient of the same parameter (or to 1 where all are
        smaller).
    most : int
        Check at most this many elements of each parameter, chosen at random.
    seed : int
        Of that choice, and of what the steps draw where `teacher_forcing` is between 0 and 1: in all evaluations the
        same ones see the target.

    Returns
    -------
    dict of str to float
        The largest relative deviation found for each parameter, by its name in files.

    Raises
    ------
    AssertionError
        If one is beyond the tolerance; the message names the element.
    TypeError
        If an argument is another network's.
    """
    kind: Any = type(rnn)
    double = kind(**{**rnn.configuration(), "dtype": "float64"}, init=None)
    double.parameters = rnn.parameters
    random = np.random.default_rng(seed)
    given = {"h0": h0, "r0": r0, "lengths": lengths, "weight": weight, "reset": reset}
    arguments = {name: value for name, value in given.items() if value is not None}
    if teacher_forcing is not None:
        arguments |= {"teacher_forcing": teacher_forcing, "seed": seed}
    _, gradients = double.loss_and_gradients(x, y, **arguments)
    found = {}
    exact_of = gradients.by_name()
    for name, values in double.by_name().items():
        exact = exact_of[name]
        scale = max(1.0, float(np.abs(exact).max(initial=0.0)))
        found[name] = 0.0
        for i in random.permutation(values.size)[:most]:
            index = np.unravel_index(i, values.shape)
            middle = values[index]
            values[index] = middle + step
            above = double.loss(x, y, **arguments)
            values[index] = middle - step
            below = double.loss(x, y, **arguments)
            values[index] = middle
            difference = (above - below) / (2 * step)
            deviation = abs(float(exact[index]) - difference) / scale
            found[name] = max(found[name], deviation)
            if not deviation <= tolerance:
                where = f"{name}[{', '.join(map(str, index))}]"
                raise AssertionError(
                    f"dL/d{where}: {float(exact[index]):.9g}, but central differences give {difference:.9g}"
                )
    return found
