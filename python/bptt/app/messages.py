"""What commands say: lines on standard output."""

from __future__ import annotations

import math

from bptt.app.table_model import Columns, Scores


def score_table(scores: Scores, columns: Columns) -> str:
    """Errors in the units of the targets, beside those of who knows only the mean, or only the present."""
    heads = ["target", "error", "of the mean difference" if columns.differences else "of the mean"]
    numbers = [scores.rmse, scores.rmse_of_mean]
    if scores.rmse_of_present is not None:
        heads.append("of the present")
        numbers.append(scores.rmse_of_present)
    cells = (["-" if math.isnan(n[j]) else f"{n[j]:.5g}" for n in numbers] for j in range(len(columns.targets)))
    lines = [heads, *([name, *row] for name, row in zip(columns.targets, cells, strict=True))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    text = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    text.append(
        f"(roots of the mean squared error over {scores.rows:,} rows, the model's beside those of baselines; "
        f"loss {scores.nats:.4f} nats a row)"
    )
    if scores.rmse_of_present is not None and not columns.differences:
        worse = (scores.rmse > scores.rmse_of_present) & (scores.rmse_of_present > 0)
        if names := [name for name, is_worse in zip(columns.targets, worse, strict=True) if is_worse]:
            text.append(f"The present value predicts {', '.join(names)} better: try --differences.")
    return "\n".join(text)


def rows_ahead(columns: Columns) -> str:
    rows = {0: "in the same row", 1: "one row ahead"}.get(columns.horizon, f"{columns.horizon:,} rows ahead")
    return rows + (", by differences" if columns.differences else "")


def in_nats_and_bits(nats: float) -> str:
    return f"{nats:.4f} nats ({nats / math.log(2):.4f} bits)"


def say(line: str, end: str = "\n") -> None:
    print(line, end=end, flush=True)


def count_updates(n: int) -> str:
    return f"{n:,} update{'s' * (n != 1)}"
