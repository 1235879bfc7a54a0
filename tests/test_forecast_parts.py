"""The parts of `bptt.forecast`: simple forecasts, ridge on lags, shares, and what a forecast may know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pandas")

from bptt.forecast.baselines import DRIFT, LAST, found_season, mase_unit, naive, profile, seasonal
from bptt.forecast.combination import shares, trust
from bptt.forecast.learning import learned
from bptt.forecast.linear import Form, Solver
from bptt.forecast.network import Reading, calendar_columns, trained
from bptt.forecast.tracks import Track, Units, filled, track


def a_track(y: Any, inputs: Any = None, future: Any = None, steps: int = 6) -> Track:
    """A track of values, with what is beside them."""
    y = np.asarray(y, np.float64)
    inputs = np.empty((len(y), 0)) if inputs is None else inputs
    future = np.empty((len(y), 0)) if future is None else future
    return track(y, np.isfinite(y), Units.of(y), inputs, future, np.empty(0), steps)


def autoregression(rows: int, seed: int, a: float = 0.9) -> Any:
    """``y(t) = a y(t - 1) + e(t)``."""
    e = np.random.default_rng(seed).standard_normal(rows)
    for t in range(1, rows):
        e[t] += a * e[t - 1]
    return e


def test_simple_forecasts_are_their_equations() -> None:
    z = np.random.default_rng(0).standard_normal(30)
    origins = np.array([9, 17, 29])
    for i, t in enumerate(origins):
        for h in range(1, 9):
            assert naive(LAST, z, origins, 8)[i, h - 1] == z[t]
            k = next(k for k in range(1, 9) if h - 5 * k <= 0)
            assert naive(seasonal(5), z, origins, 8)[i, h - 1] == z[t + h - 5 * k]
            drift = z[t] + h * (z[t] - z[2]) / (t - 2)
            assert naive(DRIFT, z, origins, 8, first=2)[i, h - 1] == pytest.approx(drift, rel=1e-14)  # a few roundings


@pytest.mark.parametrize("season", [7, 12])
def test_the_profile_of_a_season_is_its_equation(season: int) -> None:
    z = np.random.default_rng(1).standard_normal(200) + np.sin(2 * np.pi * np.arange(200) / season)
    half, level = season // 2, max(1, season // 8)
    for t in (3 * season, 150, 199):
        off = {j: z[j] - z[j - half : j - half + season].mean() for j in range(half, t + 2 - season + half)}

        def of_phase(j: int, off: dict[int, Any] = off) -> float:
            """The median over the last 10 rows of this phase that are known."""
            last = max(off) - (max(off) - j) % season
            return float(np.median([off[i] for i in range(last, -1, -season)[:10] if i in off]))

        mean = np.mean([z[t - j] - of_phase(t - j) for j in range(level)])
        expected = [mean + of_phase(t + h) for h in range(1, 2 * season)]
        found = naive(profile(season), z, np.array([t]), 2 * season - 1)[0]
        np.testing.assert_allclose(found, expected, atol=1e-12)  # sums of numbers near 1, in another order
        later = z.copy()
        later[t + 1 :] = 99.0
        np.testing.assert_array_equal(naive(profile(season), later, np.array([t]), 2 * season - 1)[0], found)


def test_the_unrest_is_the_mean_error_of_late() -> None:
    model = learned([a_track(autoregression(400, 3))], 4, [], ensemble=0, hidden=4, seed=0)
    y = autoregression(500, 4)
    y[450] += 1000.0  # counts as 10 times the typical error
    y[470] = np.nan
    of = a_track(y)
    t = np.array([30, 445, 499])
    first = max(map(model.needs, model.shares))
    errors = np.full(500, np.nan)
    for row in range(first, 500):
        errors[row] = abs(model.forecast(of, np.array([row - 1]))[0, 0] - of.units.standard(y)[row])
    errors = np.minimum(errors, 10 * model.typical)
    expected = []
    for row in t:
        late = errors[max(0, row + 1 - model.near) : row + 1]
        late = late[np.isfinite(late)]
        expected.append((late.sum() + 5 * model.typical) / (len(late) + 5))
    np.testing.assert_allclose(model.unrest(of, t), expected, rtol=1e-10)  # differences of sums of 500 numbers near 1
    assert model.near == 50


def test_the_unit_of_mase() -> None:
    y = np.array([1.0, 5.0, 2.0, np.nan, 4.0, 9.0])
    assert mase_unit(y, 2) == (1 + 2) / 2  # |2 - 1| and |4 - 2|; two have a gap
    assert np.isnan(mase_unit(np.ones(9), 2))


@pytest.mark.parametrize("season", [7, 12, 24])
def test_a_season_is_found(season: int) -> None:
    t = np.arange(20 * season)
    e = np.random.default_rng(season).standard_normal(len(t))
    assert found_season(0.1 * t + 3 * np.sin(2 * np.pi * t / season) + e) == season


def test_no_season_is_found_in_walks_and_noise() -> None:
    for seed in range(30):
        e = np.random.default_rng(seed).standard_normal(500)
        assert found_season(e) == 1
        assert found_season(e.cumsum()) == 1
    assert found_season(np.arange(100.0)) == 1
    assert found_season(np.ones(100)) == 1


@pytest.mark.parametrize("difference", [0, 1, 12])
def test_ridge_is_the_solution_of_its_normal_equations(difference: int) -> None:
    g = np.random.default_rng(1)
    steps, penalty = 4, 0.03
    tracks = [
        a_track(autoregression(n, n), g.standard_normal((n, 2)), g.standard_normal((n, 3)), steps) for n in (80, 50)
    ]
    form, ends = Form(False, difference, 5, True), [80, 45]
    solver = Solver.of(form, tracks, ends, steps)
    assert solver is not None
    linear = solver(penalty)
    origins = [np.arange(form.rows - 1, end - steps) for end in ends]
    designs = [form.design(one, t, steps) for one, t in zip(tracks, origins, strict=True)]
    x, a = (np.concatenate(each) for each in zip(*designs, strict=True))
    scale = np.where(x.std(0) > 1e-9, x.std(0), 1.0)
    for h in range(steps):
        f = np.concatenate([one.future[t + h + 1] for one, t in zip(tracks, origins, strict=True)])
        z = np.concatenate([one.z[t + h + 1] for one, t in zip(tracks, origins, strict=True)]) - a[:, h]
        both = np.concatenate([(x - x.mean(0)) / scale, f - f.mean(0)], axis=1)
        n = len(both)
        w = np.linalg.solve(both.T @ both / n + penalty * np.eye(both.shape[1]), both.T @ (z - z.mean()) / n)
        fitted = a[:, h] + z.mean() + both @ w
        got = np.concatenate([linear(one, t)[:, h] for one, t in zip(tracks, origins, strict=True)])
        np.testing.assert_allclose(got, fitted, atol=1e-9)  # double precision, two ways of solving; values near 1


def test_shares_are_the_best_convex_ones() -> None:
    errors = np.random.default_rng(2).standard_normal((3, 200)) * np.array([[1.0], [1.5], [4.0]])
    errors[1] += 0.5 * errors[0]
    w = shares(errors)
    assert w.sum() == pytest.approx(1, abs=1e-12)
    assert (w >= 0).all()
    grid = np.linspace(0, 1, 101)
    tried = [(a, b, 1 - a - b) for a in grid for b in grid if a + b <= 1]
    best = min(float(((np.array(v) @ errors) ** 2).sum()) for v in tried)
    # No better than 0.1 %: shares below 0.02 are left out.
    assert float(((w @ errors) ** 2).sum()) <= 1.001 * best


def test_a_perfect_forecast_takes_all() -> None:
    errors = np.random.default_rng(3).standard_normal((3, 50))
    errors[1] = 0.0
    np.testing.assert_array_equal(shares(errors), [0, 1, 0])


def test_trust_in_a_gain_is_that_of_its_equation() -> None:
    g = np.random.default_rng(4)
    naive_errors = g.standard_normal((40, 3))
    errors = 0.8 * naive_errors + 0.3 * g.standard_normal((40, 3))
    means = (naive_errors**2 - errors**2).mean(1).reshape(8, 5).mean(1)
    t = means.mean() / (means.std(ddof=1) / np.sqrt(8))
    assert trust(errors, naive_errors, 5) == pytest.approx(1 - 1 / t**2, rel=1e-12)
    assert trust(naive_errors, errors, 5) == 0.0
    assert trust(errors, errors, 5) == 0.0


def test_gaps_are_filled_with_what_was_before() -> None:
    np.testing.assert_array_equal(filled(np.array([np.nan, 2, np.nan, np.nan, 5, np.nan])), [2, 2, 2, 2, 5, 5])
    np.testing.assert_array_equal(filled(np.array([np.nan, np.nan])), [0, 0])


def test_units_there_and_back() -> None:
    y = np.array([1.0, 4.0, 90.0])
    for log in (False, True):
        units = Units.of(y)
        z = units.standard(y, log)
        assert z.mean() == pytest.approx(0, abs=1e-12)
        assert z.std() == pytest.approx(1, rel=1e-12)
        np.testing.assert_allclose(units.back(z, log), y, rtol=1e-13)  # a few roundings
    assert Units.of(np.full(5, 0.1)).scale == 1.0


def test_calendars_are_told_from_other_columns() -> None:
    t = np.arange(50.0)
    columns = np.stack([t, np.sin(t / 4), np.cos(t / 4), t % 2], axis=1)
    assert calendar_columns(columns) == {1, 2}


def test_a_forecast_knows_nothing_that_comes_after_its_origin() -> None:
    g = np.random.default_rng(5)
    n, steps = 400, 6
    y, inputs, future = autoregression(n, 5) + 50, g.standard_normal((n, 2)), g.standard_normal((n, 1))
    y += future[:, 0] + np.sin(np.arange(n) * np.pi / 6)
    y[100:110] = np.nan
    one = a_track(y, inputs, future, steps)
    model = learned([one], steps, [12], ensemble=1, hidden=4, seed=0)
    model.shares = dict.fromkeys([LAST, DRIFT, seasonal(12), *model.linear, "network"], 1.0)
    assert model.ensemble is not None
    origins = np.array([200, 280, 390])
    before = model.forecast(one, origins)
    for i, t in enumerate(origins):
        y_other, inputs_other, future_other = y.copy(), inputs.copy(), future.copy()
        y_other[t + 1 :] += 1000
        inputs_other[t + 1 :] += 1000
        future_other[t + steps + 1 :] += 1000
        other = track(y_other, np.isfinite(y_other), one.units, inputs_other, future_other, np.empty(0), steps)
        # Sums over three rows at once and over one have other orders: a few roundings of numbers near 1.
        np.testing.assert_allclose(model.forecast(other, origins[i : i + 1])[0], before[i], atol=1e-6)
        changed = replace(one, future=np.concatenate([one.future[: t + 1], one.future[t + 1 :] + 1]))
        assert (model.forecast(changed, origins[i : i + 1])[0] != before[i]).any()


def test_forecasts_stay_near_the_rows_before() -> None:
    one = a_track(np.arange(20.0))
    low, high = one.z.min(), one.z.max()
    z = one.forward(np.array([19]), np.array([[1e9, -1e9, 0.0]]), False)[0]
    np.testing.assert_allclose(z, [2 * high - low, 2 * low - high, 0.0])


def test_networks_read_the_rows_of_their_window_and_no_others() -> None:
    one = a_track(autoregression(300, 6), np.random.default_rng(6).standard_normal((300, 1)))
    form = Form(False, 0, 4, True)
    solver = Solver.of(form, [one], [300], 6)
    assert solver is not None
    nets = trained(Reading(solver(0.01), [], 16, []), [one], [300], None, 5, [0, 1], [3, 2])
    assert nets is not None
    reading = nets.reading
    for t, first in ((5, 3), (12, 3), (200, 185)):  # form.rows = 4: row 3 is the first that can be read
        x = reading.inputs(one, np.arange(first, t + 1))
        expected = np.mean([net.forward(x).o[-1].astype(np.float64) for net in nets.networks], axis=0) * reading.scale
        # float32, and products of other sizes: a few roundings of numbers near 1.
        np.testing.assert_allclose(nets(one, np.array([t]))[0], expected, atol=1e-5)
        without = nets(one, np.array([t, 100]))[0]
        np.testing.assert_allclose(without, expected, atol=1e-5)
