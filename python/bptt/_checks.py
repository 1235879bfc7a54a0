"""Checks of single arguments. An error names the argument, what was expected and what came."""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import numpy as np

_LONGEST = 200  # characters of a value in a message


def shown(value: object, as_text: Callable[[object], str] = repr) -> str:
    """`value` in a message: not all of it where it is long."""
    try:
        text = as_text(value)
    except Exception:  # of nesting, or of digits, there is more than Python shows; or it is the user's own
        return f"{type(value).__name__} of a size that cannot be shown"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of the allowed, else raise."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {shown(value)}")
    return value


def truth(name: str, value: bool) -> bool:
    """Return `value` if it is True or False, else raise."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected True or False, got {shown(value)}")
    return bool(value)


def size(name: str, value: int, least: int, most: int = 2**31 - 1) -> int:
    """Return `value` as an int from `least` to `most`, else raise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {shown(value, str)}")
    if value > most:
        raise ValueError(f"{name}: expected at most {most}, got {shown(value, str)}")
    return int(value)


def number(name: str, value: float, least: float, most: float, ends: str = "[)") -> float:
    """Return `value` as a float from `least` to `most`, of which a bracket includes the end, else raise."""
    if isinstance(value, bool) or not isinstance(value, float | int | np.floating | np.integer):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf if value > 0 else -math.inf
    above = least <= result if ends[0] == "[" else least < result
    below = result <= most if ends[1] == "]" else result < most
    if not (above and below):  # nor NaN
        raise ValueError(f"{name}: expected a number in {ends[0]}{least:g}, {most:g}{ends[1]}, got {shown(value, str)}")
    return result


def a_path(name: str, value: str | bytes | os.PathLike[str]) -> str:
    """Return the path that `value` is, as a str, else raise."""
    try:
        path = os.fsdecode(value)
    except TypeError:
        raise TypeError(f"{name}: expected a path, got {type(value).__name__}") from None
    try:
        if b"\0" not in os.fsencode(path):
            return path
    except UnicodeEncodeError:
        pass
    raise ValueError(f"{name}: expected a path that a file can have, got {shown(value)}")


def seed_of_draws(seed: int | np.random.Generator | None, draws: bool) -> int:
    """Return the seed of the core's draws, else raise. A new one is taken only if anything draws."""
    expected = "seed: expected an int in [0, 2**64), a numpy.random.Generator or None"
    if seed is None:
        return int.from_bytes(os.urandom(8), "little") if draws else 0
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**64, dtype=np.uint64)) if draws else 0
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"{expected}, got {type(seed).__name__}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"{expected}, got {shown(seed, str)}")
    return int(seed)


def generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    """Return the random generator that `seed` stands for, else raise."""
    expected = "seed: expected an int of at least 0, a numpy.random.Generator or None"
    if seed is None or isinstance(seed, np.random.Generator):
        return np.random.default_rng(seed)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"{expected}, got {type(seed).__name__}")
    if seed < 0:
        raise ValueError(f"{expected}, got {shown(seed, str)}")
    return np.random.default_rng(int(seed))
