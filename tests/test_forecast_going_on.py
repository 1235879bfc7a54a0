"""Forecasts that go on: later rows join those trained on, and every part learns anew from where it is."""

from __future__ import annotations

import re
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
forecast = pytest.importorskip("bptt.forecast")
joining = pytest.importorskip("bptt.forecast.joining")
Forecaster, Recipe, TableError = forecast.Forecaster, forecast.Recipe, forecast.TableError
joined = joining.joined

PLAIN: dict[str, Any] = {"ensemble": 0, "steps": 6}


def shops(rows: int = 60, seed: int = 0) -> Any:
    """Two shops, day by day, with all kinds of columns: gaps, missing cells, categories, what is known in advance."""
    draw = np.random.default_rng(seed)
    parts = []
    for shop, size in (("North", 10.0), ("South", 200.0)):
        date = pd.date_range("2024-01-01", periods=rows)
        sales = size * (3 + np.sin(np.arange(rows) * 2 * np.pi / 7) + draw.normal(0, 0.1, rows))
        weather = draw.choice(["sun", "rain", "snow"], rows).astype(object)
        weather[draw.random(rows) < 0.1] = None
        wind = np.where(draw.random(rows) < 0.1, np.nan, draw.random(rows).round(2))
        part = {"shop": shop, "date": date, "sales": sales.round(2), "visits": (sales * 2).round(1)}
        part |= {"weather": weather, "wind": wind, "holiday": draw.integers(0, 2, rows), "size": size}
        frame = pd.DataFrame(part)
        frame.loc[draw.random(rows) < 0.05, "sales"] = np.nan
        parts.append(frame[(draw.random(rows) > 0.1) | (np.arange(rows) == 0)])
    return pd.concat(parts, ignore_index=True)


ROLES: dict[str, Any] = {
    "target": ["sales", "visits"],
    "id": "shop",
    "inputs": ["weather", "wind"],
    "future": "holiday",
    "static": "size",
}


def waves(rows: int, start: int = 0) -> Any:
    """Months of a wave of 12 rows, with noise."""
    t = np.arange(300)
    y = 50 + 20 * np.sin(2 * np.pi * t / 12) + np.random.default_rng(1).normal(0, 2, 300)
    frame = pd.DataFrame({"month": pd.date_range("2000-01-01", periods=300, freq="MS"), "sales": y})
    return frame[start : start + rows].reset_index(drop=True)


@pytest.fixture(scope="module")
def fitted() -> Any:
    """Trained on 100 months, without networks."""
    return Forecaster("sales", **PLAIN).fit(waves(100))


def same_panels(one: Any, other: Any) -> None:
    assert [each.id for each in one.sequences] == [each.id for each in other.sequences]
    for mine, theirs in zip(one.sequences, other.sequences, strict=True):
        assert mine.times.equals(theirs.times)
        for name in ("y", "past", "future", "static", "filled"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), err_msg=name)


# ---- What is joined ----


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("overlap", [0, 9, 1000])
def test_joined_rows_are_those_of_one_table(seed: int, overlap: int) -> None:
    """New rows alone, some or all of those trained on once more: the sequences are those of the whole table."""
    table = shops(seed=seed)
    first = table["date"] < "2024-02-10"
    again = table["date"] >= pd.Timestamp("2024-02-10") - pd.Timedelta(days=overlap)
    recipe = Recipe.learn(table[first], **ROLES)
    panel = joined(recipe, recipe.apply(table[first]), table[again])
    same_panels(panel, recipe.apply(table))
    new = int((~first & table[["sales", "visits"]].notna().any(axis=1)).sum())
    assert f"new rows: {new} in 2 sequences" in panel.notes


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_joined_rows_of_hours(zone: str | None) -> None:
    """The clock goes forward between them; dates of another resolution are the same dates."""
    date = pd.date_range("2024-03-29", periods=96, freq="h", tz=zone)
    table = pd.DataFrame({"date": date, "y": np.sin(np.arange(96.0))})
    later = table[40:].assign(date=table["date"][40:].astype(date.as_unit("s").dtype))
    forecaster = Forecaster("y", time="date", **PLAIN).fit(table[:40]).update(later)
    same_panels(forecaster.panel, forecaster.recipe.apply(table))
    assert forecaster.panel.sequences[0].times[-1] == date[-1]


