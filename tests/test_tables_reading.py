"""Files as tables: what is read, what is found out, and what is refused because two readings are plausible."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas", reason="pandas is not installed")
from bptt.forecast import TableError, looks_like_table, read_table  # noqa: E402  (which needs it)
from bptt.forecast.cells import cells_per_line  # noqa: E402
from bptt.forecast.numbers import Notation, numbers_in  # noqa: E402

PACKAGES = {"pyarrow", "fastparquet", "openpyxl", "xlrd"}
DAYS = [f"2020-01-{day:02d}" for day in range(1, 32)]


def read(text: str | bytes, /, **options: Any) -> Any:
    return read_table(text.encode() if isinstance(text, str) else text, **options)[0]


def notes(text: str | bytes, /, **options: Any) -> str:
    return "\n".join(read_table(text.encode() if isinstance(text, str) else text, **options)[1])


def columns(text: str | bytes, /, **options: Any) -> dict[str, list[Any]]:
    """What is read; None where missing."""
    frame = read(text, **options)
    return {name: [None if pd.isna(cell) else cell for cell in frame[name].tolist()] for name in frame.columns}


def refused(text: str | bytes, /, *words: str, **options: Any) -> None:
    with pytest.raises(TableError) as raised:
        read(text, **options)
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


# ---- The cases, each with its right outcome ----


def test_a_date_an_hour_and_decimal_commas() -> None:
    text = "date;hour;load\n2020-01-01;0;1,5\n2020-01-01;1;12,25\n2020-01-01;2;3\n"
    assert columns(text) == {"date": ["2020-01-01"] * 3, "hour": [0, 1, 2], "load": [1.5, 12.25, 3.0]}
    assert "decimal commas: load (see decimal (--decimal))" in notes(text)


def test_a_first_line_of_numbers_and_a_missing_cell_is_a_row() -> None:
    text = "1.0,,3.0\n4,5,6\n7,8,9\n"
    assert columns(text) == {"1": [1.0, 4.0, 7.0], "2": [None, 5.0, 8.0], "3": [3.0, 6.0, 9.0]}
    assert "header (--header, --no-header)" in notes(text)
    assert list(columns(text, header=True)) == ["1.0", "column 2", "3.0"]


def test_a_first_line_with_a_date_is_a_row() -> None:
    text = "2020-01-01,5.0\n2020-01-02,6.0\n2020-01-03,7.5\n"
    assert columns(text) == {"1": DAYS[:3], "2": [5.0, 6.0, 7.5]}
    assert columns("2020-01-01,5.0,sunny\n2020-01-02,6.0,rain\n")["3"] == ["sunny", "rain"]


def test_excels_sep_line_names_the_separator() -> None:
    assert columns("sep=;\na;b\n1,5;2\n3;4\n") == {"a": [1.5, 3.0], "b": [2, 4]}
    assert columns('"sep=|"\na|b\n1|2\n') == {"a": [1], "b": [2]}


def test_bars() -> None:
    assert columns("A|B\n1|2\n3|4\n") == {"A": [1, 3], "B": [2, 4]}


def test_latin_1() -> None:
    text = "date,t °C\n2020-01-01,3\n".encode("latin-1")
    assert list(columns(text)) == ["date", "t °C"]
    assert "encoding (--encoding)" in notes(text)
    assert list(columns(text, encoding="latin-1")) == ["date", "t °C"]


def test_a_family_in_a_header() -> None:
    family = "\U0001f468‍\U0001f469‍\U0001f467"
    assert columns(f"{family},b\n1,2\n") == {family: [1], "b": [2]}


# ---- Numbers ----


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,234.50", "2.5"], [1234.5, 2.5]),
        (["1.234,50", "2,5"], [1234.5, 2.5]),
        (["1.234.567", "2,5"], [1234567, 2.5]),
        (["1,234,567", "12"], [1234567, 12]),
        (["1 234,5", "1\u00a0234", "7\u202f654,25"], [1234.5, 1234, 7654.25]),
        (["1'234.5", "12"], [1234.5, 12]),
        (["12 %", "3.5%", "0"], [12, 3.5, 0]),
        (["True", "False", "true"], [1, 0, 1]),
        (["$1,234.50", "$2.00"], [1234.5, 2]),
        (["\u22125", "3"], [-5, 3]),
        (["-1,5e3", "+2"], [-1500, 2]),
        (["1e-3", ".5"], [0.001, 0.5]),
        (["0,123", "0,5"], [0.123, 0.5]),
        (["0,123", "4,567"], [0.123, 4.567]),
        (["987", "1,234", "12,345", "2,002"], [987, 1234, 12345, 2002]),
        (["NA", "5", "n/a", "#N/A", "-", "?", "null", ""], [None, 5, None, None, None, None, None, None]),
    ],
)
def test_numbers_as_people_write_them(cells: list[str], expected: list[float | None]) -> None:
    for separator in ";\t|":
        text = separator.join(["date", "x", "z"]) + "\n"
        text += "".join(f"{day}{separator}{cell}{separator}7\n" for day, cell in zip(DAYS, cells, strict=False))
        assert columns(text) == {"date": DAYS[: len(cells)], "x": expected, "z": [7] * len(cells)}, separator
    quoted = "x,z\n" + "".join(f'"{cell}",7\n' for cell in cells)
    assert columns(quoted) == {"x": expected, "z": [7] * len(cells)}


def test_many_cells_are_read_as_each_of_them() -> None:
    cells = [
        "1,234.5",
        "0",
        "-0.5",
        "True",
        "NA",
        "",
        " 7 ",
        "1\u00a0234",
        "12",
        "0.0",
        "+3",
        "1e5",
        "-2,000",
        "inf",
        "00",
    ]
    numbers, _ = numbers_in(cells, Notation(".", ","))
    assert numbers is not None
    one_by_one = np.array([Notation(".", ",").read(cell) for cell in cells], np.float64)
    assert np.array_equal(numbers, one_by_one, equal_nan=True)
    cells = ["1.234,5 %", "0", "0,5%", "", "12 %"]
    numbers, _ = numbers_in(cells, Notation(",", ".", percent=True))
    assert numbers is not None
    assert np.array_equal(numbers, [1234.5, 0, 0.5, np.nan, 12], equal_nan=True)
    assert numbers_in(["1", "2", "1.2.3", "x"], Notation()) == (None, "1.2.3")
    assert numbers_in(["1", "2\n3"], Notation()) == (None, "2\n3")


def test_what_may_be_thousands_or_decimals_is_refused_unless_something_tells() -> None:
    refused("d;x\na;1,234\nb;2,345\n", "column 'x'", "'1,234' may be 1234 or 1.234", "decimal (--decimal)")
    refused("d;x\na;1.234\nb;2.345\n", "'1.234' may be 1234 or 1.234", "decimal (--decimal)")
    assert columns("d,x\na,1.234\nb,2.345\n")["x"] == [1.234, 2.345], "as most of the world writes, and commas separate"
    for options, value in (({"decimal": ","}, 1.234), ({"decimal": "."}, 1234), ({"thousands": ","}, 1234)):
        assert columns("d;x\na;1,234\nb;2,345\n", **options)["x"][0] == value, options
    assert columns("y;x\n0,5;1,234\n7,5;2,345\n")["x"] == [1.234, 2.345], "another column has decimal commas"
    assert columns("y;x\n0,5;1.234\n7,5;2.345\n")["x"] == [1234, 2345]
    assert columns("y;x\n0.5;1,234\n7.5;2,345\n")["x"] == [1234, 2345], "another column has decimal points"
    assert "marks of thousands: x (1,234)" in notes("y;x\n0.5;1,234\n7.5;2,345\n")


def test_a_point_that_comes_late_is_looked_at_too() -> None:
    rows = "".join(f"{i};{i % 900}\n" for i in range(300))
    refused(f"d;x\n{rows}a;1.234\n", "'1.234' may be 1234 or 1.234")
    assert columns(f"d;x\n{rows}a;1.25\n")["x"][-1] == 1.25


def test_a_decimal_mark_that_is_not_that_of_the_file_is_refused() -> None:
    refused("x;y\n1.5;2\n2.25;3\n", "column 'x'", "decimal (--decimal)", "'1.5'", decimal=",")
    refused("x;y\n1,5;2\n2,25;3\n", "decimal (--decimal)", "'1,5'", decimal=".")


def test_numbers_are_read_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.standard_normal(5000) * 10.0 ** rng.integers(-300, 300, 5000)
    texts = [repr(number) for number in numbers.tolist()]
    assert read("x\n" + "\n".join(texts) + "\n").x.to_numpy().tobytes() == numbers.tobytes()
    commas = "x;y\n" + "\n".join(f"{text.replace('.', ',')};1" for text in texts)
    assert read(commas).x.to_numpy().tobytes() == numbers.tobytes()
    mixed = read('x,y\n"1,000.5",1\n' + "\n".join(f"{text},1" for text in texts))
    assert mixed.x.to_numpy()[1:].tobytes() == numbers.tobytes()


def test_a_cell_that_is_no_number_keeps_its_column_as_text() -> None:
    assert columns("a,b\n1,2\nx,4\n3,5\n") == {"a": ["1", "x", "3"], "b": [2, 4, 5]}


def test_texts_stay_what_they_are() -> None:
    assert columns("store,x\n007,1\n008,2\n")["store"] == ["007", "008"]
    late = "store,x\n" + "".join(f"{i},1\n" for i in range(100, 500)) + "007,1\n"
    assert columns(late, text=["store"])["store"][-1] == "007"
    assert columns("land,x\nNA,1\nDE,2\n", text=["land"])["land"] == ["NA", "DE"]
    assert columns("land,x\nNA,1\nDE,2\n")["land"] == [None, "DE"]


def test_what_is_missing() -> None:
    assert columns("x,y\n-999,1\n5,-999\n", na="-999") == {"x": [None, 5.0], "y": [1.0, None]}
    assert columns("x,y\nk.A.,1\n5,2\n", na=["k.A."])["x"] == [None, 5.0]
    assert columns("x\n1\n\n3\n") == {"x": [1.0, None, 3.0]}, "an empty line of one column is a missing cell"
    assert columns("x,y\n1,2\n\n3,4\n,\n") == {"x": [1.0, 3.0], "y": [2.0, 4.0]}
    assert "1 row without a cell" in notes("x,y\n1,2\n\n3,4\n,\n")


# ---- Lines ----


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_separators_ends_of_lines_and_marks(separator: str, end: str, mark: bytes) -> None:
    rows = ["day,a,b", "Mon,1,2.5", "Tue,-3e2,4", "Wed,5,6"]
    data = mark + end.join(rows).replace(",", separator).encode() + end.encode()
    assert columns(data) == {"day": ["Mon", "Tue", "Wed"], "a": [1, -300, 5], "b": [2.5, 4, 6]}
    assert columns(data, separator=separator) == columns(data)


def test_a_separator_of_ones_own() -> None:
    assert columns("a:b\n1:2\n", separator=":") == {"a": [1], "b": [2]}
    assert columns("a   b\n1     2\n", separator="space") == {"a": [1], "b": [2]}
    refused("a,b\n1,2\n", "separator (--separator)", "'ab'", separator="ab")
    refused("a,b\n1,2\n", "separator (--separator)", separator=";")


def test_quotes() -> None:
    assert columns('"x, in m","a ""b""",c\n"1","2","two\nlines"\n3,4,5\n') == {
        "x, in m": [1, 3],
        'a "b"': [2, 4],
        "c": ["two\nlines", "5"],
    }
    assert columns('size,x\n5" pipe,1\n7" pipe,2\n') == {"size": ['5" pipe', '7" pipe'], "x": [1, 2]}


