"""From a table to a panel: learned from the table to train on, applied to it and to every later one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt._checks import choice, size
from bptt.forecast.columns import choose_columns, names_of, numbers_of
from bptt.forecast.errors import TableError, listed, option, plural
from bptt.forecast.features import Feature, learn_feature
from bptt.forecast.frequency import CALENDAR, Step, best_season, calendar, features_for, seasons, step_of
from bptt.forecast.order import Rows, check_steps, in_order, missing_rows, runs_of, step_of_rows
from bptt.forecast.panel import Panel, SequenceRows, rows_to_come
from bptt.forecast.reading import tidy
from bptt.forecast.times import Time, find_time, is_numeric

FILLS = ("interpolate", "forward", "none")


@dataclass(frozen=True)
class Recipe:
    """What the columns of a table are for, and how they become numbers: plain data, kept in the model.

    Attributes
    ----------
    targets, ids : list of str
        Columns.
    past, future, static : list of Feature
        Columns as inputs.
    time : Time or None
        Where the dates stand.
    frequency : str or None
        As `Panel.frequency`.
    median_step : float
        Seconds from row to row, the median, where the steps are uneven.
    season : int
        As `Panel.season`.
    calendar : list of str
        Features of the calendar, of ``"hour"``, ``"weekday"``, ``"month"``, ``"day of year"``.
    fill : str
        What becomes of targets that are missing between others.
    notes : list of str
        What was decided, one line each, in words for the user.
    """

    targets: list[str]
    ids: list[str]
    past: list[Feature]
    future: list[Feature]
    static: list[Feature]
    time: Time | None
    frequency: str | None
    median_step: float
    season: int
    calendar: list[str]
    fill: str
    notes: list[str] = field(default_factory=list, compare=False)

    @classmethod
    def learn(
        cls,
        frame: pd.DataFrame,
        *,
        target: str | Sequence[str] | None = None,
        inputs: str | Sequence[str] | None = None,
        future: str | Sequence[str] | None = None,
        static: str | Sequence[str] | None = None,
        id: str | Sequence[str] | None = None,
        time: str | None = None,
        date_format: str | None = None,
        frequency: str | None = None,
        season: int | None = None,
        calendar: Sequence[str] | str | None = None,
        fill: str = "interpolate",
    ) -> Recipe:
        """Look at the table to train on.

        Parameters
        ----------
        frame : DataFrame
            As `read_table` returns it, or one's own: dates may be its index, ids the other levels of it.
        target, inputs, future, static, id : str or sequence of str, optional
            Names of columns, in one text with commas between them too. What is forecast (without it, all columns of
            numbers but those that cannot be); what is read beside it (without it, the others that say something);
            what is known in advance; what holds of a whole sequence; what tells sequences apart.
        time : str, optional
            The column of dates; without it, it is found.
        date_format : str, optional
            How dates are written, as of ``strptime``.
        frequency : str, optional
            The step from row to row as pandas calls it, ``"h"``, ``"15min"``, ``"B"``, ``"MS"``; it is found without.
        season : int, optional
            In rows. Without it, of those that the calendar knows (a day, a week, a year) the one that tells most.
        calendar : sequence of str, optional
            Features: ``"hour"``, ``"weekday"``, ``"month"``, ``"day of year"``. Without it those that suit the step and
            that the table shows twice; an empty one for none.
        fill : ``"interpolate"``, ``"forward"`` or ``"none"``
            What becomes of targets that are missing between others, and in rows that are missing: a straight line, the
            value before, or NaN.

        Raises
        ------
        TableError
            In one line: what cannot be, and the keyword that says how.
        """
        choice(option("fill"), fill, FILLS)
        if season is not None:
            size(option("season"), season, 1)
        frame, notes = tidy(frame, "the table")
        ids = names_of("id", id, frame) or [str(name) for name in frame.attrs.get("ids", [])]
        named = [*ids]
        for keyword, given in (("target", target), ("inputs", inputs), ("future", future), ("static", static)):
            named += names_of(keyword, given, frame) or []
        known = {name for name in named if is_numeric(frame[name]) or name in ids} - {time}
        candidates = frame.loc[:, [name for name in frame.columns if name not in known]]
        where, dates, found = find_time(candidates, time, date_format)
        rows = in_order(frame, ids, where, dates)
        notes += found + rows.notes
        step, median = None, 0.0
        if where is not None:
            step, median, note = step_of_rows(rows, where.name, frequency)
            notes.append(note)
        elif frequency is not None:
            raise TableError(f"{option('frequency')}: expected a table with dates, got none; see {option('time')}")
        roles = choose_columns(
            rows.frame, target=target, inputs=inputs, future=future, static=static, id=ids,
            time_columns=where.columns if where is not None else (), dates=rows.dates, groups=rows.groups,
        )  # fmt: skip
        notes += roles.notes
        gaps = step is not None and any(missing_rows(rows, step, g) for g in range(len(rows.ids)))
        features = {
            keyword: [learn_feature(rows.frame[name], name, keyword, gaps and keyword != "static") for name in names]
            for keyword, names in (("inputs", roles.past), ("future", roles.future), ("static", roles.static))
        }
        said = _calendar_features(calendar, rows, median)
        recipe = cls(
            roles.targets, ids, features["inputs"], features["future"], features["static"], where,
            step.alias if step is not None else None, median, season or 1, said, fill, notes,
        )  # fmt: skip
        if season is None and step is not None:
            recipe = replace(
                recipe, season=best_season(step, [recipe._targets_of(rows, g, step)[0] for g in range(len(rows.ids))])
            )
        if where is not None:
            words = f"sine and cosine of {listed(said)}" if said else "nothing"
            notes.append(f"of the calendar it reads {words} (choose with {option('calendar')})")
        if recipe.season > 1 or (step is not None and seasons(step)):
            notes.append(f"season: {plural(recipe.season, 'row')} (choose with {option('season')})")
        return recipe

    def apply(self, frame: pd.DataFrame) -> Panel:
        """Make the sequences of a table, of this one and of every later one, in the same way.

        Rows at the end without targets are rows to come: y is NaN there, and what is known in advance is read.

        Raises
        ------
        TableError
            A column is missing, the steps are others than in training, or a row to come lacks what is known in advance.
        """
        frame, notes = tidy(frame, "the table")
        wanted = [*self.ids, *self.targets, *(f.column for f in (*self.past, *self.future, *self.static))]
        if absent := [name for name in wanted if name not in frame.columns]:
            raise TableError(f"expected the columns of training, got a table without {listed(map(repr, absent))}")
        dates = self.time.read(frame) if self.time is not None else None
        rows = in_order(frame, self.ids, self.time, dates)
        notes += rows.notes
        step = step_of(self.frequency) if self.frequency is not None else None
        if step is not None:
            check_steps(rows, step, self.time.name if self.time is not None else "")
        raw = {
            feature: feature.raw(rows.frame[feature.column], notes)
            for feature in (*self.past, *self.future, *self.static)
        }
        sequences, gaps = [], []
        holes: Array = np.zeros(len(self.targets), np.int64)
        for g in range(len(rows.ids)):
            y, filled, at, times = self._targets_of(rows, g, step)
            if len(at) < len(y):
                gaps.append((len(y) - len(at), rows.ids[g], times, at))
            mine = np.flatnonzero(rows.groups == g)
            come = rows_to_come(filled)
            holes = holes + filled[: len(y) - come].sum(axis=0)
            spread = {f: _spread(raw[f][mine], at, len(y)) for f in (*self.past, *self.future)}
            self._check_rows_to_come(spread, times, come, rows.ids[g], mine)
            known = [f.columns(spread[f]) for f in self.future]
            if self.time is not None:
                known.append(calendar(times, self.calendar))
            sequences.append(
                SequenceRows(
                    rows.ids[g],
                    times,
                    y,
                    _side_by_side([f.columns(spread[f]) for f in self.past], len(y)),
                    _side_by_side(known, len(y)),
                    np.concatenate([np.zeros(0), *(_constant(f, raw[f][mine], rows.ids[g]) for f in self.static)]),
                    filled,
                )
            )
        notes += _told_gaps(gaps, self.frequency, self.fill)
        for name, n in zip(self.targets, holes, strict=True):
            if n and not gaps:
                notes.append(f"{name}: {plural(int(n), 'missing cell')} (see {option('fill')}, now {self.fill!r})")
        for feature in (*self.past, *self.future):
            if n := int(np.isnan(raw[feature]).sum()):
                by = "filled with the value before" + (", and marked by an indicator" if feature.indicator else "")
                notes.append(f"{feature.column}: {plural(n, 'missing cell')}, {by}")
        return Panel(
            sequences,
            list(self.targets),
            [name for f in self.past for name in f.names],
            [name for f in self.future for name in f.names]
            + [f"{c} {s}" for c in self.calendar for s in ("sine", "cosine")],
            [name for f in self.static for name in f.names],
            list(self.ids),
            self.time.name if self.time is not None else None,
            self.frequency,
            self.season,
            notes,
        )

    def stamps(self, times: Any) -> Any:
        """Dates for a table like the one learnt from: numbers where that has numbers, such as years."""
        written = self.time.as_written(times) if self.time is not None else times
        return written if is_numeric(written) else times

    def as_read(self, forecast: pd.DataFrame) -> pd.DataFrame:
        """Forecasts with their dates in the columns, and in the form, of the table learnt from: as texts."""
        if self.time is None or is_numeric(forecast[self.time.name]):
            return forecast
        columns: dict[str, Any] = {}
        for name in forecast.columns:
            columns |= {name: forecast[name]} if name != self.time.name else self._dates_as_read(forecast[name])
        return pd.DataFrame(columns)

    def _dates_as_read(self, dates: Any) -> dict[str, Any]:
        assert self.time is not None
        columns = self.time.columns_of(pd.DatetimeIndex(dates))
        return {name: pd.Series(values.to_numpy(), dates.index) for name, values in columns.items()}

    def first_rows(self, frame: pd.DataFrame, share: float) -> pd.DataFrame:
        """The first rows of each sequence, this share of those that have a target: what stands for the past."""
        frame, _ = tidy(frame, "the table")
        rows = in_order(frame, self.ids, self.time, self.time.read(frame) if self.time is not None else None)
        columns = np.stack([numbers_of(rows.frame[name], name) for name in self.targets])
        known: Array = np.asarray((~np.isnan(columns)).any(axis=0))
        keep = np.zeros(len(known), np.bool_)
        for g in range(len(rows.ids)):
            mine = np.flatnonzero(rows.groups == g)
            with_target = np.flatnonzero(known[mine])
            n = round(len(with_target) * share)
            keep[mine[: with_target[n - 1] + 1 if n else 0]] = True
        return rows.frame[keep].reset_index(drop=True)

    def extend(self, sequence: SequenceRows, steps: int) -> tuple[Any, Array]:
        """The times after a sequence, and what is known of them.

        Parameters
        ----------
        sequence : SequenceRows
            Of a panel that this recipe made.
        steps : int
            How many.

        Returns
        -------
        times : DatetimeIndex or RangeIndex [steps]
        future : float64 array [steps, n_future]
            The calendar; NaN in the user's columns, whose values nobody knows but the user.
        """
        own = np.full((steps, sum(len(f.names) for f in self.future)), np.nan)
        if self.time is None:
            return pd.RangeIndex(len(sequence.times), len(sequence.times) + steps), own
        step = self._step()
        times = step.after(sequence.times[-1], np.arange(1, steps + 1))
        times = pd.DatetimeIndex(times, name=self.time.name)
        return times, np.concatenate([own, calendar(times, self.calendar)], axis=1)

    def as_json(self) -> dict[str, Any]:
        """As what JSON can hold, without the notes."""
        plain = asdict(self)
        plain.pop("notes")
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Recipe:
        """The recipe that `as_json` has written.

        Raises
        ------
        ValueError
            It is none.
        """
        try:
            values = dict(plain)
            for key in ("past", "future", "static"):
                features = [Feature(**feature) for feature in values[key]]
                values[key] = [replace(f, categories=f.categories and tuple(f.categories)) for f in features]
            values["time"] = None if values["time"] is None else Time(**values["time"])
            recipe = cls(**values)
            recipe._check()
        except (TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"recipe: expected one that as_json wrote, got another ({error})") from None
        return recipe

    def _check(self) -> None:
        texts = [
            *self.targets,
            *self.ids,
            *self.calendar,
            *(f.column for f in (*self.past, *self.future, *self.static)),
        ]
        for feature in (*self.past, *self.future, *self.static):
            texts += feature.categories or ()
            if not isinstance(feature.mean, int | float) or not np.isfinite(feature.mean):
                raise ValueError(f"recipe: expected a finite mean of {feature.column!r}, got {feature.mean!r}")
            if type(feature.indicator) is not bool or not isinstance(feature.categories, tuple | None):
                raise ValueError(f"recipe: expected categories and an indicator of {feature.column!r}")
        for names in (self.targets, self.ids, self.calendar):
            if not isinstance(names, list) or len(set(names)) < len(names):
                raise ValueError("recipe: expected lists of names, each of them once")
        if self.time is not None:
            texts += [self.time.name, *self.time.columns]
            self.time.check()
        if not self.targets or not all(isinstance(text, str) for text in texts):
            raise ValueError("recipe: expected names of columns as texts, and a target")
        if set(self.calendar) - CALENDAR.keys() or self.fill not in FILLS:
            raise ValueError(f"recipe: expected known features and fills, got {self.calendar!r}, {self.fill!r}")
        size("recipe: season", self.season, 1)
        if not isinstance(self.median_step, int | float) or not self.median_step >= 0:
            raise ValueError(f"recipe: expected a median_step of at least 0, got {self.median_step!r}")
        if self.frequency is not None:
            step_of(self.frequency)

    def _step(self) -> Step:
        if self.frequency is not None:
            return step_of(self.frequency)
        return Step("", nanoseconds=max(round(self.median_step), 1) * 10**9)

    def _targets_of(self, rows: Rows, g: int, step: Step | None) -> tuple[Array, Array, Array, Any]:
        """The targets of a sequence, filled; where; the place of each row of the table; the times."""
        mine = np.flatnonzero(rows.groups == g)
        if rows.dates is None:
            at, times = np.arange(len(mine)), pd.RangeIndex(len(mine))
        elif step is None:
            at, times = np.arange(len(mine)), rows.dates[mine]
        else:
            at = step.positions(rows.dates[mine])
            times = step.after(rows.dates[mine[0]], np.arange(at[-1] + 1))
        y = np.empty((len(times), len(self.targets)))
        for j, name in enumerate(self.targets):
            y[:, j] = _spread(numbers_of(rows.frame[name].iloc[mine], name), at, len(times))
        filled = np.isnan(y)
        for column in y.T if self.fill != "none" else ():
            known = np.flatnonzero(~np.isnan(column))
            if len(known):
                inside = np.arange(known[0], known[-1] + 1)
                if self.fill == "interpolate":
                    column[inside] = np.interp(inside, known, column[known])
                else:
                    column[inside] = column[known[np.searchsorted(known, inside, side="right") - 1]]
        return y, filled, at, times

    def _check_rows_to_come(
        self, spread: dict[Feature, Array], times: Any, come: int, id: tuple[str, ...], mine: Array
    ) -> None:
        for feature in self.future:
            missing = np.flatnonzero(np.isnan(spread[feature][len(times) - come :]))
            if come < len(times) and len(missing):
                at = times[len(times) - come + int(missing[0])]
                whose = f" of {', '.join(id)}" if id else ""
                raise TableError(
                    f"{option('future')}: expected {feature.column!r} in each row to come, got none{whose} at {at}"
                )


def _calendar_features(given: Sequence[str] | str | None, rows: Rows, median: float) -> list[str]:
    if given is None:
        if rows.dates is None:
            return []
        seconds = rows.dates.as_unit("s").asi8  # a Timedelta of nanoseconds ends after 292 years
        spans = [float(seconds[m[-1]] - seconds[m[0]]) for m in runs_of(rows.groups)]
        return features_for(median, max(spans)) if median else []
    names = [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else list(given)
    if names == ["none"]:
        return []
    for name in names:
        choice(option("calendar"), name, tuple(CALENDAR))
    if names and rows.dates is None:
        raise TableError(f"{option('calendar')}: expected a table with dates, got none; see {option('time')}")
    return list(dict.fromkeys(names))


def _spread(values: Array, at: Array, rows: int) -> Array:
    result = np.full(rows, np.nan)
    result[at] = values
    return result


def _side_by_side(parts: list[Array], rows: int) -> Array:
    return np.concatenate([np.zeros((rows, 0)), *parts], axis=1)


def _constant(feature: Feature, raw: Array, id: tuple[str, ...]) -> Array:
    """What holds of a whole sequence, of which each row says the same, or nothing."""
    known = raw[~np.isnan(raw)]
    if len(known) and (known != known[0]).any():
        row = int(np.flatnonzero(~np.isnan(raw) & (raw != known[0]))[0])
        raise TableError(
            f"{option('static')}: expected one value of {feature.column!r} in a sequence, got another in row {row + 1}"
            + (f" of {', '.join(id)}" if id else "")
        )
    result: Array = feature.columns(known[:1] if len(known) else np.array([np.nan]))[0]
    return result


def _told_gaps(gaps: list[tuple[int, tuple[str, ...], Any, Array]], frequency: str | None, fill: str) -> list[str]:
    if not gaps:
        return []
    total = sum(n for n, *_ in gaps)
    longest, start, whose = 0, None, ""
    for _, id, times, at in gaps:
        steps = np.diff(at)
        if steps.max() - 1 > longest:
            longest, start = int(steps.max()) - 1, times[at[steps.argmax()] + 1]
            whose = f" of {', '.join(id)}" if id else ""
    by = (
        "left empty"
        if fill == "none"
        else "filled by a straight line"
        if fill == "interpolate"
        else "filled with the value before"
    )
    return [
        f"gaps: {plural(total, 'row')} of {frequency} missing, the longest gap {plural(longest, 'row')} from {start}"
        f"{whose}; {by} (see {option('fill')})"
    ]
