"""What the first lines of a text say of the table in it: separator, header, units. Knows no pandas."""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections import Counter
from dataclasses import dataclass, field

from bptt.forecast.errors import TableError, listed, option, plural
from bptt.forecast.numbers import is_missing, is_number

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}
SAMPLE = 200  # lines
DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([T ]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2}([.]\d+)?)?|"
    r"\d{4}-?Q[1-4]|\d{1,2}[- ]?[A-Za-z]{3,9}[- ,.]*\d{2,4}|[A-Za-z]{3,9}[- ]\d{1,2},? \d{4}|[A-Za-z]{3}[- ]\d{2,4}"
)
_RULE = re.compile(r"(:?-{2,}:?|={2,})?")  # of a line that is drawn below the names
_WESTERN = re.compile(rb"[\x80-\xff]{2,}")  # bytes that stand together: of an encoding of several bytes, or of none


@dataclass(frozen=True)
class Layout:
    """Where the table stands in a text, and how its lines are cut.

    Attributes
    ----------
    separator : str
        One of `SEPARATORS`, or another character; ``""`` where there is one column.
    width : int
        Cells of a line.
    first : int
        The line, from 0, where the data begin.
    names : list of str
        Of the columns; empty for one that has none.
    notes : list of str
        What was decided.
    """

    separator: str
    width: int
    first: int
    names: list[str]
    notes: list[str] = field(default_factory=list)


def cut(lines: list[str], separator: str) -> list[list[str]]:
    """The cells of lines, without the blanks around them."""
    if not separator:
        return [[line.strip().strip('"')] if line.strip() else [] for line in lines]
    if separator == " ":
        rows = csv.reader([" ".join(line.split()) for line in lines], delimiter=" ", skipinitialspace=True)
    else:
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        return [[cell.strip() for cell in row] for row in rows]
    except csv.Error:
        return [[cell.strip() for cell in line.split(separator)] for line in lines]


def is_value(cell: str) -> bool:
    """Whether a cell is a number, a truth or a date: what no column is called."""
    return is_number(cell) or DATE.fullmatch(cell) is not None


