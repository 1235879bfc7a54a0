"""Tables to files: what is written is read again, and nothing is half-written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas", reason="pandas is not installed")
from bptt.forecast import TableError, read_table, write_table  # noqa: E402  (which needs it)

PACKAGES = {"pyarrow", "fastparquet", "openpyxl"}


def frame() -> Any:
    rng = np.random.default_rng(0)
    x = rng.normal(size=20) * 10.0 ** rng.integers(-200, 200, 20)
    return pd.DataFrame({"id": ["a, b", 'c "d"'] * 10, "x °C": x, "n": range(20)})


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.CSV", "t.csv.gz", "t.tsv.xz", "my.data.csv"])
def test_texts_have_all_digits(tmp_path: Path, name: str) -> None:
    write_table(frame(), tmp_path / name)
    assert read_table(tmp_path / name)[0].astype({"id": object}).equals(frame().astype({"id": object}))
    if name in ("t.tsv", "t.txt"):
        assert b"\t" in (tmp_path / name).read_bytes()


def test_an_index_with_a_name_is_a_column(tmp_path: Path) -> None:
    write_table(frame().set_index("n"), tmp_path / "t.csv")
    assert list(read_table(tmp_path / "t.csv")[0].columns) == ["n", "id", "x °C"]


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    write_table(frame(), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").read_bytes().startswith(b"PAR1")
    assert read_table(tmp_path / "t.parquet")[0]["x °C"].equals(frame()["x °C"])


def test_excel(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    table = pd.DataFrame({"t": pd.date_range("2020", periods=3, tz="UTC"), "x": [0.25, np.nan, 3]})
    write_table(table, tmp_path / "t.xlsx")
    got = read_table(tmp_path / "t.xlsx")[0]
    assert got["x"].equals(table["x"])
    assert got["t"].tolist() == ["2020-01-01 00:00:00+00:00", "2020-01-02 00:00:00+00:00", "2020-01-03 00:00:00+00:00"]


@pytest.mark.parametrize("name", ["t", "t.json", "t.parquet.gz", "t.gz", "t.xls"])
def test_a_name_that_says_no_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TableError, match=r"expected a name with \.csv, \.tsv"):
        write_table(frame(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_package_that_is_missing_is_named_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in {*sys.modules, *PACKAGES} if name.partition(".")[0] in PACKAGES]:
        monkeypatch.setitem(sys.modules, module, None)
    for name, package in (("t.parquet", "pyarrow"), ("t.xlsx", "openpyxl")):
        (tmp_path / name).write_bytes(b"old")
        with pytest.raises(TableError, match=f"writing .{name[2:]} needs {package}: pip install {package}"):
            write_table(frame(), tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"old"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_table(frame(), tmp_path / "none" / "t.csv")
