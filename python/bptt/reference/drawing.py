"""From o(t) to a class: drawn, or as a part of a likely sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

from .readout import softmax, softmax_loss
from .vectors import Vector


def likeliest_first(p: Vector) -> list[int]:
    """The classes, those of the largest probability first; of equal ones those that come first."""
    return sorted(range(len(p)), key=lambda k: (-p[k], k))


def draw_class(
    o: Vector, u: float, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> int:
    """The class that a number u stands for: the first whose probability, added to those before it, is more than u.

    Parameters
    ----------
    o
        o(t), ``[n_out]``.
    u
        In [0, 1), see `draws`.
    temperature
        Of softmax(o / temperature); 0 takes the likeliest class.
    top_k
        Only the k likeliest classes are drawn.
    top_p
        In (0, 1]: of these, only the fewest of the likeliest whose probabilities add up to top_p or more.
    """
    if temperature == 0.0:
        return likeliest_first(o)[0]
    kept = likeliest_first(o)[:top_k]
    if top_p is not None:
        shares = accumulate(softmax([o[k] / temperature for k in kept]))
        kept = kept[: 1 + sum(share < top_p for share in shares)]
    kept.sort()
    shares = accumulate(softmax([o[k] / temperature for k in kept]))
    return next((k for k, share in zip(kept, shares, strict=True) if share > u), kept[-1])


def beam_search(
    outputs: Callable[[Sequence[int]], Vector], n_steps: int, beam: int
) -> tuple[list[list[int]], list[float]]:
    """Sequences of classes, the likeliest first, and the logarithms of their probabilities.

    Parameters
    ----------
    outputs
        From the classes so far to the next o(t), ``[n_out]``.
    n_steps
        How long the sequences are.
    beam
        How many are kept: at every step the likeliest of all that are one class longer; of equal ones those whose
        classes come first.
    """
    kept: list[tuple[list[int], float]] = [([], 0.0)]
    for _ in range(n_steps):
        longer = []
        for y, log_prob in kept:
            o = outputs(y)
            longer += [([*y, k], log_prob - softmax_loss(o, k)) for k in range(len(o))]  # 10.13, 10.14
        kept = sorted(longer, key=lambda one: (-one[1], one[0]))[:beam]
    return [y for y, _ in kept], [log_prob for _, log_prob in kept]