def decoded_sample(head: bytes) -> list[str]:
    """The first lines of a text in UTF-8, of which the last may be a part."""
    text = codecs.getincrementaldecoder("utf-8-sig")("replace").decode(head)
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def encoding_of(data: bytes, name: str) -> tuple[str, str | None]:
    """The encoding of a text, and a note where it was guessed."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return encoding, None
    head = data[:4096]
    if b"\0" in head:  # UTF-16 without a mark: every second byte of digits is 0
        for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
            if len(zeros) and zeros.count(0) > 0.8 * len(zeros):
                return encoding, f"read as {encoding.upper()}"
        raise TableError(f"{name}: expected a table as text, got bytes of 0; {option('encoding')} names its encoding")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=True)
    except UnicodeDecodeError as error:
        runs = len(_WESTERN.findall(data))
        try:
            text = data[error.start : error.start + 1].decode("cp1252")
            data.decode("cp1252")
        except UnicodeDecodeError:
            runs = 1
        if runs:  # of UTF-8 that is damaged, of Chinese, of Cyrillic ...
            raise TableError(
                f"{name}: expected UTF-8, got byte 0x{data[error.start]:02x} at offset {error.start}; "
                f"{option('encoding')} names the encoding"
            ) from None
        return (
            "cp1252",
            f"not UTF-8: read as Windows-1252 (Latin-1), where {text!r} stands first; see {option('encoding')}",
        )
    return "utf-8", None


# ---- The separator ----


@dataclass(frozen=True)
class _Reading:
    separator: str
    rows: list[list[str]]
    width: int
    start: int  # the first line of the table
    header_short: bool  # whether the first line lacks the name of the first column, as files of R do
    values: float  # the share of cells that are numbers or dates

    @property
    def rank(self) -> tuple[float, int, int]:
        return round(self.values, 1), -self.start - self.header_short, self.width


def _reading(lines: list[str], separator: str) -> _Reading | None:
    """How the lines are cut by a separator; None if they are not cut evenly."""
    rows = cut(lines, separator)
    filled = [i for i, row in enumerate(rows) if row and (len(row) > 1 or row[0])]
    if not filled:
        return None
    later = filled[len(filled) // 2 :] if len(filled) > 3 else filled[-1:]
    width = Counter(len(rows[i]) for i in later).most_common(1)[0][0]
    if separator and width < 2:
        return None
    last = len(filled)
    while last and len(rows[filled[last - 1]]) < width:  # a footer
        last -= 1
    start = last
    while start and len(rows[filled[start - 1]]) == width:
        after_blank = start < last and filled[start] > filled[start - 1] + 1
        if width > 1 and after_blank and not any(map(is_value, rows[filled[start]])):
            break  # names below a blank line: what stands above it is no part of the table
        start -= 1
    header_short = False
    if start and len(rows[filled[start - 1]]) == width - 1:
        firsts = [rows[i][0] for i in filled[start:last]]
        numbered = firsts == [str(i + 1) for i in range(len(firsts))]
        if (
            width > 1
            and (numbered or not any(map(is_value, firsts)))
            and not all(map(is_value, rows[filled[start - 1]]))
        ):
            header_short, start = True, start - 1
    before = [len(rows[i]) for i in filled[:start]]
    if any(n > 1 for n in before) and (start == last or filled[start] == filled[start - 1] + 1):
        return None
    cells = [cell for i in filled[start + 1 : last] or filled[start:last] for cell in rows[i] if not is_missing(cell)]
    values = sum(map(is_value, cells)) / len(cells) if cells else 0.0
    return _Reading(separator, rows, width, filled[start] if start < last else filled[0], header_short, values)


def _best(lines: list[str], separator: str | None, name: str, before: int = 0) -> _Reading:
    if separator is not None:
        reading = _reading(lines, separator)
        if reading is None and separator == "," and all(len(row) < 2 for row in cut(lines, separator)):
            reading = _reading(lines, "")  # of one column, which has nothing to separate
        if reading is None:
            widths = Counter(len(row) for row in cut(lines, separator) if row)
            raise TableError(
                f"{name}: {option('separator')}: expected as many cells in each line, got lines of "
                f"{listed(sorted(widths))} between {_called(separator)}s"
            )
        return reading
    found = [r for r in (_reading(lines, s) for s in ("", *SEPARATORS)) if r is not None]
    found.sort(key=lambda reading: reading.rank, reverse=True)
    if not found:
        raise TableError(
            f"{name}: no separator cuts its first lines into as many cells each; {option('separator')} names it, "
            f"{option('skip_rows')} leaves out lines before the table"
        )
    best = found[0]
    if len(found) > 1 and (best.separator, found[1].separator) == ("\t", " "):
        del found[1]  # blanks are cut at tabs too
    if len(found) > 1 and found[1].rank == best.rank:
        raise TableError(
            f"{name}: its lines can be cut by {_called(best.separator)}s or by {_called(found[1].separator)}s; "
            f"{option('separator')} names which"
        )
    if not best.separator:  # one column: is it a table that is cut unevenly?
        for separator in ",;\t|":
            several = [len(row) for row in cut(lines, separator) if len(row) > 1]
            cells = next((len(row) for row in cut(lines, separator) if row), 0)
            if len(several) > len(lines) / 2 and (best.values < 0.5 or cells > 1):
                usual = Counter(several).most_common(1)[0][0]
                line = next(i for i, row in enumerate(cut(lines, separator)) if row and len(row) != usual)
                cells = len(cut(lines, separator)[line])
                raise TableError(
                    f"{name}, line {before + line + 1}: expected {usual} cells between {_called(separator)}s, as other "
                    f"lines have, got {cells}; {option('separator')} names another separator, {option('skip_rows')} "
                    "leaves out lines before the table"
                )
    return best


def _called(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator)) if separator else "line"


def looks_like_table(head: bytes) -> bool:
    """Whether the beginning of a file, or all of it, is a table: at least three lines, cut evenly, mostly numbers."""
    if head[:4] in (b"PAR1", b"PK\3\4"):
        return True
    try:
        encoding, _ = encoding_of(head[: len(head) - 3] if len(head) > 1024 else head, "")
    except TableError:
        return False
    lines = [line for line in head.decode(encoding, "ignore").splitlines()[:SAMPLE] if line.strip()]
    if len(lines) > 3 and len(head) >= 1024:
        lines.pop()  # which may not be whole
    try:
        best = _best(lines, None, "") if len(lines) >= 3 else None
    except TableError:
        return False
    if best is None:
        return False
    return best.values >= (0.4 if best.width > 1 else 0.9) and len(lines) - best.start >= 3


# ---- The header ----


def layout(lines: list[str], name: str, separator: str | None, header: bool | None, before: int = 0) -> Layout:
    """What the first lines of a text say of its table.

    Parameters
    ----------
    lines : list of str
        The first `SAMPLE` or fewer.
    name : str
        The file, as errors call it.
    separator : str, optional
        If it is known.
    header : bool, optional
        Whether the first line names the columns, if it is known.
    before : int
        Lines that stand before these, for errors.

    Raises
    ------
    TableError
        No reading is plausible, or several are.
    """
    notes: list[str] = []
    skipped = 0
    if lines and (declared := re.fullmatch(r'"?sep=(.)"?', lines[0].strip("\r\n"))):
        skipped, separator = 1, separator or declared[1]
    marked = next((i for i, line in enumerate(lines) if not line.startswith("#")), 0)
    if marked > 1 or (marked == 1 and not any(mark in lines[0] for mark in ",;\t|")):
        skipped = marked
        notes.append(f"left out before the table: {plural(marked, 'line')} that begin with # (see {option('comment')})")
    reading = _best(lines[skipped:], separator, name, before + skipped)
    first = skipped + reading.start
    if reading.start and (above := [line.strip() for line in lines[skipped:first] if line.strip()]):
        notes.append(f"left out before the table: {listed(above)[:80]!r} (see {option('skip_rows')})")
    rows = [(skipped + i, row) for i, row in enumerate(reading.rows) if i >= reading.start and row]
    cells = rows[0][1]
    if reading.header_short:
        cells = ["", *cells]
    below = [row for _, row in rows[1:] if len(row) == reading.width]
    if header is None:
        header = reading.header_short or _is_header(cells, below, name)
        if not header:
            notes.append(
                f"its first line is a row like the others: the columns are called 1 to {reading.width} "
                f"(see {option('header')})"
            )
    if not header:
        return Layout(reading.separator, reading.width, rows[0][0], [str(i + 1) for i in range(reading.width)], notes)
    first = rows[0][0] + 1
    if below and any(below[0]) and all(_RULE.fullmatch(cell) for cell in below[0]):
        del below[0], rows[1]
        first += 1
    depth = max(
        (k for k in (1, 2) if len(below) > k and all(_is_second_header(row, below[k:]) for row in below[:k])), default=0
    )
    if depth == 2:
        raise TableError(
            f"{name}, line {before + rows[2][0] + 1}: expected numbers below two lines of names, got more words; "
            f"{option('skip_rows')} leaves out lines before the names"
        )
    if depth:
        first = rows[1][0] + 1
        words = " ".join(cell for cell in below[0] if cell)
        if all(cells[1:]) and len(set(cells)) == len(cells):
            notes.append(f"left out as the units of the columns: {words!r}")
        else:
            cells = _joined(cells, below[0])
            notes.append(f"its names stand in two lines, which are joined: {listed(filter(None, cells))}")
    return Layout(reading.separator, reading.width, first, _distinct(cells, notes), notes)


def _is_header(cells: list[str], below: list[list[str]], name: str) -> bool:
    if not below:
        return not all(is_value(cell) or is_missing(cell) for cell in cells)
    says: Counter[str] = Counter()
    for j, cell in enumerate(cells):
        column = [row[j] for row in below if not is_missing(row[j])]
        if not column or is_missing(cell):
            continue
        values = sum(map(is_value, column)) > len(column) / 2
        says["name" if values and not is_value(cell) else "datum" if is_value(cell) else "words"] += 1
    if says["name"]:
        return True
    if not says["datum"]:
        return True
    numbers = [cell for cell in cells if not is_missing(cell)]
    whole = [int(cell) for cell in numbers if cell.isdecimal()]
    steps = {b - a for a, b in itertools.pairwise(whole)}
    ascending = len(whole) > 1 and steps == {1}
    if is_missing(cells[0]) and ascending and len(whole) == len(cells) - 1 and whole[0] in (0, 1):
        return True  # the numbers of columns beside an index, as pandas writes them
    if ascending and (says["words"] or whole[0] >= 1000) and len(whole) == says["datum"]:
        raise TableError(
            f"{name}: its first line, {listed(cells)!r}, may name the columns or be a row like the others; "
            f"{option('header')} says which"
        )
    return False


def _is_second_header(cells: list[str], below: list[list[str]]) -> bool:
    """Whether a line has words where all lines below have numbers or dates: units, or names once more."""
    if not below:
        return False
    words = [j for j, cell in enumerate(cells) if not is_missing(cell) and not is_value(cell)]
    over = [j for j in words if all(is_value(row[j]) or is_missing(row[j]) for row in below)]
    over = [j for j in over if any(is_value(row[j]) for row in below)]
    return len(over) > sum(not is_missing(cell) for cell in cells) / 2


def _joined(above: list[str], below: list[str]) -> list[str]:
    result, group = [], ""
    for upper, lower in zip(above, below, strict=True):
        group = upper or group
        result.append(f"{group} {lower}".strip())
    return result


def _distinct(cells: list[str], notes: list[str]) -> list[str]:
    """Names of which none stands twice: ``load``, ``load.1``."""
    result: list[str] = []
    for cell in cells:
        again, new = 0, cell
        while cell and (new in result or (again and new in cells)):
            again += 1
            new = f"{cell}.{again}"
        if again:
            notes.append(f"{cell!r} names several columns: another is called {new!r}")
        result.append(new)
    return result