def test_lines_of_other_lengths_are_refused_by_their_number() -> None:
    refused("a,b,c\n1,2,3\n4,5\n6,7,8\n", "line 3", "expected 3 cells between commas", "got 2")
    rows = "".join("1,2,3\n" for _ in range(400))
    refused(f"a,b,c\n{rows}4,5\n{rows}", "line 402", "got 2", "skip_rows (--skip-rows)")
    refused(f"a,b,c\n{rows}4,5,6,7\n{rows}", "line 402", "got 4")
    refused(f"t\na,b,c\n{rows}4,5,6,7\n", "line 403", "got 4", skip_rows=1)
    refused("date,load\n2020-01-01,1,5\n2020-01-02,2,5\n2020-01-03,2,7\n", "separator (--separator)")


def test_a_units_row_is_left_out() -> None:
    text = "date,load,temp\n,MW,°C\n2020-01-01,1,2\n2020-01-02,3,4\n"
    assert columns(text) == {"date": DAYS[:2], "load": [1, 3], "temp": [2, 4]}
    assert "units of the columns: 'MW °C'" in notes(text)


def test_names_in_two_lines_are_joined() -> None:
    text = "date,load,,temp\n,mean,max,mean\n2020-01-01,1,2,3\n2020-01-02,4,5,6\n"
    assert list(columns(text)) == ["date", "load mean", "load max", "temp mean"]
    assert "two lines" in notes(text)
    refused("d,a,b\nx,y,z\nu,v,w\n1,2,3\n4,5,6\n", "skip_rows (--skip-rows)")


