"""Numbers as people write them: ``1,234.50``, ``1.234,5``, ``12 %``, ``True``. Knows no files."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bptt._arrays import Array

MISSING = frozenset(
    [
        "",
        "?",
        "-",
        "--",
        ".",
        "NA",
        "N/A",
        "na",
        "n/a",
        "#N/A",
        "#NA",
        "#N/A N/A",
        "<NA>",
        "NULL",
        "null",
        "None",
        "none",
        "NONE",
        "NaN",
        "nan",
        "NAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "-1.#IND",
        "1.#QNAN",
        "-1.#QNAN",
        "#DIV/0!",
        "#VALUE!",
        "#REF!",
        "#NUM!",
        "#NAME?",
        "#NULL!",
    ]
)

Style = Literal["point", "comma", "plain", "thousands", "either", "none"]
"""What the cells of a column say: a decimal point, a decimal comma, neither mark, commas that look like those of
thousands, either reading, or no numbers."""

_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2212": "-", "\u2019": "'"})
_PLAIN = re.compile(r"[+-]?(\d+|\d+[.]\d*|[.]\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?(\d+|\d+,\d*|,\d+)([eE][+-]?\d+)?")
_GROUPED = {  # by the mark of thousands
    mark: re.compile(rf"[+-]?[1-9]\d{{0,2}}({re.escape(mark)}\d{{3}})+({decimal}\d*)?")
    for mark, decimal in ((",", "[.]"), (".", ","), (" ", "[.,]"), ("'", "[.,]"))
}
_ONE_GROUP = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")  # 1,234: a number of four digits, or of three decimals
_INTEGER = re.compile(r"[+-]?\d+")
_DIGITS = str.maketrans("023456789", "1" * 9)
_ZERO = re.compile(r"(?m)^([+-]?)0")
_BLANKS = re.compile(r"(?m)^[ \t]+|[ \t]+$")
_TRUTHS = {"true": 1.0, "false": 0.0}
_CURRENCY = "$€£¥"
_SHORT = 64  # characters: no number is longer
_ENOUGH = 3  # cells of one group, beside one without: nobody writes three decimals of some numbers and none of others


@dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written.

    Attributes
    ----------
    decimal, thousands : str
        The marks; ``thousands`` is empty where none is used.
    percent : bool
        Whether a percent sign stands behind them.
    """

    decimal: str = "."
    thousands: str = ""
    percent: bool = False

    def read(self, cell: str) -> float | None:
        """The number that a cell is; None if it is none, NaN if it is missing."""
        cell = _bare(cell)
        if cell in MISSING:
            return math.nan
        if (truth := _TRUTHS.get(cell.lower())) is not None:
            return truth
        if self.percent:
            if not cell.endswith("%"):
                return 0.0 if cell == "0" else None
            cell = cell[:-1].rstrip()
        cell = _without_currency(cell)
        for mark in (self.thousands, " ", "'"):
            if mark and mark in cell:
                if not _GROUPED[mark].fullmatch(cell):
                    return None
                cell = cell.replace(mark, "")
        if not (_COMMA if self.decimal == "," else _PLAIN).fullmatch(cell):
            return math.inf if cell.lower() in ("inf", "+inf", "infinity") else None
        return float(cell.replace(",", "."))


def _bare(cell: str) -> str:
    return cell.translate(_SPACES).strip() if len(cell) <= _SHORT else cell.strip()


def _without_currency(cell: str) -> str:
    return cell.strip(_CURRENCY).strip() if cell[:1] in _CURRENCY or cell[-1:] in _CURRENCY else cell


def _shapes(cells: list[str]) -> list[str]:
    """Cells with 1 for each digit but a leading 0. A million numbers have few shapes."""
    text = "\n".join(cells)
    if text.count("\n") != len(cells) - 1:
        return cells  # of several lines: no numbers
    text = text.translate(_SPACES)
    if " " in text or "\t" in text:
        text = _BLANKS.sub("", text)
    return _ZERO.sub(r"\1z", text).translate(_DIGITS).split("\n")


