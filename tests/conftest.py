"""What pytest gives to tests: instruction sets, dtypes, threads, data."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from core import DTYPES, ISAS, instruction_set


def pytest_report_header() -> str:
    here = bptt.config()
    return (
        f"bptt {here['version']}: instruction sets tested: {', '.join(ISAS)} ({here['isa']} by default); "
        f"{here['threads']} threads; NumPy {np.__version__}, {platform.machine()}"
    )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many examples the fuzzing had, where it was among the tests."""
    if (exploring := sys.modules.get("exploring")) is not None and exploring.OUTCOMES:
        terminalreporter.write_line(exploring.summary())


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this machine runs; the one in use before is in use afterwards."""
    with instruction_set(request.param):
        yield request.param


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def threads() -> Iterator[None]:
    """For tests that change the number of threads: it is as before afterwards."""
    before = bptt.get_num_threads()
    yield
    bptt.set_num_threads(before)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with other people's test vectors, which are not part of this project."""
    folder = os.environ.get("BPTT_DATA")
    if not folder:
        pytest.skip("BPTT_DATA names no folder with test vectors")
    return Path(folder)
