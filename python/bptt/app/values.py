"""What options take: a text becomes a value, or is refused in words."""

from __future__ import annotations

import argparse
import csv
import math
import os
from collections.abc import Callable


def count(text: str) -> int:
    return _whole(text, 1, "a whole number from 1 to 1000000000", 10**9)


def hidden_counts(text: str) -> tuple[int, ...]:
    """The sizes of layers, with commas between them."""
    try:
        return tuple(_whole(part, 1, "", 100_000) for part in text.split(","))
    except argparse.ArgumentTypeError:
        expected = "a whole number from 1 to 100000, or several with commas between them"
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None


def thread_count(text: str) -> int:
    return _whole(text, 1, "a whole number from 1 to 1024", 1024)


def seed(text: str) -> int:
    return _whole(text, 0, "a whole number from 0 to 2**64 - 1", 2**64 - 1)


def utf8(argument: str) -> str:
    """What stands on the command line in UTF-8, as texts and tables do, whatever the locale says (`LC_ALL=C`)."""
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


def names(text: str) -> list[str]:
    """Names with commas between them; one with a comma in it stands in double quotes."""
    try:
        found = [name.strip() for name in next(csv.reader([utf8(text)], skipinitialspace=True, strict=True), [])]
    except csv.Error:
        found = []
    if not found or not all(found) or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"expected different names with commas between them, got {text!r}")
    return found


def between(least: int, most: int) -> Callable[[str], int]:
    """What makes a whole number within these bounds of a text."""
    return lambda text: _whole(text, least, f"a whole number from {least} to {most}", most)


def _whole(text: str, least: int, expected: str, most: float = math.inf) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return number


def positive(text: str) -> float:
    return _finite(text, lambda number: number > 0, "a positive number")


def temperature(text: str) -> float:
    return _finite(text, lambda number: number >= 0, "a number, at least 0")


def share(text: str) -> float:
    return _finite(text, lambda number: 0 < number <= 1, "a number above 0, at most 1")


def shares(text: str) -> tuple[float, ...]:
    return tuple(map(share, text.split(",")))


def inner_share(text: str) -> float:
    return _finite(text, lambda number: 0 < number < 1, "a number above 0 and below 1")


def _finite(text: str, allowed: Callable[[float], bool], expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and allowed(number)):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return number
