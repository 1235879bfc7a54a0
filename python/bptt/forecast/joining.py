"""Rows of a later table, joined to those that were trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt.forecast.columns import numbers_of, texts_of
from bptt.forecast.errors import TableError, listed, option, plural
from bptt.forecast.frequency import step_of
from bptt.forecast.order import in_order
from bptt.forecast.panel import Panel, SequenceRows
from bptt.forecast.reading import tidy
from bptt.forecast.recipe import Recipe
from bptt.forecast.times import Time

_OTHER_UNITS = 10.0  # times larger or smaller: a note says so


def joined(recipe: Recipe, before: Panel, frame: pd.DataFrame) -> Panel:
    """The sequences trained on with the rows of a later table.

    With dates, rows are joined by them, and a row that is in both is that of the later table. Without dates, a table
    that begins with the rows of a sequence has it whole; any other goes on where that ends. Sequences that one of the
    two lacks are those of the other.

    Parameters
    ----------
    recipe : Recipe
        Of the table trained on.
    before : Panel
        The rows trained on.
    frame : DataFrame
        The later table.

    Returns
    -------
    Panel
        As the recipe makes it of one table with all these rows. Its notes are about the later table.

    Raises
    ------
    TableError
        The later table has not the columns, the kinds of columns or the steps of the one trained on, or no row that is
        new.
    """
    after = recipe.apply(frame)  # what is wrong is told by its row of this table
    new = _rows_of_table(recipe, frame)
    _check_categories(recipe, new)
    _check_step(recipe, after)
    old = _rows_of_panel(recipe, before, {one.id: one.static for one in after.sequences})
    notes = [note for note in after.notes if not note.startswith("gaps: ")]
    if recipe.time is None:
        again, changed = _rows_again_by_value(before, after), 0
        notes.append(
            "no dates: the table begins with the rows trained on, of which those after them are new"
            if again.any()
            else "no dates: all rows are taken for new ones, after those trained on"
        )
    else:
        again, changed = _rows_again_by_date(recipe, old, new)
    table = pd.concat([old[~again], new], ignore_index=True)
    by_date = None if recipe.time is None else Time(_time_name(recipe), [_time_name(recipe)], zone=recipe.time.zone)
    whole = replace(recipe, time=by_date).apply(table)
    place = {one.id: i for i, one in enumerate([*before.sequences, *after.sequences][::-1])}
    sequences = sorted(whole.sequences, key=lambda one: -place[one.id])  # those trained on first
    whole = replace(whole, sequences=sequences, time_name=before.time_name)
    notes += [note for note in whole.notes if note.startswith("gaps: ")]
    counts = _new_rows(before, whole)
    if not counts and not changed:
        until = f" until {max(one.times[-1] for one in before.sequences)}" if recipe.time is not None else ""
        raise TableError(f"df: expected rows that were not trained on, got none beside those{until}")
    return replace(whole, notes=[*notes, *_told(before, counts, changed), *_told_units(before, after)])


def applied(recipe: Recipe, before: Panel, frame: pd.DataFrame, joins: bool = False) -> Panel:
    """The sequences of a later table; before those of which it has the next or last rows alone, the rows trained on.

    With `joins`, they are as `joined` makes them.
    """
    panel = recipe.apply(frame)
    trained = {one.id: one for one in before.sequences}
    if joins:
        whole = {one.id: one for one in joined(recipe, before, frame).sequences}
        sequences = [whole[one.id] for one in panel.sequences]
    else:
        sequences = [_preceded(recipe, trained[one.id], one) if one.id in trained else one for one in panel.sequences]
    return replace(panel, sequences=sequences)


def _preceded(recipe: Recipe, before: SequenceRows, after: SequenceRows) -> SequenceRows:
    """A sequence with the rows trained on before its own, where it goes on with them; itself where that is not sure.

    It does if its first row is the one that comes next or, after the first, one of those trained on, and it has the
    same values in all rows that both have.
    """
    if recipe.frequency is None or len(before.y) == 0:
        return after
    k = int(np.searchsorted(before.times, after.times[0]))
    if k == len(before.times):
        goes_on = bool(step_of(recipe.frequency).after(before.times[-1], np.array([1]))[0] == after.times[0])
    else:
        both = min(len(before.y) - k, len(after.y))
        same = np.array_equal(_given(before)[k : k + both], _given(after)[:both], equal_nan=True)
        goes_on = k > 0 and before.times[k] == after.times[0] and same
    if not goes_on:
        return after
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(before, name)[:k], getattr(after, name)])
        for name in ("y", "past", "future", "filled")
    }
    return replace(after, times=before.times[:k].append(after.times), **arrays)


def _time_name(recipe: Recipe) -> str:
    """What the column of dates is called in the joined table: as in the given ones, if nothing else is."""
    name = recipe.time.name if recipe.time is not None else ""
    while name in {f.column for f in (*recipe.past, *recipe.future, *recipe.static)} | {*recipe.ids, *recipe.targets}:
        name += "'"
    return name


def _rows_of_table(recipe: Recipe, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table with what the recipe reads of them: numbers, texts, dates."""
    frame, _ = tidy(frame, "the table")
    rows = in_order(frame, recipe.ids, recipe.time, recipe.time.read(frame) if recipe.time is not None else None)
    columns: dict[str, Any] = {}
    for feature in (*recipe.past, *recipe.future, *recipe.static):
        column = rows.frame[feature.column]
        columns[feature.column] = (
            numbers_of(column, feature.column) if feature.categories is None else _or_none(texts_of(column))
        )
    columns |= {name: numbers_of(rows.frame[name], name) for name in recipe.targets}
    columns |= {name: texts_of(rows.frame[name]) for name in recipe.ids}
    if rows.dates is not None:
        columns[_time_name(recipe)] = rows.dates
    return pd.DataFrame(columns)


