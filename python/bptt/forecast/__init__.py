"""Forecasts of tables: reading, cleaning, columns, and the `Forecaster`. Needs pandas."""

from __future__ import annotations

try:
    import pandas as _pandas  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "pandas":
        raise
    raise ImportError('bptt.forecast: expected pandas to be installed: pip install "bptt[tables]"') from None

from bptt.forecast.errors import TableError
from bptt.forecast.forecaster import Forecaster
from bptt.forecast.panel import Panel, SequenceRows
from bptt.forecast.reading import read_table
from bptt.forecast.recipe import Recipe
from bptt.forecast.sniffing import looks_like_table
from bptt.forecast.writing import table_bytes, write_table

__all__ = [
    "Forecaster",
    "Panel",
    "Recipe",
    "SequenceRows",
    "TableError",
    "looks_like_table",
    "read_table",
    "table_bytes",
    "write_table",
]
