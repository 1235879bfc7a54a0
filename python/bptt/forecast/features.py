"""Columns as numbers for a network: filled, with a column that says where, and one column a category."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt.forecast.columns import numbers_of, texts_of
from bptt.forecast.errors import TableError, listed, option, plural
from bptt.forecast.times import is_numeric

_MOST_CATEGORIES = 1000  # of a column that the user names
_NO_CATEGORY = "\0"


@dataclass(frozen=True)
class Feature:
    """How a column becomes numbers: plain data, learned from the table to train on.

    Attributes
    ----------
    column : str
    categories : tuple of str or None
        Each is a column of 0 and 1; None for a column of numbers.
    mean : float
        What is taken where no value was known before.
    indicator : bool
        Whether a column of 0 and 1 says where cells are missing, as some were in training.
    """

    column: str
    categories: tuple[str, ...] | None
    mean: float
    indicator: bool

    @property
    def names(self) -> list[str]:
        """Of the columns of numbers."""
        parts = [self.column] if self.categories is None else [f"{self.column}={one}" for one in self.categories]
        return parts + ([f"{self.column} missing"] if self.indicator else [])

    def raw(self, column: Any, notes: list[str]) -> Array:
        """The cells as numbers [rows]: NaN where missing; categories by their number, -1 for one that is new."""
        if self.categories is None:
            return numbers_of(column, self.column)
        texts = texts_of(column)
        number = {text: float(i) for i, text in enumerate(self.categories)} | {"": np.nan}
        new = sorted(set(texts) - number.keys())
        if new:
            notes.append(
                f"{self.column}: {listed(map(repr, new))} was not there in training: it is read as no category"
            )
        return np.array([number.get(text, -1.0) for text in texts])

    def columns(self, raw: Array) -> Array:
        """Numbers without NaN [rows, len(names)] of `raw` ones in order: what is missing is as before."""
        missing = np.isnan(raw)
        at = np.where(missing, -1, np.arange(len(raw)))
        at = np.maximum.accumulate(at) if len(at) else at
        if self.categories is None:
            parts = [np.where(at >= 0, raw[at], self.mean)]
        else:
            parts = [np.where(missing, 0.0, raw == i) for i in range(len(self.categories))]
        return np.stack(parts + ([missing] if self.indicator else []), axis=1).astype(np.float64)

    def cells(self, columns: Array) -> Array:
        """The cells [rows] of which `columns` made these numbers; of a category that was new, a text that is none."""
        missing = columns[:, -1] == 1 if self.indicator else np.zeros(len(columns), np.bool_)
        if self.categories is None:
            return np.where(missing, np.nan, columns[:, 0])
        among = columns[:, : len(self.categories)] == 1
        texts = np.array([*self.categories, _NO_CATEGORY], object)
        cells: Array = texts[np.where(among.any(axis=1), among.argmax(axis=1), len(self.categories))]
        cells[missing] = None
        return cells


def learn_feature(column: Any, name: str, keyword: str, gaps: bool) -> Feature:
    """The feature of a column.

    Parameters
    ----------
    column : Series
    name : str
    keyword : str
        Which the column was named by, for errors.
    gaps : bool
        Whether rows are missing, in which all cells are.
    """
    missing = gaps or bool(column.isna().any())
    if is_numeric(column):
        numbers = numbers_of(column, name)
        known = numbers[~np.isnan(numbers)]
        if not len(known):
            raise TableError(
                f"{option(keyword)}: expected a column with values, got {name!r}, where all cells are missing"
            )
        return Feature(name, None, float(known.mean()), missing)
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype | pd.PeriodDtype):
        raise TableError(f"{option(keyword)}: expected numbers or categories in {name!r}, got dates")
    categories = tuple(sorted(set(texts_of(column)) - {""}))
    if not categories or len(categories) > _MOST_CATEGORIES:
        raise TableError(
            f"{option(keyword)}: expected numbers or 1 to {_MOST_CATEGORIES:,} categories in {name!r}, got "
            + plural(len(categories), "category", "categories")
        )
    return Feature(name, categories, 0.0, missing)