def _or_none(texts: Array) -> Array:
    cells: Array = texts.copy()
    cells[texts == ""] = None
    return cells


def _rows_of_panel(recipe: Recipe, panel: Panel, static: dict[tuple[str, ...], Array]) -> pd.DataFrame:
    """The table of which the recipe makes these sequences; what holds of a sequence is as `static` has it now."""
    sequences = panel.sequences
    lengths = [len(one.y) for one in sequences]
    columns: dict[str, Any] = {}
    for features, arrays in (
        (recipe.past, [one.past for one in sequences]),
        (recipe.future, [one.future for one in sequences]),
        (recipe.static, [np.repeat(static.get(one.id, one.static)[None], len(one.y), axis=0) for one in sequences]),
    ):
        numbers, at = np.concatenate(arrays), 0
        for feature in features:
            columns[feature.column] = feature.cells(numbers[:, at : at + len(feature.names)])
            at += len(feature.names)
    y = np.concatenate([np.where(one.filled, np.nan, one.y) for one in sequences])
    columns |= {name: y[:, k] for k, name in enumerate(recipe.targets)}
    for k, name in enumerate(recipe.ids):
        columns[name] = np.repeat(np.array([one.id[k] for one in sequences], object), lengths)
    if recipe.time is not None:
        times = sequences[0].times
        columns[_time_name(recipe)] = times.append([one.times for one in sequences[1:]]) if sequences[1:] else times
    return pd.DataFrame(columns)


def _check_categories(recipe: Recipe, new: pd.DataFrame) -> None:
    for feature in (*recipe.past, *recipe.future, *recipe.static):
        known = feature.categories or ()
        cells = set(new[feature.column].dropna()) if known else set()
        if cells and cells.isdisjoint(known):
            raise TableError(
                f"column {feature.column!r}: expected categories as in training, {listed(map(repr, known))}, got "
                f"{listed(map(repr, sorted(cells)))}"
            )


def _check_step(recipe: Recipe, after: Panel) -> None:
    """Refuse a table of larger steps: to the recipe it is one in which most rows are missing."""
    if recipe.frequency is None or recipe.time is None:
        return
    apart = [np.diff(np.flatnonzero(_is_row(one))) for one in after.sequences]
    steps = np.concatenate(apart)
    if len(steps) > 1 and steps.min() > 1:
        first = next(one for one, each in zip(after.sequences, apart, strict=True) if len(each))
        at = np.flatnonzero(_is_row(first))[:2]
        raise TableError(
            f"column {recipe.time.name!r}: expected rows in steps of {recipe.frequency}, as in training "
            f"({option('frequency')}), got {first.times[at[1]]} after {first.times[at[0]]}"
        )


