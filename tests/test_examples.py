"""The examples run as their first lines say, and what they show is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_teacher_forcing(tmp_path: Path) -> None:
    if not EXAMPLES.is_dir():
        pytest.skip("the examples are not part of an installation")
    command = [sys.executable, str(EXAMPLES / "teacher_forcing.py"), "--quick"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = {
        match[1].strip(): match[2].split() for match in re.finditer(r"^(.*?)((?:  +-?\d[\d.]*)+)$", done.stdout, re.M)
    }
    elman, jordan = map(float, rows["delay"])
    assert elman < 0.1
    assert abs(jordan - 0.6931) < 0.02  # ln 2, of some thousand coins
    gaps = {name: float(rows[name][2]) for name in ("teacher forcing", "scheduled sampling", "free-running")}
    assert gaps["teacher forcing"] > 0.1
    assert max(gaps["scheduled sampling"], gaps["free-running"]) < 0.05
