"""The parts of a trial: how long they last, in ms and in steps, and which steps are theirs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from bptt._arrays import Array
from bptt._checks import number

Duration: TypeAlias = float | Iterable[float]  # ms; one, or several of which each trial has one

_MOST = 2**31 - 1  # steps


def durations(name: str, value: Any, dt: float, least: int = 0) -> float | tuple[float, ...]:
    """Return durations (ms) as a float or a tuple of floats, each of at least so many steps of `dt`, else raise."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return _duration(name, value, dt, least)
    several = tuple(_duration(name, one, dt, least) for one in value)
    if not several:
        raise ValueError(f"{name}: expected at least one duration, got none")
    return several


def _duration(name: str, value: Any, dt: float, least: int) -> float:
    ms = number(name, value, least * dt, math.inf)
    if ms / dt > _MOST or not math.isclose(ms / dt, round(ms / dt), rel_tol=1e-9):  # 0.3 / 0.1 has a rounding error
        raise ValueError(f"{name}: expected a multiple of dt = {dt:g} ms, got {ms:g}")
    return ms


def in_steps(value: Duration, dt: float) -> Array:
    """Checked durations as numbers of steps, one or several."""
    return np.rint(np.atleast_1d(np.array(value, np.float64)) / dt).astype(np.int64)


def drawn(rng: np.random.Generator, options: Array, batch: int) -> Array:
    """One of equally likely options for each trial."""
    return options[rng.integers(len(options), size=batch)]


def one_after_the_other(parts: Mapping[str, Array]) -> dict[str, Array]:
    """The epochs ``[batch, 2]`` of parts that last so many steps ``[batch]``: first step, one after the last."""
    ends = np.cumsum(list(parts.values()), 0)
    return {name: np.stack([end - steps, end], -1) for (name, steps), end in zip(parts.items(), ends, strict=True)}


def inside(epoch: Array, tau: int) -> Array:
    """Which steps are in an epoch, ``[tau, batch]``."""
    t = np.arange(tau)[:, None]
    return (epoch[:, 0] <= t) & (t < epoch[:, 1])