def test_names_that_stand_twice() -> None:
    assert columns("load,load,load.1\n1,2,3\n") == {"load": [1], "load.2": [2], "load.1": [3]}
    assert "'load' names several columns" in notes("load,load\n1,2\n3,4\n")


def test_lines_before_and_after_the_table() -> None:
    text = "Station 7, Rome\n\ndate,t\n2020-01-01,3\n2020-01-02,4\nSource: the office\n"
    assert columns(text) == {"date": DAYS[:2], "t": [3, 4]}
    assert "skip_rows (--skip-rows)" in notes(text)
    assert "left out as a footer: 1 line from line 6 on" in notes(text)
    assert columns(text, skip_rows=2, skip_footer=1) == {"date": DAYS[:2], "t": [3, 4]}
    assert columns("a,b\n1,2\n3,4\nTotal,6\n", skip_footer=1) == {"a": [1, 3], "b": [2, 4]}


def test_comments() -> None:
    text = "# of today\na,b\n1,2 # good\n# between\n3,4\n"
    assert columns(text, comment="#") == {"a": [1, 3], "b": [2, 4]}
    refused("#\na,b\n1,2\n3,4,5\n4,5\n1,2\n", "line 4", comment="#")


def test_names_from_other_programs() -> None:
    assert columns('"x" "y"\n"1" 2 3\n"2" 4 5\n') == {"column 1": [1, 2], "x": [2, 4], "y": [3, 5]}, "R"
    assert columns(",0,1\n0,5,6\n1,7,8\n") == {"column 1": [0, 1], "0": [5, 7], "1": [6, 8]}, "pandas"
    assert columns(",load\n2020-01-01,5\n2020-01-02,6\n") == {"date": DAYS[:2], "load": [5, 6]}, "pandas, with dates"
    assert columns("a,b,\n1,2,\n3,4,\n") == {"a": [1, 3], "b": [2, 4]}, "a comma at each end"
    refused("country,1990,1991\nFrance,5,6\nSpain,7,8\n", "header (--header, --no-header)")
    assert list(columns("country,1990,1991\nFrance,5,6\n", header=True)) == ["country", "1990", "1991"]


