"""Tables to files, by what they are called; whole at every moment."""

from __future__ import annotations

import gzip
import io
import lzma
import os
from pathlib import Path

import pandas as pd

from bptt._checks import a_path
from bptt._whole_file import write_whole
from bptt.forecast.errors import TableError

_TEXT = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_PACKED = {".gz": lambda data: gzip.compress(data, mtime=0), ".xz": lzma.compress}
_EXCEL_ROWS = 1_048_575  # below the names


def write_table(frame: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table, in the format that its name says.

    Parameters
    ----------
    frame : DataFrame
        An index with a name becomes the first column; another is left out.
    path : path
        ``.csv`` (commas), ``.tsv`` and ``.txt`` (tabs), each with ``.gz`` or ``.xz`` behind it too; ``.parquet`` where
        pyarrow is installed; ``.xlsx`` where openpyxl is. Numbers in texts have all digits that it takes to read
        the same bits again.

    Raises
    ------
    TableError
        Another suffix, or a package that is missing. Nothing is written.
    OSError
        The file cannot be written: the old one, if there is one, still stands.
    """
    name = a_path("path", path)
    write_whole(name, table_bytes(frame, Path(name).name))


def table_bytes(frame: pd.DataFrame, name: str) -> bytes:
    """What `write_table` writes to a file that is called so."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    pack = _PACKED.get(suffixes[-1]) if suffixes else None
    suffix = (suffixes[-2:-1] or [""])[0] if pack else (suffixes or [""])[-1]
    if any(one is not None for one in frame.index.names):
        frame = frame.reset_index()
    if suffix in _TEXT:
        data = frame.to_csv(index=False, sep=_TEXT[suffix], lineterminator="\n").encode()
        return pack(data) if pack else data
    if suffix not in (".parquet", ".xlsx") or pack:
        raise TableError(
            f"{name}: expected a name with .csv, .tsv, .txt (and .gz or .xz behind it), .parquet or .xlsx, got "
            f"{''.join(suffixes[-2:]) or 'no suffix'!r}"
        )
    out = io.BytesIO()
    package = "pyarrow" if suffix == ".parquet" else "openpyxl"
    try:
        if suffix == ".parquet":
            frame.to_parquet(out, index=False)
        else:
            if len(frame) > _EXCEL_ROWS:
                raise TableError(f"{name}: expected at most {_EXCEL_ROWS:,} rows in a sheet, got {len(frame):,}")
            zoned = [c for c in frame.columns if isinstance(frame[c].dtype, pd.DatetimeTZDtype)]
            texts = {c: frame[c].map(lambda date: date.isoformat(" "), na_action="ignore") for c in zoned}
            frame.assign(**texts).to_excel(out, index=False, engine="openpyxl")  # which knows no time zones
    except ImportError:
        raise TableError(f"{name}: writing {suffix} needs {package}: pip install {package}") from None
    return out.getvalue()
