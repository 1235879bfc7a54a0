"""A table from a file: found out on its first lines, read by pandas with explicit arguments, and never guessed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt.forecast.cells import cells_per_line
from bptt.forecast.containers import bytes_of, kind_of, read_npz, read_parquet, read_sheet, unpacked
from bptt.forecast.errors import TableError, listed, option, plural
from bptt.forecast.numbers import MISSING, Notation, Style, notation_of, numbers_in, style
from bptt.forecast.sniffing import SAMPLE, SEPARATORS, Layout, cut, encoding_of, is_value, layout

_VERSION = tuple(int(part) for part in pd.__version__.split(".")[:2])
_EXACT: dict[str, Any] = {} if _VERSION >= (3, 1) else {"float_precision": "round_trip"}  # the default from then on
_HEAD = 1 << 18  # bytes in which the first lines are sought
_LEADING_ZERO = re.compile(r"0\d+")
_NO_SEPARATOR = "\x1f"  # a character that no line has
_SEPARATOR_NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "bar": "|"}


@dataclass(frozen=True)
class _Asked:
    separator: str | None
    decimal: str | None
    thousands: str | None
    na: tuple[str, ...]
    comment: str | None
    skip_rows: int
    skip_footer: int
    header: bool | None
    text: frozenset[str]


def read_table(
    source: Any,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    na: Sequence[str] | str = (),
    comment: str | None = None,
    skip_rows: int = 0,
    skip_footer: int = 0,
    header: bool | None = None,
    sheet: str | int | None = None,
    text: Sequence[str] = (),
) -> tuple[pd.DataFrame, list[str]]:
    """Read a table: what is not said is found out, and where two readings are plausible, none is taken.

    Parameters
    ----------
    source : path, ``"-"``, file, bytes or DataFrame
        A text with the separators comma, semicolon, tab, bar or blanks; Parquet, Excel, NPZ; any of them compressed by
        gzip, xz, bzip2 or in a ZIP archive of one file. ``"-"`` is standard input. What it is follows from its first
        bytes, not from its name.
    separator : str, optional
        One character, or ``"tab"``, ``"space"`` (any number of blanks).
    decimal, thousands : str, optional
        Marks in numbers. Blanks and apostrophes between groups of three digits are always understood.
    encoding : str, optional
        Of the text. By default UTF-8, UTF-16 by its mark or zeros, and Windows-1252 where all that speaks for it.
    na : sequence of str, or str with commas
        Cells that are missing, beside the usual ones (empty, ``NA``, ``nan``, ``?``, ``-``, ``#N/A``, ...).
    comment : str, optional
        A character: from it on a line is not read.
    skip_rows, skip_footer : int
        Lines to leave out at the top, and at the end.
    header : bool, optional
        Whether the first line names the columns.
    sheet : str or int, optional
        Of a workbook: its name, or its number from 0.
    text : sequence of str
        Columns that are read as text, such as ids: ``007`` stays what it is, so does ``NA``.

    Returns
    -------
    frame : DataFrame
        Numbers as int64, float64 or bool; other columns as text. Columns of dates are still text, if the file is one.
    notes : list of str
        What was decided, one line each.

    Raises
    ------
    TableError
        In one line: what cannot be read, and the keyword that says how.
    """
    asked = _asked(separator, decimal, thousands, na, comment, skip_rows, skip_footer, header, text)
    if isinstance(source, pd.DataFrame):
        return tidy(source, "the table")
    name, data = bytes_of(source)
    data = unpacked(name, data)
    kind = kind_of(data)
    if kind == "Parquet":
        return tidy(read_parquet(name, data), name)
    if kind == "NPZ":
        return tidy(read_npz(name, data), name)
    notes: list[str] = []
    if kind == "text":
        data = _in_utf8(name, data, encoding, notes)
    else:
        rows = read_sheet(name, data, kind, sheet)
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(rows)
        data, asked = out.getvalue().encode(), replace(asked, separator=",")
    return _read_text(name, data, asked, notes), notes


def _asked(
    separator: Any, decimal: Any, thousands: Any, na: Any, comment: Any, top: Any, foot: Any, header: Any, text: Any
) -> _Asked:
    if separator is not None:
        separator = _SEPARATOR_NAMES.get(separator, separator)
        if not isinstance(separator, str) or len(separator) != 1 or not separator.isascii() or separator in '"\n\r':
            raise TableError(f"{option('separator')}: expected one character, 'tab' or 'space', got {separator!r}")
    for keyword, mark, allowed in (("decimal", decimal, ".,"), ("thousands", thousands, ".,' ")):
        if mark is not None and (not isinstance(mark, str) or len(mark) != 1 or mark not in allowed):
            raise TableError(f"{option(keyword)}: expected one of {' '.join(map(repr, allowed))}, got {mark!r}")
    if decimal is not None and decimal == thousands:
        raise TableError(
            f"{option('decimal')}: expected another mark than {option('thousands')}, got {decimal!r} for both"
        )
    if decimal is None and thousands in (".", ","):
        decimal = "," if thousands == "." else "."
    if comment is not None and (not isinstance(comment, str) or len(comment) != 1):
        raise TableError(f"{option('comment')}: expected one character, got {comment!r}")
    for keyword, number in (("skip_rows", top), ("skip_footer", foot)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise TypeError(f"{option(keyword)}: expected an int, got {type(number).__name__}")
        if number < 0:
            raise TableError(f"{option(keyword)}: expected at least 0, got {number}")
    if header is not None and not isinstance(header, bool):
        raise TypeError(f"{option('header')}: expected True, False or None, got {header!r}")
    words = na.split(",") if isinstance(na, str) else list(na)
    if not all(isinstance(word, str | int | float) for word in words):
        raise TypeError(f"{option('na')}: expected texts, got {na!r}")
    return _Asked(
        separator, decimal, thousands, tuple(str(w).strip() for w in words), comment, top, foot, header, frozenset(text)
    )


# ---- Texts ----


def _in_utf8(name: str, data: bytes, encoding: str | None, notes: list[str]) -> bytes:
    """A text in UTF-8 without a mark, whose lines end with a line feed or both."""
    if not data.strip():
        raise TableError(f"{name}: the table is empty")
    note = None
    if encoding is None:
        encoding, note = encoding_of(data, name)
    if note is not None:
        notes.append(note)
    if encoding != "utf-8":
        try:
            data = data.decode(encoding).encode()
        except LookupError:
            raise TableError(f"{option('encoding')}: expected the name of an encoding, got {encoding!r}") from None
        except (UnicodeError, TypeError) as error:
            raise TableError(f"{name}: {option('encoding')}: not {encoding} ({error})") from error
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    if b"\0" in data:
        raise TableError(f"{name}: expected text, got a NUL at offset {data.find(bytes(1))}; see {option('encoding')}")
    return data


def _read_text(name: str, data: bytes, asked: _Asked, notes: list[str]) -> pd.DataFrame:
    data = data.rstrip(b"\r\n")
    for _ in range(asked.skip_footer):
        data = data[: max(data.rfind(b"\n"), 0)]
    data = data.rstrip(b"\r\n")
    at = 0
    for _ in range(asked.skip_rows):
        at = data.find(b"\n", at) + 1 or len(data)
    data = data[at:]
    if asked.comment is not None:
        mark = re.escape(asked.comment.encode())
        data = re.sub(rb"(?m)^[ \t]*" + mark + rb"[^\n]*(\n|\Z)", b"\n", data)  # lines keep their numbers
        data = re.sub(rb"(?m)[ \t]*" + mark + rb'[^\n"]*$', b"", data).rstrip(b"\r\n")
    if not data.strip():
        raise TableError(f"{name}: the table is empty")
    lines = [line.rstrip("\r") for line in data[:_HEAD].decode(errors="ignore").split("\n")]
    if len(data) > _HEAD and len(lines) > 2:
        lines.pop()  # which is not whole
    form = layout(lines[:SAMPLE], name, asked.separator, asked.header, asked.skip_rows)
    notes += form.notes
    sample = [row for row in cut(lines[form.first : SAMPLE], form.separator) if len(row) == form.width]
    for _ in range(form.first):
        at = data.find(b"\n") + 1
        data = data[at:] if at else b""
    rows = _rows(name, data, form, asked.skip_rows + form.first, notes)
    if not rows:
        raise TableError(f"{name}: the table has no rows below the names of its columns")
    names = _named(form.names, sample, notes)
    frame = _parse(name, data, rows, form, names, sample, asked)
    frame = _in_numbers(frame, sample, form, asked, name, data, rows, notes)
    frame.columns = pd.Index(names, dtype=object)
    empty = frame.isna().all(axis=0)
    unnamed = [not given for given in form.names]
    frame = frame.loc[:, [not (e and u) for e, u in zip(empty, unnamed, strict=True)]]
    filled = np.flatnonzero(~frame.isna().all(axis=1).to_numpy())
    if frame.shape[1] > 1 and len(filled) and filled[-1] + 1 < len(frame):
        notes.append(f"left out at the end: {plural(len(frame) - 1 - int(filled[-1]), 'row')} without a cell")
        frame = frame.iloc[: filled[-1] + 1]
    if not frame.shape[1] or not len(filled):
        raise TableError(f"{name}: all cells of the table are missing")
    return frame.reset_index(drop=True)


def _rows(name: str, data: bytes, form: Layout, before: int, notes: list[str]) -> int:
    """How many rows there are, each with as many cells as there are columns; short lines at the end are a footer."""
    if form.width == 1:
        return data.count(b"\n") + bool(data)
    counts = cells_per_line(data, form.separator)
    filled = np.flatnonzero(counts)
    wrong = filled[counts[filled] != form.width]
    if not len(wrong):
        return len(filled)
    good = filled[counts[filled] == form.width]
    last = int(good[-1]) if len(good) else -1
    if (inside := wrong[wrong < last]).size or (counts[wrong] > form.width).any():
        line = int(inside[0] if inside.size else wrong[0])
        raise TableError(
            f"{name}, line {before + line + 1}: expected {form.width} cells between "
            f"{SEPARATORS.get(form.separator, repr(form.separator))}s, as other lines have, got {counts[line]}; "
            f"mend it, or see {option('separator')}, {option('skip_rows')}, {option('skip_footer')}"
        )
    notes.append(
        f"left out as a footer: {plural(len(wrong), 'line')} from line {before + int(wrong[0]) + 1} on, of fewer cells "
        f"(see {option('skip_footer')})"
    )
    return len(good)


def _named(names: list[str], sample: list[list[str]], notes: list[str]) -> list[str]:
    """The names of all columns: those without one get one."""
    result = list(names)
    for j, given in enumerate(names):
        if not given:
            cells = [row[j] for row in sample if row[j]]
            dates = bool(cells) and all(is_value(cell) and style([cell])[0] == "none" for cell in cells)
            new = "date" if dates and "date" not in result else f"column {j + 1}"
            while new in result:
                new += "."
            result[j] = new
            if cells:
                notes.append(f"a column without a name is called {new!r}")
    return result


def _parse(
    name: str,
    data: bytes,
    rows: int,
    form: Layout,
    names: list[str],
    sample: list[list[str]],
    asked: _Asked,
    as_text: Sequence[int] = (),
) -> pd.DataFrame:
    """What the C engine of pandas reads; the columns are called by their numbers."""
    styles = [style([row[j] for row in sample])[0] for j in range(form.width)]
    decimal = asked.decimal or ("," if "comma" in styles and "point" not in styles else ".")
    if decimal == form.separator:
        decimal = "."
    missing = [*MISSING, *asked.na]
    text = {j for j, column in enumerate(names) if column in asked.text}
    unsure = {j for j, found in enumerate(styles) if found in ("either", "thousands")}
    zeros = {j for j in range(form.width) if any(_LEADING_ZERO.fullmatch(row[j]) for row in sample)}
    some = {"usecols": list(as_text)} if as_text else {}
    try:
        frame = pd.read_csv(
            io.BytesIO(data),
            sep=r"\s+" if form.separator == " " else form.separator or _NO_SEPARATOR,
            header=None,
            names=list(range(form.width)),
            index_col=False if as_text else None,
            nrows=rows,
            dtype=dict.fromkeys(text | unsure | zeros | set(as_text), str),
            na_values={j: ["", *asked.na] if j in text else missing for j in range(form.width)},
            keep_default_na=False,
            skipinitialspace=True,
            skip_blank_lines=form.width > 1,
            decimal=decimal,
            encoding="utf-8",
            engine="c",
            low_memory=False,
            **_EXACT,
            **some,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        raise TableError(f"{name}: {error}") from error
    return frame


def _in_numbers(
    frame: pd.DataFrame,
    sample: list[list[str]],
    form: Layout,
    asked: _Asked,
    name: str,
    data: bytes,
    rows: int,
    notes: list[str],
) -> pd.DataFrame:
    """Columns of text that are numbers in some notation, as numbers."""
    names = _named(form.names, sample, [])
    styles: dict[int, tuple[Style, str]] = {}
    texts: dict[int, Any] = {}
    for j in frame.columns:
        column = frame[j]
        cells = [row[j] for row in sample]
        if column.dtype.kind in "biuf":
            found = style(cells)
            late = form.separator == ";" and asked.decimal is None and found[0] == "plain" and column.dtype.kind == "f"
            if not late or not _three_decimals(column.to_numpy()):
                styles[j] = found
                continue
            column = _parse(name, data, rows, form, names, sample, asked, as_text=[j])[j]
        frame[j] = column = column.str.strip()
        if names[j] in asked.text or any(_LEADING_ZERO.fullmatch(cell) for cell in cells):
            continue
        texts[j] = column
        cells = column.dropna()
        found = style(map(str, cells.head(SAMPLE)))
        styles[j] = style(map(str, cells)) if found[0] != "none" and len(cells) > SAMPLE else found
    says: set[str] = {kind for kind, _ in styles.values() if kind in ("point", "comma")}
    commas, grouped, percents = [], [], []
    for j, column in texts.items():
        kind, cell = styles[j]
        if kind == "none":
            frame[j] = column
            continue
        decimal = asked.decimal or _decimal(name, names[j], kind, cell, says, form.separator)
        cells = column.dropna().tolist()
        notation = notation_of(cells, decimal, asked.thousands)
        numbers, bad = numbers_in(cells, notation)
        if numbers is None:
            _refuse_if_meant(name, names[j], bad, notation, asked)
            frame[j] = column
            continue
        result = np.full(len(column), np.nan)
        result[column.notna().to_numpy()] = numbers
        frame[j] = result
        if kind == "comma" or (decimal == "," and kind == "either"):
            commas.append(names[j])
        if kind in ("thousands", "either") and cell.count(notation.thousands or "\0"):
            grouped.append(f"{names[j]} ({cell})")
        if notation.percent:
            percents.append(names[j])
    sampled = [names[j] for j, (kind, _) in styles.items() if j not in texts and kind == "comma"]
    if commas or sampled:
        notes.append(f"decimal commas: {listed(sampled + commas)} (see {option('decimal')})")
    if grouped:
        notes.append(f"marks of thousands: {listed(grouped)} (see {option('thousands')})")
    if percents:
        notes.append(f"numbers in percent: {listed(percents)}")
    return frame


def _three_decimals(numbers: Array) -> bool:
    """Whether all fractions have three decimals, as numbers with a point between thousands seem to."""
    fractions = numbers[np.isfinite(numbers) & (numbers % 1 != 0)]
    return bool(len(fractions)) and bool((np.round(fractions, 3) == fractions).all() and (abs(fractions) < 1000).all())


def _decimal(name: str, column: str, found: Style, cell: str, says: set[str], separator: str) -> str:
    """The decimal mark of a column by what its cells say, or else by what other columns do."""
    if found in ("point", "plain"):
        return "."
    if found == "comma":
        return ","
    if len(says) == 1:
        return "," if says == {"comma"} else "."
    if found == "thousands" or ("." in cell and separator != ";"):
        return "."
    bare = cell.strip()
    raise TableError(
        f"{name}, column {column!r}: {bare!r} may be {bare.replace(',', '').replace('.', '')} or "
        f"{bare.replace(',', '.')}; {option('decimal')} says which mark is the decimal one"
    )


def _refuse_if_meant(name: str, column: str, cell: str, notation: Notation, asked: _Asked) -> None:
    """Raise where what the user says of the marks is not what is in a column of numbers."""
    if asked.decimal is None:
        return
    raise TableError(
        f"{name}, column {column!r}: expected numbers with the {option('decimal')} {notation.decimal!r} and the "
        f"{option('thousands')} {notation.thousands!r}, got {cell!r}"
    )


# ---- Frames ----


def tidy(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """A frame whose columns have texts for names, whose index is a column where it says something.

    Dates in the index become the first column, ``time`` if they have no name. Other named levels become columns too,
    and those of several levels carry the ids of sequences; `Recipe.learn` takes them for that.
    """
    notes: list[str] = []
    if isinstance(frame.columns, pd.MultiIndex):
        names = [" ".join(str(part) for part in column if str(part)) for column in frame.columns]
    else:
        names = [str(column) for column in frame.columns]
    twice = {one for one in names if names.count(one) > 1}
    if twice:
        raise TableError(f"{name}: expected columns of different names, got {min(twice)!r} twice")
    result = frame.set_axis(pd.Index(names, dtype=object), axis=1)
    index = frame.index
    levels: dict[str, Any] = {}
    for i in range(index.nlevels):
        level = index.get_level_values(i)
        dates = isinstance(level, pd.DatetimeIndex | pd.PeriodIndex)
        if dates or level.name is not None or index.nlevels > 1:
            levels[str(level.name if level.name is not None else "time" if dates else f"level {i + 1}")] = level
    if both := levels.keys() & set(names):
        raise TableError(
            f"{name}: expected columns and levels of the index of different names, got {min(both)!r} twice"
        )
    ids = []
    if index.nlevels > 1:
        ids = [key for key, level in levels.items() if not isinstance(level, pd.DatetimeIndex | pd.PeriodIndex)]
        if len(ids) == index.nlevels:
            ids = ids[:-1]  # the last numbers the rows
            levels.pop(list(levels)[-1])
    result = result.reset_index(drop=True)
    for at, (key, level) in enumerate(levels.items()):
        result.insert(at, key, level)
    for key in result.columns:
        column = result[key]
        if column.dtype == object and len(column):
            kinds = {type(cell) for cell in column if cell is not None and cell is not pd.NA}
            if kinds and kinds <= {int, float, bool, Decimal, np.float64, np.int64, np.bool_}:
                result[key] = pd.to_numeric(column, errors="coerce").astype(np.float64)
        elif pd.api.types.is_extension_array_dtype(column.dtype) and pd.api.types.is_numeric_dtype(column.dtype):
            result[key] = column.to_numpy(np.float64, na_value=np.nan)
        elif column.dtype.kind == "c":
            raise TableError(f"{name}, column {key!r}: expected real numbers, got complex ones")
    if not result.shape[1] or not len(result):
        raise TableError(f"{name}: the table is empty")
    result.attrs["ids"] = ids
    return result, notes