def test_lines_that_begin_with_a_number_sign() -> None:
    text = "# Mauna Loa\n# year month co2\n1960 1 316.5\n1960 2 317.25\n1960 3 317\n"
    assert columns(text) == {"1": [1960] * 3, "2": [1, 2, 3], "3": [316.5, 317.25, 317]}
    assert "2 lines that begin with # (see comment (--comment))" in notes(text)
    assert list(columns("#date,x\n2020-01-01,3\n2020-01-02,4\n")) == ["#date", "x"]


def test_a_table_of_markdown() -> None:
    assert columns("| date | x |\n|------|--:|\n| 2020-01-01 | 3 |\n| 2020-01-02 | 4 |\n") == {
        "date": DAYS[:2],
        "x": [3, 4],
    }


def test_one_column() -> None:
    assert columns("x\n1\n2\n") == {"x": [1, 2]}
    assert columns("load MW\n1,2\n3,4\n") == {"load MW": [1.2, 3.4]}
    assert columns("1\n2\n") == {"1": [1, 2]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"a,b\n", "no rows"),
        (b"a,b\n,\n,\n", "missing"),
        (b"a,b\n1,\x00\n", "bytes of 0"),
    ],
)
def test_no_table(text: bytes, words: str) -> None:
    refused(text, words)


