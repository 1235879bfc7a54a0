"""The recipe that makes sequences of a table: which columns are what."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt.forecast.panel import Panel, Sequence_

_SEASONS = {"h": 24, "D": 7, "B": 5, "W": 52, "MS": 12, "ME": 12, "M": 12, "QS": 4, "QE": 4}


@dataclass(frozen=True)
class Recipe:
    """Which columns of a table are what: plain data."""

    targets: list[str]
    past: list[str]
    future: list[str]
    id: list[str]
    time: str | None
    frequency: str | None
    season: int

    @classmethod
    def learn(
        cls,
        frame: pd.DataFrame,
        *,
        target: str | list[str] | None = None,
        inputs: list[str] | None = None,
        future: list[str] | None = None,
        id: str | list[str] | None = None,
        time: str | None = None,
        season: int | None = None,
        **_: Any,
    ) -> Recipe:
        """Look at the table to train on."""
        ids = [id] if isinstance(id, str) else list(id or [])
        if time is None:
            time = next((str(c) for c in frame.columns if pd.api.types.is_datetime64_any_dtype(frame[c])), None)
        numeric = [str(c) for c in frame.select_dtypes("number").columns if c not in ids]
        known = list(future or [])
        targets = [target] if isinstance(target, str) else list(target or [c for c in numeric if c not in known])
        for name in targets:
            if name not in frame.columns:
                raise ValueError(f"target: expected a column of the table, got {name!r}")
        past = [c for c in (inputs or []) if c not in targets and c not in known]
        frequency = None
        if time is not None:
            first = frame if not ids else next(iter(frame.groupby(ids)))[1]
            stamps = pd.DatetimeIndex(first[time])
            frequency = pd.infer_freq(stamps) if len(stamps) > 2 else None
        found = _SEASONS.get((frequency or "").split("-")[0], 1)
        if frequency in ("30min", "15min", "10min"):
            found = 1440 // int(frequency[:2])
        return cls(targets, past, known, ids, time, frequency, found if season is None else season)

    def apply(self, frame: pd.DataFrame) -> Panel:
        """Make the sequences of a table."""
        groups = [((), frame)] if not self.id else [(k, g) for k, g in frame.groupby(self.id, sort=True)]
        sequences = []
        for key, rows in groups:
            times = pd.RangeIndex(len(rows)) if self.time is None else pd.DatetimeIndex(rows[self.time])

            def numbers(names: list[str], rows: pd.DataFrame = rows) -> Array:
                return np.asarray(rows.reindex(columns=names).to_numpy(np.float64).reshape(len(rows), len(names)))

            sequences.append(
                Sequence_(
                    tuple(map(str, key)),
                    times,
                    numbers(self.targets),
                    np.nan_to_num(numbers(self.past)),
                    np.column_stack([numbers(self.future), self._calendar(times)]),
                    np.empty(0),
                    ~np.isfinite(numbers(self.targets)),
                )
            )
        names = [f"calendar {i}" for i in range(self._calendar(pd.DatetimeIndex(["2000-01-01"])).shape[1])]
        return Panel(
            sequences,
            self.targets,
            self.past,
            self.future + (names if self.time else []),
            [],
            self.id,
            self.time,
            self.frequency,
            self.season,
        )

    def _calendar(self, times: pd.Index) -> Array:
        if self.time is None:
            return np.empty((len(times), 0))
        stamps = pd.DatetimeIndex(times)
        hour = stamps.hour + stamps.minute / 60
        if self.frequency and self.frequency.split("-")[0] in ("MS", "ME", "M", "QS", "QE"):
            phases = [(stamps.month - 1) / 12]
        elif self.season in (24, 48, 96, 144):
            phases = [hour / 24, stamps.dayofweek / 7 + hour / 168, stamps.dayofyear / 365.25]
        else:
            phases = [stamps.dayofweek / 7, stamps.dayofyear / 365.25]
        angles = 2 * np.pi * np.stack([np.asarray(phase, np.float64) for phase in phases], axis=1)
        return np.asarray(np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(stamps), -1))

    def extend(self, sequence: Sequence_, steps: int) -> tuple[pd.Index, Array]:
        """The times after a sequence, and what is known of them: the calendar; the user's columns are NaN."""
        n = len(sequence.times)
        if self.time is None:
            times: pd.Index = pd.RangeIndex(
                n and int(sequence.times[-1]) + 1, (n and int(sequence.times[-1]) + 1) + steps
            )
        else:
            times = pd.date_range(sequence.times[-1], periods=steps + 1, freq=self.frequency or "D")[1:]
        return times, np.column_stack([np.full((steps, len(self.future)), np.nan), self._calendar(times)])

    def as_json(self) -> dict[str, Any]:
        """As what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Recipe:
        """What `as_json` has told."""
        return cls(**told)