def test_rows_joined_without_dates() -> None:
    table = waves(120)[["sales"]]
    fitted = Forecaster("sales", season=12, **PLAIN).fit(table[:100])
    whole, alone = copy(fitted).update(table), copy(fitted).update(table[100:])
    same_panels(whole.panel, alone.panel)
    same_panels(whole.panel, fitted.recipe.apply(table))
    begins = "no dates: the table begins with the rows trained on, of which those after them are new"
    assert begins in whole.panel.notes
    assert "no dates: all rows are taken for new ones, after those trained on" in alone.panel.notes
    again = fitted.backtest(table, steps=6)
    assert fitted.backtest(table[100:], steps=6, joins=True).equals(again)
    assert not fitted.backtest(table[100:], steps=6).equals(again)
    with pytest.raises(TableError, match=r"^df: expected rows that were not trained on, got none beside those$"):
        copy(fitted).update(table[:100])


def test_sequences_come_and_stay() -> None:
    table = shops()[["shop", "date", "sales"]]
    first, north = table["date"] < "2024-02-10", table["shop"] == "North"
    forecaster = Forecaster("sales", id="shop", **PLAIN).fit(table[first])
    before = forecaster.panel.sequences[1]
    units = dict(forecaster._learnt.units)
    west = table[~first & north].assign(shop="West")
    forecaster.update(pd.concat([west, table[~first & north]]))
    assert [one.id for one in forecaster.panel.sequences] == [("North",), ("South",), ("West",)]
    assert np.array_equal(forecaster.panel.sequences[1].y, before.y, equal_nan=True)
    assert "new sequences: West" in forecaster.panel.notes
    assert "without new rows: South" in forecaster.panel.notes
    assert {id: forecaster._learnt.units[id] for id in units} == units
    assert forecaster._learnt.units[("West",)][0].mean == pytest.approx(west["sales"].mean())
    assert set(forecaster.predict()["shop"]) == {"North", "South", "West"}


def test_a_row_is_taken_as_it_is_now(fitted: Any) -> None:
    table = waves(110)
    table.loc[[50, 60], "sales"] = [99.0, np.nan]
    forecaster = copy(fitted).update(table)
    same_panels(forecaster.panel, forecaster.recipe.apply(table))
    assert "2 rows trained on have other values now, which are taken" in forecaster.panel.notes
    only = copy(fitted).update(table[50:51])
    assert only.panel.sequences[0].y[50, 0] == 99.0
    assert "no new rows" in only.panel.notes


def test_rows_that_are_missing_between_are_told(fitted: Any) -> None:
    forecaster = copy(fitted).update(waves(10, 105))
    same_panels(forecaster.panel, fitted.recipe.apply(pd.concat([waves(100), waves(10, 105)])))
    (note,) = [note for note in forecaster.panel.notes if note.startswith("gaps: ")]
    assert note.startswith("gaps: 5 rows of MS missing, the longest gap 5 rows from 2008-05-01")


@pytest.mark.parametrize(("factor", "told"), [(1000.0, "larger"), (0.01, "smaller"), (2.0, "")])
def test_other_units_are_suspected(fitted: Any, factor: float, told: str) -> None:
    table = waves(10, 100)
    notes = copy(fitted).update(table.assign(sales=table["sales"] * factor)).panel.notes
    found = [note for note in notes if "are the units the same?" in note]
    assert len(found) == bool(told)
    assert all(re.match(rf"sales: its values are some [\d,]+ times {told} than", note) for note in found)


# ---- What is learnt ----


def test_new_rows_alone_teach_what_all_do(fitted: Any) -> None:
    one, other = copy(fitted).update(waves(130)), copy(fitted).update(waves(30, 100))
    assert one.predict(9).equals(other.predict(9))
    assert not one.predict(9)["sales"].equals(fitted.predict(9, waves(130))["sales"]), "something was learnt"


