"""What a model reads: sequences of rows in order of time, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bptt._arrays import Array


@dataclass(frozen=True)
class SequenceRows:
    """The rows of one id in order of time, in even steps where the dates have them.

    Attributes
    ----------
    id : tuple of str
        One text for each column of ids; ``()`` without them.
    times : DatetimeIndex or RangeIndex
        Of the rows.
    y : float64 array [rows, n_targets]
        The targets; NaN where missing and not filled. The last rows may be all NaN: rows to come.
    past : float64 array [rows, n_past]
        Inputs that are known when their row is there; without NaN.
    future : float64 array [rows, n_future]
        Inputs that are known in advance, at the row they belong to: the user's, then the calendar's; without NaN.
    static : float64 array [n_static]
        What holds of the whole sequence.
    filled : bool array [rows, n_targets]
        True where y was not in the table: NaN, or filled. A filled value between two others knows the later one, so
        neither losses nor scores should count it.
    """

    id: tuple[str, ...]
    times: Any
    y: Array
    past: Array
    future: Array
    static: Array
    filled: Array

    @property
    def rows_to_come(self) -> int:
        """How many rows at the end have no target at all."""
        return rows_to_come(self.filled)


def rows_to_come(filled: Array) -> int:
    """How many rows at the end have no target, by where targets are `SequenceRows.filled`."""
    known = (~filled).any(axis=1).nonzero()[0]
    return len(filled) - (int(known[-1]) + 1 if len(known) else 0)


@dataclass(frozen=True)
class Panel:
    """The sequences of a table, and what their columns are called.

    Attributes
    ----------
    sequences : list of SequenceRows
        In the order in which their ids stand in the table.
    targets, past_names, future_names, static_names, id_names : list of str
    time_name : str or None
        The column of dates.
    frequency : str or None
        The step from row to row as pandas calls it; None where it is uneven, or there are no dates.
    season : int
        Rows after which things are likely to come again; 1 if none is known.
    notes : list of str
        What was decided about this table, one line each.
    """

    sequences: list[SequenceRows]
    targets: list[str]
    past_names: list[str]
    future_names: list[str]
    static_names: list[str]
    id_names: list[str]
    time_name: str | None
    frequency: str | None
    season: int
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many all sequences have."""
        return sum(len(one.y) for one in self.sequences)

    def frame_of(self, sequence: SequenceRows, times: Any, values: Array) -> pd.DataFrame:
        """Forecasts as a table: ids and dates in the columns of the table they continue, then the targets.

        Parameters
        ----------
        sequence : SequenceRows
            The one that is continued.
        times : Index
            Of the forecasts.
        values : float64 array [len(times), n_targets]
        """
        columns: dict[str, Any] = {
            name: [one] * len(times) for name, one in zip(self.id_names, sequence.id, strict=True)
        }
        if self.time_name is not None:
            columns[self.time_name] = times
        return pd.DataFrame(columns | {name: values[:, j] for j, name in enumerate(self.targets)})
