"""Forecasts of tables, on pandas. `import bptt` does not import it."""

from __future__ import annotations

try:
    import pandas as _pandas  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "pandas":
        raise
    raise ImportError('bptt.forecast: expected pandas to be installed: pip install "bptt[tables]"') from None

from bptt.forecast.forecaster import Forecaster

__all__ = ["Forecaster"]
