"""How fast units forget: alpha of every unit, as users give it, as the core has it, and as files have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from bptt._arrays import as_array
from bptt._checks import shown

Leak: TypeAlias = tuple[tuple[float, ...], ...]  # of each layer one number, or one a unit; empty where all are 1
_FLOAT64 = np.dtype(np.float64)


def read_leak(value: Any, n_hidden: tuple[int, ...], dtype: np.dtype[Any]) -> Leak:
    """Check what a user gives: a number, or one a unit; of several layers also a list with one of these a layer."""
    if len(n_hidden) == 1 or _is_number(value):
        layers = [_of_layer("leak", value, n, dtype) for n in n_hidden]
    else:
        if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
            raise TypeError(f"leak: expected a number, or a list with an entry a layer, got {type(value).__name__}")
        if len(value) != len(n_hidden):
            raise ValueError(f"leak: expected a list with an entry a layer, {len(n_hidden)}, got {len(value)}")
        layers = [_of_layer(f"leak[{k}]", value[k], n, dtype) for k, n in enumerate(n_hidden)]
    return () if all(alpha == 1.0 for layer in layers for alpha in layer) else tuple(layers)


def told_leak(leak: Leak) -> Any:
    """The shortest form that makes the same network, of numbers and lists, as JSON has it."""
    layers = [layer[0] if len(layer) == 1 else list(layer) for layer in leak]
    if all(isinstance(layer, float) and layer == layers[0] for layer in layers):
        return layers[0] if layers else 1.0
    return layers[0] if len(layers) == 1 else layers


def _is_number(value: Any) -> bool:
    return value.ndim == 0 if isinstance(value, np.ndarray) else not isinstance(value, Iterable)


def _of_layer(name: str, value: Any, n: int, dtype: np.dtype[Any]) -> tuple[float, ...]:
    """Of `n` units: of each, or one number where all have the same."""
    if isinstance(value, bool | np.bool_ | str | bytes) or value is None:
        raise TypeError(f"{name}: expected a number, or one a unit, got {type(value).__name__}")
    array = as_array(name, value, _FLOAT64)
    if array.shape not in ((), (n,)):
        raise ValueError(f"{name}: expected a number or [{n}], got {array.shape}")
    least = float(np.finfo(dtype).tiny)  # less would be 0 in the core
    wrong = np.flatnonzero(~((array >= least) & (array <= 1.0)))  # NaN too
    if len(wrong):
        where = f" at unit {wrong[0]}" if array.ndim else ""
        got = shown(float(array.flat[wrong[0]]), str)
        expected = "a number in (0, 1]" if not 0.0 < array.flat[wrong[0]] < least else f"at least {least:g} in {dtype}"
        raise ValueError(f"{name}: expected {expected}, got {got}{where}")
    alphas = tuple(array.reshape(-1).tolist())
    return alphas[:1] if len(set(alphas)) == 1 else alphas
