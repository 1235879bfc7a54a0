"""Gradients against central differences of the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bptt._arrays import Array
from bptt._checks import number, size
from bptt.networks.base import RecurrentNetwork


def gradcheck(
    rnn: RecurrentNetwork,
    x: Any,
    y: Any,
    *,
    h0: Any = None,
    v0: Any = None,
    lengths: ArrayLike | None = None,
    weight: Any = None,
    r0: ArrayLike | None = None,
    teacher_forcing: float | None = None,
    reset: Any = None,
    noise: float = 0.0,
    dropout: float = 0.0,
    activity: float = 0.0,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    most: int = 200,
    seed: int = 0,
) -> dict[str, float]:
    """Compare the gradients of the parameters with central differences (L(p + step) - L(p - step)) / (2 step).

    The comparison runs in float64, on a copy: `rnn` is left as it is, and float32 networks are checked for their
    mathematics, not for their rounding.

    A relu network has kinks (a = 0). Where one lies within a step of a parameter, the differences from the left and
    from the right disagree, and the central one says nothing. Such an element is compared again with smaller steps, and
    with the difference from each side; relu's gradient is that of one side. If none of that decides, it is skipped.
    Where more than half of the elements checked of a parameter are skipped, that is an error.

    Parameters
    ----------
    rnn : ElmanRNN or JordanRNN
        The network.
    x, y, lengths, weight, reset
        As for ``rnn.loss``.
    h0 : array_like, or list, optional
        As for ``ElmanRNN.loss``: of several layers a list with an entry a layer, of two directions a list of pairs.
    v0 : array_like, or list, optional
        Of leaky units, in place of h0 and in its form.
    r0, teacher_forcing : optional
        As for ``JordanRNN.loss``.
    noise, dropout : float
        As for ``ElmanRNN.loss``.
    activity : float
        As for ``rnn.loss``.
    step : float
        Of the differences.
    tolerance : float
        The largest deviation allowed, relative to the largest gradient of the same parameter (or to 1 where all are
        smaller).
    most : int
        Check at most this many elements of each parameter, chosen at random.
    seed : int
        Of that choice, and of all draws of noise, dropout and `teacher_forcing`: they are the same in all evaluations.

    Returns
    -------
    dict of str to float
        The largest relative deviation found for each parameter, by its name in files.

    Raises
    ------
    AssertionError
        If one is beyond the tolerance; the message names the element.
    ValueError
        If relu has its kinks so near that most elements of a parameter cannot be checked; and as for ``rnn.loss``.
    TypeError
        If an argument is another network's; and as for ``rnn.loss``.
    """
    if not isinstance(rnn, RecurrentNetwork):
        raise TypeError(f"rnn: expected an ElmanRNN or a JordanRNN, got {type(rnn).__name__}")
    disturbed = {"noise": number("noise", noise, 0, math.inf), "dropout": number("dropout", dropout, 0, 1)}
    of_hidden, of_outputs = {"h0": h0, "v0": v0}, {"r0": r0, "teacher_forcing": teacher_forcing}
    others = {**of_hidden, **disturbed} if rnn.feeds_outputs_back else of_outputs
    for name, value in others.items():
        if value is not None and not (name in disturbed and value == 0):
            none = 0 if name in disturbed else None
            raise TypeError(f"{name}: expected {none}, as {type(rnn).__name__}.loss has no such argument")
    step = number("step", step, 0.0, math.inf, "()")
    tolerance = number("tolerance", tolerance, 0.0, math.inf)
    most = size("most", most, 0)
    seed = size("seed", seed, 0, 2**64 - 1)
    kind: Any = type(rnn)
    double = kind(**{**rnn.configuration(), "dtype": "float64"}, init=None)
    double.parameters = rnn.parameters
    random = np.random.default_rng(seed)
    given = {"h0": h0, "v0": v0, "r0": r0, "lengths": lengths, "weight": weight, "reset": reset}
    arguments = {name: value for name, value in given.items() if value is not None}
    arguments |= {"activity": activity, "seed": seed}
    if teacher_forcing is not None:
        arguments["teacher_forcing"] = teacher_forcing
    if not rnn.feeds_outputs_back:
        arguments |= disturbed
    _, gradients = double.loss_and_gradients(x, y, **arguments)
    has_kinks = rnn.activation == "relu"

    def loss() -> float:
        return float(double.loss(x, y, **arguments))

    found = {}
    exact_of = gradients.by_name()
    for name, values in double.by_name().items():
        exact = exact_of[name]
        scale = max(1.0, float(np.abs(exact).max(initial=0.0)))
        found[name] = 0.0
        checked = random.permutation(values.size)[:most]
        skipped = 0
        for i in checked:
            index = np.unravel_index(i, values.shape)
            at = _along(loss, values, index)
            gradient = float(exact[index])
            difference = _central(at, step)
            deviation = abs(gradient - difference) / scale
            if has_kinks and tolerance < deviation < math.inf:
                decided = _deviation_near_a_kink(at, gradient, step, scale, tolerance)
                if decided is None:
                    skipped += 1
                    continue
                deviation = decided
            found[name] = max(found[name], deviation)
            if not deviation <= tolerance:
                where = f"{name}[{', '.join(map(str, index))}]"
                raise AssertionError(f"dL/d{where}: {gradient:.9g}, but central differences give {difference:.9g}")
        if 2 * skipped > len(checked):
            raise ValueError(
                f"step: expected one that is shorter than the way to relu's kinks, got {step:g}: "
                f"{skipped} of {len(checked)} elements of {name} cannot be checked"
            )
    return found


def _along(loss: Callable[[], float], values: Array, index: tuple[Any, ...]) -> Callable[[float], float]:
    """The loss as a function of how far one element is moved."""
    middle = values[index]

    def at(distance: float) -> float:
        values[index] = middle + distance
        moved = loss()
        values[index] = middle
        return moved

    return at


def _central(at: Callable[[float], float], step: float) -> float:
    return (at(step) - at(-step)) / (2 * step)


def _from_one_side(at: Callable[[float], float], step: float) -> float:
    """The derivative on the side of the step's sign, to second order."""
    return (4 * at(step / 2) - 3 * at(0.0) - at(step)) / step


def _deviation_near_a_kink(
    at: Callable[[float], float], gradient: float, step: float, scale: float, tolerance: float
) -> float | None:
    """How far a gradient is off where central differences may straddle a kink; None where that cannot be told.

    A smooth loss has the same derivative from the left, from the right and across, to some step^2: then it tells a
    wrong gradient. A kink on one side leaves the other side's derivative right. With kinks on both sides, a smaller
    step may lie between them.
    """
    for h in (step, step / 8, step / 64):
        differences = _from_one_side(at, -h), _from_one_side(at, h), _central(at, h)
        deviation = min(abs(gradient - difference) for difference in differences) / scale
        is_smooth = max(differences) - min(differences) <= tolerance * scale / 4
        if deviation <= tolerance or is_smooth:
            return deviation
    return None
