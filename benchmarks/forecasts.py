"""Forecasts with default settings beside simple ones, ridge on lags, and AutoETS and AutoARIMA of statsforecast.

    python benchmarks/forecasts.py ../shared/data/series            # the series in this folder
    python benchmarks/forecasts.py ../shared/data/series taylor co2 --no-peers

The last fifth of each series is forecast from 20 origins, several steps ahead. Everything is fitted to the rows before
it, once. What is printed is RMSE / MASE; the unit of MASE is the mean error of the seasonal naive forecast in the rows
before. "linear" is the same forecaster without networks. Ridge is the better one, by its RMSE in the test, of forecasts
of all steps at once and of one step repeated, on the lags of two seasons, with the penalty 1.

The models of statsforecast have their defaults, and the season of the series up to 24 rows (AutoETS) or 12 (AutoARIMA,
which takes hours beyond). With longer ones they forecast what MSTL leaves of the seasons, as its documentation does:
with [48, 336] rows for taylor, [24, 168] for hours, 52 for weeks. They go on from each origin with their parameters;
AutoETS is fitted anew at each where there are fewer than 400 rows.

In a second table stand the intervals of 90 %: the share of what came that they cover, and the interval score (the
width and 20 times what lay outside; Gneiting and Raftery 2007) over that of bptt, less being better.
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

ORIGINS, SHARE, FEW_ROWS, LEVEL = 20, 0.8, 400, 90
COVERAGE_ORIGINS = 200  # that the coverage is told from, beside the 20
SEASON_MOST = {"AutoETS": 24, "AutoARIMA": 12}
SEASONS_OF = {336: [48, 336], 24: [24, 168]}  # where MSTL is given more than one
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


class Forecasts(NamedTuple):
    """Of all origins, one row each; the ends of intervals where it has them."""

    mean: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def peer(name: str, y: np.ndarray, at: np.ndarray, contest: Contest) -> Forecasts:
    """Forecasts of a model of statsforecast."""
    from statsforecast.models import MSTL, AutoARIMA, AutoETS

    season = contest.season
    if season <= SEASON_MOST[name]:
        model = {"AutoETS": AutoETS, "AutoARIMA": AutoARIMA}[name](season_length=season)
    else:
        trend = AutoETS(model="ZZN") if name == "AutoETS" else AutoARIMA()
        model = MSTL(SEASONS_OF.get(season, season), trend_forecaster=trend)
    anew = name == "AutoETS" and at[0] < FEW_ROWS
    forecast = model.forecast if anew else model.fit(y=y[: at[0]]).forward
    found = [forecast(y=y[:t], h=contest.steps, level=[LEVEL]) for t in at]
    return Forecasts(*(np.stack([each[key] for each in found]) for key in ("mean", f"lo-{LEVEL}", f"hi-{LEVEL}")))


def of_forecaster(forecaster: Forecaster, frame: pd.DataFrame, at: np.ndarray, column: str) -> Forecasts:
    """Forecasts of ours."""
    found = [forecaster.predict(df=frame[:t]) for t in at]
    return Forecasts(
        *(np.stack([each[key] for each in found]) for key in (column, f"{column}_lower", f"{column}_upper"))
    )


class Score(NamedTuple):
    """How good forecasts are, and their intervals."""

    rmse: float
    mase: float
    coverage: float = np.nan
    interval_score: float = np.nan


def score(forecasts: Forecasts, came: np.ndarray, unit: float) -> Score:
    """Errors of forecasts, and of their intervals where they have some."""
    error = forecasts.mean - came
    rmse, mase = float(np.sqrt((error**2).mean())), float(np.abs(error).mean() / unit)
    if forecasts.low is None or forecasts.high is None:
        return Score(rmse, mase)
    low, high = forecasts.low, forecasts.high
    outside = np.maximum(low - came, 0) + np.maximum(came - high, 0)
    return Score(rmse, mase, float((outside == 0).mean()), float((high - low + 2 / (1 - LEVEL / 100) * outside).mean()))


def measured(contest: Contest, folder: str, with_peers: bool) -> tuple[dict[str, Score], float, float]:
    """The scores of every forecast; the seconds that ours was fitted in, and its coverage from many origins."""
    frame = table_of(contest, folder)
    y = frame[contest.column].to_numpy(np.float64)
    n = round(SHARE * len(y))
    at = np.unique(np.linspace(n - 1, len(y) - contest.steps - 1, ORIGINS).astype(int)) + 1  # rows that are known
    came = np.stack([y[t : t + contest.steps] for t in at])
    unit = mase_unit(y[:n], contest.season)
    h = np.arange(contest.steps)
    forecasts = {
        "last": Forecasts(np.stack([np.full(contest.steps, y[t - 1]) for t in at])),
        "drift": Forecasts(np.stack([y[t - 1] + (y[t - 1] - y[0]) / (t - 1) * (h + 1) for t in at])),
    }
    if contest.season > 1:
        forecasts["season"] = Forecasts(np.stack([y[t - contest.season + h % contest.season] for t in at]))
    lags = 2 * contest.season if contest.season > 1 else UNKNOWN_SEASON_LAGS
    both = [Forecasts(np.stack([forecast(y[:t]) for t in at])) for forecast in ridge(y[:n], lags, contest.steps)]
    forecasts["ridge"] = min(both, key=lambda those: score(those, came, unit).rmse)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in SEASON_MOST if with_peers else ():
            forecasts[name] = peer(name, y, at, contest)
    for name, ensemble in (("linear", 0), ("bptt", 5)):
        begin = time.perf_counter()
        forecaster = Forecaster(contest.column, time=contest.date, steps=contest.steps, ensemble=ensemble)
        forecaster.fit(frame[:n])
        seconds = time.perf_counter() - begin
        forecasts[name] = of_forecaster(forecaster, frame, at, contest.column)
    coverage = forecaster.backtest(frame, origins=COVERAGE_ORIGINS).loc[(contest.column, "model"), "coverage"]
    return {name: score(those, came, unit) for name, those in forecasts.items()}, seconds, float(coverage)


NAMES = ["last", "season", "drift", "ridge", "AutoETS", "AutoARIMA", "linear", "bptt"]


def report(table: list[tuple[Contest, dict[str, Score], float]], goals: list[str]) -> str:
    """The scores in Markdown, the best MASE of each contest in bold; the intervals; the goals."""
    lines = ["RMSE / MASE, the least MASE in bold; -: not measured.", ""]
    lines += ["| series, steps ahead | " + " | ".join(NAMES) + " |", "|---|" + "--:|" * len(NAMES)]
    for contest, scores, _ in table:
        least = min(scores[name].mase for name in NAMES if name in scores)
        cells = []
        for name in NAMES:
            bold = "**" if name in scores and scores[name].mase == least else ""
            cells.append(f"{scores[name].rmse:.4g} / {bold}{scores[name].mase:.3f}{bold}" if name in scores else "-")
        lines.append(f"| {contest.file} {contest.column}, {contest.steps} | " + " | ".join(cells) + " |")
    lines += ["", *goals, "", f"Intervals of {LEVEL} %: coverage / interval score over that of bptt.", ""]
    lines += ["| series, steps ahead | bptt | AutoETS | AutoARIMA | "]
    lines[-1] += f"bptt's coverage from {COVERAGE_ORIGINS} origins |"
    lines += ["|---|" + "--:|" * 4]
    for contest, scores, coverage in table:
        ours, cells = scores["bptt"], []
        for name in ("bptt", *SEASON_MOST):
            s = scores.get(name)
            cells.append("-" if s is None else f"{s.coverage:.2f} / {s.interval_score / ours.interval_score:.2f}")
        cells.append(f"{coverage:.2f}")
        lines.append(f"| {contest.file} {contest.column}, {contest.steps} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def goals_of(table: list[tuple[Contest, dict[str, Score], float]]) -> list[str]:
    """What was to be reached, and whether it was: one line each."""
    seasonal = [scores for contest, scores, _ in table if contest.season > 1]
    walks = [scores for contest, scores, _ in table if contest.season == 1]
    beaten = sum(s["bptt"].mase < s["season"].mase and s["bptt"].rmse < s["season"].rmse for s in seasonal)
    lines = [_goal(f"better than the seasonal naive forecast in {beaten} of {len(seasonal)}", beaten == len(seasonal))]
    if walks:
        behind = max(max(s["bptt"].rmse / s["last"].rmse, s["bptt"].mase / s["last"].mase) for s in walks) - 1
        lines.append(
            _goal(f"without a season, at most {max(behind, 0):.1%} behind the last value (goal 3 %)", behind < 0.03)
        )
    won = [sum(s["bptt"][i] < s["ridge"][i] for _, s, _ in table) for i in (0, 1)]
    needed = round(8 / 12 * len(table))
    words = f"better than ridge in {won[0]} by RMSE and {won[1]} by MASE of {len(table)} (goal {needed})"
    lines.append(_goal(words, min(won) >= needed))
    means = {
        name: float(np.exp(np.mean([np.log(scores[name].mase) for _, scores, _ in table])))
        for name in NAMES
        if all(name in scores for _, scores, _ in table)
    }
    said = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
    lines.append(f"- geometric mean of MASE: {said}")
    for name in SEASON_MOST:
        if name in means:
            lines.append(_goal(f"at least level with {name} in that mean", means["bptt"] <= means[name]))
    coverage = np.array([coverage for *_, coverage in table])
    lines.append(
        f"- coverage from {COVERAGE_ORIGINS} origins: {coverage.mean():.2f} on average, {coverage.min():.2f} at least"
    )
    return lines


def _goal(words: str, met: bool) -> str:
    return f"- {words}: {'met' if met else 'NOT met'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--no-peers", action="store_true", help="without statsforecast")
    parser.add_argument("--output", type=Path, help="write the table into this folder (Markdown)")
    options = parser.parse_args()
    print(f"{'series':24}" + "".join(f"{name:>17}" for name in NAMES) + f"{'coverage':>10}{'seconds':>9}", flush=True)
    table = []
    for contest in CONTESTS:
        if options.files and contest.file not in options.files:
            continue
        scores, seconds, coverage = measured(contest, options.folder, not options.no_peers)
        cells = [f"{scores[name].rmse:.4g} / {scores[name].mase:.3f}" if name in scores else "-" for name in NAMES]
        title = f"{contest.file}, {contest.column}"[:23]
        print(f"{title:24}" + "".join(f"{cell:>17}" for cell in cells) + f"{coverage:10.2f}{seconds:9.1f}", flush=True)
        table.append((contest, scores, coverage))
    goals = goals_of(table)
    print(*goals, sep="\n")
    if options.output:
        (options.output / "benchmark_forecasts.md").write_text(report(table, goals))


if __name__ == "__main__":
    main()
