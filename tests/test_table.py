"""Tables from files: what a column is, what is missing, and what is refused."""

from __future__ import annotations

import re
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.app.errors import UserError
from bptt.app.table_data import Table, read_table


def table(tmp_path: Path, text: str, name: str = "t.csv") -> Table:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_table(str(tmp_path / name))


def archive(tmp_path: Path, **arrays: Any) -> Table:
    np.savez(tmp_path / "t.npz", **arrays)
    return read_table(str(tmp_path / "t.npz"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv(tmp_path: Path, delimiter: str, end: str, mark: str) -> None:
    rows = ["a,a name,day", "1,2.5,Mon", "-3e2, 4 ,Tue", "", "5,,Wed"]
    found = table(tmp_path, mark + end.join(rows).replace(",", delimiter) + end)
    assert found.names == ["a", "a name", "day"]
    assert [found.is_numeric(name) for name in found.names] == [True, True, False]
    assert found.numbers(["a"], missing=False).tolist() == [[1], [-300], [5]]
    numbers = found.numbers(["a name", "a"], missing=True)
    assert np.array_equal(numbers, np.array([[2.5, 1], [4, -300], [np.nan, 5]]), equal_nan=True)
    assert found.labels("day") == ["Mon", "Tue", "Wed"]
    assert found.rows_of(found.names) == 3


def test_csv_quotes(tmp_path: Path) -> None:
    found = table(tmp_path, '"x, in m","a ""b""",c\n"1","2","two\nlines"\n3,4,5\n')
    assert found.names == ["x, in m", 'a "b"', "c"]
    assert found.numbers(["x, in m", 'a "b"'], missing=False).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(UserError, match=r"t\.csv, line 3, column 'c': expected a number, got 'two\\nlines'$"):
        found.numbers(["c"], missing=True)  # the line where the row ends, as editors count


def test_csv_without_names(tmp_path: Path) -> None:
    found = table(tmp_path, "1,2\n3,4\n")
    assert (found.names, found.named) == (["1", "2"], False)
    assert found.numbers(["2"], missing=False).tolist() == [[2], [4]]


def test_names_that_are_numbers_beside_an_index(tmp_path: Path) -> None:
    found = table(tmp_path, ",0,1\n0,5,6\n1,7,8\n")
    assert (found.names, found.named) == (["0", "1"], True)
    assert found.numbers(["1"], missing=False).tolist() == [[6], [8]]


@pytest.mark.parametrize(
    "text", ["Last, netto;T\n1;2\n", '"a,b,c";d\n1;2\n', "a b c\td\n1,5\t2\n", "T;Last, netto, brutto\n1;2,5\n"]
)
def test_the_delimiter_gives_rows_as_many_cells_as_names(tmp_path: Path, text: str) -> None:
    assert len(table(tmp_path, text).names) == 2


def test_an_empty_line_is_a_missing_cell_of_a_single_column(tmp_path: Path) -> None:
    numbers = table(tmp_path, "\na\n1\n\n3\n\n").numbers(["a"], missing=True)
    assert np.array_equal(numbers[:, 0], np.array([1, np.nan, 3]), equal_nan=True)
    assert len(table(tmp_path, "\na,b\n1,2\n\n3,4\n\n").labels("a")) == 2


def test_ids_are_not_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t\.csv, line 3, column 'a': expected the id of a sequence, got none"):
        table(tmp_path, "a,b\n1,2\n ,4\n").labels("a")


def test_why_a_column_is_not_numeric(tmp_path: Path) -> None:
    found = table(tmp_path, "a,b,c,d\n1,2,,x\nfive,1_000,NA,y\n")
    reasons = ["line 3: 'five'", "line 3: '1_000'", "no number", "line 2: 'x'"]
    assert [found.why_not_numeric(name) for name in found.names] == reasons
    assert not any(map(found.is_numeric, found.names))
    assert archive(tmp_path, a=np.array(["x"])).why_not_numeric("a") == "an array of <U1"


def test_wide_tables_have_short_errors(tmp_path: Path) -> None:
    found = table(tmp_path, ",".join(f"c{i}" for i in range(3000)) + "\n" + ",".join("1" * 3000) + "\n")
    with pytest.raises(UserError, match=r"has no column 'x'; it has c0, c1, .*, c9 and 2,990 more$"):
        found.expand("--inputs", ["x"])


def test_an_index_without_a_name_is_left_out(tmp_path: Path) -> None:
    assert table(tmp_path, ",x\n0,5\n1,6\n").names == ["x"]


@pytest.mark.parametrize("cell", ["", " ", "NA", "N/A", "nan", "NaN", "null", "None", "?"])
def test_missing_cells(tmp_path: Path, cell: str) -> None:
    found = table(tmp_path, f"a,b\n1,2\n3,{cell}\n")
    assert np.isnan(found.numbers(["b"], missing=True)[1, 0])
    message = "t.csv, line 3, column 'b': expected a number, got none: fill in what is missing, or leave the column out"
    with pytest.raises(UserError, match=re.escape(message)):
        found.numbers(["a", "b"], missing=False)


def test_a_column_of_missing_cells_is_not_numeric(tmp_path: Path) -> None:
    assert not table(tmp_path, "a,b\n1,\n3,NA\n").is_numeric("b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        ("\n\n", "the table is empty"),
        ("a,b\n", "the table has no rows below the names of its columns"),
        ("a,b\n1,2\n3\n", "line 3: expected 2 cells, as the first row has, got 1"),
        ("a,b\n1,2,3\n", "line 2: expected 2 cells, as the first row has, got 3"),
        ("a,a\n1,2\n", "expected columns of different names, got 'a' twice"),
        ('a,b\n1,"2\n', "line 2: unexpected end of data"),
        (",\nx,y\n", "no column has a name"),
    ],
)
def test_csv_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        table(tmp_path, text)


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999"])
def test_infinity_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(UserError, match=re.escape("line 3, column 'a': expected a number, got infinity")):
        table(tmp_path, f"a,b\n1,2\n{cell},4\n").numbers(["a"], missing=True)


def test_expand(tmp_path: Path) -> None:
    found = archive(tmp_path, x=np.arange(6).reshape(3, 2), y=np.arange(3.0))
    assert found.names == ["x.0", "x.1", "y"]
    assert found.expand("--inputs", ["y", "x"]) == ["y", "x.0", "x.1"]
    assert found.expand("--inputs", ["x.1", "x"]) == ["x.1", "x.0"]
    with pytest.raises(UserError, match=re.escape("t.npz has no column 'z'; it has x.0, x.1, y")):
        found.expand("--inputs", ["z"])


def test_npz(tmp_path: Path) -> None:
    found = archive(
        tmp_path,
        flag=np.array([True, False, True]),
        count=np.array([1, 2, 3], np.uint8),
        text=np.array(["a", "b", "c"]),
        value=np.array([[1.5], [2.5], [np.nan]], np.float32),
    )
    assert found.names == ["flag", "count", "text", "value.0"]
    assert [found.is_numeric(name) for name in found.names] == [True, True, False, True]
    assert found.numbers(["flag", "count"], missing=False).tolist() == [[1, 1], [0, 2], [1, 3]]
    assert found.labels("text") == ["a", "b", "c"]
    with pytest.raises(UserError, match=r"t\.npz, row 3, column 'value.0': expected a number, got none"):
        found.numbers(["value.0"], missing=False)
    with pytest.raises(UserError, match=r"t\.npz, column 'text': expected numbers, got an array of <U1"):
        found.numbers(["text"], missing=True)


def test_npz_of_sequences(tmp_path: Path) -> None:
    x = np.arange(2 * 3 * 2).reshape(2, 3, 2)  # [tau, batch, k]
    found = archive(tmp_path, x=x, y=x[..., :1])
    assert found.steps == 2
    message = re.escape("expected either all arrays as [tau, batch, k], of one tau, or none")
    assert found.numbers(["x.0", "x.1", "y.0"], missing=False)[:2, :2].tolist() == x[:, 0].tolist()
    with pytest.raises(UserError, match=message):
        archive(tmp_path, x=x, y=np.zeros(6))
    with pytest.raises(UserError, match=message):
        archive(tmp_path, x=x, y=np.zeros((3, 2, 1)))


def test_npz_of_different_lengths(tmp_path: Path) -> None:
    found = archive(tmp_path, a=np.zeros(3), b=np.zeros(4), c=np.zeros(3))
    assert found.numbers(["a", "c"], missing=False).shape == (3, 2)
    with pytest.raises(UserError, match=r"expected columns of equal length, got others: a has 3, b has 4"):
        found.numbers(["a", "b"], missing=False)


def test_npz_that_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    with pytest.raises(UserError, match="No such file"):
        read_table(str(path))
    for data in (b"", b"no archive", b"PK\x03\x04 cut"):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"not an NPZ file"):
            read_table(str(path))
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match=r"not an NPZ file of arrays without Python objects \(it is no ZIP archive\)"):
        read_table(str(path))
    with zipfile.ZipFile(path, "w") as other:
        other.writestr("readme.txt", "no array")
    with pytest.raises(UserError, match=r"readme\.txt is none"):
        read_table(str(path))
    np.savez_compressed(path, x=np.arange(1000.0))
    good = path.read_bytes()
    for i in range(0, len(good), 7):  # at least no traceback, wherever a byte is wrong
        path.write_bytes(good[:i] + bytes([good[i] ^ 0x55]) + good[i + 1 :])
        with suppress(UserError):
            read_table(str(path))
    with pytest.raises(UserError, match=r"expected arrays of different names, got 'x\.0' twice"):
        archive(tmp_path, **{"x": np.zeros((3, 2)), "x.0": np.zeros(3)})
    np.savez(path, x=np.array([{}, 1], object))
    with pytest.raises(UserError, match="not an NPZ file of arrays without Python objects"):
        read_table(str(path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(UserError, match="not an NPZ file"):
        read_table(str(path))
    for arrays in ({}, {"x": np.empty((0, 3))}, {"x": np.float64(3)}, {"x": np.zeros((1, 2, 3, 4))}):
        with pytest.raises(UserError, match="expected arrays"):
            archive(tmp_path, **arrays)


def test_a_signalling_nan_is_a_missing_cell(tmp_path: Path) -> None:
    found = archive(tmp_path, a=np.array([0x7F800001, 0x3F800000], np.uint32).view(np.float32))
    assert np.isnan(found.numbers(["a"], missing=True)[:, 0]).tolist() == [True, False]
