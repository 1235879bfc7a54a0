"""The command line on tables, as a user runs it: from a file to forecasts, scores and a picture; what is refused."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
import bptt.app.options
from interpreter import error_line, run, run_python

pd = pytest.importorskip("pandas")
Forecaster = pytest.importorskip("bptt.forecast").Forecaster

QUICK = ("--ensemble", "0", "--steps", "6")  # no networks: the forecasts are those of `Forecaster`, tested there


def bptt_main(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> str:
    """A command in this process: its standard output or, of one that is refused, its line."""
    assert bptt.app.options.main(list(map(str, arguments))) == code
    output, errors = capsys.readouterr()
    if code == 0:
        assert errors == ""
        return output
    assert errors.startswith("bptt: ")
    assert errors.count("\n") == 1
    return errors.removeprefix("bptt: ")


@pytest.fixture
def bptt_(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`bptt` in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, code=0: bptt_main(capsys, *arguments, code=code)


def wave(rows: int, phase: float = 0.0) -> Any:
    """A sine around 50 whose period is 12 rows."""
    return 50 + 20 * np.sin(2 * np.pi * np.arange(rows) / 12 + phase)


# Numbers are read to the last bit by default from pandas 3.1 on.
EXACT: dict[str, Any] = {} if pd.__version__ >= "3.1" else {"float_precision": "round_trip"}


def months(rows: int, **columns: Any) -> Any:
    dates = pd.date_range("2000-01-01", periods=rows, freq="MS")
    return pd.DataFrame({"month": dates.strftime("%Y-%m-%d"), **columns})


def read(text: str) -> Any:
    return pd.read_csv(io.StringIO(text), **EXACT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, and a model of its first rows that has one network."""
    folder = tmp_path_factory.mktemp("tables")
    frame = months(170, sales=wave(170).round(3), price=wave(170, 1.0).round(3), name=["x"] * 170)
    frame.to_csv(folder / "all.csv", index=False)
    frame[:140].to_csv(folder / "wave.csv", index=False)
    more = ("--targets", "sales", "--ensemble", "1", "--hidden", "4", "--steps", "12", "--out", "model")
    result = run("train", "wave.csv", *more, cwd=folder)
    (folder / "output").write_text(result.stdout)
    assert result.stderr == ""
    return folder


# ---- The three commands ----


def test_from_a_csv_file_to_a_forecast(folder: Path) -> None:
    output = (folder / "output").read_text()
    assert output.startswith("table: wave.csv, 140 rows, 4 columns\n")
    assert "\ndates: column 'month' (choose with --time)\nfrequency: MS (see --frequency)\n" in output
    assert "\nreads: sales, price, the month of the date\npredicts: sales, 12 rows ahead\nsales: " in output
    table = output[output.index("\n\non the last 20% of the rows, which chose nothing") :].splitlines()[3:]
    assert table[0].split() == ["target", "forecast", "MAE", "RMSE", "MASE", "coverage"]
    assert table[1].split()[:2] == ["sales", "model"]
    assert [line.strip().partition("  ")[0] for line in table[2:-1]] == [
        "ridge on lags",
        "last value",
        "season 12",
        "drift",
    ]
    assert table[-1].startswith(("No simple forecast has", "Better than the model: sales by "))

    line = run("predict", "model", "wave.csv", "--steps", "30", "-o", "forecast.csv", cwd=folder).stdout
    assert line == "saved: forecast.csv, 30 rows of sales\n"
    forecast = pd.read_csv(folder / "forecast.csv")
    (folder / "forecast.csv").unlink()
    assert list(forecast) == ["month", "sales", "sales_lower", "sales_upper"]
    assert forecast["month"].tolist() == months(170)["month"][140:].tolist()
    np.testing.assert_allclose(forecast["sales"], wave(170)[140:], atol=0.5)  # what repeats, but for rounding
    assert (forecast["sales_lower"] <= forecast["sales_upper"]).all()


def test_the_command_line_is_the_forecaster(folder: Path, bptt_: Any) -> None:
    frame = pd.read_csv(folder / "wave.csv")
    forecaster = Forecaster("sales", steps=12, ensemble=1, hidden=4, seed=0).fit(frame)
    assert Forecaster.load(folder / "model").predict().equals(forecaster.predict())
    out = read(bptt_("predict", folder / "model", folder / "wave.csv"))
    expected = forecaster.predict(df=frame)
    assert out["sales"].tolist() == expected["sales"].tolist(), "all digits"
    assert len(out) == 12
    narrow = read(bptt_("predict", folder / "model", folder / "wave.csv", "--interval", "0.5"))
    forecaster.interval = 0.5
    assert narrow["sales_upper"].tolist() == forecaster.predict(df=frame)["sales_upper"].tolist()
    assert bptt_("predict", folder / "model", folder / "wave.csv", "-o", "-") == forecaster_csv(expected)


