"""Tables of the commands: which data are one, how `bptt.forecast` reads them, and one line on what is wrong."""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bptt.app.errors import UserError
from bptt.app.text_data import text_name

SUFFIXES = (".csv", ".tsv", ".npz", ".parquet", ".xlsx", ".xls", ".ods")
_PACKED = (".gz", ".xz", ".bz2", ".zip")
READING = (
    "separator",
    "decimal",
    "thousands",
    "encoding",
    "na",
    "comment",
    "skip_rows",
    "skip_footer",
    "header",
    "sheet",
)  # options of `read_table`
_WITH_KEYWORD = re.compile(r"\b\w+ \((--[a-z-]+(?:, --[a-z-]+)*)\)")  # an option as messages of `bptt.forecast` name it


def is_called_a_table(path: str) -> bool:
    """Whether a file's name says that it holds a table."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in SUFFIXES


def begins_like_a_table(head: bytes) -> bool:
    """Whether a text that begins so may be a table.

    `bptt.forecast` says it. It is asked only where many lines have digits: texts need no pandas.
    """
    lines = [line for line in head[:65536].splitlines() if line.strip()]
    with_digits = sum(re.search(rb"\d", line) is not None for line in lines)
    if with_digits < max(2, 0.3 * len(lines)):  # fewer than a table has
        return False
    try:
        from bptt.forecast import looks_like_table
    except ImportError:  # no pandas: what is mostly digits and marks between them
        return len(head.translate(None, b"0123456789+-.,:;/|\t\r\n ")) < 0.4 * len(head)
    return looks_like_table(head)


def package(name: str) -> Any:
    """`bptt.forecast`, or one line that says what is missing."""
    try:
        import bptt.forecast
    except ImportError as error:
        if "expected pandas" not in str(error):
            raise
        raise UserError(f'{name}: tables need pandas: pip install "bptt[tables]"') from error
    return bptt.forecast


@contextmanager
def told(name: str) -> Iterator[None]:
    """Tell what is wrong with a table, or with what is asked of it, in one line that names it."""
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        line = in_options(str(getattr(error, "strerror", None) or error))
        line = re.sub(r"^(df|the table): ", "", line)
        line = re.sub(r"^future: ", "--future-rows: ", line)
        raise UserError(line if line.startswith(("--", name)) else f"{name}: {line}") from error


def in_options(text: str) -> str:
    """A message of `bptt.forecast` with options where it has keywords and options."""
    return _WITH_KEYWORD.sub(r"\1", text)


def read(source: str, options: argparse.Namespace, ids: list[str] | None = None) -> tuple[Any, list[str]]:
    """A table as a DataFrame, and what was decided on the way.

    Parameters
    ----------
    source : str
        The file; ``-`` is standard input.
    options : Namespace
        With those of `READING`.
    ids : list of str, optional
        Columns of ids, which are texts.
    """
    name = text_name(source)
    given = {key: getattr(options, key) for key in READING if getattr(options, key) is not None}
    read_table = package(name).read_table
    with told(name), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="openpyxl")  # of a workbook's styles and extensions
        frame, notes = read_table(source, text=ids or (), **given)
    return frame, [in_options(note) for note in notes]


def refuse(options: argparse.Namespace, keys: tuple[str, ...], expected: str) -> None:
    """Raise UserError if one of these options is given."""
    for key in keys:
        if (given := getattr(options, key)) is not None:
            option = f"--{'no-' if given is False else ''}{key.replace('_', '-')}"
            raise UserError(f"{option}: expected with {expected} only")
