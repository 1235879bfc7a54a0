"""Python in a process of its own, for what is decided when `bptt` is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence


def run_python(code: str, arguments: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, with warnings as errors; of the variables that this package reads it has those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BPTT_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
