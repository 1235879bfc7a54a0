"""The dates of rows: which column they stand in, and how they are written. Knows no files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt.forecast.date_texts import form_of, in_form
from bptt.forecast.errors import TableError, listed, option
from bptt.forecast.sniffing import DATE

_SAMPLE = 300  # cells that decide which formats are tried on all
_NAMED = re.compile(r"(date|time|day|month|year|week|stamp|ds|ts|datum|zeit|tag|jahr|monat|heure|jour|fecha)", re.I)
_EPOCH = re.compile(r"(ts|t|time|timestamp|unix|unix_?time|epoch|date|datetime)([_ ]?(s|ms|us|ns|utc|seconds))?", re.I)
_YEAR = re.compile(r"(year|yr|jahr|annee|année|año|anno)", re.I)
_HOUR = re.compile(r"(hour|hours|hr|hh|h|stunde|std|heure|hora|ora)", re.I)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.]\d+)?)?|\d{1,2}[.]\d{2}[.]\d{2}")
_QUARTER = re.compile(r"(\d{4})[- ]?Q([1-4])")
_WEEK = re.compile(r"\d{4}-W\d{2}")
_ISO_WEEK = "%G-W%V"  # a week by its Monday
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_LONGEST = 48  # characters of a date
_DAYS = [  # of a year of four digits or of two; day first or month first where both are numbers
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%d-%b-%y", "%Y%m%d"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y"),
]
_MONTHS = ["%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%YM%m"]
_CLOCKS = ["", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H"]
_UNITS = {"s": 1e8, "ms": 1e11, "us": 1e14, "ns": 1e17}  # the least number of each since 1970 that is taken for a time
_FORMS = ("year", "YYYYMMDD", *_UNITS)
_MOST = 50  # times the least: in the year 2128


def to_dates(cells: Any, keyword: str | None = None, date_format: str | None = None) -> tuple[Any, str, str | None]:
    """Dates from a column.

    Parameters
    ----------
    cells : Series
        Dates, texts or numbers.
    keyword : str, optional
        What the column is called in errors; without it one that holds no dates is an answer.
    date_format : str, optional
        As of ``strptime``: the only one that is tried.

    Returns
    -------
    dates : DatetimeIndex or None
        None if the column holds no dates. Missing ones are NaT. Offsets from UTC that change give dates in UTC.
    note : str
        What was decided, if it was.
    written : str or None
        The format of texts other than ISO 8601, or which numbers they are: so later ones are read.

    Raises
    ------
    TableError
        Most cells are dates and one is none; day and month can stand either way round; or they are too far away.
    """
    try:
        dates, note, written = _dates(cells, keyword, date_format)
        if dates is not None:
            dates.as_unit("ns")
    except pd.errors.OutOfBoundsDatetime:  # pandas counts steps in nanoseconds
        if keyword is None:
            return None, "", None
        raise TableError(f"{keyword}: expected dates from 1678 to 2261, got earlier or later ones") from None
    return dates, note, written


def _dates(cells: Any, keyword: str | None, date_format: str | None) -> tuple[Any, str, str | None]:
    """What `to_dates` returns, if pandas can hold it."""
    if isinstance(cells.dtype, pd.PeriodDtype):
        return pd.DatetimeIndex(cells.dt.to_timestamp()), "", None
    if cells.dtype.kind == "M" or isinstance(cells.dtype, pd.DatetimeTZDtype):
        return pd.DatetimeIndex(cells), "", None
    if cells.dtype.kind in "iuf" and (date_format is None or date_format in _FORMS):
        return _from_numbers(cells, keyword is not None)
    if cells.dtype.kind == "b":
        return None, "", None
    texts = cells.astype(object).where(cells.notna(), None).map(lambda c: str(c).strip(), na_action="ignore")
    given = texts.dropna()
    if date_format in _FORMS:
        return _from_numbers(pd.to_numeric(cells, errors="coerce"), True)
    if date_format == _ISO_WEEK or (date_format is None and len(given) and given.str.fullmatch(_WEEK).all()):
        dates = pd.to_datetime(texts + "-1", format=f"{_ISO_WEEK}-%u", errors="coerce")
        _check_all(dates, texts, keyword or "the column", "weeks as most are (2020-W07)")
        return pd.DatetimeIndex(dates), "", _ISO_WEEK
    if date_format is not None:
        dates = pd.to_datetime(texts, format=date_format, errors="coerce")
        _check_all(dates, texts, keyword or "the column", f"dates in the {option('date_format')} {date_format!r}")
        return pd.DatetimeIndex(dates), "", date_format
    sample = given.iloc[np.unique(np.linspace(0, len(given) - 1, _SAMPLE).astype(int))] if len(given) else given
    digits = sample.map(lambda cell: any(c.isdigit() for c in cell) and len(cell) < _LONGEST)
    if not len(sample) or (not digits.all() and sample.map(lambda c: DATE.fullmatch(c) is not None).mean() <= 0.5):
        return None, "", None
    if sample.map(lambda cell: _QUARTER.fullmatch(cell) is not None).all():
        quarters = texts.map(lambda cell: _QUARTER.sub(r"\1Q\2", cell), na_action="ignore")
        return pd.DatetimeIndex(pd.PeriodIndex(quarters, freq="Q").to_timestamp()), "", None
    if sample.map(lambda cell: re.fullmatch(r"\d{4}", cell) is not None).all():
        return _from_numbers(pd.to_numeric(texts), True)
    formats = ["ISO8601"] if _share(sample, "ISO8601") == 1 else [f for f in _formats() if _share(sample, f) > 0.5]
    if not formats:
        return None, "", None
    name = keyword or "the column"
    if formats[0] == "ISO8601":
        months = sample.str.fullmatch(r"\d{4}-\d{2}").all()
        return *_iso(texts, name), "%Y-%m" if months else None
    whole = [f for f in formats if pd.to_datetime(texts, format=f, errors="coerce").notna().sum() == len(given)]
    if not whole:
        best = max(formats, key=lambda f: int(pd.to_datetime(texts, format=f, errors="coerce").notna().sum()))
        _check_all(pd.to_datetime(texts, format=best, errors="coerce"), texts, name, f"dates as most are ({best})")
    readings = {f: pd.DatetimeIndex(pd.to_datetime(texts, format=f)) for f in whole}
    if "." in given.iloc[0][:6] and len(readings) > 1:  # dots stand in dates that begin with the day
        readings = {f: dates for f, dates in readings.items() if f.startswith("%d.%m.%Y")} or readings
    even = {f: _evenness(dates) for f, dates in readings.items()}
    most = max(even.values())
    best_of = {f: dates for f, dates in readings.items() if even[f] == most} if most > 0.9 else readings
    first = next(iter(best_of))
    if any(not dates.equals(best_of[first]) for dates in best_of.values()):
        raise TableError(
            f"{name}: {given.iloc[0]!r} can be read as {' or '.join(best_of)}; {option('date_format')} says which"
        )
    note = f"{name}: its dates are read as {first}, the first as {best_of[first][0]}"
    return best_of[first], note if first.startswith(("%d/", "%m/", "%d-%m", "%m-")) else "", first


def is_numeric(column: Any) -> bool:
    """Whether a column holds numbers, or truths."""
    return bool(column.dtype.kind in "biuf")


def _formats() -> list[str]:
    return ["ISO8601", *(day + clock for clock in _CLOCKS for day in _DAYS), *_MONTHS]


def _share(texts: Any, form: str) -> float:
    """The share of texts that are dates of a format."""
    utc = form == "ISO8601"
    return float(pd.to_datetime(texts, format=form, errors="coerce", utc=utc).notna().mean())


def _iso(texts: Any, name: str) -> tuple[Any, str]:
    utc = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    _check_all(utc, texts, name, "dates as most are (ISO 8601)")
    offsets = texts.str.extract(r"[T ]\d{2}[\d:.,]*(Z|[+-]\d{2}(?::?\d{2})?)$", expand=False).dropna().unique()
    if len(offsets) == 0:
        return pd.DatetimeIndex(utc.dt.tz_localize(None)), ""
    if len(offsets) == 1:
        return pd.DatetimeIndex(pd.to_datetime(texts, format="ISO8601")), ""
    return pd.DatetimeIndex(utc), f"{name}: its offsets from UTC change; the dates are those of UTC"


def _check_all(dates: Any, texts: Any, name: str, expected: str) -> None:
    wrong = np.flatnonzero((dates.isna() & texts.notna()).to_numpy())
    if len(wrong):
        row = int(wrong[0])
        more = f" (the last rows: see {option('skip_footer')})" if row >= len(texts) - len(wrong) - 1 else ""
        raise TableError(f"{name}, row {row + 1}: expected {expected}, got {texts.iloc[row]!r}{more}")


def _evenness(dates: Any) -> float:
    """The share of steps that are the most common one: dates that are read wrongly jump."""
    steps = np.diff(dates.as_unit("s").asi8)
    if not len(steps):
        return 0.0
    days = steps // 86400
    same_step = np.unique(steps, return_counts=True)[1].max() / len(steps)
    months = float(((abs(days) >= 28) & (abs(days) <= 31)).mean())
    return max(float(same_step), months)


def _from_numbers(cells: Any, named: bool, form: str | None = None) -> tuple[Any, str, str | None]:
    """Dates from numbers: years, YYYYMMDD, or a time since 1970 in seconds or parts of them; and which of these."""
    numbers = cells.to_numpy(np.float64, na_value=np.nan)
    known = numbers[np.isfinite(numbers)]
    none = None, "", None
    if not len(known):
        return none
    low, high, whole = known.min(), known.max(), bool((known % 1 == 0).all())
    name = str(cells.name)
    if whole and low >= 1000 and high < 2500 and (named or _YEAR.search(name)):
        texts = cells.map(lambda year: f"{int(year):04d}-01-01", na_action="ignore")
        return pd.DatetimeIndex(pd.to_datetime(texts, format="%Y-%m-%d")), "", "year"
    if whole and low >= 18000101 and high <= 22001231:
        texts = cells.map(lambda day: f"{int(day):08d}", na_action="ignore")
        dates = pd.to_datetime(texts, format="%Y%m%d", errors="coerce")
        return none if dates.isna().sum() > cells.isna().sum() else (pd.DatetimeIndex(dates), "", "YYYYMMDD")
    for unit, least in _UNITS.items():
        if least <= low and high < least * _MOST and (named or _EPOCH.fullmatch(name) or _NAMED.search(name)):
            dates = pd.DatetimeIndex(pd.to_datetime(cells, unit=unit))
            return dates, f"column {name!r}: read as a time since 1970 in {unit}", unit
    return none


# ---- Which column ----


@dataclass(frozen=True)
class Time:
    """Where the dates of a table stand: plain data.

    Attributes
    ----------
    name : str
        The column that carries the dates of forecasts.
    columns : list of str
        All that the dates are made of: one column, that of days and that of hours, or year, month, day, ...
    written : str or None
        As of ``strptime``, where they are texts other than ISO 8601; ``"year"``, ``"YYYYMMDD"``, ``"s"``, ``"ms"``,
        ``"us"`` or ``"ns"`` (since 1970) where they are numbers.
    hours_from : int or None
        0 or 1, the first hour of a day, where hours have a column; None where they are times of day or have none.
    zone : str or None
        Of dates that have one.
    forms : list of (str or None), optional
        How the texts of each column are written, as of `form_of`; None where they are no texts, or not alike.
    """

    name: str
    columns: list[str]
    written: str | None = None
    hours_from: int | None = None
    zone: str | None = None
    forms: list[str | None] | None = None

    def read(self, frame: pd.DataFrame) -> Any:
        """The dates of a later table, as those of the first one were read: a DatetimeIndex."""
        for column in self.columns:
            if column not in frame.columns:
                raise TableError(
                    f"expected the column {column!r}, of which the dates are made, got {listed(frame.columns)}"
                )
        if len(self.columns) > 1 and self.columns[0].lower() == "year":
            return _from_parts(frame, self.columns)
        dates, _, _ = to_dates(frame[self.name], f"column {self.name!r}", self.written)
        if dates is None:
            some = frame[self.name].dropna()
            raise TableError(
                f"column {self.name!r}: expected dates, got {str(some.iloc[0]) if len(some) else 'none'!r}"
            )
        if len(self.columns) > 1:
            dates = dates + _of_day(frame[self.columns[1]], self.columns[1], self.hours_from)
        if (dates.tz is None) != (self.zone is None):
            raise TableError(
                f"column {self.name!r}: expected dates {'without' if self.zone is None else 'with'} an offset from "
                f"UTC, as in training, got {dates[0]}"
            )
        return dates if self.zone is None else dates.tz_convert(self.zone)

    def check(self) -> None:
        """Raise ValueError where a file tells what cannot be."""
        parts = isinstance(self.columns, list) and len(self.columns) > 1 and self.columns[0].lower() == "year"
        right = isinstance(self.columns, list) and self.columns[:1] == [self.name] and (parts or len(self.columns) <= 2)
        if parts:
            known = ([*_PARTS[: len(self.columns)]], ["year", "quarter"])
            right = right and [column.lower() for column in self.columns] in known
        right = right and all(each is None or isinstance(each, str) for each in (self.written, self.zone))
        right = right and (self.hours_from is None or (type(self.hours_from) is int and self.hours_from in (0, 1)))
        forms = [None] * len(self.columns) if self.forms is None else self.forms
        right = right and isinstance(forms, list) and (parts or len(forms) == len(self.columns))
        if not right or not all(form is None or isinstance(form, str) for form in forms):
            raise ValueError("recipe: expected columns of dates and how they are written")
        some = pd.DatetimeIndex(["2000-01-01"], tz=self.zone)
        self.columns_of(some)
        if self.written is not None and "%" in self.written and self.written != _ISO_WEEK:
            pd.to_datetime(pd.Series(["2000"]), format=self.written, errors="coerce")

    def as_written(self, dates: Any) -> Any:
        """Dates as this table writes them: an Index of numbers or texts, or the dates themselves."""
        if self.written is None or len(self.columns) > 1:
            return dates
        if self.written in _UNITS:
            wall = dates.tz_convert("UTC").tz_localize(None) if dates.tz is not None else dates
            return pd.Index(wall.as_unit(self.written).asi8)
        if self.written in ("year", "YYYYMMDD"):
            return pd.Index(dates.year if self.written == "year" else dates.strftime("%Y%m%d").astype(np.int64))
        return dates.strftime(self.written)

    def columns_of(self, dates: Any) -> dict[str, Any]:
        """Dates in the columns that they stand in, as texts and numbers in the form of those that were read."""
        if len(self.columns) > 1 and self.columns[0].lower() == "year":
            return {column: getattr(dates, column.lower()) for column in self.columns}
        forms = self.forms or [None] * len(self.columns)
        if len(self.columns) == 1:
            hides = forms[0] and not {"%H", "%I", "%-H", "%-I"} & set(re.findall(r"%-?\w", forms[0]))
            if hides and not (dates == dates.normalize()).all():
                return {self.name: dates}  # after uneven steps, whose median is no whole day
            return {self.name: in_form(dates, forms[0]) if forms[0] else self.as_written(dates)}
        days = dates.normalize()
        hours: Any = dates.strftime("%H:%M:%S")
        if self.hours_from is not None:
            hours = dates.hour + self.hours_from
        elif forms[1]:
            hours = in_form(dates, forms[1])
        return {self.name: in_form(days, forms[0]) if forms[0] else days, self.columns[1]: hours}


def find_time(frame: pd.DataFrame, time: str | None, date_format: str | None) -> tuple[Time | None, Any, list[str]]:
    """Where the dates stand, the dates, and notes.

    Parameters
    ----------
    frame : DataFrame
        As `read_table` returns it.
    time : str, optional
        The column; without it, one of dates is taken, by its name if there are several.
    date_format : str, optional
        As of `to_dates`.
    """
    if time is not None:
        if time not in frame.columns:
            raise TableError(
                f"{option('time')}: expected a column of the table ({listed(frame.columns)}), got {time!r}"
            )
        dates, note, written = to_dates(frame[time], f"column {time!r}", date_format)
        if dates is None:
            some = frame[time].dropna()
            got = repr(str(some.iloc[0])) if len(some) else "none"
            raise TableError(
                f"{option('time')}: expected a column of dates, got {got} in {time!r}; see {option('date_format')}"
            )
        return _with_hour(frame, time, dates, written, [note] if note else [])
    found: dict[str, tuple[Any, str, str | None]] = {}
    refused: list[TableError] = []
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind == "b" or (column.dtype.kind == "f" and not _EPOCH.fullmatch(name)):
            continue
        by_format = date_format if column.dtype.kind not in "iuf" and _NAMED.search(name) else None
        try:
            found_here = to_dates(column, f"column {name!r}" if by_format else None, by_format)
        except TableError as error:  # most cells are dates, or they can be read either way
            refused.append(TableError(str(error).replace("the column", f"column {name!r}")))
            continue
        if found_here[0] is not None and found_here[0].notna().any():
            found[name] = found_here[0], found_here[1].replace("the column", f"column {name!r}"), found_here[2]
    if not refused and all(name.lower() == "year" for name in found):
        parts = _parts(frame)
        if len(parts) > 1:
            return Time(parts[0], parts), _from_parts(frame, parts), [f"dates: from the columns {', '.join(parts)}"]
    if not found and refused:
        raise refused[0]
    if not found:
        return None, None, []
    named = [name for name in found if _NAMED.search(name)] or list(found)
    ordered = [n for n in named if found[n][0].is_monotonic_increasing or found[n][0].is_monotonic_decreasing]
    chosen = (ordered or named)[0]
    notes = [found[chosen][1]] if found[chosen][1] else []
    others = f", not {listed(repr(name) for name in found if name != chosen)}" if len(found) > 1 else ""
    notes.append(f"dates: column {chosen!r}{others} (choose with {option('time')})")
    return _with_hour(frame, chosen, found[chosen][0], found[chosen][2], notes)


def _parts(frame: pd.DataFrame) -> list[str]:
    """The columns year, month, day, ... as far as they go; or year and quarter."""
    whole = [name for name in frame.columns if frame[name].dtype.kind in "iuf" and (frame[name] % 1 == 0).all()]
    lower = {str(name).lower(): str(name) for name in whole}
    if "year" in lower and "quarter" in lower and "month" not in lower:
        return [lower["year"], lower["quarter"]]
    parts = []
    for part in _PARTS:
        if part not in lower:
            break
        parts.append(lower[part])
    return parts


def _from_parts(frame: pd.DataFrame, parts: list[str]) -> Any:
    values = {key: frame[column].to_numpy() for key, column in zip(_PARTS, parts, strict=False)}
    if parts[1].lower() == "quarter":
        values["month"] = 3 * values["month"] - 2
    values.setdefault("day", np.ones(len(frame), np.int64))
    try:
        return pd.DatetimeIndex(pd.to_datetime(pd.DataFrame(values)))
    except (ValueError, TypeError) as error:
        raise TableError(f"columns {', '.join(parts)}: expected parts of dates ({error})") from error


def _with_hour(
    frame: pd.DataFrame, name: str, dates: Any, written: str | None, notes: list[str]
) -> tuple[Time, Any, list[str]]:
    """The hour too, where dates repeat and it stands in a column of its own."""
    zone = None if dates.tz is None else str(dates.tz)
    form = None
    if frame[name].dtype.kind == "O" or isinstance(frame[name].dtype, pd.StringDtype):
        form = form_of(frame[name].dropna().astype(str).str.strip().tolist(), written)
    alone = Time(name, [name], written, None, zone, [form])
    if dates.isna().any() or (dates != dates.normalize()).any() or dates.is_unique:
        return alone, dates, notes
    for other in frame.columns:
        column = frame[other]
        if other == name or column.isna().any():
            continue
        whole = is_numeric(column) and bool((column % 1 == 0).all())
        if whole and _HOUR.fullmatch(str(other)) and column.min() >= 0 and column.max() <= 24:
            first = int(column.max() == 24)
            what = ", from 1 to 24, which are the hours that end then" if first else ""
        elif (
            not is_numeric(column)
            and column.head(_SAMPLE).map(lambda c: _CLOCK.fullmatch(str(c).strip()) is not None).all()
        ):
            first, what = None, ""
        else:
            continue
        clock = None if whole else form_of(column.astype(str).str.strip().tolist(), _clock_form(column))
        found = Time(name, [name, str(other)], written, first, zone, [form, clock])
        note = f"dates: from the columns {name}, {other}{what}"
        return found, dates + _of_day(column, str(other), first), [*(n for n in notes if "dates:" not in n), note]
    return alone, dates, notes


def _clock_form(column: Any) -> str:
    first = str(column.iloc[0]).strip()
    if ":" not in first:
        return "%H.%M.%S"
    return "%H:%M" if first.count(":") == 1 else "%H:%M:%S.%f" if "." in first else "%H:%M:%S"


def _of_day(column: Any, name: str, hours_from: int | None) -> Any:
    """How long after midnight a row is."""
    if hours_from is not None:
        wrong = ~((column >= hours_from) & (column <= 23 + hours_from)).to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            raise TableError(
                f"column {name!r}, row {row + 1}: expected an hour from {hours_from} to {23 + hours_from}, "
                f"got {column.iloc[row]}"
            )
        return pd.TimedeltaIndex(pd.to_timedelta(column.to_numpy(np.int64) - hours_from, unit="h"))
    texts = column.astype(str).str.strip()
    right = texts.map(lambda cell: _CLOCK.fullmatch(cell) is not None).to_numpy()
    if not right.all():
        row = int((~right).argmax())
        raise TableError(f"column {name!r}, row {row + 1}: expected a time of day, got {texts.iloc[row]!r}")
    texts = texts.where(texts.str.contains(":"), texts.str.replace(".", ":"))
    return pd.TimedeltaIndex(pd.to_timedelta(texts.where(texts.str.count(":") == 2, texts + ":00")))


# ---- Order ----


def check_order(
    dates: Any, groups: Array, ids: Sequence[tuple[str, ...]], name: str, hint: str
) -> tuple[Array, list[str]]:
    """Rows in order of sequence and time, and what was said of it.

    Parameters
    ----------
    dates : DatetimeIndex
    groups : int array [rows]
        The number of each row's sequence.
    ids : sequence of tuple of str
        The id of each sequence.
    name : str
        The column of dates.
    hint : str
        A column that may tell sequences apart, or none.

    Returns
    -------
    order : int array [rows]
    notes : list of str
    """
    if dates.isna().any():
        row = int(np.flatnonzero(dates.isna())[0])
        raise TableError(f"column {name!r}, row {row + 1}: expected a date, got none")
    stamps = dates.asi8
    order = np.lexsort((np.arange(len(stamps)), stamps, groups))
    same = (np.diff(stamps[order]) == 0) & (np.diff(groups[order]) == 0)
    if same.any():
        at = int(np.flatnonzero(same)[0])
        first, second = sorted((int(order[at]) + 1, int(order[at + 1]) + 1))
        whose = f" of {', '.join(ids[groups[order[at]]])}" if any(ids[groups[order[at]]]) else ""
        more = int(same.sum()) - 1
        raise TableError(
            f"column {name!r}: expected each date once{whose}, got {dates[order[at]]} in rows {first} and {second}"
            + (f", and {more:,} more" if more else "")
            + (f"; {hint}" if hint else "")
        )
    notes = []
    falls = [np.diff(stamps[groups == g]) for g in range(len(ids))] if len(ids) < 100 else []
    if not np.array_equal(order[np.argsort(groups[order], kind="stable")], np.argsort(groups, kind="stable")):
        newest = falls and all((fall < 0).all() for fall in falls)
        notes.append("rows stand newest first: they are turned round" if newest else "rows are sorted by their dates")
    return order, notes