def forecaster_csv(frame: Any) -> str:
    return str(frame.to_csv(index=False, lineterminator="\n"))


def test_evaluate_scores_the_rows_that_are_new(folder: Path, bptt_: Any) -> None:
    output = bptt_("evaluate", folder / "model", folder / "all.csv", "--steps", "5", "--origins", "7")
    scores = Forecaster.load(folder / "model").backtest(pd.read_csv(folder / "all.csv"), 5, 7)
    rows = [re.split(r" {2,}", line.strip()) for line in output.splitlines()]
    assert rows[1][:2] == ["sales", "model"]
    assert float(rows[1][2]) == pytest.approx(scores.loc["sales", "model"]["MAE"], rel=1e-3)  # 4 digits are shown
    by_name = {row[0]: row for row in rows[2:]}
    assert float(by_name["last value"][2]) == pytest.approx(scores.loc["sales", "last value"]["RMSE"], rel=1e-3)
    assert float(by_name["last value"][2]) > 10
    line = bptt_("evaluate", folder / "model", folder / "wave.csv", code=2)
    expected = "expected a sequence with at least 12 rows to score, which were not trained on, got 0 at most\n"
    assert line.endswith(f"wave.csv: {expected}")


def test_where_a_simple_forecast_is_better_the_last_line_says_so(bptt_: Any) -> None:
    random = np.random.default_rng(3)
    pd.DataFrame({"a": random.standard_normal(300).cumsum(), "b": wave(300)}).to_csv("t.csv", index=False)
    output = bptt_("train", "t.csv", "--targets", "a,b", *QUICK, "--out", "m")
    scores = Forecaster(["a", "b"], ensemble=0, steps=6).holdout(pd.read_csv("t.csv"))
    better = [
        f"{target} by {name} ({', '.join(by)})"
        for (target, name), row in scores.iterrows()
        if (by := [each for each in ("MAE", "RMSE") if row[each] < scores.loc[(target, "model"), each]])
    ]
    line = f"Better than the model: {'; '.join(better)}." if better else "No simple forecast has a smaller MAE or RMSE."
    assert output.splitlines()[-1] == line
    from bptt.app.messages import score_table

    worse = scores.copy()
    worse.loc[("a", "model"), "MAE"] = 1e9
    assert score_table(worse).splitlines()[-1].startswith("Better than the model: a by ")
    best = scores.copy()
    best.loc[[("a", "model"), ("b", "model")], ["MAE", "RMSE"]] = 0.0
    assert score_table(best).splitlines()[-1] == "No simple forecast has a smaller MAE or RMSE."


def test_info(folder: Path, bptt_: Any) -> None:
    lines = bptt_("info", folder / "model").splitlines()
    assert lines[:6] == [
        "forecasts of a table: sales, 12 rows ahead",
        "reads: price",
        "of the calendar: month",
        "dates: month, in steps of MS",
        "trained on: 140 rows in 1 sequence, until 2011-08-01 00:00:00",
        "intervals: 90%",
    ]
    assert lines[6].startswith("sales: ")


def test_a_picture(folder: Path, bptt_: Any) -> None:
    pytest.importorskip("matplotlib")
    for name, magic in (("f.png", b"\x89PNG"), ("f.svg", b"<?xml"), ("f.PDF", b"%PDF")):
        output = bptt_("predict", folder / "model", folder / "wave.csv", "--plot", name, "-o", "f.csv")
        assert output.endswith(f"saved: {name}\n")
        assert Path(name).read_bytes().startswith(magic)
    text = Path("f.svg").read_text(encoding="utf-8")
    assert "<!-- sales -->" in text
    assert "<!-- 90% interval -->" in text
    assert "<!-- season 12 -->" in text
    line = bptt_("predict", folder / "model", folder / "wave.csv", "--plot", "f.csv", code=2)
    assert line.startswith("--plot f.csv: expected a name with one of .")
    line = bptt_("predict", folder / "model", folder / "wave.csv", "--plot", "f.csv", "-o", "./f.csv", code=2)
    assert line == "--plot f.csv: expected another file than --out\n"


