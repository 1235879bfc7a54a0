"""Forecasts with default settings beside simple ones, ridge on lags, and AutoETS and AutoARIMA of statsforecast.

    python benchmarks/forecasts.py ../shared/data/series            # the series in this folder
    python benchmarks/forecasts.py ../shared/data/series taylor co2 --arima

The last fifth of each series is forecast from 20 origins, several steps ahead. Everything is fitted to the rows before
it, once. What is printed is RMSE / MASE; the unit of MASE is the mean error of the seasonal naive forecast in the rows
before. "linear" is the same forecaster without networks. Ridge is the better one, by its RMSE in the test, of forecasts
of all steps at once and of one step repeated, on the lags of two seasons, with the penalty 1. AutoETS and AutoARIMA go
on from each origin with their parameters; AutoETS is fitted anew at each where there are fewer than 400 rows.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bptt.forecast import Forecaster
from bptt.forecast.baselines import mase_unit

ORIGINS, SHARE, FEW_ROWS, ARIMA_ROWS, SEASON_MOST = 20, 0.8, 400, 600, 24
UNKNOWN_SEASON_LAGS = 20


class Contest(NamedTuple):
    """A column of a file, how far it is forecast, and its season as the simple forecasts and the peers use it."""

    file: str
    column: str
    date: str | None
    frequency: str | None
    steps: int
    season: int


CONTESTS = [
    Contest("taylor", "demand", "date", "30min", 48, 336),
    Contest("airpassengers", "passengers", "month", "MS", 12, 12),
    Contest("nottem", "temperature_F", "month", "MS", 12, 12),
    Contest("sunspots", "sunspots", None, None, 10, 11),
    Contest("co2", "co2", "date", "W-SAT", 26, 52),
    Contest("seattle_temps", "temp", "date", "h", 24, 24),
    *(Contest("weather_jfk", name, "time_hour", "h", 24, 24) for name in ("temp", "dewp", "humid", "pressure")),
    *(Contest("eustock", name, None, None, 10, 1) for name in ("DAX", "FTSE", "SMI", "CAC")),
]


def table_of(contest: Contest, folder: str) -> pd.DataFrame:
    """The column with its dates, without gaps."""
    frame = pd.read_csv(os.path.join(folder, f"{contest.file}.csv"))
    if contest.date is None:
        return frame[[contest.column]]
    frame[contest.date] = pd.to_datetime(frame[contest.date])
    series = frame.drop_duplicates(contest.date).set_index(contest.date)[contest.column]
    return series.asfreq(contest.frequency).interpolate().bfill().reset_index()


def ridge(y: np.ndarray, lags: int, steps: int, penalty: float = 1.0) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Ridge regression on standardised lags: of all steps at once, and of one step that is repeated."""

    def fitted(steps: int) -> Callable[[np.ndarray], np.ndarray]:
        t = np.arange(lags - 1, len(y) - steps)
        x, z = y[t[:, None] - np.arange(lags)], y[t[:, None] + np.arange(1, steps + 1)]
        mean, scale = x.mean(0), x.std(0) + 1e-12
        x = (x - mean) / scale
        b = np.linalg.solve(x.T @ x + penalty * np.eye(lags), x.T @ (z - z.mean(0)))
        return lambda known: (known[-1 : -lags - 1 : -1] - mean) / scale @ b + z.mean(0)

    one = fitted(1)

    def repeated(known: np.ndarray) -> np.ndarray:
        rows = list(known[-lags:])
        for _ in range(steps):
            rows.append(one(np.array(rows))[0])
        return np.array(rows[-steps:])

    return fitted(steps), repeated


def peers(y: np.ndarray, at: np.ndarray, contest: Contest, arima: bool) -> dict[str, list[np.ndarray]]:
    """Forecasts of statsforecast, where it is installed."""
    try:
        from statsforecast.models import AutoARIMA, AutoETS
    except ModuleNotFoundError:
        return {}
    n, out = int(at[0]), {}
    season = contest.season if contest.season <= SEASON_MOST else 1
    for name, kind, rows in (("AutoETS", AutoETS, n), ("AutoARIMA", AutoARIMA, ARIMA_ROWS))[: 1 + arima]:
        model = kind(season_length=season)
        if name == "AutoETS" and n < FEW_ROWS:
            out[name] = [model.forecast(y=y[max(0, t - rows) : t], h=contest.steps)["mean"] for t in at]
        else:
            model.fit(y=y[max(0, n - rows) : n])
            out[name] = [model.forward(y=y[max(0, t - rows) : t], h=contest.steps)["mean"] for t in at]
    return out


