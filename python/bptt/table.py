"""Tables of numbers with named columns, from CSV and NPZ files. Knows no networks."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bptt._inputs import Array, UserError
from bptt.text import read_text, text_name

SUFFIXES = (".csv", ".tsv", ".npz")
_MISSING = frozenset({"", "?", "NA", "N/A", "na", "n/a", "null", "NULL", "None", "none"})  # and what float() calls NaN
_DELIMITERS = ",;\t"


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
    """

    def __init__(
        self,
        name: str,
        columns: dict[str, list[str] | Array],
        lines: Sequence[int] | None = None,
        steps: int | None = None,
    ) -> None:
        self.name, self.steps = name, steps
        self._columns, self._lines = columns, lines
        self._numbers: dict[str, Array | None] = {}

    @property
    def names(self) -> list[str]:
        return list(self._columns)

    def rows_of(self, names: Sequence[str]) -> int:
        """How many rows these columns have, all the same."""
        rows = {name: len(self._columns[name]) for name in names}
        if len(set(rows.values())) > 1:
            text = ", ".join(f"{name} has {n:,}" for name, n in rows.items())
            raise UserError(f"{self.name}: expected columns of equal length, got others: {text}; choose with --inputs")
        return next(iter(rows.values()))

    def expand(self, option: str, names: Sequence[str]) -> list[str]:
        """Column names as a user gives them: of columns, or of an array with several."""
        expanded: list[str] = []
        for name in names:
            found = [name] if name in self._columns else [c for c in self._columns if c.rpartition(".")[0] == name]
            if not found:
                raise UserError(f"{option}: {self.name} has no column {name!r}; it has {', '.join(self.names)}")
            expanded += [column for column in found if column not in expanded]
        return expanded

    def is_numeric(self, name: str) -> bool:
        """Whether the cells are all numbers, or missing, but not all missing."""
        numbers = self._as_numbers(name)
        return numbers is not None and not np.isnan(numbers).all()

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
        return [str(cell).strip() for cell in self._columns[name]]

    def _as_numbers(self, name: str) -> Array | None:
        if name not in self._numbers:
            column = self._columns[name]
            if isinstance(column, list):
                numbers = [_number(cell) for cell in column]
                self._numbers[name] = None if None in numbers else np.array(numbers, np.float64)
            else:
                self._numbers[name] = column.astype(np.float64) if column.dtype.kind in "biuf" else None
        return self._numbers[name]

    def _place(self, row: int, column: str) -> str:
        where = f"row {row + 1}" if self._lines is None else f"line {self._lines[row]}"
        return f"{self.name}, {where}, column {column!r}"


def _number(cell: str) -> float | None:
    cell = cell.strip()
    try:
        return math.nan if cell in _MISSING else float(cell)
    except ValueError:
        return None


def read_table(path: str) -> Table:
    """Read a file with columns: NPZ if it is called so, else CSV (comma, semicolon or tab); ``-`` is standard input.

    The first row of a CSV file names its columns. If it is all numbers, it is a row like the others, and the columns
    are called 1, 2, 3, ... A column without a name, as an index often is, is left out.

    Raises
    ------
    UserError
        The file cannot be read, or is no table.
    """
    return _read_npz(path) if Path(path).suffix.lower() == ".npz" else _read_csv(path)


def _read_csv(path: str) -> Table:
    name, text = text_name(path), read_text(path)
    first = text.lstrip("\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
                if len(row) != len(rows[0]):
                    raise UserError(
                        f"{name}, line {reader.line_num}: expected {len(rows[0])} cells, as the first row has, "
                        f"got {len(row)}"
                    )
    except csv.Error as error:
        raise UserError(f"{name}, line {reader.line_num}: {error}") from error
    if not rows:
        raise UserError(f"{name}: the table is empty")
    if any(map(str.strip, rows[0])) and all(_number(cell) is not None for cell in rows[0]):
        names = [str(i + 1) for i in range(len(rows[0]))]
    else:
        names = [cell.strip() for cell in rows.pop(0)]
        lines.pop(0)
    if not rows:
        raise UserError(f"{name}: the table has no rows below the names of its columns")
    for column in names:
        if column and names.count(column) > 1:
            raise UserError(f"{name}: expected columns of different names, got {column!r} twice")
    columns = {column: list(cells) for column, cells in zip(names, zip(*rows, strict=True), strict=True) if column}
    if not columns:
        raise UserError(f"{name}: no column has a name")
    return Table(name, dict(columns), lines)


def _read_npz(path: str) -> Table:
    columns: dict[str, list[str] | Array] = {}
    steps = set()
    try:
        with open(path, "rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("one array without a name")
            for key, array in arrays.items():
                if 1 <= array.ndim <= 3:
                    steps.add(len(array) if array.ndim == 3 else 0)
                if array.ndim == 3:  # sequence after sequence
                    array = array.swapaxes(0, 1).reshape(-1, array.shape[2])
                if array.ndim == 1:
                    columns[key] = array
                elif array.ndim == 2:
                    columns |= {f"{key}.{j}": array[:, j] for j in range(array.shape[1])}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or 'not an NPZ file'}") from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not an NPZ file of arrays without Python objects ({error})") from error
    if not columns or not all(map(len, columns.values())):
        raise UserError(f"{path}: expected arrays [rows], [rows, k] or [tau, batch, k] that are not empty")
    if len(steps) > 1 and max(steps) > 0:
        raise UserError(f"{path}: expected either all arrays as [tau, batch, k], of one tau, or none")
    return Table(path, columns, steps=max(steps) or None)
