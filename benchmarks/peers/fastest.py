"""Several ways to write one thing, and the choice between them; knows no library."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

WARM = 3  # calls before the clock starts: compilers that watch a few calls first are done then
MOMENT = 0.1  # seconds


def fastest(candidates: list[Callable[[], Any]]) -> Callable[[], Any]:
    """Compile all, time each for a moment, keep the best."""

    def seconds(call: Callable[[], Any]) -> float:
        for _ in range(WARM):
            call()
        best, end = float("inf"), time.perf_counter() + MOMENT
        while time.perf_counter() < end:
            start = time.perf_counter()
            call()
            best = min(best, time.perf_counter() - start)
        return best

    return min(candidates, key=seconds)