def measured(contest: Contest, folder: str, arima: bool) -> dict[str, tuple[float, float]]:
    """RMSE and MASE of every forecast; the seconds and the coverage of the forecaster."""
    frame = table_of(contest, folder)
    y = frame[contest.column].to_numpy(np.float64)
    n = round(SHARE * len(y))
    at = np.unique(np.linspace(n - 1, len(y) - contest.steps - 1, ORIGINS).astype(int)) + 1  # rows that are known
    came = np.stack([y[t : t + contest.steps] for t in at])
    unit = mase_unit(y[:n], contest.season)
    h = np.arange(contest.steps)
    forecasts: dict[str, list[np.ndarray]] = {
        "last": [np.full(contest.steps, y[t - 1]) for t in at],
        "drift": [y[t - 1] + (y[t - 1] - y[0]) / (t - 1) * (h + 1) for t in at],
    }
    if contest.season > 1:
        forecasts["season"] = [y[t - contest.season + h % contest.season] for t in at]
    lags = 2 * contest.season if contest.season > 1 else UNKNOWN_SEASON_LAGS
    both = [[forecast(y[:t]) for t in at] for forecast in ridge(y[:n], lags, contest.steps)]
    forecasts["ridge"] = min(both, key=lambda those: float(((np.stack(those) - came) ** 2).mean()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forecasts |= peers(y, at, contest, arima)
    out = {}
    for name, those in forecasts.items():
        error = np.stack(those) - came
        out[name] = (float(np.sqrt((error**2).mean())), float(np.abs(error).mean() / unit))
    for name, ensemble in (("linear", 0), ("bptt", 5)):
        begin = time.perf_counter()
        forecaster = Forecaster(contest.column, time=contest.date, steps=contest.steps, ensemble=ensemble)
        forecaster.fit(frame[:n])
        seconds = time.perf_counter() - begin
        row = forecaster.backtest(frame, origins=ORIGINS).loc[(contest.column, "model")]
        out[name] = (row["RMSE"], row["MAE"] / unit)
    out["seconds"] = (seconds, row["coverage"])
    return out


NAMES = ["last", "season", "drift", "ridge", "AutoETS", "AutoARIMA", "linear", "bptt"]


def report(table: list[tuple[Contest, dict[str, tuple[float, float]]]]) -> str:
    """The scores in Markdown, the best MASE of each contest in bold."""
    lines = ["RMSE / MASE, the least MASE in bold; -: not measured.", ""]
    lines += ["| series, steps ahead | " + " | ".join(NAMES) + " |", "|---|" + "--:|" * len(NAMES)]
    for contest, scores in table:
        least = min(scores[name][1] for name in NAMES if name in scores)
        cells = []
        for name in NAMES:
            rmse, mase = scores.get(name, (0.0, 0.0))
            bold = "**" if mase == least else ""
            cells.append(f"{rmse:.4g} / {bold}{mase:.3f}{bold}" if name in scores else "-")
        lines.append(f"| {contest.file} {contest.column}, {contest.steps} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--arima", action="store_true", help="AutoARIMA too, on the last 600 rows: minutes")
    parser.add_argument("--output", type=Path, help="write the table into this folder (Markdown)")
    options = parser.parse_args()
    names, contests = NAMES, []
    print(f"{'series':24}" + "".join(f"{name:>17}" for name in names) + f"{'coverage':>10}{'seconds':>9}", flush=True)
    table = []
    for contest in CONTESTS:
        if not options.files or contest.file in options.files:
            scores = measured(contest, options.folder, options.arima)
            cells = [f"{scores[name][0]:.4g} / {scores[name][1]:.3f}" if name in scores else "-" for name in names]
            seconds, coverage = scores.pop("seconds")
            title = f"{contest.file}, {contest.column}"[:23]
            print(
                f"{title:24}" + "".join(f"{cell:>17}" for cell in cells) + f"{coverage:10.2f}{seconds:9.1f}", flush=True
            )
            table.append(scores)
            contests.append(contest)
    for name in names:
        if all(name in scores for scores in table):
            mean = np.exp(np.mean([np.log(scores[name][1]) for scores in table]))
            print(f"geometric mean of MASE, {name}: {mean:.3f}")
    for i, kind in enumerate(("RMSE", "MASE")):
        won = sum(scores["bptt"][i] < scores["ridge"][i] for scores in table)
        print(f"better than ridge by {kind}: {won} of {len(table)}")
    if options.output:
        (options.output / "benchmark_forecasts.md").write_text(report(list(zip(contests, table, strict=True))))


if __name__ == "__main__":
    main()
