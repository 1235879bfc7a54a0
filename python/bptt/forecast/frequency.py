"""Even steps of dates: which they are, what is missing between them, what comes next, what the calendar says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt.forecast.errors import TableError, option

_DAY = 86_400  # seconds
_MOST_ROWS = 2  # times those that are there: from more on, steps are uneven rather than full of gaps
_FEW = 10  # rows, below which weekends say nothing
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
CALENDAR = {"hour": _DAY, "weekday": 7 * _DAY, "month": 365.25 * _DAY, "day of year": 365.25 * _DAY}
"""What the calendar can say of a date, and after how many seconds it says the same again."""


@dataclass(frozen=True)
class Step:
    """From a date to the next: so many nanoseconds, months or working days.

    Attributes
    ----------
    alias : str
        As pandas calls it: ``"h"``, ``"30min"``, ``"D"``, ``"W-SUN"``, ``"B"``, ``"MS"``, ``"QS-JAN"``, ``"YS-JAN"``.
    nanoseconds, months, working_days : int
        One of them is not 0.
    month_end : bool
        Whether each date is the last of its month.
    """

    alias: str
    nanoseconds: int = 0
    months: int = 0
    working_days: int = 0
    month_end: bool = False

    @property
    def seconds(self) -> float:
        """About how long it is."""
        return self.nanoseconds / 1e9 + self.months * 365.25 / 12 * _DAY + self.working_days * 1.4 * _DAY

    def after(self, date: Any, steps: Array) -> Any:
        """The dates so many steps after one, as a DatetimeIndex."""
        by_clock = self.nanoseconds and (self.nanoseconds % (_DAY * 10**9) or date.tz is None)
        wall = date if by_clock else date.tz_localize(None)
        if self.nanoseconds:
            seconds, rest = divmod(self.nanoseconds, 10**9)
            unit = "s" if not rest else "ns"
            whole = np.asarray(steps, np.int64) * (seconds if unit == "s" else self.nanoseconds)
            result = pd.DatetimeIndex([wall]).repeat(len(whole)) + pd.to_timedelta(whole, unit=unit)
        elif self.working_days:
            days = np.busday_offset(np.datetime64(wall.date()), np.asarray(steps) * self.working_days)
            result = pd.DatetimeIndex(days.astype("datetime64[s]")) + (wall - wall.normalize())
        else:
            month = np.datetime64(f"{wall.year:04d}-{wall.month:02d}", "M") + np.asarray(steps, np.int64) * self.months
            first = month.astype("datetime64[D]")
            length = ((month + 1).astype("datetime64[D]") - first).astype(np.int64)
            day = length if self.month_end else np.minimum(wall.day, length)
            result = pd.DatetimeIndex((first + (day - 1)).astype("datetime64[s]")) + (wall - wall.normalize())
        if date.tz is not None and not by_clock:
            result = result.tz_localize(date.tz, ambiguous=np.ones(len(result), bool), nonexistent="shift_forward")
        return result

    def positions(self, dates: Any) -> Array:
        """How many steps each date is after the first one; -1 where it is between two."""
        first = dates[0]
        if self.nanoseconds:
            wall = dates if self.nanoseconds % (_DAY * 10**9) or first.tz is None else dates.tz_localize(None)
            steps = np.rint((wall - wall[0]) / pd.Timedelta(self.nanoseconds, unit="ns")).astype(np.int64)
        elif self.working_days:
            days = dates.tz_localize(None).to_numpy().astype("datetime64[D]")
            steps = np.busday_count(days[0], days) // self.working_days
        else:
            steps = ((dates.year - first.year) * 12 + dates.month - first.month).to_numpy() // self.months
        same = (self.after(first, steps) == dates) & (steps >= 0)
        return np.where(same, steps, -1)


def step_of(alias: str) -> Step:
    """The step that pandas calls so."""
    offsets = pd.offsets
    try:
        offset = pd.tseries.frequencies.to_offset(alias)
    except (ValueError, TypeError):
        offset = None
    name = getattr(offset, "freqstr", alias)
    if isinstance(offset, offsets.Week):
        return Step(name, nanoseconds=offset.n * 7 * _DAY * 10**9)
    if isinstance(offset, offsets.BusinessDay) and offset.n == 1:
        return Step(name, working_days=1)
    for begin, end, months in (
        (offsets.MonthBegin, offsets.MonthEnd, 1),
        (offsets.QuarterBegin, offsets.QuarterEnd, 3),
        (offsets.YearBegin, offsets.YearEnd, 12),
    ):
        if isinstance(offset, begin | end):
            return Step(name, months=months * offset.n, month_end=isinstance(offset, end))
    if isinstance(offset, offsets.Day):
        return Step(name, nanoseconds=offset.n * _DAY * 10**9)
    if isinstance(offset, offsets.Tick) and offset.n > 0:
        return Step(name, nanoseconds=pd.Timedelta(offset).as_unit("ns").value)
    raise TableError(
        f"{option('frequency')}: expected one such as 'h', '15min', 'D', 'B', 'W', 'MS', 'QS', got {alias!r}"
    )


def find_step(dates: Any, groups: Array) -> tuple[Step | None, str]:
    """The step of dates in order, of which each sequence has its own; None where they are uneven; and a note.

    Parameters
    ----------
    dates : DatetimeIndex
        Those of a sequence stand together, in order.
    groups : int array [rows]
        The number of each date's sequence.
    """
    inside = np.diff(groups) == 0
    if not inside.any():
        return None, ""
    for wall in (dates, dates.tz_localize(None)) if dates.tz is not None else (dates,):
        stamps = wall.as_unit("ns").asi8
        steps = np.diff(stamps)[inside]
        day = _DAY * 10**9
        common, counts = np.unique(steps, return_counts=True)
        usual = int(common[counts.argmax()])
        weekdays = wall.day_of_week.to_numpy()
        if usual == day and len(dates) >= _FEW and (steps == 3 * day).any() and (weekdays < 5).all():
            return Step("B", working_days=1), ""
        if steps.min() >= 28 * day and (step := _in_months(wall, inside)) is not None:
            return step, ""
        for candidate in dict.fromkeys((usual, int(np.gcd.reduce(steps)))):
            rows = steps.sum() / candidate
            if not (steps % candidate).any() and rows <= _MOST_ROWS * len(steps):
                if candidate == 7 * day and (weekdays == weekdays[0]).all():
                    alias = f"W-{['MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT', 'SUN'][weekdays[0]]}"
                else:
                    alias = pd.tseries.frequencies.to_offset(pd.Timedelta(candidate, unit="ns")).freqstr
                if alias in ("24h", "168h"):
                    alias = {"24h": "D", "168h": "7D"}[alias]
                return Step(alias, nanoseconds=candidate), ""
    median = pd.Timedelta(int(np.median(steps)), unit="ns")
    return None, f"its dates have no even steps (the median is {median}): rows are taken one after another"


def _in_months(dates: Any, inside: Array) -> Step | None:
    clock = dates - dates.normalize()
    if not (clock == clock[0]).all():
        return None
    ends = bool(dates.is_month_end.all())
    days = dates.day.to_numpy()
    if not ends and not (days == np.minimum(days.max(), dates.days_in_month.to_numpy())).all():
        return None  # neither the same day of each month, nor the 30th and in February the 28th
    months = np.diff(dates.year.to_numpy() * 12 + dates.month.to_numpy())[inside]
    step = int(np.gcd.reduce(months))
    if step <= 0 or months.sum() / step > _MOST_ROWS * len(months):
        return None
    ends = ends and not (days == days[0]).all()  # of years that end in December both hold: the same day
    kind = "E" if ends else "S"
    name = _MONTHS[dates[0].month - 1]
    if step % 12 == 0:
        alias = f"{step // 12 if step > 12 else ''}Y{kind}-{name}"
    elif step % 3 == 0:
        alias = f"{step // 3 if step > 3 else ''}Q{kind}-{name}"
    else:
        alias = f"{step if step > 1 else ''}M{kind}"
    return Step(alias, months=step, month_end=ends)


# ---- What the calendar says ----


def seasons(step: Step) -> list[int]:
    """How many rows a day, a week and a year have, where they are whole and more than one: the shortest first."""
    if step.working_days:
        return [5, 261]
    if step.months:
        return [12 // step.months] if 12 % step.months == 0 and step.months < 12 else []
    periods = (
        [_DAY, 7 * _DAY] if step.seconds < _DAY else [7 * _DAY, 364 * _DAY if step.seconds >= 7 * _DAY else 365 * _DAY]
    )
    if step.seconds < 60:
        periods.insert(0, 3600)
    rows = [period * 10**9 // step.nanoseconds for period in periods if period * 10**9 % step.nanoseconds == 0]
    return [n for n in rows if n > 1]


def best_season(step: Step | None, sequences: list[Array]) -> int:
    """The season whose value one season ago is nearest, on average over targets; 1 if the calendar knows none.

    A longer one has to be nearer by a twentieth: in noise, all are alike.

    Parameters
    ----------
    step : Step or None
    sequences : list of float64 array [rows, n_targets]
        NaN where missing.
    """
    known = seasons(step) if step is not None else []
    if not known:
        return 1
    longest = max(map(len, sequences))
    possible = [n for n in known if 2 * n <= longest] or ([known[0]] if known[0] < longest else [1])
    errors = []
    for season in possible if len(possible) > 1 else []:
        sums, counts = 0.0, 0.0
        for y in sequences:
            if len(y) > season:
                differences = np.abs(y[season:] - y[:-season])
                spread = np.nanmax(y, axis=0, initial=-np.inf) - np.nanmin(y, axis=0, initial=np.inf)
                differences = differences / np.where((spread > 0) & np.isfinite(spread), spread, np.inf)
                sums, counts = sums + np.nansum(differences), counts + np.isfinite(differences).sum()
        errors.append(sums / counts if counts else np.inf)
    near = [season for season, error in zip(possible, errors, strict=False) if error <= 1.05 * min(errors)]
    return near[0] if near else possible[0]


def features_for(step_seconds: float, span_seconds: float) -> list[str]:
    """What of `CALENDAR` says something of rows so far apart, and was seen twice at least in so long a time."""
    if step_seconds >= 27 * _DAY:
        fitting = ["month"] if step_seconds < 300 * _DAY else []
    elif step_seconds >= 6 * _DAY:
        fitting = ["day of year"]
    else:
        fitting = (["hour"] if step_seconds < _DAY else []) + ["weekday", "day of year"]
    return [name for name in fitting if span_seconds >= 1.9 * CALENDAR[name]]


def calendar(dates: Any, names: list[str]) -> Array:
    """Sine and cosine of each feature, side by side: float64 [rows, 2 * len(names)]."""
    result = np.empty((len(dates), 2 * len(names)))
    wall = dates.tz_localize(None) if dates.tz is not None else dates
    in_day = ((wall - wall.normalize()) / pd.Timedelta(1, unit="D")).to_numpy(np.float64)
    for j, name in enumerate(names):
        if name == "hour":
            turn = in_day
        elif name == "weekday":
            turn = (wall.day_of_week.to_numpy() + in_day) / 7
        elif name == "month":
            turn = (wall.month.to_numpy() - 1) / 12
        else:
            turn = (wall.day_of_year.to_numpy() - 1 + in_day) / 365.25
        result[:, 2 * j], result[:, 2 * j + 1] = np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)
    return result
