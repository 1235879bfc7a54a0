"""Columns of tables: what is forecast, read and left out; ids, categories, what is known in advance and missing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas", reason="pandas is not installed")
from bptt.forecast import Recipe, TableError, read_table  # noqa: E402  (which needs it)
from bptt.forecast.columns import is_noise  # noqa: E402

ROWS = 200


def walk(seed: int = 0, rows: int = ROWS) -> Any:
    return np.random.default_rng(seed).normal(size=rows).cumsum()


def dated(rows: int = ROWS, **columns: Any) -> Any:
    return pd.DataFrame({"date": pd.date_range("2020", periods=rows, freq="h"), **columns})


def learn(frame: Any, **options: Any) -> tuple[Recipe, Any]:
    recipe = Recipe.learn(frame, **options)
    assert Recipe.from_json(json.loads(json.dumps(recipe.as_json()))) == recipe
    return recipe, recipe.apply(frame)


def refused(call: Any, *words: str) -> None:
    with pytest.raises(TableError) as raised:
        call()
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def said(recipe: Recipe) -> str:
    return "\n".join(recipe.notes)


# ---- The cases ----


def test_ids_in_two_columns_given_in_any_way() -> None:
    index = [(store, item, t) for store in "ab" for item in (1, 2, 3) for t in range(30)]
    frame = pd.DataFrame(index, columns=["store", "item", "t"])
    frame["date"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(frame.pop("t"), unit="D")
    frame["x"] = walk(rows=len(frame))
    panels = [learn(frame, id=given)[1] for given in ("store,item", ["store", "item"], ["store,item"])]
    for panel in panels:
        assert panel.id_names == ["store", "item"]
        assert [s.id for s in panel.sequences] == [(s, i) for s in "ab" for i in "123"]
        for g, sequence in enumerate(panel.sequences):
            assert np.array_equal(sequence.y[:, 0], frame["x"][30 * g : 30 * g + 30])
    refused(lambda: learn(frame, id="store"), "2020-01-01", "of a", "if 'item' tells sequences apart", "id (--id)")


def test_ids_of_1_2_50_and_5000_rows_interleaved() -> None:
    sizes = {"one": 1, "two": 2, "fifty": 50, "many": 5000}
    parts = [
        pd.DataFrame({"date": pd.date_range("2020", periods=n, freq="h"), "id": name, "x": walk(i, n)})
        for i, (name, n) in enumerate(sizes.items())
    ]
    frame = pd.concat(parts).sample(frac=1, random_state=0).reset_index(drop=True)
    recipe, panel = learn(frame, id="id")
    assert {s.id[0]: len(s.y) for s in panel.sequences} == sizes
    for sequence in panel.sequences:
        alone = recipe.apply(frame[frame["id"] == sequence.id[0]]).sequences[0]
        for name in ("y", "past", "future", "static", "filled"):
            assert getattr(alone, name).tobytes() == getattr(sequence, name).tobytes(), "on others it does not depend"
        assert alone.times.equals(sequence.times)
        assert np.array_equal(sequence.y[:, 0], parts[list(sizes).index(sequence.id[0])]["x"])


def test_a_column_of_white_noise_is_not_forecast() -> None:
    noise = np.random.default_rng(5).normal(size=ROWS)
    recipe, panel = learn(dated(x=walk(), noise=noise))
    assert (recipe.targets, panel.past_names) == (["x"], ["noise"])
    assert "not forecast, because its values do not follow from those before them: noise" in said(recipe)
    assert learn(dated(x=walk(), noise=noise), target="x,noise")[0].targets == ["x", "noise"]
    assert learn(dated(noise=noise))[0].targets == ["noise"], "where there is nothing else"


def test_noise_is_told_from_what_can_be_forecast() -> None:
    rng = np.random.default_rng(0)
    groups = np.zeros(400, int)
    found = [is_noise(rng.normal(size=400), groups) for _ in range(400)]
    # 0.99 of 400 are 396; the statistic is approximate, and 4.5 standard deviations of a count are 9
    assert 396 - 9 <= sum(found) < 400, "some is taken for more than noise, as the level says"
    for phi in (0.5, -0.5, 0.9):
        y = np.zeros(400)
        for t in range(1, 400):
            y[t] = phi * y[t - 1] + rng.normal()
        assert not is_noise(y, groups)
    season = np.tile(rng.normal(size=24), 17)[:400] + rng.normal(size=400)
    assert not is_noise(season, groups)
    missing = np.where(np.arange(400) % 3 == 0, np.nan, rng.normal(size=400))
    assert is_noise(missing, groups)
    assert not is_noise(rng.normal(size=20), np.zeros(20, int)), "of few rows nothing is said"


def test_constants_counters_keys_and_time_stamps_are_left_out_and_named() -> None:
    rng = np.random.default_rng(0)
    frame = dated(
        x=walk(),
        same=7.0,
        word="kW",
        row=np.arange(ROWS),
        down=np.arange(ROWS)[::-1] * 0.5,
        decimal_year=np.round(1960 + np.arange(ROWS) / 12, 3),
        customer_id=rng.permutation(ROWS),
        stamp=1_577_836_800 + np.cumsum(rng.integers(1, 100, ROWS)),
        empty=np.nan,
        remark=[f"remark {i}" for i in range(ROWS)],
        hr=pd.date_range("2020", periods=ROWS, freq="h").hour,
    )
    recipe, panel = learn(frame)
    assert (recipe.targets, panel.past_names) == (["x"], [])
    for words in (
        "same (the same in all rows: 7)",
        "word (the same in all rows: kW)",
        "row (a counter",
        "down (a counter",
        "decimal_year (a counter",
        "customer_id (a key, by its name)",
        "stamp (time stamps",
        "empty (all cells are missing)",
        "remark (text of 200 kinds)",
        "hr (the hour of the dates)",
    ):
        assert words in said(recipe)
    assert learn(frame, target="x", inputs="row,same")[1].past_names == ["row", "same"], "who names them gets them"


def test_flags_and_parts_of_dates_are_not_forecast_unless_named() -> None:
    hours = np.arange(ROWS) % 24
    recipe, panel = learn(pd.DataFrame({"hour": hours, "holiday": np.arange(ROWS) % 48 == 0, "x": walk()}))
    assert (recipe.targets, panel.past_names) == (["x"], ["holiday"])
    assert "not forecast, because of two values only: holiday" in said(recipe)
    assert "hour (a part of a date, by its name)" in said(recipe)
    assert learn(pd.DataFrame({"on": np.arange(ROWS) % 7 == 0}))[0].targets == ["on"], "where there is nothing else"


def test_a_spike_stays_what_it_is() -> None:
    x = np.zeros(ROWS)
    x[77] = 83412.7
    _, panel = learn(dated(x=x))
    assert np.array_equal(panel.sequences[0].y[:, 0], x)


def test_numbers_that_seem_to_mark_what_is_missing_are_told() -> None:
    x = 20 + np.random.default_rng(0).normal(size=ROWS)
    x[[3, 4, 90]] = -999
    recipe, _ = learn(dated(x=x))
    assert "x: -999 stands 3 times, far from all other numbers" in said(recipe)
    assert "na (--na)" in said(recipe)
    assert "stands" not in said(learn(dated(x=np.where(x < 0, 20, x)))[0])


# ---- Roles ----


def test_what_is_taken_without_a_word_is_told() -> None:
    recipe, panel = learn(dated(a=walk(1), b=walk(2), weather=["sun", "rain"] * (ROWS // 2)))
    assert recipe.targets == ["a", "b"]
    assert panel.past_names == ["weather=rain", "weather=sun"]
    assert "forecast: a, b (choose with target (--targets))" in recipe.notes
    assert "read beside it: weather (choose with inputs (--inputs))" in recipe.notes


def test_targets_inputs_and_what_is_known_in_advance() -> None:
    frame = dated(load=walk(1), temp=walk(2), wind=walk(3), holiday=np.arange(ROWS) % 48 == 0)
    recipe, panel = learn(frame, target="load", inputs=["wind"], future="temp,holiday", calendar="hour")
    assert panel.targets == ["load"]
    assert panel.past_names == ["wind"]
    assert panel.future_names == ["temp", "holiday", "hour sine", "hour cosine"]
    sequence = panel.sequences[0]
    assert np.array_equal(sequence.past[:, 0], frame["wind"])
    assert np.array_equal(sequence.future[:, :2], frame[["temp", "holiday"]].to_numpy(float))
    assert learn(frame, target="load", inputs=[])[1].past_names == []
    times, future = recipe.extend(sequence, 4)
    assert np.isnan(future[:, :2]).all(), "which nobody knows but the user"
    assert np.isfinite(future[:, 2:]).all()
    assert len(times) == 4


def test_rows_whose_targets_are_empty_are_rows_to_come() -> None:
    frame = dated(load=walk(1), wind=walk(2), temp=walk(3))
    recipe, _ = learn(frame, target="load", future="temp")
    coming = frame.copy()
    coming.loc[ROWS - 24 :, ["load", "wind"]] = np.nan
    sequence = recipe.apply(coming).sequences[0]
    assert sequence.rows_to_come == 24
    assert np.isnan(sequence.y[-24:]).all()
    assert np.array_equal(sequence.y[:-24, 0], frame["load"][:-24])
    assert np.array_equal(sequence.future[:, 0], frame["temp"])
    coming.loc[ROWS - 3, "temp"] = np.nan
    refused(
        lambda: recipe.apply(coming), "future (--future): expected 'temp' in each row to come", "2020-01-09 05:00:00"
    )
    assert recipe.apply(frame).sequences[0].rows_to_come == 0
    both, _ = learn(frame, target="load,wind", future="temp")
    partly = frame.copy()
    partly.loc[ROWS - 5 :, "load"] = np.nan
    partly.loc[ROWS - 2 :, "wind"] = np.nan
    assert both.apply(partly).sequences[0].rows_to_come == 2, "where one target is known a row is there"


def test_static_columns_hold_of_a_whole_sequence() -> None:
    frame = pd.concat(
        [dated(20, x=walk(i, 20), shop=i, size=s, kind=k) for i, (s, k) in enumerate(((5, "a"), (9, "b")))]
    )
    _, panel = learn(frame.reset_index(drop=True), id="shop", static="size,kind")
    assert panel.static_names == ["size", "kind=a", "kind=b"]
    assert [s.static.tolist() for s in panel.sequences] == [[5, 1, 0], [9, 0, 1]]
    spoilt = frame.reset_index(drop=True)
    spoilt.loc[25, "size"] = 8
    refused(lambda: learn(spoilt, id="shop", static="size"), "static (--static)", "'size'", "row 6 of 1")


def test_a_category_that_is_new_is_told_and_is_none_of_them() -> None:
    frame = dated(x=walk(), weather=["sun", "rain"] * (ROWS // 2))
    recipe, _ = learn(frame)
    later = frame.head(5).assign(weather=["sun", "hail", "rain", None, "snow"])
    panel = recipe.apply(later)
    assert panel.sequences[0].past.tolist() == [[0, 1], [0, 0], [1, 0], [0, 0], [0, 0]]
    assert "weather: 'hail', 'snow' was not there in training: it is read as no category" in panel.notes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "lod"}, ["target (--targets)", "got 'lod'", "is it 'load'?"]),
        ({"target": "load,load"}, ["'load' twice"]),
        ({"target": "weather"}, ["column 'weather', row 1: expected a number, got 'sun'"]),
        ({"target": "load", "future": "load"}, ["target (--targets)", "future (--future)", "'load' in both"]),
        ({"target": "load", "id": "load"}, ["'load' in both"]),
        ({"target": "empty"}, ["target (--targets)", "all cells are missing"]),
        ({"target": "load", "inputs": "date"}, ["inputs (--inputs)", "time (--time)", "'date' in both"]),
        ({"target": "load", "future": "empty"}, ["future (--future)", "all cells are missing"]),
        ({"inputs": "load"}, ["target (--targets): expected a column of numbers to forecast, got none"]),
    ],
)
def test_roles_that_cannot_be(options: dict[str, Any], words: list[str]) -> None:
    frame = dated(load=walk(), weather=["sun", "rain"] * (ROWS // 2), empty=np.nan)
    refused(lambda: learn(frame, **options), *words)


def test_a_column_that_a_name_with_a_comma_has() -> None:
    frame = dated(**{"load, MW": walk(1), "temp": walk(2)})
    assert learn(frame, target="load, MW")[0].targets == ["load, MW"]
    assert learn(frame, target=["load, MW", "temp"])[0].targets == ["load, MW", "temp"]


def test_one_cell_that_is_no_number_is_worth_mending() -> None:
    frame = read_table(b"x,y\n1,5\n2,1\nbad,7\n4,2\n6,6\n")[0]
    refused(lambda: learn(frame), "column 'x', row 3", "expected a number, as most cells are, got 'bad'", "na (--na)")
    refused(lambda: learn(frame, target="x"), "column 'x', row 3", "got 'bad'")
    assert learn(frame, target="y", inputs=[])[0].targets == ["y"]
    infinite = dated(x=np.where(np.arange(ROWS) == 5, np.inf, walk()))
    refused(lambda: learn(infinite), "column 'x', row 6: expected a number, got inf")


# ---- What is missing ----


def test_missing_inputs_are_the_value_before_and_an_indicator() -> None:
    x, temp = walk(1), walk(2)
    temp[[0, 50, 51]] = np.nan
    _, panel = learn(dated(x=x, temp=temp), target="x")
    assert panel.past_names == ["temp", "temp missing"]
    past = panel.sequences[0].past
    # 4 eps of the mean: the sum of 197 numbers in another order
    assert past[0].tolist() == [pytest.approx(np.nanmean(temp), rel=4 * np.finfo(float).eps), 1], "the mean, at first"
    assert past[50:52].tolist() == [[temp[49], 1]] * 2
    assert past[49].tolist() == [temp[49], 0]
    assert "temp: 3 missing cells, filled with the value before, and marked by an indicator" in panel.notes
    assert np.isfinite(past).all()


def test_missing_targets_are_filled_between_others_alone() -> None:
    x = walk()
    x[[0, 1, 50, 51, 198, 199]] = np.nan
    for fill, expected in (
        ("interpolate", [x[49] + (x[52] - x[49]) / 3, x[49] + (x[52] - x[49]) * 2 / 3]),
        ("forward", [x[49], x[49]]),
        ("none", [np.nan, np.nan]),
    ):
        sequence = learn(dated(x=x), fill=fill)[1].sequences[0]
        # 4 ulp of 1: a line that is computed in another order, of numbers below 16
        np.testing.assert_allclose(sequence.y[50:52, 0], expected, rtol=0, atol=64 * np.finfo(float).eps)
        assert np.isnan(sequence.y[[0, 1, 198, 199]]).all()
        assert np.array_equal(np.flatnonzero(sequence.filled), [0, 1, 50, 51, 198, 199])
        assert sequence.rows_to_come == 2
    with pytest.raises(
        ValueError, match=r"fill \(--fill\): expected one of 'interpolate', 'forward', 'none', got 'mean'"
    ):
        learn(dated(x=x), fill="mean")


def test_nothing_of_the_past_depends_on_what_comes() -> None:
    rng = np.random.default_rng(3)
    frame = dated(x=walk(1), temp=np.where(rng.random(ROWS) < 0.3, np.nan, walk(2)), w=rng.choice(["a", "b"], ROWS))
    recipe, panel = learn(frame, target="x")
    for rows in (1, 20, 133):
        part = recipe.apply(frame.head(rows)).sequences[0]
        assert part.past.tobytes() == panel.sequences[0].past[:rows].tobytes()
        assert part.future.tobytes() == panel.sequences[0].future[:rows].tobytes()


# ---- A recipe and later tables ----


def test_a_later_table_has_the_columns_of_training_in_any_order() -> None:
    frame = dated(x=walk(1), temp=walk(2), w=["a", "b"] * (ROWS // 2))
    recipe, panel = learn(frame, target="x")
    other = recipe.apply(frame[["w", "temp", "x", "date"]].assign(more=1))
    assert other.sequences[0].past.tobytes() == panel.sequences[0].past.tobytes()
    refused(lambda: recipe.apply(frame.drop(columns="temp")), "the columns of training, got a table without 'temp'")
    refused(lambda: recipe.apply(frame.drop(columns="date")), "'date'")
    refused(lambda: recipe.apply(frame.assign(temp="x")), "column 'temp', row 1: expected a number, got 'x'")


def test_frames_with_dates_and_ids_in_the_index() -> None:
    index = pd.MultiIndex.from_product([["a", "b"], pd.date_range("2020", periods=30)], names=["shop", "day"])
    frame = pd.DataFrame({"x": walk(rows=60)}, index)
    recipe, panel = learn(frame)
    assert (panel.id_names, panel.time_name, recipe.frequency) == (["shop"], "day", "D")
    assert [s.id for s in panel.sequences] == [("a",), ("b",)]
    back = panel.frame_of(panel.sequences[1], *[recipe.extend(panel.sequences[1], 2)[0], np.ones((2, 1))])
    assert back.to_dict("list") == {
        "shop": ["b", "b"],
        "day": [*pd.date_range("2020-01-31", periods=2)],
        "x": [1.0, 1.0],
    }


def test_ids_stay_what_they_are() -> None:
    frame = read_table(b"id,x\n007,1\n007,5\n008,2\n008,9\n", text=["id"])[0]
    assert [s.id for s in learn(frame, id="id")[1].sequences] == [("007",), ("008",)]
    missing = pd.DataFrame({"id": ["a", None], "x": [1.0, 2]})
    refused(lambda: learn(missing, id="id"), "column 'id', row 2: expected the id of a sequence, got none")
    numbers = pd.DataFrame({"id": [1.0, 1.0, 2.0], "x": [1.0, 2, 7]})
    assert [s.id for s in learn(numbers, id="id")[1].sequences] == [("1",), ("2",)]


@pytest.mark.parametrize(
    "change",
    [
        {"targets": []},
        {"past": [{"column": "a"}]},
        {"season": 0},
        {"season": "7"},
        {"frequency": "often"},
        {"calendar": ["moon"]},
        {"fill": "mean"},
        {"more": 1},
        {"time": {"name": 5, "columns": []}},
        {"median_step": float("nan")},
        {"past": [{"column": "a", "categories": None, "mean": float("nan"), "indicator": True}]},
    ],
)
def test_a_damaged_recipe_is_refused(change: dict[str, Any]) -> None:
    plain = learn(dated(x=walk()))[0].as_json()
    Recipe.from_json(plain)
    with pytest.raises((ValueError, TypeError), match=r"recipe|frequency"):
        Recipe.from_json(plain | change)


@pytest.mark.parametrize("column", ["y", "u"])
def test_a_cell_is_named_by_its_row_in_the_table_that_was_given(column: str) -> None:
    times = pd.date_range("2020", periods=40, freq="D")
    one = pd.DataFrame({"date": times, "y": np.sqrt(np.arange(40.0)), "u": np.cos(np.arange(40.0))})
    frame = pd.concat([one.assign(id="a"), one.assign(id="b")])[::-1]  # newest first, by ids, with an index of its own
    recipe = Recipe.learn(frame, target="y", inputs="u", id="id")
    wrong = frame.reset_index(drop=True)
    wrong.loc[50, column] = np.inf
    for call in (lambda: recipe.apply(wrong), lambda: Recipe.learn(wrong, target="y", inputs="u", id="id")):
        with pytest.raises(TableError, match=f"^column '{column}', row 51: expected a number, got inf$"):
            call()