def test_out_is_written_by_its_suffix_or_refused(folder: Path, bptt_: Any) -> None:
    pytest.importorskip("pyarrow")
    bptt_("predict", folder / "model", folder / "wave.csv", "-o", "f.parquet")
    assert Path("f.parquet").read_bytes()[:4] == b"PAR1"
    expected = Forecaster.load(folder / "model").predict()
    assert pd.read_parquet("f.parquet")["sales"].tolist() == expected["sales"].tolist()
    bptt_("predict", folder / "model", folder / "wave.csv", "-o", "f.tsv.gz")
    assert pd.read_csv("f.tsv.gz", sep="\t", **EXACT)["sales"].tolist() == expected["sales"].tolist()
    for name in ("f.npz", "f.json", "f"):
        line = bptt_("predict", folder / "model", folder / "wave.csv", "-o", name, code=2)
        assert line.startswith(f"--out {name}: ")
        assert ".parquet or .xlsx, got" in line
        assert not Path(name).exists()


def test_parquet_without_its_package_is_refused(folder: Path, bptt_: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", missing)
    line = bptt_("predict", folder / "model", folder / "wave.csv", "-o", "f.parquet", code=2)
    assert "writing .parquet needs pyarrow: pip install pyarrow" in line
    assert not Path("f.parquet").exists()


# ---- Cases ----


def trained(bptt_: Any, text: str | bytes, *more: str, name: str = "t.csv") -> str:
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return str(bptt_("train", name, *QUICK, *more, "--out", "m"))


def test_a_date_an_hour_and_decimal_commas(bptt_: Any) -> None:
    lines = [
        f"{t // 24 + 1:02d}.01.2024;{t % 24};{100 + t % 24 + 0.5 * (t % 7):.1f}".replace(".5", ",5") for t in range(480)
    ]
    lines = [re.sub(r"\.0$", ",0", line) for line in lines]
    output = trained(bptt_, "date;hour;load\n" + "\n".join(lines) + "\n")
    assert "\npredicts: load, 6 rows ahead\n" in output
    assert "comma" in output
    out = read(bptt_("predict", "m", "t.csv"))
    assert out["load"].between(100, 126.5).all()
    assert (out["date"][0], out["hour"].tolist()) == ("21.01.2024", [0, 1, 2, 3, 4, 5]), "in the form of the table"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("1.0,,3.0\n" + "".join(f"{t % 5}.5,{t % 7},{t % 3}.25\n" for t in range(90)), "1"),
        (
            "".join(f"{d:%Y-%m-%d},{t % 7}.5\n" for t, d in enumerate(pd.date_range("2024-01-01", periods=90))),
            "2",
        ),
    ],
    ids=["a missing cell", "a date"],
)
def test_without_names_the_first_row_is_a_row(text: str, first: str, bptt_: Any) -> None:
    output = trained(bptt_, text)
    assert f"table: t.csv, {text.count(chr(10))} rows, " in output
    assert first in re.findall(r"\npredicts: (.*), 6 rows ahead", output)[0].split(", "), "columns are numbered"


@pytest.mark.parametrize("text", ["sep=;\nA;B\n", "A|B\n"])
def test_separators(text: str, bptt_: Any) -> None:
    mark = text.rstrip()[-2]
    output = trained(bptt_, text + "".join(f"{t % 5}{mark}{t % 7}.5\n" for t in range(90)))
    assert "table: t.csv, 90 rows, 2 columns\n" in output
    assert "\npredicts: A, B, 6 rows ahead\n" in output


def test_newest_first_goes_on_after_the_newest(bptt_: Any) -> None:
    output = trained(bptt_, months(60, y=wave(60))[::-1].to_csv(index=False))
    assert "\nrows stand newest first: they are turned round\n" in output
    assert read(bptt_("predict", "m", "t.csv"))["month"][0] == "2005-01-01"


def test_one_day_twice_is_refused(bptt_: Any) -> None:
    frame = months(60, y=wave(60))
    frame.loc[30, "month"] = frame.loc[29, "month"]
    frame.to_csv("t.csv", index=False)
    line = bptt_("train", "t.csv", code=2)
    assert line.startswith("t.csv: ")
    assert "2002-06-01" in line
    assert not Path("model.safetensors").exists()


