"""What a file is by its first bytes, and what is packed in it: texts, Excel, Parquet, NPZ."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import zipfile
import zlib
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from bptt.forecast.errors import TableError, listed, option

_PACKED = {b"\x1f\x8b": gzip.decompress, b"\xfd7zXZ\x00": lzma.decompress, b"BZh": bz2.decompress}
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_READERS = {"Excel": "openpyxl", "the older Excel format": "xlrd", "OpenDocument": "odfpy", "Parquet": "pyarrow"}


def bytes_of(source: Any) -> tuple[str, bytes]:
    """The name of a source in messages, and its bytes: of a path, ``-`` for standard input, a file, or bytes."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "the table", bytes(source)
    if hasattr(source, "read"):
        data = source.read()
        return str(getattr(source, "name", "the table")), data.encode() if isinstance(data, str) else bytes(data)
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"source: expected a path, a file, bytes or a DataFrame, got {type(source).__name__}")
    name = os.fspath(source)
    if name == "-":
        return "standard input", sys.stdin.buffer.read()
    try:
        with open(name, "rb") as file:
            return str(name), file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise TableError(f"{name}: {getattr(error, 'strerror', None) or error}") from error


def unpacked(name: str, data: bytes) -> bytes:
    """What is in a compressed file; other bytes as they are."""
    try:
        for magic, unpack in _PACKED.items():
            if data.startswith(magic):
                return unpack(data)
        if data.startswith(b"PK\3\4"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                files = [info for info in archive.infolist() if not info.is_dir() and "__MACOSX" not in info.filename]
                inside = {info.filename for info in files}
                if "[Content_Types].xml" in inside or "mimetype" in inside or any(n.endswith(".npy") for n in inside):
                    return data
                if len(files) != 1:
                    raise TableError(f"{name}: expected one file in the archive, got {len(files)}: {listed(inside)}")
                return archive.read(files[0])
    except TableError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        lzma.LZMAError,
        zlib.error,
        zipfile.BadZipFile,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise TableError(f"{name}: damaged, or no compressed file ({error})") from error
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        raise TableError(
            f"{name}: expected .gz, .bz2, .xz or .zip, got a file compressed by Zstandard: unpack it first"
        )
    return data


def kind_of(data: bytes) -> str:
    """``text``, ``NPZ``, ``Parquet``, or what Excel's formats are called here."""
    if data.startswith(b"PAR1"):
        return "Parquet"
    if data.startswith(_OLD_EXCEL):
        return "the older Excel format"
    if data.startswith(b"PK\3\4"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if "mimetype" in names:
                return "OpenDocument"
            return "Excel" if "[Content_Types].xml" in names else "NPZ"
    return "text"


def read_parquet(name: str, data: bytes) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(data))
    except ImportError:
        raise TableError(f"{name}: reading Parquet needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # a damaged file may fail wherever it is parsed
        raise TableError(f"{name}: damaged, or no Parquet file ({str(error).splitlines()[0]})") from error


def read_sheet(name: str, data: bytes, kind: str, sheet: str | int | None) -> list[list[str]]:
    """The cells of a sheet as text; numbers as Python writes them, dates as ISO 8601."""
    try:
        with pd.ExcelFile(io.BytesIO(data)) as book:
            names = [str(one) for one in book.sheet_names]
            if sheet is None and len(names) > 1:
                raise TableError(
                    f"{name}: expected one sheet, got {len(names)}: {listed(names)}; {option('sheet')} names it"
                )
            if isinstance(sheet, str) and sheet not in names and sheet.isdecimal():
                sheet = int(sheet) - 1
            if (isinstance(sheet, str) and sheet not in names) or (
                isinstance(sheet, int) and not -1 < sheet < len(names)
            ):
                raise TableError(f"{option('sheet')}: expected one of {listed(names)}, got {sheet!r}")
            grid = pd.read_excel(
                book, sheet_name=sheet or 0, header=None, dtype=object, keep_default_na=False, na_filter=False
            )
    except ImportError:
        package = _READERS[kind]
        raise TableError(f"{name}: reading {kind} needs {package}: pip install {package}") from None
    except TableError:
        raise
    except Exception as error:  # a damaged file may fail wherever it is parsed
        raise TableError(f"{name}: damaged, or no file of {kind} ({error})") from error
    return [[_as_text(cell) for cell in row] for row in grid.itertuples(index=False)]


def _as_text(cell: Any) -> str:
    if isinstance(cell, datetime):
        return "" if cell is pd.NaT else cell.isoformat(" ")
    if isinstance(cell, date):
        return cell.isoformat()
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    return repr(cell) if isinstance(cell, float) else str(cell).strip()


def read_npz(name: str, data: bytes) -> pd.DataFrame:
    """The arrays of an NPZ file as columns.

    An array ``[rows, k]`` gives the columns ``NAME.0`` to ``NAME.k-1``. One of ``[tau, batch, k]`` too, sequence after
    sequence: the frame then has an index of two levels, ``sequence`` and ``step``.
    """
    try:
        arrays = dict(np.load(io.BytesIO(data), allow_pickle=False).items())
    except Exception as error:  # a damaged file may fail wherever it is parsed
        raise TableError(f"{name}: not an NPZ file of arrays without Python objects ({error})") from error
    columns: dict[str, Any] = {}
    shapes: set[tuple[int, int]] = set()
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise TableError(f"{name}: not an NPZ file of arrays: {key} is none")
        if array.dtype.kind not in "biufmMSU":
            raise TableError(f"{name}: {key}: expected numbers, texts or dates, got an array of {array.dtype}")
        new = {}
        if array.ndim == 3:  # sequence after sequence
            shapes.add(array.shape[:2])
            new = {f"{key}.{j}": array[:, :, j].T.ravel() for j in range(array.shape[2])}
        elif array.ndim == 1:
            shapes.add((len(array), 0))
            new = {key: array}
        elif array.ndim == 2:
            shapes.add((len(array), 0))
            new = {f"{key}.{j}": array[:, j] for j in range(array.shape[1])}
        if twice := new.keys() & columns.keys():
            raise TableError(f"{name}: expected arrays of different names, got {min(twice)!r} twice")
        columns |= new
    if not columns or not all(map(len, columns.values())):
        raise TableError(f"{name}: expected arrays [rows], [rows, k] or [tau, batch, k] that are not empty")
    if len(shapes) > 1:
        raise TableError(
            f"{name}: expected arrays of one length, or all as [tau, batch, k] of one tau and batch, got "
            + listed(sorted(f"{len(values):,} rows of {key}" for key, values in columns.items()))
        )
    tau, batch = shapes.pop()
    index = pd.MultiIndex.from_product([range(batch), range(tau)], names=["sequence", "step"]) if batch else None
    native = {key: values.astype(values.dtype.newbyteorder("=")) for key, values in columns.items()}
    return pd.DataFrame({key: v.astype(np.float64) if v.dtype == np.float16 else v for key, v in native.items()}, index)
