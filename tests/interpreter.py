"""Python in a process of its own: for what is decided when `bptt` is imported, and for the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENT = os.environ | {"PYTHONUTF8": "1", "PYTHONWARNINGS": "error"}


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


def run(
    *arguments: str | Path, cwd: Path, stdin: str | bytes | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """`bptt` with these arguments, which ends with this code and no traceback."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [sys.executable, "-m", "bptt", *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT,
        input=b"" if data is None else data,
        capture_output=True,
        timeout=60,
    )
    result = subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
    assert result.returncode == code, result
    assert "Traceback" not in result.stderr
    return result


def error_after_output(*arguments: str | Path, cwd: Path) -> str:
    """The one line of a refusal that came after output."""
    (line,) = run(*arguments, cwd=cwd, code=2).stderr.splitlines()
    return line.removeprefix("bptt: ")


def error_line(*arguments: str | Path, cwd: Path, stdin: str | bytes | None = None) -> str:
    """The one line of a refusal."""
    result = run(*arguments, cwd=cwd, stdin=stdin, code=2)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("bptt: ")
    return line.removeprefix("bptt: ")
