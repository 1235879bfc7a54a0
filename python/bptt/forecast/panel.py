"""What the model reads: sequences of rows in order of time, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from bptt._arrays import Array


@dataclass(frozen=True)
class Sequence_:
    """One sequence's rows in order of time."""

    id: tuple[str, ...]
    times: pd.Index
    y: Array  # float64 [rows, n_targets], NaN where missing
    past: Array  # float64 [rows, n_past]
    future: Array  # float64 [rows, n_future]: known in advance
    static: Array  # float64 [n_static]
    filled: Array  # bool [rows, n_targets]: where y was not in the table


@dataclass(frozen=True)
class Panel:
    """The sequences of a table."""

    sequences: list[Sequence_]
    targets: list[str]
    past_names: list[str]
    future_names: list[str]
    static_names: list[str]
    id_names: list[str]
    time_name: str | None
    frequency: str | None  # a pandas offset alias
    season: int  # rows; 1 if none is known
    notes: list[str] = field(default_factory=list)
