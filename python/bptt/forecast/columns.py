"""What each column of a table is for: by what the user says, and by what is in it. Knows no files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt.forecast.errors import TableError, listed, option
from bptt.forecast.numbers import notation_of, style
from bptt.forecast.times import is_numeric

_MOST_CATEGORIES = 30  # of a column of text that is read without being asked for
_KEY = re.compile(r"(.*[_ ])?(id|key|uuid|index|idx|code|zip|plz|nr)|.*(Id|ID|Key|Nr)|unnamed.*|level_\d", re.I)
_PART = re.compile(r"(year|month|day|hour|minute|second|week|weekday|day_?of_?(week|month|year)|dow|doy|yday)", re.I)
_ENOUGH = 50  # rows, below which nothing is said of noise
_FEW = 4  # steps, below which a column that grows evenly is no counter yet
_EVEN = 0.02  # how much the steps of a counter may differ: 1960.083, 1960.167, 1960.25 are rounded
_LAGS = 40
_MARKERS = (-9.0, -99.0, -999.0, -9999.0, -99999.0, -999.9, -99.9, 9999.0, 99999.0, 999999.0)

_LARGEST = 1e100  # sums of squares stay finite


@dataclass(frozen=True)
class Roles:
    """Columns by what they are for.

    Attributes
    ----------
    targets, past, future, static, ids : list of str
        What is forecast; what is read beside it; what is known in advance; what holds of a whole sequence; what tells
        sequences apart.
    left_out : dict of str to str
        Columns that are not used, and why.
    notes : list of str
        What was decided.
    """

    targets: list[str]
    past: list[str]
    future: list[str]
    static: list[str]
    ids: list[str]
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def names_of(keyword: str, given: str | Sequence[str] | None, frame: pd.DataFrame) -> list[str] | None:
    """Names of columns: a list of them, or a text with commas between them."""
    if given is None:
        return None
    columns = [str(name) for name in frame.columns]
    if isinstance(given, str):
        names = [given] if given in columns else [part.strip() for part in given.split(",") if part.strip()]
    else:
        names = []
        for one in given:
            if not isinstance(one, str):
                raise TypeError(f"{option(keyword)}: expected names of columns, got {one!r}")
            names += [one] if one in columns else [part.strip() for part in one.split(",") if part.strip()]
    for name in names:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, 1)
            hint = f"; is it {near[0]!r}?" if near else ""
            raise TableError(
                f"{option(keyword)}: expected columns of the table ({listed(columns)}), got {name!r}{hint}"
            )
    if twice := {name for name in names if names.count(name) > 1}:
        raise TableError(f"{option(keyword)}: expected each column once, got {min(twice)!r} twice")
    return names


def numbers_of(column: Any, name: str) -> Array:
    """A column as float64, NaN where missing; infinite, huge and other cells are refused by their row, the index."""
    if not is_numeric(column):
        row, cell = _first_bad(column)
        raise TableError(f"column {name!r}, row {row + 1}: expected a number, got {cell!r}")
    numbers: Array = column.to_numpy(np.float64, na_value=np.nan)
    if (huge := np.abs(numbers) > _LARGEST).any():
        row = int(huge.argmax())
        expected = "a number" if np.isinf(numbers[row]) else f"numbers up to {_LARGEST:g}"
        raise TableError(f"column {name!r}, row {column.index[row] + 1}: expected {expected}, got {numbers[row]}")
    return numbers


def texts_of(column: Any) -> Array:
    """The cells of a column as categories, object [rows]: text; empty where missing, ``1`` for 1.0."""
    codes, unique = pd.factorize(column)
    whole = [str(int(one)) if isinstance(one, float) and one.is_integer() else str(one).strip() for one in unique]
    result: Array = np.array([*whole, ""], object)[codes]  # a missing cell has the code -1
    return result


def _first_bad(column: Any) -> tuple[int, Any]:
    """The first cell that is no number, where most are; or the first."""
    cells = [str(cell) for cell in column.dropna()]
    where = column.index[column.notna()]
    good = [notation_of([], mark, None) for mark in ".,"]
    row = next((i for i, cell in enumerate(cells) if all(g.read(cell) is None for g in good)), 0)
    return (int(where[row]), cells[row]) if cells else (0, "none")


def check_cells(column: Any, name: str) -> None:
    """Raise TableError if most cells of a column of text are numbers: what the others are is worth mending."""
    if is_numeric(column) or column.dtype.kind == "M":
        return
    cells = [str(cell) for cell in column.dropna().head(10_000)]
    if (
        len(cells) > 1
        and sum(style([cell])[0] != "none" for cell in cells) > len(cells) / 2
        and style(cells)[0] == "none"
    ):
        row, cell = _first_bad(column)
        raise TableError(
            f"column {name!r}, row {row + 1}: expected a number, as most cells are, got {cell!r}; mend it, name what "
            f"is missing with {option('na')}, or choose other columns with {option('inputs')}"
        )


def choose_columns(
    frame: pd.DataFrame,
    *,
    target: str | Sequence[str] | None = None,
    inputs: str | Sequence[str] | None = None,
    future: str | Sequence[str] | None = None,
    static: str | Sequence[str] | None = None,
    id: str | Sequence[str] | None = None,
    time_columns: Sequence[str] = (),
    dates: Any = None,
    groups: Array | None = None,
) -> Roles:
    """Decide what each column is for.

    Parameters
    ----------
    frame : DataFrame
        Rows in order of sequence and time.
    target, inputs, future, static, id : str or sequence of str, optional
        Columns, as the user says. Without `target` all columns that can be forecast are; without `inputs` all others
        that say something are read.
    time_columns : sequence of str
        Those that give the dates.
    dates : DatetimeIndex, optional
        Of the rows.
    groups : int array [rows], optional
        The number of each row's sequence.

    Returns
    -------
    Roles

    Raises
    ------
    TableError
        A name is no column's or has two roles, a target holds no numbers, or nothing is left to forecast.
    """
    named = {
        "target": names_of("target", target, frame),
        "inputs": names_of("inputs", inputs, frame),
        "future": names_of("future", future, frame) or [],
        "static": names_of("static", static, frame) or [],
        "id": names_of("id", id, frame) or [],
    }
    _check_roles(named, time_columns)
    groups = np.zeros(len(frame), np.int64) if groups is None else groups
    targets, wanted = named["target"], named["inputs"]
    taken = {*named["future"], *named["static"], *named["id"], *time_columns}  # type: ignore[misc]
    left_out: dict[str, str] = {}
    notes: list[str] = []
    usable: list[str] = []  # columns of numbers that say something
    words: list[str] = []
    for name in frame.columns:
        if name in taken or (targets is not None and name in targets) or (wanted is not None and name in wanted):
            continue
        if targets is not None and wanted is not None:
            continue
        column = frame[name]
        reason = why_not(column, str(name), groups, dates)
        if reason:
            left_out[str(name)] = reason
        elif is_numeric(column):
            usable.append(name)
        else:
            words.append(name)
    if targets is None:
        targets = [name for name in usable if wanted is None or name not in wanted]
        flags = [name for name in targets if frame[name].nunique() <= 2]
        if flags and len(flags) < len(targets):
            targets = [name for name in targets if name not in flags]
            notes.append(f"not forecast, because of two values only: {listed(flags)}")
        noise = [name for name in targets if len(targets) > 1 and is_noise(numbers_of(frame[name], name), groups)]
        if noise and len(noise) < len(targets):
            targets = [name for name in targets if name not in noise]
            notes.append(
                f"not forecast, because its values do not follow from those before them: {listed(noise)} "
                f"(name it with {option('target')} to forecast it all the same)"
            )
        if not targets:
            why = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:5])
            raise TableError(
                f"{option('target')}: expected a column of numbers to forecast, got none{f' ({why})' if why else ''}"
            )
        if len(frame.columns) - len(taken) > 1 or len(targets) > 1:
            notes.append(f"forecast: {listed(targets)} (choose with {option('target')})")
    for name in targets:
        numbers = numbers_of(frame[name], name)
        if np.isnan(numbers).all():
            raise TableError(f"{option('target')}: expected numbers in {name!r}, got none: all cells are missing")
    if wanted is None:
        past = [name for name in [*usable, *words] if name not in targets]
        past.sort(key=list(frame.columns).index)
        if past:
            notes.append(f"read beside it: {listed(past)} (choose with {option('inputs')})")
    else:
        past = [name for name in wanted if name not in targets]
    if left_out:
        notes.append(f"left out: {'; '.join(f'{name} ({reason})' for name, reason in left_out.items())}")
    for name in [*targets, *past]:
        if is_numeric(frame[name]) and (note := _marker(numbers_of(frame[name], name))):
            notes.append(f"{name}: {note}; if it marks what is missing, name it with {option('na')}")
    return Roles(targets, past, named["future"] or [], named["static"] or [], named["id"] or [], left_out, notes)


def _check_roles(named: dict[str, list[str] | None], time_columns: Sequence[str]) -> None:
    roles = {"time": list(time_columns), **named}
    for first, second in (
        ("id", "target"), ("id", "future"), ("id", "time"), ("future", "target"), ("future", "inputs"),
        ("time", "target"), ("time", "inputs"), ("static", "target"), ("static", "inputs"), ("static", "future"),
        ("inputs", "id"),
    ):  # fmt: skip
        if both := set(roles[first] or []) & set(roles[second] or []):
            raise TableError(
                f"{option(second)}: expected other columns than those of {option(first)}, got {min(both)!r} in both"
            )


def why_not(column: Any, name: str, groups: Array, dates: Any) -> str:
    """Why a column that nobody asked for is not used; empty if it is."""
    if column.isna().all():
        return "all cells are missing"
    if not is_numeric(column):
        if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype | pd.PeriodDtype):
            return "dates"
        check_cells(column, name)
        categories = set(texts_of(column)) - {""}
        if len(categories) == 1:
            return f"the same in all rows: {categories.pop()}"
        if len(categories) > min(_MOST_CATEGORIES, max(len(column) // 4, 2)):
            return f"text of {len(categories):,} kinds"
        return ""
    numbers = numbers_of(column, name)
    known = numbers[~np.isnan(numbers)]
    if (known == known[0]).all():
        return f"the same in all rows: {known[0]:g}"
    steps = np.diff(numbers)[np.diff(groups) == 0]
    if len(steps) >= _FEW and steps[0] != 0 and np.allclose(steps, steps[0], rtol=_EVEN, atol=0):
        return "a counter: it grows by the same from row to row"
    whole = bool((known % 1 == 0).all())
    if whole and (known >= 1e8).all() and (steps > 0).all() and len(steps) > 1:
        return "time stamps: whole numbers that only grow"
    if whole and _KEY.fullmatch(name):
        return "a key, by its name"
    if dates is not None and whole:
        wall = dates.tz_localize(None) if dates.tz is not None else dates
        for part in ("year", "month", "day", "hour", "minute", "day_of_week", "day_of_year", "quarter"):
            of_date = getattr(wall, part).to_numpy()
            if (of_date != of_date[0]).any() and len(set(np.unique(numbers - of_date))) == 1:
                return f"the {part} of the dates"
    if whole and _PART.fullmatch(name):
        return "a part of a date, by its name"
    return ""


def is_noise(numbers: Array, groups: Array) -> bool:
    """Whether a column's autocorrelations are those of white noise.

    The statistic of Ljung and Box, Q = n (n + 2) sum_k r(k)^2 / (n - k) over k = 1 ... m, has a chi-squared
    distribution with m degrees of freedom if nothing follows from what was before. Missing cells take no part. A
    column that wanders is no noise, though its differences are.
    """
    known = np.isfinite(numbers)
    n = int(known.sum())
    if n < _ENOUGH:
        return False
    ranks = np.zeros(len(numbers))
    ranks[known] = pd.Series(numbers[known]).rank().to_numpy()  # one spike does not outweigh all else
    mean = ranks[known].mean()
    z = np.where(known, ranks - mean, 0.0)
    variance = float((z**2).sum())
    m = min(_LAGS, n // 5)
    q = 0.0
    for lag in range(1, m + 1):
        same = groups[lag:] == groups[:-lag]
        pairs = int((known[lag:] & known[:-lag] & same).sum())
        if pairs:
            r = float((z[lag:] * z[:-lag])[same].sum()) / variance
            q += r**2 * (n + 2) * n / max(n - lag, 1)
    # Wilson and Hilferty: (q / m)^(1/3) is about normal
    normal = ((q / m) ** (1 / 3) - (1 - 2 / (9 * m))) / np.sqrt(2 / (9 * m))
    return bool(normal < 2.326)  # with a probability of 0.01 noise is taken for more


def _marker(numbers: Array) -> str:
    """A number that seems to say that none is known: it stands several times, far from all others."""
    known = numbers[~np.isnan(numbers)]
    for marker in _MARKERS:
        hits = int((known == marker).sum())
        others = known[known != marker]
        if hits > 1 and len(others) > hits:
            low, high = others.min(), others.max()
            if marker < low - 2 * (high - low) or marker > high + 2 * (high - low):
                return f"{marker:g} stands {hits:,} times, far from all other numbers"
    return ""
