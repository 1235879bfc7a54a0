"""Dates of tables: which column, how they are written, their order, steps, gaps, what comes next, the calendar."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas", reason="pandas is not installed")
from bptt.forecast import Recipe, TableError, read_table  # noqa: E402  (which needs it)
from bptt.forecast.frequency import calendar, find_step, seasons, step_of  # noqa: E402
from bptt.forecast.times import to_dates  # noqa: E402


def learn(table: Any, **options: Any) -> tuple[Recipe, Any]:
    """The recipe of a table or text, and its panel."""
    frame = read_table(table.encode())[0] if isinstance(table, str) else table
    recipe = Recipe.learn(frame, **options)
    assert Recipe.from_json(json.loads(json.dumps(recipe.as_json()))) == recipe
    return recipe, recipe.apply(frame)


def refused(table: Any, *words: str, **options: Any) -> None:
    with pytest.raises(TableError) as raised:
        learn(table, **options)
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def table_of(dates: Any, **columns: Any) -> Any:
    rng = np.random.default_rng(len(dates))
    return pd.DataFrame({"date": dates, "x": rng.normal(size=len(dates)).cumsum(), **columns})


# ---- The cases ----


def test_a_date_an_hour_and_decimal_commas() -> None:
    rows = "".join(f"2020-01-{1 + h // 24:02d};{h % 24};{h % 7},5\n" for h in range(72))
    recipe, panel = learn("date;hour;load\n" + rows)
    assert (recipe.targets, panel.past_names, recipe.frequency, recipe.season) == (["load"], [], "h", 24)
    times = panel.sequences[0].times
    assert (times[0], times[-1]) == (pd.Timestamp("2020-01-01 00:00"), pd.Timestamp("2020-01-03 23:00"))
    assert any("from the columns date, hour" in note for note in recipe.notes)
    later = "date;hour;load\n2020-01-04;5;1,5\n2020-01-04;6;1,5\n"
    assert recipe.apply(read_table(later.encode())[0]).sequences[0].times[0] == pd.Timestamp("2020-01-04 05:00")


def test_hours_from_1_to_24_are_those_that_end_then() -> None:
    rows = "".join(f"2020-01-{1 + h // 24:02d};{h % 24 + 1};{h % 7}\n" for h in range(72))
    recipe, panel = learn("date;hour;load\n" + rows)
    assert panel.sequences[0].times[0] == pd.Timestamp("2020-01-01 00:00")
    later = read_table(b"date;hour;load\n2020-01-04;5;1\n2020-01-04;6;1\n")[0]
    assert recipe.apply(later).sequences[0].times[0] == pd.Timestamp("2020-01-04 04:00"), "as the first table says"
    with pytest.raises(TableError, match=r"column 'hour', row 1: expected an hour from 1 to 24, got 0"):
        recipe.apply(read_table(b"date;hour;load\n2020-01-04;0;1\n2020-01-04;1;1\n")[0])


def test_times_of_day_in_a_column_of_their_own() -> None:
    rows = "".join(f"2020-01-{1 + h // 24:02d},{h % 24:02d}:30,{h % 7}\n" for h in range(72))
    for text in (rows, rows.replace(":30", ".30.00")):
        recipe, panel = learn("date,time,load\n" + text)
        assert panel.sequences[0].times[1] == pd.Timestamp("2020-01-01 01:30")
    assert (recipe.targets, recipe.frequency) == (["load"], "h")


def test_year_month_day_hour_and_24_missing_values_at_the_start() -> None:
    dates = pd.date_range("2010-01-01", periods=240, freq="h")
    frame = pd.DataFrame({"No": range(1, 241), "year": dates.year, "month": dates.month, "day": dates.day})
    rng = np.random.default_rng(0)
    frame["hour"] = dates.hour
    frame["pm2.5"] = np.where(np.arange(240) < 24, np.nan, 100 + rng.normal(size=240).cumsum())
    frame["DEWP"] = rng.normal(size=240).cumsum()
    recipe, panel = learn(frame)
    assert recipe.targets == ["pm2.5", "DEWP"]
    sequence = panel.sequences[0]
    assert sequence.times.equals(dates)
    assert np.isnan(sequence.y[:24, 0]).all(), "before the first value nothing is known that could fill"
    assert np.isfinite(sequence.y[24:]).all()
    assert sequence.filled[:24, 0].all()
    assert not sequence.filled[24:].any()
    assert "No (a counter: it grows by the same from row to row)" in "\n".join(recipe.notes)
    assert any("pm2.5: 24 missing cells" in note for note in panel.notes)


def test_newest_first_is_turned_round() -> None:
    frame = table_of(pd.date_range("2020", periods=30))
    _, forward = learn(frame)
    recipe, panel = learn(frame.iloc[::-1].reset_index(drop=True))
    assert panel.sequences[0].times.equals(forward.sequences[0].times)
    assert np.array_equal(panel.sequences[0].y, forward.sequences[0].y)
    assert any("newest first" in note for note in recipe.notes)


def test_rows_in_no_order_are_sorted() -> None:
    frame = table_of(pd.date_range("2020", periods=30))
    shuffled = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    recipe, panel = learn(shuffled)
    assert np.array_equal(panel.sequences[0].y[:, 0], frame["x"])
    assert "rows are sorted by their dates" in recipe.notes
    assert not any("sorted" in note or "newest" in note for note in learn(frame)[0].notes)


def test_one_day_twice_is_refused_with_its_rows() -> None:
    text = "date,x\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n2020-01-02,4\n"
    refused(text, "column 'date'", "2020-01-02", "rows 2 and 4")


def test_days_that_stand_once_for_each_of_another_column_name_it() -> None:
    days = pd.date_range("2020", periods=20).repeat(2)
    frame = table_of(days, shop=["a", "b"] * 20)
    refused(frame, "rows 1 and 2", "and 19 more", "if 'shop' tells sequences apart, name it with id (--id)")
    assert len(learn(frame, id="shop")[1].sequences) == 2


def test_hourly_with_a_night_missing() -> None:
    dates = pd.date_range("2020", periods=96, freq="h")
    keep = ~((dates.hour < 6) & (dates.day == 3))
    frame = table_of(dates).loc[keep].reset_index(drop=True)
    recipe, panel = learn(frame)
    sequence = panel.sequences[0]
    assert recipe.frequency == "h"
    assert sequence.times.equals(pd.DatetimeIndex(dates, name=sequence.times.name))
    assert np.array_equal(np.flatnonzero(sequence.filled[:, 0]), np.flatnonzero(~keep))
    before, after = frame["x"][47], frame["x"][48]
    line = before + (after - before) * np.arange(1, 7) / 7
    # 4 ulp of numbers of this size: a line that is computed in another order
    np.testing.assert_allclose(sequence.y[~keep, 0], line, rtol=0, atol=4 * np.spacing(abs(line).max()))
    assert any("gaps: 6 rows of h missing, the longest gap 6 rows from 2020-01-03" in note for note in panel.notes)
    assert (learn(frame, fill="forward")[1].sequences[0].y[~keep, 0] == before).all()
    assert np.isnan(learn(frame, fill="none")[1].sequences[0].y[~keep, 0]).all()


def test_unix_seconds_and_a_row_number() -> None:
    stamps = 1_577_836_800 + 3600 * np.arange(100)
    frame = pd.DataFrame({"row": range(100), "ts": stamps, "x": np.random.default_rng(0).normal(size=100).cumsum()})
    recipe, panel = learn(frame)
    assert (recipe.targets, recipe.frequency, panel.past_names) == (["x"], "h", [])
    assert panel.sequences[0].times[0] == pd.Timestamp("2020-01-01")
    times, _ = recipe.extend(panel.sequences[0], 2)
    assert recipe.time is not None
    assert recipe.time.as_written(times).tolist() == [int(stamps[-1]) + 3600, int(stamps[-1]) + 7200]
    backwards, panel = learn(frame.iloc[::-1].reset_index(drop=True))
    assert np.array_equal(panel.sequences[0].y[:, 0], frame["x"])
    assert backwards.targets == ["x"]


# ---- How dates are written ----


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y/%m/%d", "%Y/%m/%d %H:%M",
        "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y",
        "%m/%d/%Y %I:%M %p", "%Y%m%d", "%d.%m.%y", "%d-%m-%Y",
    ],
)  # fmt: skip
def test_dates_as_people_write_them(form: str) -> None:
    dates = pd.date_range("2019-12-20", periods=60)
    text = "date;x\n" + "".join(f"{date.strftime(form)};{i}.5\n" for i, date in enumerate(dates))
    recipe, panel = learn(text, target="x")
    assert (panel.sequences[0].times == dates).all()
    assert recipe.frequency == "D"
    short = "date;x\n" + "".join(f"{date.strftime(form)};1.5\n" for date in pd.date_range("2021-03-04", periods=2))
    later = recipe.apply(read_table(short.encode())[0])
    assert later.sequences[0].times[0] == pd.Timestamp("2021-03-04"), "in the form of the first table"


@pytest.mark.parametrize(
    ("form", "first", "after"),
    [
        ("%Y-%m-%d %H:%M", "2019-12-20 05:00", "2019-12-21 21:00"),
        ("%Y-%m-%dT%H:%M:%S", "2019-12-20T05:00:00", "2019-12-21T21:00:00"),
        ("%Y-%m-%dT%H:%M:%S.000Z", "2019-12-20T05:00:00.000Z", "2019-12-21T21:00:00.000Z"),
        ("%Y-%m-%d %H:%M+02:00", "2019-12-20 05:00+02:00", "2019-12-21 21:00+02:00"),
        ("%d.%m.%Y %H:%M", "20.12.2019 05:00", "21.12.2019 21:00"),
        ("%m/%d/%Y %I:%M %p", "12/20/2019 05:00 AM", "12/21/2019 09:00 PM"),
        ("%d %B %Y %H:%M:%S", "20 December 2019 05:00:00", "21 December 2019 21:00:00"),
    ],
)
def test_dates_are_written_as_they_were_read(form: str, first: str, after: str) -> None:
    dates = pd.date_range("2019-12-20 05:00", periods=40, freq="h").strftime(form)
    assert dates[0] == first
    recipe, panel = learn("date;x\n" + "".join(f"{date};{i % 5}.5\n" for i, date in enumerate(dates)))
    times = recipe.extend(panel.sequences[0], 2)[0]
    out = recipe.as_read(pd.DataFrame({"date": times, "x": [1.5, 2.5]}))
    assert out["date"][0] == after
    assert out["x"].tolist() == [1.5, 2.5]
    assert (recipe.time.read(out) == times).all()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("head", "rows", "after"),
    [
        ("date;x", [f"{1 + h // 24}/2/2020 {h % 24}:00;{h % 5}.5" for h in range(60)], ["3/2/2020 12:00"]),
        ("date;hour;x", [f"{1 + h // 24:02d}.02.2020;{1 + h % 24};{h % 5}.5" for h in range(60)], ["03.02.2020", 13]),
        (
            "day;time;x",
            [f"2020-02-{1 + h // 24:02d};{h % 24}:00;{h % 5}.5" for h in range(60)],
            ["2020-02-03", "12:00"],
        ),
        ("year;month;day;x", [f"2020;2;{d};{d % 5}.5" for d in range(1, 29)], [2020, 2, 29]),
        ("year;quarter;x", [f"{1990 + q // 4};{1 + q % 4};{q % 5}.5" for q in range(39)], [1999, 4]),
        ("q;x", [f"{1990 + q // 4}-Q{1 + q % 4};{q % 5}.5" for q in range(39)], ["1999-Q4"]),
    ],
)
def test_dates_stand_in_the_columns_that_they_were_read_from(head: str, rows: list[str], after: list[Any]) -> None:
    recipe, panel = learn(head + "\n" + "\n".join(rows) + "\n", target="x")
    times = recipe.extend(panel.sequences[0], 1)[0]
    out = recipe.as_read(pd.DataFrame({panel.time_name: times, "x": [1.5]}))
    assert list(out) == head.split(";")
    assert out.iloc[0].tolist() == [*after, 1.5]
    assert (recipe.time.read(out) == times).all()  # type: ignore[union-attr]


def test_no_hour_is_lost_where_steps_are_uneven() -> None:
    dates = ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-06", "2020-01-09", "2020-01-10"]
    recipe, panel = learn("date;x\n" + "".join(f"{date};{i % 4}.5\n" for i, date in enumerate(dates)))
    times = pd.DatetimeIndex(["2020-01-11 12:00", "2020-01-13 00:00"])
    out = recipe.as_read(pd.DataFrame({"date": times, "x": [1.0, 2.0]}))
    assert pd.to_datetime(out["date"]).tolist() == times.tolist()
    assert panel.time_name == "date"


def test_day_and_month_that_can_stand_either_way() -> None:
    refused("date;x\n01/02/2020;1.5\n05/07/2020;2.5\n11/03/2020;3.5\n", "date_format (--date-format)", "%d/%m/%Y")
    text = "date;x\n01/02/2020;1.5\n05/07/2020;2.5\n11/03/2020;3.5\n"
    assert learn(text, date_format="%m/%d/%Y")[1].sequences[0].times[0] == pd.Timestamp("2020-01-02")
    rows = "".join(f"{day:02d}/02/2020;{day % 4}.5\n" for day in range(1, 12))
    refused("date;x\n" + rows, "date_format (--date-format)")  # each day, or each month
    rows = "".join(f"{1 + h // 24:02d}/02/2020 {h % 24:02d}:00;{h % 5}.5\n" for h in range(60))
    recipe, panel = learn("date;x\n" + rows)
    assert (recipe.frequency, panel.sequences[0].times[24]) == ("h", pd.Timestamp("2020-02-02")), "months would jump"
    assert any("read as %d/%m/%Y" in note for note in recipe.notes)
    refused("date;x\n2020-01-01;1.5\n2020-01-02;2.5\n", "date_format (--date-format)", date_format="%d.%m.%Y")


@pytest.mark.parametrize(
    ("column", "first", "frequency", "last"),
    [
        (["2020-W52", "2020-W53", "2021-W01"], "2020-12-21", "W-MON", "2021-W02"),
        (["1949-01", "1949-02", "1949-03"], "1949-01-01", "MS", "1949-04"),
        ([1700, 1701, 1702], "1700-01-01", "YS-JAN", 1703),
        (["1990Q1", "1990Q2", "1990Q3"], "1990-01-01", "QS-OCT", None),
        (["1990-Q1", "1990-Q2", "1990-Q3"], "1990-01-01", "QS-OCT", None),
        (["Jan 1990", "Feb 1990", "Mar 1990"], "1990-01-01", "MS", "Apr 1990"),
        ([20200101, 20200102, 20200103], "2020-01-01", "D", 20200104),
        ([1577836800000, 1577840400000, 1577844000000], "2020-01-01", "h", 1577847600000),
    ],
)
def test_months_years_quarters_and_numbers(column: list[Any], first: str, frequency: str, last: Any) -> None:
    frame = pd.DataFrame(
        {"year" if isinstance(column[0], int) and column[0] < 3000 else "date": column, "x": [1.5, 2, 3.5]}
    )
    recipe, panel = learn(frame)
    assert panel.sequences[0].times[0] == pd.Timestamp(first)
    assert recipe.frequency is not None
    assert recipe.frequency.split("-")[0] == frequency.split("-")[0]
    assert recipe.time is not None
    if last is not None:
        assert recipe.time.as_written(recipe.extend(panel.sequences[0], 1)[0])[0] == last


def test_offsets_from_utc() -> None:
    same = "t,x\n" + "".join(f"2020-01-01T{h:02d}:00:00+02:00,{h % 5}.5\n" for h in range(12))
    recipe, panel = learn(same)
    assert panel.sequences[0].times[0] == pd.Timestamp("2020-01-01T00:00:00+02:00")
    assert panel.sequences[0].times[0].hour == 0
    utc = "t,x\n2020-01-02T00:00:00Z,5\n2020-01-02T01:00:00Z,5\n"
    assert recipe.apply(read_table(utc.encode())[0]).sequences[0].times[0].hour == 2, "in the zone of the first table"
    changing = "t,x\n2020-03-29T00:00:00+01:00,1\n2020-03-29T01:00:00+01:00,2\n2020-03-29T03:00:00+02:00,3\n"
    recipe, panel = learn(changing)
    assert (panel.sequences[0].times.hour == [23, 0, 1]).all()
    assert any("those of UTC" in note for note in recipe.notes)
    with pytest.raises(TableError, match="expected dates with an offset from UTC"):
        recipe.apply(read_table(b"t,x\n2020-03-30T00:00:00,1\n2020-03-30T01:00:00,1\n")[0])


def test_days_of_a_time_zone_are_those_of_its_clock() -> None:
    dates = pd.date_range("2020-03-20", periods=20, tz="Europe/Berlin")
    recipe, panel = learn(table_of(dates))
    assert recipe.frequency == "D"
    times, _ = recipe.extend(panel.sequences[0], 200)
    assert times.equals(pd.DatetimeIndex(pd.date_range("2020-04-09", periods=200, tz="Europe/Berlin"), name="date"))


def test_what_is_no_date() -> None:
    refused("date,x\n2020-01-01,1\n2020-01-02,2\nTotal,3\n", "row 3", "'Total'", "skip_footer (--skip-footer)")
    refused("date,x\n2020-01-01,1\n,2\n2020-01-03,3\n", "row 2", "expected a date, got none")
    refused("day,x\n1,5\n2,6\n", "time (--time)", "expected a column of dates, got '1'", time="day")
    refused("day,x\n1,5\n2,6\n", "time (--time)", "day, x", "got 'dya'", time="dya")
    assert to_dates(pd.Series(["a1", "b2", "c3"]))[0] is None
    assert to_dates(pd.Series(["12:30", "12:45"]))[0] is None, "a time of day is no date"
    assert learn("a,x\n5,1.5\n7,2.5\n6,8\n")[0].time is None


def test_the_column_of_dates_is_the_one_that_is_called_so_and_in_order() -> None:
    dates = pd.date_range("2020", periods=20)
    frame = table_of(dates, updated=dates.to_numpy()[::-1], born=np.roll(dates.to_numpy(), 7))
    assert learn(frame)[1].time_name == "date"
    renamed = frame.rename(columns={"date": "a"})[["born", "x", "a"]]
    recipe, panel = learn(renamed)
    assert panel.time_name == "a"
    assert "dates: column 'a', not 'born' (choose with time (--time))" in recipe.notes
    assert learn(renamed, time="born")[1].time_name == "born"


# ---- Steps ----


@pytest.mark.parametrize(
    ("frequency", "alias", "known"),
    [
        ("s", "s", [3600, 86400, 604800]),
        ("15min", "15min", [96, 672]),
        ("h", "h", [24, 168]),
        ("6h", "6h", [4, 28]),
        ("D", "D", [7, 365]),
        ("B", "B", [5, 261]),
        ("W-WED", "W-WED", [52]),
        ("MS", "MS", [12]),
        ("ME", "ME", [12]),
        ("2MS", "2MS", [6]),
        ("QS-FEB", "QS-FEB", [4]),
        ("QE-DEC", "QE-DEC", [4]),
        ("YS-JUL", "YS-JUL", []),
    ],
)
def test_steps_are_found_and_go_on_as_pandas_has_them(frequency: str, alias: str, known: list[int]) -> None:
    if frequency == "QE-DEC":
        alias = "QE-MAR"  # the same dates: quarters that end in March, June, ...
    for start in ("1999-11-30", "2004-02-29 00:00", "2023-01-01"):
        for zone in (None, "UTC"):
            dates = pd.date_range(start, periods=60, freq=frequency, tz=zone)
            step, note = find_step(dates[:40], np.zeros(40, int))
            assert step is not None
            assert note == ""
            assert step.alias.split("-")[0] == alias.split("-")[0]
            assert (step.after(dates[39], np.arange(1, 21)) == dates[40:]).all()
            assert (step_of(step.alias).after(dates[39], np.arange(1, 21)) == dates[40:]).all()
            assert np.array_equal(step.positions(dates[:40]), np.arange(40))
            assert seasons(step) == known
            gappy = dates[np.r_[0:10, 14:40]]
            step, _ = find_step(gappy, np.zeros(len(gappy), int))
            assert step is not None
            assert step.alias.split("-")[0] == alias.split("-")[0]
            assert np.array_equal(step.positions(gappy), np.r_[0:10, 14:40])


def test_the_15th_and_the_30th_of_each_month() -> None:
    fifteenth = pd.DatetimeIndex([f"2020-{m:02d}-15" for m in range(1, 13)])
    step, _ = find_step(fifteenth, np.zeros(12, int))
    assert step is not None
    assert (step.alias, step.after(fifteenth[-1], np.array([1, 2])).day.tolist()) == ("MS", [15, 15])
    thirtieth = pd.DatetimeIndex(["2019-12-30", "2020-01-30", "2020-02-29", "2020-03-30", "2020-04-30"])
    step, _ = find_step(thirtieth, np.zeros(5, int))
    assert step is not None
    assert np.array_equal(step.positions(thirtieth), np.arange(5))


def test_uneven_steps_are_told_and_go_on_by_their_median() -> None:
    rng = np.random.default_rng(0)
    dates = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.cumsum(rng.integers(1, 5000, 50)), unit="s")
    recipe, panel = learn(table_of(dates))
    assert (recipe.frequency, recipe.season) == (None, 1)
    assert len(panel.sequences[0].y) == 50
    assert any("no even steps" in note for note in recipe.notes)
    times, _ = recipe.extend(panel.sequences[0], 3)
    # a second: the median is rounded to whole ones
    assert abs((times[0] - dates[-1]).total_seconds() - np.median(np.diff(dates.as_unit("s").asi8))) <= 1


def test_hours_of_business_have_no_grid_of_nights() -> None:
    dates = pd.date_range("2020-01-01", periods=24 * 30, freq="h")
    recipe, panel = learn(table_of(dates[(dates.hour >= 8) & (dates.hour < 18)]))
    assert recipe.frequency is None
    assert len(panel.sequences[0].y) == 300


def test_a_frequency_that_is_said() -> None:
    dates = pd.date_range("2020", periods=10, freq="2h")
    recipe, panel = learn(table_of(dates), frequency="h")
    assert (recipe.frequency, len(panel.sequences[0].y)) == ("h", 19)
    refused(table_of(dates), "expected steps of 3h (frequency (--frequency))", "2020-01-01 02:00:00", frequency="3h")
    refused(table_of(dates), "frequency (--frequency)", "got 'often'", frequency="often")
    refused("x\n1\n2\n4\n", "frequency (--frequency)", "expected a table with dates", frequency="h")


def test_a_later_table_has_the_steps_of_the_first() -> None:
    recipe, _ = learn(table_of(pd.date_range("2020", periods=50, freq="h")))
    with pytest.raises(TableError, match=r"expected steps of h .*got 2020-02-01 00:30:00 after 2020-02-01 00:00:00"):
        recipe.apply(table_of(pd.date_range("2020-02-01", periods=5, freq="30min")))
    one = recipe.apply(table_of(pd.date_range("2020-02-01", periods=1)))
    assert recipe.extend(one.sequences[0], 1)[0][0] == pd.Timestamp("2020-02-01 01:00")


def test_rows_without_dates_have_numbers() -> None:
    recipe, panel = learn("a,b\n1.5,2\n2.5,7\n4,3\n")
    assert (recipe.frequency, recipe.season, recipe.time) == (None, 1, None)
    times, future = recipe.extend(panel.sequences[0], 2)
    assert (times.tolist(), future.shape) == ([3, 4], (2, 0))


# ---- Season and calendar ----


def test_the_season_is_the_one_that_tells_most() -> None:
    hours = np.arange(24 * 7 * 6)
    rng = np.random.default_rng(1)
    daily = np.sin(2 * np.pi * hours / 24) + 0.1 * rng.normal(size=len(hours))
    weekly = daily * np.where(hours // 24 % 7 < 5, 1, 0.1)
    dates = pd.date_range("2020", periods=len(hours), freq="h")
    assert learn(pd.DataFrame({"date": dates, "x": weekly}))[0].season == 168
    wander = pd.DataFrame({"date": dates, "x": daily + rng.normal(size=len(hours)).cumsum()})
    assert learn(wander)[0].season == 24
    assert learn(wander, season=12)[0].season == 12
    noise = pd.DataFrame({"date": dates, "x": rng.normal(size=len(hours))})
    assert learn(noise)[0].season == 24, "in noise all are alike: the shortest"
    assert learn(wander.head(20))[0].season == 1, "a day is longer than the table"
    assert learn(wander.head(30))[0].season == 24
    with pytest.raises(ValueError, match=r"season \(--season\): expected at least 1, got 0"):
        learn(wander, season=0)


@pytest.mark.parametrize(
    ("frequency", "rows", "expected"),
    [
        ("h", 30, []),
        ("h", 24 * 3, ["hour"]),
        ("h", 24 * 15, ["hour", "weekday"]),
        ("D", 15, ["weekday"]),
        ("D", 900, ["weekday", "day of year"]),
        ("W", 120, ["day of year"]),
        ("MS", 24, ["month"]),
        ("QS", 12, ["month"]),
        ("YS", 30, []),
    ],
)
def test_the_calendar_says_what_the_table_shows_twice(frequency: str, rows: int, expected: list[str]) -> None:
    recipe, panel = learn(table_of(pd.date_range("2020", periods=rows, freq=frequency)))
    assert recipe.calendar == expected
    assert panel.future_names == [f"{name} {part}" for name in expected for part in ("sine", "cosine")]


def test_what_the_calendar_says() -> None:
    dates = pd.DatetimeIndex(["2024-01-01 06:00", "2024-01-04 12:00", "2024-07-01 18:00"])
    turns = {
        "hour": [0.25, 0.5, 0.75],
        "weekday": [0.25 / 7, 3.5 / 7, 0.75 / 7],
        "month": [0, 0, 0.5],
        "day of year": [0.25 / 365.25, 3.5 / 365.25, 182.75 / 365.25],
    }
    found = calendar(dates, list(turns))
    for j, turn in enumerate(turns.values()):
        angle = 2 * np.pi * np.array(turn)
        # 1e-15: a few ulp of 1, which products of 2 pi are off by
        np.testing.assert_allclose(found[:, 2 * j], np.sin(angle), rtol=0, atol=1e-15)
        np.testing.assert_allclose(found[:, 2 * j + 1], np.cos(angle), rtol=0, atol=1e-15)


def test_a_calendar_that_is_chosen() -> None:
    frame = table_of(pd.date_range("2020", periods=100, freq="h"))
    assert learn(frame, calendar="month,hour")[0].calendar == ["month", "hour"]
    assert learn(frame, calendar=[])[1].future_names == []
    assert learn(frame, calendar="none")[1].future_names == []
    with pytest.raises(ValueError, match=r"calendar \(--calendar\): expected one of 'hour', .*got 'moon'"):
        learn(frame, calendar="moon")
    refused("x\n1\n2\n4\n", "calendar (--calendar)", "expected a table with dates", calendar="hour")


def test_what_comes_next_has_the_calendar_of_its_dates() -> None:
    dates = pd.date_range("2020", periods=24 * 20, freq="h")
    recipe, panel = learn(table_of(dates))
    _, whole = learn(table_of(pd.date_range("2020", periods=24 * 20 + 50, freq="h")))
    times, future = recipe.extend(panel.sequences[0], 50)
    assert np.array_equal(future, whole.sequences[0].future[-50:])
    assert times.equals(whole.sequences[0].times[-50:].rename("date"))
