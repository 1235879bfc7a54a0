"""What the fuzz tests tell at the end."""

from __future__ import annotations

from typing import Any

from exploring import OUTCOMES


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if OUTCOMES:
        told = ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(OUTCOMES.items()))
        terminalreporter.write_line(f"fuzzing: {OUTCOMES.total():,} examples, {told}")