# ---- Encodings, containers, sources ----


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings(encoding: str) -> None:
    text = "date,t °C\n" + "".join(f"{day},{i}\n" for i, day in enumerate(DAYS))
    assert columns(text.encode(encoding)) == columns(text)
    assert columns(text.encode("utf-8-sig"), encoding="utf-8") == columns(text)


def test_an_encoding_that_cannot_be_found_out_is_asked_for() -> None:
    text = "Дата;Нагрузка\n2020-01-01;1,5\n2020-01-02;2,5\n"
    refused(text.encode("cp1251"), "byte 0x", "encoding (--encoding)")
    assert columns(text.encode("cp1251"), encoding="cp1251") == {"Дата": DAYS[:2], "Нагрузка": [1.5, 2.5]}
    refused(text, "encoding (--encoding)", "'utf-9'", encoding="utf-9")
    refused("a,é\n1,2\n".encode("latin-1"), "encoding (--encoding)", encoding="ascii")


def test_compressed(tmp_path: Path) -> None:
    data = b"a,b\n1,2\n3,4\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("t.csv", data)
    for form in (gzip.compress(data), lzma.compress(data), bz2.compress(data), packed.getvalue()):
        assert columns(form) == {"a": [1, 3], "b": [2, 4]}
        (tmp_path / "t.dat").write_bytes(form)
        assert read_table(tmp_path / "t.dat")[0].equals(read(data))
        with pytest.raises(TableError):
            read(form[: len(form) // 2])
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("u.csv", data)
    refused(packed.getvalue(), "one file in the archive", "t.csv", "u.csv")
    refused(b"\x28\xb5\x2f\xfd" + data, "Zstandard")


def test_standard_input_files_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"a,b\n1,2\n"
    (tmp_path / "t.txt").write_bytes(data)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with (tmp_path / "t.txt").open() as text_file:
        sources = ["-", tmp_path / "t.txt", str(tmp_path / "t.txt"), io.BytesIO(data), bytearray(data), text_file]
        for source in sources:
            assert read_table(source)[0].equals(read(data))
    with pytest.raises(TableError, match=r"none\.csv: No such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(TypeError, match=r"^source: expected a path"):
        read_table(5)


def test_npz() -> None:
    out = io.BytesIO()
    np.savez(out, x=np.arange(24.0).reshape(4, 3, 2))
    frame = read(out.getvalue())
    assert list(frame.columns) == ["sequence", "x.0", "x.1"]
    assert frame.attrs["ids"] == ["sequence"]
    assert frame["sequence"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert frame["x.1"].tolist() == [1, 7, 13, 19, 3, 9, 15, 21, 5, 11, 17, 23]
    out = io.BytesIO()
    np.savez(out, a=np.arange(3), b=np.ones((3, 2), np.float32))
    assert columns(out.getvalue()) == {"a": [0, 1, 2], "b.0": [1.0] * 3, "b.1": [1.0] * 3}
    out = io.BytesIO()
    np.savez(out, a=np.arange(3), b=np.arange(4))
    refused(out.getvalue(), "arrays of one length", "3 rows of a", "4 rows of b")


def test_parquet() -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    out = io.BytesIO()
    frame = pd.DataFrame({"t": pd.date_range("2020", periods=3), "x": [1.5, None, 3]})
    frame.to_parquet(out)
    assert read(out.getvalue()).equals(frame)
    refused(out.getvalue()[:-9], "no Parquet file")


def test_excel() -> None:
    pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    out = io.BytesIO()
    dates = pd.date_range("2020", periods=3, freq="h")
    frame = pd.DataFrame({"t": dates, "x": [1.5, None, 0.3], "name": ["a", "b, c", 'd "e"'], "n": ["1,5", "2,5", "3"]})
    with pd.ExcelWriter(out) as book:
        frame.to_excel(book, sheet_name="one", index=False)
    got = read(out.getvalue())
    assert got["x"].equals(frame["x"])
    assert got["name"].tolist() == frame["name"].tolist()
    assert got["n"].tolist() == [1.5, 2.5, 3]
    assert pd.DatetimeIndex(got["t"]).equals(pd.DatetimeIndex(dates))
    out = io.BytesIO()
    with pd.ExcelWriter(out) as book:
        frame.to_excel(book, sheet_name="one", index=False)
        frame[["x"]].to_excel(book, sheet_name="two", index=False)
    refused(out.getvalue(), "sheet (--sheet)", "one, two")
    assert list(read(out.getvalue(), sheet="two").columns) == ["x"]
    refused(out.getvalue(), "sheet (--sheet)", "'three'", sheet="three")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in {*sys.modules, *PACKAGES} if name.partition(".")[0] in PACKAGES]:
        monkeypatch.setitem(sys.modules, module, None)
    refused(b"PAR1" + bytes(20) + b"PAR1", "reading Parquet needs pyarrow: pip install pyarrow")
    refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "needs xlrd: pip install xlrd")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<x/>")
    refused(out.getvalue(), "needs openpyxl: pip install openpyxl")


def test_frames() -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.date_range("2020", periods=2, name="day"))
    assert list(read_table(frame)[0].columns) == ["day", "x"]
    assert list(read_table(frame.rename_axis(None))[0].columns) == ["time", "x"]
    assert list(read_table(frame.reset_index(drop=True))[0].columns) == ["x"]
    index = pd.MultiIndex.from_product([["a", "b"], pd.date_range("2020", periods=2)], names=["shop", "day"])
    got = read_table(pd.DataFrame({"x": range(4)}, index))[0]
    assert (list(got.columns), got.attrs["ids"]) == (["shop", "day", "x"], ["shop"])
    nullable = pd.DataFrame({"x": pd.array([1, None], "Int64"), "y": [True, None]})
    got = read_table(nullable)[0]
    assert np.array_equal(got["x"].to_numpy(), [1, np.nan], equal_nan=True)
    assert np.array_equal(got["y"].to_numpy(), [1, np.nan], equal_nan=True)
    with pytest.raises(TableError, match="'x' twice"):
        read_table(pd.DataFrame([[1, 2]], columns=["x", "x"]))
    with pytest.raises(TableError, match="empty"):
        read_table(pd.DataFrame())


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"decimal": ";"}, TableError, "decimal (--decimal): expected one of '.' ','"),
        ({"decimal": ",", "thousands": ","}, TableError, "for both"),
        ({"skip_rows": -1}, TableError, "skip_rows (--skip-rows): expected at least 0, got -1"),
        ({"skip_footer": 1.5}, TypeError, "skip_footer (--skip-footer): expected an int, got float"),
        ({"comment": "//"}, TableError, "comment (--comment): expected one character"),
        ({"header": 1}, TypeError, "header (--header, --no-header): expected True, False or None"),
        ({"na": [None]}, TypeError, "na (--na): expected texts"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        read("a,b\n1,2\n", **options)


# ---- Is it a table? ----


def test_tables_look_like_tables_and_texts_do_not() -> None:
    tables = [
        "date;load\n2020-01-01;1,5\n2020-01-02;2\n2020-01-03;2\n",
        "a b c\n1 2 3\n4 5 6\n7 8 9\n",
        "x\n1\n2\n3\n4\n",
        "2020-01-01,5\n2020-01-02,6\n2020-01-03,7\n",
        "day,weather,t\n1,sunny,5\n2,rain,6\n3,rain,7\n",
    ]
    texts = [
        "It was, they say, a dark\nand stormy night; the rain\nfell in torrents, except at\noccasional intervals.\n",
        "FIRST CITIZEN:\nBefore we proceed, hear me speak.\n\nALL:\nSpeak, speak.\n",
        "one\ntwo\nthree\nfour\n",
        "for i in range(10):\n    print(i)\nx = 5\ny = 7\n",
        "1. Of the end\n2. Of the means\nThere is more to say\n",
        "",
    ]
    for text in tables:
        assert looks_like_table(text.encode()), text
        assert looks_like_table(text.encode("utf-16")), text
    for text in texts:
        assert not looks_like_table(text.encode()), text
    long = "".join(f"2020-01-01 00:00,{i}.5\n" for i in range(1000)).encode()
    assert looks_like_table(long[:4096]), "whose last line is cut"


# ---- All that can be written is read ----


def test_every_dialect_is_read_as_what_was_written() -> None:
    rng = np.random.default_rng(7)
    read_ones = 0
    for separator, decimal, header, quote, end, missing in itertools.product(
        ",;\t|", ".,", (True, False), (0, 1), ("\n", "\r\n"), ("", "NA")
    ):
        if separator == decimal and not quote:
            continue
        numbers = np.round(rng.normal(0, 50, (12, 3)), 2)
        cells = [[f"{number:.2f}".replace(".", decimal) for number in row] for row in numbers]
        cells[5][1], numbers[5, 1] = missing, np.nan
        rows = [[DAYS[i], *row] for i, row in enumerate(cells)]
        rows = [["date", "a", "b c", "d"], *rows] if header else rows
        text = end.join(separator.join(f'"{c}"' if quote else c for c in row) for row in rows) + end
        frame = read(text)
        assert list(frame.columns) == (["date", "a", "b c", "d"] if header else ["1", "2", "3", "4"]), text
        assert np.array_equal(frame.iloc[:, 1:].to_numpy(np.float64), numbers, equal_nan=True), text
        read_ones += 1
    assert read_ones == 120


def test_any_bytes_are_read_or_refused() -> None:
    rng = np.random.default_rng(3)
    base = b'date;load\n2020-01-01;1,5\n2020-01-02;"2"\n2020-01-03;3,25\n'
    outcomes = {True: 0, False: 0}
    for _ in range(600):
        data = bytearray(base)
        for _ in range(rng.integers(1, 6)):
            at, what = rng.integers(len(data)), rng.integers(3)
            if what == 0:
                data[at] = rng.integers(256)
            elif what == 1:
                data[at:at] = bytes(rng.choice(list(b';,\t| "\n\r.0159-%\0\xc3'), 2).tolist())
            else:
                del data[at : at + rng.integers(1, 6)]
        try:
            frame, _ = read_table(bytes(data))
        except TableError:
            outcomes[False] += 1
        else:
            assert frame.shape[1] >= 1
            outcomes[True] += 1
    assert min(outcomes.values()) > 50, outcomes


@pytest.mark.parametrize("separator", [",", " ", "\t"])
def test_cells_are_counted_as_a_reader_of_csv_does(separator: str) -> None:
    import csv

    rng = np.random.default_rng(5)
    words = ["1", "", "22", '"a b"', '"c\nd"', '"e,f"', "x"]
    for _ in range(200):
        rows = [
            [words[i] for i in rng.integers(len(words), size=rng.integers(1, 5))] for _ in range(rng.integers(1, 6))
        ]
        if separator == " ":
            rows = [[cell or "0" for cell in row if "\n" not in cell] or ["0"] for row in rows]
        text = "\n".join(separator.join(row) for row in rows)
        counts = cells_per_line(text.encode(), separator)
        expected = [
            len(row) if any(row) or len(row) > 1 else 0 for row in csv.reader(io.StringIO(text), delimiter=separator)
        ]
        assert [n for n in counts.tolist() if n] == [n for n in expected if n], text


def test_a_file_larger_than_a_part_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"".join(b'"a,\nb",%d,,3\n' % i for i in range(50)) + b"1,2,3,4"
    whole = cells_per_line(text, ",").tolist()
    assert [n for n in whole if n] == [4] * 51
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr("bptt.forecast.cells._AT_A_TIME", size)
        assert cells_per_line(text, ",").tolist() == whole, size
        assert cells_per_line(b'a"b,c\nd"e,f', ",").tolist() == [2, 2], "quotes inside of cells are none"
        assert cells_per_line(b"1  2\n\n 3 4 \n5 6", " ").tolist() == [2, 0, 2, 2], size
