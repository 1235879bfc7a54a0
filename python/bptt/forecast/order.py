"""The rows of a table in order of sequence and time, and the steps between them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt.forecast.columns import texts_of
from bptt.forecast.errors import TableError, option
from bptt.forecast.frequency import Step, find_step, step_of
from bptt.forecast.times import Time, check_order


class Rows(NamedTuple):
    """A table in order of sequence and time. The index of `frame` tells which row of the table each was."""

    frame: pd.DataFrame
    dates: Any
    groups: Array
    ids: list[tuple[str, ...]]
    notes: list[str]


def in_order(frame: pd.DataFrame, ids: list[str], where: Time | None, dates: Any) -> Rows:
    """The rows sorted by their dates, sequence after sequence; refused where a date repeats or an id is missing."""
    groups, names = _groups(frame, ids)
    frame = frame.reset_index(drop=True)
    if where is None:
        order = np.argsort(groups, kind="stable")
        return Rows(frame.iloc[order], None, groups[order], names, [])
    order, notes = check_order(dates, groups, names, where.name, _hint(frame, ids, where, dates))
    return Rows(frame.iloc[order], dates[order], groups[order], names, notes)


def _groups(frame: pd.DataFrame, ids: list[str]) -> tuple[Array, list[tuple[str, ...]]]:
    """The number of each row's sequence, in the order in which they first stand; and their ids."""
    if not ids:
        return np.zeros(len(frame), np.int64), [()]
    texts = [texts_of(frame[name]) for name in ids]
    for name, cells in zip(ids, texts, strict=True):
        if (empty := cells == "").any():
            raise TableError(f"column {name!r}, row {int(empty.argmax()) + 1}: expected the id of a sequence, got none")
    codes, unique = pd.factorize(pd.MultiIndex.from_arrays(texts)) if len(ids) > 1 else pd.factorize(texts[0])
    return codes.astype(np.int64), [tuple(one) if len(ids) > 1 else (one,) for one in unique]


def _hint(frame: pd.DataFrame, ids: list[str], where: Time, dates: Any) -> str:
    """What may tell sequences apart where dates repeat."""
    if not dates.duplicated().any():
        return ""
    for name in frame.columns:
        column = frame[name]
        if name in (*ids, *where.columns) or column.dtype.kind in "fbM" or column.nunique() * 2 > len(column):
            continue
        together = pd.MultiIndex.from_arrays([dates, *(texts_of(frame[c]) for c in (*ids, name))])
        if together.is_unique:
            return f"if {name!r} tells sequences apart, name it with {option('id')}"
    return f"{option('id')} names what tells sequences apart" if not ids else ""


def step_of_rows(rows: Rows, name: str, frequency: str | None) -> tuple[Step | None, float, str]:
    """The step, the median of steps in seconds, and what is said of them."""
    inside = np.diff(rows.groups) == 0
    steps = np.diff(rows.dates.as_unit("ns").asi8)[inside] / 1e9
    median = float(np.median(steps)) if len(steps) else 0.0
    if frequency is not None:
        step: Step | None = step_of(frequency)
        check_steps(rows, step, name)  # type: ignore[arg-type]
        return step, median, f"frequency: {frequency}, as said"
    step, note = find_step(rows.dates, rows.groups)
    if step is None:
        return None, median, note or "frequency: unknown, for no sequence has two rows"
    return step, median, f"frequency: {step.alias} (see {option('frequency')})"


def check_steps(rows: Rows, step: Step, name: str) -> None:
    for g in range(len(rows.ids)):
        mine = np.flatnonzero(rows.groups == g)
        wrong = np.flatnonzero(step.positions(rows.dates[mine]) < 0)
        if len(wrong):
            whose = f" of {', '.join(rows.ids[g])}" if rows.ids[g] else ""
            raise TableError(
                f"column {name!r}: expected steps of {step.alias} ({option('frequency')}), got "
                f"{rows.dates[mine[wrong[0]]]}{whose} after {rows.dates[mine[max(wrong[0] - 1, 0)]]}"
            )


def missing_rows(rows: Rows, step: Step, g: int) -> int:
    mine = np.flatnonzero(rows.groups == g)
    return int(step.positions(rows.dates[mine])[-1]) + 1 - len(mine)


def runs_of(groups: Array) -> list[Array]:
    return np.split(np.arange(len(groups)), np.flatnonzero(np.diff(groups)) + 1)
