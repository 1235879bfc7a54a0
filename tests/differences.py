"""What the reference's tests share: nested lists of random floats, central differences, sums; no network."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

import pytest

from bptt.reference import Parameters

# Values worked out by hand: an expression of some tens of operations, each off by half of eps = 2.2e-16 at most.
ROUNDING = 1e-14


def vector(rng: random.Random, n: int) -> list[float]:
    return [rng.uniform(-1.0, 1.0) for _ in range(n)]


def matrix(rng: random.Random, rows: int, columns: int) -> list[list[float]]:
    return [vector(rng, columns) for _ in range(rows)]


def entries(nested: list[Any]) -> Iterator[tuple[list[float], int]]:
    """The place of every float in nested lists."""
    for i, element in enumerate(nested):
        if isinstance(element, list):
            yield from entries(element)
        else:
            yield nested, i


def flat(nested: list[Any]) -> list[float]:
    return [row[i] for row, i in entries(nested)]


def central_differences(loss: Callable[[], float], nested: list[Any]) -> list[float]:
    """Of fourth order: two central differences, combined so that the third derivative cancels."""
    step = 3e-4
    differences = []
    for row, i in entries(nested):
        kept = row[i]
        at = {}
        for k in (-2, -1, 1, 2):
            row[i] = kept + k * step
            at[k] = loss()
        row[i] = kept
        differences.append((8.0 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12.0 * step))
    return differences


def assert_central_differences(
    loss: Callable[[], float], variables: dict[str, Any], gradients: dict[str, Any], zero: Set[str] = frozenset()
) -> None:
    """The gradients, under the letters of their variables, are the loss's; those whose letters are in `zero` are 0."""
    assert loss() > 0.1  # there is something to differentiate
    for letter, variable in variables.items():
        gradient = flat(gradients[letter])
        expected = central_differences(loss, variable)
        if letter in zero:
            assert not any(expected), letter
            assert not any(gradient), letter
        else:
            assert max(map(abs, expected)) > 1e-5, letter  # far above the tolerance, or nothing would be tested
        # A loss below 40 is rounded to 4e-15, which over the step, 3e-4, is 1e-11; what the differences leave out is
        # step^4 / 30 times a fifth derivative, of which the largest here, near 2e5, makes 5e-11. Twice that is allowed.
        assert gradient == pytest.approx(expected, rel=0.0, abs=1e-10), letter


def assert_sum_of(parts: Sequence[tuple[float, Parameters]], loss: float, gradients: Parameters) -> None:
    """A loss, and its gradients of U, W, b, V and c, are the sums of those of the parts."""
    losses, each = zip(*parts, strict=True)
    assert loss == pytest.approx(sum(losses), rel=ROUNDING)
    for letter in "UWbVc":
        terms = zip(*(flat(getattr(g, letter)) for g in each), strict=True)
        # Sums of a few: entries of order 1 that may cancel, hence absolute.
        assert flat(getattr(gradients, letter)) == pytest.approx([sum(t) for t in terms], rel=0.0, abs=ROUNDING), letter
