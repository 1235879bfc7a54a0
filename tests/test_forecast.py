"""`bptt.forecast.Forecaster`: forecasts, intervals, scores, files, pictures, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import bptt
from damaged_files import parts_of
from interpreter import run_python

pd = pytest.importorskip("pandas")
Forecaster = pytest.importorskip("bptt.forecast").Forecaster


def hours(y: Any, **columns: Any) -> Any:
    """A table of hourly rows."""
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=len(y), freq="h"), "y": y, **columns})


def daily_wave(rows: int, seed: int = 0, noise: float = 1.0) -> Any:
    """A wave of 24 rows, and noise that dies away."""
    e = noise * np.random.default_rng(seed).standard_normal(rows)
    for t in range(1, rows):
        e[t] += 0.8 * e[t - 1]
    return 50 + 10 * np.sin(np.arange(rows) * np.pi / 12) + e


@pytest.fixture(scope="module")
def fitted() -> Any:
    """A forecaster with networks, and its table."""
    frame = hours(daily_wave(1010))
    return Forecaster("y", time="date", season=24, ensemble=2, hidden=8).fit(frame), frame


def test_what_repeats_is_forecast_as_it_was() -> None:
    y = np.tile(np.random.default_rng(0).standard_normal(7), 30)
    forecaster = Forecaster("y", season=7, ensemble=0).fit(pd.DataFrame({"y": y}))
    out = forecaster.predict(20)
    np.testing.assert_allclose(out["y"], y[:20], atol=1e-5)  # the least penalty is 1e-6
    assert (out["y_upper"] - out["y_lower"]).max() < 1e-5


@pytest.mark.parametrize("seed", range(2))
def test_a_random_walk_is_within_3_percent_of_the_last_value(seed: int) -> None:
    y = 100 + np.random.default_rng(seed).standard_normal(1250).cumsum()
    scores = Forecaster("y", steps=10, ensemble=1, hidden=8).holdout(pd.DataFrame({"y": y}), origins=60)["RMSE"]
    assert scores["y", "model"] < 1.03 * scores["y", "last value"]


@pytest.mark.slow
def test_networks_learn_what_no_linear_part_can() -> None:
    y = np.empty(1000)
    y[0] = 0.3
    for t in range(1, len(y)):
        y[t] = 3.8 * y[t - 1] * (1 - y[t - 1])  # chaos, whose autocorrelation is near 0
    frame = pd.DataFrame({"y": y})
    rmse = [
        Forecaster("y", steps=2, season=1, ensemble=n, hidden=16).holdout(frame)["RMSE"]["y", "model"] for n in (0, 1)
    ]
    assert rmse[1] < 0.5 * rmse[0]


def test_a_column_of_noise_costs_the_other_little() -> None:
    frame = hours(daily_wave(1260), noise=np.random.default_rng(1).standard_normal(1260))
    alone = Forecaster("y", time="date", season=24, ensemble=1, hidden=8).holdout(frame[["date", "y"]])
    both = Forecaster(["y", "noise"], time="date", season=24, ensemble=1, hidden=8).holdout(frame)
    assert both["RMSE"]["y", "model"] < 1.05 * alone["RMSE"]["y", "model"]
    assert alone["RMSE"]["y", "model"] < 0.9 * alone["RMSE"]["y", "season 24"]


def test_an_id_does_not_depend_on_the_others() -> None:
    sizes = {"one": 1, "two": 2, "fifty": 50, "many": 400}
    parts = [hours(daily_wave(n, seed=n) * (1 + n), shop=name) for name, n in sizes.items()]
    frame = pd.concat(parts).sort_values("date", kind="stable")
    forecaster = Forecaster("y", id="shop", time="date", ensemble=1, hidden=8).fit(frame)
    out = forecaster.predict(30)
    assert np.isfinite(out["y"]).all()
    for name, rows in frame.groupby("shop"):
        alone = forecaster.predict(30, rows)
        pd.testing.assert_frame_equal(alone, out[out["shop"] == name].reset_index(drop=True), check_exact=True)
    new = frame[frame["shop"] == "fifty"].assign(shop="new")
    np.testing.assert_array_equal(forecaster.predict(30, new)["y"], out[out["shop"] == "fifty"]["y"])
    short = out[out["shop"] == "one"]
    assert (short["y"] == frame[frame["shop"] == "one"]["y"].iloc[0]).all()  # the last value
    assert short["y_lower"].isna().all()


def test_forecasts_have_the_dates_that_follow(fitted: Any) -> None:
    forecaster, frame = fitted
    out = forecaster.predict(30)
    assert list(out.columns) == ["date", "y", "y_lower", "y_upper"]
    assert (out["date"] == pd.date_range(frame["date"].iloc[-1], periods=31, freq="h")[1:]).all()
    assert ((out["y_lower"] < out["y"]) & (out["y"] < out["y_upper"])).all()


def test_the_same_bits_for_every_number_of_threads_and_each_horizon(fitted: Any) -> None:
    forecaster, frame = fitted
    before = bptt.get_num_threads()
    try:
        bptt.set_num_threads(1)
        again = Forecaster("y", time="date", season=24, ensemble=2, hidden=8).fit(frame)
    finally:
        bptt.set_num_threads(before)
    pd.testing.assert_frame_equal(again.predict(60), forecaster.predict(60), check_exact=True)
    pd.testing.assert_frame_equal(forecaster.predict(60)[:24], forecaster.predict(24), check_exact=True)
    pd.testing.assert_frame_equal(forecaster.predict(24, frame), forecaster.predict(24), check_exact=True)


def test_gaps_are_left_out_of_scores() -> None:
    y = daily_wave(500)
    y[np.random.default_rng(2).random(500) < 0.1] = np.nan
    y[:5] = np.nan
    scores = Forecaster("y", time="date", ensemble=0).holdout(hours(y))
    assert np.isfinite(scores[["MAE", "RMSE", "MASE"]]).all(axis=None)
    assert scores["RMSE"]["y", "model"] < scores["RMSE"]["y", "season 24"]


def test_scores_are_those_of_their_equations() -> None:
    y = daily_wave(300)
    forecaster = Forecaster("y", time="date", steps=6, ensemble=0).fit(hours(y)[:200])
    scores = forecaster.backtest(hours(y), origins=5)
    at = np.linspace(199, 293, 5).astype(int)  # the last row that each forecast knows
    came = np.stack([y[t + 1 : t + 7] for t in at])
    unit = np.abs(y[24:200] - y[:176]).mean()
    model = np.stack([forecaster.predict(6, hours(y)[: t + 1])[["y", "y_lower", "y_upper"]].to_numpy() for t in at])
    by_hand = {
        "model": model[:, :, 0],
        "last value": np.repeat(y[at][:, None], 6, axis=1),
        "season 24": np.stack([y[t - 23 : t - 17] for t in at]),
    }
    for name, y_hat in by_hand.items():
        error = np.abs(y_hat - came)
        expected = [error.mean(), np.sqrt((error**2).mean()), error.mean() / unit]
        # Sums in another order, and values that have been in standard units.
        np.testing.assert_allclose(
            scores.loc[("y", name), ["MAE", "RMSE", "MASE"]].to_numpy(float), expected, rtol=1e-9
        )
    inside = (model[:, :, 1] <= came) & (came <= model[:, :, 2])
    assert scores["coverage"]["y", "model"] == pytest.approx(inside.mean())


def test_holdout_fits_the_first_rows_alone() -> None:
    frame = hours(daily_wave(400))
    forecaster = Forecaster("y", time="date", ensemble=0)
    held_out = forecaster.holdout(frame, share=0.25)
    by_hand = forecaster.fit(frame[:300]).backtest(frame)
    pd.testing.assert_frame_equal(held_out, by_hand, check_exact=True)


def test_few_rows_are_scored_as_far_as_they_go() -> None:
    scores = Forecaster("y", time="date", steps=12, ensemble=0).holdout(hours(daily_wave(40)))
    assert scores.attrs["steps"] == 8, "a fifth of 40 rows"
    assert np.isfinite(scores["RMSE"]).all()


def test_what_was_read_is_told_before_anything_is_learnt() -> None:
    seen: list[Any] = []

    def tell(recipe: Any, panel: Any, steps: int) -> None:
        seen.append((recipe.targets, panel.targets, len(panel.sequences[0].y), steps))
        raise KeyboardInterrupt

    forecaster = Forecaster("y", time="date")
    with pytest.raises(KeyboardInterrupt):
        forecaster.fit(hours(daily_wave(60)), on_read=tell)
    assert seen == [(["y"], ["y"], 60, 24)]
    with pytest.raises(ValueError, match="call fit first"):
        forecaster.predict()


def test_intervals_cover_what_they_say() -> None:
    # 2000 rows of one process: of the targets about 60 are independent, so the share is within 0.9 +- 0.08 (two
    # standard errors of sqrt(0.9 0.1 / 60)).
    scores = Forecaster("y", time="date", season=24, ensemble=0).holdout(hours(daily_wave(2000)), origins=100)
    assert 0.82 < scores["coverage"]["y", "model"] < 0.98


def test_intervals_follow_how_rough_a_series_is() -> None:
    # A walk whose steps are 4 times as long from row 700 on, which is not trained on. Of 25 x 10 targets some 25 are
    # independent: 0.9 +- 0.12 (two standard errors), and 0.3 with intervals of the quiet time.
    steps = np.random.default_rng(5).standard_normal(1000) * np.where(np.arange(1000) < 700, 1.0, 4.0)
    forecaster = Forecaster("y", time="date", steps=10, season=1, ensemble=0).fit(hours(steps.cumsum())[:700])
    scores = forecaster.backtest(hours(steps.cumsum()), start=750, origins=25)
    assert 0.75 < scores["coverage"]["y", "model"] < 0.99


def test_counts_are_not_negative() -> None:
    random = np.random.default_rng(6)
    y = np.where(random.random(400) < 0.2, random.poisson(3, 400), 0).astype(float)
    out = Forecaster("y", time="date", season=1, ensemble=0).fit(hours(y)).predict(30)
    assert (out[["y", "y_lower"]] >= 0).all(axis=None)
    assert (out["y_lower"] == 0).any()
    below = Forecaster("y", time="date", season=1, ensemble=0).fit(hours(y - 1)).predict(30)
    assert (below["y_lower"] < -1).any(), "what is negative may go below"


def test_files_of_the_first_format_have_the_intervals_that_they_had(fitted: Any, tmp_path: Path) -> None:
    forecaster = fitted[0]
    path = tmp_path / "model"
    forecaster.save(path)
    tensors, texts = parts_of(path)
    told = json.loads(texts["bptt.forecaster"])
    told["format"] = 1
    for model in told["models"]:
        del model["near"], model["typical"]
    for _, units in told["units"]:
        for unit in units:
            del unit["bounded"]
    del told["settings"]["recipe"]["time"]["forms"]
    path.write_bytes(save(tensors, {"bptt.forecaster": json.dumps(told)}))
    out = Forecaster.load(path).predict(24)
    np.testing.assert_array_equal(out["y"], forecaster.predict(24)["y"])
    units = forecaster._fitted()[0].units[()][0]
    half = forecaster._fitted()[0].models[0].half_width(0.9, 24) * units.scale  # with errors in standard units
    np.testing.assert_allclose(out["y_upper"] - out["y"], half, rtol=1e-9)  # after sums with numbers 10 times as large


def test_what_is_known_in_advance_is_used() -> None:
    known = np.random.default_rng(3).standard_normal(400)
    frame = hours(5 * known + 0.1 * np.random.default_rng(4).standard_normal(400), known=known)
    with_it = Forecaster("y", time="date", future=["known"], steps=6, ensemble=0)
    rmse = with_it.holdout(frame)["RMSE"]
    assert rmse["y", "model"] < 0.2  # the noise is 0.1
    assert rmse["y", "last value"] > 5
    with_it.fit(frame[:390])
    to_come = with_it.predict(10, future=frame[["date", "known"]][390:])
    rows = pd.concat([frame[:390], frame[390:].assign(y=np.nan)])
    pd.testing.assert_frame_equal(to_come, with_it.predict(10, rows), check_exact=True)
    by_date = with_it.predict(10, future=frame[["date", "known"]][300:])  # rows are read by their dates
    pd.testing.assert_frame_equal(to_come, by_date, check_exact=True)
    with pytest.raises(ValueError, match=r"^future: expected known in the 10 rows to come, got 9$"):
        with_it.predict(10, future=frame[["date", "known"]][391:])
    with pytest.raises(ValueError, match=r"^future: expected known in the 10 rows to come, got 0$"):
        with_it.predict(10)


def test_files(fitted: Any, tmp_path: Path) -> None:
    forecaster = fitted[0]
    path = tmp_path / "model.safetensors"
    forecaster.save(path)
    again = Forecaster.load(path)
    pd.testing.assert_frame_equal(again.predict(40), forecaster.predict(40), check_exact=True)
    assert again.shares == forecaster.shares
    more = hours(daily_wave(1070))
    pd.testing.assert_frame_equal(again.backtest(more), forecaster.backtest(more), check_exact=True)
    again.save(tmp_path / "other.safetensors")
    data = path.read_bytes()
    assert (tmp_path / "other.safetensors").read_bytes() == data
    for damaged in (b"", data[: len(data) // 2], data[:1000], data[:-8]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="expected a safetensors file"):
            Forecaster.load(path)
    bptt.ElmanRNN(1, 2, 1).save(path)
    with pytest.raises(ValueError, match="expected a forecaster of bptt"):
        Forecaster.load(path)
    path.write_bytes(data.replace(b'\\"format\\": 2', b'\\"format\\": 9'))
    with pytest.raises(ValueError, match="expected the format 1 or 2, got 9"):
        Forecaster.load(path)


@pytest.mark.parametrize("y", [[1.0], [1.0, 2.0], [3.0] * 50, [0.0] * 40 + [83412.7] + [0.0] * 60, list(range(12))])
def test_few_rows_and_no_variation(y: list[float]) -> None:
    out = Forecaster("y", steps=3, season=1, ensemble=1).fit(pd.DataFrame({"y": np.array(y, np.float64)})).predict(5)
    assert np.isfinite(out["y"]).all()
    assert (np.abs(out["y"] - y[-1]) <= 5).all()


def test_plot(fitted: Any) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    ax = fitted[0].plot(48)
    lines = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_array_equal(lines["forecast"].get_ydata(), fitted[0].predict(48)["y"])
    assert {"known", "season 24", "forecast"} <= set(lines)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("date", "y")
    assert fitted[0].plot(ax=ax) is ax
    rows = fitted[1][:-30]
    lines = {line.get_label(): line for line in fitted[0].plot(df=rows).get_lines()}
    np.testing.assert_array_equal(lines["forecast"].get_ydata(), fitted[0].predict(df=rows)["y"])
    pyplot.close("all")
    with pytest.raises(TypeError, match=r"^ax: expected axes of matplotlib"):
        fitted[0].plot(ax=3)
    with pytest.raises(ValueError, match=r"^target: expected one of y, got 'z'"):
        fitted[0].plot(target="z")


def test_refusals(fitted: Any) -> None:
    forecaster, frame = fitted
    for arguments, message in (
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"interval": 1.0}, r"interval: expected a number in \(0, 1\), got 1.0"),
        ({"ensemble": -1}, "ensemble: expected at least 0, got -1"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            Forecaster("y", **arguments)
    with pytest.raises(TypeError, match="seasons"):
        Forecaster("y", seasons=12)
    with pytest.raises(ValueError, match=r"^column 'y', row 1: expected numbers up to 1e\+100, got 1e\+300"):
        Forecaster("y").fit(pd.DataFrame({"y": [1e300, -1e300] * 20}))
    with pytest.raises(ValueError, match="call fit first"):
        Forecaster("y").predict(3)
    with pytest.raises(TypeError, match=r"^df: expected a DataFrame, got list"):
        Forecaster("y").fit([1.0, 2.0])
    with pytest.raises(ValueError, match=r"^df: expected rows, got none"):
        Forecaster("y").fit(frame[:0])
    with pytest.raises(
        ValueError, match=r"^df: expected a sequence with at least 24 rows to score, which were not trained on, got 0"
    ):
        forecaster.backtest(frame)
    with pytest.raises(ValueError, match=r"^steps: expected at least 1, got 0"):
        forecaster.predict(0)
    with pytest.raises(ValueError, match=r"^share: expected a number in \(0, 1\)"):
        forecaster.holdout(frame, share=1.0)


def test_without_pandas_one_line_says_what_to_install() -> None:
    done = run_python("import sys; sys.modules['pandas'] = None; import bptt; print('ok'); import bptt.forecast")
    assert done.stdout.split() == ["ok"]
    assert done.returncode != 0
    assert 'ImportError: bptt.forecast: expected pandas to be installed: pip install "bptt[tables]"' in done.stderr