def test_a_night_that_is_missing_is_filled_and_said(bptt_: Any) -> None:
    dates = pd.date_range("2024-01-01", periods=240, freq="h")
    frame = pd.DataFrame({"date": dates, "y": wave(240)})
    frame = frame[~((dates.day == 5) & (dates.hour < 6))]
    output = trained(bptt_, frame.to_csv(index=False))
    assert (
        "gaps: 6 rows of h missing, the longest gap 6 rows from 2024-01-05 00:00:00; filled by a straight line (see "
        in output
    )


def test_ids_in_two_columns(bptt_: Any) -> None:
    frame = pd.concat(
        [months(60, store=s, item=f"{i:02d}", y=100 * s + 10 * i + wave(60)) for s in (1, 2) for i in (1, 2)]
    ).sort_values("month", kind="stable")
    commas = trained(bptt_, frame.to_csv(index=False), "--targets", "y", "--id", "store,item")
    first = Path("m").read_bytes()
    several = trained(bptt_, frame.to_csv(index=False), "--targets", "y", "--id", "store", "--id", "item")
    assert Path("m").read_bytes() == first
    assert commas.splitlines()[:5] == several.splitlines()[:5]
    out = pd.read_csv(io.StringIO(bptt_("predict", "m", "t.csv", "--steps", "2")), dtype=str)
    assert out[["store", "item"]].to_numpy().tolist() == [
        [s, i] for s, i in (("1", "01"), ("1", "02"), ("2", "01"), ("2", "02")) for _ in range(2)
    ]
    y = out["y"].astype(float).to_numpy()[::2]
    np.testing.assert_allclose(y, [160, 170, 260, 270], atol=1)  # each goes on at its own level
    # Alone in a file, a sequence goes on as it does beside others.
    frame[(frame["store"] == 2) & (frame["item"] == "01")].to_csv("one.csv", index=False)
    alone = pd.read_csv(io.StringIO(bptt_("predict", "m", "one.csv", "--steps", "2")), dtype=str)
    assert alone.to_numpy().tolist() == out[4:6].to_numpy().tolist()


def test_ids_of_few_rows_and_of_many(bptt_: Any) -> None:
    frame = pd.concat([months(n, shop=f"s{n}", y=wave(n)) for n in (1, 2, 50, 300)]).sort_values("month", kind="stable")
    trained(bptt_, frame.to_csv(index=False), "--id", "shop")
    out = read(bptt_("predict", "m", "t.csv", "--steps", "3"))
    assert out["shop"].value_counts().to_dict() == {"s1": 3, "s2": 3, "s50": 3, "s300": 3}
    assert out["y"].notna().all()


def test_all_of_ten_sequences_are_trained_on_and_scored(bptt_: Any) -> None:
    frame = pd.concat([months(60, shop=f"s{i}", y=wave(60, i) + i) for i in range(10)])
    trained(bptt_, frame.to_csv(index=False), "--id", "shop")
    assert "trained on: 600 rows in 10 sequences" in bptt_("info", "m")


def test_white_noise_is_left_out_and_named(bptt_: Any) -> None:
    frame = pd.DataFrame({"y": wave(300), "noise": np.random.default_rng(0).standard_normal(300), "k": 7.0})
    output = trained(bptt_, frame.to_csv(index=False))
    assert "\npredicts: y, 6 rows ahead\n" in output
    assert "\nleft out: k (the same in all rows: 7)\n" in output
    assert (
        "\nnot forecast, because its values do not follow from those before them: noise (name it with --tar" in output
    )
    assert np.abs(read(bptt_("predict", "m", "t.csv"))["y"] - wave(306)[300:]).max() < 0.5


def test_unix_seconds_are_dates_and_no_target(bptt_: Any) -> None:
    frame = pd.DataFrame({"": range(200), "ts": 1_700_000_000 + 600 * np.arange(200), "y": wave(200)})
    output = trained(bptt_, frame.to_csv(index=False))
    assert "\npredicts: y, 6 rows ahead\n" in output
    out = read(bptt_("predict", "m", "t.csv"))
    assert out["ts"].tolist() == [1_700_000_000 + 600 * t for t in range(200, 206)], "as the table has them"


def test_missing_values_at_the_start(bptt_: Any) -> None:
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=240, freq="h"), "pm2.5": wave(240)})
    frame.loc[:23, "pm2.5"] = np.nan
    output = trained(bptt_, frame.to_csv(index=False))
    assert "pm2.5: 24 missing cells" in output
    assert np.abs(read(bptt_("predict", "m", "t.csv"))["pm2.5"] - wave(246)[240:]).max() < 0.5


