"""A batch is a loop over its sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def number_of_sequences(xs: Sequence[Any]) -> int:
    if not xs:
        raise ValueError("xs: expected at least one sequence")
    return len(xs)


def for_each(values: Sequence[Any] | None, n: int) -> Sequence[Any]:
    """One value a sequence: None for the default of all."""
    return [None] * n if values is None else values
