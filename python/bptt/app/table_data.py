"""Tables of numbers with named columns, from CSV and NPZ files. Knows no networks."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bptt._arrays import Array
from bptt.app.errors import UserError
from bptt.app.text_data import read_text, text_name

SUFFIXES = (".csv", ".tsv", ".npz")
_MISSING = frozenset({"", "?", "NA", "N/A", "na", "n/a", "null", "NULL", "None", "none"})  # and what float() calls NaN
_DELIMITERS = ",;\t"
_LISTED = 10  # names in a message


class Table:
    """Columns of equal length; a file's error is a `UserError` that names it, the row and the column.

    Parameters
    ----------
    name : str
        The file, as errors call it.
    columns : dict of str to list of str or ndarray
        What was read, in the file's order: cells, or numbers ``[rows]``. An array ``[rows, k]`` of an NPZ file gives
        the columns ``NAME.0`` to ``NAME.k-1``, one of ``[tau, batch, k]`` too, sequence after sequence.
    lines : sequence of int, optional
        The line where each row ends; without them a row is named by its number, from 1.
    steps : int, optional
        The rows of each sequence, where the file says so by its shape.
    named : bool
        Whether the file names its columns.
    """

    def __init__(
        self,
        name: str,
        columns: dict[str, list[str] | Array],
        lines: Sequence[int] | None = None,
        steps: int | None = None,
        named: bool = True,
    ) -> None:
        self.name, self.steps, self.named = name, steps, named
        self._columns, self._lines = columns, lines
        self._numbers: dict[str, Array | None] = {}

    @property
    def names(self) -> list[str]:
        return list(self._columns)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def names_in_words(self) -> str:
        """The names, or the first of many."""
        more = len(self._columns) - _LISTED
        return ", ".join(self.names[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")

    def rows_of(self, names: Sequence[str]) -> int:
        """How many rows these columns have, all the same."""
        rows = {len(self._columns[name]): name for name in names}
        if len(rows) > 1:
            text = ", ".join(f"{name} has {n:,}" for n, name in list(rows.items())[:_LISTED])
            raise UserError(f"{self.name}: expected columns of equal length, got others: {text}; choose with --inputs")
        return next(iter(rows))

    def expand(self, option: str, names: Sequence[str]) -> list[str]:
        """Column names as a user gives them: of columns, or of an array with several."""
        expanded: dict[str, None] = {}
        for name in names:
            found = [name] if name in self else [c for c in self._columns if c.rpartition(".")[:2] == (name, ".")]
            if not found:
                raise UserError(f"{option}: {self.name} has no column {name!r}; it has {self.names_in_words()}")
            expanded |= dict.fromkeys(found)
        return list(expanded)

    def is_numeric(self, name: str) -> bool:
        """Whether the cells are all numbers, or missing, but not all missing."""
        numbers = self._as_numbers(name)
        return numbers is not None and not np.isnan(numbers).all()

    def check_cells(self, name: str) -> None:
        """Raise UserError if most cells of a column are numbers, but one is not: it is worth mending."""
        column = self._columns[name]
        if isinstance(column, list) and self._as_numbers(name) is None:
            numbers = [_number(cell) for cell in column]
            if sum(number is not None and not math.isnan(number) for number in numbers) > len(column) / 2:
                row = numbers.index(None)
                raise UserError(
                    f"{self._place(row, name)}: expected a number, as most cells are, got {column[row]!r}; mend it, or "
                    "choose other columns with --inputs"
                )

    def why_not_numeric(self, name: str) -> str:
        """What is in the way of reading a column as numbers."""
        column = self._columns[name]
        if not isinstance(column, list):
            return f"an array of {column.dtype}" if column.dtype.kind not in "biuf" else "no number"
        row = next((i for i, cell in enumerate(column) if _number(cell) is None), None)
        return "no number" if row is None else f"{self._where(row)}: {column[row]!r}"

    def numbers(self, names: Sequence[str], missing: bool) -> Array:
        """Columns as numbers.

        Parameters
        ----------
        names : sequence of str
            Of columns.
        missing : bool
            Whether cells may be missing: they are NaN.

        Returns
        -------
        float64 array [rows, len(names)]
        """
        result = np.empty((self.rows_of(names), len(names)))
        for j, name in enumerate(names):
            numbers = self._as_numbers(name)
            if numbers is None:
                column = self._columns[name]
                if not isinstance(column, list):
                    raise UserError(f"{self.name}, column {name!r}: expected numbers, got an array of {column.dtype}")
                row = next(i for i, cell in enumerate(column) if _number(cell) is None)
                raise UserError(f"{self._place(row, name)}: expected a number, got {column[row]!r}")
            wrong = np.isinf(numbers) if missing else ~np.isfinite(numbers)
            if wrong.any():
                row = int(wrong.argmax())
                got = "infinity" if np.isinf(numbers[row]) else "none: fill in what is missing, or leave the column out"
                raise UserError(f"{self._place(row, name)}: expected a number, got {got}")
            result[:, j] = numbers
        return result

    def labels(self, name: str) -> list[str]:
        """A column as text: the ids of sequences."""
        labels = [str(cell).strip() for cell in self._columns[name]]
        if "" in labels:
            raise UserError(f"{self._place(labels.index(''), name)}: expected the id of a sequence, got none")
        return labels

    def _as_numbers(self, name: str) -> Array | None:
        if name not in self._numbers:
            column = self._columns[name]
            if isinstance(column, list):
                numbers = [_number(cell) for cell in column]
                self._numbers[name] = None if None in numbers else np.array(numbers, np.float64)
            else:
                with np.errstate(invalid="ignore"):  # a signalling NaN is one like the others
                    self._numbers[name] = column.astype(np.float64) if column.dtype.kind in "biuf" else None
        return self._numbers[name]

    def _where(self, row: int) -> str:
        return f"row {row + 1}" if self._lines is None else f"line {self._lines[row]}"

    def _place(self, row: int, column: str) -> str:
        return f"{self.name}, {self._where(row)}, column {column!r}"


def _number(cell: str) -> float | None:
    cell = cell.strip()
    try:
        return math.nan if cell in _MISSING else float(cell.replace("_", "no digit"))
    except ValueError:
        return None


def read_table(path: str) -> Table:
    """Read a file with columns: NPZ if it is called so, else CSV (comma, semicolon or tab); ``-`` is standard input.

    The first row of a CSV file names its columns. If it is all numbers, it is a row like the others, and the columns
    are called 1, 2, 3, ... A column without a name, as an index often is, is left out. An empty line is none, but where
    there is one column only it is a missing cell.

    Raises
    ------
    UserError
        The file cannot be read, or is no table.
    """
    return _read_npz(path) if Path(path).suffix.lower() == ".npz" else _read_csv(path)


def _read_csv(path: str) -> Table:
    name, text = text_name(path), read_text(path)
    reader = _rows(text.rstrip("\n"), _delimiter(text))
    rows: list[list[str]] = []
    lines = []
    try:
        for row in reader:
            if row or (rows and len(rows[0]) == 1):
                rows.append(row or [""])
                lines.append(reader.line_num)
                if len(rows[-1]) != len(rows[0]):
                    raise UserError(
                        f"{name}, line {reader.line_num}: expected {len(rows[0])} cells, as the first row has, "
                        f"got {len(row)}"
                    )
    except csv.Error as error:
        raise UserError(f"{name}, line {reader.line_num}: {error}") from error
    if not rows:
        raise UserError(f"{name}: the table is empty")
    named = any(_number(cell) is None for cell in rows[0]) or not all(map(str.strip, rows[0]))
    names = [cell.strip() for cell in rows.pop(0)] if named else [str(i + 1) for i in range(len(rows[0]))]
    lines = lines[-len(rows) :]
    if not rows:
        raise UserError(f"{name}: the table has no rows below the names of its columns")
    if len(set(names) - {""}) < len(names) - names.count(""):
        twice = next(column for column in names if column and names.count(column) > 1)
        raise UserError(f"{name}: expected columns of different names, got {twice!r} twice")
    columns = {column: list(cells) for column, cells in zip(names, zip(*rows, strict=True), strict=True) if column}
    if not columns:
        raise UserError(f"{name}: no column has a name")
    return Table(name, dict(columns), lines, named=named)


def _rows(text: str, delimiter: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)


def _delimiter(text: str) -> str:
    """The one that cuts the first two rows into as many cells each, and into most."""
    cells = {}
    for delimiter in _DELIMITERS:
        try:
            first, second = (len(row) for row in islice(filter(None, _rows(text, delimiter)), 2))
        except (csv.Error, ValueError):  # or fewer rows
            first, second = 0, 0
        cells[delimiter] = first if first == second > 1 else 0
    first_line = text.lstrip("\n").partition("\n")[0]
    return max(_DELIMITERS, key=lambda delimiter: (cells[delimiter], first_line.count(delimiter)))


def _read_npz(path: str) -> Table:
    try:
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):  # which np.load would take for something else
                raise ValueError("it is no ZIP archive")
            file.seek(0)
            arrays = dict(np.load(file, allow_pickle=False).items())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or 'not an NPZ file'}") from error
    except Exception as error:  # a damaged file may fail wherever it is parsed
        raise UserError(f"{path}: not an NPZ file of arrays without Python objects ({error})") from error
    columns: dict[str, list[str] | Array] = {}
    steps = set()
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise UserError(f"{path}: not an NPZ file of arrays: {key} is none")
        if 1 <= array.ndim <= 3:
            steps.add(len(array) if array.ndim == 3 else 0)
        if array.ndim == 3:  # sequence after sequence
            array = array.swapaxes(0, 1).reshape(array.shape[0] * array.shape[1], array.shape[2])
        new = {}
        if array.ndim == 1:
            new = {key: array}
        elif array.ndim == 2:
            new = {f"{key}.{j}": array[:, j] for j in range(array.shape[1])}
        if twice := new.keys() & columns.keys():
            raise UserError(f"{path}: expected arrays of different names, got {min(twice)!r} twice")
        columns |= new
    if not columns or not all(map(len, columns.values())):
        raise UserError(f"{path}: expected arrays [rows], [rows, k] or [tau, batch, k] that are not empty")
    if len(steps) > 1 and max(steps) > 0:
        raise UserError(f"{path}: expected either all arrays as [tau, batch, k], of one tau, or none")
    return Table(path, columns, steps=max(steps) or None)
