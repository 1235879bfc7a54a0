"""Rows of options in which every pair of values stands side by side at least once.

What hardly interacts is not multiplied: a fault that needs two options is found by the row that has both. Of factors
with 30, 7, 3, 2 and 2 values the product has 2520 rows; some 210 hold every pair.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Factors = Mapping[str, Sequence[Any]]
Pair = tuple[tuple[str, int], tuple[str, int]]  # two factors, and the place of a value of each


def anything(row: Row) -> bool:
    """What is allowed where nothing is said: every row."""
    return True


def possible_pairs(factors: Factors, allowed: Callable[[Row], bool]) -> list[Pair]:
    """Every pair of values of two factors, save those that may not stand together."""
    return [
        ((a, i), (b, j))
        for a, b in itertools.combinations(factors, 2)
        for i, j in itertools.product(range(len(factors[a])), range(len(factors[b])))
        if allowed({a: factors[a][i], b: factors[b][j]})
    ]


def pairwise(factors: Factors, allowed: Callable[[Row], bool] = anything) -> list[Row]:
    """Rows with one value of each factor, the same ones every time, in which every possible pair occurs.

    Parameters
    ----------
    factors
        Each factor's values, of which no two are equal.
    allowed
        Whether a row may be; it is asked about rows that lack factors too, and must not refuse what can be completed.
    """
    order = {name: place for place, name in enumerate(factors)}
    left = dict.fromkeys(possible_pairs(factors, allowed))
    occurred: Counter[Pair] = Counter()
    rows = []

    def pairs_with(chosen: dict[str, int], name: str, i: int) -> Iterator[Pair]:
        for other, j in chosen.items():
            first, second = sorted([(other, j), (name, i)], key=lambda place: order[place[0]])
            yield first, second

    while left:
        chosen = dict(next(iter(left)))
        for name in factors:
            if name in chosen:
                continue
            row = {other: factors[other][j] for other, j in chosen.items()}
            open_to_it = [i for i, value in enumerate(factors[name]) if allowed({**row, name: value})]
            assert open_to_it, f"{row} was allowed, but no {name} goes with it"
            # The most pairs that are left; of equals, whose pairs have occurred least.
            merits = []
            for i in open_to_it:
                pairs = [*pairs_with(chosen, name, i)]
                merits.append((sum(pair in left for pair in pairs), -sum(occurred[pair] for pair in pairs), -i))
            chosen[name] = -max(merits)[2]
        complete = sorted(chosen.items(), key=lambda place: order[place[0]])
        for first, second in itertools.combinations(complete, 2):
            occurred[first, second] += 1
            left.pop((first, second), None)
        rows.append({name: factors[name][chosen[name]] for name in factors})
    return rows


def assert_every_pair(rows: Sequence[Row], factors: Factors, allowed: Callable[[Row], bool] = anything) -> None:
    """Counted anew, from the values alone: every row is allowed, and no possible pair is missing."""
    for row in rows:
        assert row.keys() == factors.keys()
        assert allowed(row), row
    for (a, i), (b, j) in possible_pairs(factors, allowed):
        x, y = factors[a][i], factors[b][j]
        assert any(row[a] == x and row[b] == y for row in rows), f"no row has {a} = {x} and {b} = {y}"
