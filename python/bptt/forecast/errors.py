"""What is wrong with a table, or with what is asked of one, in one line."""

from __future__ import annotations

from collections.abc import Iterable

_LISTED = 10  # names in a message
_OPTIONS = {"target": "--targets", "skip_rows": "--skip-rows", "skip_footer": "--skip-footer"}
_OPTIONS |= {"date_format": "--date-format", "header": "--header, --no-header"}


class TableError(ValueError):
    """One line that names the file, the column, or the keyword with its option: ``separator (--separator)``."""


def option(keyword: str) -> str:
    """A keyword as messages name it: with the option of the command line that sets it."""
    return f"{keyword} ({_OPTIONS.get(keyword, f'--{keyword}')})"


def listed(names: Iterable[object]) -> str:
    """Names, or the first of many."""
    every = [str(name) for name in names]
    more = len(every) - _LISTED
    return ", ".join(every[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def plural(n: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