def numbers_in(cells: list[str], notation: Notation) -> tuple[Array | None, str]:
    """The numbers that cells are, each as `Notation.read` has it; or None, and the first cell that is none.

    Returns
    -------
    numbers : float64 array [len(cells)] or None
    cell : str
    """
    if not cells:
        return np.zeros(0), ""
    shapes = _shapes(cells)
    first = dict(zip(reversed(shapes), reversed(cells), strict=True))
    values = {shape: notation.read(cell) for shape, cell in first.items()}
    if None in values.values():
        return None, next(cell for cell, shape in zip(cells, shapes, strict=True) if values[shape] is None)
    constant = {
        shape: value for shape, value in values.items() if not any(c.isdigit() for c in shape.replace("z", "0"))
    }
    constant |= {shape: values[shape] for shape in values if _bare(first[shape]) in MISSING}
    marks = {ord(mark): None for mark in f"{notation.thousands} '%{_CURRENCY}\t\r"} | {ord(","): "."} | _SPACES
    marks |= {ord(c): None for c in "\u00a0\u202f\u2009\u2019"}
    if notation.thousands == ",":
        marks[ord(",")] = None
    if notation.thousands == "." and notation.decimal == ",":
        marks[ord(".")] = None
    rest = [cell for cell, shape in zip(cells, shapes, strict=True) if shape not in constant]
    numbers = np.array([constant.get(shape, 0.0) for shape in shapes], np.float64)
    if rest:
        plain = "\n".join(rest).translate(marks).split("\n")
        numbers[[shape not in constant for shape in shapes]] = [float(cell) for cell in plain]
    return numbers, ""


def style(cells: Iterable[str]) -> tuple[Style, str]:
    """What the cells of a column say of their decimal mark, and a cell that says it.

    ``1,234`` alone may be 1234 or 1.234: the answer is ``"either"``. So it is for ``1.234``, which its caller reads
    with a decimal point where nothing speaks against it. A mark that stands twice, ``1,234,567``, is no decimal mark.
    """
    found: dict[Style, str] = {}
    one_group: dict[str, list[str]] = {",": [], ".": []}
    short_integers = long_integers = 0
    cells = list(cells)
    shapes = _shapes(cells)
    counts = Counter(shapes) if len(cells) > 1 else dict.fromkeys(shapes, 1)
    for shape, raw in dict(zip(reversed(shapes), reversed(cells), strict=True)).items():
        cell = _bare(raw)
        if cell in MISSING or cell.lower() in _TRUTHS:
            continue
        number = _without_currency(cell.rstrip("%").rstrip() if cell.endswith("%") else cell)
        if len(number) > _SHORT:
            return "none", raw
        if _INTEGER.fullmatch(number):
            found.setdefault("plain", raw)
            digits = number.lstrip("+-")
            short_integers += len(digits) <= 3 and digits != "0"
            long_integers += len(digits) > 3
        elif _ONE_GROUP.fullmatch(number):
            one_group["," if "," in number else "."] += [raw] * min(counts[shape], _ENOUGH)
        elif _PLAIN.fullmatch(number) or _GROUPED[","].fullmatch(number):
            found.setdefault("point", raw)
        elif _COMMA.fullmatch(number) or _GROUPED["."].fullmatch(number):
            found.setdefault("comma", raw)
        elif _GROUPED[" "].fullmatch(number) or _GROUPED["'"].fullmatch(number):
            found.setdefault("comma" if "," in number else "point" if "." in number else "plain", raw)
        elif number.lower() not in ("inf", "+inf", "-inf", "infinity", "-infinity"):
            return "none", raw
    if "point" in found and "comma" in found:
        return "none", found["comma"]
    decisive: tuple[Style, ...] = ("point", "comma")
    for decided in decisive:
        if decided in found:
            return decided, found[decided]  # and a cell of one group is read by it
    if one_group[","] and one_group["."]:
        return "either", one_group[","][0]
    if len(one_group[","]) >= _ENOUGH and short_integers and not long_integers:
        return "thousands", one_group[","][0]
    for mark in (",", "."):
        if one_group[mark]:
            return "either", one_group[mark][0]
    return ("plain", found["plain"]) if found else ("plain", "")


def is_number(cell: str) -> bool:
    """Whether a cell can be read as a number, in some notation."""
    return style([cell])[0] != "none" and _bare(cell) not in MISSING


def is_missing(cell: str) -> bool:
    return _bare(cell) in MISSING


def notation_of(cells: Iterable[str], decimal: str, thousands: str | None) -> Notation:
    """The notation of a column whose decimal mark is known."""
    if thousands is None:
        thousands = "." if decimal == "," else ","
    percent = any(_bare(cell).endswith("%") for cell in cells)
    return Notation(decimal, thousands, percent)