def test_one_spike_among_zeros(bptt_: Any) -> None:
    y = np.zeros(200)
    y[70] = 83412.7
    trained(bptt_, pd.DataFrame({"y": y}).to_csv(index=False), "--targets", "y")
    assert np.abs(read(bptt_("predict", "m", "t.csv"))["y"]).max() < 1000


def test_headers_in_latin_1_and_with_a_family(bptt_: Any) -> None:
    rows = "".join(f"{20 + t % 12}.5\n" for t in range(90))
    trained(bptt_, ("°C\n" + rows).encode("latin-1"))
    assert bptt_("predict", "m", "t.csv").startswith("step,°C,")
    trained(bptt_, "👨‍👩‍👧\n" + rows)
    assert bptt_("predict", "m", "t.csv").startswith("step,👨‍👩‍👧,")


# ---- What is known in advance ----


def test_what_is_known_in_advance(bptt_: Any) -> None:
    holiday = (np.arange(200) % 11 == 0) * 1
    y = 10 + 5 * holiday + 0.1 * np.random.default_rng(0).standard_normal(200)
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=200), "y": y, "holiday": holiday})
    trained(bptt_, frame[:190].to_csv(index=False), "--targets", "y", "--future", "holiday")
    line = bptt_("predict", "m", "t.csv", code=2)
    assert line.startswith("--future-rows: expected holiday in the 6 rows to come")
    frame[190:].drop(columns="y").to_csv("future.csv", index=False)
    out = bptt_("predict", "m", "t.csv", "--future-rows", "future.csv", "--steps", "10")
    assert np.abs(read(out)["y"] - (10 + 5 * holiday[190:])).max() < 1
    assert holiday[190:].any()
    frame.loc[190:, "y"] = np.nan
    frame.to_csv("both.csv", index=False)
    assert bptt_("predict", "m", "both.csv", "--steps", "10") == out


# ---- Texts and tables are told apart ----

NUMBERS = "a,b\n" + "".join(f"{t % 7},{t % 5}.5\n" for t in range(300))


def test_a_table_with_the_name_of_a_text_is_asked_about(bptt_: Any) -> None:
    Path("t.txt").write_text(NUMBERS)
    line = "t.txt: looks like a table: say --table, or --text to learn it as a text\n"
    assert bptt_("train", "t.txt", code=2) == line
    assert not Path("model.safetensors").exists()
    assert "table: t.txt, 300 rows" in bptt_("train", "t.txt", "--table", *QUICK)
    assert isinstance(Forecaster.load("model.safetensors"), Forecaster)


def test_a_table_on_standard_input_is_asked_about(tmp_path: Path) -> None:
    line = error_line("train", "-", cwd=tmp_path, stdin=NUMBERS)
    assert line == "standard input: looks like a table: say --table, or --text to learn it as a text"
    assert run("train", "-", "--table", *QUICK, cwd=tmp_path, stdin=NUMBERS).stdout.startswith("table: standard input,")
    text = ("--hidden", "4", "--updates", "20", "--truncate", "16")
    assert "text: standard input, " in run("train", "-", "--text", *text, cwd=tmp_path, stdin=NUMBERS).stdout
    words = "a few words of a text, and é\n" * 100
    output = run("train", "-", *text, cwd=tmp_path, stdin=words).stdout
    assert f"text: standard input, {len(words):,} characters" in output, "the beginning that was looked at is read too"