def test_regressions_are_those_of_all_rows(fitted: Any) -> None:
    """The ridge regression on lags, by its normal equations: standardised inputs, the penalty 1 / rows."""
    forecaster = copy(fitted).update(waves(30, 100))
    (model,), (old,) = forecaster._learnt.models, fitted._learnt.models
    units = fitted._learnt.units[()][0]
    assert forecaster._learnt.units[()][0] == units
    assert model.shares == old.shares
    assert model.ridge.form == old.ridge.form
    lags, steps = model.ridge.form.lags, 6
    z = (waves(130)["sales"].to_numpy() - units.mean) / units.scale
    t = np.arange(lags - 1, 130 - steps)
    x = np.stack([z[t - k] - z[t] for k in range(1, lags)] + [z[t]], axis=1)
    y = z[t[:, None] + np.arange(1, steps + 1)]
    mean, scale = x.mean(axis=0), x.std(axis=0)
    x = (x - mean) / scale
    b = np.linalg.solve(x.T @ x + np.eye(lags), x.T @ (y - y.mean(axis=0))) / scale[:, None]
    np.testing.assert_allclose(model.ridge.B, b, rtol=0, atol=1e-10)  # two ways of solving well-posed equations
    np.testing.assert_allclose(model.ridge.c, y.mean(axis=0) - mean @ b, rtol=0, atol=1e-10)
    for name, linear in model.linear.items():
        assert linear.penalty == old.linear[name].penalty
        assert not np.array_equal(linear.B, old.linear[name].B)


def test_errors_of_the_new_rows_join_those_of_intervals(fitted: Any) -> None:
    """From each row from the last one trained on, as long as all steps are known."""
    frame = waves(112)
    forecaster = copy(fitted).update(frame)
    (model,), (old,) = forecaster._learnt.models, fitted._learnt.models
    assert not old.log, "or the errors were ratios"
    scale = fitted._learnt.units[()][0].scale
    off = []
    for rows in range(100, 107):
        ahead = fitted.predict(6, frame[:rows])
        unrest = (ahead["sales_upper"] - ahead["sales"])[0] / scale / old.half_width(fitted.interval, 6)[0]
        off.append(np.abs(ahead["sales"] - frame["sales"][rows : rows + 6].to_numpy()) / scale / unrest)
    expected = np.sort(np.concatenate([old.errors, off]), axis=0)
    np.testing.assert_allclose(model.errors, expected, rtol=0, atol=1e-12)


def test_networks_go_on_from_their_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    y = np.zeros(320)
    for t in range(2, 320):
        y[t] = 0.9 * np.cos(2 * y[t - 1]) - 0.5 * y[t - 2] + draw.normal(0, 0.1)
    frame = pd.DataFrame({"y": y})
    monkeypatch.setattr("bptt.forecast.network._EPOCHS", 5)
    fitted = Forecaster("y", season=1, steps=2, ensemble=2, hidden=6).fit(frame[:280])
    (old,) = fitted._learnt.models
    assert old.ensemble is not None
    again = copy(fitted).update(frame)
    new = again._learnt.models[0].ensemble
    assert new.epochs == old.ensemble.epochs
    assert np.array_equal(new.reading.scale, old.ensemble.reading.scale)
    assert copy(fitted).update(frame[280:]).predict().equals(again.predict()), "the same bits"
    monkeypatch.setattr("bptt.forecast.network._RATE", 1e-30)
    monkeypatch.setattr("bptt.forecast.network._DECAY", 0.0)
    still = copy(fitted).update(frame)._learnt.models[0].ensemble
    for before, kept, after in zip(old.ensemble.networks, still.networks, new.networks, strict=True):
        # Parameters of 0 move by a step of Adam's, 1e-30, at each of some hundred updates.
        np.testing.assert_allclose(kept.parameters, before.parameters, rtol=0, atol=1e-26)
        assert np.abs(after.parameters - before.parameters).max() > 1e-3


def test_many_new_rows_are_told_to_choose_anew(fitted: Any) -> None:
    forecaster = copy(fitted).update(waves(50, 100))
    assert forecaster.chosen_rows == fitted.chosen_rows == 100
    assert not any("chooses anew" in note for note in forecaster.notes)
    forecaster.update(waves(50, 150))
    told = "it has 200 rows now, and was chosen by 100: training a new one on all rows chooses anew"
    assert told in forecaster.notes
    forecaster.fit(waves(200))
    assert forecaster.chosen_rows == 200


