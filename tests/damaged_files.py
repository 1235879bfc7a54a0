"""Files that are valid but not ours: wrong values in the place of each of a JSON text, wrong arrays for each array."""

from __future__ import annotations

import contextlib
import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

from problems import Array

_SECONDS = 0.1  # of the processor, at most, to refuse a file


def in_time(seconds: float, again: Callable[[], object]) -> bool:
    """Whether it was refused in time. What is slow by itself is so every time, what a busy machine delays is not."""
    for _ in range(5):
        if seconds < _SECONDS:
            return True
        begin = time.process_time()
        with contextlib.suppress(ValueError):
            again()
        seconds = time.process_time() - begin
    return False


_DEEP = 100_000
# What stands in place of a value, as JSON has it.
WRONG = [
    *("null", "true", "0", "-1", "1.5", "18446744073709551616", "9" * 400, "9" * 5000, "1e999", "-1e999", "NaN"),
    *('""', '"x"', json.dumps("x" * 100_000), '"0x1p99999"', "[]", "{}", "[0]", '{"x": 0}', "[[], {}]"),
    *("[" * 500 + "]" * 500, "[" * _DEEP + "]" * _DEEP, '{"x":' * _DEEP + "0" + "}" * _DEEP),
]
_MARK = "what is wrong stands here"


def paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a tree of dicts and lists, the tree itself included."""
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from paths(value, (*path, key))


def mutants(text: str) -> Iterator[tuple[tuple[Any, ...], str | None, str]]:
    """The path of each value of a JSON text, what stands in its place (None: nothing), and the text that this makes."""
    original = json.loads(text)
    for path in paths(original):
        for wrong in [None, *WRONG] if path else WRONG:
            tree = {"": copy.deepcopy(original)}
            *above, last = ("", *path)
            node: Any = tree
            for key in above:
                node = node[key]
            if wrong is None:
                del node[last]
            else:
                node[last] = _MARK
            yield path, wrong, json.dumps(tree[""]).replace(f'"{_MARK}"', wrong or "")


def parts_of(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a file and its metadata."""
    with safe_open(path, "numpy") as file:
        return load_file(path), dict(file.metadata())


DTYPES = [np.dtype(name) for name in ("f2", "f4", "f8", "i8", "u1", "?")]


def is_count(name: str, dtype: np.dtype[Any]) -> bool:
    """Whether a count may be told so."""
    return name == "optimizer.updates" and dtype.kind != "f"


def cast(array: Array, dtype: np.dtype[Any]) -> Array:
    """The array in another dtype, whatever is lost."""
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def wrong_arrays(arrays: dict[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
    """An array that is missing, one too many, or one of another shape or dtype."""
    for name, array in arrays.items():
        kept = {key: value for key, value in arrays.items() if key != name}
        yield f"no {name}", kept
        for wrong in (
            array[..., None],
            np.zeros(0, array.dtype),
            np.zeros((2**20, 0), array.dtype),
            np.concatenate([array.ravel(), array.ravel()]),
            *(cast(array, dtype) for dtype in DTYPES if dtype != array.dtype and not is_count(name, dtype)),
        ):
            yield f"{name} {wrong.shape} {wrong.dtype}", {**kept, name: wrong}
    for name in ("x", "state", "state.2", "updates.x", "optimizer.x", "optimizer.", "best.", "x" * 10_000):
        yield f"{name[:50]} too", {**arrays, name: np.zeros(3)}
