"""Counting the cells of each line of a large text, and shares of it, without cutting it. Knows no pandas."""

from __future__ import annotations

import csv
import io

import numpy as np

from bptt._arrays import Array

_AT_A_TIME = 1 << 22  # bytes


def cells_per_line(data: bytes, separator: str) -> Array:
    r"""How many cells each line has; 0 for an empty one.

    A line ends at ``\n`` outside of quotes. Blanks separate cells however many they are.

    Parameters
    ----------
    data : bytes
        A text in UTF-8.
    separator : str
        One ASCII character, or ``""``: a line is a cell.

    Returns
    -------
    int64 array [lines]
    """
    if b'"' in data:
        try:
            counts = _counts(data, separator, quoted=True)
            if counts is not None and (len(counts) < 2 or (counts[1:][counts[1:] > 0] == counts[-1]).all()):
                return counts
        except ValueError:
            pass
        return _counts_by_csv(data, separator)  # a quote inside of a cell is no quote
    counts = _counts(data, separator, quoted=False)
    assert counts is not None
    return counts


def _counts(data: bytes, separator: str, quoted: bool) -> Array | None:
    text = np.frombuffer(data, np.uint8)
    lines: list[Array] = []
    cells = 0  # of the line that the part before has left open
    begun = inside = False
    before = last = np.uint8(10)
    begins = np.array([ord(separator or "\n"), 10, 34] + [9] * (separator == " "), np.uint8)
    for start in range(0, len(text), _AT_A_TIME):
        part = text[start : start + _AT_A_TIME]
        outside = None
        if quoted:
            quotes = part == 34
            outside = (np.cumsum(quotes, dtype=np.int32) + inside) % 2 == 0
            inside = not outside[-1]
            left = np.concatenate([[last], part[:-1]])
            if not np.isin(left[quotes & ~outside], begins).all():
                return None  # a quote that does not begin a cell is a character like others
            last = part[-1]
        ends = part == 10
        if separator == " ":
            blank = (part == 32) | (part == 9) | ends | (part == 13)
            was_blank = np.empty_like(blank)
            was_blank[1:], was_blank[0] = blank[:-1], before in (32, 9, 10, 13)
            marks = ~blank & was_blank  # where a cell begins
            before = part[-1]
        else:
            marks = part == ord(separator) if separator else np.zeros(len(part), bool)
        if outside is not None:
            ends &= outside
            marks = marks & (outside | (part == 34)) if separator == " " else marks & outside
        at = np.flatnonzero(ends)
        total = np.concatenate([[0], np.cumsum(marks, dtype=np.int64)])
        filled = part != 10
        filled &= part != 13
        seen = np.concatenate([[0], np.cumsum(filled, dtype=np.int64)])
        firsts = np.concatenate([[0], at + 1])
        sums = np.diff(np.concatenate([total[firsts], total[-1:]]))
        has = np.diff(np.concatenate([seen[firsts], seen[-1:]])) > 0
        sums[0] += cells
        has[0] |= begun
        cells, begun = int(sums[-1]), bool(has[-1])
        lines.append(np.where(has[:-1], sums[:-1] + (separator != " "), 0))
    if begun or (cells and separator == " "):
        lines.append(np.array([cells + (separator != " ")]))
    if inside:
        return None
    return np.concatenate(lines) if lines else np.zeros(0, np.int64)


def _counts_by_csv(data: bytes, separator: str) -> Array:
    text = data.decode()
    if not separator:
        return np.array([int(bool(line.strip())) for line in text.split("\n")])
    if separator == " ":
        text = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    counts: list[int] = []
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    line = 0
    for row in rows:
        counts += [0] * (rows.line_num - line - 1)  # a cell of several lines: they stand for the others
        counts.append(len(row) if any(row) or len(row) > 1 else 0)
        line = rows.line_num
    return np.array(counts, np.int64)