def _is_row(one: SequenceRows) -> Array:
    return np.asarray((~one.filled).any(axis=1))


def _rows_again_by_date(recipe: Recipe, old: pd.DataFrame, new: pd.DataFrame) -> tuple[Array, int]:
    """Which old rows stand in the new table too, and how many of them have other targets there."""
    keys = [*recipe.ids, _time_name(recipe)]
    both = old[[*keys, *recipe.targets]].reset_index().merge(new[[*keys, *recipe.targets]], on=keys, suffixes=("", "'"))
    again = np.zeros(len(old), np.bool_)
    again[both["index"]] = True
    changed = np.zeros(len(both), np.bool_)
    for name in recipe.targets:
        here, there = (both[each].to_numpy() for each in (name, f"{name}'"))
        changed |= (here != there) & ~(np.isnan(here) & np.isnan(there))
    return again, int(changed.sum())


def _rows_again_by_value(before: Panel, after: Panel) -> Array:
    """Which old rows the new table has once more: those of sequences that begin in it with the same values."""
    known = {one.id: _given(one) for one in after.sequences}
    parts = []
    for one in before.sequences:
        mine = _given(one)
        theirs = known.get(one.id, mine[:0])
        parts.append(np.full(len(mine), np.array_equal(mine, theirs[: len(mine)], equal_nan=True)))
    return np.concatenate(parts)


def _given(one: SequenceRows) -> Array:
    return np.where(one.filled, np.nan, one.y)


def _new_rows(before: Panel, whole: Panel) -> dict[tuple[str, ...], int]:
    """How many rows with a target each sequence has that were not trained on, where there are any."""
    trained = {one.id: int(_is_row(one).sum()) for one in before.sequences}
    counts = {one.id: int(_is_row(one).sum()) - trained.get(one.id, 0) for one in whole.sequences}
    return {id: n for id, n in counts.items() if n > 0}


def _told(before: Panel, counts: dict[tuple[str, ...], int], changed: int) -> list[str]:
    trained = {one.id for one in before.sequences}
    notes = [
        f"new rows: {sum(counts.values()):,}" + (f" in {plural(len(counts), 'sequence')}" if before.id_names else "")
    ]
    if begun := [", ".join(id) for id in counts if id not in trained]:
        notes.append(f"new sequences: {listed(begun)}")
    if still := [", ".join(one.id) for one in before.sequences if one.id not in counts]:
        notes.append(f"without new rows: {listed(still)}" if before.id_names else "no new rows")
    if changed:
        notes.append(
            f"{plural(changed, 'row')} trained on {'has' if changed == 1 else 'have'} other values now, which are taken"
        )
    return notes


def _told_units(before: Panel, after: Panel) -> list[str]:
    """Notes on targets that are so much larger or smaller than before that their units may be others."""
    notes = []
    trained = {one.id: one for one in before.sequences}
    for k, name in enumerate(before.targets):
        sizes = [(_size(trained[one.id], k), _size(one, k), one.id) for one in after.sequences if one.id in trained]
        off = [(new / old, id) for old, new, id in sizes if old > 0 and new > 0]
        off = [(ratio, id) for ratio, id in off if not 1 / _OTHER_UNITS < ratio < _OTHER_UNITS]
        if off:
            ratio, id = max(off, key=lambda each: abs(np.log(each[0])))
            what = f"{ratio:,.0f} times larger" if ratio > 1 else f"{1 / ratio:,.0f} times smaller"
            whose = f" of {', '.join(id)}" if any(id) else ""
            notes.append(f"{name}: its values{whose} are some {what} than those trained on: are the units the same?")
    return notes


def _size(one: SequenceRows, k: int) -> float:
    """The root mean square of a target."""
    y = _given(one)[:, k]
    y = y[np.isfinite(y)]
    return float(np.sqrt(np.mean(y**2))) if y.size else 0.0