def test_a_text_called_csv(bptt_: Any, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.csv").write_text(NUMBERS)
    arguments = ("train", "t.csv", "--text", "--hidden", "4", "--updates", "20", "--truncate", "16")
    assert bptt.app.options.main(arguments) == 0
    assert capsys.readouterr().out.startswith("text: t.csv, ")


# ---- What is refused ----


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("train", "wave.csv", "--targets", "speed"),
            "--targets: expected columns of the table (month, sales",
        ),
        (("train", "wave.csv", "--targets", "sales,sales"), "bptt train: argument --targets: expected different names"),
        (("train", "wave.csv", "--updates", "5"), "--updates: expected with a text only"),
        (("train", "wave.csv", "--network", "elman"), "--network: expected with a text only"),
        (("train", "wave.csv", "--resume"), "--resume: expected with a text only"),
        (("train", "wave.csv", "--hidden", "4,5"), "--hidden: expected one number with a table"),
        (("train", "wave.csv", "--horizon", "2"), "bptt train: unrecognized arguments: --horizon 2"),
        (
            ("train", "output", "--text", "--targets", "a"),
            "--targets: expected with a table (.csv, .tsv, .npz, .parquet",
        ),
        (("train", "output", "--text", "--no-header"), "--no-header: expected with a table ("),
        (("train", "--steps", "2"), "--steps: expected with a table ("),
        (("train", "--table"), "--table: expected the name of a file, or - for standard input"),
        (("train", "wave.csv", "--table", "--text"), "bptt train: argument --text: not allowed with argument --table"),
        (("train", "wave.csv", "--separator", "ab"), "--separator: expected one character, "),
        (("train", "wave.csv", "--calendar", "moon"), "--calendar: expected "),
        (("train", "wave.csv", "--time", "when"), "--time: expected "),
        (
            ("train", "wave.csv", "--interval", "1"),
            "bptt train: argument --interval: expected a number above 0 and below",
        ),
        (("train", "wave.csv", "--out", "wave.csv"), "--out wave.csv: is a file that is read, wave.csv"),
        (("train", "missing.csv"), "missing.csv: No such file"),
        (
            ("predict", "model", "output"),
            "output: expected the columns of training, got a table without 'sales', 'price'",
        ),
        (("predict", "model", "wave.csv", "-o", "wave.csv"), "--out wave.csv: is a file that is read"),
        (("predict", "model", "wave.csv", "-o", "model"), "--out model: is a file that is read"),
        (("predict", "model", "wave.csv", "-o", "none/out.csv"), "--out none/out.csv: cannot write into"),
        (("predict", "model", "wave.csv", "--plot", "wave.csv"), "--plot wave.csv: is a file that is read"),
        (("predict", "wave.csv", "wave.csv"), "wave.csv: expected a safetensors file"),
        (
            ("sample", "model"),
            "model: expected a model of a text, got forecasts of a table: `bptt predict` continues it",
        ),
        (("export-c", "model"), "model: expected a network, got forecasts of a table, which average several networks"),
    ],
    ids=lambda value: " ".join(value[:4]) if isinstance(value, tuple) else "",
)
def test_refusals(folder: Path, arguments: tuple[str, ...], message: str, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code: Any
    try:
        code = bptt.app.options.main(arguments)
    except SystemExit as error:  # of the parser
        code = error.code
    line = capsys.readouterr().err.removeprefix("bptt: ")
    assert code == 2
    assert line.startswith(message)
    assert line.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_networks_are_no_forecasts_of_tables(folder: Path, bptt_: Any) -> None:
    bptt.ElmanRNN(2, 4, 2, output="linear").save("bare")
    assert "expected forecasts of a table" in bptt_("predict", "bare", folder / "wave.csv", code=2)
    assert "not a character model, nor forecasts of a table" in bptt_("evaluate", "bare", folder / "wave.csv", code=2)


def test_load_names_who_reads_forecasts(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"model: expected a network, got .* bptt\.forecast\.Forecaster\.load reads$"):
        bptt.load(folder / "model")


def test_a_damaged_model_is_refused(folder: Path, bptt_: Any) -> None:
    data = (folder / "model").read_bytes()
    for part in (data[:-9], data[: len(data) // 2], data[:9], data.replace(b'"format', b'"f0rmat')):
        Path("bad").write_bytes(part)
        assert bptt_("info", "bad", code=2).startswith("bad: ")


def test_without_pandas(folder: Path) -> None:
    """Texts need none; a table is one line."""
    program = f"""if True:
        import os, sys
        sys.modules["pandas"] = None
        os.chdir({str(folder)!r})
        from bptt.app.options import main
        print(main(["train", "wave.csv"]), main(["info", "model"]), main(["train", "none"]))
    """
    done = run_python(program)
    assert done.stdout == "2 2 2\n"
    assert done.stderr.splitlines() == [
        'bptt: wave.csv: tables need pandas: pip install "bptt[tables]"',
        'bptt: model: tables need pandas: pip install "bptt[tables]"',
        "bptt: none: No such file or directory",
    ]


def test_a_text_does_not_wait_for_pandas(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a few words of a text\n" * 100)
    program = f"""if True:
        import os, sys
        os.chdir({str(tmp_path)!r})
        from bptt.app.options import main
        assert main(["train", "text", "--hidden", "4", "--updates", "20", "--truncate", "16"]) == 0
        print("pandas" in sys.modules)
    """
    assert run_python(program).stdout.endswith("\nFalse\n")
