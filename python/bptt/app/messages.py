"""What commands say: lines on standard output."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_MEASURES = ("MAE", "RMSE", "MASE", "coverage")
_BY = ("MAE", "RMSE")  # what makes a forecast better than another


def score_table(scores: Any) -> str:
    """Errors of forecasts beside those of simple ones, as `Forecaster.backtest` returns them; who is better."""
    lines = [["target", "forecast", *_MEASURES]]
    better: list[str] = []
    for target in scores.index.unique("target"):
        of_target = scores.loc[target]
        for name, row in of_target.iterrows():
            cells = [_cell(row[measure], measure == "coverage") for measure in _MEASURES]
            lines.append([target if name == "model" else "", name, *cells])
            by = [measure for measure in _BY if row[measure] < of_target.loc["model", measure]]
            if by:
                better.append(f"{target} by {name} ({', '.join(by)})")
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "  ".join([*map(str.ljust, line[:2], widths), *map(str.rjust, line[2:], widths[2:])]).rstrip() for line in lines
    ]
    text.append(
        f"Better than the model: {'; '.join(better)}." if better else "No simple forecast has a smaller MAE or RMSE."
    )
    return "\n".join(text)


def _cell(value: float, is_share: bool) -> str:
    if math.isnan(value):
        return "" if is_share else "-"
    return f"{value:.1%}" if is_share else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def shares_in_words(shares: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Of each target a line: what its forecast consists of."""
    parts = {
        target: sorted(((share, name) for name, share in of_target.items() if share >= 0.005), reverse=True)
        for target, of_target in shares.items()
    }
    return [f"{target}: {'; '.join(f'{share:.0%} {name}' for share, name in of)}" for target, of in parts.items()]


def in_nats_and_bits(nats: float) -> str:
    return f"{nats:.4f} nats ({nats / math.log(2):.4f} bits)"


def say(line: str, end: str = "\n") -> None:
    print(line, end=end, flush=True)


def count_of(n: int, what: str) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def count_updates(n: int) -> str:
    return count_of(n, "update")
