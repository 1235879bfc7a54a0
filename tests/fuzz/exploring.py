"""Rounds of examples: how many, how they are counted, and what is expected of every call."""

from __future__ import annotations

import faulthandler
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from rules import Types

A_ROUND = 1000  # examples, in the long mode
EXAMPLES = int(os.environ.get("BPTT_FUZZ_EXAMPLES", "0"))  # of all tests together
SECONDS = 600  # of a hundred examples, one of which hangs: then the process ends, and tells where it was
SEEDS = st.integers(0, 2**32 - 1)  # of what is chosen by one: Hypothesis takes 0.1 ms for each of its own choices
OUTCOMES: Counter[str] = Counter()  # of all rounds of this process


class Shown:
    """An example in a report: ints of thousands of digits have no text in Python."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={shown(value)}' for name, value in vars(self).items())})"


def shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {shown(one)}" for key, one in value.items()) + "}"
    try:
        return repr(value)
    except ValueError:
        return f"<{type(value).__name__} with an int of many digits>"


def rounds(share: float) -> pytest.MarkDecorator:
    """The test's argument `number`: the rounds of a test that has this share of all examples; one in the short mode."""
    return pytest.mark.parametrize("number", range(max(1, round(share * EXAMPLES / A_ROUND))))


def explore(strategy: Any, check: Callable[[Any], str], number: int, short: int, least: float = 0.3) -> None:
    """Check one round of examples, the same ones every time; `check` tells what came of one: "valid" or "refused".

    A share of `least` has to be valid, and one of 10 % refused: else the strategy tests little.
    """
    outcomes: Counter[str] = Counter()

    @hypothesis.seed(number)
    @settings(
        max_examples=A_ROUND if EXAMPLES else short,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @hypothesis.given(strategy)
    def one(example: Any) -> None:
        outcomes[check(example)] += 1
        if outcomes.total() % 100 == 1:
            faulthandler.dump_traceback_later(SECONDS, exit=True)

    try:
        one()
    finally:
        faulthandler.cancel_dump_traceback_later()
        OUTCOMES.update(outcomes)
    share = outcomes["valid"] / outcomes.total()
    assert least <= share <= 0.9, outcomes


def summary() -> str:
    told = ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(OUTCOMES.items()))
    return f"fuzzing: {OUTCOMES.total():,} examples, {told}"


def named(error: Exception) -> str:
    """The argument that an error names."""
    found = re.match(r"(\w+)(\[[^\]]*\]|\.\w+)*: ", str(error))
    return found[1] if found else ""


def refused(call: Callable[[], object], wrong: Mapping[str, Types]) -> None:
    """The call raises an error that names one of these arguments, and is of a type that the argument's mistake has."""
    try:
        result = call()
    except MemoryError:
        raise
    except Exception as error:
        types = wrong.get(named(error))
        if types is None or type(error) not in types or len(str(error)) > 2000:
            raise AssertionError(f"{type(error).__name__}: {error!s:.500}; expected an error about {wrong}") from error
        return
    raise AssertionError(f"expected an error about {wrong}, got {result!r:.500}")