def test_files_after_going_on(fitted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forecaster = copy(fitted).update(waves(30, 100))
    forecaster.save(tmp_path / "f")
    loaded = Forecaster.load(tmp_path / "f")
    assert loaded.chosen_rows == 100
    assert loaded.panel.rows == 130
    assert loaded.update(waves(9, 130)).predict().equals(forecaster.update(waves(9, 130)).predict())
    loaded.save(tmp_path / "a")
    forecaster.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_that_tells_no_penalties(fitted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As earlier versions wrote them: it forecasts, and does not go on."""
    import bptt.forecast.forecaster_file as file

    told_linear = file._told_linear

    def without(linear: Any, kept: Any) -> dict[str, Any]:
        return {key: value for key, value in told_linear(linear, kept).items() if key != "penalty"}

    monkeypatch.setattr(file, "_told_linear", without)
    fitted.save(tmp_path / "f")
    loaded = Forecaster.load(tmp_path / "f")
    assert loaded.predict().equals(fitted.predict())
    with pytest.raises(ValueError, match=r"^expected a model that tells its penalties, got one of an earlier version"):
        loaded.update(waves(30, 100))


# ---- Rows that follow, or the last ones again ----


def test_the_last_rows_are_enough(fitted: Any) -> None:
    table = waves(112)
    forecaster = copy(fitted).update(table)
    for start in (90, 100, 110):
        assert forecaster.predict(6, table[start:]).equals(forecaster.predict())
        assert fitted.predict(6, table[start:112]).equals(fitted.predict(6, table)) == (start <= 100)
    assert fitted.backtest(table[100:]).equals(fitted.backtest(table))
    assert fitted.backtest(table[95:]).equals(fitted.backtest(table))
    recipe, panel = fitted.recipe, fitted.panel
    other = table[95:].assign(sales=table["sales"][95:] + 1)  # values that were not trained on: another sequence
    for later, rows in ((table[95:], 112), (other, 17), (table[101:], 11), (table, 112)):
        (one,) = joining.applied(recipe, panel, later).sequences
        assert len(one.y) == len(one.times) == rows


# ---- What is refused ----


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            waves(9, 100).rename(columns={"sales": "other"}),
            "expected the columns of training, got a table without 'sales'"),
        (waves(9, 100)[["sales"]], "expected the column 'month', of which the dates are made, got sales"),
        (waves(9, 100).assign(sales="much"), "column 'sales', row 1: expected a number, got 'much'"),
        (waves(100), "df: expected rows that were not trained on, got none beside those until 2008-04-01 00:00:00"),
        (
            waves(9, 100).assign(month=pd.date_range("2008-05-01", periods=9, freq="YS")),
            "column 'month': expected rows in steps of MS, as in training (frequency (--frequency)), got 2010-01-01 "
            "00:00:00 after 2009-01-01 00:00:00",
        ),
        (
            waves(9, 100).assign(month=pd.date_range("2008-05-01", periods=9, freq="D")),
            "column 'month': expected steps of MS (frequency (--frequency)), got 2008-05-02 00:00:00 after 2008-05-01 "
            "00:00:00",
        ),
        (
            waves(9, 100).assign(month=pd.date_range("2008-05-15", periods=9, freq="31D")[:1].append(
                pd.DatetimeIndex([f"2008-{m:02d}-15" for m in range(6, 13)] + ["2009-01-15"]))),
            "column 'month': expected steps of MS (frequency (--frequency)), got 2008-05-15 00:00:00 after 2008-04-01 "
            "00:00:00",
        ),
        (waves(9, 100).iloc[:0], "df: expected rows, got none"),
    ],
    ids=["column", "dates", "numbers", "nothing new", "larger steps", "smaller steps", "other days", "empty"],
)  # fmt: skip
def test_tables_that_do_not_go_on(fitted: Any, table: Any, message: str) -> None:
    before = fitted.predict()
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fitted.update(table)
    assert str(caught.value) == message
    assert fitted.predict().equals(before)
    assert fitted.panel.rows == fitted.chosen_rows == 100


def test_other_categories_are_refused() -> None:
    table = shops()
    recipe = Recipe.learn(first := table[table["date"] < "2024-02-10"], **ROLES)
    later, panel = table[table["date"] >= "2024-02-10"], recipe.apply(first)
    message = "column 'weather': expected categories as in training, 'rain', 'snow', 'sun', got '0'"
    with pytest.raises(TableError, match=f"^{message}$"):
        joined(recipe, panel, later.assign(weather=0))
    notes = joined(recipe, panel, later.assign(weather=later["weather"].replace("sun", "fog"))).notes
    assert "weather: 'fog' was not there in training: it is read as no category" in notes


def test_what_is_no_table(fitted: Any) -> None:
    with pytest.raises(TypeError, match=r"^df: expected a DataFrame, got list$"):
        fitted.update([1, 2])
    with pytest.raises(ValueError, match=r"^expected a fitted Forecaster: call fit first$"):
        Forecaster().update(waves(9))
