"""How dates are written as texts: the form of those that were read, and others in the same form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:([T ])\d{2}:\d{2}(:\d{2})?(?:\.(\d{1,9}))?(Z|[+-]\d{2}(:?)\d{2})?)?")
_QUARTER = re.compile(r"\d{4}([- ]?)Q[1-4]")
_TOKEN = re.compile(r"(%[-:1-9]?[A-Za-z])")
_PATTERNS = {"%d": r"(\d{1,2})", "%m": r"(\d{1,2})", "%H": r"(\d{1,2})", "%I": r"(\d{1,2})", "%f": r"(\d{1,9})"}


def form_of(texts: Sequence[str], written: str | None) -> str | None:
    """The form of dates that were read.

    Parameters
    ----------
    texts : sequence of str
        The dates.
    written : str or None
        The format by which they were read; None for ISO 8601 and quarters.

    Returns
    -------
    str or None
        As of ``strftime`` and, besides, ``%-d`` for numbers without a leading 0, ``%3f`` for so many digits of a
        second, ``%:z`` for an offset as +02:00, ``%q`` for the quarter. None if not all are written alike.
    """
    if written is None:
        quarters = {found and found[1] for found in map(_QUARTER.fullmatch, texts)}
        if len(quarters) == 1 and (between := quarters.pop()) is not None:
            return f"%Y{between}Q%q"
        forms = {_iso_form(found) if (found := _ISO.fullmatch(text)) else None for text in texts}
        return forms.pop() if len(forms) == 1 else None
    parts = _TOKEN.split(written)
    pattern = re.compile("".join(_PATTERNS.get(p, ".+?" if i % 2 else re.escape(p)) for i, p in enumerate(parts)))
    matches = [match for match in map(pattern.fullmatch, texts) if match is not None]
    if len(matches) < len(texts) or not matches:
        return written
    form, at = [], 0
    for part in parts:
        if part in _PATTERNS:
            at += 1
            widths = {len(match[at]) for match in matches}
            if part == "%f":
                part = f"%{widths.pop()}f" if len(widths) == 1 else part
            elif 1 in widths:
                part = f"%-{part[1]}"
        form.append(part)
    return "".join(form)


def _iso_form(found: re.Match[str]) -> str:
    between, seconds, digits, offset, colon = found.groups()
    if between is None:
        return "%Y-%m-%d"
    clock = "%H:%M" if seconds is None else "%H:%M:%S"
    zone = "" if offset is None else "Z" if offset == "Z" else f"%{colon}z"
    return f"%Y-%m-%d{between}{clock}{f'.%{len(digits)}f' if digits else ''}{zone}"


def in_form(dates: pd.DatetimeIndex, form: str) -> pd.Index:
    """Dates as texts of a form, as `form_of` returns it."""
    texts = pd.Index([""] * len(dates), dtype=object)
    for part in _TOKEN.split(form):
        texts = texts + (_piece(dates, part) if part.startswith("%") else part)
    return texts


def _piece(dates: pd.DatetimeIndex, token: str) -> Any:
    how, what = token[1:-1], token[-1]
    if what == "q":
        return dates.quarter.astype(str)
    if token == "%:z":
        offsets = dates.strftime("%z")
        return offsets.str[:3] + ":" + offsets.str[3:]
    if what == "f" and how:
        nanoseconds = dates.microsecond.to_numpy() * 1000 + dates.nanosecond.to_numpy()
        return pd.Index([f"{n:09d}"[: int(how)] for n in nanoseconds])
    texts = dates.strftime(f"%{what}")
    return texts.str.replace(r"^0(?=.)", "", regex=True) if how == "-" else texts
